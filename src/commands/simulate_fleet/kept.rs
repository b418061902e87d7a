//! The logs as the centre keeps them, beside those that the boxes wrote.

use std::collections::BTreeMap;

use super::super::client::Client;
use super::super::language::Failure;
use loaxa_fleet::account::Ends;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch};
use loaxa_heart::wire::chain::Link;
use loaxa_heart::wire::messages::LogBody;

/// One entry as the centre keeps it.
struct Entry {
    /// Times that it stands there.
    times: u64,
    prev: ContentHash,
    hash: ContentHash,
}

/// Everything that the centre keeps of the boxes' logs.
#[derive(Default)]
pub struct Kept(BTreeMap<(BoxId, Epoch), BTreeMap<u64, Entry>>);

/// The centre's own count, held against the boxes'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Entries that the boxes wrote, and that stand there once.
    pub whole: u64,
    pub missing: u64,
    pub doubled: u64,
    /// Entries that no box wrote so.
    pub foreign: u64,
}

impl Compared {
    /// Tells whether every entry is there once, and nothing else.
    pub fn is_exact(self) -> bool {
        self == Self { whole: self.whole, ..Self::default() } && self.whole > 0
    }
}

impl Kept {
    /// Reads the centre's export, page by page to its end.
    ///
    /// # Errors
    /// As [`Client::get_text`], and where a line is no entry.
    pub fn of(client: &Client) -> Result<Self, Failure> {
        let (mut kept, mut after) = (Self::default(), 0);
        loop {
            let (page, next) = client.get_text("export", &[("after", after.to_string())])?;
            page.lines().try_for_each(|line| kept.read(line))?;
            match next {
                Some(next) => after = next,
                None => return Ok(kept),
            }
        }
    }

    fn read(&mut self, line: &str) -> Result<(), Failure> {
        // The signature of a box, or the place up to which its log was deleted: what is deleted is missing here.
        if line.starts_with("{\"head\":") || line.starts_with("{\"pruned\":") {
            return Ok(());
        }
        let body: LogBody = serde_json::from_str(line)?;
        let of_log = self.0.entry((body.box_id, body.epoch)).or_default();
        let hash = ContentHash::of(line.as_bytes());
        of_log.entry(body.seq).or_insert(Entry { times: 0, prev: body.prev, hash }).times += 1;
        Ok(())
    }

    /// Compares with the logs of boxes, as they ended before the centre was asked, and afterwards.
    pub fn compare(&self, before: &Ends, after: &Ends) -> Compared {
        let mut compared = Compared::default();
        for (log, end) in before {
            let nothing = BTreeMap::new();
            let kept = self.0.get(log).unwrap_or(&nothing);
            let written = end.seq - Link::FIRST.seq;
            let here = kept.range(..end.seq).count() as u64;
            compared.missing += written - here.min(written);
            compared.doubled += kept.values().filter(|entry| entry.times > 1).count() as u64;
            let last = after.get(log).map_or(end.seq, |end| end.seq);
            let mut link = Link::FIRST;
            let mut foreign = 0;
            for (seq, entry) in kept {
                // The end of the chain binds all that stands before it.
                let is_end = link.seq == end.seq;
                let follows = *seq != link.seq || entry.prev == link.prev;
                foreign += u64::from(*seq >= last || !follows || is_end && link.prev != end.prev);
                link = Link::at(*seq, entry.hash);
            }
            foreign += u64::from(link.seq == end.seq && link.prev != end.prev);
            compared.foreign += foreign;
            compared.whole += here - foreign.min(here);
        }
        let ids: Vec<_> = before.keys().map(|(id, _)| id).collect();
        let others = self.0.iter().filter(|(log, _)| ids.contains(&&log.0) && !after.contains_key(log));
        compared.foreign += others.map(|(_, kept)| kept.len() as u64).sum::<u64>();
        compared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::playback::{Event, Stamp};
    use loaxa_heart::domain::time::{ClockQuality, Wall};

    const EPOCH: Epoch = Epoch(7);

    fn id() -> BoxId {
        "loa-1".parse().unwrap()
    }

    /// The log of a box with these entries lost, and its end.
    fn log(lost: &[u64]) -> (Vec<String>, Ends) {
        let at =
            Stamp { start: 1, mono_us: 5, wall: Wall(0), quality: ClockQuality::None, uncertainty_ms: 0 };
        let mut link = Link::FIRST;
        let write = |count: &u64| {
            let entry =
                loaxa_heart::domain::playback::Entry { at, event: Event::EntriesLost { count: *count } };
            let record = link.record(&id(), EPOCH, entry).unwrap();
            link = Link::after(record.seq, &record.body);
            record.body
        };
        let lines = lost.iter().map(write).collect();
        (lines, Ends::from([((id(), EPOCH), link)]))
    }

    #[test]
    fn a_centre_that_keeps_too_little_or_too_much_is_found_out() {
        let (lines, ends) = log(&[1, 2, 3, 4]);
        let (longer, longer_ends) = log(&[1, 2, 3, 4, 5]);
        let check = |lines: &[String], after: &Ends, whole, missing, doubled, foreign| {
            let mut kept = Kept::default();
            lines.iter().for_each(|line| kept.read(line).map_err(drop).unwrap());
            let compared = kept.compare(&ends, after);
            assert_eq!(compared, Compared { whole, missing, doubled, foreign });
            compared.is_exact()
        };
        assert!(check(&lines, &ends, 4, 0, 0, 0));
        assert!(check(&longer, &longer_ends, 4, 0, 0, 0), "one came while the centre was asked");
        assert!(!check(&longer, &ends, 3, 0, 0, 1));
        assert!(!check(&[], &ends, 0, 4, 0, 0), "it acknowledged what it did not keep");
        for lost in 0..4 {
            let mut holed = lines.clone();
            holed.remove(lost);
            assert!(!check(&holed, &ends, 3, 1, 0, 0), "{lost}");
        }
        let twice = [&lines[..], &lines[2..3]].concat();
        assert!(!check(&twice, &ends, 4, 0, 1, 0));
        let (altered, _) = log(&[1, 2, 3, 9]);
        assert!(!check(&altered, &ends, 3, 0, 0, 1));
        let other = lines[0].replace(
            &format!("\"epoch\":{}", serde_json::to_string(&EPOCH).unwrap()),
            "\"epoch\":\"0000000000000009\"",
        );
        assert_ne!(other, lines[0]);
        assert!(!check(&[&lines[..], &[other]].concat(), &ends, 4, 0, 0, 1));
    }
}
