//! `loaxa cap`: alerts of the Common Alerting Protocol.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::Outcome;
use super::client::{CentralArgs, local, print_table, text};
use super::language::{chosen, of_file, words};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    doing: Doing,
}

#[derive(Subcommand)]
enum Doing {
    Send {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        central: CentralArgs,
    },
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    List {
        #[command(flatten)]
        central: CentralArgs,
    },
    Approve {
        id: String,
        #[arg(long, value_name = "KEY-ID")]
        key: Option<String>,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    match args.doing {
        Doing::Send { files, central } => {
            let client = central.client()?;
            for file in files {
                let bytes = std::fs::read(&file).map_err(|error| of_file(&file, &error))?;
                let answer = client
                    .post("cap", "application/cap+xml", &bytes)
                    .map_err(|failure| of_file(&file, &failure.0))?;
                println!("{}: {}", file.display(), cells(&answer).join("  "));
            }
        }
        Doing::Check { files } => return check(&files),
        Doing::List { central } => {
            let client = central.client()?;
            let alerts = client.get("cap/alerts", &[])?;
            let rows: Vec<_> = alerts.as_array().into_iter().flatten().map(cells).collect();
            print_table("cap", &rows);
        }
        Doing::Approve { id, key, central } => {
            let client = central.client()?;
            let key = key.map(|key| format!("?key={key}")).unwrap_or_default();
            let answer = client.post(&format!("cap/alerts/{id}/approve{key}"), "text/plain", b"")?;
            println!("{}", state(&answer["alert"]["state"]));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(files: &[PathBuf]) -> Outcome {
    let mut good = true;
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| of_file(&file, &error))?;
        match loaxa_heart::config::cap::read(&bytes) {
            Ok(alert) => println!("{}: {} {}", file.display(), alert.sender, alert.identifier),
            Err(error) => {
                good = false;
                eprintln!("{}", words(of_file(file, &error)));
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cells(row: &Value) -> Vec<String> {
    let alert = &row["alert"];
    vec![
        text(&row["id"]),
        local(&row["received"]),
        state(&alert["state"]),
        text(&alert["title"]),
        text(&alert["why"]),
    ]
}

fn state(state: &Value) -> String {
    crate::TEXTS.of(chosen()).code("cap_state", &text(state))
}
