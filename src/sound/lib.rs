//! Sound: from a file, a pattern or words to samples at the device.
//!
//! `decode`, `resample`, `synth`, `loudness` and `limiter` only compute and serve central too; `mix` and
//! `sink` are the box's output. Everything past `resample` is stereo at [`RATE`].

mod adts;
pub mod decimate;
pub mod decode;
#[cfg(feature = "output")]
pub mod feed;
mod he_aac;
#[cfg(feature = "output")]
pub mod heard;
pub mod limiter;
#[cfg(feature = "output")]
pub mod live;
pub mod loudness;
#[cfg(feature = "output")]
pub mod microphone;
#[cfg(feature = "output")]
pub mod mix;
#[cfg(feature = "output")]
pub mod relay;
pub mod resample;
pub mod resampled;
pub mod shape;
#[cfg(feature = "output")]
pub mod sink;
pub mod synth;
#[cfg(feature = "output")]
pub mod together;
pub mod tts;

use loaxa_heart::domain::time::Span;

/// The sentences of this crate for people.
pub static TEXTS: loaxa_heart::texts::Tables =
    loaxa_heart::texts::Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));

/// Frames a second of everything that is mixed and handed to a device.
pub const RATE: u32 = 48_000;

/// One stereo sample pair, left then right, full scale at 1.0.
pub type Frame = [f32; 2];

/// The length of `frames` at [`RATE`].
pub const fn span_of(frames: u64) -> Span {
    Span((frames as u128 * 1_000_000 / RATE as u128) as u64)
}

/// How many frames at [`RATE`] lie in `span`, rounded to the nearest.
pub const fn frames_in(span: Span) -> u64 {
    ((span.0 as u128 * RATE as u128 + 500_000) / 1_000_000) as u64
}

/// The amplitude factor of a level in decibels.
pub fn amplitude(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}
