//! Files that were cut off on their way, or have something behind their end: lengths in the headers are brought to what
//! is there, so that the sound that came is heard.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::flac_end;
use super::window::Window;

/// Chunks, boxes or elements that are looked at.
const PARTS_MAX: usize = 100_000;
/// Bytes of a tag of ID3v1.
const ID3V1: u64 = 128;
/// Longest page of Ogg, and the bytes of its head before the table of its parts (RFC 3533, 6).
const PAGE_BYTES_MAX: u64 = 65_307;
const PAGE_HEAD: usize = 27;
/// Boxes of the index of MP4 that hold others, down to the table of the sound.
const BOXES_OF_BOXES: [&[u8]; 4] = [b"trak", b"mdia", b"minf", b"stbl"];
const BOX_DEPTH_MAX: usize = 4;
/// Identifiers of Matroska (RFC 9559, 5.1).
const EBML: u64 = 0x1a45_dfa3;
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const SEEK_HEAD: u64 = 0x114d_9b74;
const VOID: u8 = 0xec;

/// Bytes that stand for others of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patch {
    at: u64,
    bytes: Vec<u8>,
}

/// Gives a file as its writer would have left it, had it ended here; any other source as it is.
///
/// # Errors
/// Fails where it can't be read.
pub fn mended(mut source: Box<dyn MediaSource>) -> io::Result<Box<dyn MediaSource>> {
    if !source.is_seekable() {
        return Ok(source);
    }
    let end = source.seek(SeekFrom::End(0))?;
    let mut walk = Walk { source: &mut *source, end, patches: Vec::new() };
    let head = walk.read(0, 12)?;
    match &*head {
        [b'c', b'a', b'f', b'f', ..] => walk.caf()?,
        [b'F', b'O', b'R', b'M', ..] => walk.aiff()?,
        [b'f', b'L', b'a', b'C', ..] => walk.flac()?,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => walk.matroska()?,
        [b'O', b'g', b'g', b'S', ..] => walk.ogg()?,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => walk.mp4()?,
        _ => {}
    }
    let Walk { end: shown, patches, .. } = walk;
    source.seek(SeekFrom::Start(0))?;
    let source = if shown < end { Box::new(Window::new(source, 0, shown)) } else { source };
    Ok(if patches.is_empty() { source } else { Box::new(Patched { source, patches, at: 0 }) })
}

/// The walk over the parts of a file.
struct Walk<'s> {
    source: &'s mut dyn MediaSource,
    end: u64,
    patches: Vec<Patch>,
}

impl Walk<'_> {
    fn read(&mut self, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        self.source.seek(SeekFrom::Start(at))?;
        (&mut self.source).take(bytes.min(self.end.saturating_sub(at))).read_to_end(&mut read)?;
        Ok(read)
    }

    fn patch(&mut self, at: u64, bytes: impl Into<Vec<u8>>) {
        self.patches.push(Patch { at, bytes: bytes.into() });
    }

    /// Apple's CAF: a recorder that was cut off leaves a length of -1, or one beyond the end.
    fn caf(&mut self) -> io::Result<()> {
        let mut at = 8;
        for _ in 0..PARTS_MAX {
            let head = self.read(at, 12)?;
            let (Some(name), Some(size)) =
                (head.first_chunk::<4>(), head.get(4..).and_then(|it| it.first_chunk()))
            else {
                self.end = at;
                break;
            };
            if !name.iter().all(u8::is_ascii_graphic) {
                self.end = at;
                break;
            }
            let there = self.end - at - 12;
            match u64::try_from(i64::from_be_bytes(*size)) {
                Ok(size) if size <= there => at += 12 + size,
                _ if name == b"data" => {
                    self.patch(at + 4, there.to_be_bytes());
                    break;
                }
                _ => break,
            }
            if at == self.end {
                break;
            }
        }
        Ok(())
    }

    /// AIFF and AIFF-C: the length of the whole, and of the sound.
    fn aiff(&mut self) -> io::Result<()> {
        let mut at = 12;
        for _ in 0..PARTS_MAX {
            let head = self.read(at, 8)?;
            let Some(size) = head.get(4..).and_then(|it| it.first_chunk()) else { break };
            let size = u64::from(u32::from_be_bytes(*size));
            let there = self.end - at - 8;
            if head.starts_with(b"SSND") && size > there {
                let word = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
                self.patch(at + 4, word(there));
                self.patch(4, word(self.end - 8));
                break;
            }
            at = at.saturating_add(8 + size.next_multiple_of(2)).min(self.end);
        }
        Ok(())
    }

    /// FLAC: what stands behind the last frame would be taken for its rest.
    fn flac(&mut self) -> io::Result<()> {
        let tag = self.end.saturating_sub(ID3V1);
        if self.read(tag, 3)? == b"TAG" {
            self.end = tag;
        }
        let from = self.end.saturating_sub(flac_end::LOOKED_AT);
        let tail = self.read(from, flac_end::LOOKED_AT)?;
        if let Some(end) = flac_end::find(&tail) {
            self.end = from + end as u64;
        }
        Ok(())
    }

    /// Ogg: a last page that did not come whole is cut off. A damaged one before whole ones is emptied where it claims to
    /// reach beyond the end: the reader would take it for the last.
    fn ogg(&mut self) -> io::Result<()> {
        let from = self.end.saturating_sub(2 * PAGE_BYTES_MAX);
        let tail = self.read(from, 2 * PAGE_BYTES_MAX)?;
        let (mut whole, mut too_long) = (None, Vec::new());
        for at in (0..tail.len()).filter(|at| tail[*at..].starts_with(b"OggS\0")) {
            let page = &tail[at..];
            let table = page.get(PAGE_HEAD..).unwrap_or_default();
            let parts = page.get(PAGE_HEAD - 1).map_or(usize::MAX, |parts| usize::from(*parts));
            let body = table.get(..parts).map(|parts| parts.iter().map(|it| usize::from(*it)).sum::<usize>());
            let bytes = body.map_or(usize::MAX, |body| PAGE_HEAD + parts + body);
            if bytes <= page.len() {
                whole = whole.max(Some(at + bytes));
            } else {
                too_long.push(at);
            }
        }
        if let Some(whole) = whole {
            self.end = from + whole as u64;
            for at in too_long.into_iter().filter(|at| at + PAGE_HEAD <= whole) {
                self.patch(from + (at + PAGE_HEAD - 1) as u64, [0]);
            }
        }
        Ok(())
    }

    /// MP4: the box of the sound that reaches beyond the end.
    fn mp4(&mut self) -> io::Result<()> {
        let mut at = 0u64;
        for _ in 0..PARTS_MAX {
            let head = self.read(at, 16)?;
            let Some(size) = head.first_chunk() else { break };
            let long = head.get(8..).and_then(|it| it.first_chunk());
            let there = self.end - at;
            let size = match (u32::from_be_bytes(*size), long) {
                (0, _) => break,
                (1, Some(long)) => u64::from_be_bytes(*long),
                (size, _) => u64::from(size),
            };
            if size > there {
                if head.get(4..8) == Some(b"moov") && !head.starts_with(&[0, 0, 0, 1]) {
                    return self.shorten(at, 0);
                }
                let is_sound = head.get(4..8) == Some(b"mdat");
                match u32::try_from(there) {
                    _ if !is_sound => {}
                    _ if head.starts_with(&[0, 0, 0, 1]) => self.patch(at + 8, there.to_be_bytes()),
                    Ok(there) => self.patch(at, there.to_be_bytes()),
                    Err(_) => self.patch(at, [0; 4]),
                }
                break;
            }
            at += size.max(8);
        }
        Ok(())
    }

    /// Leaves out the box at the end of one of boxes that is not whole, and what it is in ends before it.
    fn shorten(&mut self, at: u64, depth: usize) -> io::Result<()> {
        let mut inside = at + 8;
        for _ in 0..PARTS_MAX {
            let head = self.read(inside, 8)?;
            let (Some(size), Some(name)) = (head.first_chunk(), head.get(4..8)) else { break };
            let size = u64::from(u32::from_be_bytes(*size));
            if size < 8 {
                break;
            }
            if size > self.end - inside {
                if depth < BOX_DEPTH_MAX && BOXES_OF_BOXES.iter().any(|it| it[..] == *name) {
                    self.shorten(inside, depth + 1)?;
                    inside = self.end;
                }
                break;
            }
            inside += size;
        }
        self.end = inside.min(self.end);
        if let Ok(size) = u32::try_from(self.end - at) {
            self.patch(at, size.to_be_bytes());
        }
        Ok(())
    }

    /// Matroska and WebM: what reaches beyond the end gets no length, and nothing points there.
    fn matroska(&mut self) -> io::Result<()> {
        let mut at = 0u64;
        let mut seek_head = None;
        for _ in 0..PARTS_MAX {
            let head = self.read(at, 12)?;
            let Some(element) = Element::read(&head) else { break };
            let inside = at + element.head();
            let known = element.size.filter(|size| *size <= self.end.saturating_sub(inside));
            if known.is_none() && element.size.is_some() && matches!(element.id, SEGMENT | CLUSTER) {
                self.patch(at + element.id_bytes, element.unknown());
            }
            match (element.id, known) {
                (SEGMENT, _) => at = inside,
                (EBML, Some(size)) => at = inside + size,
                (SEEK_HEAD, Some(size)) => {
                    seek_head = Some((at, element));
                    at = inside + size;
                }
                (_, Some(size)) => at = inside + size,
                (CLUSTER, None) => break,
                (_, None) => {
                    self.end = at;
                    break;
                }
            }
        }
        if let Some((at, element)) = seek_head.filter(|_| !self.patches.is_empty()) {
            self.patches.extend(element.as_void(at));
        }
        Ok(())
    }
}

/// The head of an element of Matroska (RFC 8794, 4 to 6).
#[derive(Debug, Clone, Copy)]
struct Element {
    id: u64,
    id_bytes: u64,
    /// `None` where it is not known.
    size: Option<u64>,
    size_bytes: u64,
}

impl Element {
    fn read(head: &[u8]) -> Option<Self> {
        let number = |from: usize| {
            let bytes = head.get(from)?.leading_zeros() as usize + 1;
            let whole = head.get(from..from + bytes).filter(|_| bytes <= 8)?;
            Some((whole.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)), bytes))
        };
        let (id, id_bytes) = number(0).filter(|(_, bytes)| *bytes <= 4)?;
        let (size, size_bytes) = number(id_bytes)?;
        let most = (1u64 << (7 * size_bytes)) - 1;
        let size = Some(size & most).filter(|size| *size < most);
        Some(Self { id, id_bytes: id_bytes as u64, size, size_bytes: size_bytes as u64 })
    }

    fn head(&self) -> u64 {
        self.id_bytes + self.size_bytes
    }

    /// The size that says that none is known, as long as the one that stands there.
    fn unknown(&self) -> Vec<u8> {
        let mut bytes = vec![0xff; self.size_bytes as usize];
        bytes[0] = 0xff >> (self.size_bytes - 1);
        bytes
    }

    /// An element of the same length that says nothing.
    fn as_void(&self, at: u64) -> Option<Patch> {
        let size_bytes = self.head() - 1;
        let size = self.size.filter(|size| size_bytes <= 8 && *size < (1 << (7 * size_bytes)) - 1)?;
        let marked = size | 1 << (7 * size_bytes);
        let mut bytes = vec![VOID];
        bytes.extend(&marked.to_be_bytes()[8 - size_bytes as usize..]);
        Some(Patch { at, bytes })
    }
}

/// A file with some bytes that stand for its own.
struct Patched {
    source: Box<dyn MediaSource>,
    patches: Vec<Patch>,
    at: u64,
}

impl Read for Patched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        for Patch { at, bytes } in &self.patches {
            for (byte, place) in bytes.iter().zip(*at..) {
                let inside = place.checked_sub(self.at).and_then(|place| usize::try_from(place).ok());
                if let Some(here) = inside.and_then(|place| out[..read].get_mut(place)) {
                    *here = *byte;
                }
            }
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Patched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.source.seek(to)?;
        Ok(self.at)
    }
}

impl MediaSource for Patched {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        self.source.byte_len()
    }
}
