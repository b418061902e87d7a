//! The sources of a score's parts: files, words, patterns, stations and live voices.

#[cfg(feature = "output")]
mod banded;
#[cfg(feature = "output")]
pub mod file;
#[cfg(feature = "output")]
pub mod live;
#[cfg(feature = "output")]
pub mod part;
#[cfg(feature = "output")]
pub mod relay;
#[cfg(feature = "output")]
mod shoutcast;
#[cfg(feature = "output")]
pub mod sources;
pub mod synth;
#[cfg(feature = "output")]
mod web;
