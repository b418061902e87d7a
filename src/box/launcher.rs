//! The launcher: starts the version of the program that is to run, and falls back from one that does not prove healthy.
//!
//! It belongs to the package and is never upgraded over the air. It becomes the program that it starts: what supervises
//! the one supervises the other.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use loaxa_adapters::slots::{self, SlotsDir};
use loaxa_heart::decide::slots::{Launch, Slots, Start, Verdict};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::software::Release;

use crate::settings::Launched;

/// Variable with the release of the package, by which a program knows that it was launched.
const INSTALLED: &str = "LOAXA_INSTALLED";
/// Variable with the hash of the version that was started; absent for the program of the package.
const VERSION: &str = "LOAXA_VERSION";

/// Starts the box whose state is in `state_dir` in the place of this process, with `arguments`; returns only where no
/// program can be started at all.
pub fn launch(state_dir: &Path, arguments: &[std::ffi::OsString]) -> std::io::Error {
    let dir = SlotsDir::below(state_dir);
    let installed = Release::of_this_program();
    let is_whole = |version: &_| dir.is_whole(version);
    let before = dir.read();
    let mut next = before.clone().launch(installed, &slots::instant(), is_whole);
    if next.slots != before
        && let Err(error) = dir.write(&next.slots)
    {
        tracing::error!(%error, "what is started can't be noted; no release is tried");
        next = before.start_kept(installed, is_whole);
    }
    loop {
        let failed = become_program(&dir, &next.start, installed, arguments);
        tracing::error!(start = ?next.start, error = %failed, "a program can't be started");
        next = match next.start {
            Start::Installed => return failed,
            Start::Trial { .. } => after_bad_trial(&dir, next.slots, installed),
            Start::Kept(_) => Launch { start: Start::Installed, slots: next.slots },
        };
    }
}

/// Gives a trial up whose program the kernel does not start.
fn after_bad_trial(dir: &SlotsDir, mut slots: Slots, installed: Release) -> Launch {
    slots.give_up(Verdict::Damaged);
    // Where the disk refuses, the trial ends after its second start.
    let _ = dir.write(&slots);
    slots.start_kept(installed, |version| dir.is_whole(version))
}

fn become_program(
    dir: &SlotsDir,
    start: &Start,
    installed: Release,
    arguments: &[std::ffi::OsString],
) -> std::io::Error {
    slots::end_no_more();
    let (program, sha256) = match start {
        Start::Trial { version, seconds } => {
            tracing::info!(release = %version.release, seconds, "a release is started on trial");
            slots::end_after(*seconds);
            (Ok(dir.program(&version.sha256)), Some(version.sha256))
        }
        Start::Kept(version) => (Ok(dir.program(&version.sha256)), Some(version.sha256)),
        Start::Installed => (std::env::current_exe(), None),
    };
    let program: PathBuf = match program {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut command = Command::new(program);
    command.args(arguments).env(INSTALLED, installed.to_string()).env_remove(VERSION);
    if let Some(sha256) = sha256 {
        command.env(VERSION, sha256.to_string());
    }
    command.exec()
}

/// Finds out how this program was launched; nothing where it was started by itself.
pub fn launched(state_dir: &Path) -> Option<Launched> {
    let installed = std::env::var(INSTALLED).ok()?.parse().ok()?;
    let sha256 = std::env::var(VERSION).ok().and_then(|text| text.parse::<ContentHash>().ok());
    Some(Launched { dir: SlotsDir::below(state_dir), sha256, installed })
}
