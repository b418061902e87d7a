//! Files that nobody but their owner may read: keys, tokens, databases.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use loaxa_heart::config::files;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use nix::sys::stat::Mode;

/// The rights of group and others.
const OTHERS: u32 = 0o077;
/// Read and written by the owner.
const OWNER: u32 = 0o600;
/// Largest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 65_536;

/// Keeps everything that this process makes from now on to its user, whatever mask it was started with: databases and audio,
/// folders and sockets.
pub fn keep_all_private() {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
}

/// Has files and folders that this process makes from now on get the modes that it names, for the users of services, whatever
/// mask the installer works with. Nothing is left for others to write.
pub fn as_modes_say() {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
}

/// A reason for which a secret is not read.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum SecretError {
    File {
        path: PathBuf,
        error: io::Error,
    },
    Readable {
        path: PathBuf,
        mode: u32,
    },
    /// Something else than a file stands there: a pipe would keep the reader waiting.
    Kind {
        path: PathBuf,
        why: Sentence,
    },
}

impl Say for SecretError {
    fn say(&self) -> Sentence {
        match self {
            SecretError::File { path, error } => said!("key_file.file", path = path.display(), error),
            SecretError::Kind { path, why } => said!("key_file.file", path = path.display(), error = why),
            SecretError::Readable { path, mode } => {
                said!("key_file.readable", path = path.display(), mode = format!("{mode:03o}"))
            }
        }
    }
}

/// Opens a file that holds a secret.
///
/// # Errors
/// Fails when others may read it.
pub fn open(path: &Path) -> Result<File, SecretError> {
    let failed = |error: io::Error| SecretError::File { path: path.to_owned(), error };
    let kind = |why| SecretError::Kind { path: path.to_owned(), why };
    files::is_a_file(&fs::metadata(path).map_err(failed)?).map_err(kind)?;
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(SecretError::Readable { path: path.to_owned(), mode });
    }
    Ok(file)
}

/// Reads a secret: a token, or a key in PEM.
///
/// # Errors
/// Fails when others may read it, or it is no text.
pub fn read(path: &Path) -> Result<String, SecretError> {
    let mut text = String::new();
    let read = open(path)?.take(SECRET_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| SecretError::File { path: path.to_owned(), error })?;
    Ok(text)
}

/// Makes a file that only its owner may read, unless it exists; takes the rights of others from one that does. What
/// SQLite makes beside a database has the rights of the database.
///
/// # Errors
/// Fails when the disk refuses, or the file is somebody else's.
pub fn keep(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & OTHERS == 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode & 0o700)) }
}

/// Writes a file that only its owner may read, in place of what stood there.
///
/// # Errors
/// As [`keep`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    keep(path)?;
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_or_a_device_is_no_secret() {
        let dir = tempfile::TempDir::new().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::from_bits_truncate(0o600)).unwrap();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert!(matches!(open(path), Err(SecretError::Kind { .. })), "{}", path.display());
        }
    }

    #[test]
    fn what_others_may_read_is_no_secret() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("token");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, b"secret\n").unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode()), ("secret\n", 0o600));
        for open_to_others in [0o640, 0o604, 0o620, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(open_to_others)).unwrap();
            assert!(matches!(read(&path), Err(SecretError::Readable { .. })), "{open_to_others:o}");
        }
        keep(&path).unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode()), ("secret\n", 0o700));
    }
}
