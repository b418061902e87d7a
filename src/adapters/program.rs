//! Programs that we run: each is waited for, and ended when it takes too long.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use crate::clock::monotonic;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Time between two looks at a running program.
const LOOK: Duration = Duration::from_millis(5);

/// Reasons for which a program did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum ProgramError {
    Run(#[from] std::io::Error),
    Failed(ExitStatus),
    TooLong(Span),
}

impl Say for ProgramError {
    fn say(&self) -> Sentence {
        match self {
            ProgramError::Run(error) => said!("program.run", error),
            ProgramError::Failed(status) => said!("program.failed", status),
            ProgramError::TooLong(limit) => said!("program.too_long", limit_ms = limit.as_millis()),
        }
    }
}

/// Waits for a program to succeed, and kills it after `patience`.
///
/// # Errors
/// Fails where it fails, or was killed.
pub fn wait(child: &mut Child, patience: Span) -> Result<(), ProgramError> {
    let deadline = monotonic() + patience;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(ProgramError::Failed(status)),
            None if monotonic() >= deadline => {
                // It may have ended in this very moment.
                let _ = child.kill();
                let _ = child.wait();
                return Err(ProgramError::TooLong(patience));
            }
            None => std::thread::sleep(LOOK),
        }
    }
}
