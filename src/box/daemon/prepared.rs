//! Prepared messages: their audio lies on the disk before an emergency names it.

use super::Daemon;
use crate::downloads::FetchAsked;
use crate::local_socket::PreparedHeld;
use crate::prepared::Prepared;
use loaxa_heart::decide::downloads::Need;
use loaxa_heart::decide::versions::{self, Edition};
use loaxa_heart::domain::announcement::PreparedItem;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

impl Daemon {
    /// Puts a list of prepared messages in force, and has its audio fetched.
    ///
    /// # Errors
    /// Fails when those who signed the list in force stand above these signers, and when it is not newer.
    pub(super) fn prepare(
        &mut self,
        version: u32,
        items: &[PreparedItem],
        by: &[KeyId],
        held_by: &[KeyId],
    ) -> Result<(), CommandRefusal> {
        let trust = self.speaker.trust();
        if let (Some(trust), Some(key)) = (trust, by.first())
            && !held_by.is_empty()
            && trust.outranks(held_by, by, Power::Programme)
        {
            let detail = said!("detail.prepared_from_above");
            return Err(CommandRefusal::NotAllowed { key: key.clone(), detail });
        }
        let held = Edition { version: self.prepared.version, signers: held_by };
        versions::check_newer(trust, Power::Programme, held, Edition { version, signers: by })?;
        self.prepared = Prepared::new(version, items.to_vec(), self.disk_bytes_max);
        self.protect();
        self.fetch_prepared();
        Ok(())
    }

    /// Wants the prepared audio that is not here, and that of a standing order. What the server did not have at first is
    /// asked for again and again.
    pub(super) fn fetch_prepared(&self) {
        let standing = self.speaker.local_order().and_then(|order| order.media.as_ref());
        let wanted = standing.into_iter().chain(self.prepared.audio());
        let missing = wanted.filter(|media| !self.downloads.has(&media.sha256));
        for media in missing {
            let what = media.path.clone();
            if let FetchAsked::Refused(fault) = self.downloads.fetch(media.clone(), Wall::MAX, Need::Staged) {
                tracing::warn!(what, %fault, "prepared audio is not fetched");
            }
        }
    }

    /// Counts the prepared messages whose audio is not on the disk.
    pub(super) fn prepared_missing(&self) -> u32 {
        let missing = self.prepared.items.iter().filter(|item| !self.downloads.has(&item.media.sha256));
        u32::try_from(missing.count()).unwrap_or(u32::MAX)
    }

    /// Lists the prepared messages, each with whether its audio is here.
    pub(super) fn list_prepared(&self) -> Vec<PreparedHeld> {
        let held = |item: &PreparedItem| PreparedHeld {
            held: self.downloads.has(&item.media.sha256),
            item: item.clone(),
        };
        self.prepared.items.iter().map(held).collect()
    }
}
