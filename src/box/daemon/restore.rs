//! The documents and commands that were in force before a restart, read from the store and judged by the trust of
//! today.

use std::collections::BTreeMap;

use super::error::DaemonError;
use crate::adopt::Programmes;
use crate::prepared::Prepared;
use crate::settings::Settings;
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::uplink::{public_key, read_trust};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::{ContentHash, GroupId, KeyId, ProgrammeId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::software::Software;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Signed};

/// Name of the trust document in the store; the others are named as in commands.
pub(super) const TRUST: &str = "trust";

/// Returns the newer of the trust document that the installer gave and the one that was received.
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

/// Opens a kept document, where those who signed it may still do so.
///
/// # Errors
/// Tells why it is not believed any more.
pub(super) fn still_believed(
    envelope: &[u8],
    trust: Option<&Trust>,
) -> Result<Signed<Command>, CommandRefusal> {
    let keys = |id: &_| trust.and_then(|trust| public_key(trust, id));
    let signed = codec::open_command(envelope, &keys)?;
    let Signed { signers, payload: command, .. } = &signed;
    trust.map(|trust| trust.permits(signers, command.power(), &command.groups, None)).transpose()?;
    Ok(signed)
}

/// Documents that were in force before the restart.
pub(super) struct InForce {
    pub groups: Vec<GroupId>,
    pub groups_version: u32,
    /// The keys that signed the groups; none where the installer wrote them.
    pub groups_signers: Vec<KeyId>,
    pub policy: Policy,
    /// The keys that signed the policy; none where the installer wrote it.
    pub policy_signers: Vec<KeyId>,
    pub prepared: Prepared,
    /// The standing order for a local emergency.
    pub local_order: Option<Signed<Command>>,
    /// The release that the box is to run, and the keys that signed the order.
    pub software: Option<(Software, Vec<KeyId>)>,
    /// Audio that programmes need.
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
    let mut restored = InForce {
        groups,
        groups_version: 0,
        groups_signers: Vec::new(),
        policy,
        policy_signers: Vec::new(),
        prepared: Prepared::default(),
        local_order: None,
        software: None,
        needed: Vec::new(),
    };
    // By name: the groups come before the programmes that depend on them.
    for (name, envelope) in documents.iter().filter(|(name, _)| *name != TRUST) {
        let signed = match still_believed(envelope, trust) {
            Ok(signed) => signed,
            Err(reason) => {
                tracing::warn!(name, %reason, "a kept document is no longer believed");
                continue;
            }
        };
        if matches!(signed.payload.body, Body::LocalEmergency { .. }) {
            restored.local_order = Some(signed);
            continue;
        }
        let Signed { signers, payload: command, .. } = signed;
        match command.body {
            Body::Groups { version, mut members } => {
                (restored.groups_version, restored.groups_signers) = (version, signers);
                restored.groups = members.remove(&settings.box_id).unwrap_or(restored.groups);
            }
            Body::Policy(policy) if policy.version > restored.policy.version => {
                (restored.policy, restored.policy_signers) = (policy, signers);
            }
            Body::Prepared { version, items } => {
                restored.prepared = Prepared::new(version, items, settings.media.disk_bytes_max);
            }
            Body::Software(software) => restored.software = Some((software, signers)),
            Body::Programme { programme, version, .. } if version <= programmes.version_of(&programme) => {
                tracing::warn!(name, version, "an installed programme is as new as a kept one");
            }
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

/// Opens the commands that were kept; those that are no longer believed are left out.
///
/// # Errors
/// Fails when the store can't be read.
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

/// Returns the audio that an announcement or a standing order brings.
pub(super) fn media_of(signed: &Signed<Command>) -> Option<ContentHash> {
    match &signed.payload.body {
        Body::Announce { media, .. } => media.as_ref().map(|media| media.sha256),
        Body::LocalEmergency { order, .. } => Some(order.as_ref()?.media.as_ref()?.sha256),
        _ => None,
    }
}
