//! `loaxa box`: the daemon, and what an installer does beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::language::{Failure, Outcome};
use super::test_tone::{self, Test};
use super::{
    box_check, box_emergency, box_enrol, box_first_start, box_import, box_launch, box_prepared, box_setup,
    log_lines,
};
use loaxa_adapters::clock::Clock;
use loaxa_adapters::keys::KeyFile;
use loaxa_adapters::private_files;
use loaxa_box::daemon;
use loaxa_box::launcher;
use loaxa_box::local_socket;
use loaxa_box::settings::{CentralSettings, Settings};
use loaxa_heart::config::box_file::{
    self, AmplifierConfig, BoxConfig, MediaConfig, NamedFiles, Rtc, TrustConfig,
};
use loaxa_heart::config::files;
use loaxa_heart::decide::downloads::{Night, Rules};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use loaxa_heart::wire::signing::SecretKey;
use loaxa_sound::output::sink::{self, SinkSpec};

/// Volume of a test tone where no settings name one, as that of a box without settings.
const VOLUME_PERCENT: u8 = 80;

/// Most bytes of a password.
const SECRET_BYTES_MAX: u64 = 4_096;

/// Most bytes of a trust document.
const TRUST_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    doing: Option<Doing>,
    #[arg(long, default_value = "/etc/loaxa/box.toml", global = true)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Doing {
    Run,
    Launch,
    Status,
    Check(box_check::Args),
    Devices,
    TestTone {
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
        #[arg(long)]
        output: Option<SinkSpec>,
        #[arg(long)]
        verify: bool,
        #[arg(long)]
        microphone: Option<String>,
    },
    Enrol(box_enrol::Args),
    FirstStart(box_first_start::Args),
    Setup(box_setup::Args),
    Import(box_import::Args),
    Prepared(box_prepared::Args),
    Emergency,
}

pub fn run(args: Args) -> Outcome {
    // What it names is sought beside it, also by those who know nothing of the directory we were started in.
    let path = std::path::absolute(&args.config)?;
    let config = || box_file::read(&path, NamedFiles::MustExist);
    match args.doing {
        None | Some(Doing::Run) => {
            log_lines::start(box_launch::LOG);
            private_files::keep_all_private();
            daemon::run(settings(config()?)?)?;
        }
        Some(Doing::Launch) => return box_launch::run(&path, &box_file::state_dir(&path)),
        Some(Doing::Status) => {
            let state_dir = config()?.state_dir;
            let status = local_socket::ask(&state_dir)
                .map_err(|error| said!("box.no_daemon", path = state_dir.display(), error))?;
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        Some(Doing::Check(check)) => return box_check::run(&check, &path),
        Some(Doing::Prepared(prepared)) => return box_prepared::run(&prepared, &config()?.state_dir),
        Some(Doing::Emergency) => return box_emergency::run(&config()?.state_dir),
        Some(Doing::Import(import)) => return box_import::run(&import, &config()?.state_dir),
        Some(Doing::Enrol(enrol)) => return box_enrol::run(enrol),
        Some(Doing::FirstStart(start)) => return box_first_start::run(&start),
        Some(Doing::Setup(setup)) => return box_setup::run(&setup),
        Some(Doing::Devices) => {
            for (name, description) in sink::alsa_outputs()? {
                println!("alsa:{name}  {}", description.replace('\n', ", "));
            }
        }
        Some(Doing::TestTone { seconds, output, verify, microphone }) => {
            let microphone = microphone.map(|name| name.strip_prefix("alsa:").unwrap_or(&name).to_owned());
            // A box that is not yet set up has a loudspeaker all the same.
            let test = match output {
                Some(output) if !args.config.exists() => Test {
                    seconds,
                    output,
                    amplifier: AmplifierConfig::default(),
                    volume_percent: VOLUME_PERCENT,
                    microphone,
                    verify,
                },
                output => {
                    let config = config()?;
                    Test {
                        seconds,
                        output: output.map_or_else(|| config.sound.output.parse(), Ok)?,
                        amplifier: config.amplifier,
                        volume_percent: config.sound.volume_percent,
                        microphone: microphone.or(config.sound.microphone),
                        verify,
                    }
                }
            };
            return test_tone::run(test);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the daemon's settings of what the installer wrote.
fn settings(config: BoxConfig) -> Result<Settings, Failure> {
    std::fs::create_dir_all(&config.state_dir)
        .map_err(|error| said!("box.no_state_dir", path = config.state_dir.display(), error))?;
    let (root, trust, key) = match &config.trust {
        Some(trust) => (Some(trust.root.read()?), first_trust(trust)?, trust.key.clone()),
        None => (None, None, config.state_dir.join("box.key")),
    };
    let key = KeyFile::read_or_make(&key, Some(config.id.as_str()))?.key;
    let tls = config.central.as_ref().and_then(|central| central.tls.identity.as_ref());
    tls.map(|(_, key)| private_files::open(key)).transpose()?;
    let media = media_rules(&config.media, &key);
    let central = config.central.map(|central| -> Result<_, Failure> {
        let mut broker = central.broker;
        if let (Some(name), Some(path)) = (central.username, central.password_file) {
            let password = files::read_text(&path, SECRET_BYTES_MAX)
                .map_err(|error| said!("box.no_password", path = path.display(), error))?;
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
        channel: config.channel,
        launched: launcher::launched(&config.state_dir),
        box_id: config.id,
        groups: config.groups,
        languages: config.languages,
        state_dir: config.state_dir,
        programmes: config.programmes,
        sink: config.sound.output.parse()?,
        volume_percent: config.sound.volume_percent,
        target_lufs: Some(config.sound.loudness_lufs),
        shaping: config.sound.shaping,
        amplifier: config.amplifier,
        panel: config.panel,
        microphone: config.sound.microphone,
        delay_ms: config.sound.delay_ms,
        speech: config.speech,
        policy: config.guard,
        central: central.transpose()?,
        root,
        trust,
        media,
        key,
        has_battery_clock: match config.rtc {
            Rtc::Auto => Clock::battery_is_there(),
            Rtc::Yes => true,
            Rtc::No => false,
        },
    })
}

/// A megabyte, as providers count it.
const MB: u64 = 1_000_000;

fn media_rules(media: &MediaConfig, key: &SecretKey) -> Rules {
    // A number of the box's own that stays the same.
    let digest = ContentHash::of(key.public().to_string().as_bytes()).0;
    let jitter = f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX);
    Rules {
        budget_bytes: media.month_mb_max.map(|mb| u64::from(mb) * MB),
        night: media.night.map(|(from, until)| Night { from, until, jitter }),
        disk_bytes_max: u64::from(media.disk_mb_max) * MB,
    }
}

fn first_trust(trust: &TrustConfig) -> Result<Option<Vec<u8>>, Failure> {
    let read = |path: &PathBuf| {
        files::read_bytes(path, TRUST_BYTES_MAX)
            .map_err(|error| said!("box.no_trust", path = path.display(), error).into())
    };
    trust.trust.as_ref().map(read).transpose()
}
