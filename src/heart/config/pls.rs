//! Playlists as PLS, the form of Winamp and of many stations' pages.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::tracks::{Listing, Place, Track, length_ms, lines};

/// A track by the keys of one number.
#[derive(Default)]
struct Entry<'t> {
    line: usize,
    address: Option<&'t str>,
    title: &'t str,
    ms: Option<u32>,
}

/// Reads a playlist by its `File1`, `Title1`, `Length1`, in the order of their numbers.
///
/// # Errors
/// Lists paths that lead out of the programme's directory, addresses that are no streams, too many tracks.
pub(super) fn parse(text: &str, file: &str, place: Place<'_>) -> Result<Vec<Track>, Problems> {
    let mut entries: BTreeMap<u32, Entry<'_>> = BTreeMap::new();
    for (line, text) in lines(text) {
        let Some((key, value)) = text.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        let digits = key.find(|c: char| c.is_ascii_digit()).unwrap_or(key.len());
        let Ok(number) = key[digits..].parse() else { continue };
        let name = &key[..digits];
        if !matches!(name, "file" | "title" | "length") {
            continue;
        }
        let entry = entries.entry(number).or_default();
        match name {
            "file" => (entry.address, entry.line) = (Some(value), line),
            "title" => entry.title = value,
            _ => entry.ms = length_ms(value),
        }
    }
    let mut listing = Listing::new(file, place);
    for entry in entries.values() {
        let Some(address) = entry.address.filter(|address| !address.trim().is_empty()) else { continue };
        if !listing.add(entry.line, address, entry.title, entry.ms) {
            break;
        }
    }
    listing.end()
}
