//! The centre as staff, boxes and browsers meet it.

mod browser_enrolment;
mod browser_keys;
mod cap;
mod cli;
mod drafts;
mod enrolment;
mod groups;
mod http;
mod intake;
mod mosquitto_acl;
mod programme_cli;
mod tokens;
mod wire;

#[path = "../support/mod.rs"]
mod support;
