//! Floor 2: the open protocol. Topics, messages and the signed envelope, as bytes and back.
//!
//! Deliberately absent: sockets, clocks, files. The specification is `docs/protocol.md`.

pub mod broker_address;
pub mod chain;
pub mod codec;
pub mod enrolment;
pub mod envelope;
pub mod messages;
pub mod renewal;
pub mod request;
pub mod signing;
pub mod topics;
pub mod voice;
