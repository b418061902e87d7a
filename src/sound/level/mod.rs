//! Loudness: measured, shaped to the loudspeaker, brought to a level, and kept from clipping.

pub mod limiter;
pub mod loudness;
pub mod r128;
pub mod shape;
