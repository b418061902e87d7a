//! The centre as staff, boxes and browsers meet it.

mod attacks;
mod boxes;
mod browser_enrolment;
mod browser_keys;
mod cap;
mod cli;
mod drafts;
mod enrolment;
mod fuzz_http;
mod groups;
mod http;
mod intake;
mod mosquitto_acl;
mod outlook;
mod overview;
mod page_certificate;
mod people;
mod programme_cli;
mod tokens;
mod wire;

#[path = "../support/mod.rs"]
mod support;
