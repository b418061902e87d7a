//! The settings of a central: checked, with its keys already read.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use loaxa_heart::config::cap_policy::CapPolicy;
use loaxa_heart::config::central_file::EverydaySigner;
use loaxa_heart::config::store_file::Database;
use loaxa_heart::decide::delivery::with_ancestors;
use loaxa_heart::domain::ids::{AccountId, BoxId, ContentHash, GroupId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::signing::{PublicKey, SecretKey};

/// Everything that one central process needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Pages, API and media; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address at which boxes find this server, for instance `http://10.0.0.1:8080`; without one, the address listened on.
    pub public_url: Option<String>,
    /// The address at which other centrals on the same database find this one; without it they can't pass on to it what
    /// belongs to its live voices.
    pub peer_url: Option<String>,
    pub page: PageDoor,
    pub data_dir: PathBuf,
    /// Name of the commune, for the pages.
    pub commune: String,
    pub broker: BrokerChoice,
    pub database: Database,
    /// The API's token: its holder may do everything.
    pub token: String,
    /// Approvers, duty officers and administrators need a second factor; off for trials on a loopback address only.
    pub second_factor: bool,
    /// The signer of everyday notices, once they are approved.
    pub everyday: EverydaySigner,
    pub keys: Keys,
    /// A command that speaks a text into a WAV file.
    pub speech: Vec<String>,
    /// A command that scans a file for what is malicious; empty where there is none.
    pub scanner: Vec<String>,
    /// The alerts that are taken; `None` takes none.
    pub cap: Option<CapSettings>,
    pub calling: Calling,
    pub training: Training,
    pub reporting: Reporting,
    pub groups: Vec<Group>,
    pub boxes: Vec<BoxDeclared>,
    /// The means to enrol boxes; without them, boxes are named in the configuration.
    pub enrolment: Option<Enrolment>,
    /// Takes the key that a box without one shows with its first hello; for trials only.
    pub trust_first_use: bool,
}

/// The part that training plays in a commune.
#[derive(Clone, Default)]
pub enum Training {
    /// A real commune without a place to train.
    #[default]
    Nowhere,
    /// A real commune whose people train at another address.
    At(TrainingDoor),
    /// A commune that exists only for training: its boxes are in memory.
    Here(mpsc::Sender<TrainingWish>),
}

/// The address of the training commune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingDoor {
    pub listen: SocketAddr,
    /// The address at which browsers find it; without one, the address listened on.
    pub public_url: Option<String>,
}

/// A wish of somebody who trains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainingWish {
    /// Everything begins anew.
    BeginAnew,
    /// A key is believed from now on, as if the commune had trusted it.
    Trust(Box<TrainingKey>),
}

/// The key of somebody who trains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingKey {
    pub holder: String,
    pub account: AccountId,
    pub public: PublicKey,
}

/// The door to page and API.
#[derive(Clone, Default)]
pub struct PageDoor {
    pub tls: PageTls,
    /// Further names under which people and boxes ask for this server, beside that of the public address.
    pub hosts: Vec<String>,
    /// Proxies: many people come from one of them, and it says who they are.
    pub proxies: Vec<IpAddr>,
}

/// The certificate that page and API show.
#[derive(Clone, Default)]
pub enum PageTls {
    /// No certificate: central listens on a loopback address only.
    #[default]
    Off,
    /// One of the commune's own authority.
    OwnAuthority,
    /// One of this authority, which enrols no boxes here.
    OfAuthority(Identity),
    /// Certificate and key, PEM, read anew when they change; boxes that enrol get `ca` to check them against.
    Files { certificate: PathBuf, key: PathBuf, ca: Option<PathBuf> },
}

/// The settings for CAP alerts.
#[derive(Debug, Clone)]
pub struct CapSettings {
    pub policy: CapPolicy,
    /// Alerts go out without a person, where the keys on this machine may sign; else each waits as a draft.
    pub straight_to_air: bool,
    /// Certificates of which one must have signed an alert; empty takes alerts without signatures.
    pub certificates: Vec<PathBuf>,
    /// The feed that is polled.
    pub feed: Option<Feed>,
    /// A token for senders of alerts, good for nothing else.
    pub token: Option<String>,
}

/// The means by which a second duty officer is called, and the times.
#[derive(Clone)]
pub struct Calling {
    /// From one person to the next who does not answer.
    pub next_after: Span,
    /// From the beginning to the level above.
    pub above_after: Span,
    pub email: Option<Email>,
    pub webhook: Option<Webhook>,
}

impl Default for Calling {
    fn default() -> Self {
        Self { next_after: Span::secs(60), above_after: Span::secs(180), email: None, webhook: None }
    }
}

/// The level above, which gets reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reporting {
    /// The name in letters; empty where none is set.
    pub above: String,
    pub email: Option<String>,
}

/// The mail server of the office.
#[derive(Clone)]
pub struct Email {
    /// `smtps://user@host`, or `smtp://` with TLS begun by the server.
    pub url: Url,
    pub password: Option<String>,
    /// The sender of the letters.
    pub from: String,
    /// The server may stand in the office's own network.
    pub private_addresses: bool,
}

/// A program that passes calls on, for instance to telephones.
#[derive(Clone)]
pub struct Webhook {
    pub url: Url,
    /// The secret that both share, already decoded.
    pub secret: Vec<u8>,
    /// The program may run in the office's own network.
    pub private_addresses: bool,
}

/// A feed of alerts that is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub url: Url,
    /// The only certificates that the server's is checked against.
    pub ca: Option<PathBuf>,
    pub every: Duration,
}

/// A box as the configuration, or its enrolment, names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxDeclared {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    /// Public key in base64; `None` keeps what was learnt.
    pub key: Option<String>,
}

/// A group as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub title: String,
    pub parent: Option<GroupId>,
}

/// A broker: our own, or any other.
#[derive(Debug, Clone)]
pub enum BrokerChoice {
    /// In this process; port 0 takes a free one.
    Embedded { listen: SocketAddr, logins: Logins },
    /// Any MQTT 5 broker.
    Url { address: BrokerAddress, ca: Option<PathBuf>, identity: Option<(PathBuf, PathBuf)> },
}

/// Proofs of a box's name to the embedded broker.
#[derive(Debug, Clone)]
pub enum Logins {
    /// A box is whoever it says: for a broker that listens on the loopback address only.
    NameAlone,
    /// By a certificate of the commune's own authority, over TLS: the address listened on is that of the gate.
    Certificates,
    /// SHA-256 of each box's password, which is random and long, so that a slow hash adds nothing.
    Passwords(BTreeMap<BoxId, ContentHash>),
}

/// The means to enrol boxes.
#[derive(Clone)]
pub struct Enrolment {
    /// The commune's own certificate authority.
    pub ca: Identity,
    /// The key that boxes pin.
    pub root: PublicKey,
    /// The address at which boxes find the broker.
    pub broker: BrokerAddress,
    /// The file for the list of revoked certificates, for a broker that is not ours.
    pub crl: PathBuf,
    /// Days that the certificate of a box is good; `None` for as long as the authority itself.
    pub certificate_days: Option<u16>,
    /// Keeps boxes out whose certificate is out of its time; else they come in, under an alarm, and get another.
    pub refuse_expired: bool,
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// The keys that lie on this machine.
#[derive(Clone)]
pub struct Keys {
    /// Signs the time and acknowledgements.
    pub central: SecretKey,
    /// People's keys. In production they are kept by the people and not here.
    pub issuers: Vec<SecretKey>,
    /// The envelope of the trust document, as the root key signed it.
    pub trust: Vec<u8>,
}

impl Settings {
    /// The parent of each group that has one.
    pub fn parents(&self) -> BTreeMap<GroupId, GroupId> {
        let above = |group: &Group| Some((group.id.clone(), group.parent.clone()?));
        self.groups.iter().filter_map(above).collect()
    }

    /// The first of these groups that the configuration does not name.
    pub fn unknown_group<'g>(&self, groups: &'g [GroupId]) -> Option<&'g GroupId> {
        groups.iter().find(|id| self.groups.iter().all(|known| known.id != **id))
    }

    /// The groups that no other group holds.
    pub fn top_groups(&self) -> Vec<GroupId> {
        let top = self.groups.iter().filter(|group| group.parent.is_none());
        top.map(|group| group.id.clone()).collect()
    }
}

/// The village of a box: of its groups, the one with most groups above it. `None` for a box in no group.
pub fn village_of<'a>(groups: &'a [GroupId], parents: &BTreeMap<GroupId, GroupId>) -> Option<&'a GroupId> {
    if let [only] = groups {
        return Some(only);
    }
    // Of two as deep, the first one named counts.
    let depth = |group: &GroupId| with_ancestors(std::slice::from_ref(group), parents).len();
    groups.iter().rev().max_by_key(|group| depth(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_group_is_the_village() {
        let group = |name: &str| name.parse::<GroupId>().unwrap();
        let parents = BTreeMap::from([(group("thon-1"), group("xa")), (group("thon-2"), group("xa"))]);
        let check = |groups: &[&str], expected: Option<&str>| {
            let groups: Vec<_> = groups.iter().map(|name| group(name)).collect();
            assert_eq!(village_of(&groups, &parents).map(GroupId::as_str), expected);
        };
        check(&["xa", "thon-1"], Some("thon-1"));
        check(&["thon-2", "thon-1", "xa"], Some("thon-2"));
        check(&["xa"], Some("xa"));
        check(&[], None);
    }
}
