//! A commune of nine villages for the pages, and boxes whose life is written straight into the store.

use std::path::Path;

use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, Group, Settings};
use loaxa_central::store::{Actor, Batch, NewAct, PlaceRow, Point, Record, SignKind, SignOfLife};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, Epoch, PlayId};
use loaxa_heart::domain::playback::{DeliveryStep, Entry, Event, PlayStart, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Span};
use loaxa_heart::wire::chain;

use super::commune::*;

const EPOCH: Epoch = Epoch(7);

/// Id, name, boxes, and where the village lies.
pub const VILLAGES: [(&str, &str, usize, f64, f64); 9] = [
    ("ben", "Thôn Bến", 2, 20.981, 105.741),
    ("dong-cao", "Đồng Cao", 4, 21.009, 105.741),
    ("dong", "Thôn Đông", 5, 20.998, 105.745),
    ("thuong", "Thôn Thượng", 5, 21.006, 105.712),
    ("ha", "Thôn Hạ", 4, 20.982, 105.713),
    ("trung", "Thôn Trung", 6, 20.996, 105.728),
    ("doai", "Thôn Đoài", 5, 20.996, 105.710),
    ("chua", "Xóm Chùa", 4, 21.008, 105.727),
    ("moi", "Xóm Mới", 5, 20.981, 105.728),
];

/// The settings of the commune; box `ben-1` is the first of the village `ben`.
pub fn settings_of_villages(dir: &Path) -> Settings {
    let mut settings = settings(dir, embedded());
    settings.commune = "Xã Bình Minh".to_owned();
    settings.keys.trust = trust_over(&VILLAGES.map(|(id, ..)| id));
    let village = |(id, title, ..): &(&str, &str, usize, f64, f64)| Group {
        id: group(id),
        title: (*title).to_owned(),
        parent: Some(group("xa")),
    };
    settings.groups = vec![Group { id: group("xa"), title: "Xã Bình Minh".to_owned(), parent: None }];
    settings.groups.extend(VILLAGES.iter().map(village));
    let boxes = VILLAGES.iter().flat_map(|(id, title, count, ..)| {
        (1..=*count).map(move |n| BoxDeclared {
            id: box_id(&format!("{id}-{n}")),
            title: format!("Loa số {n} {title}"),
            groups: vec![group(id)],
            key: Some(key(11).public().to_string()),
        })
    });
    settings.boxes = boxes.collect();
    settings
}

pub fn box_id(id: &str) -> BoxId {
    BoxId::new(id).unwrap()
}

/// All boxes of the commune.
pub fn all_boxes() -> Vec<String> {
    VILLAGES.iter().flat_map(|(id, _, count, ..)| (1..=*count).map(move |n| format!("{id}-{n}"))).collect()
}

pub fn act() -> NewAct {
    let at = loaxa_adapters::clock::wall();
    let subject = String::new();
    NewAct { at, actor: Actor::Console, act: "place_changed", subject, before: None, after: None, from: None }
}

/// Puts the villages on the map.
pub async fn place(central: &Central) {
    for (id, _, _, latitude, longitude) in VILLAGES {
        let point = Some(Point { latitude, longitude });
        let row = PlaceRow { group: group(id), title: None, households: None, point };
        central.store().set_place(row, act()).await.unwrap();
    }
}

/// Lets a box say hello and give a heartbeat with these faults, so many seconds ago.
pub async fn alive(central: &Central, id: &str, ago_s: u64, faults: &[&str]) {
    let at = loaxa_adapters::clock::wall().minus(Span::secs(ago_s));
    let faults = faults.iter().map(|code| (*code).to_owned()).collect();
    let hello = SignKind::Hello { software: "loaxa 0.1.0".to_owned(), languages: Vec::new(), epoch: EPOCH };
    for kind in [hello, SignKind::Heartbeat { backlog: 0, faults, usage: None }] {
        let sign = SignOfLife { id: box_id(id), at, clock: ClockQuality::Synced, holds: None, kind };
        central.store().note_sign_of_life(sign).await.unwrap();
    }
}

/// Lets a play begin on a box whose log is empty, so many seconds ago.
pub async fn sounds(central: &Central, id: &str, ago_s: u64, subject: Subject, title: &str, rung: Rung) {
    let arrived = loaxa_adapters::clock::wall();
    let wall = arrived.minus(Span::secs(ago_s));
    let at = Stamp { start: 1, mono_us: 1, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    let command = match &subject {
        Subject::Announcement { command } => Some(command.clone()),
        _ => None,
    };
    let start = Event::PlayStarted(PlayStart {
        play: PlayId::new(1, 1),
        subject,
        rung,
        title: title.to_owned(),
        section: None,
        campaign: None,
        class: None,
        mode: None,
        issuer: None,
        content: None,
        source: "a.wav".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 80,
        instead_of: None,
    });
    let delivery = command.map(|command| Event::Delivery { command, step: DeliveryStep::Started });
    let (mut link, mut records) = (chain::Link::FIRST, Vec::new());
    for event in [start].into_iter().chain(delivery) {
        let entry = Entry { at, event };
        let record = link.record(&box_id(id), EPOCH, entry.clone()).unwrap();
        let next = chain::Link::after(record.seq, &record.body);
        let (seq, hash, prev) = (record.seq, next.prev, link.prev);
        records.push(Record { seq, hash, prev, body: record.body, entry, implausible: None });
        link = next;
    }
    let batch = Batch { id: box_id(id), epoch: EPOCH, arrived, oldest: 1, records, head: None };
    central.store().ingest(batch).await.unwrap().await.unwrap();
}
