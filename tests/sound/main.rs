//! The sound path: files of every kind, loudness, relays, and what a microphone hears.

mod formats;
mod heard;
mod lengths;
mod long_play;
mod relay;
mod sound;
mod speech;

#[path = "../support/mod.rs"]
mod support;
