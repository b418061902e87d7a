//! Floor 5: the server for commune staff.

pub mod store;
