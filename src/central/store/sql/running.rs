//! The mark of a process that works on files which no other may work on meanwhile. It goes with the process, however that ends.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Takes what lies at a path for this process alone, for as long as the answer is kept.
///
/// # Errors
/// [`StoreError::Taken`] where another process has it.
pub fn work_alone_on(path: &Path) -> Result<File, StoreError> {
    let place = path.display().to_string();
    let cant_open =
        |error: std::io::Error| StoreError::CantOpen { path: place.clone(), detail: error.to_string() };
    let mut mark = path.as_os_str().to_owned();
    mark.push(".running");
    let mark = File::options().create(true).append(true).mode(0o600).open(PathBuf::from(mark));
    let mark = mark.map_err(cant_open)?;
    match mark.try_lock() {
        Ok(()) => Ok(mark),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken { place }),
        Err(TryLockError::Error(error)) => Err(cant_open(error)),
    }
}
