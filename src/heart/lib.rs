//! Floors 1 to 3: the words, the texts and bytes that carry them, and the decisions. The map is in ARCHITECTURE.md.
//!
//! No clock, randomness, network, database or unordered map stands here; time is an argument, decisions are values.

pub mod config;
pub mod decide;
pub mod domain;
pub mod texts;
pub mod wire;

pub use texts::TEXTS;
