//! `loaxa logs verify`: what anyone can check of an export who believes nobody, central least of all.
//!
//! The hashes show that nothing is missing or altered between the first and the last record of a chain; the heads that the
//! box signed show that the box wrote it, up to the last head. That nothing is missing before the first record shows by its
//! number; whether the box wrote more after the last one, no export can show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use super::super::language::{Outcome, of_file, tell, words};
use super::anchors::Anchors;
use loaxa_heart::config::files;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch, KeyId};
use loaxa_heart::domain::time::Wall;
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
    #[arg(long = "box", value_name = "BOX")]
    boxes: Vec<BoxId>,
    #[arg(long)]
    part: bool,
    #[arg(long = "anchor", value_name = "HASH")]
    anchors: Vec<String>,
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
    let found = std::fs::metadata(&args.file).map_err(|error| of_file(&args.file, &error))?;
    files::is_a_file(&found).map_err(|why| of_file(&args.file, &why))?;
    let text = std::fs::read_to_string(&args.file).map_err(|error| of_file(&args.file, &error))?;
    let keys: BTreeMap<BoxId, PublicKey> =
        args.keys.iter().map(|BoxKey(id, key)| (id.clone(), *key)).collect();
    let mut audit = Audit { keys, ..Audit::default() };
    text.lines().enumerate().for_each(|(index, line)| audit.read(index + 1, line));
    for (line, broken) in &audit.breaks {
        println!("{file}:{line}: {}", words(broken));
    }
    for ((id, epoch), chain) in &audit.chains {
        if let Some(on) = chain.pruned {
            tell!("verify.pruned", id, epoch, upto = chain.first - 1, on = on.date().format("%d/%m/%Y"));
        }
        if chain.is_empty() {
            continue;
        }
        let (first, last) = (chain.first, chain.last());
        let (from, to) = (chain.dates.0, chain.dates.1);
        tell!("verify.chain", id, epoch, first, last, from, to, signed = audit.signed(id, chain));
    }
    let mut missing = audit.missing(&args.boxes, args.part);
    missing.extend(audit.anchors.missing(&args.anchors));
    if audit.keys_in_file {
        tell!("verify.keys_in_file");
    }
    for sentence in &missing {
        println!("{}", words(sentence));
    }
    if !audit.breaks.is_empty() {
        return Err(said!("verify.holes").into());
    }
    if !missing.is_empty() {
        return Err(said!("verify.not_proved").into());
    }
    tell!("verify.whole");
    Ok(ExitCode::SUCCESS)
}

/// The chain of one store of one box, as far as the file was read.
struct Chain {
    first: u64,
    link: Link,
    /// Times of the earliest and the latest entry, as the box says.
    dates: (Wall, Wall),
    signed_upto: Option<u64>,
    /// The time at which central deleted everything before the first.
    pruned: Option<Wall>,
}

impl Chain {
    fn last(&self) -> u64 {
        self.link.seq - 1
    }

    /// Tells whether everything was deleted.
    fn is_empty(&self) -> bool {
        self.last() < self.first
    }
}

/// A line that carries a box's key, as central knows it.
#[derive(Deserialize)]
struct KeyLine {
    key: FileKey,
}

#[derive(Deserialize)]
struct FileKey {
    #[serde(rename = "box")]
    id: BoxId,
    public: String,
}

/// A line that says how far a log was deleted because its time was over.
#[derive(Deserialize)]
struct PrunedLine {
    pruned: Pruned,
}

#[derive(Deserialize)]
struct Pruned {
    #[serde(rename = "box")]
    id: BoxId,
    epoch: Epoch,
    upto: u64,
    hash: ContentHash,
    at: Wall,
}

/// A line that carries what a box signed.
#[derive(Deserialize)]
struct HeadLine {
    head: Value,
}

/// Finds the link that the first entry of a chain must continue: for the very first it is known, for a later one only
/// the entry itself says it.
fn begin_of(body: &LogBody) -> Link {
    if body.seq <= Link::FIRST.seq { Link::FIRST } else { Link { seq: body.seq, prev: body.prev } }
}

#[derive(Default)]
struct Audit {
    keys: BTreeMap<BoxId, PublicKey>,
    chains: BTreeMap<(BoxId, Epoch), Chain>,
    /// Lines, and what is wrong with them.
    breaks: Vec<(usize, Sentence)>,
    anchors: Anchors,
    /// A key stood in the file itself: whoever wrote the file chose it.
    keys_in_file: bool,
    /// Boxes of these keys. Such a box may have no log yet.
    of_file: BTreeSet<BoxId>,
}

impl Audit {
    /// Reads one line; after a break a chain goes on from there, so that all breaks are named.
    fn read(&mut self, number: usize, line: &str) {
        let read = if line.starts_with("{\"key\":") {
            self.key(line)
        } else if line.starts_with("{\"anchor\":") {
            self.anchors.read(line)
        } else if line.starts_with("{\"pruned\":") {
            self.pruned(line)
        } else {
            match serde_json::from_str::<HeadLine>(line) {
                Ok(HeadLine { head }) => self.head(&head.to_string()),
                Err(_) => self.record(line),
            }
        };
        if let Err(broken) = read {
            self.breaks.push((number, broken));
        }
    }

    /// Says how far the box itself answers for a chain.
    fn signed(&self, id: &BoxId, chain: &Chain) -> Sentence {
        match chain.signed_upto {
            _ if !self.keys.contains_key(id) => said!("verify.not_checked"),
            Some(upto) if upto < chain.last() => said!("verify.signed_in_part", upto),
            Some(_) => said!("verify.signed_all"),
            None => said!("verify.not_signed"),
        }
    }

    /// Lists what would have to stand in the export and does not. Every box that is named, or whose key is given, has
    /// entries, and these begin with its first, except in a part.
    fn missing(&self, named: &[BoxId], is_part: bool) -> Vec<Sentence> {
        let mut missing = Vec::new();
        if self.chains.is_empty() {
            missing.push(said!("verify.empty"));
        }
        let here: BTreeSet<&BoxId> = self.chains.keys().map(|(id, _)| id).collect();
        let given = self.keys.keys().filter(|id| !self.of_file.contains(*id));
        let named: BTreeSet<&BoxId> = named.iter().chain(given).collect();
        missing.extend(named.difference(&here).map(|id| said!("verify.absent", id)));
        for ((id, epoch), chain) in &self.chains {
            if !is_part && chain.pruned.is_none() && chain.first > Link::FIRST.seq {
                let (first, before) = (chain.first, chain.first - 1);
                missing.push(said!("verify.beheaded", id, epoch, first, before));
            }
            if self.keys.contains_key(id) && chain.signed_upto.is_none() {
                missing.push(said!("verify.unsigned_log", id, epoch));
            }
        }
        missing
    }

    /// Takes a key of the file, unless the caller knows that box's key better.
    fn key(&mut self, line: &str) -> Result<(), Sentence> {
        let KeyLine { key } = serde_json::from_str(line).map_err(|error| error.say())?;
        if !self.keys.contains_key(&key.id) {
            let public = key.public.parse::<PublicKey>().map_err(|error| error.say())?;
            self.keys.insert(key.id.clone(), public);
            self.of_file.insert(key.id);
            self.keys_in_file = true;
        }
        Ok(())
    }

    /// Begins a chain behind what was deleted. The first entry has to continue it, and what the box signed binds both.
    fn pruned(&mut self, line: &str) -> Result<(), Sentence> {
        let PrunedLine { pruned } = serde_json::from_str(line).map_err(|error| error.say())?;
        let Pruned { id, epoch, upto, hash, at } = pruned;
        let after = upto.checked_add(1).filter(|after| *after > Link::FIRST.seq);
        let place = (id.clone(), epoch);
        let Some(first) = after.filter(|_| !self.chains.contains_key(&place)) else {
            return Err(said!("verify.bad_pruned", id, upto));
        };
        let dates = (Wall(i64::MAX), Wall(i64::MIN));
        let chain = Chain { first, link: Link::at(upto, hash), dates, signed_upto: None, pruned: Some(at) };
        self.chains.insert(place, chain);
        self.anchors.let_go(&id, epoch, upto);
        self.anchors.meet((&id, epoch, upto), hash)
    }

    fn record(&mut self, line: &str) -> Result<(), Sentence> {
        let body: LogBody = serde_json::from_str(line).map_err(|error| error.say())?;
        let at = body.entry.at.wall;
        let begins = Chain {
            first: body.seq,
            link: begin_of(&body),
            dates: (at, at),
            signed_upto: None,
            pruned: None,
        };
        let chain = self.chains.entry((body.box_id.clone(), body.epoch)).or_insert(begins);
        chain.dates = (chain.dates.0.min(at), chain.dates.1.max(at));
        let record = LogRecord { seq: body.seq, body: line.to_owned() };
        let checked = chain::verify_record(&body.box_id, body.epoch, chain.link, &record);
        chain.link = Link::after(body.seq, line);
        self.anchors.meet((&body.box_id, body.epoch, body.seq), chain.link.prev)?;
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
    use loaxa_heart::domain::playback::{Entry, Event, Stamp};
    use loaxa_heart::domain::time::ClockQuality;
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

    #[test]
    fn what_was_deleted_is_said_and_the_rest_is_proved() {
        let key = SecretKey::from_seed(&[1; 32]);
        let keys: [(&str, &SecretKey); 1] = [("loa-1", &key)];
        let chain = lines("loa-1", 6);
        let hash = |line: &str| ContentHash::of(line.as_bytes());
        let pruned = |upto: usize, hash: ContentHash| {
            let (id, epoch, at) = ("loa-1", Epoch(7), Wall(0));
            serde_json::json!({ "pruned": { "box": id, "epoch": epoch, "upto": upto, "hash": hash, "at": at } })
                .to_string()
        };
        let anchor = |seq: usize, hash: ContentHash| {
            let heads = format!("loa-1 {} {seq} {hash}\n", Epoch(7));
            let of = ContentHash::of(heads.as_bytes());
            serde_json::json!({ "anchor": { "day": "2026-11-26", "hash": of, "heads": heads } }).to_string()
        };
        let judged = |lines: Vec<String>| {
            let audit = audit(&lines, &keys);
            let missing = audit.missing(&[], false).len() + audit.anchors.missing(&[]).len();
            (audit.breaks.len(), missing)
        };
        let with = |before: Vec<String>, from: usize, signed: &[usize]| {
            let mut all = before;
            for (index, line) in chain.iter().enumerate().skip(from) {
                all.push(line.clone());
                all.extend(signed.contains(&(index + 1)).then(|| head(line, &key)));
            }
            all
        };
        let cut = || pruned(3, hash(&chain[2]));
        let at_cut = || head(&chain[2], &key);
        assert_eq!(judged(with(vec![cut(), at_cut()], 3, &[6])), (0, 0));
        assert_eq!(judged(with(vec![cut(), at_cut()], 6, &[])), (0, 0), "all of it is gone");
        assert_eq!(judged(with(vec![cut()], 3, &[])), (0, 1), "nobody signed it");
        assert_eq!(judged(with(vec![pruned(3, hash("other")), at_cut()], 3, &[6])).0, 2);
        assert_eq!(judged(with(vec![cut(), at_cut()], 4, &[6])).0, 1, "more is gone than is said");
        assert_eq!(judged(with(vec![cut(), cut(), at_cut()], 3, &[6])).0, 1);
        // An anchor names what is gone, the last of it, and what is left.
        let anchors = |last| vec![anchor(1, hash(&chain[0])), anchor(3, last), anchor(5, hash(&chain[4]))];
        let rest = |anchors: Vec<String>| with([anchors, vec![cut(), at_cut()]].concat(), 3, &[6]);
        assert_eq!(judged(rest(anchors(hash(&chain[2])))), (0, 0));
        assert_eq!(judged(rest(anchors(hash("other")))).0, 1);
    }

    #[test]
    fn what_is_not_there_is_missed() {
        let key = SecretKey::from_seed(&[1; 32]);
        let ids = |names: &[&str]| names.iter().map(|name| BoxId::new(*name).unwrap()).collect::<Vec<_>>();
        let missing = |lines: &[String], named: &[&str], is_part: bool, keys: &[(&str, &SecretKey)]| {
            let audit = audit(lines, keys);
            let said = audit.missing(&ids(named), is_part);
            said.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let chain = lines("loa-1", 4);
        assert_eq!(missing(&chain, &["loa-1"], false, &[]), "");
        assert!(missing(&[], &[], false, &[]).contains("no entry"));
        assert!(missing(&[], &["loa-1"], false, &[]).contains("loa-1"));
        assert!(missing(&chain, &["loa-2"], false, &[]).contains("loa-2"));
        assert!(missing(&chain[1..], &[], false, &[]).contains("entries 1 to 1 are missing"));
        assert_eq!(missing(&chain[1..], &[], true, &[]), "");
        assert!(missing(&chain, &[], false, &[("loa-1", &key)]).contains("no signature"));
        assert!(missing(&chain, &[], false, &[("loa-9", &key)]).contains("loa-9"));
        // Whoever cuts the head off and numbers the rest anew has no beginning that fits.
        let mut beheaded = lines("loa-1", 4).split_off(1);
        beheaded[0] = beheaded[0].replace("\"seq\":2", "\"seq\":1");
        assert!(!audit(&beheaded, &[]).breaks.is_empty());
    }
}
