//! Programs that we run: each is waited for, and ended when it takes too long.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use crate::clock::monotonic;
use loaxa_heart::domain::time::Span;

/// Time between two looks at a running program.
const LOOK: Duration = Duration::from_millis(5);

/// Reasons for which a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("it can't be run: {0}")]
    Run(#[from] std::io::Error),
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    #[error("it took longer than {} ms", .0.as_millis())]
    TooLong(Span),
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
