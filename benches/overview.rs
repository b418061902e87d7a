//! The cost of the overview of a large district: `cargo bench --bench overview` prints the time at the server and the bytes
//! of its fragment, with 5,000 boxes in 300 villages of which most sound.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_central::store::{
    Actor, Batch, NewAct, PersonRow, PlaceRow, Point, Record, SessionRow, SignKind, SignOfLife, Stage,
};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch, PlayId};
use loaxa_heart::domain::playback::{Entry, Event, PlayStart, SlotKey, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::messages::{Holds, TrustMessage, VERSION, commands_digest};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::{chain, codec};

const BOXES: usize = 5_000;
const VILLAGES: usize = 300;
/// Of a hundred boxes, those that sound, and after them those that are silent, and one that is faulty.
const SOUNDING: usize = 80;
const LOST: usize = 96;
const ROUNDS: usize = 30;
const SECRET: &str = "a-session-for-the-bench";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        let central = Central::start(settings(dir.path())).await.expect("central starts");
        fill(&central).await;
        let address = central.http_addr();
        for path in ["/fragments/tong-quan", "/", "/canh-bao"] {
            let (mut took, mut bytes) = (Vec::new(), 0);
            for _ in 0..=ROUNDS {
                // Otherwise all who ask within a second share what was read.
                tokio::time::sleep(Duration::from_millis(1_100)).await;
                let (time, length) =
                    tokio::task::spawn_blocking(move || ask(address, path)).await.expect("it answers");
                took.push(time);
                bytes = length;
            }
            // The first one plans the day.
            took.remove(0);
            took.sort();
            let at = |percent: usize| took[(took.len() - 1) * percent / 100];
            println!(
                "{path}: {BOXES} boxes in {VILLAGES} villages: {:?} median, {:?} p99, {bytes} bytes",
                at(50),
                at(99)
            );
        }
        central.stop().await;
    });
}

/// The time of a request on this machine, and the bytes of its answer.
fn ask(address: SocketAddr, path: &str) -> (Duration, usize) {
    let begun = Instant::now();
    let request =
        ureq::get(format!("http://{address}{path}")).header("cookie", format!("loaxa-session={SECRET}"));
    let mut answer = request.call().expect("an answer");
    let body = answer.body_mut().read_to_vec().expect("a body");
    (begun.elapsed(), body.len())
}

fn village(n: usize) -> String {
    format!("thon-{n}")
}

fn box_id(n: usize) -> BoxId {
    format!("loa-{n}").parse().expect("a name")
}

fn settings(dir: &std::path::Path) -> Settings {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let key = SecretKey::from_seed(&[9; 32]);
    let grant = Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder: "Trung tâm".to_owned(),
        powers: [Power::Central].into(),
        groups: ["xa".parse().expect("a name")].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let trust =
        Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: Default::default() };
    let trust = codec::seal(&TrustMessage { v: VERSION, trust }, &[&SecretKey::from_seed(&[8; 32])]);
    let top = Group { id: "xa".parse().expect("a name"), title: "Huyện".to_owned(), parent: None };
    let villages = (0..VILLAGES).map(|n| Group {
        id: village(n).parse().expect("a name"),
        title: format!("Thôn số {n}"),
        parent: Some(top.id.clone()),
    });
    let boxes = (0..BOXES).map(|n| BoxDeclared {
        id: box_id(n),
        title: format!("Loa {n} nhà văn hóa"),
        groups: vec![village(n % VILLAGES).parse().expect("a name")],
        key: Some("a-key".to_owned()),
    });
    Settings {
        listen: local,
        public_url: None,
        peer_url: None,
        page: Default::default(),
        data_dir: dir.to_owned(),
        commune: "Huyện Thử".to_owned(),
        broker: BrokerChoice::Embedded { listen: local, logins: Logins::NameAlone },
        database: Database::Sqlite(dir.join("central.db")),
        token: "a-token-for-the-bench".to_owned(),
        second_factor: false,
        everyday: Default::default(),
        training: Default::default(),
        keys: Keys { central: key, issuers: Vec::new(), trust },
        speech: Vec::new(),
        scanner: Vec::new(),
        cap: None,
        calling: Default::default(),
        reporting: Default::default(),
        groups: std::iter::once(top.clone()).chain(villages).collect(),
        boxes: boxes.collect(),
        enrolment: None,
        trust_first_use: false,
    }
}

fn holds() -> Holds {
    let programmes = ["xa", "thon", "le-tet"].map(|id| (id.parse().expect("a name"), 14)).into();
    Holds {
        commands: commands_digest([]),
        programmes,
        trust: 1,
        policy: 3,
        groups: 2,
        prepared: 0,
        prepared_missing: 0,
        software: 0,
        local_emergency: 0,
    }
}

fn act(at: Wall) -> NewAct {
    let subject = String::new();
    NewAct { at, actor: Actor::Console, act: "place_changed", subject, before: None, after: None, from: None }
}

/// Writes the life of all boxes, the places of the villages, and somebody who looks.
async fn fill(central: &Central) {
    let (store, now) = (central.store(), loaxa_adapters::clock::wall());
    for n in 0..VILLAGES {
        let (row, column) = ((n / 20) as f64, (n % 20) as f64);
        let point = Some(Point { latitude: 20.9 + row / 100.0, longitude: 105.7 + column / 100.0 });
        let group = village(n).parse().expect("a name");
        let place = PlaceRow { group, title: None, households: None, point };
        store.set_place(place, act(now)).await.expect("kept");
    }
    let lives = (0..BOXES).map(|n| {
        let store = std::sync::Arc::clone(store);
        tokio::spawn(async move {
            let part = n * 7 % 100;
            let at = if (SOUNDING..LOST).contains(&part) { now.minus(Span::secs(3_600)) } else { now };
            let faults = if part == 99 { vec!["amplifier_fault".to_owned()] } else { Vec::new() };
            let hello = SignKind::Hello {
                software: "loaxa 0.1.0".to_owned(),
                languages: Vec::new(),
                epoch: Epoch(7),
            };
            for kind in [hello, SignKind::Heartbeat { backlog: 0, faults, usage: None }] {
                let sign =
                    SignOfLife { id: box_id(n), at, clock: ClockQuality::Synced, holds: Some(holds()), kind };
                store.note_sign_of_life(sign).await.expect("kept");
            }
            if (SOUNDING..LOST).contains(&part) {
                store.note_lost(box_id(n), now).await.expect("kept");
            }
            if part < SOUNDING {
                store.ingest(play(n, now)).await.expect("taken").await.expect("kept");
            }
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.expect("lived");
    }
    let id: loaxa_heart::domain::ids::AccountId = "lan".parse().expect("a name");
    let person = PersonRow {
        id: id.clone(),
        name: "Lan".to_owned(),
        reach: String::new(),
        password: None,
        totp: None,
        recovery_left: 0,
        made: now,
        left: None,
        roles: Vec::new(),
    };
    store.add_person(person, act(now)).await.expect("kept");
    let session = SessionRow {
        secret: ContentHash::of(SECRET.as_bytes()),
        person: id,
        stage: Stage::Full,
        made: now,
        seen: now,
        from: "127.0.0.1".to_owned(),
        browser: "bench".to_owned(),
    };
    store.add_session(session).await.expect("kept");
}

/// The log of a box on which one of three things sounds.
fn play(n: usize, now: Wall) -> Batch {
    let at = Stamp { start: 1, mono_us: 1, wall: now, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    let slot = format!("buoi-{}", n % 3).parse().expect("a name");
    let event = Event::PlayStarted(PlayStart {
        play: PlayId::new(1, 1),
        subject: Subject::Slot(SlotKey { slot, date: now.date() }),
        rung: Rung::Programme,
        title: "Bản tin xã".to_owned(),
        section: None,
        campaign: None,
        class: None,
        mode: None,
        issuer: None,
        content: None,
        source: "a.mp3".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 80,
        instead_of: None,
    });
    let entry = Entry { at, event };
    let link = chain::Link::FIRST;
    let record = link.record(&box_id(n), Epoch(7), entry.clone()).expect("a record");
    let next = chain::Link::after(record.seq, &record.body);
    let (seq, body) = (record.seq, record.body);
    let records = vec![Record { seq, hash: next.prev, prev: link.prev, body, entry, implausible: None }];
    Batch { id: box_id(n), epoch: Epoch(7), arrived: now, oldest: 1, records, head: None }
}
