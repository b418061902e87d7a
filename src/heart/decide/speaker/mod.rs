//! The speaker: the heart of the box as one state machine without I/O.
//!
//! The shell tells it what happened ([`Speaker::handle`]) or that time has passed ([`Speaker::handle_timeout`]),
//! carries out what it asks for ([`Speaker::poll_action`], in order) and wakes it again
//! ([`Speaker::poll_timeout`]). Preview and simulation are two other shells around the same code.
//!
//! Deliberately absent: clocks, files, network, sound, cryptography.

mod air;
mod announcements;
mod changed_plan;
mod due;
mod fallback;
mod held;
mod interface;
mod invariants;
mod job;
mod live;
mod local;
mod machine;
mod pieces;
mod play;
mod rest;
mod running;
mod sessions;
mod stand_in;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod voice;
mod waiting;

pub use self::held::spoken_length;
pub use self::interface::{Action, Input, Restored, Why};
pub use self::local::PRESSES_APART;
pub use self::rest::Rest;
pub use self::state::Speaker;
