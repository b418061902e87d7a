//! `loaxa programme list`: the programmes in force.

use std::process::ExitCode;

use super::client::{CentralArgs, local, print_table, text};
use super::documents::{documents, groups, held};
use super::language::Outcome;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: &Args) -> Outcome {
    let sent = documents(&args.central.client()?, "programme/")?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&sent)?);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = sent.iter().map(|document| {
        let (held, boxes) = held(document);
        vec![
            text(&document["document"]).trim_start_matches("programme/").to_owned(),
            text(&document["title"]),
            text(&document["version"]),
            groups(document),
            local(&document["issued_at"]),
            format!("{held}/{boxes}"),
        ]
    });
    print_table("programmes", &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}
