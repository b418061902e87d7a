//! Answers to the installer beside the box, and envelopes that a stick brings.

use std::collections::{BTreeMap, BTreeSet};

use super::Daemon;
use crate::local_socket::{Offered, Request, Visit};
use crate::status::Status;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::playback::Presser;
use loaxa_heart::wire::envelope::Kind;
use loaxa_heart::wire::topics::{Down, Topic};

impl Daemon {
    pub(super) fn on_visit(&mut self, visit: Visit) {
        let answer = match visit.request {
            Request::Status => serde_json::to_vec(&self.status()),
            Request::Known => {
                let wanted = self.downloads.wanted().into_iter().map(|media| media.sha256);
                let known: BTreeSet<ContentHash> = self.media_in_use().chain(wanted).collect();
                serde_json::to_vec(&known)
            }
            Request::Prepared => serde_json::to_vec(&self.list_prepared()),
            Request::Press => serde_json::to_vec(&self.press(Presser::Console)),
            Request::Look => {
                self.downloads.look();
                serde_json::to_vec(&())
            }
            Request::Offer { envelope } => serde_json::to_vec(&self.offer(envelope.into_bytes())),
        };
        // A visitor that hung up gets nothing.
        let _ = visit.answer.send(answer.unwrap_or_default());
    }

    pub(super) fn status(&self) -> Status {
        let now = self.clock.read();
        Status {
            box_id: self.box_id.clone(),
            software: self.upgrade.release().to_string(),
            upgrade: self.upgrade.told(),
            wall: now.wall,
            clock: now.quality,
            on_air: self.speaker.on_air().map(|(_, title, _)| title.to_owned()),
            connected: self.is_in_contact(),
            backlog: self.store.backlog(),
            local_emergency: self.local_state(),
            faults: self.faults.iter().map(|fault| (*fault).to_owned()).collect(),
            media_month_bytes: self.downloads.used(),
            media_month_bytes_max: self.month_bytes_max,
            media_waiting: self.downloads.wanted().len(),
            refused: self.refusals.totals().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            microphone: self.player.microphone().into(),
            lost: self.lost(),
        }
    }

    /// Returns what was lost since the start; kinds of which nothing was lost are left out.
    fn lost(&self) -> BTreeMap<String, u64> {
        let own = [("visits", self.turned_away.get()), ("downloads", self.downloads.refused())];
        let all = self.player.losses().report().into_iter().chain(own);
        all.filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), count)).collect()
    }

    /// Judges an envelope as if it came over the wire.
    fn offer(&mut self, envelope: Vec<u8>) -> Offered {
        let totals = |daemon: &Self| daemon.refusals.totals().collect::<BTreeMap<_, _>>();
        let before = totals(self);
        let down = if is_trust(&envelope) { Down::Trust } else { Down::Command };
        self.on_message(&Topic::Down(self.box_id.clone(), down), envelope);
        let changed = totals(self).into_iter().find(|(reason, count)| before.get(reason) != Some(count));
        changed.map_or(Offered::Taken, |(reason, _)| Offered::Refused { reason: reason.to_owned() })
    }
}

/// Tells whether the bytes claim to be a trust document; that claim is judged later.
fn is_trust(envelope: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Outside {
        #[serde(rename = "payloadType")]
        payload_type: String,
    }
    serde_json::from_slice::<Outside>(envelope)
        .is_ok_and(|outside| outside.payload_type == Kind::Trust.payload_type())
}
