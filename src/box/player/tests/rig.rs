//! A player on a device whose crank the test turns, and what is heard of it.

use std::f32::consts::TAU;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use super::super::*;
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::domain::sound::Sound;
use loaxa_sound::output::mixer::Renderer;
use loaxa_sound::output::sink::SinkSpec;
use loaxa_sound::output::sink::Trouble;
use loaxa_sound::tts::Speech;
use loaxa_sound::{Frame, RATE};

/// Longest wait for anything: what takes longer hangs.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
pub(super) const BUFFER: usize = 480;

/// A device without hardware whose crank the test turns.
struct Cranked;

impl Sink for Cranked {
    fn period(&self) -> Span {
        Span::millis(10)
    }

    fn may_rest(&self) -> bool {
        true
    }
}

pub(super) struct Rig {
    player: Option<Player>,
    events: Receiver<PlayerEvent>,
    pub(super) renderers: Receiver<(Renderer, Arc<Trouble>)>,
    pub(super) device: Option<(Renderer, Arc<Trouble>)>,
    pub(super) at: Moment,
    pub(super) heard: Vec<Frame>,
    pub(super) told: Vec<PlayerEvent>,
    /// The crank waits for the player to say that a play is ending.
    pub(super) must_hear_ending: bool,
    /// By so much a buffer takes longer than it should.
    pub(super) late: Span,
    pub(super) folder: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(AmplifierConfig::default())
    }

    pub(super) fn with(amplifier: AmplifierConfig) -> Self {
        // No test waits for it by chance.
        let never = Span::secs(24 * 3_600);
        Self::resting(amplifier, Rest { after: never, probe: never })
    }

    pub(super) fn resting(amplifier: AmplifierConfig, rest: Rest) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (event, events) = channel();
        let (opened, renderers) = channel();
        let opener: Opener = Arc::new(move |renderer, trouble| {
            opened.send((renderer, trouble)).map_err(|_| DeviceError::NoDevice("test".into()))?;
            Ok(Box::new(Cranked) as Box<dyn Sink>)
        });
        let config = PlayerConfig {
            sink: SinkSpec::Null,
            programme_dir: folder.path().to_owned(),
            media_dir: folder.path().join("media"),
            state_dir: folder.path().join("state"),
            speech: Speech::espeak(folder.path().join("speech")),
            target_lufs: None,
            shaping: Shaping::default(),
            amplifier,
            microphone: None,
            ca: None,
            delay_ms: 0,
        };
        let player = start_with(config, opener, rest, move |told| drop(event.send(told))).unwrap();
        Self {
            player: Some(player),
            events,
            renderers,
            device: None,
            at: monotonic(),
            heard: Vec::new(),
            told: Vec::new(),
            must_hear_ending: false,
            late: Span::default(),
            folder,
        }
    }

    pub(super) fn player(&self) -> &Player {
        self.player.as_ref().unwrap()
    }

    /// Writes a mono 16-bit WAV of `frames` frames.
    pub(super) fn wav(&self, name: &str, rate: u32, frames: usize, sample: impl Fn(usize) -> f32) -> Sound {
        write_wav(&self.folder.path().join(name), rate, frames, sample);
        Sound::File(FileRef::Path(name.into()))
    }

    pub(super) fn preflight(&mut self, n: u32, parts: Vec<Sound>, skip: Span) -> Result<Option<Span>, Fault> {
        self.preflight_score(n, Score { parts, skip, volume_percent: 100, gain_db: 0.0 })
    }

    pub(super) fn preflight_score(&mut self, n: u32, score: Score) -> Result<Option<Span>, Fault> {
        let play = PlayId::new(1, n);
        self.player().send(PlayerCommand::Preflight { play, score });
        let found =
            self.wait(|event| matches!(event, PlayerEvent::Preflighted { play: of, .. } if *of == play));
        let PlayerEvent::Preflighted { result, .. } = found else { unreachable!() };
        result
    }

    pub(super) fn send_play(&self, n: u32, cut: Cut) {
        self.player().send(PlayerCommand::Play { play: PlayId::new(1, n), cut });
    }

    /// Sends a play, and waits until the mixer's callback is the next to see it: the crank stands still meanwhile, as sound
    /// passes faster than time here, and an order that comes late would be another test.
    pub(super) fn order_play(&mut self, n: u32, cut: Cut) {
        self.send_play(n, cut);
        let deadline = Instant::now() + DEADLINE;
        while self.device.as_ref().is_none_or(|(renderer, _)| renderer.orders_waiting() == 0) {
            assert!(Instant::now() < deadline, "the play is not ordered");
            self.stand_still();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks for no sound, and lets the player know that the device is there all the same.
    pub(super) fn stand_still(&mut self) {
        if let Some((renderer, _)) = &mut self.device {
            renderer.render(&mut [], self.at);
        }
    }

    /// A moment that lies ahead for the device, whose time is the crank's, and for the player, whose time is real.
    pub(super) fn ahead(&self, span: Span) -> Moment {
        self.at.max(monotonic() + Span::secs(3)) + span
    }

    /// Turns the crank until an event is told; sound is taken only as fast as it can be fed.
    pub(super) fn wait(&mut self, wanted: impl Fn(&PlayerEvent) -> bool) -> PlayerEvent {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.events.recv_timeout(Duration::from_micros(50)) {
                Ok(event) => {
                    self.told.push(event.clone());
                    if wanted(&event) {
                        return event;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.crank(),
                Err(RecvTimeoutError::Disconnected) => panic!("the player is gone"),
            }
            assert!(Instant::now() < deadline, "waited in vain; told {:?}", self.told);
        }
    }

    pub(super) fn crank(&mut self) {
        while let Ok(device) = self.renderers.try_recv() {
            self.device = Some(device);
        }
        let Some((renderer, _)) = &mut self.device else { return };
        // Sound passes faster than time here: the player must look at every step.
        self.player.as_ref().unwrap().thread.thread().unpark();
        let on_air = |ledger: &&Arc<Ledger>| ledger.sounds_at().is_some();
        let hungry = |ledger: &Arc<Ledger>| {
            ledger.left().is_none() && ledger.fed() < ledger.handed() + 2 * BUFFER as u64
        };
        let unended = |id: &PlayId, ledger: &Arc<Ledger>| {
            let told =
                self.told.iter().any(|event| matches!(event, PlayerEvent::Ending { play } if play == id));
            !told && ledger.left().is_some_and(|left| left < RATE as u64 / 3)
        };
        let ledgers = lock(&self.player.as_ref().unwrap().ledgers).clone();
        if ledgers.values().filter(on_air).any(hungry)
            || self.must_hear_ending
                && ledgers.iter().any(|(id, ledger)| on_air(&ledger) && unended(id, ledger))
        {
            return self.stand_still();
        }
        let mut buffer = [[0.0; 2]; BUFFER];
        renderer.render(&mut buffer, self.at);
        self.at = self.at + Span::millis(10) + self.late;
        self.heard.extend(buffer);
    }

    pub(super) fn crank_frames(&mut self, frames: usize) {
        let until = self.heard.len() + frames;
        let deadline = Instant::now() + DEADLINE;
        while self.heard.len() < until {
            self.crank();
            assert!(Instant::now() < deadline, "no sound came");
        }
    }

    pub(super) fn wait_ended(&mut self, n: u32) -> (Sounded, End) {
        let of = PlayId::new(1, n);
        if let Some(ended) = self.told.iter().find_map(|event| ended_of(event, of)) {
            return ended;
        }
        let event = self.wait(|event| ended_of(event, of).is_some());
        ended_of(&event, of).unwrap()
    }

    /// Returns the left side of everything that was heard.
    pub(super) fn left_side(&self) -> Vec<f32> {
        self.heard.iter().map(|frame| frame[0]).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(player) = self.player.take() {
            player.shutdown();
        }
    }
}

pub(super) fn ended_of(event: &PlayerEvent, of: PlayId) -> Option<(Sounded, End)> {
    match event {
        PlayerEvent::Ended { play, sounded, end } if *play == of => Some((*sounded, end.clone())),
        _ => None,
    }
}

pub(super) fn write_wav(path: &Path, rate: u32, frames: usize, sample: impl Fn(usize) -> f32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    (0..frames).for_each(|n| writer.write_sample((sample(n) * 32_767.0).round() as i16).unwrap());
    writer.finalize().unwrap();
}

pub(super) fn tone(hz: f32, peak: f32) -> impl Fn(usize) -> f32 {
    move |n| (TAU * (hz * n as f32 / RATE as f32).fract()).sin() * peak
}

pub(super) fn first_sound(heard: &[f32]) -> usize {
    heard.iter().position(|sample| sample.abs() > 0.0005).expect("something sounded")
}

pub(super) fn assert_near(heard: &[f32], expected: impl Fn(usize) -> f32) {
    for (n, sample) in heard.iter().enumerate() {
        assert!((sample - expected(n)).abs() < 0.002, "frame {n}: {sample} for {}", expected(n));
    }
}
