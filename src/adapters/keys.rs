//! Key files: a secret key as a few lines of text that only their owner may read.
//!
//! ```text
//! loaxa-secret-key <32 bytes in base64>
//! holder Nguyễn Văn An
//! public <32 bytes in base64>
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::private_files::{self, SecretError};
use super::whole_file;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::signing::{KEY_BYTES, SecretKey};

/// Largest key file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4_096;

/// First word of a key file.
const MARK: &str = "loaxa-secret-key";

/// Reasons for which there is no key.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum KeyError {
    File { path: PathBuf, error: io::Error },
    Exists { path: PathBuf },
    Secret(#[from] SecretError),
    NoKey { path: PathBuf },
    NoRandomness(String),
}

impl Say for KeyError {
    fn say(&self) -> Sentence {
        match self {
            KeyError::File { path, error } => said!("key_file.file", path = path.display(), error),
            KeyError::Exists { path } => said!("key_file.exists", path = path.display()),
            KeyError::Secret(error) => error.say(),
            KeyError::NoKey { path } => said!("key_file.no_key", path = path.display(), mark = MARK),
            KeyError::NoRandomness(detail) => said!("key_file.no_randomness", detail),
        }
    }
}

/// The contents of a key file.
#[derive(Debug, Clone)]
pub struct KeyFile {
    pub key: SecretKey,
    /// The holder of the key.
    pub holder: Option<String>,
}

/// Writes a key as TLS libraries read it (RFC 8410).
pub fn pkcs8_pem(key: &SecretKey) -> String {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&HEAD[..], &key.seed()].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
}

impl KeyFile {
    /// A new key from the machine's randomness.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn generate(holder: Option<&str>) -> Result<Self, KeyError> {
        let mut seed = [0; KEY_BYTES];
        getrandom::fill(&mut seed).map_err(|error| KeyError::NoRandomness(error.to_string()))?;
        let one_line = |holder: &str| holder.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { key: SecretKey::from_seed(&seed), holder: holder.map(one_line) })
    }

    /// Writes it to a new file that only its owner may read. When this returns, a power cut leaves all of it; before, nothing.
    ///
    /// # Errors
    /// Fails when a file of this name exists, or the disk refuses.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |error: io::Error| KeyError::File { path: path.to_owned(), error };
        if path.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        whole_file::write(path, self.to_text().as_bytes(), 0o600).map_err(failed)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Fails when others may read it, or it is no key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |error: io::Error| KeyError::File { path: path.to_owned(), error };
        let file = private_files::open(path)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::from_text(&text).ok_or_else(|| KeyError::NoKey { path: path.to_owned() })
    }

    /// Reads a file, or makes it where there is none.
    ///
    /// # Errors
    /// Those of [`KeyFile::read`] and [`KeyFile::write_new`].
    pub fn read_or_make(path: &Path, holder: Option<&str>) -> Result<Self, KeyError> {
        if path.exists() {
            return Self::read(path);
        }
        let made = Self::generate(holder)?;
        made.write_new(path)?;
        Ok(made)
    }

    fn to_text(&self) -> String {
        let mut text = format!("{MARK} {}\n", BASE64.encode(self.key.seed()));
        if let Some(holder) = &self.holder {
            text += &format!("holder {holder}\n");
        }
        text + &format!("public {}\n", self.key.public())
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let seed = lines.next()?.strip_prefix(MARK)?.trim();
        let seed = BASE64.decode(seed).ok()?.try_into().ok()?;
        let holder =
            lines.find_map(|line| line.strip_prefix("holder ")).map(|holder| holder.trim().to_owned());
        Some(Self { key: SecretKey::from_seed(&seed), holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn check(text: &str, expected: Option<&str>) {
        let found = KeyFile::from_text(text).map(|file| file.key.key_id().to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_key_survives_its_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("an.key");
        let made = KeyFile::generate(Some(" Nguyễn  Văn An\n")).unwrap();
        made.write_new(&path).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.key.seed(), made.key.seed());
        assert_eq!(read.holder.as_deref(), Some("Nguyễn Văn An"));
        assert!(matches!(made.write_new(&path), Err(KeyError::Exists { .. })));
        assert_eq!(KeyFile::read_or_make(&path, None).unwrap().key.seed(), made.key.seed());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            KeyFile::read(&path),
            Err(KeyError::Secret(SecretError::Readable { mode: 0o640, .. }))
        ));
    }

    #[test]
    fn only_a_key_file_is_one() {
        let seed = BASE64.encode([7; 32]);
        let id = SecretKey::from_seed(&[7; 32]).key_id().to_string();
        check(&format!("{MARK} {seed}"), Some(&id));
        check(&format!("{MARK} {seed}\nholder An\npublic x\n"), Some(&id));
        check("", None);
        check(&seed, None);
        check(&format!("{MARK} {}", BASE64.encode([7; 31])), None);
    }
}
