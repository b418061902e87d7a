//! What central says to boxes: at once to groups, and again to single boxes until they hold it.

use crate::adapters::mqtt::{Link, LinkError, Qos};
use crate::decide::delivery::{self, Standing};
use crate::domain::ids::{BoxId, GroupId};
use crate::domain::time::Wall;
use crate::wire::messages::Holds;
use crate::wire::topics::{Down, Topic};

use super::authority::Authority;
use super::store::{SharedStore, StoreError};

/// Hands messages to the broker. Nothing here is a promise: what is lost is sent again after the next heartbeat.
#[derive(Clone)]
pub struct Publisher {
    link: Link,
}

impl Publisher {
    /// Publishes over this link.
    pub fn new(link: Link) -> Self {
        Self { link }
    }

    /// Whether the broker has central now.
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Sends a sealed command to all boxes of its groups.
    pub fn to_groups(&self, groups: &[GroupId], envelope: &[u8]) {
        for group in groups {
            self.hand_over(&Topic::Group(group.clone()), envelope.to_vec());
        }
    }

    /// Sends one message to one box.
    pub fn to_box(&self, id: &BoxId, down: Down, bytes: Vec<u8>) {
        self.hand_over(&Topic::Down(id.clone(), down), bytes);
    }

    fn hand_over(&self, topic: &Topic, bytes: Vec<u8>) {
        match self.link.publish(topic, bytes, Qos::AtLeastOnce) {
            Ok(()) => {}
            Err(error @ (LinkError::NotConnected | LinkError::Full { .. })) => {
                tracing::warn!(%topic, %error, "not sent now; it is sent after the next heartbeat");
            }
            Err(error) => tracing::error!(%topic, %error, "a message can't be sent"),
        }
    }

    /// Sends a box what it lacks, as its hello or heartbeat tells.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn reconcile(
        &self,
        store: &SharedStore,
        authority: &Authority,
        to: (&BoxId, &[GroupId]),
        holds: &Holds,
        now: Wall,
    ) -> Result<(), StoreError> {
        let (id, groups) = to;
        if holds.trust < authority.trust().version {
            self.to_box(id, Down::Trust, authority.trust_envelope().to_vec());
        }
        let standing: Vec<Standing> = store.standing(id.clone(), now).await?;
        let lacking: Vec<_> =
            delivery::to_send(&holds.commands, groups, &standing).into_iter().cloned().collect();
        if lacking.is_empty() {
            return Ok(());
        }
        tracing::debug!(%id, commands = lacking.len(), "sending what the box lacks");
        for envelope in store.envelopes(lacking).await? {
            self.to_box(id, Down::Command, envelope);
        }
        Ok(())
    }
}
