//! `loaxa local-emergency`: the standing order that two presses on a box release while no link reaches the centre.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{CentralArgs, text};
use super::draft;
use super::language::{Outcome, tell};
use loaxa_adapters::keys::KeyFile;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Order {
        #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
        to: Vec<String>,
        #[arg(long)]
        title: String,
        #[arg(long)]
        text: String,
        #[arg(long, default_value = "vi")]
        language: String,
        #[arg(long, value_name = "FILE")]
        audio: Option<PathBuf>,
        #[arg(long, default_value_t = 300)]
        silent_s: u32,
        #[arg(long, default_value_t = 10)]
        confirm_s: u32,
        #[arg(long, default_value_t = 30)]
        minutes_max: u32,
        #[arg(long)]
        with_contact: bool,
        #[arg(long, default_value_t = 365)]
        days: u32,
        #[command(flatten)]
        by: By,
    },
    TakeBack {
        #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
        to: Vec<String>,
        #[command(flatten)]
        by: By,
    },
}

#[derive(clap::Args)]
struct By {
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    approver: Option<String>,
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::Order {
            to,
            title,
            text,
            language,
            audio,
            silent_s,
            confirm_s,
            minutes_max,
            with_contact,
            days,
            by,
        } => {
            let upload = |path: &PathBuf| by.central.client()?.upload(path);
            let media = audio.as_ref().map(upload).transpose()?;
            let message = json!({
                "title": title, "text": text, "language": language, "media": media, "silent_s": silent_s,
                "confirm_s": confirm_s, "minutes_max": minutes_max, "with_contact": with_contact, "days": days,
            });
            give(&by, &to, message)
        }
        Action::TakeBack { to, by } => give(&by, &to, Value::Null),
    }
}

/// Has the order signed by the keys of the centre, or drafts it for people to sign.
fn give(by: &By, to: &[String], message: Value) -> Outcome {
    let asked = json!({ "to": to, "message": message, "author": by.author, "approver": by.approver });
    let Some(key) = &by.key else {
        let body = asked.to_string();
        let answer = by.central.client()?.post("local-emergencies", "application/json", body.as_bytes())?;
        tell!("local.sent", version = text(&answer["version"]), id = text(&answer["id"]));
        return Ok(ExitCode::SUCCESS);
    };
    let client = by.central.client_of_person()?;
    let order = json!({ "local_emergency": asked });
    let (id, answer) = draft::make(&client, &KeyFile::read(key)?.key, &order)?;
    match answer["sent"] == true {
        true => tell!("announce.sent", id),
        false => tell!("announce.drafted", id),
    }
    Ok(ExitCode::SUCCESS)
}
