//! Calling of people: who is called when, on open pages, by e-mail and by a signed webhook.

mod address;
mod mail;
mod outbox;
pub mod plan;
mod ringing;
mod webhook;

pub use outbox::send_letters;
pub use ringing::{call_people, contacts, planned};
