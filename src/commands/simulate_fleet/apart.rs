//! The centre of a trial as a process of its own, so that what it costs is told apart from its boxes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use super::super::language::{Failure, Outcome};
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// The argument that makes a process of this program the centre of a trial.
const AS_CENTRE: &str = "--as-centre";

/// A centre in its own process; it ends with this.
pub struct Centre {
    child: Child,
    pub http: SocketAddr,
    /// The broker in it, where it has one.
    pub broker: Option<SocketAddr>,
}

/// The resources that a process has used.
#[derive(Clone, Copy, Default)]
pub struct Used {
    /// Of one core, user and system together.
    pub cpu: Span,
    /// Most resident memory so far, in kB.
    pub memory: u64,
    /// Bytes that went to the disk.
    pub written: u64,
}

impl Centre {
    /// Starts this program again with the same arguments, and waits until it serves.
    ///
    /// # Errors
    /// Fails where the centre does not start; it has said why.
    pub fn start(dir: &Path, seed: &[u8; 32]) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .arg(AS_CENTRE)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.as_mut().expect("it was asked for").write_all(seed)?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("it was asked for")).read_line(&mut said)?;
        let mut addresses = said.split_whitespace().map(|address| address.parse().ok());
        let Some(http) = addresses.next().flatten() else {
            let _ = child.wait();
            return Err(said!("fleet.no_centre").into());
        };
        Ok(Self { child, http, broker: addresses.next().flatten() })
    }

    /// Reads what it has used so far.
    pub fn used(&self) -> Used {
        let of = |what: &str| {
            std::fs::read_to_string(format!("/proc/{}/{what}", self.child.id())).unwrap_or_default()
        };
        let stat = of("stat");
        // What stands before the parenthesis is the program's name.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let number = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let memory = number(&of("status"), "VmHWM:").unwrap_or_default();
        let written = number(&of("io"), "write_bytes:").unwrap_or_default();
        // Linux counts hundredths of a second.
        Used { cpu: Span::millis(ticks * 10), memory, written }
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        // It ends when nobody holds the other end.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Is the centre, with the settings that follow from the seed, until its standard input ends.
pub async fn be_centre(settings: impl FnOnce(&[u8; 32]) -> Result<Settings, Failure>) -> Outcome {
    let mut seed = [0; 32];
    std::io::stdin().read_exact(&mut seed)?;
    let central = Central::start(settings(&seed)?).await.map_err(|error| error.say())?;
    let broker = central.broker_addr().map_or_else(|| "-".to_owned(), |address| address.to_string());
    println!("{} {broker}", central.http_addr());
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.expect("it does not panic")?;
    central.stop().await;
    Ok(ExitCode::SUCCESS)
}
