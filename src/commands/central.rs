use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::language::{Failure, Outcome, of_file};
use super::{
    central_authority, central_backup, central_init, central_invite, central_move, central_person,
    central_renew, central_restore, central_token, log_lines,
};
use loaxa_adapters::keys::KeyFile;
use loaxa_adapters::private_files;
use loaxa_central::Central;
use loaxa_central::settings::BoxDeclared;
use loaxa_central::settings::Feed;
use loaxa_central::settings::Identity;
use loaxa_central::settings::{
    BrokerChoice, Calling, CapSettings, Email, Enrolment, Group, Keys, Logins, Reporting, Settings, Training,
    TrainingDoor, Webhook,
};
use loaxa_central::settings::{PageDoor, PageTls};
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::calling_file::CallingConfig;
use loaxa_heart::config::central_file::{self, CentralConfig};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    doing: Option<Doing>,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

#[derive(clap::Subcommand)]
enum Doing {
    Init(central_init::Args),
    Backup(central_backup::Args),
    Restore(central_restore::Args),
    Renew(central_renew::Args),
    MoveTo(central_move::Args),
    Authority(central_authority::Args),
    Person(central_person::Args),
    Token(central_token::Args),
    Invite(central_invite::Args),
}

pub fn run(args: Args) -> Outcome {
    match args.doing {
        Some(Doing::Init(init)) => return central_init::run(init),
        Some(Doing::Backup(backup)) => return central_backup::run(backup),
        Some(Doing::Restore(restore)) => return central_restore::run(restore),
        Some(Doing::Renew(renew)) => return central_renew::run(renew),
        Some(Doing::MoveTo(to)) => return central_move::run(to),
        Some(Doing::Authority(authority)) => return central_authority::run(&authority),
        Some(Doing::Invite(invite)) => return central_invite::run(invite),
        Some(Doing::Person(person)) => return central_person::run(person),
        Some(Doing::Token(token)) => return central_token::run(token),
        None => {}
    }
    private_files::keep_all_private();
    log_lines::start(("RUST_LOG", "info,mqtt5=warn"));
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    let settings = settings(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ran = runtime.block_on(loaxa_central::run::run(settings, asked_to_end(), say_where));
    // What still waits for another machine then holds nothing up.
    runtime.shutdown_timeout(END_MAX);
    ran?;
    Ok(ExitCode::SUCCESS)
}

/// Longest wait for threads that are busy with something outside when central has ended.
const END_MAX: Duration = Duration::from_secs(5);

/// One line for people and for programs that start this one with port 0.
fn say_where(central: &Central) {
    let broker = central.broker_addr().map_or_else(|| "-".to_owned(), |addr| addr.to_string());
    println!("loaxa central ready {}={} mqtt={broker}", central.scheme(), central.http_addr());
}

async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be waited for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be waited for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Reads what the configuration names.
fn settings(config: CentralConfig) -> Result<Settings, Failure> {
    std::fs::create_dir_all(&config.data_dir).map_err(|error| of_file(&config.data_dir, &error))?;
    let token_read = token(&config.token_file)?;
    let cap = config.cap.map(|cap| -> Result<_, Failure> {
        let token = cap.token_file.as_deref().map(token).transpose()?;
        let feed = cap.feed.map(|feed| Feed {
            url: feed.url,
            ca: feed.ca,
            every: std::time::Duration::from_secs(60 * u64::from(feed.minutes)),
        });
        let (policy, straight_to_air, certificates) = (cap.policy, cap.straight_to_air, cap.certificates);
        Ok(CapSettings { policy, straight_to_air, certificates, feed, token })
    });
    let issuers = config.keys.issuers.iter().map(|path| KeyFile::read(path).map(|file| file.key));
    if let central_file::BrokerChoice::Url { tls, .. } = &config.broker
        && let Some((_, key)) = &tls.identity
    {
        private_files::open(key)?;
    }
    let keys = Keys {
        central: KeyFile::read(&config.keys.central)?.key,
        issuers: issuers.collect::<Result<_, _>>()?,
        trust: read(&config.keys.trust)?,
    };
    let enrolment = config.enrolment.map(|files| enrolment(files, &config.data_dir)).transpose()?;
    let group =
        |entry: central_file::ListedGroup| Group { id: entry.id, title: entry.title, parent: entry.parent };
    let declared = |entry: central_file::ListedBox| BoxDeclared {
        id: entry.id,
        title: entry.title,
        groups: entry.groups,
        key: entry.key.map(|key| key.to_string()),
    };
    Ok(Settings {
        listen: config.listen,
        public_url: config.public_url.map(|url| url.trim_end_matches('/').to_owned()),
        peer_url: config.peer_url.map(|url| url.trim_end_matches('/').to_owned()),
        page: PageDoor { tls: page_tls(config.tls), hosts: config.hosts, proxies: config.proxies },
        data_dir: config.data_dir,
        commune: config.commune,
        broker: broker(config.broker, enrolment.is_some()),
        enrolment,
        database: config.database,
        token: token_read,
        second_factor: config.second_factor,
        everyday: config.everyday,
        training: config.training.map_or(Training::Nowhere, |door| {
            let public_url = door.public_url.map(|url| url.trim_end_matches('/').to_owned());
            Training::At(TrainingDoor { listen: door.listen, public_url })
        }),
        keys,
        speech: config.speech,
        scanner: config.scanner,
        cap: cap.transpose()?,
        calling: calling(config.calling)?,
        reporting: Reporting { above: config.report.above, email: config.report.email },
        groups: config.groups.into_iter().map(group).collect(),
        boxes: config.boxes.into_iter().map(declared).collect(),
        trust_first_use: false,
    })
}

fn page_tls(tls: central_file::PageTls) -> PageTls {
    match tls {
        central_file::PageTls::Off => PageTls::Off,
        central_file::PageTls::OwnAuthority => PageTls::OwnAuthority,
        central_file::PageTls::Files { certificate, key, ca } => PageTls::Files { certificate, key, ca },
    }
}

fn calling(config: CallingConfig) -> Result<Calling, Failure> {
    let email = config.email.map(|email| -> Result<_, Failure> {
        let password = email.password_file.as_deref().map(private_files::read).transpose()?;
        let password = password.map(|text| text.trim().to_owned());
        let (url, from) = (email.url, email.from);
        Ok(Email { url, password, from, private_addresses: email.private_addresses })
    });
    let webhook = config.webhook.map(|webhook| -> Result<_, Failure> {
        let secret = webhook_secret(&webhook.secret_file)?;
        Ok(Webhook { url: webhook.url, secret, private_addresses: webhook.private_addresses })
    });
    Ok(Calling {
        next_after: Span::secs(config.next_after_s.into()),
        above_after: Span::secs(config.above_after_s.into()),
        email: email.transpose()?,
        webhook: webhook.transpose()?,
    })
}

/// Shortest secret of a webhook that is taken, in bytes, as its convention says.
const SECRET_BYTES_MIN: usize = 24;

/// Reads a secret as its convention writes it: `whsec_` and base64.
fn webhook_secret(path: &Path) -> Result<Vec<u8>, Failure> {
    let text = private_files::read(path)?;
    let secret = BASE64.decode(text.trim().trim_start_matches("whsec_")).unwrap_or_default();
    if secret.len() < SECRET_BYTES_MIN {
        return Err(of_file(path, &said!("central.short_secret", min = SECRET_BYTES_MIN)).into());
    }
    Ok(secret)
}

fn token(path: &Path) -> Result<String, Failure> {
    let text = private_files::read(path)?.trim().to_owned();
    if text.len() < TOKEN_BYTES_MIN {
        return Err(of_file(path, &said!("central.short_token", min = TOKEN_BYTES_MIN)).into());
    }
    Ok(text)
}

/// Shortest token that is taken.
const TOKEN_BYTES_MIN: usize = 16;

fn enrolment(files: central_file::EnrolmentFiles, data_dir: &Path) -> Result<Enrolment, Failure> {
    let text = |path: &Path| std::fs::read_to_string(path).map_err(|error| of_file(path, &error));
    let (certificate, key) = &files.ca;
    let ca = Identity { certificate: text(certificate)?, key: private_files::read(key)? };
    let crl = files.crl.unwrap_or_else(|| data_dir.join("crl.pem"));
    Ok(Enrolment {
        ca,
        root: files.root.read()?,
        broker: files.broker,
        crl,
        certificate_days: files.certificate_days,
        refuse_expired: files.refuse_expired,
    })
}

/// Turns the choice of a broker into that of central. The embedded broker asks boxes for certificates where central
/// enrols them.
fn broker(choice: central_file::BrokerChoice, enrols: bool) -> BrokerChoice {
    match choice {
        central_file::BrokerChoice::Embedded(listen) => {
            let logins = if enrols { Logins::Certificates } else { Logins::NameAlone };
            BrokerChoice::Embedded { listen, logins }
        }
        central_file::BrokerChoice::Url { address, tls } => {
            BrokerChoice::Url { address, ca: tls.ca, identity: tls.identity }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(path).map_err(|error| of_file(path, &error))?)
}
