//! `loaxa cap`: alerts of the Common Alerting Protocol.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::Outcome;
use super::client::{CentralArgs, Lang, local, print_table, text};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    doing: Doing,
}

#[derive(Subcommand)]
enum Doing {
    /// Hands alerts to central.
    Send {
        /// CAP 1.2 files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        central: CentralArgs,
    },
    /// Checks files against CAP 1.2 without any central.
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Shows the alerts that were taken, newest first.
    List {
        #[command(flatten)]
        central: CentralArgs,
    },
    /// Lets a draft go out.
    Approve {
        /// As `loaxa cap list` shows it.
        id: String,
        /// The person's key that signs first, in the browser; without it, the keys on the server sign.
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
                let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                let answer = client
                    .post("cap", "application/cap+xml", &bytes)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                println!("{}: {}", file.display(), cells(&answer, client.lang).join("  "));
            }
        }
        Doing::Check { files } => return check(&files),
        Doing::List { central } => {
            let client = central.client()?;
            let alerts = client.get("cap/alerts", &[])?;
            let head = match client.lang {
                Lang::Vi => ["CẢNH BÁO", "NHẬN LÚC", "TRẠNG THÁI", "NỘI DUNG", "VÌ SAO"],
                Lang::En => ["ALERT", "RECEIVED", "STATE", "WHAT", "WHY"],
            };
            let rows: Vec<_> =
                alerts.as_array().into_iter().flatten().map(|row| cells(row, client.lang)).collect();
            print_table(&head, &rows);
        }
        Doing::Approve { id, key, central } => {
            let client = central.client()?;
            let key = key.map(|key| format!("?key={key}")).unwrap_or_default();
            let answer = client.post(&format!("cap/alerts/{id}/approve{key}"), "text/plain", b"")?;
            println!("{}", state(&answer["alert"]["state"], client.lang));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(files: &[PathBuf]) -> Outcome {
    let mut good = true;
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        match loaxa_heart::config::cap::read(&bytes) {
            Ok(alert) => println!("{}: {} {}", file.display(), alert.sender, alert.identifier),
            Err(error) => {
                good = false;
                eprintln!("{}: {error}", file.display());
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cells(row: &Value, lang: Lang) -> Vec<String> {
    let alert = &row["alert"];
    let (why, title) = (lang.pick("why_vi", "why"), text(&alert["title"]));
    // What was passed over is known by its address alone.
    let title = if title.is_empty() { text(&row["reference"]) } else { title };
    // Alerts that were taken by an earlier version have no reason in Vietnamese.
    let why = if alert[why].is_string() { &alert[why] } else { &alert["why"] };
    vec![text(&row["id"]), local(&row["received"]), state(&alert["state"], lang), title, text(why)]
}

fn state(state: &Value, lang: Lang) -> String {
    let word = match state.as_str().unwrap_or_default() {
        "draft" => lang.pick("chờ duyệt", "draft"),
        "signing" => lang.pick("chờ ký", "waits for signatures"),
        "sent" => lang.pick("đã gửi", "sent"),
        "sending" => lang.pick("đang gửi", "is being sent"),
        "passed_over" => lang.pick("bị bỏ qua", "passed over"),
        "ended" => lang.pick("đã kết thúc", "ended"),
        "ignored" => lang.pick("không phát", "nothing is said"),
        other => other,
    };
    word.to_owned()
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
