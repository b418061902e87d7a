//! Orders of staff, from what is asked to what is signed and sent.

pub mod announce;
pub mod approval;
pub mod brought;
pub mod cancel;
pub mod cosigning;
pub mod day;
pub mod documents;
pub mod emergency;
pub mod exercise;
pub mod issue;
pub mod live;
pub mod local_emergency;
pub mod notices;
pub mod outlook;
pub mod prepared;
mod pronunciation;
pub mod refused;
pub mod signed_request;
pub mod software;
pub mod sounding;
mod speech;
pub mod unsent;
pub mod warnings;
