//! The boxes' side of central: their signs of life, their logs, and how they come in and go.

pub mod alarms;
pub mod deadline;
pub mod enrolment;
pub mod expiry;
pub mod inbound;
pub mod log_intake;
mod renewal;
pub mod state;
mod twins;
pub mod watch;
