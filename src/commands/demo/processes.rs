//! The programs that the demo starts, which all end with it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::commands::language::Failure;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// Longest wait for a program to end in order.
const FAREWELL: Span = Span::secs(5);
/// Pause between two looks at a program that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines shown of what a program said before it died.
const LAST_WORDS: usize = 8;

/// Programs that run; dropped, they end.
#[derive(Default)]
pub struct Processes(Vec<Process>);

struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Processes {
    /// Starts this same program with other arguments; what it says goes to `log`.
    ///
    /// # Errors
    /// Fails when it can't be started.
    pub fn start(&mut self, name: &str, args: &[&str], config: &Path, log: PathBuf) -> Result<(), Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).arg("--config").arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        // SAFETY: the one call between fork and exec is a system call without memory of its own.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGTERM)?));
        }
        let child = command.spawn()?;
        self.0.push(Process { name: name.to_owned(), child, log });
        Ok(())
    }

    /// Waits for the first line that the last program prints.
    ///
    /// # Errors
    /// Fails with the last words of a program that ends instead.
    pub fn first_line(&mut self) -> Result<String, Failure> {
        let last = self.0.last_mut().ok_or_else(|| said!("demo.no_program"))?;
        let mut line = String::new();
        if let Some(stdout) = last.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.is_empty() { Err(last.last_words()) } else { Ok(line) }
    }

    /// Makes sure that all are there.
    ///
    /// # Errors
    /// The last words of one that is not.
    pub fn check(&mut self) -> Result<(), Failure> {
        for process in &mut self.0 {
            if process.child.try_wait()?.is_some() {
                return Err(process.last_words());
            }
        }
        Ok(())
    }
}

impl Process {
    fn last_words(&self) -> Failure {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n  ");
        said!("demo.has_ended", name = self.name, log = self.log.display(), last).into()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Boxes before central, so that their last log entries find it. A failed kill is one that is gone already.
        for process in self.0.iter_mut().rev() {
            let _ = kill(Pid::from_raw(process.child.id() as i32), Signal::SIGTERM);
            let until = monotonic() + FAREWELL;
            while matches!(process.child.try_wait(), Ok(None)) && monotonic() < until {
                std::thread::sleep(LOOK_EVERY);
            }
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
