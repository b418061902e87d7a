//! `loaxa stop`: one announcement, or everything that is not a slot.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::Value;

use super::client::{CentralArgs, Client, agreed, local, text};
use super::language::{Failure, Outcome, complain, tell};
use loaxa_adapters::clock;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

#[derive(clap::Args)]
pub struct Args {
    id: Option<String>,
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    if args.id.is_none() && !args.all {
        let emergencies = emergencies(&client)?;
        if !emergencies.is_empty() && !may_end(&emergencies)? {
            return Ok(ExitCode::FAILURE);
        }
    }
    let path = args.id.as_ref().map_or_else(|| "stop".to_owned(), |id| format!("announcements/{id}/cancel"));
    let answer = client.post(&path, "text/plain", b"")?;
    tell!("stop.sent", id = text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}

/// Actual emergencies that are in force, among the newest announcements.
fn emergencies(client: &Client) -> Result<Vec<Value>, Failure> {
    let now = clock::wall();
    let in_force = |row: &Value| {
        let expires = row["expires"].as_str().and_then(|at| at.parse::<Wall>().ok());
        row["class"] == "emergency"
            && row["mode"] == "actual"
            && row["ended"].is_null()
            && expires.is_some_and(|at| at > now)
    };
    // Whoever stops in haste waits for one answer.
    let rows = client.get("announcements", &[("limit", "1000".to_owned())])?;
    Ok(rows.as_array().into_iter().flatten().filter(|row| in_force(row)).cloned().collect())
}

/// Shows the emergencies, and asks whether they are to end, too. Nobody can be asked where there is no terminal.
fn may_end(emergencies: &[Value]) -> Result<bool, Failure> {
    complain!("stop.emergencies");
    for row in emergencies {
        let (id, title) = (text(&row["id"]), text(&row["title"]));
        complain!("stop.emergency", id, title, at = local(&row["issued_at"]));
    }
    if !std::io::stdin().is_terminal() {
        return Err(said!("stop.needs_all").into());
    }
    agreed(&said!("stop.word"), |word| said!("stop.ask", word))
}
