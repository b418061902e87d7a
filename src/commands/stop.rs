use std::process::ExitCode;

use super::client::{CentralArgs, text};
use super::language::{Outcome, tell};

#[derive(clap::Args)]
pub struct Args {
    id: Option<String>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let path = args.id.as_ref().map_or_else(|| "stop".to_owned(), |id| format!("announcements/{id}/cancel"));
    let answer = client.post(&path, "text/plain", b"")?;
    tell!("stop.sent", id = text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}
