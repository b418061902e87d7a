//! `loaxa cap`: alerts of the Common Alerting Protocol.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::check::Worst;
use super::client::{CentralArgs, local, print_table, tell_refusals, text};
use loaxa_heart::config::{cap, files};
use loaxa_heart::texts::{Lang, visible};

use super::language::{Failure, Outcome, chosen, complain, of_file, words};

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
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    match args.doing {
        Doing::Send { files, central } => {
            let client = central.client()?;
            for file in files {
                let bytes = read(&file)?;
                let answer = client
                    .post("cap", "application/cap+xml", &bytes)
                    .map_err(|failure| of_file(&file, &failure.0))?;
                println!("{}: {}", file.display(), visible(&cells(&answer, chosen()).join("  ")));
            }
        }
        Doing::Check { files } => return check(&files),
        Doing::List { central } => {
            let client = central.client()?;
            let rows = client.get_pages("cap/alerts", |row| text(&row["id"]))?;
            print_table("cap", &rows.iter().map(|row| cells(row, chosen())).collect::<Vec<_>>());
        }
        Doing::Approve { id, key, anyway, central } => {
            let client = central.client()?;
            let path = format!("cap/alerts/{id}/approve");
            let by: Vec<_> = key.into_iter().map(|key| ("key", key)).collect();
            if !anyway {
                let query = [&by[..], &[("foresee", "true".to_owned())]].concat();
                let answer = client.post_with(&path, &query, "text/plain", b"")?;
                let expected = answer["expected"].as_array().into_iter().flatten();
                // Of each language it is told, and not of the first alone.
                if expected.filter(|one| tell_refusals(one)).count() > 0 {
                    complain!("send.stopped");
                    return Ok(Worst::Warned.exit_code());
                }
            }
            let answer = client.post_with(&path, &by, "text/plain", b"")?;
            println!("{}", visible(&state(&answer["alert"]["state"], chosen())));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a file of an alert, and a little more than is believed, so that its reader says what is too much.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let max = 2 * cap::ALERT_BYTES_MAX as u64;
    Ok(files::read_bytes(file, max).map_err(|said| of_file(file, &said))?)
}

fn check(files: &[PathBuf]) -> Outcome {
    let mut good = true;
    for file in files {
        let bytes = read(file)?;
        match cap::read(&bytes) {
            Ok(alert) => {
                println!("{}: {} {}", file.display(), visible(&alert.sender), visible(&alert.identifier))
            }
            Err(error) => {
                good = false;
                eprintln!("{}", words(of_file(file, &error)));
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cells(row: &Value, lang: Lang) -> Vec<String> {
    let alert = &row["alert"];
    let title = text(&alert["title"]);
    // What was passed over is known by its address alone.
    let title = if title.is_empty() { text(&row["reference"]) } else { title };
    let of_language = match lang {
        Lang::Vi => &alert["why_vi"],
        Lang::En => &alert["why"],
    };
    // Alerts that were taken by an earlier version have no reason in Vietnamese.
    let why = if of_language.is_string() { of_language } else { &alert["why"] };
    vec![text(&row["id"]), local(&row["received"]), state(&alert["state"], lang), title, text(why)]
}

fn state(state: &Value, lang: Lang) -> String {
    crate::commands::texts::TEXTS.of(lang).code("cap_state", &text(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_what_it_is_and_why() {
        let passed = serde_json::json!({
            "id": "", "reference": "https://kttv.example.vn/5", "received": "2026-11-26T10:00:00Z",
            "alert": { "state": "passed_over", "title": "", "why": "status 404", "why_vi": "mã 404" },
        });
        let shown = |row: &Value, lang| cells(row, lang)[2..].join("|");
        assert_eq!(shown(&passed, Lang::Vi), "bị bỏ qua|https://kttv.example.vn/5|mã 404");
        assert_eq!(shown(&passed, Lang::En), "passed over|https://kttv.example.vn/5|status 404");
        let earlier = serde_json::json!({
            "id": "1", "reference": "a,b,c", "received": "2026-11-26T10:00:00Z",
            "alert": { "state": "ignored", "title": "Lũ", "why": "it is over" },
        });
        assert_eq!(shown(&earlier, Lang::Vi), "không phát|Lũ|it is over");
    }
}
