//! Text files of a bounded size.

use crate::said;
use crate::texts::Sentence;
use std::path::Path;

/// Reads a text file that is not larger than `bytes_max`, or says what is wrong and what to do.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, Sentence> {
    let cant_read = |error: std::io::Error| said!("problem.cant_read", error);
    let bytes = std::fs::metadata(path).map_err(cant_read)?.len();
    if bytes > bytes_max {
        return Err(said!("problem.large", bytes, max = bytes_max));
    }
    let bytes = std::fs::read(path).map_err(cant_read)?;
    String::from_utf8(bytes).map_err(|_| said!("problem.no_utf8"))
}
