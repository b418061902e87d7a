//! Floor 5: the daemon on the village box.
//!
//! Everything is decided by [`loaxa_heart::decide::speaker`]; the rooms here carry it out and tell it what happened.

pub mod adopt;
pub mod amplifier;
pub mod button;
pub mod daemon;
pub mod data_usage;
pub mod downloads;
pub mod launcher;
pub mod lights;
pub mod local_socket;
pub mod metrics;
pub mod page;
pub mod player;
pub mod prepared;
pub mod renewal;
pub mod settings;
pub mod status;
pub mod upgrade;

/// The sentences of this crate for people.
pub static TEXTS: loaxa_heart::texts::Tables =
    loaxa_heart::texts::Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));
