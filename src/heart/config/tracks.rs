//! Tracks of playlists, and the addresses by which other programs name them.

use crate::said;
use crate::texts::Sentence;
use std::path::{Component, Path, PathBuf};

use super::problem::{Problem, Problems};

/// One line of a playlist with what the list said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// As the list says, else the file's name.
    pub title: String,
    pub source: Source,
    /// The path as it was written, where that is another one: a name may hold a percent sign that escapes nothing. Who
    /// can look at the files takes this one if it exists.
    pub literal: Option<PathBuf>,
    /// Length, if the list says it.
    pub ms: Option<u32>,
    /// Line in the file, from 1.
    pub line: usize,
}

/// The address of a track: a file or a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path below the directory of the programme.
    File(PathBuf),
    /// An address of a stream.
    Stream(String),
}

/// The place of a playlist.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// Directory of the list, seen from the programme's.
    pub inside: &'p Path,
    /// Directory of the programme from the root, where whole paths are to be recognised.
    pub base: Option<&'p Path>,
}

impl<'p> Place<'p> {
    /// The place of a list in a directory of which no more is known.
    pub const fn inside(inside: &'p Path) -> Self {
        Self { inside, base: None }
    }
}

/// Most tracks of a playlist.
pub const TRACKS_MAX: usize = 5_000;

/// Longest track that is believed, 24 h.
const SECONDS_MAX: f64 = 86_400.0;

/// Most problems of one list that are told.
const PROBLEMS_MAX: usize = 100;

/// A playlist that is being read.
pub(super) struct Listing<'l> {
    file: &'l str,
    place: Place<'l>,
    tracks: Vec<Track>,
    problems: Vec<Problem>,
}

impl<'l> Listing<'l> {
    pub fn new(file: &'l str, place: Place<'l>) -> Self {
        Self { file, place, tracks: Vec::new(), problems: Vec::new() }
    }

    /// Notes what is wrong in a line.
    pub fn problem(&mut self, line: usize, said: Sentence) {
        if self.problems.len() < PROBLEMS_MAX {
            let (file, key) = (self.file.to_owned(), String::new());
            self.problems.push(Problem { file, line, column: 1, key, said });
        }
    }

    /// Adds a track by its address as it was written; says whether there is room for more.
    pub fn add(&mut self, line: usize, address: &str, title: &str, ms: Option<u32>) -> bool {
        if self.tracks.len() == TRACKS_MAX {
            self.problem(line, said!("m3u8.many", max = TRACKS_MAX));
            return false;
        }
        match source(address, self.place) {
            Ok((source, literal)) => {
                let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
                let title = if title.is_empty() { title_of(&source) } else { title };
                self.tracks.push(Track { title, source, literal, ms, line });
            }
            Err(said) => self.problem(line, said),
        }
        true
    }

    /// Gives the tracks.
    ///
    /// # Errors
    /// Lists all that was wrong.
    pub fn end(self) -> Result<Vec<Track>, Problems> {
        if self.problems.is_empty() { Ok(self.tracks) } else { Err(Problems(self.problems)) }
    }
}

/// Reads a length in seconds; what is negative or absurd is unknown.
pub(super) fn length_ms(seconds: &str) -> Option<u32> {
    let seconds: f64 = seconds.trim().parse().ok()?;
    (seconds > 0.0 && seconds <= SECONDS_MAX).then_some((seconds * 1_000.0).round() as u32)
}

/// Splits a text into lines, whichever way the program that wrote it ends them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    lines.enumerate().map(|(index, line)| (index + 1, line))
}

/// Reads an address: a stream, a URL of a file, or a path as Windows or others write it, with or without percent escapes.
fn source(written: &str, place: Place<'_>) -> Result<(Source, Option<PathBuf>), Sentence> {
    let address = written.trim();
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some(scheme @ ("http" | "https")) => {
            return Ok((Source::Stream(format!("{scheme}{}", &address[scheme.len()..])), None));
        }
        Some("file") => {}
        Some(scheme) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
            return Err(said!("m3u8.no_stream", line = written.escape_debug()));
        }
        _ => {}
    }
    if address.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:")) {
        let after = &address[5..];
        let path = match after.strip_prefix("//") {
            None => after,
            Some(path) if path.starts_with('/') => path,
            Some(of_host) => match of_host.strip_prefix("localhost").filter(|path| path.starts_with('/')) {
                Some(path) => path,
                None => return Err(said!("m3u8.leads_away", line = written.escape_debug())),
            },
        };
        let path = percent_decoded(path).unwrap_or_else(|| path.to_owned());
        return Ok((Source::File(path_of(&path, written, place)?), None));
    }
    match percent_decoded(address) {
        None if address == written => Ok((Source::File(path_of(address, written, place)?), None)),
        decoded => {
            let decoded = decoded.unwrap_or_else(|| address.to_owned());
            let literal = path_of(written, written, place);
            let path = path_of(&decoded, written, place)?;
            Ok((Source::File(path.clone()), literal.ok().filter(|literal| *literal != path)))
        }
    }
}

/// Follows a path from the list, as long as it stays inside the programme's directory.
fn path_of(path: &str, written: &str, place: Place<'_>) -> Result<PathBuf, Sentence> {
    let leads_away = || Err(said!("m3u8.leads_away", line = written.escape_debug()));
    let path = path.replace('\\', "/");
    if path.contains(['\0', '\r', '\n']) {
        return leads_away();
    }
    let path = Path::new(&path);
    let here = place.base.filter(|_| path.is_absolute()).and_then(|base| path.strip_prefix(base).ok());
    let (mut found, rest) = match here {
        Some(rest) => (PathBuf::new(), rest),
        None => (place.inside.to_owned(), path),
    };
    for part in rest.components() {
        match part {
            // A drive letter.
            Component::Normal(name) if name.to_string_lossy().ends_with(':') => return leads_away(),
            Component::Normal(name) => found.push(name),
            Component::CurDir => {}
            // As long as it stays inside: popping an empty path fails.
            Component::ParentDir if found.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return leads_away(),
        }
    }
    Ok(found)
}

/// Resolves the percent escapes of a text; `None` where there are none, or they are no UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (*first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| 16 * high + low),
            _ => None,
        };
        match escaped {
            Some(byte) => {
                decoded.push(byte as u8);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    if decoded.len() == text.len() { None } else { String::from_utf8(decoded).ok() }
}

fn title_of(source: &Source) -> String {
    match source {
        Source::Stream(url) => url.clone(),
        Source::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}
