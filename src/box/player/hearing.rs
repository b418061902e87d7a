//! The microphone that hears the loudspeakers.

use std::sync::Arc;

use loaxa_sound::hearing::ears::{Ears, Recording};
use loaxa_sound::hearing::microphone;
use loaxa_sound::losses::Losses;

/// Listens to an ALSA input.
pub(super) fn hear(name: String, losses: Arc<Losses>) -> std::io::Result<Ears> {
    let input = name.clone();
    let open = move |tap| match microphone::open(&input, tap) {
        Ok(open) => Ok(Box::new(open) as Box<dyn Recording>),
        Err(error) => Err(error),
    };
    Ears::start(name, Box::new(open), losses)
}
