//! `loaxa policy`: hours, minutes and volume that the guard on each box keeps.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::Outcome;
use super::client::{CentralArgs, text};
use loaxa_heart::config::box_file;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Sends limits to the boxes of groups; they replace those that the installer wrote.
    Send {
        /// A TOML file with the keys of [guard] in box.toml, and perhaps `version`.
        file: PathBuf,
        /// The groups whose boxes are to keep them.
        #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
        to: Vec<String>,
        /// Who wrote them.
        #[arg(long)]
        author: Option<String>,
        /// Who approved them.
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
    let said = central.lang.pick("đã gửi quy định phát, bản", "sent limits, version");
    println!("{said} {} ({})", text(&answer["version"]), text(&answer["id"]));
    Ok(ExitCode::SUCCESS)
}
