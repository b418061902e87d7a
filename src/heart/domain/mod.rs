//! Floor 1: the words of the project as types.
//!
//! Deliberately absent: clocks, randomness, files, network, unordered maps. Nothing here knows that a
//! daemon, a broker or a database exists.

pub mod announcement;
pub mod authority;
pub mod days;
pub mod hex;
pub mod ids;
pub mod local_emergency;
pub mod lunar;
pub mod person;
pub mod playback;
pub mod policy;
pub mod programme;
pub mod recurrence;
pub mod software;
pub mod sound;
pub mod text;
pub mod time;
