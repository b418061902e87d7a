//! `loaxa policy`: hours, minutes and volume that the guard on each box keeps.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::client::{CentralArgs, local, text};
use super::documents::{documents, groups, held};
use super::language::{Failure, Outcome, chosen, tell, words};
use loaxa_heart::config::box_file;
use loaxa_heart::config::day_rules::hm;
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

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
    Show {
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        central: CentralArgs,
    },
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::Send { file, to, author, approver, central } => {
            let policy = box_file::read_policy(&file)?;
            let body = json!({ "to": to, "policy": policy, "author": author, "approver": approver });
            let answer =
                central.client()?.post("policies", "application/json", body.to_string().as_bytes())?;
            tell!("policy.sent", version = text(&answer["version"]), id = text(&answer["id"]));
        }
        Action::Show { json, central } => show(&central, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the policies that were sent, and how many boxes hold each.
fn show(central: &CentralArgs, json: bool) -> Result<(), Failure> {
    let sent = documents(&central.client()?, "policy")?;
    if json {
        println!("{}", serde_json::to_string_pretty(&sent)?);
        return Ok(());
    }
    if sent.is_empty() {
        tell!("policy.none");
    }
    for document in &sent {
        let (held, boxes) = held(document);
        let (version, groups) = (text(&document["version"]), groups(document));
        tell!("policy.head", version, groups, at = local(&document["issued_at"]), held, boxes);
        let policy: Policy = serde_json::from_value(document["policy"].clone())?;
        println!("{}", words(Sentence::Lines(lines(&policy))));
    }
    Ok(())
}

fn lines(policy: &Policy) -> Vec<Sentence> {
    let mut lines = Vec::new();
    for window in &policy.allowed {
        let (from, until) = (hm(window.from), hm(window.until));
        lines.push(match days(&window.days) {
            Some(days) => said!("policy.allowed_on", from, until, days),
            None => said!("policy.allowed", from, until),
        });
    }
    lines.extend(days(&policy.rest_weekdays).map(|days| said!("policy.rest", days)));
    if !policy.rest_dates.is_empty() {
        let dates: Vec<_> =
            policy.rest_dates.iter().map(|date| date.format("%d/%m/%Y").to_string()).collect();
        lines.push(said!("policy.rest", days = dates.join(", ")));
    }
    lines.push(said!("policy.minutes", session = policy.session_minutes_max, day = policy.day_minutes_max));
    let (day, night) = (policy.volume_day_percent_max, policy.volume_night_percent_max);
    lines.push(said!("policy.volume", day, night, zone = policy.volume_zone_percent_max));
    lines
}

/// Days of the week in the language of the run; nothing where there are none.
fn days(days: &[chrono::Weekday]) -> Option<String> {
    let texts = crate::commands::texts::TEXTS.of(chosen());
    let names: Vec<_> =
        days.iter().map(|day| texts.code("weekday", &day.to_string().to_lowercase())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
