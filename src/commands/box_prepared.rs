//! `loaxa box prepared`: the messages that a box keeps ready for an emergency.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::language::{Outcome, tell};
use loaxa_box::local_socket;
use loaxa_heart::said;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List {
        #[arg(long)]
        json: bool,
    },
}

/// Lists the prepared messages of the box whose state is in `state_dir`.
pub fn run(args: &Args, state_dir: &Path) -> Outcome {
    let Action::List { json } = args.action;
    let prepared = local_socket::prepared(state_dir)
        .map_err(|error| said!("box.no_daemon", path = state_dir.display(), error))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&prepared)?);
        return Ok(ExitCode::SUCCESS);
    }
    if prepared.is_empty() {
        tell!("prepared.none");
    }
    for message in &prepared {
        let (id, title, language) = (&message.item.id, &message.item.title, &message.item.language);
        let seconds = message.item.media.ms.div_ceil(1_000);
        match message.held {
            true => tell!("prepared.held", id, title, language, seconds),
            false => tell!("prepared.missing", id, title, language, seconds),
        }
    }
    Ok(ExitCode::SUCCESS)
}
