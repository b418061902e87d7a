//! What the daemon begins with: its store, its player, its link, and what was remembered.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::DaemonError;
use crate::adopt::Programmes;
use crate::player::{self, Player, PlayerConfig};
use crate::settings::{CentralSettings, Settings};
use crate::uplink::{Uplink, public_key, read_trust};
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::{ContentHash, GroupId, ProgrammeId};
use loaxa_heart::domain::playback::{CommandRefusal, Event};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::sound::PlayerEvent;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Signed};
use loaxa_sound::tts::Speech;

/// Time that a speech engine may take.
const SPEECH_TIMEOUT_MS: u64 = 20_000;

/// After a regional power cut boxes come back spread over this time.
const FIRST_CONNECT_S_MAX: f64 = 120.0;

pub(super) fn random() -> std::io::Result<u64> {
    getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))
}

/// Opens the store; where the disk can't be used at all, one in memory, for sound matters more than its record.
pub(super) fn open_store(settings: &Settings) -> Result<(BoxStore, Vec<Event>), DaemonError> {
    let path = settings.state_dir.join("box.sqlite");
    match BoxStore::open(&path, &settings.box_id) {
        Ok(opened) => {
            let replaced = opened.replaced.map(|kept_as| Event::StoreReplaced { kept_as });
            Ok((opened.store, replaced.into_iter().collect()))
        }
        Err(error) => {
            tracing::error!(%error, "the store can't be used: the log is only in memory");
            Ok((BoxStore::volatile(&settings.box_id)?, Vec::new()))
        }
    }
}

pub(super) fn start_player(
    settings: &Settings,
    events: impl Fn(PlayerEvent) + Send + 'static,
) -> Result<Player, DaemonError> {
    let cache_dir = settings.state_dir.join("speech");
    let speech = Speech { command: settings.speech.clone(), timeout_ms: SPEECH_TIMEOUT_MS, cache_dir };
    let config = PlayerConfig {
        sink: settings.sink.clone(),
        // Programmes name their files by absolute paths once they are read.
        programme_dir: settings.state_dir.clone(),
        media_dir: settings.state_dir.join("media"),
        state_dir: settings.state_dir.clone(),
        speech,
        target_lufs: settings.target_lufs,
        shaping: settings.shaping,
        amplifier: settings.amplifier.clone(),
        microphone: settings.microphone.clone(),
        delay_ms: settings.delay_ms,
        ca: settings.central.as_ref().and_then(|central| central.ca.clone()),
    };
    Ok(player::start(config, events)?)
}

pub(super) fn connect(
    settings: &Settings,
    central: &CentralSettings,
    groups: &[GroupId],
    store: &BoxStore,
) -> Result<(Link, mpsc::Receiver<LinkEvent>), DaemonError> {
    let mut config = LinkConfig::new(central.broker.clone(), settings.box_id.as_str());
    config.ca = central.ca.clone();
    config.identity = central.identity.clone();
    config.last_will = Some(Uplink::last_will(&settings.box_id, store.epoch()));
    config.subscriptions = loaxa_heart::wire::topics::box_filters(&settings.box_id, groups);
    config.seed = random()?;
    if central.broker.host == "127.0.0.1" || central.broker.host == "localhost" {
        // A broker on this machine is not stormed by a region's boxes.
        config.reconnect_s_min = 0.5;
        config.reconnect_s_max = 5.0;
    } else {
        config.first_delay_s_max = FIRST_CONNECT_S_MAX;
    }
    Ok(Link::connect(config)?)
}

/// The newer of the trust document that the installer gave and the one that was received.
pub(super) fn newest_trust(settings: &Settings, received: Option<&Vec<u8>>) -> Option<Trust> {
    let read = |bytes: &Vec<u8>| match read_trust(bytes, settings.root.as_ref()) {
        Ok(message) => Some(message.trust),
        Err(reason) => {
            tracing::error!(%reason, "a trust document is not believed");
            None
        }
    };
    let known = [settings.trust.as_ref(), received].into_iter().flatten();
    known.filter_map(read).max_by_key(|trust| trust.version)
}

/// A kept document, where those who signed it may still do so.
///
/// # Errors
/// Why it is not believed any more.
pub(super) fn still_believed(envelope: &[u8], trust: Option<&Trust>) -> Result<Command, CommandRefusal> {
    let keys = |id: &_| trust.and_then(|trust| public_key(trust, id));
    let Signed { signers, payload: command, .. } = codec::open_command(envelope, &keys)?;
    trust.map(|trust| trust.permits(&signers, command.power(), &command.groups, None)).transpose()?;
    Ok(command)
}

/// What was in force before the restart.
pub(super) struct InForce {
    pub groups: Vec<GroupId>,
    pub groups_version: u32,
    pub policy: Policy,
    /// What programmes need.
    pub needed: Vec<Needed>,
}

/// The audio of a programme.
pub(super) struct Needed {
    pub programme: ProgrammeId,
    pub media: Vec<Media>,
    pub not_before: Wall,
}

/// Puts in force what was kept. It was judged when it came, and is not judged again; an installer may have brought
/// something newer meanwhile. The heart must know all of it when it starts: what it misses, it takes for replaced.
pub(super) fn restore_documents(
    settings: &Settings,
    documents: &BTreeMap<String, Vec<u8>>,
    trust: Option<&Trust>,
    programmes: &mut Programmes,
) -> InForce {
    let (groups, policy) = (settings.groups.clone(), settings.policy.clone());
    let mut restored = InForce { groups, groups_version: 0, policy, needed: Vec::new() };
    // By name: the groups come before the programmes that depend on them.
    for (name, envelope) in documents.iter().filter(|(name, _)| *name != "trust") {
        let command = match still_believed(envelope, trust) {
            Ok(command) => command,
            Err(reason) => {
                tracing::warn!(name, %reason, "a kept document is no longer believed");
                continue;
            }
        };
        match command.body {
            Body::Groups { version, mut members } => {
                restored.groups_version = version;
                restored.groups = members.remove(&settings.box_id).unwrap_or(restored.groups);
            }
            Body::Policy(policy) if policy.version > restored.policy.version => restored.policy = policy,
            Body::Programme { programme, version, toml, media } => {
                let groups = restored.groups.iter().cloned().collect();
                match programmes.adopt(&programme, version, &toml, &media, &groups) {
                    Ok(_) => {
                        let (media, not_before) = (media.into_values().collect(), command.not_before);
                        restored.needed.push(Needed { programme, media, not_before });
                    }
                    Err(reason) => tracing::warn!(name, %reason, "a kept programme is not put in force"),
                }
            }
            _ => {}
        }
    }
    restored
}

pub(super) fn restore_commands(
    store: &BoxStore,
    trust: Option<&Trust>,
) -> Result<Vec<Signed<Command>>, DaemonError> {
    let keys = |id: &_| trust.and_then(|trust| public_key(trust, id));
    let opened = store.commands()?.into_iter().filter_map(|(id, envelope)| {
        codec::open_command(&envelope, &keys)
            .inspect_err(|reason| tracing::warn!(id, %reason, "a kept command is no longer believed"))
            .ok()
    });
    Ok(opened.collect())
}

pub(super) fn media_of(signed: &Signed<Command>) -> Option<ContentHash> {
    match &signed.payload.body {
        Body::Announce { media, .. } => media.as_ref().map(|media| media.sha256),
        _ => None,
    }
}
