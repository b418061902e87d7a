//! What arrives from outside, and what must hold of it whatever it is. Run by cargo-fuzz, and by `tests/fuzz_corpus.rs`
//! on stable Rust.
#![allow(dead_code, reason = "each target uses its own function")]

use std::path::Path;

use loaxa_adapters::ical;
use loaxa_heart::config::{cap, m3u8, programme_file, trust_file};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Command, Heartbeat, Hello, LogAck, LogBatch, Lost, TrustMessage, Welcome};
use loaxa_heart::wire::signing::SecretKey;

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

/// What is read is written and read again as the same.
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
    let Ok(text) = std::str::from_utf8(data) else { return };
    let audio = programme_file::Audio::WherePresent(&|_| Ok(60_000));
    if let Ok(programme) = programme_file::parse(text, "fuzz.toml", Path::new("/nowhere"), audio) {
        // Its recurrence rules either stand or are refused.
        let _ = loaxa_heart::decide::schedule::Calendar::new(std::sync::Arc::new(programme));
    }
}

/// A playlist of any player.
pub fn m3u8(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(entries) = m3u8::parse(text, "fuzz.m3u8", Path::new("/nowhere")) {
        let _ = m3u8::write(&entries);
    }
}

/// A calendar file of any program.
pub fn ical(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = ical::parse(text, "fuzz.ics");
}
