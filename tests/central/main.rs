//! The centre as staff, boxes and browsers meet it.

mod approval_by_people;
mod attacks;
mod bodies;
mod boxes;
mod browser_emergency;
mod browser_enrolment;
mod browser_keys;
mod browser_pages;
mod browser_people;
mod browser_signing;
mod browser_week;
mod cap;
mod cli;
mod drafts;
mod emergency;
mod enrolment;
mod exercise;
mod full_disk;
mod fuzz_http;
mod groups;
mod http;
mod intake;
mod log_pages;
mod mosquitto_acl;
mod notices;
mod older_database;
mod outlook;
mod overview;
mod page_certificate;
mod people;
mod powers;
mod programme_cli;
mod public;
mod query_plans;
mod recordings;
mod reports;
mod roster;
mod software;
mod tokens;
mod training;
mod week;
mod wire;

#[path = "../support/mod.rs"]
mod support;
