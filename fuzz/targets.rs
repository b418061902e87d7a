//! Inputs that arrive from outside, and what must hold of each whatever it is. Run by cargo-fuzz, and by
//! `tests/heart/fuzz_corpus.rs` on stable Rust.
#![allow(dead_code, reason = "each target uses its own function")]

use std::path::Path;

use loaxa_adapters::{ical, xml_signature};
use loaxa_heart::config::tracks::{Place, Source, Track};
use loaxa_heart::config::{cap, files, m3u8, playlist_file, programme_file, trust_file};
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};
use loaxa_heart::wire::envelope::{self, Kind};
use loaxa_heart::wire::messages::{Command, Heartbeat, Hello, LogAck, LogBatch, Lost, TrustMessage, Welcome};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};

/// An envelope from anyone: nothing is believed without a signature of a known key.
pub fn envelope(data: &[u8]) {
    let known = [1, 2, 3, 4].map(|seed| SecretKey::from_seed(&[seed; 32]).public());
    let keys = |id: &_| known.iter().find(|key| key.key_id() == *id).copied();
    if let Ok(signed) = codec::open_command(data, &keys) {
        assert!(!signed.signers.is_empty());
    }
    for signers in [
        codec::open::<TrustMessage>(data, &keys).map(|signed| signed.signers),
        codec::open::<LogBatch>(data, &keys).map(|signed| signed.signers),
        codec::open::<LogAck>(data, &keys).map(|signed| signed.signers),
        codec::open::<Welcome>(data, &keys).map(|signed| signed.signers),
    ]
    .into_iter()
    .flatten()
    {
        assert!(!signers.is_empty());
    }
    assert!(codec::open_command(data, &|_| None).is_err());
}

/// An alert or a feed of alerts from anyone: read within its bounds or refused.
pub fn cap(data: &[u8]) {
    let Ok(text) = cap::decode(data) else { return };
    let base = "https://kttv.example.vn/feed".parse().expect("it is an address");
    if let Ok(cap::feed::Brought::Entries(entries)) = cap::feed::read_feed(&text, &base) {
        assert!(entries.len() <= cap::feed::ENTRIES_MAX);
        for entry in entries {
            if let cap::feed::Brings::Embedded(alert) = entry.brings {
                let _ = cap::read(alert.as_bytes());
            }
        }
    }
    let Ok(alert) = cap::read(data) else { return };
    assert!(data.len() <= cap::ALERT_BYTES_MAX && alert.infos.len() <= cap::INFOS_MAX);
    for info in &alert.infos {
        assert!(!info.categories.is_empty() && info.areas.len() <= cap::AREAS_MAX);
        for area in &info.areas {
            let _ = area.reaches(cap::Point::new(21.0, 105.0), &[]);
        }
    }
}

/// Checks that what is read is written, and read again, as the same.
fn stays<M: Message + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Ok(message) = codec::decode::<M>(data) {
        let again = codec::decode::<M>(&codec::encode(&message)).expect("what was written is read");
        assert_eq!(again, message);
    }
}

/// A message of a box or of central.
pub fn messages(data: &[u8]) {
    stays::<Command>(data);
    stays::<TrustMessage>(data);
    stays::<Hello>(data);
    stays::<Welcome>(data);
    stays::<Heartbeat>(data);
    stays::<LogBatch>(data);
    stays::<LogAck>(data);
    stays::<Lost>(data);
}

/// A trust document that a person wrote.
pub fn trust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(trust) = trust_file::parse(text) {
        assert_eq!(trust_file::parse(&trust_file::print(&trust)).as_ref(), Ok(&trust));
    }
}

/// A programme, as central or an installer sends it.
pub fn programme(data: &[u8]) {
    let Ok(text) = files::decode(data) else { return };
    let audio = programme_file::Audio::WherePresent(&|_| Ok(60_000));
    if let Ok(programme) = programme_file::parse(&text, "fuzz.toml", Path::new("/nowhere"), audio) {
        // Its recurrence rules either stand or are refused.
        let _ = loaxa_heart::decide::schedule::Calendar::new(std::sync::Arc::new(programme));
    }
}

/// A playlist of any player, M3U or what passes for it. None leads out of its folder, and what is written is read again.
pub fn m3u8(data: &[u8]) {
    let Ok(text) = files::decode(data) else { return };
    let inside = Path::new("lists");
    let Ok(tracks) = playlist_file::parse(&text, "fuzz.m3u8", Place::inside(inside)) else { return };
    for track in &tracks {
        if let Source::File(path) = &track.source {
            let is_plain = |part| matches!(part, std::path::Component::Normal(_));
            assert!(path.components().all(is_plain), "{}", path.display());
        }
    }
    let again = playlist_file::parse(&m3u8::write(&tracks), "again.m3u8", Place::inside(Path::new("")))
        .expect("what was written is read");
    let sources = |tracks: &[Track]| tracks.iter().map(|track| track.source.clone()).collect::<Vec<_>>();
    assert_eq!(sources(&again), sources(&tracks));
}

/// A request to enrol and central's answer to it, from anyone in between: nothing but what the root key signed is trust.
pub fn enrolment(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<EnrolRequest>(data)
        && let Some(asked) = request.asked()
    {
        assert_eq!(asked.log_key.to_string().parse::<PublicKey>().ok(), Some(asked.log_key));
        // Keys of somebody else under the same proof are refused.
        let other = SecretKey::from_seed(&[200; 32]).public().to_string();
        assert_eq!(EnrolRequest { log_key: other.clone(), ..request.clone() }.asked(), None);
        assert_eq!(EnrolRequest { tls_key: other, ..request }.asked(), None);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(code) = text.parse::<EnrolmentCode>()
    {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    let Ok(enrolled) = serde_json::from_slice::<Enrolled>(data) else { return };
    let root = SecretKey::from_seed(&[100; 32]).public();
    if let Ok(named) = enrolled.root.parse::<PublicKey>() {
        assert_eq!(named.to_string().parse::<PublicKey>().ok(), Some(named));
    }
    let keys = |id: &_| (root.key_id() == *id).then_some(root);
    if let Ok(trust) = codec::open::<TrustMessage>(enrolled.trust.as_bytes(), &keys) {
        assert_eq!(trust.signers, [root.key_id()]);
    }
    if let Ok(broker) = enrolled.broker.parse::<BrokerAddress>() {
        // The login is written nowhere.
        assert_eq!(broker.to_string().parse().ok(), Some(BrokerAddress { login: None, ..broker }));
    }
}

/// A trust document that the root key has signed, whatever it says: it is refused, or can be asked.
pub fn trust_document(data: &[u8]) {
    let root = SecretKey::from_seed(&[100; 32]);
    let sealed = envelope::seal(Kind::Trust, data, &[&root]);
    let keys = |id: &_| (root.key_id() == *id).then_some(root.public());
    let Ok(signed) = codec::open::<TrustMessage>(&sealed, &keys) else { return };
    let trust = signed.payload.trust;
    let groups: Vec<_> = trust.nesting.keys().chain(trust.nesting.values()).take(4).cloned().collect();
    let everybody: Vec<_> = trust.grants.iter().map(|grant| grant.key.clone()).collect();
    for power in [Power::Emergency, Power::Cancel, Power::Central] {
        assert!(trust.signatures_needed(power) >= 1);
        for now in [None, Some(Wall(0)), Some(Wall(i64::MAX))] {
            let _ = trust.permits(&everybody, power, &groups, now);
            assert!(trust.permits(&[], power, &groups, now).is_err());
        }
    }
}

/// XML in an envelope: what was signed as one kind opens as no other, and no XML is believed without a certificate.
pub fn sealed_xml(data: &[u8]) {
    let key = SecretKey::from_seed(&[1; 32]);
    let keys = |id: &_| (key.key_id() == *id).then_some(key.public());
    let sealed = envelope::seal(Kind::Command, data, &[&key]);
    if let Ok(opened) = envelope::open(Kind::Command, &sealed, &keys) {
        assert_eq!((opened.payload.as_slice(), opened.signers), (data, vec![key.key_id()]));
    }
    for other in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command) {
        assert!(envelope::open(other, &sealed, &keys).is_err());
    }
    let _ = codec::open_command(&sealed, &keys);
    assert!(xml_signature::verify(data, &[]).is_err());
    assert!(xml_signature::verify(&sealed, &[]).is_err());
    cap(data);
}

/// A calendar file of any program.
pub fn ical(data: &[u8]) {
    let Ok(text) = ical::decode(data) else { return };
    if let Err(problems) = ical::parse(&text, "fuzz.ics") {
        assert!(problems.0.iter().all(|problem| !problem.said.to_string().is_empty()));
    }
}
