//! The tone of `loaxa box test-tone`, played by the very player that the daemon uses.

use std::sync::mpsc::channel;

use super::Error;
use crate::adapters::sound::sink::SinkSpec;
use crate::adapters::tts::Speech;
use crate::r#box::player::{self, PlayerConfig};
use crate::config::box_file::AmplifierConfig;
use crate::config::shaping::Shaping;
use crate::domain::ids::PlayId;
use crate::domain::sound::{Cut, End, Pattern, PlayerCommand, PlayerEvent, Score, Sound, Tone};
use crate::domain::time::Span;

const PLAY: PlayId = PlayId::new(0, 1);
const HZ: f32 = 1_000.0;

/// Sounds the tone and says what became of it.
///
/// # Errors
/// Where the output or the amplifier fails.
pub fn run(
    seconds: u32,
    output: SinkSpec,
    amplifier: AmplifierConfig,
    volume_percent: u8,
) -> Result<(), Error> {
    let folder = std::env::temp_dir().join(format!("loaxa-test-tone-{}", std::process::id()));
    let config = PlayerConfig {
        sink: output,
        programme_dir: folder.clone(),
        media_dir: folder.clone(),
        state_dir: folder.clone(),
        speech: Speech::espeak(folder),
        target_lufs: None,
        shaping: Shaping::default(),
        amplifier,
    };
    let (told, events) = channel();
    // Nobody listens any more only when this function is over.
    let player = player::start(config, move |event| drop(told.send(event)))?;
    let tone = Tone { from_hz: HZ, to_hz: HZ, ms: seconds * 1_000, gap_ms: 0 };
    let parts = vec![Sound::Pattern(Pattern { tones: vec![tone], repeats: 1 })];
    let score = Score { parts, skip: Span::default(), volume_percent, gain_db: 0.0 };
    player.send(PlayerCommand::Preflight { play: PLAY, score });
    player.send(PlayerCommand::Play { play: PLAY, cut: Cut::Now });
    let mut outcome = Err("the player ended without a word".into());
    for event in events {
        match event {
            PlayerEvent::DeviceLost { detail } => {
                outcome = Err(format!("the sound device can't be used: {detail}").into());
                break;
            }
            PlayerEvent::AmplifierFault { detail } => {
                eprintln!("the amplifier could not be switched: {detail}")
            }
            PlayerEvent::Ended { end: End::Failed(fault), .. } => {
                outcome = Err(fault.to_string().into());
                break;
            }
            PlayerEvent::Ended { sounded, .. } => {
                println!(
                    "{:.1} s of a tone of 1 kHz were handed to the device",
                    sounded.played.as_secs_f64()
                );
                outcome = Ok(());
                break;
            }
            _ => {}
        }
    }
    player.shutdown();
    outcome
}
