use std::f32::consts::TAU;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use super::*;
use loaxa_heart::domain::sound::{Pattern, Sound, Tone};
use loaxa_sound::output::mixer::Renderer;
use loaxa_sound::output::sink::Trouble;
use loaxa_sound::{Frame, RATE};

/// Longest wait for anything: what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);
const BUFFER: usize = 480;

/// A device without hardware whose crank the test turns.
struct Cranked;

impl Sink for Cranked {
    fn period(&self) -> Span {
        Span::millis(10)
    }
}

struct Rig {
    player: Option<Player>,
    events: Receiver<PlayerEvent>,
    renderers: Receiver<(Renderer, Arc<Trouble>)>,
    device: Option<(Renderer, Arc<Trouble>)>,
    at: Moment,
    heard: Vec<Frame>,
    told: Vec<PlayerEvent>,
    /// The crank waits for the player to say that a play is ending.
    must_hear_ending: bool,
    /// By so much a buffer takes longer than it should.
    late: Span,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Self::with(AmplifierConfig::default())
    }

    fn with(amplifier: AmplifierConfig) -> Self {
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
        let player = start_with(config, opener, move |told| drop(event.send(told))).unwrap();
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

    fn player(&self) -> &Player {
        self.player.as_ref().unwrap()
    }

    /// Writes a mono 16-bit WAV of `frames` frames.
    fn wav(&self, name: &str, rate: u32, frames: usize, sample: impl Fn(usize) -> f32) -> Sound {
        write_wav(&self.folder.path().join(name), rate, frames, sample);
        Sound::File(FileRef::Path(name.into()))
    }

    fn preflight(&mut self, n: u32, parts: Vec<Sound>, skip: Span) -> Result<Option<Span>, Fault> {
        self.preflight_score(n, Score { parts, skip, volume_percent: 100, gain_db: 0.0 })
    }

    fn preflight_score(&mut self, n: u32, score: Score) -> Result<Option<Span>, Fault> {
        let play = PlayId::new(1, n);
        self.player().send(PlayerCommand::Preflight { play, score });
        let found =
            self.wait(|event| matches!(event, PlayerEvent::Preflighted { play: of, .. } if *of == play));
        let PlayerEvent::Preflighted { result, .. } = found else { unreachable!() };
        result
    }

    fn send_play(&self, n: u32, cut: Cut) {
        self.player().send(PlayerCommand::Play { play: PlayId::new(1, n), cut });
    }

    /// Sends a play, and waits until the mixer's callback is the next to see it: the crank stands still meanwhile, as sound
    /// passes faster than time here, and an order that comes late would be another test.
    fn order_play(&mut self, n: u32, cut: Cut) {
        self.send_play(n, cut);
        let deadline = Instant::now() + DEADLINE;
        while self.device.as_ref().is_none_or(|(renderer, _)| renderer.orders_waiting() == 0) {
            assert!(Instant::now() < deadline, "the play is not ordered");
            self.stand_still();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks for no sound, and lets the player know that the device is there all the same.
    fn stand_still(&mut self) {
        if let Some((renderer, _)) = &mut self.device {
            renderer.render(&mut [], self.at);
        }
    }

    /// A moment that lies ahead for the device, whose time is the crank's, and for the player, whose time is real.
    fn ahead(&self, span: Span) -> Moment {
        self.at.max(monotonic() + Span::secs(3)) + span
    }

    /// Turns the crank until an event is told; sound is taken only as fast as it can be fed.
    fn wait(&mut self, wanted: impl Fn(&PlayerEvent) -> bool) -> PlayerEvent {
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

    fn crank(&mut self) {
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

    fn crank_frames(&mut self, frames: usize) {
        let until = self.heard.len() + frames;
        let deadline = Instant::now() + DEADLINE;
        while self.heard.len() < until {
            self.crank();
            assert!(Instant::now() < deadline, "no sound came");
        }
    }

    fn wait_ended(&mut self, n: u32) -> (Sounded, End) {
        let of = PlayId::new(1, n);
        if let Some(ended) = self.told.iter().find_map(|event| ended_of(event, of)) {
            return ended;
        }
        let event = self.wait(|event| ended_of(event, of).is_some());
        ended_of(&event, of).unwrap()
    }

    /// Returns the left side of everything that was heard.
    fn left_side(&self) -> Vec<f32> {
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

fn ended_of(event: &PlayerEvent, of: PlayId) -> Option<(Sounded, End)> {
    match event {
        PlayerEvent::Ended { play, sounded, end } if *play == of => Some((*sounded, end.clone())),
        _ => None,
    }
}

fn write_wav(path: &Path, rate: u32, frames: usize, sample: impl Fn(usize) -> f32) {
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

fn tone(hz: f32, peak: f32) -> impl Fn(usize) -> f32 {
    move |n| (TAU * (hz * n as f32 / RATE as f32).fract()).sin() * peak
}

fn first_sound(heard: &[f32]) -> usize {
    heard.iter().position(|sample| sample.abs() > 0.0005).expect("something sounded")
}

fn assert_near(heard: &[f32], expected: impl Fn(usize) -> f32) {
    for (n, sample) in heard.iter().enumerate() {
        assert!((sample - expected(n)).abs() < 0.002, "frame {n}: {sample} for {}", expected(n));
    }
}

#[test]
fn a_file_sounds_to_the_last_frame() {
    let mut rig = Rig::new();
    let cosine = |n: usize| (TAU * 440.0 * n as f32 / RATE as f32).cos() * 0.3;
    let file = rig.wav("a.wav", RATE, 100_001, cosine);
    assert_eq!(rig.preflight(1, vec![file], Span::default()), Ok(Some(Span(2_083_354))));
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Whole);
    assert_eq!((sounded.played, sounded.due), (span_of(100_001), Some(span_of(100_001))));
    // A 440 Hz tone on both sides at peak 0.3 is near -10.5 LUFS.
    assert!((sounded.loudness_lufs.unwrap() + 11.2).abs() < 1.0, "{sounded:?}");
    rig.crank_frames(RATE as usize / 10);
    let heard = rig.left_side();
    let start = first_sound(&heard);
    assert_near(&heard[start..start + 100_001], cosine);
    assert!(heard[start + 100_001..].iter().all(|sample| *sample == 0.0));
    let kinds: Vec<_> = rig.told.iter().map(std::mem::discriminant).collect();
    let id = PlayId::new(1, 1);
    let expected = [
        PlayerEvent::Preflighted { play: id, result: Ok(None) },
        PlayerEvent::Started { play: id, at: Moment(0) },
        PlayerEvent::Ending { play: id },
        PlayerEvent::Ended { play: id, sounded, end },
    ];
    assert_eq!(kinds, expected.iter().map(std::mem::discriminant).collect::<Vec<_>>());
    assert_eq!(rig.player().position(id), None);
}

#[test]
fn started_names_the_moment_of_the_first_frame() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 9_600, |_| 0.25);
    rig.preflight(1, vec![file], Span::default()).unwrap();
    rig.crank_frames(4_800);
    let begin = rig.at.0 - span_of(rig.heard.len() as u64).0;
    rig.send_play(1, Cut::Now);
    let PlayerEvent::Started { at, .. } = rig.wait(|e| matches!(e, PlayerEvent::Started { .. })) else {
        unreachable!()
    };
    rig.wait_ended(1);
    rig.crank_frames(BUFFER);
    let first = first_sound(&rig.left_side()) as u64;
    assert!(at.0.abs_diff(begin + span_of(first).0) <= 25, "{at:?}");
}

#[test]
fn what_follows_at_the_end_leaves_no_gap() {
    let mut rig = Rig::new();
    rig.must_hear_ending = true;
    let whole = tone(441.0, 0.3);
    let first = rig.wav("a.wav", RATE, 30_011, tone(441.0, 0.3));
    let second = rig.wav("b.wav", RATE, 20_000, |n| whole(30_011 + n));
    rig.preflight(1, vec![first], Span::default()).unwrap();
    rig.preflight(2, vec![second], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Ending { .. }));
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    assert_eq!(rig.wait_ended(1).1, End::Whole);
    rig.crank_frames(BUFFER);
    let heard = rig.left_side();
    let start = heard.iter().position(|sample| sample.abs() > 0.0).unwrap() - 1;
    assert_near(&heard[start..start + 50_011], whole);
}

/// One play takes the air from another, by a cut that is told when the first one sounds.
fn check_cut(cut: impl Fn(&Rig) -> Cut) {
    let mut rig = Rig::new();
    let long = rig.wav("a.wav", RATE, 480_000, tone(440.0, 0.9));
    let silence = Sound::Silence(Span::millis(300));
    rig.preflight(1, vec![long], Span::default()).unwrap();
    rig.preflight(2, vec![silence], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(48_000);
    let cut = cut(&rig);
    rig.order_play(2, cut);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Stopped);
    assert_eq!(sounded.due, Some(Span::secs(10)));
    rig.wait_ended(2);
    let heard = rig.left_side();
    let start = first_sound(&heard);
    let sound = heard.iter().rposition(|sample| *sample != 0.0).unwrap() + 1 - (start - 1);
    let played = frames_in(sounded.played);
    assert!((sound as u64).abs_diff(played) <= 3, "{sound} heard, {played} counted");
    let own = 0.9 * TAU * 440.0 / RATE as f32;
    for pair in heard.windows(2) {
        assert!(
            (pair[1] - pair[0]).abs() < (own + 0.01).min(0.0625),
            "a step from {} to {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn a_cut_fades_without_a_click() {
    check_cut(|_| Cut::Now);
    // By the clock: anywhere within a block.
    for micros in [300_000, 300_271, 300_617, 300_999] {
        check_cut(|rig| Cut::At { moment: rig.ahead(Span(micros)), shared: None });
    }
}

#[test]
fn a_stop_fades_as_long_as_it_is_told() {
    let mut rig = Rig::new();
    let long = rig.wav("a.wav", RATE, 480_000, |_| 0.5 * 0.8);
    rig.preflight(1, vec![long], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(24_000);
    rig.player().send(PlayerCommand::Stop { play: PlayId::new(1, 1), fade_ms: 100 });
    assert_eq!(rig.wait_ended(1).1, End::Stopped);
    rig.crank_frames(BUFFER);
    let fading = rig.left_side().iter().filter(|sample| **sample > 0.0 && **sample < 0.3999).count();
    assert!(fading.abs_diff(4_800) <= 2, "{fading} frames of fade");
}

#[test]
fn a_play_goes_on_where_it_was_left() {
    let mut rig = Rig::new();
    let ramp = |n: usize| 0.1 + n as f32 / 240_000.0;
    let file = rig.wav("a.wav", RATE, 48_000, ramp);
    let parts = vec![Sound::Silence(Span::millis(250)), file];
    let length = rig.preflight(1, parts, Span::millis(750)).unwrap();
    assert_eq!(length, Some(Span::millis(1_250)));
    rig.send_play(1, Cut::Now);
    let (sounded, _) = rig.wait_ended(1);
    assert_eq!((sounded.played, sounded.due), (Span::millis(500), Some(Span::millis(500))));
    rig.crank_frames(BUFFER);
    let heard = rig.left_side();
    let last = heard.iter().rposition(|sample| *sample > 0.01).unwrap();
    let first = last + 1 - 24_000;
    // The first 10 ms rise, then the file goes on at 500 ms exactly.
    assert_near(&heard[first..first + 480], |n| ramp(24_000 + n) * n as f32 / 480.0);
    assert_near(&heard[first + 480..last], |n| ramp(24_000 + 480 + n));
}

/// Plays a file with 0.4 on the left and -0.2 on the right, and returns what is heard in its middle, with the loudness
/// that was measured.
fn heard_at(volume_percent: u8, gain_db: f32) -> (Frame, Option<f32>) {
    let mut rig = Rig::new();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(rig.folder.path().join("a.wav"), spec).unwrap();
    for n in 0..RATE {
        // A tone beside the constant level, for the meter.
        let tone = if n < RATE / 2 { 0.0 } else { tone(1_000.0, 0.1)(n as usize) };
        for side in [0.4, -0.2] {
            writer.write_sample(((side + tone) * 32_767.0).round() as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    let parts = vec![Sound::File(FileRef::Path("a.wav".into()))];
    rig.preflight_score(1, Score { parts, skip: Span::default(), volume_percent, gain_db }).unwrap();
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Whole);
    rig.crank_frames(BUFFER);
    let last = rig.heard.iter().rposition(|frame| frame[0] != 0.0).unwrap();
    (rig.heard[last - RATE as usize * 3 / 4], sounded.loudness_lufs)
}

#[test]
fn each_side_is_as_loud_as_the_volume_and_the_gain_say() {
    let near = |found: f32, expected: f32| (found - expected).abs() < 0.002;
    let (whole, whole_lufs) = heard_at(100, 0.0);
    assert!(near(whole[0], 0.4) && near(whole[1], -0.2), "{whole:?}");
    let (half, half_lufs) = heard_at(50, 0.0);
    assert!(near(half[0], 0.2) && near(half[1], -0.1), "{half:?}");
    let (lowered, lowered_lufs) = heard_at(100, -6.0206);
    assert!(near(lowered[0], 0.2) && near(lowered[1], -0.1), "{lowered:?}");
    for quieter in [half_lufs, lowered_lufs] {
        let by = whole_lufs.unwrap() - quieter.unwrap();
        assert!((by - 6.02).abs() < 0.2, "quieter by {by} LU");
    }
}

#[test]
fn other_rates_keep_their_length() {
    for (n, rate) in [8_000, 22_050, 44_100, 96_000].into_iter().enumerate() {
        let mut rig = Rig::new();
        let file = rig.wav("a.wav", rate, rate as usize, |_| 0.2);
        assert_eq!(rig.preflight(n as u32, vec![file], Span::default()), Ok(Some(Span::secs(1))));
        rig.send_play(n as u32, Cut::Now);
        let (sounded, end) = rig.wait_ended(n as u32);
        assert_eq!((sounded.played, end), (Span::secs(1), End::Whole), "{rate} Hz");
    }
}

#[test]
fn what_is_missing_or_broken_is_said() {
    let mut rig = Rig::new();
    let missing = rig.preflight(1, vec![Sound::File(FileRef::Path("no.wav".into()))], Span::default());
    assert!(matches!(missing, Err(Fault::Missing { .. })), "{missing:?}");
    std::fs::write(rig.folder.path().join("junk.mp3"), [0x55u8; 5_000]).unwrap();
    let junk = rig.preflight(2, vec![Sound::File(FileRef::Path("junk.mp3".into()))], Span::default());
    assert!(matches!(junk, Err(Fault::Damaged { .. })), "{junk:?}");
    rig.send_play(9, Cut::Now);
    assert!(matches!(rig.wait_ended(9).1, End::Failed(Fault::Player { .. })));
}

#[test]
fn a_file_that_breaks_off_ends_as_damaged_after_what_follows_it() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 96_000, |_| 0.2);
    let path = rig.folder.path().join("a.wav");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(44 + 2 * 48_000).unwrap();
    let chime = Sound::Pattern(Pattern::chime());
    rig.preflight(1, vec![file, chime], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert!(matches!(end, End::Failed(Fault::Damaged { .. })), "{end:?}");
    assert_eq!(sounded.due, Some(Span::millis(3_200)));
    assert_eq!(sounded.played, Span::millis(2_200));
}

#[test]
fn a_short_play_is_ending_as_soon_as_it_starts() {
    let mut rig = Rig::new();
    let beep = Tone { from_hz: 800.0, to_hz: 800.0, ms: 40, gap_ms: 0 };
    let pattern = Sound::Pattern(Pattern { tones: vec![beep], repeats: 1 });
    rig.preflight(1, vec![pattern], Span::default()).unwrap();
    rig.send_play(1, Cut::AtEnd);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!((sounded.played, end, sounded.loudness_lufs), (Span::millis(40), End::Whole, None));
}

#[test]
fn a_play_enters_by_the_clock() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 4_800, |_| 0.4);
    rig.preflight(1, vec![file], Span::default()).unwrap();
    rig.crank_frames(BUFFER);
    let begin = Moment(rig.at.0 - span_of(rig.heard.len() as u64).0);
    let moment = rig.ahead(Span(777_000));
    rig.order_play(1, Cut::At { moment, shared: None });
    rig.wait_ended(1);
    rig.crank_frames(BUFFER);
    let first = first_sound(&rig.left_side()) as u64;
    let due = frames_in(moment.since(begin));
    assert!(first.abs_diff(due) <= 2, "frame {first}, due {due}");
}

/// Seconds of each play on a device that is 300 ppm slow: uncorrected, a play is 6 ms late at its end.
const SLOW_S: usize = 20;

/// The first of two plays by the shared clock on a slow device, until the player says that it is ending.
fn first_on_a_slow_device() -> Rig {
    let mut rig = Rig::new();
    rig.must_hear_ending = true;
    rig.late = Span(3);
    rig.player().set_clock(Some(0));
    let file = rig.wav("a.wav", RATE, SLOW_S * RATE as usize, |_| 0.3);
    rig.preflight(1, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(2, vec![file], Span::default()).unwrap();
    rig.crank_frames(BUFFER);
    let moment = rig.ahead(Span::millis(100));
    rig.order_play(1, Cut::At { moment, shared: Some(Wall(moment.0 as i64)) });
    rig.wait(|event| matches!(event, PlayerEvent::Ending { .. }));
    rig
}

/// By how much sound the device is still late at the end of so many plays, in microseconds.
fn late_us(heard: &[Frame], plays: usize) -> i64 {
    let frames = heard.iter().filter(|frame| frame[0] > 0.1).count() as i64;
    let due = (plays * SLOW_S) as i64 * i64::from(RATE);
    let lacking_us = (due - frames) * 1_000_000 / i64::from(RATE);
    300 * (plays * SLOW_S) as i64 - lacking_us
}

#[test]
fn plays_keep_to_the_shared_clock_on_a_slow_device() {
    let mut rig = first_on_a_slow_device();
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    let off_us = late_us(&rig.heard, 2);
    assert!(off_us.abs() < 1_500, "{off_us} us late after {} s", 2 * SLOW_S);
}

#[test]
fn a_play_that_follows_too_late_keeps_its_distance_and_what_was_learnt() {
    let mut rig = first_on_a_slow_device();
    rig.wait_ended(1);
    // Half a second of silence: more than is drawn in.
    rig.crank_frames(RATE as usize / 2);
    let before = rig.heard.len();
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    let off_us = late_us(&rig.heard[before..], 1);
    // A play that begins as if nothing was known is 1,580 to 1,830 us late, one that keeps to no clock 6,000.
    assert!(off_us.abs() < 1_450, "{off_us} us late");
}

#[test]
fn a_lost_device_ends_what_sounds_and_comes_back() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 480_000, |_| 0.1);
    rig.preflight(1, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(2, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(3, vec![file], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(48_000);
    // The device asks for nothing any more.
    drop(rig.device.take());
    rig.wait(|event| matches!(event, PlayerEvent::DeviceLost { .. }));
    rig.send_play(2, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert!(matches!(end, End::Failed(Fault::DeviceLost { .. })));
    assert!(sounded.played >= Span::millis(1_000), "{sounded:?}");
    assert!(matches!(rig.wait_ended(2).1, End::Failed(Fault::DeviceLost { .. })));
    if !rig.told.contains(&PlayerEvent::DeviceBack) {
        rig.wait(|event| *event == PlayerEvent::DeviceBack);
    }
    rig.send_play(3, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { play, .. } if *play == PlayId::new(1, 3)));
}

#[test]
fn only_a_few_plays_wait_ready() {
    let mut rig = Rig::new();
    for n in 0..6 {
        rig.preflight(n, vec![Sound::Silence(Span::secs(1))], Span::default()).unwrap();
    }
    rig.send_play(0, Cut::Now);
    assert!(matches!(rig.wait_ended(0).1, End::Failed(Fault::Player { .. })));
    rig.send_play(5, Cut::Now);
    assert_eq!(rig.wait_ended(5).1, End::Whole);
}

#[test]
fn the_amplifier_is_on_before_the_sound_and_off_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switched");
    let command =
        |word| ["sh", "-c", &format!("echo {word} >> '{}'", file.display())].map(str::to_owned).to_vec();
    let amplifier = AmplifierConfig {
        on: command("on"),
        off: command("off"),
        gpio: None,
        warm_up_ms: 80,
        off_delay_ms: 10,
    };
    let mut rig = Rig::with(amplifier);
    rig.preflight(1, vec![Sound::Silence(Span::millis(50))], Span::default()).unwrap();
    let asked = monotonic();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    assert!(monotonic().since(asked) >= Span::millis(80));
    rig.wait_ended(1);
    let deadline = Instant::now() + DEADLINE;
    while std::fs::read_to_string(&file).unwrap_or_default() != "on\noff\n" {
        assert!(Instant::now() < deadline, "{:?}", std::fs::read_to_string(&file));
        std::thread::yield_now();
    }
}

#[test]
fn a_faulty_relay_is_told_and_stops_nothing() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let amplifier = AmplifierConfig {
        on: words("no-such-relay 17=1"),
        off: words("false"),
        ..AmplifierConfig::default()
    };
    let mut rig = Rig::with(amplifier);
    rig.preflight(1, vec![Sound::Silence(Span::millis(50))], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    assert_eq!(rig.wait_ended(1).1, End::Whole);
    for says in ["no-such-relay 17=1: it can't be run", "false: it ended with exit status: 1"] {
        let is_meant = |event: &PlayerEvent| matches!(event, PlayerEvent::AmplifierFault { detail } if detail.starts_with(says));
        if !rig.told.iter().any(is_meant) {
            rig.wait(is_meant);
        }
    }
}
