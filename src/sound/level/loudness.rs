//! Loudness by EBU R128: of a file, measured once and kept; and of what was really handed over.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::r128::R128;
use super::shape::Shaper;
use crate::decode::resampled::Resampled;
use crate::decode::{self, Decoder};
use crate::{Frame, RATE, amplitude};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::config::shaping::{Loudspeaker, Shape};
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// Ends of the keys of the offset of each side.
const SIDES: [&str; 2] = [" left", " right"];
/// The level that speech is brought to.
pub const TARGET_LUFS: f32 = -18.0;
/// Most that a quiet file is raised: beyond it only its noise would be heard.
pub const BOOST_DB_MAX: f32 = 20.0;
/// Least offset that is taken off, -46 dBFS: below it nobody hears the click at the start.
const OFFSET_MIN: f32 = 0.005;
/// Length of the stretches whose means are compared, 0.1 s at 48 kHz.
const STRETCH_FRAMES: usize = 4_800;
/// Stretches without which a file is too short to tell an offset from sound.
const STRETCHES_MIN: usize = 10;
/// Entries that are kept; of more, those of files that are gone leave first, then the first names in order.
const ENTRIES_MAX: usize = 4_096;
/// Files that may wait to be measured.
const QUEUE_MAX: usize = 256;
/// The measuring thread works this long, then rests three times as long.
const WORK: Span = Span::millis(20);
/// Loudness of played sound is noted every 100 ms.
const NOTE_FRAMES: u64 = RATE as u64 / 10;
/// Notes kept: more than a ring holds.
const NOTES_MAX: usize = 64;

/// The gain that brings `lufs` to `target`, in decibels; none for silence.
pub fn gain_db(lufs: Option<f32>, target: f32) -> f32 {
    lufs.map_or(0.0, |lufs| (target - lufs).min(BOOST_DB_MAX))
}

/// The gain behind the shaping of a sound that came with `flat` LUFS, was raised by `before_db` and was then heard with
/// `shaped`, in decibels. Both gains raise it by no more than [`BOOST_DB_MAX`], but for what the shaping took.
pub fn after_db(flat: Option<f32>, before_db: f32, shaped: Option<f32>, target: f32) -> f32 {
    let taken = flat.zip(shaped).map_or(0.0, |(flat, shaped)| (flat + before_db - shaped).max(0.0));
    gain_db(shaped, target).min(BOOST_DB_MAX - before_db + taken)
}

/// The finding of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Integrated loudness; `None` for silence and below 400 ms.
    pub lufs: Option<f32>,
    /// The whole file was measured.
    pub whole: bool,
    /// A value that stands on all samples of each side, as cheap recorders put it there; 0 below what matters, and where
    /// the file was not measured whole.
    pub offset: Frame,
}

/// The way in which a file is measured: without its offset, raised by so much, then shaped.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Way {
    pub offset: Frame,
    pub before_db: f32,
    pub shape: Shape,
}

/// Measures a file's integrated loudness as it will sound in stereo, for at most `budget`.
///
/// # Errors
/// Fails as [`decode::open`] does.
pub fn measure(path: &Path, way: Way, budget: Option<Span>) -> Result<Measured, Fault> {
    let start = monotonic();
    measure_while(path, way, || budget.is_none_or(|budget| monotonic().since(start) < budget))
}

fn measure_while(path: &Path, way: Way, go_on: impl FnMut() -> bool) -> Result<Measured, Fault> {
    let decoder = decode::open(path)?;
    if way.shape.is_flat() { measure_flat(decoder, go_on) } else { measure_shaped(decoder, way, go_on) }
}

/// At the file's own rate, which spares the resampling. What comes before damage counts, as it sounds.
fn measure_flat(mut decoder: Decoder, mut go_on: impl FnMut() -> bool) -> Result<Measured, Fault> {
    let mut meter: Option<(u32, R128)> = None;
    let (mut whole, mut means) = (true, Means::default());
    loop {
        match decoder.advance() {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) if meter.is_none() => return Err(fault),
            Err(_) => {
                whole = false;
                break;
            }
        }
        let rate = decoder.rate();
        let (of, meter) = meter.get_or_insert_with(|| (rate, R128::new(rate)));
        if *of != rate {
            meter.go_on_at(rate);
            *of = rate;
        }
        means.add(decoder.block());
        meter.add(decoder.block());
        if !go_on() {
            whole = false;
            break;
        }
    }
    let offset = if whole { means.offset() } else { [0.0; 2] };
    Ok(Measured { lufs: meter.and_then(|(_, meter)| meter.lufs()), whole, offset })
}

fn measure_shaped(decoder: Decoder, way: Way, mut go_on: impl FnMut() -> bool) -> Result<Measured, Fault> {
    let mut sound = Resampled::new(decoder)?;
    let mut meter = R128::new(RATE);
    let (gain, mut shaper) = (amplitude(way.before_db), Shaper::new(way.shape));
    let [left, right] = way.offset;
    let (mut frames, mut begun): (Vec<Frame>, bool) = (Vec::new(), false);
    let whole = loop {
        let more = match sound.more(&mut frames) {
            Err(fault) if !begun && frames.is_empty() => return Err(fault),
            more => more,
        };
        begun = true;
        frames.iter_mut().for_each(|frame| *frame = [(frame[0] - left) * gain, (frame[1] - right) * gain]);
        shaper.process(&mut frames);
        meter.add(&frames);
        frames.clear();
        match more {
            Ok(true) if go_on() => {}
            Ok(false) => break true,
            Ok(true) | Err(_) => break false,
        }
    };
    Ok(Measured { lufs: meter.lufs(), whole, offset: [0.0; 2] })
}

/// The means of a file's stretches. An offset stands in all of them; a deep or a rising sound has a mean, too, but
/// another one in each.
#[derive(Default)]
struct Means {
    stretches: [Vec<f32>; 2],
    sum: [f64; 2],
    frames: usize,
}

impl Means {
    fn add(&mut self, block: &[Frame]) {
        for frame in block {
            self.sum[0] += f64::from(frame[0]);
            self.sum[1] += f64::from(frame[1]);
            self.frames += 1;
            if self.frames == STRETCH_FRAMES {
                for (stretches, sum) in self.stretches.iter_mut().zip(&mut self.sum) {
                    stretches.push((std::mem::take(sum) / STRETCH_FRAMES as f64) as f32);
                }
                self.frames = 0;
            }
        }
    }

    /// Returns the mean of the stretch in the middle of all, by value.
    fn offset(mut self) -> Frame {
        let mut middle = |side: usize| {
            let stretches = &mut self.stretches[side];
            if stretches.len() < STRETCHES_MIN {
                return 0.0;
            }
            let half = stretches.len() / 2;
            let (_, middle, _) = stretches.select_nth_unstable_by(half, f32::total_cmp);
            if OFFSET_MIN < middle.abs() && middle.abs() < 1.0 { *middle } else { 0.0 }
        };
        [middle(0), middle(1)]
    }
}

/// Loudness of files, measured once each and kept over restarts.
///
/// The key is path, size and time of change, so a replaced file is measured anew.
pub struct LoudnessBook {
    entries: Arc<Mutex<BTreeMap<String, Option<f32>>>>,
    queue: SyncSender<(PathBuf, Shape)>,
}

impl LoudnessBook {
    /// Reads what is known from `file`, and starts the thread that measures what is asked for.
    pub fn open(file: PathBuf) -> Self {
        let known = std::fs::read(&file).ok();
        let entries = known.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let entries = Arc::new(Mutex::new(entries));
        let (queue, asked) = sync_channel(QUEUE_MAX);
        let shared = entries.clone();
        let worker = std::thread::Builder::new().name("loudness".into());
        if let Err(error) = worker.spawn(move || work(&asked, &shared, &file)) {
            tracing::warn!(%error, "loudness is not measured in the background");
        }
        Self { entries, queue }
    }

    /// The loudness of `path` once shaped, if it was measured as it is now; `Some(None)` for silence.
    pub fn known(&self, path: &Path, shape: Shape) -> Option<Option<f32>> {
        lock(&self.entries).get(&key(path, shape)?).copied()
    }

    /// The offset of a file whose loudness is known.
    pub fn offset(&self, path: &Path) -> Frame {
        offset(&lock(&self.entries), path)
    }

    /// Keeps an offset, where there is one.
    pub fn keep_offset(&self, path: &Path, offset: Frame) {
        if let Some(key) = key(path, Shape::default()) {
            insert_offset(&mut lock(&self.entries), &key, offset);
        }
    }

    /// Keeps a loudness; it is written to disk with the next measured one.
    pub fn keep(&self, path: &Path, shape: Shape, lufs: Option<f32>) {
        if let Some(key) = key(path, shape) {
            insert(&mut lock(&self.entries), key, lufs);
        }
    }

    /// Asks for `path` to be measured when there is time; returns `false` where the queue is full, and the file must be
    /// asked for again.
    pub fn ask(&self, path: &Path, shape: Shape) -> bool {
        self.known(path, shape).is_some() || self.queue.try_send((path.to_owned(), shape)).is_ok()
    }
}

type Entries = BTreeMap<String, Option<f32>>;

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert(entries: &mut Entries, key: String, lufs: Option<f32>) {
    if entries.len() >= ENTRIES_MAX && !entries.contains_key(&key) {
        entries.retain(|key, _| path_of(key).is_some_and(Path::exists));
    }
    while entries.len() >= ENTRIES_MAX && !entries.contains_key(&key) {
        entries.pop_first();
    }
    entries.insert(key, lufs);
}

fn offset(entries: &Entries, path: &Path) -> Frame {
    let Some(key) = key(path, Shape::default()) else { return [0.0; 2] };
    SIDES.map(|side| entries.get(&format!("{key}{side}")).copied().flatten().unwrap_or(0.0))
}

fn insert_offset(entries: &mut Entries, key: &str, offset: Frame) {
    for (side, value) in SIDES.iter().zip(offset).filter(|(_, value)| *value != 0.0) {
        insert(entries, format!("{key}{side}"), Some(value));
    }
}

fn key(path: &Path, shape: Shape) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let horn = if shape.loudspeaker == Loudspeaker::Horn { " horn" } else { "" };
    let compressed = if shape.compress { " compressed" } else { "" };
    Some(format!("{} {} {changed}{horn}{compressed}", path.display(), meta.len()))
}

/// The path in a key: what stands before a size, a time, and words.
fn path_of(key: &str) -> Option<&Path> {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let mut rest = key;
    loop {
        let (before, word) = rest.rsplit_once(' ')?;
        if is_number(word) {
            return before.rsplit_once(' ').map(|(path, _)| Path::new(path));
        }
        rest = before;
    }
}

fn work(asked: &Receiver<(PathBuf, Shape)>, entries: &Mutex<Entries>, file: &Path) {
    for (path, shape) in asked {
        let flat = measure_once(&path, Way::default(), entries, file);
        if !shape.is_flat() {
            let way =
                Way { offset: offset(&lock(entries), &path), before_db: gain_db(flat, TARGET_LUFS), shape };
            measure_once(&path, way, entries, file);
        }
    }
}

/// Returns the loudness that is known, or else measures it with rests and keeps it in `file`. A file that can't be read now
/// is asked for again.
fn measure_once(path: &Path, way: Way, entries: &Mutex<Entries>, file: &Path) -> Option<f32> {
    let key = key(path, way.shape)?;
    if let Some(known) = lock(entries).get(&key) {
        return *known;
    }
    let mut since = monotonic();
    let rest = || {
        if monotonic().since(since) > WORK {
            std::thread::sleep(Duration::from(WORK) * 3);
            since = monotonic();
        }
        true
    };
    let found = measure_while(path, way, rest).ok()?;
    let text = {
        let mut entries = lock(entries);
        if way.shape.is_flat() {
            insert_offset(&mut entries, &key, found.offset);
        }
        insert(&mut entries, key, found.lufs);
        serde_json::to_vec(&*entries).unwrap_or_default()
    };
    if let Err(error) = write_whole(file, &text) {
        tracing::warn!(%error, file = %file.display(), "the measured loudness could not be kept");
    }
    found.lufs
}

fn write_whole(file: &Path, text: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, file)
}

/// Measures what is fed to a ring, and answers how loud the part was that has been handed on.
pub struct Meter {
    meter: R128,
    frames: u64,
    notes: VecDeque<(u64, Option<f32>)>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { meter: R128::new(RATE), frames: 0, notes: VecDeque::new() }
    }
}

impl Meter {
    /// Takes frames in the order in which they are fed.
    pub fn add(&mut self, mut frames: &[Frame]) {
        while !frames.is_empty() {
            let until_note = NOTE_FRAMES - self.frames % NOTE_FRAMES;
            let (now, later) = frames.split_at(frames.len().min(until_note as usize));
            self.meter.add(now);
            self.frames += now.len() as u64;
            frames = later;
            if self.frames.is_multiple_of(NOTE_FRAMES) {
                if self.notes.len() >= NOTES_MAX {
                    self.notes.pop_front();
                }
                self.notes.push_back((self.frames, self.meter.lufs()));
            }
        }
    }

    /// Integrated loudness of the first `frames` frames, to 100 ms.
    pub fn loudness(&self, frames: u64) -> Option<f32> {
        self.notes.iter().rev().find(|(at, _)| *at <= frames).and_then(|(_, lufs)| *lufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frames: usize, peak: f32) -> Vec<Frame> {
        let step = std::f32::consts::TAU * 1_000.0 / RATE as f32;
        (0..frames).map(|n| [(n as f32 * step).sin() * peak; 2]).collect()
    }

    /// BS.1770: a 1 kHz tone on two channels at peak amplitude p has 20 log10(p) LUFS.
    fn check(peak: f32, expected: f32) {
        let mut meter = Meter::default();
        meter.add(&tone(96_000, peak));
        let lufs = meter.loudness(96_000).unwrap();
        assert!((lufs - expected).abs() < 0.1, "{lufs} for {expected}");
    }

    #[test]
    fn a_tone_has_its_loudness() {
        check(1.0, 0.0);
        check(0.1, -20.0);
    }

    /// A sound that rises from one side, as a struck bell or a plucked string, has a mean at its start.
    #[test]
    fn sound_is_no_offset() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let write = |sample: &dyn Fn(f32) -> f32| {
            let mut writer = hound::WavWriter::create(&file, spec).unwrap();
            for n in 0..4 * RATE {
                writer.write_sample((sample(n as f32 / RATE as f32) * 32_767.0) as i16).unwrap();
            }
            writer.finalize().unwrap();
        };
        let deep = |t: f32| 0.4 * (-2.0 * t).exp() * (std::f32::consts::TAU * 5.0 * t).sin().max(-0.2);
        write(&deep);
        let offset = |go_on: bool| measure_while(&file, Way::default(), || go_on).unwrap().offset;
        assert_eq!((offset(false), offset(true)), ([0.0; 2], [0.0; 2]));
        write(&|t| deep(t) + 0.1);
        let [left, right] = offset(true);
        assert!((left - 0.1).abs() < 0.01 && left == right, "{left} {right}");
        assert_eq!(offset(false), [0.0; 2]);
    }

    #[test]
    fn only_what_was_handed_on_counts() {
        let mut meter = Meter::default();
        meter.add(&tone(48_000, 0.1));
        meter.add(&tone(48_000, 1.0));
        assert!((meter.loudness(48_000).unwrap() + 20.0).abs() < 0.1);
        assert!(meter.loudness(96_000).unwrap() > -6.0);
        assert_eq!(meter.loudness(4_799), None);
    }

    #[test]
    fn silence_has_none_and_gets_no_gain() {
        let mut meter = Meter::default();
        meter.add(&tone(48_000, 0.0));
        assert_eq!(meter.loudness(48_000), None);
        assert_eq!(gain_db(None, TARGET_LUFS), 0.0);
        assert_eq!(gain_db(Some(-60.0), TARGET_LUFS), BOOST_DB_MAX);
        assert_eq!(gain_db(Some(-10.0), TARGET_LUFS), -8.0);
    }

    #[test]
    fn two_gains_raise_a_quiet_file_no_more_than_one() {
        let check = |flat: f32, shaped: f32, expected: f32| {
            let before = gain_db(Some(flat), TARGET_LUFS);
            let after = after_db(Some(flat), before, Some(shaped), TARGET_LUFS);
            assert!((before + after - expected).abs() < 1e-3, "{} for {flat}, {shaped}", before + after);
        };
        // A horn that takes nothing, and one that takes 3 dB, which are given back.
        check(-60.0, -40.0, BOOST_DB_MAX);
        check(-60.0, -43.0, BOOST_DB_MAX + 3.0);
        check(-24.0, -18.0, 6.0);
        check(-24.0, -21.0, 9.0);
        check(-10.0, -18.0, -8.0);
    }

    #[test]
    fn entries_of_files_that_are_gone_leave_first() {
        assert_eq!(path_of("/a b 7/c.wav 12 34 horn compressed"), Some(Path::new("/a b 7/c.wav")));
        assert_eq!(path_of("/c.wav 12 34 left"), Some(Path::new("/c.wav")));
        assert_eq!(path_of("/c.wav"), None);
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("a.wav");
        std::fs::write(&there, "").unwrap();
        let key = key(&there, Shape::default()).unwrap();
        let mut entries = Entries::new();
        (0..ENTRIES_MAX).for_each(|n| insert(&mut entries, format!("/gone/{n:04}.wav 1 2"), None));
        insert(&mut entries, key.clone(), Some(-20.0));
        assert_eq!(entries.keys().collect::<Vec<_>>(), [&key]);
        insert(&mut entries, "/gone.wav 1 2".to_owned(), None);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_silence() {
        let dir = tempfile::tempdir().unwrap();
        let (sound, book) = (dir.path().join("sound.wav"), dir.path().join("book"));
        std::fs::write(&sound, "no sound").unwrap();
        let entries = Mutex::default();
        assert_eq!(measure_once(&sound, Way::default(), &entries, &book), None);
        assert!(lock(&entries).is_empty());
    }
}
