//! Floor 3: the pure heart. Time and randomness are arguments, decisions are return values.
//!
//! Deliberately absent: clocks, files, network, sound, unordered maps. The same code airs, previews and simulates.

pub mod arbiter;
pub mod cap_intake;
pub mod delivery;
pub mod downloads;
pub mod endings;
pub mod guard;
pub mod inbox;
pub mod memory;
pub mod outbox;
pub mod plausible;
pub mod preview;
pub mod quotas;
pub mod refusals;
pub mod rollout;
pub mod schedule;
pub mod simulation;
pub mod slots;
pub mod speaker;
pub mod upgrade;
pub mod versions;
