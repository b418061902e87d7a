//! The fuzz targets on stable Rust: the corpus as it is, and seeded mutations of it.
//!
//! `LOAXA_FUZZ` is the number of mutations of each target, `LOAXA_SEED` chooses them. A failure prints the input.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutations of each target where nothing else is asked for.
const MUTATIONS: u64 = 1_500;

/// Texts that parsers trip over.
const TOKENS: [&[u8]; 20] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\n",
    b"\\",
    b"=",
    b"\0",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e999",
    b"null",
    b"../",
    b"\xff",
    "ế".as_bytes(),
    b"2026-02-30T25:61:61Z",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn mutate(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len());
        let end = (at + dice.below(40)).min(data.len());
        match dice.below(6) {
            0 if !data.is_empty() => data[at] ^= 1 << dice.below(8),
            1 => drop(data.drain(at..end)),
            2 => {
                let token = TOKENS[dice.below(TOKENS.len())];
                drop(data.splice(at..at, token.iter().copied()));
            }
            3 => {
                let copied = data[at..end].to_vec();
                drop(data.splice(at..at, copied));
            }
            4 => data.truncate(at),
            _ => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = (from + dice.below(60)).min(other.len());
                drop(data.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    data
}

fn check(name: &str, target: fn(&[u8])) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut dice = Dice(number("LOAXA_SEED").unwrap_or(1));
    let mutations = (0..number("LOAXA_FUZZ").unwrap_or(MUTATIONS)).map(|_| mutate(&mut dice, &corpus));
    for data in corpus.clone().into_iter().chain(mutations) {
        if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
            panic!(
                "{name}: put this into fuzz/corpus/{name}/ and mend it:\n{}",
                String::from_utf8_lossy(&data)
            );
        }
    }
}

#[test]
fn envelopes() {
    check("envelope", targets::envelope);
}

#[test]
fn messages() {
    check("messages", targets::messages);
}

#[test]
fn trust_documents() {
    check("trust", targets::trust);
}

#[test]
fn programmes() {
    check("programme", targets::programme);
}

#[test]
fn playlists() {
    check("m3u8", targets::m3u8);
}

#[test]
fn alerts() {
    check("cap", targets::cap);
}

#[test]
fn calendars() {
    check("ical", targets::ical);
}

#[test]
fn enrolments() {
    check("enrolment", targets::enrolment);
}

#[test]
fn signed_trust_documents() {
    check("trust_document", targets::trust_document);
}

#[test]
fn xml_in_envelopes() {
    check("sealed_xml", targets::sealed_xml);
}
