//! Files found by their names in whichever Unicode form those were written: macOS writes "à" as two letters (NFD), what
//! people type on Linux and Windows is one (NFC), and a file system sees two names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

/// Most entries of a folder that are looked at.
const ENTRIES_MAX: usize = 50_000;

/// The names of the folders in which something was sought, each folder read once.
#[derive(Default)]
pub(super) struct FileNames(RefCell<BTreeMap<PathBuf, BTreeMap<String, OsString>>>);

impl FileNames {
    /// Finds the path as it stands on the disk; where there is nothing of this name, the path as it was written.
    pub fn find(&self, path: &Path) -> PathBuf {
        let mut found = PathBuf::new();
        for part in path.components() {
            let exact = found.join(part);
            found = match part {
                Component::Normal(name) if exact.symlink_metadata().is_err() => {
                    let twin = name.to_str().and_then(|name| self.twin(&found, name));
                    twin.map_or(exact, |twin| found.join(twin))
                }
                _ => exact,
            };
        }
        found
    }

    fn twin(&self, folder: &Path, name: &str) -> Option<OsString> {
        if let Some(names) = self.0.borrow().get(folder) {
            return names.get(&name.nfc().collect::<String>()).cloned();
        }
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = std::fs::read_dir(here).into_iter().flatten().flatten().take(ENTRIES_MAX);
        let names = entries.filter_map(|entry| {
            let name = entry.file_name();
            Some((name.to_str()?.nfc().collect::<String>(), name))
        });
        self.0.borrow_mut().insert(folder.to_owned(), names.collect());
        self.twin(folder, name)
    }
}
