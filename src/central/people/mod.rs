//! People: who they are, what they may, and how they prove it.

pub mod accounts;
pub mod console;
pub mod devices;
pub mod passkeys;
pub mod passwords;
pub mod second_factor;
pub mod sign_in;
mod tries;
mod who;

pub use who::{Who, may};
