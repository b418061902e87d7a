//! Sounds, and the words between the heart and the player about them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ids::{ContentHash, PlayId};
use super::time::{Moment, Span, Wall};
use crate::said;
use crate::texts::{Say, Sentence};

/// Frames a second of everything that is mixed, handed to a device and counted in the log.
pub const FRAMES_A_SECOND: u32 = 48_000;

/// One steady or sweeping tone of a [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tone {
    /// Frequency at the start.
    pub from_hz: f32,
    /// Frequency at the end; equal to `from_hz` for a steady tone.
    pub to_hz: f32,
    pub ms: u32,
    /// Silence after the tone.
    pub gap_ms: u32,
}

/// A siren or chime, synthesised on the box so that it can never be missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    pub tones: Vec<Tone>,
    /// Times that the tones are sounded, at least 1.
    pub repeats: u16,
}

impl Pattern {
    /// Makes a rising and falling siren: `repeats` times 20 s with 10 s between.
    pub fn siren(repeats: u16) -> Self {
        let tone = |from_hz, to_hz, gap_ms| Tone { from_hz, to_hz, ms: 10_000, gap_ms };
        Self { tones: vec![tone(400.0, 900.0, 0), tone(900.0, 400.0, 10_000)], repeats }
    }

    /// Makes the three falling notes that open a session or an announcement.
    pub fn chime() -> Self {
        let note = |hz| Tone { from_hz: hz, to_hz: hz, ms: 350, gap_ms: 50 };
        Self { tones: vec![note(784.0), note(659.0), note(523.0)], repeats: 1 }
    }

    /// Makes the double tone that marks an exercise and is used for nothing else.
    pub fn exercise() -> Self {
        let note = |hz| Tone { from_hz: hz, to_hz: hz, ms: 400, gap_ms: 100 };
        Self { tones: vec![note(1200.0), note(1200.0)], repeats: 2 }
    }

    /// Returns the whole length with its gaps.
    pub fn length(&self) -> Span {
        let once: u64 = self.tones.iter().map(|tone| u64::from(tone.ms) + u64::from(tone.gap_ms)).sum();
        Span::millis(once * u64::from(self.repeats))
    }
}

/// The place of a piece of audio on the box.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRef {
    /// A file beside the programme, installed with it.
    Path(PathBuf),
    /// A file of the media store, named by its hash.
    Stored(ContentHash),
}

/// A part of a play.
#[derive(Debug, Clone, PartialEq)]
pub enum Sound {
    File(FileRef),
    /// Words to be spoken on the box, with a BCP 47 language tag.
    Text {
        text: String,
        language: String,
    },
    Pattern(Pattern),
    /// A station's stream (`http`, `https`; Icecast or HLS).
    Relay {
        url: String,
    },
    /// Voice of staff, arriving now from this address.
    Live {
        voice: String,
        url: String,
    },
    Silence(Span),
}

/// The sounds of one play, parts in turn without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub parts: Vec<Sound>,
    /// Point of entry, counted from the start of the first part: where an interrupted play goes on, or a late one
    /// joins.
    pub skip: Span,
    /// 0 to 100, after the guard's ceiling.
    pub volume_percent: u8,
    /// An item's own offset in decibels.
    pub gain_db: f32,
}

/// The way in which a play takes the air from the one that sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Fades out what sounds over 20 ms and starts.
    Now,
    /// Starts without a gap when what sounds ends by itself; at once in silence.
    AtEnd,
    /// Starts at this moment exactly, and in time with other boxes where `shared` names the wall instant.
    At { moment: Moment, shared: Option<Wall> },
}

/// An order of the heart to the player.
#[derive(Debug, Clone, PartialEq)]
pub enum PlayerCommand {
    /// Opens everything that the score needs and answers [`PlayerEvent::Preflighted`]; sounds nothing.
    Preflight { play: PlayId, score: Score },
    /// Sounds a preflighted play, and answers [`PlayerEvent::Started`], later [`PlayerEvent::Ended`].
    Play { play: PlayId, cut: Cut },
    /// Fades a play out and ends it; forgets it where it has not started.
    Stop { play: PlayId, fade_ms: u32 },
}

/// The reason for which something can't sound, or stopped.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    thiserror::Error,
)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[error("{}", self.say())]
pub enum Fault {
    Missing { what: String },
    Damaged { what: String, detail: Sentence },
    NoSpeech { detail: String },
    NoStream { url: String, detail: String },
    SilentStream { seconds: u32 },
    DeviceLost { detail: String },
    Player { detail: String },
}

impl Say for Fault {
    fn say(&self) -> Sentence {
        match self {
            Fault::Missing { what } => said!("sound.missing", what),
            Fault::Damaged { what, detail } => said!("sound.damaged", what, detail),
            Fault::NoSpeech { detail } => said!("sound.no_speech", detail),
            Fault::NoStream { url, detail } => said!("sound.no_stream", url, detail),
            Fault::SilentStream { seconds } => said!("sound.silent_stream", seconds),
            Fault::DeviceLost { detail } => said!("sound.device_lost", detail),
            Fault::Player { detail } => said!("sound.player", detail),
        }
    }
}

/// The end of a play, as the player saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All of it sounded.
    Whole,
    /// Stopped or cut by a command of the heart.
    Stopped,
    /// The play could not go on.
    Failed(Fault),
}

/// The measure of a play's sound, as the player took it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sounded {
    /// Audio handed to the device, counted from where the play was entered.
    pub played: Span,
    /// Length that was to be played from where the play was entered; `None` for a stream without an end.
    pub due: Option<Span>,
    /// Integrated loudness of what was handed to the device (EBU R128), `None` below 400 ms.
    pub loudness_lufs: Option<f32>,
    /// The finding of the microphone, where the box has one.
    pub heard: Option<Heard>,
}

/// The microphone's finding on a play.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Heard {
    pub heard: bool,
    /// Correlation of what was recorded with what was played, 0 to 1.
    pub score: f32,
}

/// News from the player to the heart.
#[derive(Debug, Clone, PartialEq)]
pub enum PlayerEvent {
    /// `Ok` holds the length of the whole score from its start, `None` where it has no end.
    Preflighted {
        play: PlayId,
        result: Result<Option<Span>, Fault>,
    },
    /// The first sample was handed to the device and sounds `at`.
    Started {
        play: PlayId,
        at: Moment,
    },
    /// Between 0.3 s and 0.6 s of audio are left: time to name what follows without a gap.
    Ending {
        play: PlayId,
    },
    Ended {
        play: PlayId,
        sounded: Sounded,
        end: End,
    },
    DeviceLost {
        detail: String,
    },
    DeviceBack,
    /// The amplifier could not be switched; what sounds goes on.
    AmplifierFault {
        detail: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_their_length() {
        assert_eq!(Pattern::siren(3).length(), Span::secs(90));
        assert_eq!(Pattern::chime().length(), Span::millis(1_200));
    }
}
