//! Documents, which commands put in force until something newer comes: programmes, limits, groups.

use super::Daemon;
use super::restore::{TRUST, still_believed};
use crate::downloads::FetchAsked;
use crate::prepared::Prepared;
use loaxa_adapters::box_store::Change;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::decide::downloads::Need;
use loaxa_heart::decide::schedule::Listeners;
use loaxa_heart::decide::speaker::Input;
use loaxa_heart::decide::versions::{self, Edition};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{GroupId, KeyId, ProgrammeId};
use loaxa_heart::domain::playback::{CommandRefusal, Event};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::said;
use loaxa_heart::wire::messages::{Body, Command, Signed};

/// A document that a command put in force.
struct Document {
    name: DocumentName,
    /// `None` where the heart has logged the adoption itself.
    version: Option<u32>,
    /// The document is needed at the next start.
    is_kept: bool,
}

impl Daemon {
    /// Puts the document of a command in force, and returns the change that keeps it.
    pub(super) fn adopt(&mut self, signed: &Signed<Command>) -> Option<Change> {
        let command = &signed.payload;
        let envelope = self.arriving.get(&command.id).cloned();
        match self.put_in_force(signed) {
            Ok(Some(Document { name, version, is_kept })) => {
                let name = name.to_string();
                if let Some(version) = version {
                    let adopted = Event::Adopted { what: name.clone(), version };
                    self.speaker.handle(&self.clock.read(), Input::Noted(Box::new(adopted)));
                }
                is_kept.then_some(Change::KeepDocument { name, envelope })
            }
            Ok(None) => None,
            Err(reason) => {
                let refused = Input::Refused { command: Some(command.id.clone()), reason };
                self.speaker.handle(&self.clock.read(), refused);
                None
            }
        }
    }

    /// Wants the audio of a programme in time for its first use.
    pub(super) fn fetch_programme(&self, programme: &ProgrammeId, media: Vec<Media>, not_before: Wall) {
        let now = self.clock.read();
        let needed = self.programmes.first_needed(programme, self.speaker.listeners(), now.wall);
        // What no day to come needs can wait; without a clock nobody knows.
        let unknown = if now.quality > ClockQuality::None { Wall::MAX } else { not_before };
        for media in media {
            let by = needed.get(&media.sha256).copied().unwrap_or(unknown);
            let what = media.path.clone();
            if let FetchAsked::Refused(fault) = self.downloads.fetch(media, by, Need::Scheduled) {
                tracing::warn!(%programme, what, %fault, "audio of a programme is not fetched");
            }
        }
    }

    fn put_in_force(&mut self, signed: &Signed<Command>) -> Result<Option<Document>, CommandRefusal> {
        let command = &signed.payload;
        match &command.body {
            Body::Programme { programme, version, toml, media } => {
                if let Some(group) = self.programmes.group_of(programme).cloned() {
                    let trust = self.speaker.trust().ok_or(CommandRefusal::BadSignature)?;
                    trust.permits(&signed.signers, Power::Programme, &[group], self.time())?;
                }
                let name = DocumentName::Programme(programme.clone());
                let (held, held_by) = (self.programmes.version_of(programme), self.signers_of(&name));
                self.check_newer((held, &held_by), signed, *version)?;
                let groups = &self.speaker.listeners().groups;
                let timetable = self.programmes.adopt(programme, *version, toml, media, groups)?;
                self.fetch_programme(programme, media.values().cloned().collect(), command.not_before);
                self.speaker.handle(&self.clock.read(), Input::Timetable(timetable));
                Ok(Some(Document { name, version: Some(*version), is_kept: true }))
            }
            Body::Groups { version, members } => {
                self.check_newer((self.groups_version, &self.groups_signers), signed, *version)?;
                // A box that it does not name stays where it is.
                if let Some(groups) = members.get(&self.box_id) {
                    self.check_move(&signed.signers, groups)?;
                    self.move_to(groups);
                }
                (self.groups_version, self.groups_signers) = (*version, signed.signers.clone());
                // One that does not name this box must not take the place of the one that did.
                let is_kept = members.contains_key(&self.box_id);
                Ok(Some(Document { name: DocumentName::Groups, version: Some(*version), is_kept }))
            }
            Body::Prepared { version, items } => {
                let held_by = self.signers_of(&DocumentName::Prepared);
                self.prepare(*version, items, &signed.signers, &held_by)?;
                Ok(Some(Document { name: DocumentName::Prepared, version: Some(*version), is_kept: true }))
            }
            Body::Software(software) => {
                let (held, held_by) = self.upgrade.in_force();
                if let (Some(trust), Some(key)) = (self.speaker.trust(), signed.signers.first())
                    && !held_by.is_empty()
                    && trust.outranks(held_by, &signed.signers, Power::Software)
                {
                    let detail = said!("detail.software_from_above");
                    return Err(CommandRefusal::NotAllowed { key: key.clone(), detail });
                }
                self.check_newer((held, held_by), signed, software.version)?;
                self.upgrade.order(Some(software.clone()), signed.signers.clone());
                let version = Some(software.version);
                Ok(Some(Document { name: DocumentName::Software, version, is_kept: true }))
            }
            // The heart has adopted and logged it.
            Body::Policy(_) => {
                Ok(Some(Document { name: DocumentName::Policy, version: None, is_kept: true }))
            }
            Body::LocalEmergency { .. } => {
                self.fetch_prepared();
                Ok(Some(Document { name: DocumentName::LocalEmergency, version: None, is_kept: true }))
            }
            Body::Announce { .. } | Body::Cancel { .. } | Body::Live { .. } | Body::Test => Ok(None),
        }
    }

    /// Checks that a document takes the place of the held one, of which `held` are the version and the signers.
    fn check_newer(
        &self,
        held: (u32, &[KeyId]),
        signed: &Signed<Command>,
        offered: u32,
    ) -> Result<(), CommandRefusal> {
        let held = Edition { version: held.0, signers: held.1 };
        let offered = Edition { version: offered, signers: &signed.signers };
        versions::check_newer(self.speaker.trust(), signed.payload.power(), held, offered)
    }

    /// Returns the keys that signed the document of this name; none where the installer wrote it.
    fn signers_of(&self, name: &DocumentName) -> Vec<KeyId> {
        let documents = self.store.documents().unwrap_or_default();
        let kept = documents.get(&name.to_string());
        let believed = kept.and_then(|envelope| still_believed(envelope, self.speaker.trust()).ok());
        believed.map(|signed| signed.signers).unwrap_or_default()
    }

    /// Checks that those who signed may take this box out of the groups that it leaves, and into those that it joins.
    fn check_move(&self, signers: &[KeyId], groups: &[GroupId]) -> Result<(), CommandRefusal> {
        let trust = self.speaker.trust().ok_or(CommandRefusal::BadSignature)?;
        let to = groups.iter().cloned().collect();
        trust.may_move(signers, &self.speaker.listeners().groups, &to, self.time())
    }

    /// The time, where it is known.
    fn time(&self) -> Option<Wall> {
        let now = self.clock.read();
        (now.quality > ClockQuality::None).then_some(now.wall)
    }

    /// Takes documents out of force whose signers may not sign them any more; what was installed takes their place.
    pub(super) fn drop_what_lost_authority(&mut self) {
        let documents = self.store.documents().unwrap_or_default();
        let trust = self.speaker.trust().cloned();
        let (mut batch, mut groups) = (Vec::new(), self.speaker.listeners().groups.iter().cloned().collect());
        for (name, envelope) in documents.into_iter().filter(|(name, _)| name != TRUST) {
            let Err(reason) = still_believed(&envelope, trust.as_ref()) else { continue };
            tracing::warn!(name, %reason, "a document is no longer believed");
            match DocumentName::from_text(&name) {
                Some(DocumentName::Programme(id)) => self.programmes.forget(&id),
                Some(DocumentName::Policy) => {
                    self.speaker.handle(&self.clock.read(), Input::Limits(self.installed.policy.clone()));
                }
                Some(DocumentName::Prepared) => self.prepared = Prepared::default(),
                // The heart has dropped the order, and ended what it had released.
                Some(DocumentName::LocalEmergency) => {}
                Some(DocumentName::Software) => self.upgrade.order(None, Vec::new()),
                Some(DocumentName::Groups) => {
                    (self.groups_version, groups) = (0, self.installed.groups.clone());
                    self.groups_signers.clear();
                }
                None => tracing::error!(name, "a document of this name is not known, and is forgotten"),
            }
            batch.push(Change::KeepDocument { name, envelope: None });
        }
        if !batch.is_empty() {
            self.move_to(&groups);
            self.protect();
            self.commit(&mut batch);
            self.uplink.hurry_heartbeat(monotonic());
        }
        self.carry_out();
    }

    fn move_to(&mut self, groups: &[GroupId]) {
        let listeners =
            Listeners { groups: groups.iter().cloned().collect(), ..self.speaker.listeners().clone() };
        self.uplink.listen_to(groups);
        match self.programmes.timetable(&listeners.groups) {
            Ok(timetable) => self.speaker.handle(&self.clock.read(), Input::Timetable(timetable)),
            Err(clash) => tracing::error!("the programmes stay as they are: {clash}"),
        }
        self.speaker.handle(&self.clock.read(), Input::Listeners(listeners));
    }
}
