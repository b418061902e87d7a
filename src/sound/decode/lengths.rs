//! Lengths of files: one measure for uploads, imports, plays and programmes, which is what decoding gives.
//!
//! Where packets say exactly what they decode to, they are counted without being decoded. A length is kept by the
//! hash that names a file, or else by the file's place and change on the disk, so that nothing is measured twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::decoder::Decoder;
use super::start::start;
use super::tally::{Measured, Tally};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// Longest file that is measured: a day is the longest that is taken.
const LENGTH_MAX: Span = Span::secs(24 * 3_600 + 1);
/// Longest time that is spent on one file.
const WORK_MAX: Span = Span::secs(120);
/// Lengths that are kept; the first keys in order go first.
const KEPT_MAX: usize = 4_096;
/// Bytes at the end of a Matroska file in which its last block lies.
const LAST_BLOCK_BYTES: u64 = 64 << 10;

/// Lengths that are known, and the file in which they are kept over restarts.
#[derive(Default)]
struct Kept {
    known: BTreeMap<String, Measured>,
    file: Option<PathBuf>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { known: BTreeMap::new(), file: None });

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps lengths in a file from now on; those that it holds are known.
pub fn keep_in(file: PathBuf) {
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut kept = kept();
    kept.known.extend(text.lines().filter_map(of_line).take(KEPT_MAX));
    kept.file = Some(file);
}

/// Key, microseconds or `-`, whether times lie, and whether it is cut.
fn line(key: &str, measured: &Measured) -> String {
    let Measured { length, times_lie, is_cut } = measured;
    let length = length.map_or("-".to_owned(), |length| length.0.to_string());
    format!("{key} {length} {times_lie} {is_cut}\n")
}

fn of_line(line: &str) -> Option<(String, Measured)> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let number = |word: &str| if word == "-" { Some(None) } else { word.parse().ok().map(Some) };
    let (key, length) = (word()?, number(word()?)?.map(Span));
    let (times_lie, is_cut) = (word()?.parse().ok()?, word()?.parse().ok()?);
    Some((key.to_owned(), Measured { length, times_lie, is_cut }))
}

/// The hash that names a file, or its place on the disk with its size and change.
fn key(path: &Path, hash: Option<ContentHash>) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let named = hash.or_else(|| named(path));
    let place =
        || format!("{}:{}:{}:{}.{}", meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    Some(named.map_or_else(place, |hash| hash.to_string()))
}

/// The hash that names a file of the audio folders.
fn named(path: &Path) -> Option<ContentHash> {
    path.file_name().and_then(|name| name.to_str()?.parse().ok())
}

/// Tells a file's length, and measures it where that is not known.
///
/// # Errors
/// Fails as [`super::open`] does.
pub fn of(path: &Path, hash: Option<ContentHash>, what: &str) -> Result<Measured, Fault> {
    let key = key(path, hash);
    if let Some(known) = key.as_ref().and_then(|key| kept().known.get(key).copied()) {
        return Ok(known);
    }
    let measured = measure(path, what)?;
    if let Some(key) = key {
        keep(key, measured);
    }
    Ok(measured)
}

fn keep(key: String, measured: Measured) {
    // Who asks for a length that is known does not wait for the disk.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (file, text) = {
        let mut kept = kept();
        while kept.known.len() >= KEPT_MAX && !kept.known.contains_key(&key) {
            kept.known.pop_first();
        }
        kept.known.insert(key, measured);
        let Some(file) = kept.file.clone() else { return };
        (file, kept.known.iter().map(|(key, measured)| line(key, measured)).collect::<String>())
    };
    let fresh = file.with_extension("new");
    if let Err(error) = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &file)) {
        tracing::warn!(%error, file = %file.display(), "a measured length could not be kept");
    }
}

/// Counts a file's frames to its end.
fn measure(path: &Path, what: &str) -> Result<Measured, Fault> {
    let mut decoder = start(path, true)?.begun()?;
    let (begin, mut tally) = (monotonic(), Tally::default());
    let none = Measured { length: None, times_lie: false, is_cut: false };
    // What is decodable up to a fault counts; playing ends there, too.
    while let Ok(true) = decoder.advance() {
        tally.add(decoder.block().len() as u64, decoder.rate());
        if tally.span() > LENGTH_MAX || monotonic().since(begin) > WORK_MAX {
            tracing::warn!(what, "its length could not be measured in time");
            return Ok(none);
        }
    }
    let mut length = tally.span();
    let padding = padding(path, &decoder);
    length = length.saturating_sub(padding.unwrap_or_default());
    let (times_lie, is_cut) = (decoder.times_lie(length), padding.is_some());
    Ok(Measured { length: Some(length), times_lie, is_cut })
}

/// The time that the last block of a Matroska file asks to discard, as encoders fill up their last packet.
fn padding(path: &Path, decoder: &Decoder) -> Option<Span> {
    if !decoder.is_matroska() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(LAST_BLOCK_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.take(LAST_BLOCK_BYTES).read_to_end(&mut tail).ok()?;
    // The element DiscardPadding, a number of nanoseconds of one to eight bytes (RFC 9559).
    let at = tail.windows(3).rposition(|it| it[..2] == [0x75, 0xa2] && (0x81..=0x88).contains(&it[2]))?;
    let size = usize::from(tail[at + 2] & 0x0f);
    let value = tail.get(at + 3..at + 3 + size)?;
    let first = if value[0] & 0x80 != 0 { -1 } else { 0 };
    let nanos = value.iter().fold(first, |number: i64, byte| number << 8 | i64::from(*byte));
    u64::try_from(nanos).ok().map(|nanos| Span(nanos / 1_000)).filter(|span| *span < Span::secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        for (length, times_lie, is_cut) in [(Some(Span(7)), true, true), (None, false, false)] {
            let measured = Measured { length, times_lie, is_cut };
            assert_eq!(
                of_line(line("1:2:3:4.5", &measured).trim_end()),
                Some(("1:2:3:4.5".to_owned(), measured))
            );
        }
        assert_eq!(of_line("half a line"), None);
    }
}
