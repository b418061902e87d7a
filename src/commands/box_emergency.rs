//! `loaxa box emergency`: a press for the local emergency, for a box without a button.

use std::path::Path;
use std::process::ExitCode;

use super::language::{Outcome, tell};
use loaxa_box::local_socket;
use loaxa_heart::domain::playback::LocalStep;
use loaxa_heart::said;

/// Presses once at the box whose state is in `state_dir`: run again within the order's seconds, it releases the message,
/// or ends what sounds.
pub fn run(state_dir: &Path) -> Outcome {
    let step = local_socket::press(state_dir)
        .map_err(|error| said!("box.no_daemon", path = state_dir.display(), error))?;
    match step {
        LocalStep::Armed { confirm_s } => tell!("local.armed", confirm_s),
        LocalStep::Released { command } => tell!("local.released", command),
        LocalStep::AboutToStop { confirm_s } => tell!("local.about_to_stop", confirm_s),
        LocalStep::Stopped => tell!("local.stopped"),
        LocalStep::Over => tell!("local.over"),
        LocalStep::Refused { why } => {
            tell!("local.refused", why);
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
