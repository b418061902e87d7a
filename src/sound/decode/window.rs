//! A part of a file as a file.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// A part of a source as a source.
pub struct Window {
    source: Box<dyn MediaSource>,
    from: u64,
    bytes: u64,
    at: u64,
}

impl Window {
    /// Shows so many bytes of a source, which stands at the first of them.
    pub fn new(source: Box<dyn MediaSource>, from: u64, bytes: u64) -> Self {
        Self { source, from, bytes, at: 0 }
    }
}

impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX).min(out.len());
        let read = self.source.read(&mut out[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let at = at.ok_or(io::ErrorKind::InvalidInput)?.min(self.bytes);
        self.source.seek(SeekFrom::Start(self.from + at))?;
        self.at = at;
        Ok(at)
    }
}

impl MediaSource for Window {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes)
    }
}
