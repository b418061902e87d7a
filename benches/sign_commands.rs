//! Signs fresh emergencies for a box, as two duty officers would: what the measurements publish.
//!
//! usage: sign_commands DIR AUDIO COUNT
//! Writes to DIR: root.pub, trust.json, the audio in the box's media store (DIR/state/media), and COUNT envelopes
//! command-1.json, command-2.json, ..., each in force for twelve hours and playable once.

use std::path::Path;

use loaxa_adapters::clock;
use loaxa_heart::domain::announcement::{BulletinClass, Media, Mode, PlayPlan};
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_sound::decode;

const GROUP: &str = "xa";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [dir, audio, count] = &arguments[..] else {
        return Err("usage: sign_commands DIR AUDIO COUNT".into());
    };
    let (dir, audio) = (Path::new(dir), Path::new(audio));
    let key = |n| SecretKey::from_seed(&[n; 32]);
    let (root, duty) = (key(1), [key(2), key(3)]);
    let trust = TrustMessage { v: VERSION, trust: trust(&duty)? };
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("root.pub"), format!("public {}\n", root.public()))?;
    std::fs::write(dir.join("trust.json"), codec::seal(&trust, &[&root]))?;
    let media = stage(&dir.join("state/media"), audio)?;
    for n in 1..=count.parse()? {
        let command = emergency(n, &duty[0], &media)?;
        std::fs::write(dir.join(format!("command-{n}.json")), codec::seal(&command, &[&duty[0], &duty[1]]))?;
    }
    Ok(())
}

fn trust(duty: &[SecretKey]) -> Outcome<Trust> {
    let grant = |key: &SecretKey| -> Outcome<Grant> {
        Ok(Grant {
            key: key.key_id(),
            public: key.public().to_string(),
            holder: key.key_id().to_string(),
            powers: [Power::Emergency].into(),
            groups: [GROUP.parse()?].into(),
            level: 1,
            valid_from: None,
            account: None,
            valid_until: None,
        })
    };
    Ok(Trust {
        version: 1,
        grants: duty.iter().map(grant).collect::<Outcome<_>>()?,
        thresholds: vec![Threshold { power: Power::Emergency, signatures: 2 }],
        nesting: Default::default(),
    })
}

/// Puts audio where a box keeps what it has fetched.
fn stage(store: &Path, audio: &Path) -> Outcome<Media> {
    let bytes = std::fs::read(audio)?;
    let (sha256, info) = (ContentHash::of(&bytes), decode::probe(audio)?);
    let name = sha256.to_string();
    let kept = store.join(&name[..2]).join(&name);
    std::fs::create_dir_all(kept.parent().unwrap_or(store))?;
    std::fs::write(kept, &bytes)?;
    let ms = u32::try_from(info.ms)?;
    Ok(Media { sha256, bytes: bytes.len() as u64, codec: info.codec, ms, path: name })
}

fn emergency(n: u64, issuer: &SecretKey, media: &Media) -> Outcome<Command> {
    let now = clock::wall();
    Ok(Command {
        v: VERSION,
        id: format!("do-{n}").parse()?,
        issuer: issuer.key_id(),
        serial: n,
        issued_at: now,
        groups: vec![GROUP.parse()?],
        not_before: now,
        expires: now.plus(Span::secs(12 * 3_600)),
        author: "đo lường".to_owned(),
        approver: None,
        critical: Vec::new(),
        body: Body::Announce {
            title: "Đo độ trễ".to_owned(),
            class: BulletinClass::Emergency,
            mode: Mode::Actual,
            plan: PlayPlan { gap_s: 0, ..PlayPlan::default() },
            media: Some(media.clone()),
            words: None,
            supersedes: None,
            cap: None,
        },
    })
}
