//! The power goes while the box writes: whatever a disk may show then, the box comes up with all that it has promised.
//!
//! A real box lives through slots, emergencies, documents, downloads and a kill while `strace` records what it has the disk
//! do. Then disks are made as they may be after a cut at a random step, and a real box starts on each.
//!
//! A promise is what somebody outside can know of: a record that was uploaded, the key that signed it, a document that the
//! log says is in force, a tone that sounded.
//!
//! `LOAXA_POWER_CUTS` is the number of cuts (40 without it), `LOAXA_SEED` chooses them.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::NaiveTime;

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, announce, beep, enrol};
use crate::support::crash_disk::{Content, Dice, Disk, Loss};
use crate::support::disk_trace::{self, Step};
use crate::support::eventually;
use crate::support::listen::write_tone;
use crate::support::unit::{Running, Unit, box_id};
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::domain::announcement::{BulletinClass, PreparedItem};
use loaxa_heart::domain::ids::{ContentHash, Epoch, PlayId};
use loaxa_heart::domain::playback::{DeliveryStep, Event, PlayStart, Subject};
use loaxa_heart::domain::policy::{Policy, Window};
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::messages::{Body, LogBatch, LogBody, LogRecord};

/// Cuts of the short form, and most cuts until a sync that is left out is noticed.
const CUTS: usize = 40;
const CUTS_PLANTED: usize = 100;

/// Boxes that start at once.
const AT_ONCE: usize = 4;

/// Tones of the slot, and of the announcements by their ids.
const SLOT: [(f64, &str); 3] = [(440.0, "tone-440.wav"), (550.0, "tone-550.mp3"), (660.0, "tone-660.flac")];
const LONG: (f64, &str) = (1_000.0, "long");
const SHORT: (f64, &str) = (1_300.0, "short");

/// The broker that the boxes after a cut look for in vain.
const NOBODY: &str = "mqtt://127.0.0.1:1";

/// The life of a box: everything that it had its disk do, and its promises meanwhile.
struct Life {
    dir: PathBuf,
    /// The folder's content before.
    before: Content,
    steps: Vec<Step>,
    promises: Vec<(usize, Promise)>,
    box_toml: String,
}

#[derive(Debug, Clone)]
enum Promise {
    Record {
        epoch: Epoch,
        record: LogRecord,
    },
    Key(String),
    /// A tone has begun.
    Sound {
        hz: f64,
    },
}

/// The box that the recorder runs.
fn recorded(running: &Running) -> nix::unistd::Pid {
    let children = format!("/proc/{0}/task/{0}/children", running.id());
    let child = eventually("the recorded box", || {
        std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
    });
    nix::unistd::Pid::from_raw(child)
}

fn end(running: Running, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(recorded(&running), signal).unwrap();
    running.wait();
}

/// Has no call of the box under way, of which the recording could not tell whether a kill let it happen.
fn stand_still(running: &Running, recording: &Path) {
    let process = recorded(running);
    nix::sys::signal::kill(process, nix::sys::signal::SIGSTOP).unwrap();
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().count();
    eventually("all threads stand still", || {
        let text = std::fs::read_to_string(recording).unwrap();
        (text.matches("--- stopped by SIGSTOP ---").count() >= threads).then_some(())
    });
}

fn all_day(version: u32) -> Body {
    let at = |hour, minute, second| NaiveTime::from_hms_opt(hour, minute, second).unwrap();
    let allowed = vec![Window { days: Vec::new(), from: at(0, 0, 0), until: at(23, 59, 59) }];
    Body::Policy(Policy { version, allowed, volume_night_percent_max: 100, ..Policy::default() })
}

fn programme(version: u32) -> Body {
    let toml = format!(
        "[programme]\nid = \"xa\"\nversion = {version}\ntitle = \"Xã\"\ngroup = \"xa\"\n\
         [[playlist]]\nid = \"nghe\"\ntitle = \"Nghe\"\n[[playlist.item]]\ntitle = \"Chào\"\ntext = \"Chào\"\n\
         [[slot]]\nid = \"khuya\"\ntitle = \"Khuya\"\nstart = \"03:15\"\nend = \"03:16\"\ndays = \"daily\"\n\
         playlist = \"nghe\"\norder = \"in_turn\"\nfill = \"once\"\n"
    );
    Body::Programme { programme: "xa".parse().unwrap(), version, toml, media: BTreeMap::new() }
}

/// Has a box live, and be killed in the middle of it.
fn live() -> Life {
    let (broker, keys) = (Mosquitto::start(), Keys::new());
    let mut unit = Unit::new();
    enrol(&mut unit, &keys, broker.port());
    SLOT.iter().for_each(|(_, file)| unit.bring(file));
    let tone = |hz: f64, seconds: f64| {
        let path = unit.path(&format!("{hz}.wav"));
        write_tone(&path, hz, seconds);
        path
    };
    let (long, short, kept) = (tone(LONG.0, 11.5), tone(SHORT.0, 1.0), tone(1_600.0, 1.0));
    unit.slot(&SLOT.map(|(_, file)| file), 45, "lateness = \"join\"");
    let mut before = Content::of(unit.dir.path());
    let mut central = ScriptedCentral::start(keys, &broker);
    let recordings = ["first.strace", "second.strace"].map(|name| unit.path(name));
    let start = |n: usize| unit.start_by("strace", &disk_trace::recorder(&recordings[n]));
    let send = |central: &mut ScriptedCentral, id: &str, body: Body| {
        let command = central.command(id, body);
        central.say(&central.keys.sealed_by_both(&command));
    };
    let adopted = |what: &str, wanted: u32| {
        unit.await_event(what, |event| {
            matches!(event, Event::Adopted { what: found, version } if found == what && *version == wanted)
                .then_some(())
        });
    };

    let running = start(0);
    central.await_box(&unit);
    send(&mut central, "limits", all_day(1));
    send(&mut central, "week", programme(1));
    let media = central.offer(&kept, 1_000);
    let (language, title) = ("vi".to_owned(), "Lũ".to_owned());
    let item = PreparedItem { id: "lu".parse().unwrap(), title, language, media, siren: None };
    send(&mut central, "prepared", Body::Prepared { version: 1, items: vec![item] });
    for what in ["policy", "programme/xa", "prepared"] {
        adopted(what, 1);
    }
    eventually("a piece of the slot", || (!unit.ended().is_empty()).then_some(()));
    let media = central.offer(&long, 11_500);
    send(&mut central, LONG.1, announce(BulletinClass::Emergency, Some(media), None, None));
    eventually("a position of the long tone", || unit.checkpoint_us());
    stand_still(&running, &recordings[0]);
    end(running, nix::sys::signal::SIGKILL);

    let running = start(1);
    eventually("the second hello", || (central.heard(|heard| heard.hellos.len()) > 1).then_some(()));
    send(&mut central, "more-limits", all_day(2));
    send(&mut central, "next-week", programme(2));
    let media = central.offer(&short, 1_000);
    let opening = Some(beep(SHORT.0 as f32, 500));
    send(&mut central, SHORT.1, announce(BulletinClass::Emergency, Some(media), None, opening));
    adopted("programme/xa", 2);
    unit.await_event("the end of the short tone", |event| {
        let step = DeliveryStep::Finished;
        matches!(event, Event::Delivery { command, step: found } if command.as_str() == SHORT.1 && *found == step)
            .then_some(())
    });
    eventually("all of the log at the centre", || unit.status().filter(|status| status.backlog == 0));
    end(running, nix::sys::signal::SIGTERM);

    let dir = unit.dir.path().to_owned();
    // What the installer wrote.
    let programme = unit.path("programme.toml");
    before.files.insert(programme.clone(), std::fs::read(programme).unwrap());
    let steps: Vec<Step> =
        recordings.iter().flat_map(|recording| disk_trace::read(recording, &dir)).collect();
    let mut disk = Disk::new(&dir, &before);
    steps.iter().for_each(|step| disk.apply(step));
    check_recording(&disk.after(Loss::Nothing, &mut Dice(1)), &dir);
    let mut promises = promises_of(&steps);
    promises.extend(sounds(&unit, &steps));
    promises.sort_by_key(|(at, _)| *at);
    let box_toml = unit.box_toml().replace(&unit.output, "null");
    let box_toml = box_toml.replace(&format!("mqtt://127.0.0.1:{}", broker.port()), NOBODY);
    Life { dir: unit.dir.path().to_owned(), before, steps, promises, box_toml }
}

/// Compares what the steps make of the disk with what lies there.
fn check_recording(made: &Content, dir: &Path) {
    let there = Content::of(dir);
    let is_told = |path: &&PathBuf| path.starts_with(dir.join("state")) && !is_shared(path);
    let names = |content: &Content| content.files.keys().filter(is_told).cloned().collect::<Vec<_>>();
    assert_eq!(names(made), names(&there));
    for path in names(made) {
        assert!(made.files[&path] == there.files[&path], "the recording makes another {}", path.display());
    }
    assert_eq!(made.links, there.links);
}

/// Memory that processes share, which a cut ends.
fn is_shared(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

/// Finds what the box told its broker.
fn promises_of(steps: &[Step]) -> Vec<(usize, Promise)> {
    let mut promises = Vec::new();
    let mut streams: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        let Step::Sent { fd, bytes } = step else { continue };
        let stream = streams.entry(*fd).or_default();
        stream.extend(bytes);
        let mut found = |value: &str| {
            let batch = BASE64_STANDARD
                .decode(value)
                .ok()
                .and_then(|it| serde_json::from_slice::<LogBatch>(&it).ok());
            for record in batch.iter().flat_map(|batch| &batch.records) {
                let (epoch, record) = (batch.as_ref().unwrap().epoch, record.clone());
                promises.push((at, Promise::Record { epoch, record }));
            }
        };
        take_values(stream, b"\"payload\":\"", &mut found);
        take_values(stream, b"\"key\":\"", &mut |key| promises.push((at, Promise::Key(key.to_owned()))));
    }
    promises
}

/// Takes each whole value behind `before` from a stream, once.
fn take_values(stream: &mut [u8], before: &[u8], found: &mut dyn FnMut(&str)) {
    while let Some(from) = stream.windows(before.len()).position(|window| window == before) {
        let value = &stream[from + before.len()..];
        let Some(end) = value.iter().position(|byte| *byte == b'"') else { return };
        found(&String::from_utf8_lossy(&value[..end]));
        stream[from] = 0;
    }
}

/// Finds when each tone was handed to the sound output.
fn sounds(unit: &Unit, steps: &[Step]) -> Vec<(usize, Promise)> {
    let wav = unit.wav();
    let mut written = Vec::new();
    let mut end = 0;
    for (at, step) in steps.iter().enumerate() {
        if let Step::Wrote { path, at: None, bytes, .. } = step
            && *path == wav
        {
            end += bytes.len();
            written.push((at, end));
        }
    }
    let tones: Vec<f64> = SLOT.iter().map(|(hz, _)| *hz).chain([LONG.0, SHORT.0]).collect();
    let stretches = unit.recording().stretches(&tones);
    let of = |from: f64| (from * 48_000.0) as usize * 4;
    let at = |from: f64| written.iter().find(|(_, end)| *end > of(from)).unwrap().0;
    stretches.iter().map(|tone| (at(tone.from), Promise::Sound { hz: tone.hz })).collect()
}

/// A power cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Steps that were done.
    at: usize,
    loss: Loss,
    seed: u64,
}

/// The folder of a box after a cut.
struct Wreck<'l> {
    dir: tempfile::TempDir,
    promises: Vec<&'l Promise>,
}

impl<'l> Wreck<'l> {
    fn lay(life: &'l Life, disk: &Disk, cut: Cut) -> Self {
        let mut dice = Dice(cut.seed);
        let mut content = disk.after(cut.loss, &mut dice);
        content.files.retain(|path, _| path.extension().is_none_or(|end| end != "strace"));
        for (_, bytes) in content.files.iter_mut().filter(|(path, _)| is_shared(path)) {
            bytes.resize(32_768, 0);
            bytes.iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
        }
        content.files.remove(&life.dir.join("out.wav"));
        let dir = tempfile::tempdir().unwrap();
        content.lay(&life.dir, dir.path());
        use std::os::unix::fs::PermissionsExt;
        for name in ["box.key", "state/box.sqlite"] {
            let private = std::fs::Permissions::from_mode(0o600);
            // It may not be there yet.
            let _ = std::fs::set_permissions(dir.path().join(name), private);
        }
        std::fs::write(dir.path().join("box.toml"), &life.box_toml).unwrap();
        let promises =
            life.promises.iter().filter(|(at, _)| *at < cut.at).map(|(_, promise)| promise).collect();
        Self { dir, promises }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Checks what lies on the disk before a box starts on it; gives the plays that the log knows.
    fn check_disk(&self) -> Result<Option<Known>, String> {
        let said = |what: &str, why: String| format!("{what}: {why}");
        if let Some(Promise::Key(key)) =
            self.promises.iter().find(|promise| matches!(promise, Promise::Key(_)))
        {
            let found =
                KeyFile::read(&self.path("box.key")).map_err(|error| said("its key", error.to_string()))?;
            if found.key.public().to_string() != *key {
                return Err("its key is another one".to_owned());
            }
        }
        self.check_media()?;
        let path = self.path("state/box.sqlite");
        if self.promises.is_empty() && !path.exists() {
            return Ok(None);
        }
        let opened =
            BoxStore::open(&path, &box_id()).map_err(|error| said("the store", error.to_string()))?;
        if let Some(kept_as) = opened.replaced {
            // At its first start it has promised nothing.
            return if self.promises.is_empty() { Ok(None) } else { Err(format!("a new store, {kept_as}")) };
        }
        let store = opened.store;
        let records =
            store.pending(1, usize::MAX, usize::MAX).map_err(|error| said("the log", error.to_string()))?;
        chain::verify_chain(&box_id(), store.epoch(), Link::FIRST, &records)
            .map_err(|broken| said("the chain", broken.to_string()))?;
        for promise in &self.promises {
            let Promise::Record { epoch, record } = promise else { continue };
            if *epoch != store.epoch() || records.get(record.seq as usize - 1) != Some(record) {
                return Err(format!("record {} was uploaded, and is not there", record.seq));
            }
        }
        let events: Vec<Event> = records
            .iter()
            .map(|record| serde_json::from_str::<LogBody>(&record.body).unwrap().entry.event)
            .collect();
        self.check_sounds(&events)?;
        self.check_documents(&store, &events)?;
        Ok(Some(Known { epoch: store.epoch(), records: records.len() }))
    }

    /// Checks that nothing sounded without its entry.
    fn check_sounds(&self, events: &[Event]) -> Result<(), String> {
        let started = |hz: f64| {
            let is_of = |start: &PlayStart| match &start.subject {
                Subject::Announcement { command } => {
                    [LONG, SHORT].iter().any(|(of, id)| *of == hz && command.as_str() == *id)
                }
                _ => SLOT.iter().any(|(of, file)| *of == hz && start.title == *file),
            };
            events.iter().filter(|event| matches!(event, Event::PlayStarted(start) if is_of(start))).count()
        };
        for (hz, _) in SLOT.iter().chain([&LONG, &SHORT]) {
            let heard = |promise: &&&Promise| matches!(promise, Promise::Sound { hz: heard } if heard == hz);
            let heard = self.promises.iter().filter(heard).count();
            // The opening and the words of one play are two stretches.
            let heard = if *hz == SHORT.0 { heard.min(1) } else { heard };
            if started(*hz) < heard {
                return Err(format!("{hz} Hz began {heard} times, the log knows of {}", started(*hz)));
            }
        }
        Ok(())
    }

    /// Checks that every document which the log says is in force can be read.
    fn check_documents(&self, store: &BoxStore, events: &[Event]) -> Result<(), String> {
        let documents = store.documents().map_err(|error| error.to_string())?;
        for event in events {
            if let Event::Adopted { what, .. } = event
                && !documents.contains_key(what)
            {
                return Err(format!("{what} was in force, and is gone"));
            }
        }
        Ok(())
    }

    /// Checks that a file under its hash has that content.
    fn check_media(&self) -> Result<(), String> {
        let media = self.path("state/media");
        if !media.exists() {
            return Ok(());
        }
        for (path, bytes) in Content::of(&media).files {
            let in_its_place =
                path.parent().and_then(Path::file_name).is_some_and(|folder| folder.len() == 2);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if in_its_place && ContentHash::of(&bytes).to_string() != name {
                return Err(format!("the audio {name} has another content"));
            }
        }
        Ok(())
    }

    /// Starts a box on the disk and checks what it makes of it.
    fn check_start(&self, known: Option<&Known>) -> Result<(), String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
        let said = std::fs::File::create(self.path("said")).unwrap();
        command.args(["box", "--config", "box.toml"]).current_dir(self.dir.path()).env("LOAXA_LANG", "en");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let mut child = Killed(child);
        let began = std::time::Instant::now();
        loop {
            if let Some(end) = child.0.try_wait().unwrap() {
                let said = std::fs::read_to_string(self.path("said")).unwrap();
                return Err(format!("the box ended by itself ({end}): {said}"));
            }
            match self.closed(known) {
                Some(Ok(())) => return Ok(()),
                Some(Err(why)) => return Err(why),
                None if began.elapsed() > crate::support::DEADLINE => {
                    let said = std::fs::read_to_string(self.path("said")).unwrap();
                    return Err(format!("its plays stay open: {said}"));
                }
                None => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }

    /// Looks whether a start has closed every play that was open; `None` while it is at it.
    fn closed(&self, known: Option<&Known>) -> Option<Result<(), String>> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = rusqlite::Connection::open_with_flags(self.path("state/box.sqlite"), flags).ok()?;
        let epoch: i64 =
            store.query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| row.get(0)).ok()?;
        let mut select = store.prepare("SELECT body FROM log ORDER BY seq").ok()?;
        let bodies: Vec<String> =
            select.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()?;
        let before = known.map_or(0, |known| known.records);
        if known.is_some_and(|known| known.epoch.0 as i64 != epoch) {
            return Some(Err("the store that was whole was put aside".to_owned()));
        }
        let mut plays: BTreeMap<PlayId, (usize, usize)> = BTreeMap::new();
        let mut is_up = false;
        for (n, body) in bodies.iter().enumerate() {
            match serde_json::from_str::<LogBody>(body).unwrap().entry.event {
                Event::PlayStarted(start) if n < before => plays.entry(start.play).or_default().0 += 1,
                Event::PlayEnded(end) => {
                    if let Some((_, ended)) = plays.get_mut(&end.play) {
                        *ended += 1;
                    }
                }
                Event::BoxStarted { .. } if n >= before => is_up = true,
                Event::ProgrammeRefused { file, problem, .. } if n >= before => {
                    return Some(Err(format!("{file} is left out: {problem}")));
                }
                Event::StoreReplaced { .. } if known.is_some() => {
                    return Some(Err("the store was replaced".to_owned()));
                }
                _ => {}
            }
        }
        if let Some((play, count)) = plays.iter().find(|(_, (started, ended))| *started != 1 || *ended > 1) {
            return Some(Err(format!("play {play:?} has {count:?} begins and ends")));
        }
        (is_up && plays.values().all(|(_, ended)| *ended == 1)).then_some(Ok(()))
    }

    fn check(&self) -> Result<(), String> {
        let known = self.check_disk()?;
        self.check_start(known.as_ref())
    }
}

/// The log that was whole before the start.
struct Known {
    epoch: Epoch,
    records: usize,
}

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_a_power_cut_leaves_on_the_disk_the_box_keeps_its_promises() {
    if !disk_trace::may_record() {
        eprintln!("left out: strace can't record here");
        return;
    }
    let life = live();
    let seed = number("LOAXA_SEED").unwrap_or(1);
    let count = number("LOAXA_POWER_CUTS").map_or(CUTS, |count| count as usize);
    let failures = cut_often(&life, &cuts(&life, count, seed), None);
    println!("{count} cuts in {} steps, {} promises", life.steps.len(), life.promises.len());
    assert!(life.promises.len() > 20, "the box has promised too little for a test");
    assert!(failures.is_empty(), "{} of {count} cuts, seed {seed}:\n{}", failures.len(), failures.join("\n"));
    // The same life on disks that were never asked for one thing: what is lost then must be noticed.
    for unasked in ["", "state/box.sqlite-wal", "state/media/partial"] {
        let unasked = life.dir.join(unasked);
        let found = cut_often(&life, &cuts(&life, CUTS_PLANTED, seed), Some(&unasked));
        assert!(!found.is_empty(), "nobody notices that {} is not synced", unasked.display());
        println!("not synced: {}: {}", unasked.display(), found[0]);
    }
}

/// Chooses cuts, in the order of the steps. They lie where something of the box's disk changes.
fn cuts(life: &Life, count: usize, seed: u64) -> Vec<Cut> {
    let changes: Vec<usize> = (0..life.steps.len()).filter(|at| concerns(life, &life.steps[*at])).collect();
    let mut dice = Dice(seed);
    let mut cut = || {
        let at = changes[dice.below(changes.len())] + 1;
        Cut { at, loss: Loss::any(&mut dice), seed: dice.below(1 << 30) as u64 }
    };
    let mut cuts: Vec<Cut> = (0..count).map(|_| cut()).collect();
    cuts.sort_by_key(|cut| cut.at);
    cuts
}

/// Cuts the power, and tells what was wrong after which cut. Where syncs of a path are left out, the first is enough.
fn cut_often(life: &Life, cuts: &[Cut], unasked: Option<&Path>) -> Vec<String> {
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let mut disk = Disk::new(&life.dir, &life.before);
    disk.unasked = unasked.map(Path::to_owned);
    let laid = Mutex::new((disk, 0));
    let lay = || {
        let mut laid = laid.lock().unwrap();
        let cut = *cuts.get(next.fetch_add(1, Ordering::SeqCst))?;
        let (disk, done) = &mut *laid;
        life.steps[*done..cut.at].iter().for_each(|step| disk.apply(step));
        *done = cut.at;
        Some((cut, Wreck::lay(life, disk, cut)))
    };
    let work = || {
        while let Some((cut, wreck)) = lay() {
            if let Err(why) = wreck.check() {
                let step = format!("{:?}", life.steps[cut.at - 1]);
                failures.lock().unwrap().push(format!("{cut:?} after {step:.200}\n    {why}"));
                if unasked.is_some() {
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    failures.into_inner().unwrap()
}

/// Tells whether a step changes the disk of the box.
fn concerns(life: &Life, step: &Step) -> bool {
    let inside = |path: &Path| {
        path.starts_with(&life.dir)
            && !path.ends_with("out.wav")
            && !path.ends_with("said")
            && !is_shared(path)
    };
    match step {
        Step::Opened { path, may_make, empties, .. } => (*may_make || *empties) && inside(path),
        Step::Wrote { path, .. }
        | Step::Length { path, .. }
        | Step::SyncBegins { path, .. }
        | Step::Moved { to: path, .. }
        | Step::Removed { path }
        | Step::Folder { path }
        | Step::Linked { path, .. } => inside(path),
        Step::SyncEnds { .. } => true,
        Step::Sent { .. } | Step::Sought { .. } => false,
    }
}
