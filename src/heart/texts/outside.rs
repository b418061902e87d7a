//! Errors of the standard library and of parsers, as people read them.

use std::io::{Error, ErrorKind};

use super::{Say, Sentence};
use crate::said;

/// The usual reasons have words; a rare one is told as the system tells it.
impl Say for Error {
    fn say(&self) -> Sentence {
        match self.kind() {
            ErrorKind::NotFound => said!("io.not_found"),
            ErrorKind::PermissionDenied => said!("io.permission_denied"),
            ErrorKind::AlreadyExists => said!("io.already_exists"),
            ErrorKind::StorageFull => said!("io.storage_full"),
            ErrorKind::ReadOnlyFilesystem => said!("io.read_only"),
            ErrorKind::IsADirectory => said!("io.is_a_directory"),
            ErrorKind::NotADirectory => said!("io.not_a_directory"),
            ErrorKind::AddrInUse => said!("io.address_in_use"),
            ErrorKind::AddrNotAvailable => said!("io.address_not_available"),
            ErrorKind::ConnectionRefused => said!("io.connection_refused"),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => said!("io.connection_broken"),
            ErrorKind::TimedOut => said!("io.timed_out"),
            ErrorKind::UnexpectedEof => said!("io.ends_early"),
            _ => Sentence::from_outside(self.to_string()),
        }
    }
}

impl Say for serde_json::Error {
    fn say(&self) -> Sentence {
        said!("parse.json", detail = Sentence::from_outside(self.to_string()))
    }
}

impl Say for toml::de::Error {
    fn say(&self) -> Sentence {
        said!("parse.toml", detail = Sentence::from_outside(self.to_string().trim_end()))
    }
}

impl Say for core::net::AddrParseError {
    fn say(&self) -> Sentence {
        said!("parse.address")
    }
}

impl Say for url::ParseError {
    fn say(&self) -> Sentence {
        said!("parse.url", detail = Sentence::from_outside(self.to_string()))
    }
}
