//! Sound: from a file, a pattern or words to samples at the device.
//!
//! `decode`, `level` and `source::synth` only compute and serve central too; `output`, `hearing` and the streams in
//! `source` are the box's. Everything past `decode::resample` is stereo at [`RATE`].

pub mod decode;
#[cfg(feature = "output")]
pub mod hearing;
pub mod level;
#[cfg(feature = "output")]
pub mod losses;
#[cfg(feature = "output")]
pub mod output;
pub mod source;
#[cfg(test)]
mod test_allocator;
pub mod tts;

use loaxa_heart::domain::sound::FRAMES_A_SECOND;
use loaxa_heart::domain::time::Span;

/// The sentences of this crate for people.
pub static TEXTS: loaxa_heart::texts::Tables =
    loaxa_heart::texts::Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));

/// Frames a second of everything that is mixed and handed to a device.
pub const RATE: u32 = FRAMES_A_SECOND;

/// One stereo sample pair, left then right, full scale at 1.0.
pub type Frame = [f32; 2];

/// The length of `frames` at [`RATE`].
pub const fn span_of(frames: u64) -> Span {
    Span((frames as u128 * 1_000_000 / RATE as u128) as u64)
}

/// Returns the frames at [`RATE`] that lie in `span`, rounded to the nearest.
pub const fn frames_in(span: Span) -> u64 {
    ((span.0 as u128 * RATE as u128 + 500_000) / 1_000_000) as u64
}

/// The amplitude factor of a level in decibels.
pub fn amplitude(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}
