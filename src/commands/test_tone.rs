//! The tone of `loaxa box test-tone`, played by the very player that the daemon uses.

use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::language::{Outcome, complain, tell};
use loaxa_adapters::clock::monotonic;
use loaxa_box::player::{self, Player, PlayerConfig};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{
    Cut, End, Fault, Heard, Pattern, PlayerCommand, PlayerEvent, Score, Sound, Tone,
};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_sound::hearing::ears::Microphone;
use loaxa_sound::output::sink::SinkSpec;
use loaxa_sound::tts::Speech;

const PLAY: PlayId = PlayId::new(0, 1);
const HZ: f32 = 1_000.0;
/// A sweep of what every horn gives; a microphone can tell it from all else.
const SWEEP: (f32, f32) = (350.0, 3_200.0);
const SWEEP_MS: u32 = 500;
/// Longest delay of a microphone.
const LISTENING: Span = Span::millis(1_500);
/// Longest wait for a microphone that does not give sound at once; it is tried again meanwhile.
const MICROPHONE_WAIT: Span = Span::secs(12);
/// Longest wait for a device that was lost.
const PATIENCE: Duration = Duration::from_secs(4);
const TRIES_MAX: u32 = 3;
/// Exit code where there is no microphone to ask.
const NO_MICROPHONE: u8 = 2;
/// Exit code where a microphone is set, and can't be used.
const MICROPHONE_FAILED: u8 = 3;

/// The test: its length, and the devices that take part.
pub struct Test {
    pub seconds: u32,
    pub output: SinkSpec,
    pub amplifier: AmplifierConfig,
    pub volume_percent: u8,
    pub microphone: Option<String>,
    /// Sounds sweeps and asks the microphone for them.
    pub verify: bool,
}

impl Test {
    fn parts(&self) -> Vec<Sound> {
        let sweep = |(from_hz, to_hz)| Tone { from_hz, to_hz, ms: SWEEP_MS, gap_ms: 0 };
        if self.verify {
            let tones = vec![sweep(SWEEP), sweep((SWEEP.1, SWEEP.0))];
            let sweeps = Pattern { tones, repeats: self.seconds as u16 };
            return vec![Sound::Pattern(sweeps), Sound::Silence(LISTENING)];
        }
        let tone = Tone { from_hz: HZ, to_hz: HZ, ms: self.seconds * 1_000, gap_ms: 0 };
        vec![Sound::Pattern(Pattern { tones: vec![tone], repeats: 1 })]
    }
}

/// Sounds the tone and says what became of it.
///
/// # Errors
/// Fails where the output or the amplifier does.
pub fn run(test: Test) -> Outcome {
    let folder = std::env::temp_dir().join(format!("loaxa-test-tone-{}", std::process::id()));
    let parts = test.parts();
    let config = PlayerConfig {
        sink: test.output,
        programme_dir: folder.clone(),
        media_dir: folder.clone(),
        state_dir: folder.clone(),
        speech: Speech::espeak(folder),
        target_lufs: None,
        shaping: Shaping::default(),
        amplifier: test.amplifier,
        microphone: test.microphone.filter(|_| test.verify),
        ca: None,
        delay_ms: 0,
    };
    let (told, events) = channel();
    // Nobody listens any more only when this function is over.
    let player = player::start(config, move |event| drop(told.send(event)))?;
    let score = Score { parts, skip: Span::default(), volume_percent: test.volume_percent, gain_db: 0.0 };
    let sound = || {
        player.send(PlayerCommand::Preflight { play: PLAY, score: score.clone() });
        player.send(PlayerCommand::Play { play: PLAY, cut: Cut::Now });
    };
    await_microphone(&player);
    sound();
    let (mut tries, mut patience) = (1, PATIENCE);
    let mut outcome: Outcome = Err(said!("tone.no_word").into());
    while let Ok(event) = events.recv_timeout(patience) {
        match event {
            PlayerEvent::DeviceLost { detail } => {
                outcome = Err(said!("tone.no_device", detail).into());
            }
            // A sound server may throw a stream out as it begins; the daemon, too, opens it again.
            PlayerEvent::DeviceBack if tries < TRIES_MAX => {
                tries += 1;
                sound();
            }
            PlayerEvent::AmplifierFault { detail } => {
                complain!("tone.amplifier", detail)
            }
            PlayerEvent::Ended { end: End::Failed(Fault::DeviceLost { .. }), .. } => {}
            PlayerEvent::Ended { end: End::Failed(fault), .. } => {
                outcome = Err(fault.into());
                break;
            }
            // The microphone came too late, or was lost meanwhile.
            PlayerEvent::Ended { sounded, .. }
                if sounded.heard.is_none() && player.microphone().is_some() && tries < TRIES_MAX =>
            {
                tries += 1;
                await_microphone(&player);
                if player.microphone() != Some(Microphone::Hears) {
                    outcome = Ok(verdict(None, player.microphone()));
                    break;
                }
                sound();
            }
            PlayerEvent::Ended { sounded, .. } => {
                tell!("tone.played", seconds = Sentence::decimal(sounded.played.as_secs_f64(), 1));
                outcome = Ok(if test.verify {
                    verdict(sounded.heard, player.microphone())
                } else {
                    ExitCode::SUCCESS
                });
                break;
            }
            PlayerEvent::Started { .. } => patience = PATIENCE + Duration::from_secs(test.seconds.into()),
            _ => {}
        }
    }
    player.shutdown();
    outcome
}

/// Waits until the microphone gives sound, where one is set.
fn await_microphone(player: &Player) {
    let deadline = monotonic() + MICROPHONE_WAIT;
    while player.microphone().is_some_and(|state| state != Microphone::Hears) && monotonic() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn verdict(heard: Option<Heard>, microphone: Option<Microphone>) -> ExitCode {
    match heard {
        None if microphone.is_some() => {
            let why = match microphone {
                Some(Microphone::Failed { why }) => Sentence::from(why),
                Some(Microphone::Opened) => said!("tone.no_sound"),
                Some(Microphone::Waiting) => said!("tone.not_opened"),
                Some(Microphone::Hears) | None => said!("tone.too_short"),
            };
            complain!("tone.not_checked", why);
            ExitCode::from(MICROPHONE_FAILED)
        }
        None => {
            complain!("tone.no_microphone");
            ExitCode::from(NO_MICROPHONE)
        }
        Some(Heard { heard: true, score }) => {
            tell!("tone.heard", percent = Sentence::decimal(f64::from(score) * 100.0, 0));
            ExitCode::SUCCESS
        }
        Some(Heard { heard: false, score }) => {
            complain!("tone.not_heard", percent = Sentence::decimal(f64::from(score) * 100.0, 0));
            ExitCode::FAILURE
        }
    }
}
