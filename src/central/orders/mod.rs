//! Orders of staff, from what is asked to what is signed and sent.

pub mod announce;
pub mod cosigning;
pub mod documents;
pub mod issue;
pub mod live;
