//! FLAC and Matroska files that were joined by joining their bytes: each part has a header of its own, and all sound.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symphonia::core::errors::{Error, Result};
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{
    FormatInfo, FormatOptions, FormatReader, MediaInfo, SeekMode, SeekTo, SeekedTo, Track,
};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::{Metadata, MetadataOptions};
use symphonia::core::packet::Packet;

/// Parts that one file may have.
const PARTS_MAX: usize = 10_000;
/// Parts that can't be read after which no more are looked for.
const BROKEN_PARTS_MAX: usize = 10;
/// Bytes by which the beginning of a part is known.
const MAGIC_BYTES: usize = 16;
/// Bytes read from a file at a time.
const PIECE_BYTES: usize = 32 << 10;

/// A form of which parts are known by their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Flac,
    Matroska,
}

impl Form {
    const ALL: [Self; 2] = [Self::Flac, Self::Matroska];

    fn begins(self, bytes: &[u8]) -> bool {
        match self {
            // The block with the stream's form comes first, and has 34 bytes.
            Self::Flac => {
                bytes.starts_with(b"fLaC")
                    && bytes.get(4..8).is_some_and(|block| block[0] & 0x7f == 0 && block[1..] == [0, 0, 34])
            }
            // The version of EBML comes first.
            Self::Matroska => {
                bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
                    && bytes.get(5..14).is_some_and(|rest| rest.windows(2).any(|it| it == [0x42, 0x86]))
            }
        }
    }

    fn first_byte(self) -> u8 {
        match self {
            Self::Flac => b'f',
            Self::Matroska => 0x1a,
        }
    }
}

/// Reads a file's container, part by part where it may be joined.
///
/// # Errors
/// Fails where no reader knows it.
pub fn open(mut source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>> {
    let mut head = Vec::new();
    if source.is_seekable() {
        (&mut source).take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
        source.seek(SeekFrom::Start(0))?;
    }
    let Some(form) = Form::ALL.into_iter().find(|form| form.begins(&head)) else {
        return probe(source);
    };
    let bytes = source.seek(SeekFrom::End(0))?;
    let parts = Arc::new(Mutex::new(Parts { source, form, bytes, seen: 0, next: None }));
    let now = Joined::part(&parts, 0)?;
    Ok(Box::new(Joined { parts, now, count: 1, broken: 0 }))
}

fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>> {
    let stream = MediaSourceStream::new(source, Default::default());
    let (options, metadata) = (FormatOptions::default(), MetadataOptions::default());
    symphonia::default::get_probe().probe(&Hint::new(), stream, options, metadata)
}

/// A file of parts, and the place of the next one once it was seen.
struct Parts {
    source: Box<dyn MediaSource>,
    form: Form,
    bytes: u64,
    /// Place up to which this part was looked through for the next one.
    seen: u64,
    next: Option<u64>,
}

fn locked(parts: &Mutex<Parts>) -> MutexGuard<'_, Parts> {
    parts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One part as a file, which ends where the next one begins.
struct Part {
    parts: Arc<Mutex<Parts>>,
    from: u64,
    /// Place in the file of the first byte that is held.
    at: u64,
    held: Vec<u8>,
}

impl Part {
    /// Holds bytes that are of this part; none at its end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut parts = locked(&self.parts);
        let place = self.at + self.held.len() as u64;
        parts.source.seek(SeekFrom::Start(place))?;
        let wanted = (PIECE_BYTES + MAGIC_BYTES).saturating_sub(self.held.len()) as u64;
        (&mut parts.source).take(wanted).read_to_end(&mut self.held)?;
        if let Some(next) = parts.next {
            let mine = usize::try_from(next.saturating_sub(self.at)).unwrap_or(usize::MAX);
            self.held.truncate(mine);
            return Ok(self.held.len());
        }
        let is_last = self.at + self.held.len() as u64 >= parts.bytes;
        // What may begin another part is known with the bytes behind it.
        let sure = if is_last { self.held.len() } else { self.held.len().saturating_sub(MAGIC_BYTES) };
        let own = usize::from(self.at == self.from);
        let first = parts.form.first_byte();
        let mut look = own;
        while let Some(step) =
            self.held.get(look..sure).and_then(|it| it.iter().position(|byte| *byte == first))
        {
            look += step;
            if parts.form.begins(&self.held[look..]) {
                parts.next = Some(self.at + look as u64);
                self.held.truncate(look);
                return Ok(look);
            }
            look += 1;
        }
        if self.at <= parts.seen {
            parts.seen = parts.seen.max(self.at + sure as u64);
        }
        Ok(sure)
    }

    fn pass(&mut self, count: usize) {
        self.held.drain(..count);
        self.at += count as u64;
    }
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill()?.min(out.len());
        out[..count].copy_from_slice(&self.held[..count]);
        self.pass(count);
        Ok(count)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let bytes = self.byte_len().unwrap_or(0);
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => bytes.checked_add_signed(by),
            SeekFrom::Current(by) => (self.at - self.from).checked_add_signed(by),
        };
        let at = at.ok_or(io::ErrorKind::InvalidInput)?.min(bytes);
        self.held.clear();
        self.at = self.from + at;
        Ok(at)
    }
}

impl MediaSource for Part {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        let parts = locked(&self.parts);
        Some(parts.next.unwrap_or(parts.bytes).saturating_sub(self.from))
    }
}

/// The parts of a file, one after the other.
struct Joined {
    parts: Arc<Mutex<Parts>>,
    now: Box<dyn FormatReader>,
    count: usize,
    broken: usize,
}

impl Joined {
    fn part(parts: &Arc<Mutex<Parts>>, from: u64) -> Result<Box<dyn FormatReader>> {
        locked(parts).seen = from;
        probe(Box::new(Part { parts: parts.clone(), from, at: from, held: Vec::new() }))
    }

    /// Enters the next part that can be read, if there is one.
    fn enter_next(&mut self) -> Result<bool> {
        while self.count < PARTS_MAX && self.broken < BROKEN_PARTS_MAX {
            let Some(next) = self.find_next()? else { return Ok(false) };
            self.count += 1;
            match Self::part(&self.parts, next) {
                Ok(part) => {
                    self.now = part;
                    return Ok(true);
                }
                Err(Error::IoError(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(Error::IoError(error));
                }
                Err(_) => {
                    self.broken += 1;
                    let mut parts = locked(&self.parts);
                    (parts.seen, parts.next) = (next + 1, None);
                }
            }
        }
        Ok(false)
    }

    /// Finds the beginning of a part behind what was seen: a reader may end where its own container does, before that.
    fn find_next(&mut self) -> io::Result<Option<u64>> {
        let from = locked(&self.parts).seen;
        let mut rest = Part { parts: self.parts.clone(), from: u64::MAX, at: from, held: Vec::new() };
        while locked(&self.parts).next.is_none() {
            let count = rest.fill()?;
            if count == 0 {
                break;
            }
            rest.pass(count);
        }
        Ok(locked(&self.parts).next.take())
    }
}

impl FormatReader for Joined {
    fn format_info(&self) -> &FormatInfo {
        self.now.format_info()
    }

    fn media_info(&self) -> &MediaInfo {
        self.now.media_info()
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.now.metadata()
    }

    fn tracks(&self) -> &[Track] {
        self.now.tracks()
    }

    fn seek(&mut self, mode: SeekMode, to: SeekTo) -> Result<SeekedTo> {
        self.now.seek(mode, to)
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        let ended = match self.now.next_packet() {
            Ok(None) => Ok(None),
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::IoError(error))
            }
            other => return other,
        };
        if self.enter_next()? { Err(Error::ResetRequired) } else { ended }
    }

    fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
    where
        Self: 's,
    {
        self.now.into_inner()
    }
}
