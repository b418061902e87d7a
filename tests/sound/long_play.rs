//! Hours of sound through feeder and mixer, as fast as the machine can: not one frame is missing, added or wrong.
//!
//! `LOAXA_SOAK_HOURS` says how many; without it some minutes are played.
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Fault, FileRef, Score, Sound};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_sound::level::limiter::DELAY;
use loaxa_sound::level::loudness::LoudnessBook;
use loaxa_sound::output::feed::Feeder;
use loaxa_sound::output::ledger::Ledger;
use loaxa_sound::output::mixer::{Entry, Mixer, Note, Order, Renderer};
use loaxa_sound::output::voice::{Leave, Voice};
use loaxa_sound::source::sources::Sources;
use loaxa_sound::tts::Speech;
use loaxa_sound::{Frame, RATE, span_of};

/// Frames that a device asks for at a time.
const PERIOD: usize = 480;
/// A whole number of cycles fits each file, so that the tone goes on from one to the next.
const HZ: f64 = 480.0;
const PEAK: f64 = 0.4;
/// Seconds of each part of a play; 37 plays of these make an hour.
const PARTS: [(&str, u64); 3] = [("a.wav", 41), ("a.flac", 53), ("b.wav", 3)];
/// Plays where no hours are asked for.
const FEW: u64 = 4;
const DEADLINE: Duration = Duration::from_secs(60);

/// A play that was opened, and is to follow.
struct Next {
    feeder: Feeder,
    voice: Voice,
    ledger: Arc<Ledger>,
    opened: Receiver<Result<Option<Span>, Fault>>,
}

fn open(n: u64, sources: &Arc<Sources>) -> Next {
    let parts = PARTS.map(|(file, _)| Sound::File(FileRef::Path(file.into()))).to_vec();
    let score = Score { parts, skip: Span::default(), volume_percent: 100, gain_db: 0.0 };
    let (told, opened) = channel();
    let tell = move |result| drop(told.send(result));
    let (feeder, voice, ledger) = Feeder::start(PlayId::new(1, n as u32), score, sources.clone(), tell);
    Next { feeder, voice, ledger, opened }
}

fn make(folder: &Path) {
    for (file, seconds) in PARTS {
        let tone = format!("aevalsrc={PEAK}*sin({HZ}*2*PI*t):d={seconds}:s=48000");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &tone, "-ac", "1", file]).current_dir(folder);
        assert!(ffmpeg.status().expect("ffmpeg is installed by scripts/setup.sh --tests").success());
    }
}

/// A sound card that asks the mixer for sound and compares what comes.
struct Device {
    renderer: Renderer,
    at: Moment,
    frames: u64,
    cycle: Vec<f32>,
}

impl Device {
    fn period(&mut self) {
        let mut buffer = [[0.0; 2]; PERIOD];
        self.renderer.render(&mut buffer, self.at);
        for frame in &buffer {
            self.judge(*frame);
        }
        self.at = self.at + span_of(PERIOD as u64);
    }

    fn judge(&mut self, [left, right]: Frame) {
        let expected = match self.frames.checked_sub(DELAY as u64) {
            Some(n) => self.cycle[n as usize % self.cycle.len()],
            None => 0.0,
        };
        // Half a step of 16 bits, and as much for dither.
        let right_one = (left - expected).abs() < 1e-4 && left == right;
        assert!(right_one, "frame {}: {left} and {right} for {expected}", self.frames);
        self.frames += 1;
    }
}

#[test]
fn hours_have_no_gap_and_no_click() {
    let hours = std::env::var("LOAXA_SOAK_HOURS").ok().map(|hours| hours.parse::<u64>().unwrap());
    let plays = hours.map_or(FEW, |hours| hours * 37 + 1);
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let sources = Arc::new(Sources {
        programme_dir: folder.path().to_owned(),
        media_dir: folder.path().to_owned(),
        speech: Speech::espeak(folder.path().to_owned()),
        book: LoudnessBook::open(folder.path().join("loudness.json")),
        target_lufs: None,
        ca: None,
        clock: Default::default(),
        shaping: Shaping::default(),
        losses: Arc::default(),
    });
    let (mut mixer, renderer) = Mixer::new(std::thread::current());
    let cycle = (0..(f64::from(RATE) / HZ) as usize)
        .map(|n| ((n as f64 * HZ / f64::from(RATE) * std::f64::consts::TAU).sin() * PEAK) as f32)
        .collect();
    let mut device = Device { renderer, at: Moment(1_000_000), frames: 0, cycle };
    let whole: u64 = PARTS.iter().map(|(_, seconds)| seconds * u64::from(RATE)).sum();
    let mut next = Some(open(0, &sources));
    let mut left = 0;
    for n in 0..plays {
        let Next { feeder, voice, ledger, opened } = next.take().expect("each opens the one after it");
        assert_eq!(opened.recv_timeout(DEADLINE).unwrap().unwrap(), Some(span_of(whole)));
        assert!(mixer.order(Order::Enter { voice: Box::new(voice), entry: Entry::AtEnd }).is_ok());
        feeder.go();
        next = (n + 1 < plays).then(|| open(n + 1, &sources));
        // The last period of a play holds the first frames of the one after it.
        while ledger.left().is_none_or(|left| left > PERIOD as u64) {
            let deadline = Instant::now() + DEADLINE;
            while ledger.left().is_none() && ledger.fed() < ledger.handed() + 2 * PERIOD as u64 {
                feeder.go();
                std::thread::yield_now();
                assert!(Instant::now() < deadline, "play {n} gets no more sound");
            }
            device.period();
        }
        assert_eq!(ledger.fed(), whole);
        assert_eq!(ledger.starved(), 0);
        assert_eq!(feeder.fault(), None);
        while let Some(note) = mixer.note() {
            let Note::Left { voice, how } = note else { continue };
            assert_eq!((voice.play(), how), (PlayId::new(1, left), Leave::Drained));
            left += 1;
        }
    }
    assert!(u64::from(left) >= plays - 1, "{left} of {plays} plays have ended");
    eprintln!("{:.1} h without a gap or a click", span_of(device.frames).as_secs_f64() / 3_600.0);
}
