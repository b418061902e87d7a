//! Files as they are opened for decoding.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::decoder::Decoder;
use super::edits;
use super::fault::{damaged, unread};
use loaxa_heart::config::files;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::said;

/// Forms of sound that are known by their first bytes and can't be decoded here, with the place of those bytes.
const FOREIGN: [(&str, usize, &[u8]); 6] = [
    ("AMR", 0, b"#!AMR"),
    ("WMA", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("RealAudio", 0, b".RMF"),
    ("RealAudio", 0, b".ra\xfd"),
    ("MIDI", 0, b"MThd"),
    ("Monkey's Audio", 0, b"MAC "),
];
/// Bytes that tell a foreign form.
const MAGIC_BYTES: u64 = 16;

/// Opens a file; `counts`: its blocks only have their lengths.
///
/// # Errors
/// `Missing` where there is no such file, `Damaged` where nothing in it can be decoded.
pub fn start(path: &Path, counts: bool) -> Result<Decoder, Fault> {
    let what = path.display().to_string();
    let cant = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::Missing { what: what.clone() },
        _ => unread(&what, &error),
    };
    let meta = std::fs::metadata(path).map_err(cant)?;
    files::is_a_file(&meta).map_err(|why| damaged(&what, why))?;
    let mut file = File::open(path).map_err(cant)?;
    if meta.len() == 0 {
        return Err(damaged(&what, said!("decode.empty")));
    }
    let shown = edits::shown(&mut file).map_err(cant)?;
    file.rewind().map_err(cant)?;
    Decoder::of_file(path, file, shown, counts).map_err(|fault| match foreign(path) {
        Some(form) => damaged(&what, said!("decode.foreign", form)),
        None => fault,
    })
}

/// Names the form of a file that can't be decoded here, where it is a known one.
pub fn foreign(path: &Path) -> Option<&'static str> {
    let mut magic = Vec::new();
    File::open(path).ok()?.take(MAGIC_BYTES).read_to_end(&mut magic).ok()?;
    let is_it = |at: usize, bytes: &[u8]| magic.get(at..).is_some_and(|magic| magic.starts_with(bytes));
    FOREIGN.iter().find(|(_, at, bytes)| is_it(*at, bytes)).map(|(name, ..)| *name)
}
