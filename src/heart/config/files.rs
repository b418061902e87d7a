//! Text files of a bounded size.

use std::path::Path;

/// Reads a text file that is not larger than `bytes_max`, or says what is wrong and what to do.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, (String, String)> {
    let cant_read =
        |error: std::io::Error| (format!("can't be read: {error}"), "check its name and rights".to_owned());
    let bytes = std::fs::metadata(path).map_err(cant_read)?.len();
    if bytes > bytes_max {
        return Err((format!("has {bytes} bytes"), format!("at most {bytes_max} are read")));
    }
    let bytes = std::fs::read(path).map_err(cant_read)?;
    String::from_utf8(bytes).map_err(|_| ("is not UTF-8 text".to_owned(), "save it as UTF-8".to_owned()))
}
