//! Loa Xã: a commune's village loudspeakers. The map of the floors is in ARCHITECTURE.md.

pub mod adapters;
#[cfg(feature = "box")]
pub mod r#box;
#[cfg(feature = "central")]
pub mod central;
pub mod commands;
pub mod config;
pub mod decide;
pub mod domain;
pub mod wire;
