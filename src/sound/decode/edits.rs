//! The part of an MP4's sound that its edit list (ISO/IEC 14496-12, 8.6.6) shows, and the order of its bytes.
//!
//! Phones cut a recording by hiding its beginning, and every encoder hides what it put in front. The part ends with
//! the packet in which the list's end lies, as in ffmpeg.

use std::io::{self, Read, Seek, SeekFrom};

/// Largest index that is read: a day of AAC has 16 MB.
const INDEX_BYTES_MAX: u64 = 64 << 20;
/// Boxes that are looked at to find the index.
const BOXES_MAX: usize = 100_000;
/// Most samples that iTunes writes as put in front.
const PRIMING_MAX: u64 = 16_384;

/// Forms of samples whose high byte comes first unless `enda` says otherwise (QuickTime File Format, sound sample
/// descriptions).
const HIGH_BYTE_FIRST: [&[u8; 4]; 4] = [b"in24", b"in32", b"fl32", b"fl64"];

/// The part that is shown, in ticks of its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub from: u64,
    /// Packets that begin here or later are hidden.
    pub to: Option<u64>,
    /// Samples have their high byte first, in a form of which the reader believes the opposite.
    pub high_byte_first: bool,
}

/// Reads the edit list of the first track of sound and the order of its bytes, `None` where all is shown as it stands or this
/// is no MP4.
///
/// # Errors
/// Fails where the source can't be read.
pub fn shown(source: &mut (impl Read + Seek)) -> io::Result<Option<Shown>> {
    Ok(index(source)?.and_then(|index| of_index(&index)))
}

fn index(source: &mut (impl Read + Seek)) -> io::Result<Option<Vec<u8>>> {
    let mut at = 0u64;
    for _ in 0..BOXES_MAX {
        source.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        source.by_ref().take(16).read_to_end(&mut head)?;
        let Some((name, bytes, skipped)) = header(&head) else { return Ok(None) };
        if at == 0 && ![b"ftyp", b"styp", b"moov", b"wide", b"free", b"skip", b"mdat"].contains(&&name) {
            return Ok(None);
        }
        if &name == b"moov" {
            let bytes = bytes.unwrap_or(u64::MAX).saturating_sub(skipped as u64);
            source.seek(SeekFrom::Start(at + skipped as u64))?;
            let mut index = Vec::new();
            source.take(bytes.min(INDEX_BYTES_MAX)).read_to_end(&mut index)?;
            return Ok(Some(index));
        }
        match bytes.and_then(|bytes| at.checked_add(bytes.max(8))) {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Name, length where it is not up to the end, and bytes of the header of a box.
fn header(head: &[u8]) -> Option<([u8; 4], Option<u64>, usize)> {
    let name = *head.get(4..)?.first_chunk()?;
    match u32::from_be_bytes(*head.first_chunk()?) {
        0 => Some((name, None, 8)),
        1 => Some((name, Some(u64::from_be_bytes(*head.get(8..)?.first_chunk()?)), 16)),
        bytes => Some((name, Some(u64::from(bytes)), 8)),
    }
}

/// The boxes of a box.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, length, skipped) = header(bytes)?;
        let length = length.map_or(bytes.len(), |length| usize::try_from(length).unwrap_or(usize::MAX));
        let inside = bytes.get(skipped..length.min(bytes.len()))?;
        bytes = &bytes[length.min(bytes.len())..];
        Some((name, inside))
    })
}

fn find<'b>(bytes: &'b [u8], path: &[&[u8; 4]]) -> Option<&'b [u8]> {
    path.iter()
        .try_fold(bytes, |inside, name| boxes(inside).find(|(found, _)| found == *name).map(|(_, it)| it))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from(u32::from_be_bytes(*word)))
}

/// Ticks a second, as the headers of the film and of its tracks write them.
fn ticks(header: &[u8]) -> Option<u64> {
    let at = if header.first() == Some(&1) { 20 } else { 12 };
    number(header, at).filter(|ticks| *ticks > 0)
}

fn of_index(index: &[u8]) -> Option<Shown> {
    let is_sound =
        |track: &&[u8]| find(track, &[b"mdia", b"hdlr"]).is_some_and(|it| it.get(8..12) == Some(b"soun"));
    let track = boxes(index).filter(|(name, _)| name == b"trak").map(|(_, it)| it).find(is_sound)?;
    let film = ticks(find(index, &[b"mvhd"])?)?;
    let own = ticks(find(track, &[b"mdia", b"mdhd"])?)?;
    let list = find(track, &[b"edts", b"elst"]).and_then(|list| of_list(list, film, own));
    let shown = list.or_else(|| priming(index));
    let high_byte_first = is_high_byte_first(track);
    let all = high_byte_first.then_some(Shown { from: 0, to: None, high_byte_first });
    shown.map(|shown| Shown { high_byte_first, ..shown }).or(all)
}

/// Tells whether the samples of a track are in one of [`HIGH_BYTE_FIRST`] and no `enda` names the low byte as first.
fn is_high_byte_first(track: &[u8]) -> bool {
    let described =
        find(track, &[b"mdia", b"minf", b"stbl", b"stsd"]).and_then(|it| boxes(it.get(8..)?).next());
    let Some((name, description)) = described else { return false };
    let low_first = description.windows(6).any(|bytes| bytes == b"enda\0\x01");
    HIGH_BYTE_FIRST.contains(&&name) && !low_first
}

fn of_list(list: &[u8], film: u64, own: u64) -> Option<Shown> {
    let long = list.first() == Some(&1);
    let entry_bytes = if long { 20 } else { 12 };
    let count = usize::try_from(number(list, 4)?).ok()?;
    let mut shown: Option<Shown> = None;
    for entry in list.get(8..)?.chunks_exact(entry_bytes).take(count) {
        let (length, from) = if long {
            let word = |at: usize| entry[at..].first_chunk().map(|word| u64::from_be_bytes(*word));
            (word(0)?, word(8)? as i64)
        } else {
            (number(entry, 0)?, i64::from(number(entry, 4)? as u32 as i32))
        };
        // An entry without a place is a pause before the sound.
        let Ok(from) = u64::try_from(from) else { continue };
        let ticks =
            u64::try_from(u128::from(length) * u128::from(own) / u128::from(film)).unwrap_or(u64::MAX);
        let to = (length > 0).then(|| from.saturating_add(ticks));
        shown = Some(match shown {
            Some(before) => Shown { to: before.to.zip(to).map(|(a, b)| a.max(b)), ..before },
            None => Shown { from, to, high_byte_first: false },
        });
    }
    // A list that shows nothing at all has a wrong end.
    let shown = shown.map(|shown| Shown { to: shown.to.filter(|to| *to > shown.from), ..shown });
    shown.filter(|shown| shown.from > 0 || shown.to.is_some())
}

/// The samples that iTunes' encoder put in front, where it says so.
fn priming(index: &[u8]) -> Option<Shown> {
    let name = index.windows(8).position(|bytes| bytes == b"iTunSMPB")?;
    let rest = &index[name..];
    let data = rest.windows(4).take(64).position(|bytes| bytes == b"data")?;
    let text = std::str::from_utf8(rest.get(data + 12..data + 12 + 40)?).ok()?;
    let from = u64::from_str_radix(text.split_whitespace().nth(1)?, 16).ok()?;
    (1..PRIMING_MAX).contains(&from).then_some(Shown { from, to: None, high_byte_first: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut list = vec![0; 4];
        list.extend((entries.len() as u32).to_be_bytes());
        for (length, from) in entries {
            list.extend(length.to_be_bytes());
            list.extend(from.to_be_bytes());
            list.extend([0, 1, 0, 0]);
        }
        list
    }

    fn check(entries: &[(u32, i32)], expected: Option<(u64, Option<u64>)>) {
        let expected = expected.map(|(from, to)| Shown { from, to, high_byte_first: false });
        assert_eq!(of_list(&list(entries), 1_000, 48_000), expected, "{entries:?}");
    }

    #[test]
    fn lists_are_read() {
        check(&[(2_000, 1_024)], Some((1_024, Some(97_024))));
        check(&[(0, 1_024)], Some((1_024, None)));
        check(&[(500, -1), (2_000, 96_000)], Some((96_000, Some(192_000))));
        check(&[(1_000, 0), (1_000, 48_000)], Some((0, Some(96_000))));
        check(&[(0, 0)], None);
        check(&[], None);
        for cut in 0..20 {
            let whole = list(&[(2_000, 1_024)]);
            let _ = of_list(&whole[..cut.min(whole.len())], 1, 1);
        }
    }
}
