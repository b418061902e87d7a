//! The chain of a box's log: each record holds the hash of the one before, so that none can be left out or altered.

use super::codec::LOG_BODY_BYTES_MAX;
use super::messages::{LogBody, LogRecord, VERSION};
use crate::domain::ids::{BoxId, ContentHash, Epoch};
use crate::domain::playback::Entry;
use crate::said;
use crate::texts::{Say, Sentence};

/// The end of a chain so far, and so what the next record must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The next sequence number, from 1.
    pub seq: u64,
    /// Hash of the last record's body.
    pub prev: ContentHash,
}

impl Link {
    /// The link before the first record of an epoch.
    pub const FIRST: Link = Link { seq: 1, prev: ContentHash([0; 32]) };

    /// Makes the link after a record with this number and body.
    pub fn after(seq: u64, body: &str) -> Self {
        Self::at(seq, ContentHash::of(body.as_bytes()))
    }

    /// Makes the link after a record with this number whose body has this hash.
    pub fn at(seq: u64, hash: ContentHash) -> Self {
        Self { seq: seq.saturating_add(1), prev: hash }
    }

    /// Makes the next record of a chain.
    ///
    /// # Errors
    /// Fails when the entry is longer than [`LOG_BODY_BYTES_MAX`].
    pub fn record(self, box_id: &BoxId, epoch: Epoch, entry: Entry) -> Result<LogRecord, TooLong> {
        let Link { seq, prev } = self;
        let body = LogBody { v: VERSION, box_id: box_id.clone(), epoch, seq, prev, entry };
        let body = serde_json::to_string(&body).expect("entries are JSON");
        if body.len() > LOG_BODY_BYTES_MAX { Err(TooLong) } else { Ok(LogRecord { seq, body }) }
    }
}

/// An entry that is too long to be a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct TooLong;

impl Say for TooLong {
    fn say(&self) -> Sentence {
        said!("log_entry.bad", max = LOG_BODY_BYTES_MAX)
    }
}

/// The place and reason of a broken chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum Break {
    Gap { expected: u64, found: u64 },
    Altered { seq: u64 },
    Misplaced { seq: u64 },
    Unreadable { seq: u64, detail: String },
}

impl Say for Break {
    fn say(&self) -> Sentence {
        match self {
            Break::Gap { expected, found } => said!("chain.gap", found, expected),
            Break::Altered { seq } => said!("chain.altered", seq),
            Break::Misplaced { seq } => said!("chain.misplaced", seq),
            Break::Unreadable { seq, detail } => said!("chain.unreadable", seq, detail),
        }
    }
}

/// Checks one record and gives its content.
///
/// # Errors
/// Says where the chain is broken.
pub fn verify_record(
    box_id: &BoxId,
    epoch: Epoch,
    link: Link,
    record: &LogRecord,
) -> Result<(Link, LogBody), Break> {
    let seq = record.seq;
    if seq != link.seq {
        return Err(Break::Gap { expected: link.seq, found: seq });
    }
    let body: LogBody = serde_json::from_str(&record.body)
        .map_err(|error| Break::Unreadable { seq, detail: error.to_string() })?;
    if body.prev != link.prev {
        return Err(Break::Altered { seq });
    }
    if body.seq != seq || body.box_id != *box_id || body.epoch != epoch {
        return Err(Break::Misplaced { seq });
    }
    Ok((Link::after(seq, &record.body), body))
}

/// Checks records in turn from a link of the chain, and returns the link after them.
///
/// The first record of a chain whose beginning was deleted after acknowledgement is checked from a [`Link`] that was
/// kept. The last record is bound by nothing but the signature of its batch.
///
/// # Errors
/// Says where the chain is broken first.
pub fn verify_chain<'a>(
    box_id: &BoxId,
    epoch: Epoch,
    from: Link,
    records: impl IntoIterator<Item = &'a LogRecord>,
) -> Result<Link, Break> {
    records
        .into_iter()
        .try_fold(from, |link, record| verify_record(box_id, epoch, link, record).map(|(link, _)| link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::playback::{Event, Stamp};
    use crate::domain::time::{ClockQuality, Wall};

    const EPOCH: Epoch = Epoch(7);

    fn box_id() -> BoxId {
        BoxId::new("loa-1").unwrap()
    }

    fn chain(length: u64) -> Vec<LogRecord> {
        let mut link = Link::FIRST;
        let at =
            Stamp { start: 1, mono_us: 5, wall: Wall(0), quality: ClockQuality::None, uncertainty_ms: 0 };
        let entry = |n| Entry { at, event: Event::EntriesLost { count: n } };
        let next = |n| {
            let record = link.record(&box_id(), EPOCH, entry(n)).unwrap();
            link = Link::after(record.seq, &record.body);
            record
        };
        (1..=length).map(next).collect()
    }

    fn check(change: impl Fn(&mut Vec<LogRecord>), expected: Result<u64, Break>) {
        let mut records = chain(5);
        change(&mut records);
        let found = verify_chain(&box_id(), EPOCH, Link::FIRST, &records);
        assert_eq!(found.map(|link| link.seq), expected);
    }

    #[test]
    fn only_a_whole_chain_is_whole() {
        check(|_| (), Ok(6));
        check(|records| drop(records.remove(2)), Err(Break::Gap { expected: 3, found: 4 }));
        check(|records| records.swap(1, 2), Err(Break::Gap { expected: 2, found: 3 }));
        let alter = |records: &mut Vec<LogRecord>| {
            records[1].body = records[1].body.replace("\"count\":2", "\"count\":9")
        };
        check(alter, Err(Break::Altered { seq: 3 }));
        let renumber = |records: &mut Vec<LogRecord>| {
            records.remove(4);
            records[3].body = records[3].body.replace("\"seq\":4", "\"seq\":9");
        };
        check(renumber, Err(Break::Misplaced { seq: 4 }));
        let other =
            |records: &mut Vec<LogRecord>| records[4].body = records[4].body.replace("loa-1", "loa-2");
        check(other, Err(Break::Misplaced { seq: 5 }));
        let elsewhen = verify_chain(&box_id(), Epoch(8), Link::FIRST, &chain(1));
        assert_eq!(elsewhen, Err(Break::Misplaced { seq: 1 }), "it is of another epoch");
    }

    #[test]
    fn a_later_part_is_checked_from_where_it_begins() {
        let records = chain(5);
        let from = Link::after(2, &records[1].body);
        assert_eq!(verify_chain(&box_id(), EPOCH, from, &records[2..]).map(|link| link.seq), Ok(6));
    }

    #[test]
    fn an_entry_has_a_bound() {
        let at =
            Stamp { start: 1, mono_us: 5, wall: Wall(0), quality: ClockQuality::None, uncertainty_ms: 0 };
        let entry = Entry { at, event: Event::DeviceLost { detail: "x".repeat(LOG_BODY_BYTES_MAX) } };
        assert_eq!(Link::FIRST.record(&box_id(), EPOCH, entry), Err(TooLong));
    }
}
