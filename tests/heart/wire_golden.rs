//! Golden files of every message, kept for ever, and the published JSON Schemas.
//!
//! A golden file is never rewritten: boxes that were built long ago write like this, and are to be understood.
//! `LOAXA_BLESS=1` writes golden files that are missing, and all schemas.

use std::fs;
use std::path::{Path, PathBuf};

use loaxa_heart::domain::announcement::*;
use loaxa_heart::domain::authority::*;
use loaxa_heart::domain::ids::*;
use loaxa_heart::domain::local_emergency::LocalEmergency;
use loaxa_heart::domain::playback::*;
use loaxa_heart::domain::policy::{GuardRefusal, Policy};
use loaxa_heart::domain::software::{Build, Hours, Software, UpgradeStep, UpgradeTold};
use loaxa_heart::domain::sound::{Fault, Heard, Pattern};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::chain::{Link, verify_chain};
use loaxa_heart::wire::codec::{self, Message, Sealed};
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode, EnrolmentSeal};
use loaxa_heart::wire::envelope::{Envelope, Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::*;
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{Down, Topic, Up};
use serde_json::Value;

fn blessing() -> bool {
    std::env::var_os("LOAXA_BLESS").is_some()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/v1").join(name)
}

/// The golden file; written from `sample` where it is missing.
fn read_golden(name: &str, sample: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = golden(name);
    if blessing() && !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, sample()).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; LOAXA_BLESS=1 writes it", path.display()))
}

fn pretty<M: serde::Serialize>(message: &M) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(message).unwrap();
    text.push(b'\n');
    text
}

/// Reads a golden file as the message that it is, and finds in it all that the message holds.
fn check<M: Message + PartialEq + std::fmt::Debug>(name: &str, sample: &M) {
    let bytes = read_golden(name, || pretty(sample));
    let message: M = codec::decode(&bytes).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    assert_eq!(message, *sample, "{name}");
    let read: Value = serde_json::from_slice(&bytes).unwrap();
    let written: Value = serde_json::from_slice(&codec::encode(&message)).unwrap();
    assert_eq!(read, written, "{name}");
}

/// The answer to an enrolment, and its seal by central's key (2) for a box with the keys 3 and 4.
fn enrolled() -> Enrolled {
    Enrolled {
        id: name("loa-1"),
        groups: vec![name("thon-dong"), name("binh-minh")],
        root: key(1).public().to_string(),
        trust: "{}".to_owned(),
        ca: "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n".to_owned(),
        certificate: "-----BEGIN CERTIFICATE-----\nbox\n-----END CERTIFICATE-----\n".to_owned(),
        broker: "mqtts://trung-tam.example:8883".to_owned(),
        seal: None,
    }
}

fn enrolment_seal() -> EnrolmentSeal {
    enrolled().seal_for(&key(3).public(), &key(4).public())
}

#[test]
fn an_enrolment_is_asked_and_answered_as_ever() {
    let code = EnrolmentCode::new([0xab; 10], &key(1).public());
    let request = EnrolRequest::new(&code, &key(3).public(), &key(4).public());
    let bytes = read_golden("enrol-request.json", || pretty(&request));
    assert_eq!(serde_json::from_slice::<EnrolRequest>(&bytes).unwrap(), request);
    assert!(request.asked().is_some_and(|asked| asked.code == code.hash()));
    let seal = String::from_utf8(codec::seal(&enrolment_seal(), &[&key(2)])).unwrap();
    let answer = Enrolled { seal: Some(seal), ..enrolled() };
    let bytes = read_golden("enrol-answer.json", || pretty(&answer));
    assert_eq!(serde_json::from_slice::<Enrolled>(&bytes).unwrap(), answer);
    check_sealed("envelope-enrolment-seal.json", &enrolment_seal(), &[2]);
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn known(id: &KeyId) -> Option<PublicKey> {
    (1..=4).map(|seed| key(seed).public()).find(|key| key.key_id() == *id)
}

/// Opens a golden envelope. Ed25519 signs alike every time, so that it is also what is written today.
fn check_sealed<M: Sealed + PartialEq + std::fmt::Debug>(name: &str, sample: &M, seeds: &[u8]) {
    let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
    let sealed = codec::seal(sample, &keys.iter().collect::<Vec<_>>());
    let bytes = read_golden(name, || sealed.clone());
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&sealed), "{name}");
    let opened = codec::open::<M>(&bytes, &known).unwrap();
    assert_eq!(opened.payload, *sample);
    assert_eq!(opened.signers, keys.iter().map(SecretKey::key_id).collect::<Vec<_>>());
}

fn wall(text: &str) -> Wall {
    text.parse().unwrap()
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn media() -> Media {
    let sha256 = ContentHash::of(b"audio");
    Media { sha256, bytes: 480_000, codec: "audio/mpeg".to_owned(), ms: 30_000, path: sha256.to_string() }
}

fn command(id: &str, serial: u64, body: Body) -> Command {
    Command {
        v: VERSION,
        id: name(id),
        issuer: key(1).key_id(),
        serial,
        issued_at: wall("2026-11-20T22:00:00.000001Z"),
        groups: vec![name("xa-dong")],
        not_before: wall("2026-11-20T22:00:00Z"),
        expires: wall("2026-11-21T10:00:00Z"),
        author: "Nguyễn Văn An".to_owned(),
        approver: None,
        critical: Vec::new(),
        body,
    }
}

fn storm() -> Command {
    let body = Body::Announce {
        title: "Bão số 9".to_owned(),
        class: BulletinClass::Emergency,
        mode: Mode::Actual,
        plan: PlayPlan {
            repeats: Repeats::UntilCancelled,
            gap_s: 60,
            opening: Some(Pattern::siren(3)),
            volume_percent: 100,
            interruption: Interruption::Restart,
            at: None,
        },
        media: Some(media()),
        words: Some(Words {
            text: "Bà con khẩn trương sơ tán.".to_owned(), language: "vi".to_owned()
        }),
        supersedes: Some(name("bao-8")),
        cap: Some("urn:oid:2.49.0.1.704.0.2026".to_owned()),
    };
    let approver = Some("Trần Thị Bình".to_owned());
    let critical = vec!["expires".to_owned(), "opening".to_owned()];
    Command { approver, critical, ..command("bao-9", 41, body) }
}

fn drill() -> Command {
    let body = Body::Announce {
        title: "Diễn tập".to_owned(),
        class: BulletinClass::Emergency,
        mode: Mode::Exercise,
        plan: PlayPlan { at: Some(wall("2026-11-21T02:00:00Z")), ..PlayPlan::default() },
        media: None,
        words: Some(Words { text: "Đây là bài diễn tập.".to_owned(), language: "vi".to_owned() }),
        supersedes: None,
        cap: None,
    };
    command("dien-tap-1", 42, body)
}

fn trust() -> Trust {
    let grant = |seed: u8, holder: &str, powers: &[Power]| Grant {
        key: key(seed).key_id(),
        public: key(seed).public().to_string(),
        holder: holder.to_owned(),
        powers: powers.iter().copied().collect(),
        groups: [name("xa-dong")].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: Some(wall("2030-01-01T00:00:00Z")),
    };
    let all = [Power::Normal, Power::Priority, Power::Emergency, Power::Exercise, Power::Live, Power::Cancel];
    Trust {
        version: 3,
        grants: vec![
            grant(1, "Nguyễn Văn An", &all),
            grant(2, "Trần Thị Bình", &[Power::Emergency, Power::Cancel]),
            grant(
                3,
                "Trung tâm",
                &[Power::Central, Power::Programme, Power::Policy, Power::Groups, Power::Test],
            ),
        ],
        thresholds: vec![Threshold { power: Power::Emergency, signatures: 2 }],
        nesting: [(name("thon-1"), name("xa-dong"))].into(),
    }
}

fn holds() -> Holds {
    Holds {
        commands: commands_digest([&name("bao-9"), &name("dien-tap-1")]),
        programmes: [(name("xa-dong"), 12)].into(),
        trust: 3,
        policy: 2,
        groups: 5,
        ..Holds::default()
    }
}

#[test]
fn commands() {
    check("command-announce-emergency.json", &storm());
    check("command-announce-exercise.json", &drill());
    check("command-cancel.json", &command("c-1", 43, Body::Cancel { of: Some(name("bao-9")) }));
    check("command-cancel-all.json", &command("c-2", 44, Body::Cancel { of: None }));
    let programme = Body::Programme {
        programme: name("xa-dong"),
        version: 12,
        toml: "version = 12\n".to_owned(),
        media: [("chao-buoi-sang.mp3".to_owned(), media())].into(),
    };
    check("command-programme.json", &command("c-3", 45, programme));
    check(
        "command-policy.json",
        &command("c-4", 46, Body::Policy(Policy { version: 2, ..Policy::default() })),
    );
    let members = [(name("loa-1"), vec![name("thon-1"), name("xa-dong")])].into();
    check("command-groups.json", &command("c-5", 47, Body::Groups { version: 5, members }));
    let item = |id: &str, title: &str, siren| PreparedItem {
        id: name(id),
        title: title.to_owned(),
        language: "vi".to_owned(),
        media: media(),
        siren,
    };
    let items =
        vec![item("lu-ve", "Lũ về", Some(Pattern::siren(3))), item("bao-nham", "Báo động nhầm", None)];
    check("command-prepared.json", &command("c-8", 50, Body::Prepared { version: 3, items }));
    let build = |n: u8, bytes| Build { sha256: ContentHash([n; 32]), bytes };
    let software = Software {
        version: 4,
        release: "1.4.0".parse().unwrap(),
        channel: "stable".to_owned(),
        builds: [("arm64".to_owned(), build(8, 11_534_336)), ("armhf".to_owned(), build(9, 10_485_760))]
            .into(),
        window: Some(Hours { from: "23:00:00".parse().unwrap(), until: "04:00:00".parse().unwrap() }),
        allow_downgrade: false,
        retry: false,
        paused: false,
    };
    check("command-software.json", &command("c-10", 52, Body::Software(software)));
    let order = LocalEmergency {
        title: "Vỡ đập".to_owned(),
        plan: PlayPlan { repeats: Repeats::UntilCancelled, ..PlayPlan::default() },
        media: Some(media()),
        words: Some(Words { text: "Vỡ đập, chạy lên cao".to_owned(), language: "vi".to_owned() }),
        silent_s: 300,
        confirm_s: 10,
        minutes_max: 30,
        with_contact: false,
    };
    let standing = Body::LocalEmergency { version: 2, order: Some(order) };
    check("command-local-emergency.json", &command("c-11", 53, standing));
    let back = Body::LocalEmergency { version: 3, order: None };
    check("command-local-emergency-taken-back.json", &command("c-12", 54, back));
    let live = Body::Live { voice: "s-1".to_owned(), open: true, url: "https://central/live/s-1".to_owned() };
    check("command-live.json", &command("c-6", 48, live));
    check("command-test.json", &command("c-7", 49, Body::Test));
}

#[test]
fn other_messages() {
    check("trust.json", &TrustMessage { v: VERSION, trust: trust() });
    let (box_id, epoch): (BoxId, _) = (name("loa-1"), Epoch(0x0123_4567_89ab_cdef));
    let hello = Hello {
        v: VERSION,
        box_id: box_id.clone(),
        software: "loaxa 0.1.0".to_owned(),
        languages: Vec::new(),
        key: None,
        epoch,
        nonce: "5f1c".repeat(8),
        clock: ClockQuality::Floor,
        wall: wall("2026-11-20T21:59:58Z"),
        holds: holds(),
        upgrade: None,
    };
    check("hello.json", &hello);
    let languages = ["vi", "hmn"].map(str::to_owned).to_vec();
    check("hello-with-languages.json", &Hello { languages, ..hello.clone() });
    check("hello-with-key.json", &Hello { key: Some(key(4).public().to_string()), ..hello });
    let welcome = Welcome {
        v: VERSION,
        box_id: box_id.clone(),
        nonce: "5f1c".repeat(8),
        time: wall("2026-11-20T22:00:00Z"),
        upload_after_s: 17,
        media_base: "http://central:8080/media/".to_owned(),
        authorities: None,
    };
    check("welcome.json", &welcome);
    let heartbeat = Heartbeat {
        v: VERSION,
        wall: wall("2026-11-20T22:01:00Z"),
        clock: ClockQuality::Synced,
        nonce: None,
        on_air: Some(OnAir { play: PlayId::new(3, 7), title: "Bản tin sáng".to_owned() }),
        holds: Some(holds()),
        held: None,
        backlog: 2,
        faults: vec!["device_lost".to_owned()],
        usage: None,
        upgrade: None,
    };
    check("heartbeat.json", &heartbeat);
    let usage = Some(Usage { disk_free_mib: 2_148, month_mib: 131 });
    check("heartbeat-usage.json", &Heartbeat { usage, ..heartbeat.clone() });
    let holds_prepared = Some(Holds { prepared: 3, prepared_missing: 1, ..holds() });
    check("heartbeat-prepared.json", &Heartbeat { holds: holds_prepared, ..heartbeat.clone() });
    let holds_local = Some(Holds { local_emergency: 2, ..holds() });
    let faults = vec!["local_emergency".to_owned()];
    check("heartbeat-local.json", &Heartbeat { holds: holds_local, faults, ..heartbeat.clone() });
    let holds_software = Some(Holds { software: 4, ..holds() });
    let upgrade = Some(UpgradeTold {
        version: 4,
        release: "1.4.0".parse().unwrap(),
        step: UpgradeStep::Waiting,
        why: Some("window".to_owned()),
    });
    check("heartbeat-software.json", &Heartbeat { holds: holds_software, upgrade, ..heartbeat.clone() });
    let quiet = Heartbeat { on_air: None, faults: Vec::new(), backlog: 0, ..heartbeat };
    check("heartbeat-quiet.json", &quiet);
    let held = Some(holds().digest());
    check("heartbeat-held.json", &Heartbeat { holds: None, held, ..quiet });
    check("enrolment-seal.json", &enrolment_seal());
    let renewal = Renewal::new(name("loa-1"), "9f".to_owned(), ContentHash([5; 32]), &key(6));
    check("renewal.json", &renewal);
    let certificate = enrolled().certificate;
    check(
        "certificate.json",
        &Renewed { v: VERSION, id: name("loa-1"), nonce: "9f".to_owned(), certificate, authorities: None },
    );
    check("log-batch.json", &batch());
    let head = head();
    check("log-head.json", &head);
    let sealed = String::from_utf8(codec::seal(&head, &[&key(3)])).unwrap();
    check("log-batch-with-head.json", &LogBatch { head: Some(sealed), ..batch() });
    check_sealed("envelope-log-head.json", &head, &[3]);
    check("log-ack.json", &LogAck { v: VERSION, epoch, contiguous_upto: 200, forked: false });
    check("log-ack-forked.json", &LogAck { v: VERSION, epoch, contiguous_upto: 200, forked: true });
    check("lost.json", &Lost { v: VERSION, epoch });
    check_sealed("envelope-command.json", &storm(), &[1, 2]);
    check_sealed("envelope-trust.json", &TrustMessage { v: VERSION, trust: trust() }, &[4]);
    check_sealed("envelope-welcome.json", &welcome, &[3]);
    check_sealed("envelope-log-batch.json", &batch(), &[3]);
    let ack = LogAck { v: VERSION, epoch, contiguous_upto: 200, forked: false };
    check_sealed("envelope-log-ack.json", &ack, &[3]);
}

/// An entry of every kind.
fn events() -> Vec<Event> {
    let slot = SlotKey { slot: name("sang"), date: "2026-11-21".parse().unwrap() };
    let announcement = Subject::Announcement { command: name("bao-9") };
    let damaged = Fault::Damaged { what: "a.mp3".to_owned(), detail: "cut short".to_owned().into() };
    let play = PlayId::new(3, 7);
    let start = PlayStart {
        play,
        subject: announcement.clone(),
        rung: Rung::Emergency,
        title: "Bão số 9".to_owned(),
        section: Some(name("thien-tai")),
        campaign: Some(name("mua-bao")),
        class: Some(BulletinClass::Emergency),
        mode: Some(Mode::Actual),
        issuer: Some(key(1).key_id()),
        content: Some(ContentHash::of(b"audio")),
        source: "speech".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: Some(wall("2026-11-20T22:00:00Z")),
        entered_at_ms: 0,
        volume_percent: 100,
        instead_of: Some(damaged.clone()),
    };
    let end = |outcome, frames_due| PlayEnd {
        play,
        subject: announcement.clone(),
        outcome,
        started_at: Some(stamp()),
        frames_played: 480_000,
        frames_due,
        loudness_lufs: Some(-18.5),
        heard: Some(Heard { heard: true, score: 0.75 }),
    };
    let hours = || GuardRefusal::OutsideHours;
    let ended = [
        PlayOutcome::Finished,
        PlayOutcome::Interrupted { by: Rung::Emergency },
        PlayOutcome::HardEnd,
        PlayOutcome::Cancelled,
        PlayOutcome::Superseded,
        PlayOutcome::Failed { reason: damaged.clone() },
        PlayOutcome::Guarded { reason: GuardRefusal::StretchTooLong { minutes: 180 } },
        PlayOutcome::PowerLost,
        PlayOutcome::Stopped,
    ];
    let not_played = [
        NotPlayed::Missed,
        NotPlayed::Late,
        NotPlayed::PreEmpted { by: Rung::Priority },
        NotPlayed::Guarded { reason: hours() },
        NotPlayed::Unplayable { reason: damaged },
        NotPlayed::NoRoom,
        NotPlayed::Mourning,
        NotPlayed::Replaced,
        NotPlayed::Expired,
        NotPlayed::Cancelled,
        NotPlayed::Superseded,
        NotPlayed::OnlyATest,
    ];
    let steps = [
        DeliveryStep::Received,
        DeliveryStep::Staged,
        DeliveryStep::Started,
        DeliveryStep::Finished,
        DeliveryStep::Interrupted,
        DeliveryStep::Superseded,
        DeliveryStep::Cancelled,
        DeliveryStep::Expired,
        DeliveryStep::NotPlayed { reason: NotPlayed::Guarded { reason: hours() } },
    ];
    let (id, at) = (key(1).key_id(), wall("2026-11-20T22:00:00Z"));
    let refusals = [
        CommandRefusal::TooLarge { max: 262_144 },
        CommandRefusal::Malformed { detail: "EOF".to_owned() },
        CommandRefusal::UnknownVersion { version: 2 },
        CommandRefusal::BadSignature,
        CommandRefusal::UnknownKey { key: id.clone() },
        CommandRefusal::NotAllowed { key: id, detail: "it has no power Live".to_owned().into() },
        CommandRefusal::TooFewSignatures { valid: 1, needed: 2 },
        CommandRefusal::NotForThisBox,
        CommandRefusal::Expired { at },
        CommandRefusal::Replayed { serial: 41 },
        CommandRefusal::Forged { id: name("bao-9") },
        CommandRefusal::Rollback { offered: 2, held: 3 },
        CommandRefusal::ClockUnknown,
        CommandRefusal::TooMany { max: 500 },
        CommandRefusal::Impossible { detail: "it expires before it begins".to_owned().into() },
    ];
    let outcomes = [
        SlotOutcome::Aired { finished: 4, not_finished: 1 },
        SlotOutcome::NotAired(NotPlayed::Guarded { reason: GuardRefusal::RestDay }),
    ];
    let mut all = vec![
        Event::BoxStarted { version: "0.1.0".to_owned() },
        Event::BoxStopped,
        Event::PlayStarted(start),
        Event::Adopted { what: "programme/xa-dong".to_owned(), version: 12 },
        Event::ClockSet { step_us: -3_600_000_000, before: ClockQuality::Floor },
        Event::DeviceLost { detail: "unplugged".to_owned() },
        Event::DeviceBack,
        Event::AmplifierFault { detail: "gpio".to_owned() },
        Event::EntriesLost { count: 5 },
        Event::StoreReplaced { kept_as: "box.db.damaged-1".to_owned() },
        Event::RefusalsCounted { reason: "bad_signature".to_owned(), count: 1_000 },
    ];
    all.extend(ended.map(|outcome| Event::PlayEnded(end(outcome, Some(960_000)))));
    let title = || "Bản tin sáng".to_owned();
    let subjects = [Subject::Slot(slot.clone()), Subject::Live { voice: "s-1".to_owned() }];
    let subjects = subjects.iter().cycle();
    all.extend(not_played.into_iter().zip(subjects).map(|(reason, subject)| Event::NotPlayed {
        subject: subject.clone(),
        title: title(),
        reason,
    }));
    all.extend(outcomes.map(|outcome| Event::SlotEnded {
        key: slot.clone(),
        title: title(),
        scheduled: at,
        outcome,
    }));
    all.extend(steps.map(|step| Event::Delivery { command: name("bao-9"), step }));
    all.extend(refusals.map(|reason| Event::CommandRefused { command: Some(name("bao-9")), reason }));
    all
}

fn stamp() -> Stamp {
    let wall = wall("2026-11-20T22:00:00.5Z");
    Stamp { start: 3, mono_us: 61_000_000, wall, quality: ClockQuality::Synced, uncertainty_ms: 12 }
}

fn batch() -> LogBatch {
    let (box_id, epoch): (BoxId, _) = (name("loa-1"), Epoch(0x0123_4567_89ab_cdef));
    let mut link = Link::FIRST;
    let mut next = |event| {
        let record = link.record(&box_id, epoch, Entry { at: stamp(), event }).unwrap();
        link = Link::after(record.seq, &record.body);
        record
    };
    let records = events().into_iter().map(&mut next).collect();
    LogBatch { v: VERSION, box_id, epoch, oldest: 1, records, head: None }
}

fn head() -> LogHead {
    let LogBatch { v, box_id, epoch, records, .. } = batch();
    let last = records.last().unwrap();
    LogHead { v, box_id, epoch, seq: last.seq, hash: ContentHash::of(last.body.as_bytes()) }
}

/// Every kind of entry survives its JSON: what is flattened does not collide.
#[test]
fn log_bodies() {
    let batch = batch();
    for (record, event) in batch.records.iter().zip(events()) {
        let body: LogBody =
            serde_json::from_str(&record.body).unwrap_or_else(|error| panic!("{error}: {}", record.body));
        assert_eq!(body.entry.event, event);
    }
    let end = verify_chain(&batch.box_id, batch.epoch, Link::FIRST, &batch.records).unwrap();
    assert_eq!(end.seq, events().len() as u64 + 1);
}

/// Every field of a command may be named as critical.
#[test]
fn the_fields_understood_are_those_that_commands_have() {
    fn names(value: &Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                found.insert(name.clone());
                names(value, found);
            }),
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let mut found = std::collections::BTreeSet::new();
    let dir = fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().path());
    let of_announcements =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("command-announce");
    for path in dir.filter(of_announcements) {
        names(&serde_json::from_slice(&fs::read(path).unwrap()).unwrap(), &mut found);
    }
    // The version is judged before, and `times` is a value of `repeats`.
    found.remove("v");
    found.remove("times");
    for name in found {
        assert!(codec::FIELDS_UNDERSTOOD.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn unknown_fields_are_passed_over_and_unknown_critical_ones_are_not() {
    let mut value = serde_json::to_value(storm()).unwrap();
    value["from_the_future"] = 1.into();
    value["body"]["from_the_future"] = 1.into();
    assert_eq!(codec::decode::<Command>(value.to_string().as_bytes()), Ok(storm()));
    value["critical"] = serde_json::json!(["from_the_future"]);
    let refused = codec::decode::<Command>(value.to_string().as_bytes());
    assert!(refused.unwrap_err().to_string().contains("from_the_future"));
    value["v"] = 2.into();
    let refused = codec::decode::<Command>(value.to_string().as_bytes());
    assert_eq!(refused, Err(CommandRefusal::UnknownVersion { version: 2 }));
}

#[test]
fn senseless_commands_are_refused() {
    let check = |change: fn(&mut Command), expected: &str| {
        let mut command = drill();
        change(&mut command);
        let refused = codec::decode::<Command>(&codec::encode(&command)).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    };
    check(|command| command.expires = command.not_before, "it expires before it begins");
    check(|command| command.groups = vec![name("xa"); 257], "groups: 257, at most 256");
    check(|command| command.author = "x".repeat(513), "author: 513, at most 512");
    check(|command| command.author = "a\nb".to_owned(), "control characters");
    fn plan(command: &mut Command) -> &mut PlayPlan {
        let Body::Announce { plan, .. } = &mut command.body else { unreachable!() };
        plan
    }
    check(|command| plan(command).repeats = Repeats::Times(0), "0 times");
    check(|command| plan(command).volume_percent = 101, "above 100 %");
    check(|command| plan(command).opening = Some(Pattern::siren(u16::MAX)), "longer than half an hour");
    fn with_media(command: &mut Command, change: impl Fn(&mut Media)) {
        let Body::Announce { media: place, .. } = &mut command.body else { unreachable!() };
        let mut media = media();
        change(&mut media);
        *place = Some(media);
    }
    for path in ["../x", "/etc/x", "http://x/y", "a//b", "", "a/./b", "a b"] {
        let mut command = drill();
        with_media(&mut command, |media| media.path = path.to_owned());
        assert!(codec::decode::<Command>(&codec::encode(&command)).is_err(), "{path}");
    }
    check(|command| with_media(command, |media| media.bytes = u64::MAX), "at most 536870912");
}

#[test]
fn a_list_of_prepared_messages_has_bounds() {
    let check = |count: u64, bytes: u64, same: bool, expected: &str| {
        let item = |n: u64| PreparedItem {
            id: name(&format!("tin-{}", if same { 0 } else { n })),
            title: "Lũ".to_owned(),
            language: "vi".to_owned(),
            media: Media { bytes, ..media() },
            siren: None,
        };
        let items = (0..count).map(item).collect();
        let sent = codec::encode(&command("c-9", 51, Body::Prepared { version: 1, items }));
        let found =
            codec::decode::<Command>(&sent).map_or_else(|refusal| refusal.to_string(), |_| String::new());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{found}");
    };
    check(64, codec::PREPARED_BYTES_MAX / 64, false, "");
    check(64, codec::PREPARED_BYTES_MAX / 64 + 1, false, "at most 268435456");
    check(1, codec::PREPARED_BYTES_MAX + 1, false, "at most 268435456");
    check(65, 1, false, "items: 65, at most 64");
    check(2, 1, true, "tin-0 is prepared twice");
    check(1, u64::MAX, false, "at most 536870912");
}

#[test]
fn a_list_of_members_has_bounds() {
    let check = |boxes: usize, groups: usize, expected: &str| {
        let groups: Vec<_> = (0..groups).map(|n| name(&format!("nhom-{n}"))).collect();
        let members = (0..boxes).map(|n| (name(&format!("loa-{n}")), groups.clone())).collect();
        let sent = codec::encode(&command("c-9", 51, Body::Groups { version: 1, members }));
        let found =
            codec::decode::<Command>(&sent).map_or_else(|refusal| refusal.to_string(), |_| String::new());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{found}");
    };
    check(codec::MEMBERS_MAX, 1, "");
    check(codec::MEMBERS_MAX + 1, 1, "members: ");
    check(1, codec::GROUPS_OF_BOX_MAX, "");
    check(1, codec::GROUPS_OF_BOX_MAX + 1, "groups of a box: ");
}

#[test]
fn a_standing_order_has_bounds() {
    let check = |change: &dyn Fn(&mut LocalEmergency), is_good: bool| {
        let mut order = LocalEmergency {
            title: "Vỡ đập".to_owned(),
            plan: PlayPlan::default(),
            media: None,
            words: None,
            silent_s: 300,
            confirm_s: 10,
            minutes_max: 30,
            with_contact: false,
        };
        change(&mut order);
        let body = Body::LocalEmergency { version: 1, order: Some(order) };
        let found = codec::decode::<Command>(&codec::encode(&command("c-9", 51, body)));
        assert_eq!(found.is_ok(), is_good, "{found:?}");
    };
    check(&|_| {}, true);
    check(&|order| order.silent_s = 86_401, false);
    for (seconds, is_good) in [(2, false), (3, true), (60, true), (61, false)] {
        check(&|order| order.confirm_s = seconds, is_good);
    }
    for (minutes, is_good) in [(0, false), (1, true), (240, true), (241, false)] {
        check(&|order| order.minutes_max = minutes, is_good);
    }
    check(&|order| order.plan.at = Some(wall("2026-11-20T22:00:00Z")), false);
    check(&|order| order.plan.volume_percent = 101, false);
    check(&|order| order.title = "a\nb".to_owned(), false);
}

#[test]
fn an_order_to_run_a_release_has_bounds() {
    let check = |builds: usize, bytes: u64, channel: &str, expected: &str| {
        let build = |n| (format!("machine-{n}"), Build { sha256: ContentHash([1; 32]), bytes });
        let software = Software {
            version: 1,
            release: "1.0.0".parse().unwrap(),
            channel: channel.to_owned(),
            builds: (0..builds).map(build).collect(),
            window: None,
            allow_downgrade: false,
            retry: false,
            paused: false,
        };
        let sent = codec::encode(&command("c-9", 51, Body::Software(software)));
        let found =
            codec::decode::<Command>(&sent).map_or_else(|refusal| refusal.to_string(), |_| String::new());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{found}");
    };
    check(16, codec::SOFTWARE_BYTES_MAX, "stable", "");
    check(17, 1, "stable", "builds: 17, at most 16");
    check(1, codec::SOFTWARE_BYTES_MAX + 1, "stable", "at most 67108864");
    check(1, 0, "stable", "at most 67108864");
    check(1, 1, "sta\nble", "control characters");
}

#[test]
fn a_step_of_a_later_version_spoils_no_heartbeat() {
    let told = r#"{"version":1,"release":"1.0.0","step":"tuning_up"}"#;
    let told: UpgradeTold = serde_json::from_str(told).unwrap();
    assert_eq!(told.step, UpgradeStep::Unknown);
}

#[test]
fn the_issuer_must_have_signed() {
    let by = |seed: u8| {
        codec::open_command(&codec::seal(&storm(), &[&key(seed)]), &known).map(|signed| signed.signers)
    };
    assert_eq!(by(1), Ok(vec![key(1).key_id()]));
    assert!(matches!(by(2), Err(CommandRefusal::NotAllowed { .. })));
}

#[test]
fn the_specification_shows_what_is_so() {
    let page = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let shows = |text: &str| assert!(page.contains(text), "docs/protocol.md does not show {text}");
    shows(&fs::read_to_string(golden("envelope-log-ack.json")).unwrap());
    shows(&key(3).public().to_string());
    (1..=3).for_each(|seed| shows(key(seed).key_id().as_str()));
    shows(&holds().commands);
    shows(&Holds { prepared: 3, prepared_missing: 1, ..holds() }.digest());
    shows(&Holds { software: 4, ..holds() }.digest());
    let records = batch().records;
    shows(&records[0].body);
    shows(&format!("\"prev\":\"{}\"", ContentHash::of(records[0].body.as_bytes())));
    Kind::ALL.iter().for_each(|kind| shows(kind.payload_type()));
    let id: BoxId = name("x");
    let of_box = Up::ALL.map(|up| Topic::Up(id.clone(), up)).into_iter();
    let topics = of_box.chain(Down::ALL.map(|down| Topic::Down(id.clone(), down)));
    topics.for_each(|topic| shows(&topic.to_string().replace("/x/", "/{box}/")));
    let payload = codec::encode(&LogAck {
        v: VERSION,
        epoch: Epoch(0x0123_4567_89ab_cdef),
        contiguous_upto: 200,
        forked: false,
    });
    let signed = pre_authentication_encoding(Kind::LogAck.payload_type(), &payload);
    shows(&format!("Signed are {} bytes", signed.len()));
    let thousands = |n: usize| format!("{},{:03}", n / 1_000, n % 1_000);
    for bound in [MESSAGE_BYTES_MAX, BATCH_BYTES_MAX, codec::TEXT_BYTES_MAX, codec::LOG_BODY_BYTES_MAX] {
        shows(&thousands(bound));
    }
}

#[test]
fn the_published_schemas_are_those_of_the_code() {
    let schemas = [
        ("command", schemars::schema_for!(Command)),
        ("trust", schemars::schema_for!(TrustMessage)),
        ("hello", schemars::schema_for!(Hello)),
        ("welcome", schemars::schema_for!(Welcome)),
        ("heartbeat", schemars::schema_for!(Heartbeat)),
        ("log-batch", schemars::schema_for!(LogBatch)),
        ("log-head", schemars::schema_for!(LogHead)),
        ("log-body", schemars::schema_for!(LogBody)),
        ("log-ack", schemars::schema_for!(LogAck)),
        ("enrolment-seal", schemars::schema_for!(EnrolmentSeal)),
        ("renewal", schemars::schema_for!(Renewal)),
        ("certificate", schemars::schema_for!(Renewed)),
        ("lost", schemars::schema_for!(Lost)),
        ("envelope", schemars::schema_for!(Envelope)),
    ];
    for (name, schema) in schemas {
        let path = root().join("docs/schemas").join(format!("{name}.json"));
        let text = pretty(&schema);
        if blessing() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let published = fs::read(&path).unwrap_or_default();
        assert!(published == text, "{} differs: LOAXA_BLESS=1 cargo test --test wire_golden", path.display());
    }
}
