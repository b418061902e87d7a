//! `central.toml` to a checked [`CentralConfig`].

use crate::said;
use crate::texts::Sentence;
use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::box_file::{
    CONFIG_BYTES_MAX, NamedFiles, Paths, RootKey, TlsFiles, absent_or, names, root_key, speech, web_address,
};
use super::calling_file::{self, CallingConfig};
use super::cap_policy::{self, CapConfig};
use super::fields::{Fields, Reader, did_you_mean};
use super::files::read_text;
use super::gpio_line::command;
use super::problem::{Problem, Problems};
use super::report_file::{self, ReportConfig};
use super::store_file::{self, Database};
use crate::domain::ids::{BoxId, GroupId};
use crate::wire::broker_address::BrokerAddress;
use crate::wire::signing::PublicKey;

/// The address of the training commune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingConfig {
    pub listen: SocketAddr,
    pub public_url: Option<String>,
}

/// The signer of everyday notices, once they are approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EverydaySigner {
    /// The keys on central's machine.
    #[default]
    Server,
    /// The approver's own key, in the browser: then whoever steals the server can't speak at all.
    People,
}

/// The settings that central is started with, from `central.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct CentralConfig {
    /// Pages, API and media.
    pub listen: SocketAddr,
    /// Address at which boxes find this server, ending with a slash; without it, the address listened on.
    pub public_url: Option<String>,
    /// The address at which other centrals on the same database find this one.
    pub peer_url: Option<String>,
    /// Further names under which people and boxes ask for this server.
    pub hosts: Vec<String>,
    /// Proxies, from each of which many people come.
    pub proxies: Vec<IpAddr>,
    pub tls: PageTls,
    pub data_dir: PathBuf,
    /// Name of the commune, for the pages.
    pub commune: String,
    /// The group that holds all others.
    pub group: GroupId,
    pub broker: BrokerChoice,
    /// The database; in the data directory where nothing is said.
    pub database: Database,
    /// Holds the API's token.
    pub token_file: PathBuf,
    /// False only for trials on this machine: everybody signs in with a password alone.
    pub second_factor: bool,
    /// The signer of everyday notices, once they are approved.
    pub everyday: EverydaySigner,
    /// `None` where nobody trains.
    pub training: Option<TrainingConfig>,
    pub keys: KeyFiles,
    /// `None` where boxes are enrolled by hand.
    pub enrolment: Option<EnrolmentFiles>,
    pub speech: Vec<String>,
    /// A command that scans each file that is sent; empty where there is none.
    pub scanner: Vec<String>,
    /// `None` where no alerts are taken.
    pub cap: Option<CapConfig>,
    pub calling: CallingConfig,
    pub report: ReportConfig,
    /// A parent before its children is not asked for; a loop is refused.
    pub groups: Vec<ListedGroup>,
    pub boxes: Vec<ListedBox>,
}

/// `[tls]`: the certificate that page and API show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageTls {
    /// No certificate: central listens on a loopback address only, for this machine and a proxy on it.
    Off,
    /// One that the commune's own authority issues at each start.
    OwnAuthority,
    /// Certificate and key of somebody else's making, PEM, read anew when they change. `ca` goes to boxes that enrol, who
    /// check this certificate against it.
    Files { certificate: PathBuf, key: PathBuf, ca: Option<PathBuf> },
}

/// `[broker]`: one of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerChoice {
    Embedded(SocketAddr),
    Url { address: BrokerAddress, tls: TlsFiles },
}

/// `[keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// Central's own secret key, which signs the time.
    pub central: PathBuf,
    /// Secret keys of people that lie on this machine.
    pub issuers: Vec<PathBuf>,
    /// The sealed trust document.
    pub trust: PathBuf,
}

/// `[enrolment]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolmentFiles {
    /// Certificate and key of the commune's own authority, PEM.
    pub ca: (PathBuf, PathBuf),
    /// The root's public key, for boxes to pin.
    pub root: RootKey,
    /// Address at which boxes find the broker.
    pub broker: BrokerAddress,
    /// File for the list of revoked certificates; without it, `crl.pem` in the data directory.
    pub crl: Option<PathBuf>,
    /// Days that the certificate of a box is good; `None` for as long as the authority itself.
    pub certificate_days: Option<u16>,
    /// Keeps boxes out whose certificate is out of its time.
    pub refuse_expired: bool,
}

/// `[[group]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    pub id: GroupId,
    pub title: String,
    pub parent: Option<GroupId>,
}

/// `[[box]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedBox {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    /// Public key of the box, with which its log is signed.
    pub key: Option<PublicKey>,
}

/// Reads `central.toml`.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn read(path: &Path, named: NamedFiles) -> Result<CentralConfig, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, CONFIG_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")), named)
}

/// Reads the text of a `central.toml`; relative paths are seen from `base`.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn parse(text: &str, file: &str, base: &Path, named: NamedFiles) -> Result<CentralConfig, Problems> {
    let (reader, table) = Reader::new(file, text);
    let mut root = reader.root(&table);
    let paths = Paths { base, named };
    let config = central_config(&mut root, &paths, &reader);
    root.finish();
    match config {
        Some(config) if reader.is_clean() => Ok(config),
        _ => Err(reader.into_problems()),
    }
}

fn central_config(root: &mut Fields<'_>, paths: &Paths<'_>, reader: &Reader<'_>) -> Option<CentralConfig> {
    let mut head = root.need("central")?.table()?;
    let listen = head.need("listen").and_then(|value| value.parse());
    let public_url = head.get("public_url").and_then(|value| web_address(&value));
    let peer_url = head.get("peer_url").and_then(|value| web_address(&value));
    let hosts = head.get("hosts").map(|value| value.list()).unwrap_or_default();
    let hosts = hosts.iter().filter_map(|value| Some(value.words()?.to_owned())).collect();
    let proxies = head.get("proxies").map(|value| value.list()).unwrap_or_default();
    let proxies = proxies.iter().filter_map(|value| value.parse()).collect();
    let data_dir = head.need("data_dir").and_then(|value| paths.path(&value));
    let commune = head.need("commune").and_then(|value| value.words());
    let group_value = head.need("group");
    let group: Option<GroupId> = group_value.as_ref().and_then(|value| value.parse());
    head.finish();
    let enrols = root.has("enrolment");
    let tls = page_tls(root, paths, listen, enrols);
    let broker = broker(root.section("broker"), paths, enrols);
    let database = store_file::read(root.section("store"), paths, data_dir.as_deref());
    let mut api = root.section("api");
    let token_file = api.need("token_file").and_then(|value| paths.existing(&value));
    api.finish();
    let mut people = root.section("people");
    let second_factor =
        people.get("second_factor").map(|value| value.choice(&[("on", true), ("off", false)]));
    people.finish();
    let mut authority = root.section("authority");
    let everyday = authority
        .get("everyday")
        .map(|value| value.choice(&[("server", EverydaySigner::Server), ("people", EverydaySigner::People)]));
    authority.finish();
    let training = root.get("training").map(|value| training(value.table()?, listen));
    let keys = keys(root.section("keys"), paths);
    let enrolment = root.get("enrolment").map(|value| enrolment(value.table()?, paths));
    let speech = speech(root.section("speech"));
    let mut uploads = root.section("uploads");
    let scanner = uploads.get("scanner").map(|value| command(&value));
    uploads.finish();
    let groups = groups(root.tables("group"), reader);
    let known: BTreeSet<_> = groups.iter().map(|(_, group)| group.id.clone()).collect();
    if let (Some(group), Some(value)) = (&group, &group_value)
        && !known.is_empty()
        && !known.contains(group)
    {
        value.problem(said!("problem.no_group", group, remedy = unknown_group(group, &known)));
    }
    let cap = root.get("cap").map(|value| cap_policy::read(value.table()?, paths, &known));
    let calling = calling_file::read(root, paths);
    let report = report_file::read(root);
    let boxes = boxes(root.tables("box"), reader, &known);
    Some(CentralConfig {
        listen: listen?,
        public_url,
        peer_url,
        hosts,
        proxies,
        tls: tls?,
        data_dir: data_dir?,
        commune: commune?.to_owned(),
        group: group?,
        broker: broker?,
        database: database?,
        token_file: token_file?,
        second_factor: absent_or(second_factor)?.unwrap_or(true),
        everyday: absent_or(everyday)?.unwrap_or_default(),
        training: absent_or(training)?,
        keys: keys?,
        enrolment: absent_or(enrolment)?,
        speech: speech?,
        scanner: absent_or(scanner)?.unwrap_or_default(),
        cap: absent_or(cap)?,
        calling: calling?,
        report: report?,
        groups: groups.into_iter().map(|(_, group)| group).collect(),
        boxes,
    })
}

/// Reads `[training]`: another port than the commune's own.
fn training(mut fields: Fields<'_>, own: Option<SocketAddr>) -> Option<TrainingConfig> {
    let value = fields.need("listen");
    let public_url = fields.get("public_url").and_then(|value| value.text().map(str::to_owned));
    fields.finish();
    let value = value?;
    let listen: SocketAddr = value.parse()?;
    if own.is_some_and(|own| own.port() == listen.port()) {
        value.problem(said!("problem.training_port"));
        return None;
    }
    Some(TrainingConfig { listen, public_url })
}

/// Reads `[tls]`. Without it, a loopback address is served without TLS, and every other one with a certificate of the
/// commune's own authority.
fn page_tls(
    root: &mut Fields<'_>,
    paths: &Paths<'_>,
    listen: Option<SocketAddr>,
    enrols: bool,
) -> Option<PageTls> {
    let Some(value) = root.get("tls") else {
        return match (listen?.ip().is_loopback(), enrols) {
            (true, _) => Some(PageTls::Off),
            (false, true) => Some(PageTls::OwnAuthority),
            (false, false) => {
                root.problem(said!("problem.open_page"));
                None
            }
        };
    };
    let mut fields = value.table()?;
    let mut file = |key| fields.get(key).map(|value| (paths.existing(&value), value));
    let (certificate, key, ca) = (file("certificate"), file("key"), file("ca"));
    fields.finish();
    match (certificate, key) {
        (Some((certificate, _)), Some((key, _))) => {
            let ca = absent_or(ca.map(|(path, _)| path))?;
            Some(PageTls::Files { certificate: certificate?, key: key?, ca })
        }
        (Some((_, lonely)), None) | (None, Some((_, lonely))) => {
            lonely.problem(said!("problem.lonely_certificate"));
            None
        }
        (None, None) if enrols => Some(PageTls::OwnAuthority),
        (None, None) => {
            value.problem(said!("problem.no_authority"));
            None
        }
    }
}

fn broker(mut fields: Fields<'_>, paths: &Paths<'_>, enrols: bool) -> Option<BrokerChoice> {
    let (embedded, url) = (fields.get("embedded"), fields.get("url"));
    let choice = match (embedded, url) {
        (Some(value), None) => {
            let listen: Option<SocketAddr> = value.parse();
            if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !enrols {
                value.problem(said!("problem.open_broker"));
            }
            listen.map(BrokerChoice::Embedded)
        }
        (None, Some(value)) => {
            let address: Option<BrokerAddress> = value.parse();
            let tls = paths.tls(&mut fields, address.as_ref().is_none_or(|address| address.tls));
            if address.as_ref().is_some_and(|address| !address.tls && !address.is_loopback()) {
                value.problem(said!("problem.plain_broker"));
            }
            address.map(|address| BrokerChoice::Url { address, tls })
        }
        (Some(value), Some(_)) => {
            value.problem(said!("problem.two_brokers"));
            None
        }
        (None, None) => {
            fields.problem(said!("problem.no_broker"));
            None
        }
    };
    fields.finish();
    choice
}

fn keys(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<KeyFiles> {
    let central = fields.need("central").and_then(|value| paths.existing(&value));
    let issuers = fields.get("issuers").map(|value| value.list()).unwrap_or_default();
    let issuers = issuers.iter().filter_map(|value| paths.existing(value)).collect();
    let trust = fields.need("trust").and_then(|value| paths.existing(&value));
    fields.finish();
    Some(KeyFiles { central: central?, issuers, trust: trust? })
}

fn enrolment(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<EnrolmentFiles> {
    let ca = fields.need("ca").and_then(|value| paths.existing(&value));
    let ca_key = fields.need("ca_key").and_then(|value| paths.existing(&value));
    let root = fields.need("root").and_then(|value| root_key(&value, paths));
    let broker_value = fields.need("broker");
    let broker: Option<BrokerAddress> = broker_value.as_ref().and_then(|value| value.parse());
    if let (Some(value), Some(address)) = (&broker_value, &broker)
        && !address.tls
        && !address.is_loopback()
    {
        value.problem(said!("problem.plain_broker"));
    }
    let crl = fields.get("crl").map(|value| paths.path(&value));
    let days = fields.get("certificate_days").map(|value| value.integer(90..=7_300));
    let refuse_expired =
        fields.get("expired_certificates").map(|value| value.choice(&[("renew", false), ("refuse", true)]));
    fields.finish();
    Some(EnrolmentFiles {
        ca: (ca?, ca_key?),
        root: root?,
        broker: broker?,
        crl: absent_or(crl)?,
        certificate_days: absent_or(days)?,
        refuse_expired: absent_or(refuse_expired)?.unwrap_or(false),
    })
}

fn unknown_group(name: &GroupId, known: &BTreeSet<GroupId>) -> Sentence {
    let near = did_you_mean(name.as_str(), known.iter().map(GroupId::as_str));
    near.unwrap_or_else(|| said!("problem.add_group", group = name))
}

/// Reads the groups, with their places in the text.
fn groups(tables: Vec<Fields<'_>>, reader: &Reader<'_>) -> Vec<(usize, ListedGroup)> {
    let mut groups: Vec<(usize, ListedGroup)> = Vec::new();
    for mut fields in tables {
        let at = fields.at;
        let id = fields.need("id").and_then(|value| value.parse::<GroupId>());
        let title = fields.need("title").and_then(|value| value.words());
        let parent = fields.get("parent").and_then(|value| value.parse());
        fields.finish();
        let (Some(id), Some(title)) = (id, title) else { continue };
        if groups.iter().any(|(_, group)| group.id == id) {
            reader.problem(at, "group.id", said!("problem.id_twice", id));
        }
        groups.push((at, ListedGroup { id, title: title.to_owned(), parent }));
    }
    let parents: BTreeMap<_, _> =
        groups.iter().map(|(_, group)| (&group.id, group.parent.as_ref())).collect();
    let known: BTreeSet<_> = parents.keys().map(|id| (*id).clone()).collect();
    for (at, group) in &groups {
        if let Some(parent) = group.parent.as_ref().filter(|parent| !known.contains(*parent)) {
            let remedy = unknown_group(parent, &known);
            reader.problem(*at, "group.parent", said!("problem.no_group", group = parent, remedy));
        }
        let above = std::iter::successors(group.parent.as_ref(), |id| parents.get(*id).copied().flatten());
        if above.take(groups.len()).any(|id| *id == group.id) {
            reader.problem(*at, "group.parent", said!("problem.above_itself", group = group.id));
        }
    }
    groups
}

fn boxes(tables: Vec<Fields<'_>>, reader: &Reader<'_>, known: &BTreeSet<GroupId>) -> Vec<ListedBox> {
    let mut boxes: Vec<ListedBox> = Vec::new();
    for mut fields in tables {
        let at = fields.at;
        let id = fields.need("id").and_then(|value| value.parse::<BoxId>());
        let title = fields.need("title").and_then(|value| value.words());
        let groups = names(&mut fields, "groups");
        let key = fields.get("key").and_then(|value| value.parse());
        fields.finish();
        for group in groups.iter().filter(|group| !known.contains(*group)) {
            let remedy = unknown_group(group, known);
            reader.problem(at, "box.groups", said!("problem.no_group", group, remedy));
        }
        let (Some(id), Some(title)) = (id, title) else { continue };
        if boxes.iter().any(|entry| entry.id == id) {
            reader.problem(at, "box.id", said!("problem.id_twice", id));
        }
        boxes.push(ListedBox { id, title: title.to_owned(), groups, key });
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[central]\nlisten = '127.0.0.1:8080'\ndata_dir = 'd'\ncommune = 'X'\ngroup = 'xa'\n\
        [api]\ntoken_file = 't'\n[keys]\ncentral = 'c'\ntrust = 't.json'\n[broker]\n";
    const EMBEDDED: &str = "embedded = '127.0.0.1:1883'\n";

    fn read(text: &str) -> Result<CentralConfig, Problems> {
        parse(text, "central.toml", Path::new("/etc/loaxa"), NamedFiles::Unseen)
    }

    fn check_bad(rest: &str, line: usize, says: &str) {
        let Problems(problems) = read(&format!("{HEAD}{rest}")).expect_err("a problem");
        assert_eq!(problems.len(), 1, "{}", Problems(problems.clone()));
        let shown = problems[0].to_string();
        assert!(problems[0].line == line && shown.contains(says), "{shown}");
    }

    #[test]
    fn little_is_needed() {
        let config = read(&format!("{HEAD}{EMBEDDED}")).unwrap();
        assert_eq!(config.database.file(), Some(Path::new("/etc/loaxa/d/central.db")));
        assert!(matches!(config.broker, BrokerChoice::Embedded(address) if address.port() == 1883));
    }

    #[test]
    fn nothing_is_open_to_others_without_a_certificate() {
        let with = |listen: &str, rest: &str| {
            let text = format!("{HEAD}{rest}").replace("127.0.0.1:8080", listen);
            read(&text).map_err(|problems| problems.to_string())
        };
        let enrols = "[enrolment]\nca = 'c'\nca_key = 'k'\nroot = 'root.pub'\nbroker = 'mqtts://h'\n";
        let tls =
            |listen: &str, rest: &str| with(listen, &format!("{EMBEDDED}{rest}")).map(|config| config.tls);
        assert_eq!(tls("127.0.0.1:8080", ""), Ok(PageTls::Off));
        assert_eq!(tls("[::1]:8080", enrols), Ok(PageTls::Off));
        assert_eq!(tls("0.0.0.0:8443", enrols), Ok(PageTls::OwnAuthority));
        assert_eq!(tls("127.0.0.1:8443", &format!("{enrols}[tls]\n")), Ok(PageTls::OwnAuthority));
        let path = |name: &str| PathBuf::from(format!("/etc/loaxa/{name}"));
        let files = PageTls::Files { certificate: path("a"), key: path("b"), ca: None };
        assert_eq!(tls("0.0.0.0:8443", "[tls]\ncertificate = 'a'\nkey = 'b'\n"), Ok(files));
        for (listen, rest, says) in [
            ("0.0.0.0:8443", EMBEDDED.to_owned(), "open to everybody without TLS"),
            ("[::]:8443", EMBEDDED.to_owned(), "open to everybody without TLS"),
            ("192.168.1.5:8080", EMBEDDED.to_owned(), "open to everybody without TLS"),
            ("127.0.0.1:1", format!("{EMBEDDED}[tls]\n"), "no authority"),
            ("127.0.0.1:1", format!("{EMBEDDED}{enrols}[tls]\nkey = 'b'\n"), "belong together"),
            ("127.0.0.1:1", "embedded = '0.0.0.0:1883'\n".to_owned(), "any box's name"),
            ("127.0.0.1:1", "embedded = '[::]:1883'\n".to_owned(), "any box's name"),
            ("127.0.0.1:1", "embedded = '10.0.0.1:1883'\n".to_owned(), "any box's name"),
            ("127.0.0.1:1", "url = 'mqtt://10.0.0.1'\n".to_owned(), "is not encrypted"),
            ("127.0.0.1:1", "url = 'mqtt://loa.example.vn'\n".to_owned(), "is not encrypted"),
        ] {
            let found = with(listen, &rest).expect_err(&rest);
            assert!(found.contains(says), "{listen} {rest}: {found}");
        }
        assert!(with("127.0.0.1:1", &format!("embedded = '0.0.0.0:8883'\n{enrols}")).is_ok());
        for url in ["mqtt://127.0.0.1", "mqtt://[::1]", "mqtt://localhost", "mqtts://10.0.0.1"] {
            assert!(with("127.0.0.1:1", &format!("url = '{url}'\n")).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_bad("", 11, "no broker");
        check_bad("embedded = 'localhost'", 12, "broker.embedded");
        check_bad(&format!("{EMBEDDED}url = 'mqtt://a'"), 12, "keep one of them");
        check_bad("url = 'mqtt://[::1]'\nca = 'x'", 13, "without TLS");
        check_bad(&format!("{EMBEDDED}[store]\npostgres = 'postgresql://a'"), 14, "postgres");
        let group =
            |id: &str, parent: &str| format!("[[group]]\nid = '{id}'\ntitle = 'T'\nparent = '{parent}'\n");
        let xa = "[[group]]\nid = 'xa'\ntitle = 'X'\n";
        check_bad(&format!("{EMBEDDED}{xa}{}", group("a", "xaa")), 16, "did you mean \"xa\"?");
        check_bad(&format!("{EMBEDDED}{xa}{}", group("a", "a")), 16, "a is above itself");
        check_bad(&format!("{EMBEDDED}{xa}{xa}"), 16, "xa is named twice");
        let also = |rest: &str| format!("{EMBEDDED}{xa}{rest}\n");
        check_bad(&also("[calling]\nnext_after_s = 1"), 17, "5 to 600");
        check_bad(&also("[email]\nurl = 'https://a.vn'\nfrom = 'a@b.vn'"), 17, "smtps://");
        check_bad(&also("[email]\nurl = 'smtps://a:secret@a.vn'\nfrom = 'a@b.vn'"), 17, "password_file");
        check_bad(&also("[email]\nurl = 'smtps://a.vn'\nfrom = 'xa'"), 18, "the sender");
        check_bad(&also("[webhook]\nurl = 'http://a.vn/'\nsecret_file = 'token'"), 17, "https://");
        let cap = |rest: &str| format!("{EMBEDDED}{xa}[cap]\n{rest}\n");
        check_bad(&cap("on_arrival = 'shout'"), 17, "one of: draft, straight_to_air");
        check_bad(&cap("emergency = { severity = 'bad' }"), 17, "one of: Extreme");
        check_bad(&cap("[[cap.place]]\ngroup = 'xb'\ncodes = ['A=1']"), 18, "no group xb");
        check_bad(&cap("[[cap.place]]\ngroup = 'xa'\ncodes = ['A1']"), 19, "DVHC=26-0417");
        check_bad(&cap("[[cap.place]]\ngroup = 'xa'\nlatitude = 21.0"), 17, "latitude and longitude");
        check_bad(&cap("[cap.feed]\nurl = 'http://a.vn/feed'"), 18, "nobody vouches");
        check_bad(&cap("[cap.feed]\nurl = 'https://a.vn/feed'"), 18, "its certificates");
        check_bad(&cap("[[cap.event]]\nname = 'Lũ'\nclass = 'urgent'"), 19, "one of: normal");
        let with_box = |rest: &str| format!("{EMBEDDED}{xa}[[box]]\nid = 'b'\ntitle = 'B'\n{rest}\n");
        check_bad(&with_box("groups = ['thon']"), 16, "no group thon");
        check_bad(&with_box("groups = ['xa']\nkey = 'abc'"), 20, "base64");
        check_bad(&with_box("groups = ['xa']\nkeys = 'abc'"), 20, "did you mean \"key\"?");
    }

    #[test]
    fn the_shipped_file_is_right() {
        let text = include_str!("../../../firmware-config/central.toml");
        let config = read(text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((config.groups.len(), config.boxes.len()), (4, 3));
    }
}
