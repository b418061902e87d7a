use std::process::ExitCode;

use serde_json::Value;

use super::client::{CentralArgs, local, print_json, print_table, text};
use super::language::{Outcome, chosen, tell, words};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let boxes = client.get("boxes", &[])?;
    if args.json {
        print_json(&format!("{boxes:#}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = boxes.as_array().into_iter().flatten().map(cells).collect();
    print_table("status", &rows);
    println!();
    tell_counts(&client.get("status", &[])?);
    Ok(ExitCode::SUCCESS)
}

/// Tells what central has counted since its start.
fn tell_counts(status: &Value) {
    if status["connected"] == true {
        tell!("status.connected");
    } else {
        tell!("status.not_connected");
    }
    for (kind, count) in status["since_start"].as_object().into_iter().flatten() {
        let what = crate::commands::texts::TEXTS.of(chosen()).code("counted", kind);
        tell!("status.counted", count, what);
    }
}

fn cells(row: &Value) -> Vec<String> {
    let fault = |fault| crate::commands::texts::TEXTS.of(chosen()).code("fault", &text(fault));
    let faults = row["faults"].as_array().into_iter().flatten().map(fault);
    vec![
        text(&row["id"]),
        text(&row["title"]),
        words(state(row)),
        local(&row["last_seen"]),
        text(&row["backlog"]),
        faults.collect::<Vec<_>>().join(", "),
    ]
}

fn state(row: &Value) -> Sentence {
    if row["last_seen"].is_null() {
        return said!("status.never");
    }
    if row["online"] != true {
        return said!("status.lost");
    }
    match row["on_air"]["title"].as_str() {
        Some(title) => said!("status.on_air", title),
        None => said!("status.silent"),
    }
}
