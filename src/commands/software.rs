//! `loaxa software`: publishes a release of the program to boxes, wave by wave, and shows what became of it.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveTime;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::client::{CentralArgs, Client, text};
use super::language::{Failure, Outcome, of_file, tell};
use loaxa_heart::config::files;
use loaxa_heart::domain::software::Release;
use loaxa_heart::said;
use loaxa_heart::wire::codec::SOFTWARE_BYTES_MAX;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Publish(Publish),
    Show {
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        central: CentralArgs,
    },
}

#[derive(clap::Args)]
struct Publish {
    #[arg(required = true)]
    file: Vec<PathBuf>,
    #[arg(long)]
    release: String,
    #[arg(long, required = true, value_name = "GROUP,GROUP")]
    wave: Vec<String>,
    #[arg(long)]
    channel: Option<String>,
    #[arg(long, value_name = "FROM-UNTIL")]
    window: Option<String>,
    #[arg(long)]
    failures: Option<u32>,
    #[arg(long)]
    allow_downgrade: bool,
    #[arg(long)]
    retry: bool,
    #[arg(long)]
    author: Option<String>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::Publish(publish) => self::publish(publish)?,
        Action::Show { json, central } => show(&central, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(asked: Publish) -> Result<(), Failure> {
    let release: Release = asked.release.parse()?;
    let window = asked.window.as_deref().map(window).transpose()?;
    let client = asked.central.client()?;
    let mut builds = Map::new();
    for file in &asked.file {
        let bytes = files::read_bytes(file, SOFTWARE_BYTES_MAX).map_err(|said| of_file(file, &said))?;
        let taken = client.post("software/builds", "application/octet-stream", &bytes)?;
        let architecture = text(&taken["architecture"]);
        if builds.insert(architecture.clone(), taken["sha256"].clone()).is_some() {
            return Err(said!("release.twice", architecture).into());
        }
    }
    let waves: Vec<Vec<&str>> = asked.wave.iter().map(|wave| wave.split(',').collect()).collect();
    let body = json!({
        "release": release,
        "channel": asked.channel,
        "builds": builds,
        "waves": waves,
        "window": window,
        "failures_max": asked.failures,
        "allow_downgrade": asked.allow_downgrade,
        "retry": asked.retry,
        "author": asked.author,
    });
    let told = client.post("software", "application/json", body.to_string().as_bytes())?;
    let count = told["boxes"].as_array().map_or(0, Vec::len);
    tell!("release.published", release, waves = waves.len(), count);
    Ok(())
}

/// Reads `23:00-04:00`.
fn window(asked: &str) -> Result<Value, Failure> {
    let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let times = asked.split_once('-').and_then(|(from, until)| Some((time(from)?, time(until)?)));
    let (from, until) = times.ok_or_else(|| said!("release.bad_window", text = asked.escape_debug()))?;
    Ok(json!({ "from": from, "until": until }))
}

fn show(central: &CentralArgs, json: bool) -> Result<(), Failure> {
    let client: Client = central.client()?;
    let told = client.get("software", &[])?;
    if json {
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    if told.is_null() {
        tell!("release.none");
        return Ok(());
    }
    let (release, state) = (text(&told["plan"]["release"]), text(&told["state"]));
    let (ordered, waves) = (text(&told["ordered"]), told["plan"]["waves"].as_array().map_or(0, Vec::len));
    tell!("release.head", release, state, ordered, waves);
    for row in told["boxes"].as_array().into_iter().flatten() {
        let (id, wave, fate) = (text(&row["box"]), text(&row["wave"]), text(&row["fate"]));
        let (software, why) = (text(&row["software"]), text(&row["why"]));
        tell!("release.box", id, wave, fate, software, why);
    }
    Ok(())
}
