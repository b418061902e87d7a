//! Calling of people: who is called when, on open pages, by e-mail and by a signed webhook; and events for other systems, by
//! the same.

mod address;
mod events;
mod mail;
mod outbox;
pub mod plan;
mod ringing;
mod webhook;

pub use events::{may_be_private, send_events};
pub use outbox::send_letters;
pub use ringing::{call_people, contacts, planned};
