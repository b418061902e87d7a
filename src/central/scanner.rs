//! A scanner for malicious files that the office has installed: it sees each file that people or programs send, before the
//! file is kept.

use std::path::Path;
use std::process::{Command, Stdio};

use loaxa_adapters::program::{self, ProgramError};
use loaxa_heart::domain::time::Span;

/// Longest time that the scan of one file may take.
const WORK_MAX: Span = Span::secs(120);
/// The exit status by which scanners tell of a find, clamscan and clamdscan among them.
const FOUND: i32 = 1;

/// The outcome of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    Malicious,
    /// The scanner is missing, failed or took too long.
    Unknown,
}

/// Has a file scanned by a command, behind whose arguments its path is put. Without a command every file is clean.
pub fn ask(command: &[String], file: &Path) -> Verdict {
    let Some((name, arguments)) = command.split_first() else { return Verdict::Clean };
    let mut scanner = Command::new(name);
    scanner.args(arguments).arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let done = match scanner.spawn() {
        Ok(mut child) => program::wait(&mut child, WORK_MAX),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => Verdict::Clean,
        Err(ProgramError::Failed(status)) if status.code() == Some(FOUND) => Verdict::Malicious,
        Err(error) => {
            tracing::error!(%error, name, "the scanner for malicious files does not work");
            Verdict::Unknown
        }
    }
}
