//! The simulated world: another shell around the same heart, with a clock, a disk and a player that are only numbers.
//!
//! Preview runs it without faults; the simulation adds them from a seed.

mod cast;
pub mod judge;
mod law;
pub mod player;
pub mod random;
pub mod run;
pub mod scenario;
pub mod world;
