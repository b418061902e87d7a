//! Failures of the disk, as the store tells them.

use rusqlite::ErrorCode;

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Failures of the store. The daemon goes on: changes that were not written wait in memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum StoreError {
    Full,
    ReadOnly,
    Damaged { detail: String },
    Unusable { detail: String },
}

impl Say for StoreError {
    fn say(&self) -> Sentence {
        match self {
            StoreError::Full => said!("box_store.full"),
            StoreError::ReadOnly => said!("box_store.read_only"),
            StoreError::Damaged { detail } => said!("box_store.damaged", detail),
            StoreError::Unusable { detail } => said!("box_store.unusable", detail),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { detail },
            // A value of another type than was written.
            None => StoreError::Damaged { detail },
            Some(_) => StoreError::Unusable { detail },
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
            _ => StoreError::Unusable { detail: error.to_string() },
        }
    }
}
