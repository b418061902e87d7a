//! Floor 5: the server for commune staff.

pub mod authority;
pub mod broker;
pub mod publisher;
pub mod settings;
pub mod store;
