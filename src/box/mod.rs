//! Floor 5: the daemon on the village box.

pub mod amplifier;
pub mod player;
