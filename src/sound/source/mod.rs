//! What a score's parts come from: patterns, stations, live voices.

#[cfg(feature = "output")]
pub mod live;
#[cfg(feature = "output")]
pub mod relay;
pub mod synth;
#[cfg(feature = "output")]
mod web;
