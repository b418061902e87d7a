//! Questions to the person at the console.

use std::io::{BufRead, BufReader, Read, Stdin};

use super::language::{Failure, tell};

/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 1_024;

/// Lines that a person types.
pub struct Console<R> {
    lines: BufReader<R>,
}

impl Console<Stdin> {
    pub fn stdin() -> Self {
        Self::new(std::io::stdin())
    }
}

impl<R: Read> Console<R> {
    pub fn new(input: R) -> Self {
        Self { lines: BufReader::new(input) }
    }

    /// Waits for the next line; `None` at the end of all lines, and where one is too long to be typed.
    pub fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let read = (&mut self.lines).take(LINE_BYTES_MAX).read_line(&mut line)?;
        Ok((read > 0 && line.ends_with('\n')).then(|| line.trim().to_owned()))
    }
}

/// Asks for the address of central; `None` where nobody answers.
///
/// # Errors
/// Fails where the console can't be read.
pub fn ask_for_central<R: Read>(console: &mut Console<R>) -> Result<Option<String>, Failure> {
    tell!("setup.ask_central");
    Ok(console.line()?.filter(|typed| !typed.is_empty()))
}
