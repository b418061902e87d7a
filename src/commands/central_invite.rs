//! `loaxa central invite`: a one-time code for a new box, as the page gives it.

use std::process::ExitCode;

use serde_json::json;

use super::client::{CentralArgs, local, text};
use super::language::{Outcome, tell};
use loaxa_heart::domain::ids::{BoxId, GroupId};

#[derive(clap::Args)]
pub struct Args {
    id: BoxId,
    #[arg(long)]
    title: String,
    #[arg(long = "group", required = true, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<GroupId>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let body = json!({ "box": args.id, "title": args.title, "groups": args.groups });
    let answer =
        args.central.client()?.post("enrolments", "application/json", body.to_string().as_bytes())?;
    tell!("invite.type", id = args.id, until = local(&answer["expires"]));
    println!("{}", text(&answer["command"]));
    Ok(ExitCode::SUCCESS)
}
