//! Orders of staff, from what is asked to what is signed and sent.

pub mod announce;
pub mod cancel;
pub mod cosigning;
pub mod documents;
pub mod issue;
pub mod live;
pub mod notices;
pub mod outlook;
mod pronunciation;
pub mod refused;
pub mod signed_request;
mod speech;
