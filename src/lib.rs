//! Loa Xã: a commune's village loudspeakers. The map of the floors is in ARCHITECTURE.md.

pub mod domain;
pub mod wire;
