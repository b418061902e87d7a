//! `loaxa central init`: the authority of a new commune in one step.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::language::{Failure, Outcome, foreign, of_file, tell};
use super::service_user;
use loaxa_adapters::clock;
use loaxa_adapters::keys::KeyFile;
use loaxa_central::link::certificates::Ca;
use loaxa_heart::config::trust_file;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BadName, GroupId};
use loaxa_heart::domain::person::{normalised, skeleton};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

/// Ports of page and broker.
const PAGE_PORT: u16 = 8443;
const BROKER_PORT: u16 = 8883;

/// The user under which the unit runs central, and the folder where it may write.
pub const SERVICE_USER: &str = "loaxa-central";
const STATE_DIR: &str = "/var/lib/loaxa-central";

/// Powers that staff use every day, with the key on the server.
const DAILY: [Power; 9] = [
    Power::Normal,
    Power::Priority,
    Power::Exercise,
    Power::Live,
    Power::Cancel,
    Power::Programme,
    Power::Policy,
    Power::Groups,
    Power::Test,
];

/// Powers of the people on duty; an actual emergency takes two of them.
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

/// Number of people who must sign an actual emergency.
const EMERGENCY_SIGNATURES: u32 = 2;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    commune: String,
    #[arg(long)]
    group: GroupId,
    #[arg(long, value_name = "GROUP=TITLE", value_parser = village)]
    village: Vec<Village>,
    #[arg(long)]
    host: Option<String>,
    #[arg(long)]
    demo: bool,
}

/// A village of the commune: the group of its boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Village {
    id: GroupId,
    title: String,
}

fn village(text: &str) -> Result<Village, Sentence> {
    let (id, title) = text.split_once('=').ok_or_else(|| said!("init.village_form"))?;
    let title = title.trim();
    if title.is_empty() {
        return Err(said!("init.village_form"));
    }
    Ok(Village { id: id.trim().parse().map_err(|error: BadName| error.say())?, title: title.to_owned() })
}

pub fn run(args: Args) -> Outcome {
    let plan = Plan::of(args)?;
    let dir = &plan.args.dir;
    // A package or the unit may have made it.
    let is_empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if !is_empty {
        secret_folder(dir)?;
    }
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
    let trust = trust(&plan, &central, &staff, &officers);
    let sealed = codec::seal(&TrustMessage { v: VERSION, trust: trust.clone() }, &[&root]);
    write(dir, "trust.toml", trust_file::print(&trust).as_bytes())?;
    write(dir, "trust.dsse.json", &sealed)?;
    write(dir, "root.pub", format!("public {}\n", root.public()).as_bytes())?;
    let ca = Ca::make(Ca::term(clock::wall().date()))?;
    write(dir, "ca.pem", ca.certificate.as_bytes())?;
    write(dir, "ca.key", ca.key.as_bytes())?;
    // An external broker does not start without it.
    let list = Ca::open(&ca)?.revocation_list(&[], clock::wall().date())?;
    write(dir, "crl.pem", list.as_bytes())?;
    for name in ["broker", "central"] {
        let hosts = vec![plan.host.clone(), "localhost".to_owned()];
        let server = Ca::open(&ca)?.issue_to_server(hosts, name)?;
        write(dir, &format!("{name}.pem"), server.certificate.as_bytes())?;
        write(dir, &format!("{name}-tls.key"), server.key.as_bytes())?;
    }
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|error| foreign(&error))?;
    let token = hex(&token);
    write(dir, "api-token", format!("{token}\n").as_bytes())?;
    write(dir, "central.toml", settings(&plan).as_bytes())?;
    hand_over_all(dir)?;
    tell(&plan, &root);
    Ok(ExitCode::SUCCESS)
}

/// The commune that is made: the arguments as typed, and the rest found on this machine or asked for.
struct Plan {
    args: Args,
    host: String,
    villages: Vec<Village>,
}

impl Plan {
    fn of(args: Args) -> Result<Self, Failure> {
        let host = match &args.host {
            Some(host) => host.clone(),
            None if args.demo => "localhost".to_owned(),
            None => own_address().ok_or_else(|| said!("init.no_host"))?,
        };
        let mut villages = args.village.clone();
        if villages.is_empty() && !args.demo && std::io::stdin().is_terminal() {
            villages = ask_for_villages()?;
        }
        let mut seen: BTreeSet<&GroupId> = [&args.group].into();
        if let Some(twice) = villages.iter().find(|village| !seen.insert(&village.id)) {
            return Err(said!("init.village_twice", id = twice.id).into());
        }
        Ok(Self { villages, host, args })
    }
}

/// The address of this machine towards the network; nothing is sent to find it.
fn own_address() -> Option<String> {
    // Of the range for documentation, which is routed like any other.
    let towards = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(towards).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

fn ask_for_villages() -> Result<Vec<Village>, Failure> {
    tell!("init.ask_villages");
    let mut villages = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let title = line.trim();
        if title.is_empty() {
            break;
        }
        let id = slug(title).parse().map_err(|error: BadName| error.say())?;
        villages.push(Village { id, title: title.to_owned() });
    }
    Ok(villages)
}

/// The id that a title suggests: `thon-dong` for "Thôn Đông".
fn slug(title: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase().to_string(),
        c if c.is_alphanumeric() => skeleton(&c.to_string()),
        _ => "-".to_owned(),
    };
    let plain: String = normalised(title).chars().map(letter).collect();
    plain.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

fn secret_folder(path: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|error| of_file(path, &error).into())
}

/// Gives the service what it reads. The people's and the root's keys stay with who made them.
fn hand_over_all(dir: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(dir).map_err(|error| of_file(dir, &error))? {
        let path = entry?.path();
        if !path.ends_with("offline") {
            service_user::hand_over(SERVICE_USER, &path)?;
        }
    }
    for name in ["ca.pem", "root.pub"] {
        let open = Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.join(name), open).map_err(|error| of_file(dir, &error))?;
    }
    if dir.starts_with("/etc") {
        // Others of this machine may have their settings beside these, each file readable by its own.
        std::fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(|error| of_file(dir, &error))?;
    }
    Ok(())
}

fn trust(plan: &Plan, central: &SecretKey, staff: &SecretKey, officers: &[SecretKey]) -> Trust {
    let group = &plan.args.group;
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
    let nesting = plan.villages.iter().map(|village| (village.id.clone(), group.clone())).collect();
    let thresholds = vec![Threshold { power: Power::Emergency, signatures: EMERGENCY_SIGNATURES }];
    Trust { version: 1, grants, thresholds, nesting }
}

fn settings(plan: &Plan) -> String {
    let Plan { args: Args { commune, group, demo, dir, .. }, host, villages } = plan;
    // The unit lets the service write there and nowhere below /etc.
    let (data_dir, crl) =
        if dir.starts_with("/etc") { (STATE_DIR, "") } else { ("data", "crl = \"crl.pem\"\n") };
    let villages: String = villages.iter().map(|village| group_entry(village, group)).collect();
    let commune = toml::Value::String(commune.clone());
    let on_duty = if *demo { ", \"offline/truc-ban-1.key\", \"offline/truc-ban-2.key\"" } else { "" };
    format!(
        r#"# loaxa central init; firmware-config/central.toml explains every line.
[central]
listen = "0.0.0.0:{PAGE_PORT}"
# Địa chỉ mà cán bộ và cụm loa dùng; nằm trong mã QR ghi danh. What people and boxes use; it stands in the QR of a new box.
public_url = "https://{host}:{PAGE_PORT}"
data_dir = "{data_dir}"
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
{crl}
[[group]]
id = "{group}"
title = {commune}
{villages}"#
    )
}

fn group_entry(village: &Village, parent: &GroupId) -> String {
    let title = toml::Value::String(village.title.clone());
    format!("\n[[group]]\nid = \"{}\"\ntitle = {title}\nparent = \"{parent}\"\n", village.id)
}

/// Writes a file that only its owner may read.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = dir.join(name);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| of_file(&path, &error).into())
}

fn tell(plan: &Plan, root: &SecretKey) {
    let Plan { args, host, .. } = plan;
    let (dir, commune, id) = (args.dir.display(), &args.commune, root.key_id());
    tell!("init.made", dir, commune, id);
    match args.demo {
        true => tell!("init.trial"),
        false => tell!("init.move", dir),
    }
    tell!("init.next", dir, host, page_port = PAGE_PORT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_village_is_written_as_its_group_and_its_name() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = village(text).ok().map(|village| (village.id.to_string(), village.title));
            let expected = expected.map(|(id, title)| (id.to_owned(), title.to_owned()));
            assert_eq!(found, expected, "{text}");
        };
        check("thon-1=Thôn 1", Some(("thon-1", "Thôn 1")));
        check(" thon-1 = Thôn 1 ", Some(("thon-1", "Thôn 1")));
        check("Thôn 1", None);
        check("thon-1=", None);
        check("Thôn=Thôn", None);
    }

    #[test]
    fn a_title_suggests_an_id() {
        let check = |title: &str, expected: &str| assert_eq!(slug(title), expected);
        check("Thôn Đông", "thon-dong");
        check("Xóm 10 (Đình Cả)", "xom-10-dinh-ca");
        check("Tho\u{302}n O\u{31b}\u{309} 1", "thon-o-1");
    }
}
