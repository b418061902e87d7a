//! Changes of rate or channels within a stream of ADTS frames (AAC).
//!
//! symphonia reads only the first header and would go on at the old rate, at the wrong pitch. So the bytes end there,
//! once; a new decoder goes on with what follows.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a header without its checksum.
const HEADER: usize = 7;
/// Bytes without a header after which a stream is none of ADTS: two of the longest frames.
const STRANGE_MAX: usize = 16_384;
/// Headers alike in a row, each where the one before said, after which they are believed.
const ALIKE_MIN: u32 = 3;

/// Passes bytes on, and ends once wherever the form of the frames changes.
pub struct Turns<R> {
    inner: R,
    turned: Arc<AtomicBool>,
    /// Read, and not yet passed on.
    held: Vec<u8>,
    /// Bytes until the next header.
    rest: usize,
    form: Option<Form>,
    alike: u32,
    strange: usize,
}

/// Profile, rate and channels, as a header writes them.
type Form = [u8; 2];

impl<R: Read> Turns<R> {
    /// Watches `inner`; `turned` is set when the bytes end because of a change.
    pub fn new(inner: R, turned: Arc<AtomicBool>) -> Self {
        Self { inner, turned, held: Vec::new(), rest: 0, form: None, alike: 0, strange: 0 }
    }

    /// Holds the bytes of one header, fewer at the end.
    fn hold_header(&mut self) -> std::io::Result<()> {
        let missing = (HEADER - self.held.len()) as u64;
        self.inner.by_ref().take(missing).read_to_end(&mut self.held)?;
        Ok(())
    }

    /// Looks at what is held; whether the form changes with it.
    fn judge(&mut self) -> bool {
        let Some((form, bytes)) = self.held.first_chunk().and_then(header) else {
            (self.form, self.alike) = (None, 0);
            self.strange += 1;
            return false;
        };
        let changes = self.alike >= ALIKE_MIN && self.form != Some(form);
        self.alike = if self.form == Some(form) { self.alike + 1 } else { 1 };
        (self.form, self.strange) = (Some(form), 0);
        self.rest = bytes - HEADER;
        changes
    }

    fn give(&mut self, bytes: usize, out: &mut [u8]) -> usize {
        let bytes = bytes.min(self.held.len()).min(out.len());
        out[..bytes].copy_from_slice(&self.held[..bytes]);
        self.held.drain(..bytes);
        bytes
    }
}

impl<R: Read> Read for Turns<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let at_header = self.rest == 0 && self.strange < STRANGE_MAX;
        if at_header && self.held.len() < HEADER {
            self.hold_header()?;
            if self.judge() {
                self.turned.store(true, Ordering::Release);
                return Ok(0);
            }
        }
        if !self.held.is_empty() {
            // Of what is no header, the first byte may still stand before one.
            let known = if self.form.is_some() { HEADER } else { 1 };
            return Ok(self.give(known, out));
        }
        let wanted = if self.strange < STRANGE_MAX { out.len().min(self.rest) } else { out.len() };
        let read = self.inner.read(&mut out[..wanted])?;
        self.rest = self.rest.saturating_sub(read);
        Ok(read)
    }
}

/// Form and length of a frame by its header, where it is one (ISO/IEC 14496-3, 1.A.2).
fn header(bytes: &[u8; HEADER]) -> Option<(Form, usize)> {
    let is_sync = bytes[0] == 0xff && bytes[1] & 0xf6 == 0xf0;
    let length = usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5]) >> 5;
    let rate = bytes[2] >> 2 & 15;
    (is_sync && rate < 13 && length > HEADER).then_some(([bytes[2] & 0xfd, bytes[3] & 0xc0], length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(rate: u8, payload: usize) -> Vec<u8> {
        let length = HEADER + payload;
        let mut frame = vec![0xff, 0xf1, 0x40 | rate << 2, 0x80 | (length >> 11) as u8, (length >> 3) as u8];
        frame.extend([(length << 5) as u8 | 0x1f, 0xfc]);
        frame.resize(length, 0x55);
        frame
    }

    /// Reads in pieces of these bytes; the pieces between the turns must be `expected`.
    fn check(bytes: &[u8], piece: usize, expected: &[&[u8]]) {
        let turned = Arc::new(AtomicBool::new(false));
        let mut turns = Turns::new(bytes, turned.clone());
        let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
        let mut buffer = vec![0; piece];
        loop {
            match turns.read(&mut buffer).unwrap() {
                0 if turned.swap(false, Ordering::AcqRel) => parts.push(Vec::new()),
                0 => break,
                read => parts.last_mut().unwrap().extend(&buffer[..read]),
            }
        }
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_change_ends_the_bytes_once() {
        let (a, b) = (frame(4, 300).repeat(5), frame(7, 90).repeat(5));
        let middle = &a[100..];
        for piece in [1, 5, 64, 10_000] {
            check(&a, piece, &[&a]);
            check(&[a.clone(), b.clone()].concat(), piece, &[&a, &b]);
            check(&[middle, &b, &a].concat(), piece, &[middle, &b, &a]);
        }
        let noise: Vec<u8> = (0..60_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        check(&noise, 4_096, &[&noise]);
    }
}
