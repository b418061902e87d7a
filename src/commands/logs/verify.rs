//! `loaxa logs verify`: what anyone can check of an export who believes nobody, central least of all.
//!
//! The hashes show that nothing is missing or altered between the first and the last record of a chain; the heads that the
//! box signed show that the box wrote it, up to the last head.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use super::super::language::{Outcome, of_file, tell, words};
use loaxa_heart::domain::ids::{BoxId, Epoch, KeyId};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{LogBody, LogHead, LogRecord};
use loaxa_heart::wire::signing::PublicKey;

#[derive(clap::Args)]
pub struct Args {
    file: PathBuf,
    #[arg(long = "key", value_name = "BOX=KEY")]
    keys: Vec<BoxKey>,
}

#[derive(Clone)]
struct BoxKey(BoxId, PublicKey);

impl FromStr for BoxKey {
    type Err = Sentence;

    fn from_str(text: &str) -> Result<Self, Sentence> {
        let (id, key) = text.split_once('=').ok_or_else(|| said!("verify.form"))?;
        let id = id.parse::<BoxId>().map_err(|error| error.say())?;
        Ok(Self(id, key.parse::<PublicKey>().map_err(|error| error.say())?))
    }
}

pub fn run(args: &Args) -> Outcome {
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| of_file(&args.file, &error))?;
    let keys: BTreeMap<BoxId, PublicKey> =
        args.keys.iter().map(|BoxKey(id, key)| (id.clone(), *key)).collect();
    let mut audit = Audit { keys, ..Audit::default() };
    text.lines().enumerate().for_each(|(index, line)| audit.read(index + 1, line));
    for (line, broken) in &audit.breaks {
        println!("{file}:{line}: {}", words(broken));
    }
    let mut unsigned = 0;
    for ((id, epoch), chain) in &audit.chains {
        let (first, last) = (chain.first, chain.link.seq - 1);
        let signed = match (chain.signed_upto, audit.keys.contains_key(id)) {
            (_, false) => said!("verify.not_checked"),
            (Some(upto), true) => said!("verify.signed_upto", upto),
            (None, true) => {
                unsigned += 1;
                said!("verify.not_signed")
            }
        };
        tell!("verify.chain", id, epoch, first, last, signed);
    }
    if !audit.breaks.is_empty() {
        return Err(said!("verify.holes").into());
    }
    if unsigned > 0 {
        return Err(said!("verify.unsigned_log").into());
    }
    tell!("verify.whole");
    Ok(ExitCode::SUCCESS)
}

/// The chain of one store of one box, as far as the file was read.
struct Chain {
    first: u64,
    link: Link,
    signed_upto: Option<u64>,
}

/// A line that carries what a box signed.
#[derive(Deserialize)]
struct HeadLine {
    head: Value,
}

#[derive(Default)]
struct Audit {
    keys: BTreeMap<BoxId, PublicKey>,
    chains: BTreeMap<(BoxId, Epoch), Chain>,
    /// Lines, and what is wrong with them.
    breaks: Vec<(usize, Sentence)>,
}

impl Audit {
    /// Reads one line; after a break a chain goes on from there, so that all breaks are named.
    fn read(&mut self, number: usize, line: &str) {
        let read = match serde_json::from_str::<HeadLine>(line) {
            Ok(HeadLine { head }) => self.head(&head.to_string()),
            Err(_) => self.record(line),
        };
        if let Err(broken) = read {
            self.breaks.push((number, broken));
        }
    }

    fn record(&mut self, line: &str) -> Result<(), Sentence> {
        let body: LogBody = serde_json::from_str(line).map_err(|error| error.say())?;
        let begins =
            Chain { first: body.seq, link: Link { seq: body.seq, prev: body.prev }, signed_upto: None };
        let chain = self.chains.entry((body.box_id.clone(), body.epoch)).or_insert(begins);
        let record = LogRecord { seq: body.seq, body: line.to_owned() };
        let checked = chain::verify_record(&body.box_id, body.epoch, chain.link, &record);
        chain.link = Link::after(body.seq, line);
        checked.map(|_| ()).map_err(|broken| said!("verify.of_box", id = body.box_id, broken))
    }

    fn head(&mut self, envelope: &str) -> Result<(), Sentence> {
        let by_id = |id: &KeyId| self.keys.values().find(|key| key.key_id() == *id).copied();
        let signed = match codec::open::<LogHead>(envelope.as_bytes(), &by_id) {
            Ok(signed) => signed,
            // Somebody else's box, whose key was not given.
            Err(_) if self.keys.is_empty() => return Ok(()),
            Err(refusal) => return Err(said!("verify.bad_head", refusal)),
        };
        let LogHead { box_id, epoch, seq, hash, .. } = signed.payload;
        let own = self.keys.get(&box_id).map(PublicKey::key_id);
        if !own.is_some_and(|own| signed.signers.contains(&own)) {
            return Err(said!("verify.foreign_head", id = box_id));
        }
        match self.chains.get_mut(&(box_id.clone(), epoch)) {
            Some(chain) if chain.link == Link::at(seq, hash) => chain.signed_upto = Some(seq),
            _ => return Err(said!("verify.other_head", id = box_id, seq)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::ids::ContentHash;
    use loaxa_heart::domain::playback::{Entry, Event, Stamp};
    use loaxa_heart::domain::time::{ClockQuality, Wall};
    use loaxa_heart::wire::messages::VERSION;
    use loaxa_heart::wire::signing::SecretKey;

    fn lines(id: &str, length: u64) -> Vec<String> {
        let id = BoxId::new(id).unwrap();
        let mut link = Link::FIRST;
        let at =
            Stamp { start: 1, mono_us: 5, wall: Wall(0), quality: ClockQuality::None, uncertainty_ms: 0 };
        let next = |n| {
            let entry = Entry { at, event: Event::EntriesLost { count: n } };
            let record = link.record(&id, Epoch(7), entry).unwrap();
            link = Link::after(record.seq, &record.body);
            record.body
        };
        (0..length).map(next).collect()
    }

    fn audit(lines: &[String], keys: &[(&str, &SecretKey)]) -> Audit {
        let keys = keys.iter().map(|(id, key)| (BoxId::new(*id).unwrap(), key.public())).collect();
        let mut audit = Audit { keys, ..Audit::default() };
        lines.iter().enumerate().for_each(|(index, line)| audit.read(index + 1, line));
        audit
    }

    fn check(lines: &[String], broken_lines: &[usize]) {
        let breaks = audit(lines, &[]).breaks;
        assert_eq!(breaks.iter().map(|(line, _)| *line).collect::<Vec<_>>(), broken_lines, "{breaks:?}");
    }

    /// The line of an export with what a box signed: the head of `line`.
    fn head(line: &str, key: &SecretKey) -> String {
        let body: LogBody = serde_json::from_str(line).unwrap();
        let hash = ContentHash::of(line.as_bytes());
        let head = LogHead { v: VERSION, box_id: body.box_id, epoch: body.epoch, seq: body.seq, hash };
        format!("{{\"head\":{}}}", String::from_utf8(codec::seal(&head, &[key])).unwrap())
    }

    #[test]
    fn what_the_box_signed_binds_all_that_stands_before() {
        let (own, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let keys: [(&str, &SecretKey); 2] = [("loa-1", &own), ("loa-2", &other)];
        let signed_upto = |lines: &[String]| {
            let audit = audit(lines, &keys);
            let chain = audit.chains.into_values().next().unwrap();
            (chain.signed_upto, audit.breaks.len())
        };
        let chain = lines("loa-1", 4);
        let with_head = |at: usize, head: String| {
            let mut lines = chain.clone();
            lines.insert(at, head);
            lines
        };
        assert_eq!(signed_upto(&chain), (None, 0));
        assert_eq!(signed_upto(&with_head(3, head(&chain[2], &own))), (Some(3), 0));
        assert_eq!(signed_upto(&with_head(3, head(&chain[2], &other))), (None, 1));
        assert_eq!(signed_upto(&with_head(2, head(&chain[2], &own))), (None, 1));
        // Whoever rewrites the log, hashes and all, has no head for it.
        let rewritten = with_head(4, head(&chain[3], &own))
            .into_iter()
            .enumerate()
            .map(|(index, line)| if index == 3 { line.replace("\"count\":3", "\"count\":9") } else { line })
            .collect::<Vec<_>>();
        assert_eq!(signed_upto(&rewritten), (None, 1));
        check(&with_head(4, head(&chain[3], &own)), &[]);
    }

    #[test]
    fn an_export_is_verified_box_by_box() {
        let (one, two) = (lines("loa-1", 4), lines("loa-2", 4));
        let mixed: Vec<_> = one.iter().zip(&two).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
        check(&mixed, &[]);
        check(&one[2..], &[]);
        let mut hole = mixed.clone();
        hole.remove(2);
        check(&hole, &[4]);
        let mut altered = mixed.clone();
        altered[2] = altered[2].replace("\"count\":1", "\"count\":9");
        check(&altered, &[5]);
        let mut junk = mixed;
        junk.insert(1, "junk".to_owned());
        check(&junk, &[2]);
    }
}
