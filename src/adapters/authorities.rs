//! The authorities of the commune's servers, as a box knows them: those of its enrolment, or those that central sent later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::certificate;
use crate::whole_file;
use loaxa_heart::domain::ids::ContentHash;

/// Name of the file with the authorities that came over the wire, in the folder of the state.
const FILE: &str = "authorities.pem";

/// The two places of authorities, PEM. What came later counts, in a process that runs, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    configured: PathBuf,
    renewed: PathBuf,
}

impl Authorities {
    /// The authorities of an enrolment, and those that come after it into the state.
    pub fn new(configured: PathBuf, state_dir: &Path) -> Self {
        Self { configured, renewed: renewed(state_dir) }
    }

    /// Returns the file of those in force.
    pub fn file(&self) -> &Path {
        if holds_certificates(&self.renewed) { &self.renewed } else { &self.configured }
    }

    /// Returns the hash of those in force, `None` where the file can't be read.
    pub fn hash(&self) -> Option<ContentHash> {
        fs::read(self.file()).ok().map(|text| ContentHash::of(&text))
    }

    /// Puts others in force from the next connection on; says whether there are any in the text.
    ///
    /// # Errors
    /// Fails when the disk refuses; the earlier ones stay in force then.
    pub fn take(&self, text: &str) -> io::Result<bool> {
        if certificate::first_of(text.as_bytes()).is_none() {
            return Ok(false);
        }
        whole_file::write(&self.renewed, text.as_bytes(), 0o644)?;
        Ok(true)
    }
}

/// Returns the file of the authorities that came after the enrolment.
pub fn renewed(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

fn holds_certificates(path: &Path) -> bool {
    fs::read(path).is_ok_and(|text| certificate::first_of(&text).is_some())
}
