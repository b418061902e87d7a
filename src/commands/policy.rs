//! `loaxa policy`: hours, minutes and volume that the guard on each box keeps.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::client::{CentralArgs, text};
use super::language::{Outcome, tell};
use loaxa_heart::config::box_file;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Send {
        file: PathBuf,
        #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
        to: Vec<String>,
        #[arg(long)]
        author: Option<String>,
        #[arg(long)]
        approver: Option<String>,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    let Action::Send { file, to, author, approver, central } = args.action;
    let policy = box_file::read_policy(&file)?;
    let body = json!({ "to": to, "policy": policy, "author": author, "approver": approver });
    let answer = central.client()?.post("policies", "application/json", body.to_string().as_bytes())?;
    tell!("policy.sent", version = text(&answer["version"]), id = text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}
