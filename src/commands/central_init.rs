//! `loaxa central init`: the authority of a new commune in one step.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::language::{Failure, Outcome, foreign, of_file, tell};
use loaxa_adapters::clock;
use loaxa_adapters::keys::KeyFile;
use loaxa_central::link::certificates::Ca;
use loaxa_heart::config::trust_file;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

/// Ports of page and broker.
const PAGE_PORT: u16 = 8443;
const BROKER_PORT: u16 = 8883;

/// What staff do every day, with the key on the server.
const DAILY: [Power; 7] = [
    Power::Normal,
    Power::Priority,
    Power::Exercise,
    Power::Cancel,
    Power::Programme,
    Power::Groups,
    Power::Test,
];

/// What the people on duty may do; an actual emergency takes two of them.
const ON_DUTY: [Power; 8] = [
    Power::Normal,
    Power::Priority,
    Power::Emergency,
    Power::Exercise,
    Power::Live,
    Power::Cancel,
    Power::Policy,
    Power::Test,
];

/// How many people must sign an actual emergency.
const EMERGENCY_SIGNATURES: u32 = 2;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    commune: String,
    #[arg(long)]
    group: GroupId,
    #[arg(long, default_value = "localhost")]
    host: String,
    #[arg(long)]
    demo: bool,
}

pub fn run(args: Args) -> Outcome {
    let dir = &args.dir;
    let secret_folder = |path: &Path| {
        let made = std::fs::DirBuilder::new().mode(0o700).create(path);
        made.map_err(|error| of_file(path, &error))
    };
    secret_folder(dir)?;
    secret_folder(&dir.join("offline"))?;
    let key = |name: &str, holder: &str| -> Result<SecretKey, Failure> {
        let made = KeyFile::generate(Some(holder))?;
        made.write_new(&dir.join(name))?;
        Ok(made.key)
    };
    let root = key("offline/root.key", "khóa gốc")?;
    let officers =
        [key("offline/truc-ban-1.key", "Trực ban 1")?, key("offline/truc-ban-2.key", "Trực ban 2")?];
    let (central, staff) = (key("central.key", "trung tâm")?, key("staff.key", "Cán bộ truyền thanh")?);
    let trust = trust(&args.group, &central, &staff, &officers);
    let sealed = codec::seal(&TrustMessage { v: VERSION, trust: trust.clone() }, &[&root]);
    write(dir, "trust.toml", trust_file::print(&trust).as_bytes())?;
    write(dir, "trust.dsse.json", &sealed)?;
    write(dir, "root.pub", format!("public {}\n", root.public()).as_bytes())?;
    let ca = Ca::make()?;
    write(dir, "ca.pem", ca.certificate.as_bytes())?;
    write(dir, "ca.key", ca.key.as_bytes())?;
    // An external broker does not start without it.
    let list = Ca::open(&ca)?.revocation_list(&[], clock::wall().date())?;
    write(dir, "crl.pem", list.as_bytes())?;
    for name in ["broker", "central"] {
        let hosts = vec![args.host.clone(), "localhost".to_owned()];
        let server = Ca::open(&ca)?.issue_to_server(hosts, name)?;
        write(dir, &format!("{name}.pem"), server.certificate.as_bytes())?;
        write(dir, &format!("{name}-tls.key"), server.key.as_bytes())?;
    }
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|error| foreign(&error))?;
    let token = hex(&token);
    write(dir, "api-token", format!("{token}\n").as_bytes())?;
    write(dir, "central.toml", settings(&args).as_bytes())?;
    tell(&args, &root);
    Ok(ExitCode::SUCCESS)
}

fn trust(group: &GroupId, central: &SecretKey, staff: &SecretKey, officers: &[SecretKey]) -> Trust {
    let grant = |key: &SecretKey, holder: String, powers: &[Power]| Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder,
        powers: powers.iter().copied().collect(),
        groups: [group.clone()].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let on_duty = officers.iter().zip(1..).map(|(key, n)| grant(key, format!("Trực ban {n}"), &ON_DUTY));
    let mut grants = vec![
        grant(central, "trung tâm".to_owned(), &[Power::Central]),
        grant(staff, "Cán bộ truyền thanh".to_owned(), &DAILY),
    ];
    grants.extend(on_duty);
    let thresholds = vec![Threshold { power: Power::Emergency, signatures: EMERGENCY_SIGNATURES }];
    Trust { version: 1, grants, thresholds, nesting: Default::default() }
}

fn settings(args: &Args) -> String {
    let Args { commune, group, host, demo, .. } = args;
    let commune = toml::Value::String(commune.clone());
    let on_duty = if *demo { ", \"offline/truc-ban-1.key\", \"offline/truc-ban-2.key\"" } else { "" };
    format!(
        r#"# loaxa central init; firmware-config/central.toml explains every line.
[central]
listen = "0.0.0.0:{PAGE_PORT}"
public_url = "https://{host}:{PAGE_PORT}"
data_dir = "data"
commune = {commune}
group = "{group}"

# Chứng thư của trang do ca.pem cấp, hoặc ghi certificate và key. The page's certificate is of ca.pem, or that of files.
[tls]

[broker]
embedded = "0.0.0.0:{BROKER_PORT}"

[api]
token_file = "api-token"

[keys]
central = "central.key"
issuers = ["staff.key"{on_duty}]
trust = "trust.dsse.json"

[enrolment]
ca = "ca.pem"
ca_key = "ca.key"
root = "root.pub"
broker = "mqtts://{host}:{BROKER_PORT}"
crl = "crl.pem"

[[group]]
id = "{group}"
title = {commune}
"#
    )
}

/// Writes a file that only its owner may read.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = dir.join(name);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| of_file(&path, &error).into())
}

fn tell(args: &Args, root: &SecretKey) {
    let (dir, commune, id) = (args.dir.display(), &args.commune, root.key_id());
    tell!("init.made", dir, commune, id);
    match args.demo {
        true => tell!("init.trial"),
        false => tell!("init.move", dir),
    }
    tell!("init.next", dir, host = args.host, page_port = PAGE_PORT);
}
