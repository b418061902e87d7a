//! `loaxa box launch`: starts the release that is to run on a box, and keeps one that came over the air on trial until it
//! proves healthy.

use std::path::Path;

use super::language::Outcome;
use super::log_lines;
use loaxa_box::launcher;

/// The variable with the levels of a box's log, and the usual ones.
pub const LOG: (&str, &str) = ("LOAXA_LOG", "warn,loaxa=info");

/// Becomes the program that is to run; `path` are the settings of the box.
pub fn run(path: &Path, state_dir: &Path) -> Outcome {
    log_lines::start(LOG);
    let arguments = ["box", "--config"].map(Into::into).into_iter().chain([path.into()]);
    Err(launcher::launch(state_dir, &arguments.collect::<Vec<_>>()).into())
}
