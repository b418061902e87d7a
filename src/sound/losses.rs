//! Counts of what was lost on the way to the loudspeaker and from the microphone, since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::span_of;

/// One count of losses; callbacks may add to it.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to the count; never waits.
    pub fn add(&self, lost: u64) {
        self.0.fetch_add(lost, Ordering::Relaxed);
    }

    /// Returns the count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that the sound path drops where a bound is reached, or replaces by silence.
#[derive(Debug, Default)]
pub struct Losses {
    /// Underruns that sound devices reported.
    pub underruns: Count,
    /// Frames of silence that stood in for sound from a slow disk or network.
    pub late_frames: Count,
    /// Frames of live voices that came too late to be heard.
    pub voice_frames: Count,
    /// Samples that the microphone's thread was too busy to take.
    pub unheard_samples: Count,
    /// Files that were not measured, as too many waited; each is asked for again when it is next used.
    pub unmeasured_files: Count,
    /// Plays that were opened, waited, and gave way to newer ones.
    pub forgotten_plays: Count,
    /// Commands that the player was too busy to take.
    pub player_commands: Count,
    /// Switchings of the amplifier that were skipped, as its commands hang; the last one is always obeyed.
    pub amplifier_switches: Count,
}

impl Losses {
    /// Returns every count with the name under which the status shows it; sound is counted in milliseconds.
    pub fn report(&self) -> [(&'static str, u64); 8] {
        let ms = |frames: &Count| span_of(frames.get()).as_millis();
        [
            ("sound_underruns", self.underruns.get()),
            ("sound_late_ms", ms(&self.late_frames)),
            ("voice_late_ms", ms(&self.voice_frames)),
            ("microphone_ms", ms(&self.unheard_samples)),
            ("loudness_files", self.unmeasured_files.get()),
            ("opened_plays", self.forgotten_plays.get()),
            ("player_commands", self.player_commands.get()),
            ("amplifier_switches", self.amplifier_switches.get()),
        ]
    }
}
