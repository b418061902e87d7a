//! Text files of a bounded size, whatever stands under their name.

use crate::said;
use crate::texts::Sentence;
use std::fs::{FileType, Metadata};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Reads a text file that is not larger than `bytes_max`, or says what is wrong and what to do.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, Sentence> {
    decode(&read_bytes(path, bytes_max)?)
}

/// Reads a file that is not larger than `bytes_max`, or says what is wrong and what to do.
pub fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Sentence> {
    let cant_read = |error: std::io::Error| said!("problem.cant_read", error);
    let found = std::fs::metadata(path).map_err(cant_read)?;
    is_a_file(&found)?;
    let large = |bytes: u64| said!("problem.large", bytes, max = bytes_max);
    if found.len() > bytes_max {
        return Err(large(found.len()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cant_read)?;
    // What the kernel writes as it is read has no length beforehand.
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(cant_read)?;
    if bytes.len() as u64 > bytes_max { Err(large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Refuses, by its kind, what is no file: to open a pipe waits for who writes into it, and a device may never end.
///
/// # Errors
/// Says what stands there instead.
pub fn is_a_file(found: &Metadata) -> Result<(), Sentence> {
    if found.is_file() {
        return Ok(());
    }
    let kind = kind_of(found.file_type());
    Err(said!("problem.not_a_file", kind))
}

fn kind_of(kind: FileType) -> Sentence {
    if kind.is_dir() {
        said!("file_kind.directory")
    } else if kind.is_fifo() {
        said!("file_kind.pipe")
    } else if kind.is_socket() {
        said!("file_kind.socket")
    } else {
        said!("file_kind.device")
    }
}

/// Reads text in UTF-8, or in UTF-16 where its mark says so. Older encodings can't be told from each other, so that the
/// wrong one would turn every Vietnamese name into another.
///
/// # Errors
/// Says in what the text is not written.
pub fn decode(bytes: &[u8]) -> Result<String, Sentence> {
    let utf16 = |units: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().copied().map(units)).collect::<Result<String, _>>();
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| said!("problem.bad_utf16"))
    };
    match bytes {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, Sentence> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) if bytes.len() > 3 && bytes.iter().filter(|byte| **byte == 0).count() > bytes.len() / 4 => {
            Err(said!("problem.bad_utf16"))
        }
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(said!("problem.no_utf8", line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        match (decode(bytes), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(said), Err(part)) => assert!(said.to_string().contains(part), "{said}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn marks_tell_the_encoding_and_older_ones_are_refused_by_name() {
        check("Bài hát".as_bytes(), Ok("Bài hát"));
        check("\u{feff}Bài".as_bytes(), Ok("Bài"));
        let units = |to: fn(u16) -> [u8; 2]| "\u{feff}Bài".encode_utf16().flat_map(to).collect::<Vec<_>>();
        check(&units(u16::to_le_bytes), Ok("Bài"));
        check(&units(u16::to_be_bytes), Ok("Bài"));
        check(&units(u16::to_le_bytes)[..5], Err("UTF-16"));
        check(b"\xff\xfe\x00\xd8", Err("UTF-16"));
        check(b"a\nB\xe0i h\xe1t", Err("line 2"));
        check(b"B\xe0i", Err("Windows-1258"));
        check(b"\xe0\x00i\x00h\x00t\x00", Err("UTF-16"));
        check(b"", Ok(""));
    }
}
