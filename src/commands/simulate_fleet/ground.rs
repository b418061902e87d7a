//! The ground of a trial, which the process of the boxes and that of the centre both lay from one seed: keys, villages, settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::super::language::Failure;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_fleet::site::{Release, Site};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, GroupId};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

/// The group of all boxes, and the boxes in each village.
pub const ALL: &str = "huyen";
const VILLAGE_BOXES: usize = 5;

/// Everything of a trial that follows from its seed; nobody keeps it.
pub struct Ground {
    pub token: String,
    root: SecretKey,
    central: SecretKey,
    officers: [SecretKey; 2],
    boxes: Vec<SecretKey>,
}

fn group(id: &str) -> GroupId {
    id.parse().expect("groups here have plain names")
}

fn village(of_box: usize) -> String {
    format!("thon-{}", of_box / VILLAGE_BOXES)
}

impl Ground {
    /// Lays the ground for so many boxes, hostile ones included.
    pub fn lay(seed: &[u8; 32], boxes: usize) -> Self {
        let secret = |what: String| ContentHash::of(&[seed, what.as_bytes()].concat());
        let key = |what: String| SecretKey::from_seed(&secret(what).0);
        Self {
            token: secret("token".to_owned()).to_string(),
            root: key("root".to_owned()),
            central: key("central".to_owned()),
            officers: [1, 2].map(|n| key(format!("officer {n}"))),
            boxes: (0..boxes).map(|n| key(format!("box {n}"))).collect(),
        }
    }

    /// The boxes, as they stand in their villages.
    pub fn sites(&self) -> Vec<Site> {
        let trust = Arc::new(self.trust());
        let site = |(n, key): (usize, &SecretKey)| Site {
            id: BoxId::new(format!("loa-{n}")).expect("boxes here have plain names"),
            groups: vec![group(&village(n)), group(ALL)],
            key: key.clone(),
            root: self.root.public(),
            trust: Arc::clone(&trust),
            log: None,
            release: Release::Own,
        };
        self.boxes.iter().enumerate().map(site).collect()
    }

    fn trust(&self) -> Trust {
        let grant = |key: &SecretKey, holder: &str, powers: &[Power]| Grant {
            key: key.key_id(),
            public: key.public().to_string(),
            holder: holder.to_owned(),
            account: None,
            powers: powers.iter().copied().collect(),
            groups: [group(ALL)].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        let villages = (0..self.boxes.len().div_ceil(VILLAGE_BOXES)).map(|n| format!("thon-{n}"));
        let [one, two] = &self.officers;
        Trust {
            version: 1,
            grants: vec![
                grant(&self.central, "central", &[Power::Central]),
                grant(one, "An", &[Power::Emergency]),
                grant(two, "Binh", &[Power::Emergency]),
            ],
            thresholds: vec![Threshold { power: Power::Emergency, signatures: 2 }],
            nesting: villages.map(|id| (group(&id), group(ALL))).collect(),
        }
    }

    /// The settings of a centre that keeps its data in a folder.
    ///
    /// # Errors
    /// Fails where the folder can not be written.
    pub fn settings(&self, dir: &Path) -> Result<Settings, Failure> {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let words = dir.join("words.wav");
        std::fs::write(&words, a_second_of_silence())?;
        let place = |id: String, parent: Option<&str>| Group {
            title: id.clone(),
            id: group(&id),
            parent: parent.map(group),
        };
        let villages = (0..self.boxes.len().div_ceil(VILLAGE_BOXES)).map(|n| format!("thon-{n}"));
        let declared = |site: Site| BoxDeclared {
            title: site.id.to_string(),
            id: site.id,
            groups: vec![site.groups[0].clone()],
            key: Some(site.key.public().to_string()),
        };
        Ok(Settings {
            listen: local,
            public_url: None,
            peer_url: None,
            page: Default::default(),
            data_dir: dir.to_owned(),
            commune: "simulated".to_owned(),
            broker: BrokerChoice::Embedded { listen: local, logins: Logins::NameAlone },
            database: Database::Sqlite(dir.join("central.db")),
            token: self.token.clone(),
            second_factor: false,
            everyday: Default::default(),
            keys: Keys {
                central: self.central.clone(),
                issuers: self.officers.to_vec(),
                trust: codec::seal(&TrustMessage { v: VERSION, trust: self.trust() }, &[&self.root]),
            },
            scanner: Vec::new(),
            speech: vec!["cp".to_owned(), words.display().to_string(), "{out}".to_owned()],
            cap: None,
            calling: Default::default(),
            reporting: Default::default(),
            training: Default::default(),
            groups: std::iter::once(place(ALL.to_owned(), None))
                .chain(villages.map(|id| place(id, Some(ALL))))
                .collect(),
            boxes: self.sites().into_iter().map(declared).collect(),
            enrolment: None,
            trust_first_use: false,
        })
    }
}

/// A WAV of one second: 8,000 frames of 16 bits.
fn a_second_of_silence() -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend(16_036_u32.to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(16_000_u32.to_le_bytes());
    wav.resize(44 + 16_000, 0);
    wav
}
