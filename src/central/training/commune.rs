//! The training commune as it begins: villages, boxes in memory, and keys of its own, so that nothing of it is believed by a
//! real box.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::settings::{
    BoxDeclared, BrokerChoice, Group, Keys, Logins, PageDoor, PageTls, Settings, Training, TrainingDoor,
    TrainingKey, TrainingWish,
};
use crate::web::texts::TEXTS;
use loaxa_fleet::site::{Release, Site};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{AccountId, BoxId, GroupId};
use loaxa_heart::texts::Lang;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};

/// The commune's group, and its villages with the number of boxes in each.
pub const COMMUNE: &str = "xa-tap-huan";
const VILLAGES: [(&str, &str, &str, usize); 3] = [
    ("thon-dong", "training.village_east", "training.box_east", 2),
    ("thon-doai", "training.village_west", "training.box_west", 2),
    ("thon-trung", "training.village_middle", "training.box_middle", 2),
];

/// The account of the colleague who is played by the program.
pub const COLLEAGUE: &str = "dong-nghiep";

/// Keys that nobody outside of this process ever sees. They are drawn at each start: nothing that was signed matters longer.
pub struct TrainingKeys {
    root: SecretKey,
    central: SecretKey,
    staff: SecretKey,
    pub colleague: SecretKey,
    other: SecretKey,
    boxes: Vec<SecretKey>,
    /// Keys of people who train.
    pub trusted: Vec<TrainingKey>,
    /// The number of the trust document.
    pub version: u32,
}

impl TrainingKeys {
    /// Draws new keys.
    pub fn draw() -> Self {
        let boxes = VILLAGES.iter().map(|(.., boxes)| boxes).sum();
        Self {
            root: draw(),
            central: draw(),
            staff: draw(),
            colleague: draw(),
            other: draw(),
            boxes: std::iter::repeat_with(draw).take(boxes).collect(),
            trusted: Vec::new(),
            version: 1,
        }
    }

    fn trust(&self) -> Trust {
        use Power::*;
        let everyday = [Normal, Priority, Exercise, Live, Cancel, Test, Programme, Policy, Groups];
        let all = everyday.into_iter().chain([Emergency]).collect::<BTreeSet<_>>();
        let grant = |public: &PublicKey, holder: &str, account: Option<AccountId>, powers| Grant {
            key: public.key_id(),
            public: public.to_string(),
            holder: holder.to_owned(),
            account,
            powers,
            groups: [group(COMMUNE)].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        let colleague = account(COLLEAGUE);
        let mut grants = vec![
            grant(&self.central.public(), words("training.centre"), None, [Central].into()),
            grant(&self.staff.public(), words("training.office"), None, everyday.into()),
            grant(&self.colleague.public(), words("training.colleague_name"), Some(colleague), all.clone()),
        ];
        // Emergencies take two people, also where nobody has come to train yet.
        let nobody = Some(account("nguoi-khac"));
        grants.push(grant(&self.other.public(), words("training.other_officer"), nobody, all.clone()));
        let trained =
            |key: &TrainingKey| grant(&key.public, &key.holder, Some(key.account.clone()), all.clone());
        grants.extend(self.trusted.iter().map(trained));
        Trust {
            version: self.version,
            grants,
            thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
            nesting: VILLAGES.iter().map(|(id, ..)| (group(id), group(COMMUNE))).collect(),
        }
    }

    /// The settings of the training commune beside a real one.
    pub fn settings(
        &self,
        real: &Settings,
        door: &TrainingDoor,
        broker: SocketAddr,
        wishes: mpsc::Sender<TrainingWish>,
    ) -> Settings {
        let data_dir = folder(real);
        let tls = match (&real.page.tls, &real.enrolment) {
            (PageTls::OwnAuthority, Some(enrolment)) => PageTls::OfAuthority(enrolment.ca.clone()),
            (tls, _) => tls.clone(),
        };
        let message = TrustMessage { v: VERSION, trust: self.trust() };
        let declared = |site: &Site| BoxDeclared {
            id: site.id.clone(),
            title: box_title(&site.id),
            groups: vec![site.groups[0].clone()],
            key: Some(site.key.public().to_string()),
        };
        let mut groups =
            vec![Group { id: group(COMMUNE), title: words("training.commune").to_owned(), parent: None }];
        groups.extend(VILLAGES.iter().map(|(id, title, ..)| Group {
            id: group(id),
            title: words(title).to_owned(),
            parent: Some(group(COMMUNE)),
        }));
        Settings {
            listen: door.listen,
            public_url: door.public_url.clone(),
            peer_url: None,
            page: PageDoor { tls, ..real.page.clone() },
            database: Database::Sqlite(data_dir.join("central.db")),
            data_dir,
            commune: words("training.commune").to_owned(),
            broker: BrokerChoice::Embedded { listen: broker, logins: Logins::NameAlone },
            token: hex(&random()),
            second_factor: false,
            keys: Keys {
                central: self.central.clone(),
                issuers: vec![self.staff.clone()],
                trust: codec::seal(&message, &[&self.root]),
            },
            cap: None,
            calling: Default::default(),
            reporting: Default::default(),
            training: Training::Here(wishes),
            groups,
            boxes: self.sites().iter().map(declared).collect(),
            enrolment: None,
            trust_first_use: false,
            ..real.clone()
        }
    }

    /// The boxes in memory.
    pub fn sites(&self) -> Vec<Site> {
        let trust = Arc::new(self.trust());
        let villages = VILLAGES.iter().flat_map(|(id, .., boxes)| (1..=*boxes).map(move |n| (*id, n)));
        let site = |((village, n), key): ((&str, usize), &SecretKey)| Site {
            id: BoxId::new(format!("{village}-{n}")).expect("villages have plain names"),
            groups: vec![group(village), group(COMMUNE)],
            key: key.clone(),
            root: self.root.public(),
            trust: Arc::clone(&trust),
            log: None,
            release: Release::Own,
        };
        villages.zip(&self.boxes).map(site).collect()
    }
}

/// The name of a box: its village, and its number there.
fn box_title(id: &BoxId) -> String {
    let of = |(village, n): (&str, &str)| {
        let (.., title, _) = VILLAGES.iter().find(|(known, ..)| *known == village)?;
        Some(format!("{} {n}", words(title)))
    };
    id.as_str().rsplit_once('-').and_then(of).unwrap_or_else(|| id.to_string())
}

/// The folder of the training commune, in that of the real one.
pub fn folder(real: &Settings) -> PathBuf {
    real.data_dir.join("training")
}

/// A broker of this machine only, on a port that is free.
pub const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn random() -> [u8; 32] {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system gives randomness");
    random
}

fn draw() -> SecretKey {
    SecretKey::from_seed(&random())
}

/// A group of this commune.
pub fn group(id: &str) -> GroupId {
    id.parse().expect("groups here have plain names")
}

/// An account of this commune.
pub fn account(id: &str) -> AccountId {
    id.parse().expect("accounts here have plain names")
}

/// Words of the training commune, which is Vietnamese as the real one is.
pub fn words(key: &'static str) -> &'static str {
    TEXTS.of(Lang::Vi).say(key)
}
