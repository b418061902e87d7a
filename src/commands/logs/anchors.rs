//! Anchors: the daily hash of all logs. A log that was rewritten since does not fit the hash that somebody kept.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Deserialize;

use super::super::client::{CentralArgs, print_table, text};
use super::super::language::Outcome;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// A line of an export that carries an anchor.
#[derive(Deserialize)]
struct AnchorLine {
    anchor: Anchor,
}

#[derive(Deserialize)]
struct Anchor {
    day: String,
    hash: ContentHash,
    heads: String,
}

/// The last record of a log when an anchor was made.
type Place = (BoxId, Epoch, u64);

/// The anchors of an export; they stand before the records that they bind.
#[derive(Default)]
pub struct Anchors {
    hashes: Vec<ContentHash>,
    /// The hash that each record must have, and the days that say so.
    expected: BTreeMap<Place, Vec<(ContentHash, String)>>,
}

impl Anchors {
    /// Reads the line of an anchor.
    ///
    /// # Errors
    /// Says where the hash is not that of its lines.
    pub fn read(&mut self, line: &str) -> Result<(), Sentence> {
        let AnchorLine { anchor } = serde_json::from_str(line).map_err(|error| error.say())?;
        let Anchor { day, hash, heads } = anchor;
        if ContentHash::of(heads.as_bytes()) != hash {
            return Err(said!("verify.wrong_anchor", day));
        }
        for head in heads.lines() {
            let bad = || said!("verify.wrong_anchor", day = &day);
            let (place, hash) = read_head(head).ok_or_else(bad)?;
            // An empty log has no record.
            if place.2 > 0 {
                self.expected.entry(place).or_default().push((hash, day.clone()));
            }
        }
        self.hashes.push(hash);
        Ok(())
    }

    /// Compares a record with what an anchor says of it.
    ///
    /// # Errors
    /// Says on which day it was another.
    pub fn meet(
        &mut self,
        (id, epoch, seq): (&BoxId, Epoch, u64),
        found: ContentHash,
    ) -> Result<(), Sentence> {
        let Some(expected) = self.expected.remove(&(id.clone(), epoch, seq)) else { return Ok(()) };
        match expected.into_iter().find(|(hash, _)| *hash != found) {
            Some((_, day)) => Err(said!("verify.other_than_anchored", id, seq, day)),
            None => Ok(()),
        }
    }

    /// Asks no more for the records before one, which were deleted.
    pub fn let_go(&mut self, of: &BoxId, in_epoch: Epoch, before: u64) {
        self.expected.retain(|(id, epoch, seq), _| id != of || *epoch != in_epoch || *seq >= before);
    }

    /// Lists the records that an anchor names and that are not there, and the hashes that no anchor has.
    pub fn missing(&self, wanted: &[String]) -> Vec<Sentence> {
        let absent = self.expected.iter().flat_map(|((id, _, seq), days)| {
            days.first().map(|(_, day)| said!("verify.anchored_absent", id, seq, day))
        });
        let unknown = wanted.iter().filter(|hash| {
            self.hashes.iter().all(|known| !known.to_string().eq_ignore_ascii_case(hash.trim()))
        });
        absent.chain(unknown.map(|hash| said!("verify.no_such_anchor", hash = hash.escape_debug()))).collect()
    }
}

fn read_head(line: &str) -> Option<(Place, ContentHash)> {
    let mut words = line.split(' ');
    let id = words.next()?.parse().ok()?;
    let epoch: Epoch = serde_json::from_value(words.next()?.into()).ok()?;
    let place = (id, epoch, words.next()?.parse().ok()?);
    let hash = words.next()?.parse().ok()?;
    words.next().is_none().then_some((place, hash))
}

/// Prints all anchors, latest first.
///
/// # Errors
/// As [`super::Client::get`].
pub fn print(central: &CentralArgs) -> Outcome {
    let client = central.client()?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    loop {
        let mut query = vec![("heads", false.to_string())];
        query.extend(rows.last().map(|row| ("before", row[0].clone())));
        let page = client.get("anchors", &query)?;
        let page = page.as_array().into_iter().flatten();
        let page: Vec<_> = page.map(|row| vec![text(&row["day"]), text(&row["hash"])]).collect();
        // An earlier central knows no pages, and answers with the first again.
        let goes_on = page.first().is_some_and(|first| rows.last().is_none_or(|last| first[0] < last[0]));
        if !goes_on {
            break;
        }
        rows.extend(page);
    }
    print_table("anchors", &rows);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_it_was_when_it_was_anchored() {
        let record = ContentHash::of(b"record");
        let heads = format!("loa-1 {} 3 {record}\n", Epoch(7));
        let line = |hash: ContentHash| {
            serde_json::json!({ "anchor": { "day": "2026-11-26", "hash": hash, "heads": heads } }).to_string()
        };
        let hash = ContentHash::of(heads.as_bytes());
        let id: BoxId = "loa-1".parse().unwrap();
        let mut anchors = Anchors::default();
        assert!(anchors.read(&line(record)).is_err(), "another hash");
        anchors.read(&line(hash)).unwrap();
        assert_eq!(anchors.missing(&[hash.to_string().to_uppercase()]).len(), 1, "the record is not there");
        assert!(anchors.meet((&id, Epoch(7), 3), ContentHash::of(b"other")).is_err());
        anchors.read(&line(hash)).unwrap();
        assert!(anchors.meet((&id, Epoch(7), 3), record).is_ok());
        assert_eq!(anchors.missing(&[]).len(), 0);
        assert_eq!(anchors.missing(&["00".to_owned()]).len(), 1);
    }
}
