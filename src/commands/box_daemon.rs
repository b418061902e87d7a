//! `loaxa box`: the daemon, and what an installer does beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{Outcome, box_enrol};
use crate::adapters::clock::Clock;
use crate::adapters::keys::KeyFile;
use crate::r#box::daemon;
use crate::r#box::settings::{CentralSettings, Settings};
use crate::r#box::status;
use crate::config::box_file::{self, BoxConfig, NamedFiles, Rtc, TrustConfig};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    doing: Option<Doing>,
    /// Settings of this box.
    #[arg(long, default_value = "/etc/loaxa/box.toml", global = true)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Doing {
    /// Runs the daemon; the same as no subcommand.
    Run,
    /// Asks the daemon on this machine how it is.
    Status,
    /// Makes this box's keys, and lets central take it in.
    Enrol(box_enrol::Args),
}

pub fn run(args: Args) -> Outcome {
    let read = || box_file::read(&args.config, NamedFiles::MustExist);
    match args.doing {
        None | Some(Doing::Run) => {
            super::log_to_stderr();
            daemon::run(settings(read()?)?)?;
        }
        Some(Doing::Status) => {
            let config = read()?;
            let status = status::ask(&config.state_dir).map_err(|error| {
                format!("no daemon answers in {}: {error}; is loaxa-box running?", config.state_dir.display())
            })?;
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        Some(Doing::Enrol(enrol)) => return box_enrol::run(enrol),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the daemon needs, from what the installer wrote.
fn settings(config: BoxConfig) -> Result<Settings, Box<dyn std::error::Error + Send + Sync>> {
    std::fs::create_dir_all(&config.state_dir).map_err(|error| {
        format!("the state directory {} can't be made: {error}", config.state_dir.display())
    })?;
    let (root, trust, key) = match &config.trust {
        Some(trust) => (Some(trust.root.read()?), first_trust(trust)?, trust.key.clone()),
        None => (None, None, config.state_dir.join("box.key")),
    };
    let key = KeyFile::read_or_make(&key, Some(config.id.as_str()))?.key;
    let central = config.central.map(|central| -> Result<_, String> {
        let mut broker = central.broker;
        if let (Some(name), Some(path)) = (central.username, central.password_file) {
            let password = std::fs::read_to_string(&path)
                .map_err(|error| format!("the password file {} can't be read: {error}", path.display()))?;
            broker.login = Some((name, password.trim_end().to_owned()));
        }
        Ok(CentralSettings {
            broker,
            ca: central.tls.ca,
            identity: central.tls.identity,
            media: central.media,
        })
    });
    Ok(Settings {
        box_id: config.id,
        groups: config.groups,
        languages: config.languages,
        state_dir: config.state_dir,
        programmes: config.programmes,
        sink: config.sound.output.parse()?,
        volume_percent: config.sound.volume_percent,
        target_lufs: Some(config.sound.loudness_lufs),
        amplifier: config.amplifier,
        speech: config.speech,
        policy: config.guard,
        central: central.transpose()?,
        root,
        trust,
        key,
        has_battery_clock: match config.rtc {
            Rtc::Auto => Clock::battery_is_there(),
            Rtc::Yes => true,
            Rtc::No => false,
        },
    })
}

fn first_trust(trust: &TrustConfig) -> Result<Option<Vec<u8>>, String> {
    let read = |path: &PathBuf| {
        std::fs::read(path)
            .map_err(|error| format!("the trust document {} can't be read: {error}", path.display()))
    };
    trust.trust.as_ref().map(read).transpose()
}
