//! The speed of the parts that have a number to keep: `cargo bench --bench speed [-- [play [GAIN_DB]] AUDIO...]`; with
//! `play` audio is only played, whose instructions valgrind can count.
//!
//! Prints one line for each figure; scripts/bench.sh keeps them, and BENCHMARKS.md says what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loaxa_adapters::fetch::hash_of_file;
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::decide::preview;
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::decide::speaker::{Action, Input, Restored, Speaker};
use loaxa_heart::domain::announcement::{BulletinClass, Mode, PlayPlan, Words};
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, GroupId, PlayId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::{Item, Programme};
use loaxa_heart::domain::sound::{Cut, End, FileRef, PlayerCommand, PlayerEvent, Score, Sound, Sounded};
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Signed, VERSION};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_sound::decode;
use loaxa_sound::decode::resample::Resampler;
use loaxa_sound::level::loudness::LoudnessBook;
use loaxa_sound::output::feed::Feeder;
use loaxa_sound::output::mixer::{Entry, Mixer, Order};
use loaxa_sound::source::sources::Sources;
use loaxa_sound::span_of;
use loaxa_sound::tts::Speech;

const ROUNDS: usize = 2_000;
/// Frames that a device asks for at a time.
const PERIOD: usize = 480;
/// A commune's box: announcements in a simulated year of ten a week.
const DAYS: u64 = 365;
const PUSH_EVERY: Span = Span::secs(7 * 86_400 / 10);
/// Length of every play of the simulated player.
const PLAY: Span = Span::secs(60);
const GROUP: &str = "binh-minh";

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench").peekable();
    let plays_only = words.next_if(|word| word == "play").is_some();
    let gain_db = words.next_if(|word| word.parse::<f32>().is_ok()).and_then(|word| word.parse().ok());
    let gain_db = gain_db.unwrap_or(0.0);
    let audio: Vec<PathBuf> = words.map(PathBuf::from).collect();
    if plays_only {
        return audio.iter().for_each(|path| playing(path, gain_db));
    }
    signatures();
    heart();
    month();
    for path in &audio {
        measuring(path);
        decoding(path);
        playing(path, gain_db);
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    println!("{what}: n={} median={:.1} p99={:.1} max={:.1} us", times.len(), at(50), at(99), at(100));
}

fn timed(mut act: impl FnMut()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

fn duty() -> [SecretKey; 2] {
    [SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32])]
}

fn signatures() {
    let [an, binh] = duty();
    let known: BTreeMap<_, PublicKey> = [&an, &binh].map(|key| (key.key_id(), key.public())).into();
    let keys = |id: &_| known.get(id).copied();
    let command = announcement(1, Wall(1_795_000_000_000_000), BulletinClass::Emergency);
    for signers in [&[&an][..], &[&an, &binh][..]] {
        let envelope = codec::seal(&command, signers);
        let open = || drop(black_box(codec::open_command(&envelope, &keys)));
        let times = (0..ROUNDS).map(|_| timed(open)).collect();
        report(&format!("command opened, {} signatures checked", signers.len()), times);
    }
    let (message, signature) = (b"loa xa", an.sign(b"loa xa"));
    let begun = Instant::now();
    let valid = (0..ROUNDS).filter(|_| black_box(an.public()).verifies(message, &signature)).count();
    println!("signature checks: {:.0} per second and core", valid as f64 / begun.elapsed().as_secs_f64());
}

fn announcement(serial: u64, now: Wall, class: BulletinClass) -> Command {
    let words = Words { text: "Xin thông báo.".to_owned(), language: "vi".to_owned() };
    Command {
        v: VERSION,
        id: format!("c{serial}").parse().expect("a name"),
        issuer: duty()[0].key_id(),
        serial,
        issued_at: now,
        groups: vec![GROUP.parse().expect("a name")],
        not_before: now,
        expires: now.plus(Span::secs(86_400)),
        author: "An".to_owned(),
        approver: None,
        critical: Vec::new(),
        body: Body::Announce {
            title: "Thông báo".to_owned(),
            class,
            mode: Mode::Actual,
            plan: PlayPlan::default(),
            media: None,
            words: Some(words),
            supersedes: None,
            cap: None,
        },
    }
}

fn trust() -> Trust {
    let grant = |key: &SecretKey| Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder: key.key_id().to_string(),
        powers: [Power::Normal, Power::Priority, Power::Emergency].into(),
        groups: [GROUP.parse().expect("a name")].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let thresholds = vec![Threshold { power: Power::Emergency, signatures: 2 }];
    Trust { version: 1, grants: duty().iter().map(grant).collect(), thresholds, nesting: BTreeMap::new() }
}

/// The programme of the example commune, all of its audio as long as [`PLAY`].
fn example() -> Programme {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists/binh-minh/programme.toml");
    let length = |_: &Path| Ok(PLAY.as_millis() as u32);
    programme_file::read(&file, Audio::Required(&length)).expect("the example is right")
}

/// The plan of a month for boxes of which no two hear the same: each has an item of its own in the first slot.
fn month() {
    const BOXES: usize = 150;
    let mut programme = example();
    let village = |n: usize| format!("thon-{n}").parse::<GroupId>().expect("a name");
    let list = programme.slots[0].playlist.clone();
    let items = &mut programme.playlists.get_mut(&list).expect("a slot plays a list").items;
    let first = items[0].clone();
    items.extend((0..BOXES).map(|n| Item { audience: vec![village(n)], ..first.clone() }));
    let calendar = Calendar::new(Arc::new(programme)).expect("the example is right");
    let timetable = Timetable::new(vec![calendar]).expect("one programme");
    let boxes: BTreeMap<BoxId, Listeners> = (0..BOXES)
        .map(|n| {
            let groups = BTreeSet::from([GROUP.parse().expect("a name"), village(n)]);
            let listeners = Listeners { groups, languages: vec!["vi".to_owned()] };
            (format!("loa-{n}").parse().expect("a name"), listeners)
        })
        .collect();
    let date = |day| chrono::NaiveDate::from_ymd_opt(2026, 11, day).expect("a date");
    let policy = Policy::default();
    let plan = |_| {
        let begun = cpu_time();
        black_box(preview::plan_boxes(&timetable, &boxes, &policy, date(1), date(30)));
        cpu_time() - begun
    };
    report("plan of a month for 150 boxes that all differ, CPU", (0..5).map(plan).collect());
}

/// A year of the example commune: the time of each input, from handing it over to having every action.
fn heart() {
    let calendar = Calendar::new(Arc::new(example())).expect("the example is right");
    let timetable = Timetable::new(vec![calendar]).expect("one programme");
    let listeners = Listeners {
        groups: BTreeSet::from([GROUP, "thon-dong"].map(|name| name.parse().expect("a name"))),
        languages: vec!["vi".to_owned()],
    };
    let begin = Wall::from_local(
        chrono::NaiveDate::from_ymd_opt(2026, 1, 1)
            .and_then(|date| date.and_hms_opt(0, 0, 0))
            .expect("a date"),
    );
    let reading = |mono: Moment| Reading {
        mono,
        wall: begin.plus(mono.since(Moment(0))),
        quality: ClockQuality::Synced,
        uncertainty_ms: 5,
    };
    let restored = Restored { start: 1, ..Restored::default() };
    let now = reading(Moment(0));
    let speaker = Speaker::new(restored, listeners, timetable, Some(trust()), Policy::default(), &now);
    let mut shell = Shell { speaker, due: BTreeMap::new(), number: 0, times: BTreeMap::new() };
    shell.obey(Moment(0));
    let end = Moment(0) + Span::secs(DAYS * 86_400);
    let mut push_at = Moment(0) + PUSH_EVERY;
    let mut serial: u64 = 0;
    loop {
        let timeout = shell.speaker.poll_timeout().map(|(moment, _)| moment);
        let answer = shell.due.first_key_value().map(|((moment, _), _)| *moment);
        let moment = [timeout, answer, Some(push_at)].into_iter().flatten().min().expect("one of them");
        if moment >= end {
            break;
        }
        let now = reading(moment);
        if answer == Some(moment) {
            let event = shell.due.pop_first().expect("it was there").1;
            shell.give("player", &now, Some(Input::Player(event)));
        } else if push_at == moment {
            push_at = push_at + PUSH_EVERY;
            serial += 1;
            let class = [BulletinClass::Normal, BulletinClass::Priority, BulletinClass::Emergency]
                [serial as usize % 3];
            let signed = Signed {
                signers: duty().iter().map(SecretKey::key_id).collect(),
                digest: ContentHash::of(&serial.to_le_bytes()),
                payload: announcement(serial, now.wall, class),
            };
            shell.give("command", &now, Some(Input::Command(Box::new(signed))));
        } else {
            shell.give("time", &now, None);
        }
    }
    let all = shell.times.values().flatten().copied().collect();
    for (what, times) in shell.times {
        report(&format!("heart, next decision after: {what}"), times);
    }
    report("heart, next decision after any input", all);
}

/// A shell around the heart whose player opens everything and plays it for a minute.
struct Shell {
    speaker: Speaker,
    due: BTreeMap<(Moment, u64), PlayerEvent>,
    number: u64,
    times: BTreeMap<&'static str, Vec<Duration>>,
}

impl Shell {
    fn give(&mut self, what: &'static str, now: &Reading, input: Option<Input>) {
        let begun = Instant::now();
        match input {
            Some(input) => self.speaker.handle(now, input),
            None => self.speaker.handle_timeout(now),
        }
        let time = begun.elapsed();
        self.times.entry(what).or_default().push(time);
        self.obey(now.mono);
    }

    fn obey(&mut self, now: Moment) {
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::Player(PlayerCommand::Preflight { play, .. }) => {
                    self.answer(now, PlayerEvent::Preflighted { play, result: Ok(Some(PLAY)) });
                }
                Action::Player(PlayerCommand::Play { play, cut }) => self.play(now, play, cut),
                Action::Player(PlayerCommand::Stop { play, .. }) => {
                    self.due.retain(|_, event| !is_of(event, play));
                    self.answer(now, ended(play, End::Stopped));
                }
                _ => {}
            }
        }
    }

    fn play(&mut self, now: Moment, play: PlayId, cut: Cut) {
        let sounding = self.due.iter().find_map(|(at, event)| match event {
            PlayerEvent::Ended { play, end: End::Whole, .. } => Some((at.0, *play)),
            _ => None,
        });
        let begin = match (sounding, cut) {
            (Some((end, _)), Cut::AtEnd) => end,
            (Some((_, cut_off)), _) => {
                self.due.retain(|_, event| !is_of(event, cut_off));
                self.answer(now, ended(cut_off, End::Stopped));
                now
            }
            (None, _) => now,
        };
        self.answer(begin, PlayerEvent::Started { play, at: begin });
        self.answer(begin + PLAY.saturating_sub(Span::millis(500)), PlayerEvent::Ending { play });
        self.answer(begin + PLAY, ended(play, End::Whole));
    }

    fn answer(&mut self, at: Moment, event: PlayerEvent) {
        self.number += 1;
        self.due.insert((at, self.number), event);
    }
}

fn ended(play: PlayId, end: End) -> PlayerEvent {
    let sounded = Sounded { played: PLAY, due: Some(PLAY), ..Sounded::default() };
    PlayerEvent::Ended { play, sounded, end }
}

fn is_of(event: &PlayerEvent, id: PlayId) -> bool {
    match event {
        PlayerEvent::Ended { play, .. }
        | PlayerEvent::Started { play, .. }
        | PlayerEvent::Ending { play } => *play == id,
        _ => false,
    }
}

/// Seconds of audio that a second of one core measures and hashes, as an upload is.
fn measuring(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let begun = cpu_time();
    let found = decode::probe(path);
    let measured = cpu_time();
    let hashed = hash_of_file(path);
    let (Ok(found), Ok(hash)) = (found, hashed) else { return println!("{name}: not measured") };
    let (audio, spent) = (found.ms as f64 / 1_000.0, (cpu_time() - begun).as_secs_f64());
    let length = (measured - begun).as_secs_f64();
    black_box(hash);
    println!("measure {name}: {:.0} x real time, with its hash {:.0} x", audio / length, audio / spent);
}

/// Seconds of audio that a second of one core decodes and brings to the device's rate.
fn decoding(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut decoder = match decode::open(path) {
        Ok(decoder) => decoder,
        Err(fault) => return println!("{name}: {fault}"),
    };
    let begun = cpu_time();
    let mut resampler = Resampler::new(decoder.rate()).expect("a rate that is decoded is resampled");
    let (mut out, mut frames) = (Vec::new(), 0);
    while let Ok(Some(block)) = decoder.next_block() {
        resampler.push(block, &mut out);
        frames += out.len();
        black_box(&out);
        out.clear();
    }
    let audio = frames as f64 / 48_000.0;
    let spent = (cpu_time() - begun).as_secs_f64();
    let cost = spent / audio * 60.0 * 1_000.0;
    println!("decode and resample {name}: {:.0} x real time, {cost:.1} ms of CPU a minute", audio / spent);
}

/// Plays a file as a box does, with everything but a device: decoded ahead, its loudness measured as it sounds, mixed and
/// limited, period by period.
fn playing(path: &Path, gain_db: f32) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(folder) = tempfile::tempdir() else { return println!("{name}: no folder to play from") };
    let sources = Arc::new(Sources {
        programme_dir: path.parent().unwrap_or(path).to_owned(),
        media_dir: folder.path().to_owned(),
        speech: Speech::espeak(folder.path().to_owned()),
        book: LoudnessBook::open(folder.path().join("loudness.json")),
        target_lufs: None,
        ca: None,
        clock: Default::default(),
        shaping: Shaping::default(),
        losses: Arc::default(),
    });
    let score = Score {
        parts: vec![Sound::File(FileRef::Path(name.clone().into()))],
        skip: Span::default(),
        volume_percent: 100,
        gain_db,
    };
    let begun = process_time();
    let (mut mixer, mut renderer) = Mixer::new(std::thread::current());
    let (feeder, voice, ledger) = Feeder::start(PlayId::new(1, 1), score, sources, |_| {});
    let entered = mixer.order(Order::Enter { voice: Box::new(voice), entry: Entry::AtEnd });
    assert!(entered.is_ok(), "the mixer has room for its first voice");
    let (mut period, mut at) = ([[0.0; 2]; PERIOD], Moment(1_000_000));
    while ledger.left() != Some(0) {
        feeder.go();
        // The feeder fills a ring of seconds meanwhile.
        std::thread::sleep(Duration::from_millis(20));
        while ledger.fed() >= ledger.handed() + PERIOD as u64 || ledger.left().is_some_and(|left| left > 0) {
            renderer.render(&mut period, at);
            black_box(&period);
            at = at + span_of(PERIOD as u64);
        }
    }
    let (audio, spent) = (ledger.fed() as f64 / 48_000.0, (process_time() - begun).as_secs_f64());
    println!("play {name}, without a device: {:.0} ms of CPU a minute", spent / audio * 60_000.0);
}

/// Returns the processor time that all threads have used.
fn process_time() -> Duration {
    let spent = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    Duration::from(spent.expect("Linux counts every process's time"))
}

/// Returns the processor time that this thread has used: another program's share of the processor is no cost of ours.
fn cpu_time() -> Duration {
    let spent = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    Duration::from(spent.expect("Linux counts every thread's time"))
}
