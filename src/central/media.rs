//! The media folder: audio named by its SHA-256, served with Range, never changed.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use sha2::Digest;
use tower_http::services::ServeFile;

use crate::convert;
use crate::scanner::{self, Verdict};
use crate::store::MediaRow;
use loaxa_adapters::disk::free_bytes;
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::text::clean;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence, steers};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;
use loaxa_sound::decode;

/// Longest audio that is taken: a day.
const MS_MAX: u64 = 24 * 3_600 * 1_000;

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes at the beginning of a file that say what it is.
pub const HEADER_BYTES: u64 = 64;
/// Bytes of a file after which the disk's room is looked at again.
const LOOK_EVERY_BYTES: u64 = 1024 * 1024;
/// Room that the disk keeps for logs and orders, in bytes.
const FREE_MIN: u64 = 64 * 1024 * 1024;

/// The folder in which audio lies.
#[derive(Debug, Clone)]
pub struct MediaFolder {
    root: PathBuf,
    /// The command that scans what is sent; empty where there is none.
    scanner: Vec<String>,
}

/// A reason for which audio is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum MediaRefusal {
    TooLarge,
    Unplayable(Fault),
    NoLength,
    /// The machine did not get done with converting it.
    NotConverted,
    /// The length of the audio and the most that is taken, in minutes.
    TooLong {
        minutes: u64,
        max: u64,
    },
    Disk(#[from] std::io::Error),
    /// The office's scanner found something.
    Malicious,
    /// The office's scanner does not work.
    Unscanned,
}

impl Say for MediaRefusal {
    fn say(&self) -> Sentence {
        match self {
            MediaRefusal::TooLarge => said!("media.too_large", max = MEDIA_BYTES_MAX >> 20),
            MediaRefusal::Unplayable(fault) => said!("media.unplayable", fault),
            MediaRefusal::NoLength => said!("media.no_length"),
            MediaRefusal::NotConverted => said!("media.not_converted"),
            MediaRefusal::TooLong { minutes, max } => said!("media.too_long", minutes, max),
            MediaRefusal::Disk(error) => said!("media.disk", error),
            MediaRefusal::Malicious => said!("media.malicious"),
            MediaRefusal::Unscanned => said!("media.unscanned"),
        }
    }
}

impl MediaFolder {
    /// Opens a folder, and makes it where there is none.
    ///
    /// # Errors
    /// Fails when it can't be made.
    pub fn open(root: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(root.join(INCOMING))?;
        decode::lengths::keep_in(root.join("lengths"));
        let folder = Self { root, scanner: Vec::new() };
        folder.bring_back();
        Ok(folder)
    }

    /// The file with the audio of this hash.
    pub fn path(&self, hash: ContentHash) -> PathBuf {
        hash.path_under(&self.root)
    }

    /// Puts the file of a hash aside; unless it is deleted then, it comes back.
    ///
    /// # Errors
    /// Fails when the disk refuses. A file that is gone already is put aside as well.
    pub fn put_aside(&self, hash: ContentHash) -> std::io::Result<Aside> {
        let (place, aside) = (self.path(hash), self.root.join(INCOMING).join(format!("{hash}{ASIDE}")));
        match std::fs::rename(&place, &aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(Aside { place, aside }),
        }
    }

    /// Brings back what was put aside when the power went.
    fn bring_back(&self) {
        let entries = std::fs::read_dir(self.root.join(INCOMING)).into_iter().flatten().flatten();
        for aside in entries.map(|entry| entry.path()) {
            let name = aside.file_name().and_then(|name| name.to_str()?.strip_suffix(ASIDE));
            if let Some(hash) = name.and_then(|name| name.parse().ok()) {
                drop(Aside { place: self.path(hash), aside });
            }
        }
    }

    /// Adds up the bytes of all files.
    pub fn bytes(&self) -> u64 {
        bytes_under(&self.root)
    }

    /// Begins to take a file in.
    ///
    /// # Errors
    /// Fails when it can't be created.
    pub fn begin(&self) -> std::io::Result<Incoming> {
        keep_room(&self.root)?;
        let mut incoming = self.begin_anyhow()?;
        incoming.keeps_room = true;
        Ok(incoming)
    }

    /// Begins to take a file in that is urgent, also into the room that is kept for orders.
    ///
    /// # Errors
    /// Fails when it can't be created.
    pub fn begin_anyhow(&self) -> std::io::Result<Incoming> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let path = self.root.join(INCOMING).join(format!("{:016x}", u64::from_be_bytes(random)));
        let file = std::fs::File::create_new(&path)?;
        Ok(Incoming { file, path, hash: sha2::Sha256::new(), bytes: 0, keeps_room: false })
    }

    /// Has what people and programs send scanned by this command from now on.
    #[must_use]
    pub fn scanned_by(self, scanner: Vec<String>) -> Self {
        Self { scanner, ..self }
    }

    /// Has a file scanned that came from outside.
    ///
    /// # Errors
    /// Fails when the scanner finds something in the file, or does not work.
    pub fn scan(&self, incoming: &Incoming) -> Result<(), MediaRefusal> {
        match scanner::ask(&self.scanner, &incoming.path) {
            Verdict::Clean => Ok(()),
            Verdict::Malicious => Err(MediaRefusal::Malicious),
            Verdict::Unknown => Err(MediaRefusal::Unscanned),
        }
    }

    /// Checks that a file can be played, and gives it its final name.
    ///
    /// # Errors
    /// Fails when it is no audio, or the disk refuses. Nothing is left behind then.
    pub fn finish(&self, incoming: Incoming, name: &str, now: Wall) -> Result<MediaRow, MediaRefusal> {
        self.finish_within(incoming, name, now, MS_MAX)
    }

    /// The same for audio that may last at most so many milliseconds.
    ///
    /// # Errors
    /// As [`Self::finish`], and when it lasts longer.
    pub fn finish_within(
        &self,
        incoming: Incoming,
        name: &str,
        now: Wall,
        ms_max: u64,
    ) -> Result<MediaRow, MediaRefusal> {
        incoming.file.sync_all()?;
        let name = &shown_name(name);
        match self.keep(&incoming, name, now, ms_max) {
            Err(MediaRefusal::Unplayable(fault)) => self.convert(incoming, name, now, (fault, ms_max)),
            other => other,
        }
    }

    /// Gives a file its final name that boxes do not play.
    ///
    /// # Errors
    /// Fails when the disk refuses. Nothing is left behind then.
    pub fn finish_as_it_is(&self, incoming: Incoming) -> Result<ContentHash, MediaRefusal> {
        incoming.file.sync_all()?;
        let sha256 = incoming.sha256();
        move_to(&incoming.path, &self.path(sha256))?;
        Ok(sha256)
    }

    /// Gives a file that can be played its final name.
    fn keep(
        &self,
        incoming: &Incoming,
        name: &str,
        now: Wall,
        ms_max: u64,
    ) -> Result<MediaRow, MediaRefusal> {
        let sha256 = incoming.sha256();
        let info = decode::probe_named(&incoming.path, sha256)
            .map_err(|fault| MediaRefusal::Unplayable(as_named(fault, name)))?;
        if info.ms == 0 || info.ms > MS_MAX {
            return Err(MediaRefusal::NoLength);
        }
        if info.ms > ms_max {
            return Err(too_long(info.ms, ms_max));
        }
        move_to(&incoming.path, &self.path(sha256))?;
        Ok(MediaRow {
            sha256,
            bytes: incoming.bytes,
            codec: info.codec,
            ms: info.ms as u32,
            name: name.to_owned(),
            added: now,
        })
    }

    /// Converts what boxes can't play, and keeps the original beside; fails with `fault` where that can't be done.
    fn convert(
        &self,
        original: Incoming,
        name: &str,
        now: Wall,
        (fault, ms_max): (Fault, u64),
    ) -> Result<MediaRow, MediaRefusal> {
        if let Some(ms) = convert::ms_of(&original.path).filter(|ms| *ms > ms_max) {
            return Err(too_long(ms, ms_max));
        }
        let mut converted = self.begin()?;
        let is_done = convert::to_m4a(&original.path, &converted.path, ms_max + BEYOND_MS);
        let is_done = is_done.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => MediaRefusal::NotConverted,
            _ => MediaRefusal::Disk(error),
        });
        if !is_done? {
            return Err(MediaRefusal::Unplayable(fault));
        }
        let mut file = std::fs::File::open(&converted.path)?;
        converted.count(&mut file)?;
        // It was cut off where a file is too large.
        if converted.bytes + CUT_WITHIN > MEDIA_BYTES_MAX {
            return Err(MediaRefusal::TooLarge);
        }
        let form = decode::foreign(&original.path).map_or_else(|| suffix(name), str::to_owned);
        let row = self.keep(&converted, &format!("{name} ({form}{CONVERTED})"), now, ms_max)?;
        move_to(&original.path, &self.root.join(ORIGINALS).join(original.sha256().to_string()))?;
        tracing::info!(name, form, original = %original.sha256(), sha256 = %row.sha256, "a recording was converted");
        Ok(row)
    }

    /// Deletes recordings as they came that were converted before then, some at a time, and counts them.
    ///
    /// # Errors
    /// Fails where the folder can't be read.
    pub fn forget_originals(&self, before: Wall) -> std::io::Result<u64> {
        let folder = match std::fs::read_dir(self.root.join(ORIGINALS)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let before = UNIX_EPOCH + Duration::from_micros(before.0.max(0) as u64);
        let mut gone = 0;
        for entry in folder.flatten().take(ORIGINALS_AT_ONCE) {
            let is_old = entry.metadata()?.modified()? < before;
            if is_old && std::fs::remove_file(entry.path()).is_ok() {
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Answers a request for the audio of this hash, or a part of it.
    pub async fn serve(&self, name: &str, request: Request<Body>) -> Response<Body> {
        let Ok(hash) = name.parse::<ContentHash>() else {
            return (StatusCode::NOT_FOUND, "media are named by 64 hex digits\n").into_response();
        };
        match ServeFile::new(self.path(hash)).try_call(request).await {
            Ok(response) => {
                let mut response = response.map(Body::new);
                // Audio that nobody has approved yet stays in no browser: every answer without a word of it is `no-store`.
                if let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                response
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                (StatusCode::NOT_FOUND, "no such media\n").into_response()
            }
            Err(error) => {
                tracing::error!(%hash, %error, "media can't be read");
                (StatusCode::INTERNAL_SERVER_ERROR, "the media can't be read\n").into_response()
            }
        }
    }
}

/// Subfolder of files that are still coming in.
const INCOMING: &str = "incoming";
/// The end of the name of a file that is put aside.
const ASIDE: &str = ".aside";
/// Subfolder of recordings that were converted, as they came, by their hash.
const ORIGINALS: &str = "originals";
/// Most recordings of that folder that are looked at in one go.
const ORIGINALS_AT_ONCE: usize = 10_000;
/// The time by which what is converted may be longer than what is taken, so that it is seen to be too long, in milliseconds.
const BEYOND_MS: u64 = 1_000;
/// Bytes within which ffmpeg keeps to the size that it is given.
const CUT_WITHIN: u64 = 1 << 20;
/// The end of the name of what was converted, behind the form that it had.
const CONVERTED: &str = " → M4A";

fn too_long(ms: u64, ms_max: u64) -> MediaRefusal {
    MediaRefusal::TooLong { minutes: ms.div_ceil(60_000), max: ms_max / 60_000 }
}

/// Most letters of such a form.
const SUFFIX_MAX: usize = 5;

/// Names the form that audio had before it was converted.
pub fn converted_from(row: &MediaRow) -> Option<&str> {
    row.name.strip_suffix(')')?.strip_suffix(CONVERTED)?.rsplit_once(" (").map(|(_, form)| form)
}

/// Longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A file's name as lists show it: on one line, without what steers a terminal or turns the writing around, bounded.
fn shown_name(name: &str) -> String {
    let plain = clean(name).replace(['\n', '\t'], " ");
    plain.chars().filter(|c| !steers(*c)).take(NAME_CHARS_MAX).collect()
}

/// The end of a file's name, as the name of its form.
fn suffix(name: &str) -> String {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let letters = suffix.chars().filter(char::is_ascii_alphanumeric).take(SUFFIX_MAX);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

/// Adds up the bytes of the files in a folder; what can't be read counts nothing.
fn bytes_under(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_under(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// A file that was put aside; dropped, it comes back, unless another came to its place meanwhile.
pub struct Aside {
    place: PathBuf,
    aside: PathBuf,
}

impl Aside {
    /// Deletes the file.
    pub fn delete(self) {
        // Where that fails it comes back.
        let _ = std::fs::remove_file(&self.aside);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.place.exists() {
            let _ = std::fs::remove_file(&self.aside);
        } else if let Err(error) = std::fs::rename(&self.aside, &self.place)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::error!(file = %self.place.display(), %error, "a file that was put aside does not come back");
        }
    }
}

/// Checks that the disk has more room than logs and orders need.
///
/// # Errors
/// [`std::io::ErrorKind::StorageFull`] where it has not; and where it does not say.
pub fn keep_room(place: &Path) -> std::io::Result<()> {
    if free_bytes(place)? < FREE_MIN { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

fn move_to(from: &Path, place: &Path) -> std::io::Result<()> {
    let folder = place.parent().expect("each place lies in a folder");
    std::fs::create_dir_all(folder)?;
    std::fs::rename(from, place)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Puts the name that people know into a fault that names a temporary file.
fn as_named(fault: Fault, name: &str) -> Fault {
    match fault {
        Fault::Damaged { detail, .. } => Fault::Damaged { what: name.to_owned(), detail },
        Fault::Missing { .. } => Fault::Missing { what: name.to_owned() },
        other => other,
    }
}

/// A file that is coming in; dropped before its end, the file is deleted.
pub struct Incoming {
    file: std::fs::File,
    path: PathBuf,
    hash: sha2::Sha256,
    bytes: u64,
    /// The file stops before the room that is kept for orders: it is not urgent.
    keeps_room: bool,
}

impl Incoming {
    /// Adds bytes.
    ///
    /// # Errors
    /// Fails when it grows too large, or the disk refuses.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), MediaRefusal> {
        let before = self.bytes;
        self.bytes += chunk.len() as u64;
        if self.keeps_room && before / LOOK_EVERY_BYTES != self.bytes / LOOK_EVERY_BYTES {
            keep_room(&self.path)?;
        }
        if self.bytes > MEDIA_BYTES_MAX {
            return Err(MediaRefusal::TooLarge);
        }
        self.hash.update(chunk);
        self.file.write_all(chunk)?;
        Ok(())
    }
}

impl Incoming {
    /// Reads the first bytes that came.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn header(&self) -> Result<Vec<u8>, MediaRefusal> {
        let mut header = Vec::new();
        std::fs::File::open(&self.path)?.take(HEADER_BYTES).read_to_end(&mut header)?;
        Ok(header)
    }

    /// Returns how many bytes came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sha256(&self) -> ContentHash {
        ContentHash(self.hash.clone().finalize().into())
    }

    /// Takes account of what another program wrote here.
    fn count(&mut self, file: &mut std::fs::File) -> Result<(), MediaRefusal> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(file.sync_all()?),
                bytes => self.hash.update(&chunk[..bytes]),
            }
            self.bytes = file.metadata()?.len();
        }
    }

    /// Adds everything that a file holds from where it is.
    ///
    /// # Errors
    /// Fails as [`Self::write`] does, and when the file can't be read.
    pub fn write_all_of(&mut self, file: &mut std::fs::File) -> Result<(), MediaRefusal> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(()),
                bytes => self.write(&chunk[..bytes])?,
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // A file that got its final name is no longer here.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Names a media file as a command does.
pub fn reference(row: &MediaRow) -> Media {
    Media {
        sha256: row.sha256,
        bytes: row.bytes,
        codec: row.codec.clone(),
        ms: row.ms,
        path: row.sha256.to_string(),
    }
}
