//! Files that are written whole or not at all, whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file anew beside `path`, has the disk take it, and puts it in the place of what stood there. A file that is new gets
/// `mode`, as far as the process's mask lets it.
///
/// # Errors
/// Fails when the disk refuses; what stood there stands there still.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        // Nothing lay there, or what an earlier try left.
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(fresh, path)
    })();
    if written.is_err() {
        // A disk that is full has more use for the room.
        let _ = fs::remove_file(fresh);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_new_or_as_before_and_nothing_lies_beside_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("trust.toml");
        let beside = || fs::read_dir(dir.path()).unwrap().count();
        write(&path, b"one", 0o600).unwrap();
        fs::write(dir.path().join("trust.toml.new"), b"left by a power cut").unwrap();
        write(&path, b"two", 0o640).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode, beside()), (&b"two"[..], 0o640, 1));
        // A folder in its place can't be replaced by a file.
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        write(&taken, b"three", 0o600).unwrap_err();
        assert_eq!((taken.is_dir(), beside()), (true, 2));
    }
}
