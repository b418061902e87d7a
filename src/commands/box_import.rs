//! `loaxa box import`: takes audio and signed commands from a stick.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::language::{Failure, Outcome, of_file, words};
use loaxa_adapters::fetch::{FetchError, MediaDir, hash_of_file};
use loaxa_box::local_socket::{self, Offered};
use loaxa_heart::config::files;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;

/// Name of the list, as `sha256sum` writes it, of files that are taken although nothing on the box asks for them.
pub const MANIFEST: &str = "SHA256SUMS";

/// Suffix of a file that holds a signed command or a trust document.
pub const ENVELOPE_SUFFIX: &str = ".dsse.json";

/// Most files that are looked at, and how deep they may lie.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 4;

/// Largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

#[derive(clap::Args)]
pub struct Args {
    dir: PathBuf,
}

/// The fate of one file.
enum Fate {
    Imported,
    Here,
    NotAsked,
    Damaged(Sentence),
    Taken,
    Refused(Sentence),
}

impl Say for Fate {
    fn say(&self) -> Sentence {
        match self {
            Fate::Imported => said!("import.imported"),
            Fate::Here => said!("import.here"),
            Fate::NotAsked => said!("import.not_asked"),
            Fate::Damaged(why) => said!("import.damaged", why),
            Fate::Taken => said!("import.taken"),
            Fate::Refused(why) => said!("import.refused", why),
        }
    }
}

impl Fate {
    const fn is_bad(&self) -> bool {
        matches!(self, Fate::Damaged(_) | Fate::Refused(_))
    }
}

/// Imports what `args.dir` holds into the box whose state is in `state_dir`.
pub fn run(args: &Args, state_dir: &Path) -> Outcome {
    let mut files = Vec::new();
    collect(&args.dir, 0, &mut files).map_err(|error| of_file(&args.dir, &error))?;
    files.sort();
    let no_daemon = |error: std::io::Error| said!("import.no_daemon", path = state_dir.display(), error);
    let (envelopes, audio): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| path.to_string_lossy().ends_with(ENVELOPE_SUFFIX));
    let mut fates = Vec::new();
    // Commands first: they name the audio that comes after them.
    for path in envelopes {
        let fate = match read_envelope(&path) {
            Ok(envelope) => match local_socket::offer(state_dir, envelope).map_err(no_daemon)? {
                Offered::Taken => Fate::Taken,
                Offered::Refused { reason } => Fate::Refused(Sentence::from_outside(reason)),
            },
            Err(error) => Fate::Refused(error.say()),
        };
        fates.push(report(&args.dir, &path, fate));
    }
    let known = local_socket::known_media(state_dir).map_err(no_daemon)?;
    let listed = manifest(&args.dir)?;
    let store = MediaDir::open(state_dir.join("media"))?;
    for path in audio.into_iter().filter(|path| path != &args.dir.join(MANIFEST)) {
        let fate = take(&path, &store, &known, listed.get(&path));
        fates.push(report(&args.dir, &path, fate));
    }
    local_socket::look(state_dir).map_err(no_daemon)?;
    Ok(if fates.contains(&true) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Tells what came of a file; gives whether that was bad.
fn report(dir: &Path, path: &Path, fate: Fate) -> bool {
    println!("{}: {}", path.strip_prefix(dir).unwrap_or(path).display(), words(fate.say()));
    fate.is_bad()
}

fn take(path: &Path, store: &MediaDir, known: &BTreeSet<ContentHash>, listed: Option<&ContentHash>) -> Fate {
    let hash = match std::fs::metadata(path) {
        Ok(found) if found.len() > MEDIA_BYTES_MAX => return Fate::NotAsked,
        Ok(_) => hash_of_file(path),
        Err(error) => Err(error),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(error) => return Fate::Damaged(error.say()),
    };
    if let Some(expected) = listed.filter(|expected| **expected != hash) {
        return Fate::Damaged(FetchError::WrongContent { expected: *expected }.say());
    }
    if listed.is_none() && !known.contains(&hash) {
        return Fate::NotAsked;
    }
    if store.has(&hash) {
        return Fate::Here;
    }
    match store.take_in(path, &hash) {
        Ok(()) => Fate::Imported,
        Err(error) => Fate::Damaged(error.say()),
    }
}

fn read_envelope(path: &Path) -> std::io::Result<String> {
    files::read_text(path, MESSAGE_BYTES_MAX as u64).map_err(std::io::Error::other)
}

/// Plain files below `dir`; links are not followed.
fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEPTH_MAX {
            collect(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() == FILES_MAX {
                return Err(std::io::Error::other(said!("import.many", max = FILES_MAX)));
            }
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Files that the manifest lists, with their hashes. Without a manifest, none.
fn manifest(dir: &Path) -> Result<BTreeMap<PathBuf, ContentHash>, Failure> {
    let path = dir.join(MANIFEST);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = files::read_text(&path, MANIFEST_BYTES_MAX).map_err(|said| of_file(&path, &said))?;
    let line = |line: &str| {
        let (hash, name) = line.split_once(char::is_whitespace)?;
        let name = name.trim_start().trim_start_matches('*');
        Some((dir.join(name), hash.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}
