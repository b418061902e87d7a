//! Alerts of others, taken in and passed on.

pub mod cap;
pub mod cap_feed;
pub mod cap_sending;
pub mod record;
