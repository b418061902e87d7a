//! Messages to boxes: commands go out at once to groups, and again to single boxes until they hold them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::{Link, LinkError, Qos};
use loaxa_adapters::receipts::Receipt;
use loaxa_heart::decide::delivery::{self, Standing};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_heart::wire::messages::{Body, Command, Holds};
use loaxa_heart::wire::topics::{Down, Topic};

use crate::keyring::Keyring;
use crate::store::{SharedStore, StoreError, Version};

/// The way out to the boxes. Messages may be lost on it; after the next heartbeat they are sent again.
pub struct Outbound {
    link: Link,
    resent: Mutex<BTreeMap<(BoxId, Lacking), Resent>>,
    agreed: Mutex<BTreeMap<BoxId, Agreed>>,
    recent: Mutex<VecDeque<Recent>>,
    /// Urgent commands that the broker was given, the latest last.
    urgent: Mutex<VecDeque<CommandId>>,
    taken: Arc<Taken>,
    /// The moment since which there is no connection to the broker.
    lost: Mutex<Option<Moment>>,
    /// Messages that the broker did not get at once.
    unsent: AtomicU64,
}

/// Urgent commands of which the broker has said that it has them, until the other centrals are told.
#[derive(Default)]
struct Taken {
    ids: Mutex<Vec<CommandId>>,
    more: Notify,
}

/// Most boxes of which is remembered that they lacked nothing; when all are taken they are forgotten.
const AGREED_MAX: usize = 12_000;
/// Time for which that is believed: what expires meanwhile, the box forgets by itself.
const AGREED_FOR: Span = Span::secs(300);

/// The state in which a box lacked nothing.
struct Agreed {
    version: Version,
    groups: Vec<GroupId>,
    /// The digest of all that the box said it holds.
    holds: String,
    at: Wall,
}

/// Most commands that go out again with the next connection; beyond it the oldest that are not urgent wait for the boxes' heartbeats.
const RECENT_MAX: usize = 32;
/// Most urgent commands that are remembered as sent; one that is forgotten may go out once more.
const URGENT_MAX: usize = 256;
/// Time after which every box has asked for what it lacks in a heartbeat.
const RECENT_FOR: Span = Span::secs(60);

/// Times after which an urgent command goes out again over a cluster.
const AGAIN_AFTER: [Span; 3] = [Span::secs(2), Span::secs(6), Span::secs(20)];

/// A command that went out to groups a moment ago. The broker that took it may have died with it, and boxes at the other
/// brokers of a cluster notice nothing of that.
struct Recent {
    id: CommandId,
    is_urgent: bool,
    /// The number of [`AGAIN_AFTER`] that are over.
    repeated: usize,
    groups: Vec<GroupId>,
    envelope: Vec<u8>,
    expires: Wall,
    at: Moment,
}

/// Most memories of what boxes were sent again: two kinds for each box of two provinces. When all are taken they are
/// forgotten, and what boxes lack is sent to them at once again.
const RESENT_MAX: usize = 24_000;

/// Kinds of thing that central sends again. They are counted apart, so that a document which the box keeps refusing does
/// not stop announcements from being resent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lacking {
    Documents,
    Announcements,
}

/// The commands that a box was sent last, and how often in a row.
struct Resent {
    commands: Vec<CommandId>,
    times: u32,
    at: Moment,
}

/// Tells whether a command ends one that went out before, which then must not come after it.
fn ends(command: &Command, sent: &Recent) -> bool {
    match &command.body {
        Body::Cancel { of: Some(of) } | Body::Announce { supersedes: Some(of), .. } => *of == sent.id,
        Body::Cancel { of: None } => sent.groups.iter().all(|group| command.groups.contains(group)),
        _ => false,
    }
}

/// Adds what went out. Where there is no room, the oldest that is not urgent goes; where all are urgent, the oldest.
fn remember_recent(recent: &mut VecDeque<Recent>, sent: Recent) {
    if recent.len() >= RECENT_MAX {
        let leaves = recent.iter().position(|sent| !sent.is_urgent).unwrap_or_default();
        recent.remove(leaves);
    }
    recent.push_back(sent);
}

impl Outbound {
    /// Publishes over this link.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            resent: Mutex::default(),
            agreed: Mutex::default(),
            recent: Mutex::default(),
            urgent: Mutex::default(),
            taken: Arc::default(),
            lost: Mutex::new(Some(monotonic())),
            unsent: AtomicU64::new(0),
        }
    }

    /// The messages that the broker did not get at once, since the start.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// The messages of boxes that found no room in the link, since the start.
    pub fn incoming_dropped(&self) -> u64 {
        self.link.dropped()
    }

    /// Tells whether central is connected to the broker now.
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Takes note that the broker was reached, or lost.
    pub fn note_link(&self, is_connected: bool, now: Moment) {
        let mut lost = self.lost.lock().expect("nothing panics while it holds the moment");
        *lost = if is_connected { None } else { lost.or(Some(now)) };
    }

    /// The time for which there is no connection to the broker; zero while there is one.
    pub fn lost_for(&self, now: Moment) -> Span {
        let lost = self.lost.lock().expect("nothing panics while it holds the moment");
        lost.map_or(Span(0), |since| now.since(since))
    }

    /// Tells whether an urgent command was given to the broker by this process.
    pub fn has_sent(&self, id: &CommandId) -> bool {
        self.urgent.lock().expect("nothing panics while it holds what was sent").contains(id)
    }

    fn note_urgent(&self, id: &CommandId) {
        let mut urgent = self.urgent.lock().expect("nothing panics while it holds what was sent");
        if urgent.contains(id) {
            return;
        }
        if urgent.len() >= URGENT_MAX {
            urgent.pop_front();
        }
        urgent.push_back(id.clone());
    }

    /// Sends a sealed command to all boxes of its groups.
    pub fn to_groups(&self, command: &Command, envelope: &[u8], is_urgent: bool) {
        let (groups, envelope) = (command.groups.clone(), envelope.to_vec());
        match is_urgent {
            true => self.publish_urgent(&command.id, &groups, &envelope),
            false => self.publish(&groups, &envelope),
        }
        if is_urgent && self.is_connected() {
            self.note_urgent(&command.id);
        }
        let mut recent = self.recent.lock().expect("nothing panics while it holds what went out");
        recent.retain(|sent| sent.id != command.id && !ends(command, sent));
        let (id, expires) = (command.id.clone(), command.expires);
        let at = monotonic();
        let sent = Recent { id, is_urgent, repeated: 0, groups, envelope, expires, at };
        remember_recent(&mut recent, sent);
    }

    /// The announcements that may be sent again: now by [`Self::repeat_urgent`], or with a new connection.
    pub fn to_repeat(&self, with_connection: bool) -> Vec<CommandId> {
        let recent = self.recent.lock().expect("nothing panics while it holds what went out");
        let is_now = |sent: &&Recent| {
            let is_due = |after: &Span| monotonic().since(sent.at) >= *after;
            sent.is_urgent && self.link.is_to_cluster() && AGAIN_AFTER.get(sent.repeated).is_some_and(is_due)
        };
        recent.iter().filter(|sent| with_connection || is_now(sent)).map(|sent| sent.id.clone()).collect()
    }

    /// Forgets an order that another central ended: it is not sent again.
    pub fn forget(&self, id: &CommandId) {
        let mut recent = self.recent.lock().expect("nothing panics while it holds what went out");
        recent.retain(|sent| sent.id != *id);
    }

    /// Sends urgent commands again that went out over a cluster some seconds ago: a node that died may have been on the way to
    /// boxes that noticed nothing. Boxes know what they have.
    pub fn repeat_urgent(&self, now: Wall) {
        if !self.link.is_to_cluster() {
            return;
        }
        let mut recent = self.recent.lock().expect("nothing panics while it holds what went out");
        for sent in recent.iter_mut().filter(|sent| sent.is_urgent && now < sent.expires) {
            let passed = monotonic().since(sent.at);
            if AGAIN_AFTER.get(sent.repeated).is_some_and(|after| passed >= *after) {
                sent.repeated += 1;
                self.publish_urgent(&sent.id, &sent.groups, &sent.envelope);
            }
        }
    }

    /// Sends again, over a new connection, what may have been lost with the one before.
    pub fn say_again(&self, now: Wall) {
        let mut recent = self.recent.lock().expect("nothing panics while it holds what went out");
        recent.retain(|sent| monotonic().since(sent.at) < RECENT_FOR && now < sent.expires);
        for sent in &*recent {
            match sent.is_urgent {
                true => self.publish_urgent(&sent.id, &sent.groups, &sent.envelope),
                false => self.publish(&sent.groups, &sent.envelope),
            }
        }
    }

    /// Waits for urgent commands that the broker has taken, and gives all that it took by then.
    pub async fn taken(&self) -> Vec<CommandId> {
        self.taken.more.notified().await;
        std::mem::take(&mut *self.taken.ids.lock().expect("nothing panics while it holds the ids"))
    }

    /// Publishes to groups, and notes when the broker has all of it.
    fn publish_urgent(&self, id: &CommandId, groups: &[GroupId], envelope: &[u8]) {
        let receipts = groups.iter().map(|group| {
            let topic = Topic::Group(group.clone());
            let sent = self.link.publish_for_receipt(&topic, envelope.to_vec());
            self.note_failure(&topic, sent)
        });
        let receipts: Vec<_> = receipts.collect();
        let Some(receipts) = receipts.into_iter().collect::<Option<Vec<Receipt>>>() else { return };
        let (id, taken) = (id.clone(), Arc::clone(&self.taken));
        // It ends with the connection at the latest.
        tokio::spawn(async move {
            for receipt in receipts {
                if !receipt.has_come().await {
                    return;
                }
            }
            let mut ids = taken.ids.lock().expect("nothing panics while it holds the ids");
            // One alone has nobody to tell.
            if ids.len() < URGENT_MAX {
                ids.push(id);
                taken.more.notify_one();
            }
        });
    }

    fn publish(&self, groups: &[GroupId], envelope: &[u8]) {
        for group in groups {
            self.hand_over(&Topic::Group(group.clone()), envelope.to_vec());
        }
    }

    /// Sends one message to one box.
    pub fn to_box(&self, id: &BoxId, down: Down, bytes: Vec<u8>) {
        self.hand_over(&Topic::Down(id.clone(), down), bytes);
    }

    fn hand_over(&self, topic: &Topic, bytes: Vec<u8>) {
        self.note_failure(topic, self.link.publish(topic, bytes, Qos::AtLeastOnce));
    }

    /// Counts and tells of a message that the broker does not get now.
    fn note_failure<T>(&self, topic: &Topic, sent: Result<T, LinkError>) -> Option<T> {
        let error = match sent {
            Ok(sent) => return Some(sent),
            Err(error) => error,
        };
        self.unsent.fetch_add(1, Ordering::Relaxed);
        match error {
            error @ (LinkError::NotConnected | LinkError::Full { .. }) => {
                tracing::warn!(%topic, %error, "not sent now; it is sent after the next heartbeat");
            }
            error => tracing::error!(%topic, %error, "a message can't be sent"),
        }
        None
    }

    /// Sends a box the documents and announcements that it lacks. Its hello or heartbeat said what it holds, and how many
    /// records of its log are still to come.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn reconcile(
        &self,
        store: &SharedStore,
        keyring: &Keyring,
        to: (&BoxId, &[GroupId]),
        (holds, backlog): (&Holds, u64),
        now: Wall,
    ) -> Result<(), StoreError> {
        let (id, groups) = to;
        let agreed =
            Agreed { version: store.version(id), groups: groups.to_vec(), holds: holds.digest(), at: now };
        if self.has_agreed(id, &agreed) {
            return Ok(());
        }
        let documents = store.documents(now).await?;
        let wanted = delivery::documents_to_send(holds, keyring.trust().version, groups, &documents);
        if wanted.trust {
            self.to_box(id, Down::Trust, keyring.trust_envelope().to_vec());
        }
        let documents: Vec<_> = wanted.commands.into_iter().cloned().collect();
        let mut lacks_nothing = !wanted.trust && documents.is_empty();
        self.send_lacking(store, id, Lacking::Documents, documents).await?;
        let standing: Vec<Standing> = store.standing(id.clone(), groups.to_vec(), now).await?;
        let lacking: Vec<_> =
            delivery::to_send(&holds.commands, backlog, groups, &standing).into_iter().cloned().collect();
        lacks_nothing &= lacking.is_empty();
        self.send_lacking(store, id, Lacking::Announcements, lacking).await?;
        if lacks_nothing {
            self.remember(id, agreed);
        }
        Ok(())
    }

    /// Tells whether the box lacked nothing when all was as it is now.
    fn has_agreed(&self, id: &BoxId, now: &Agreed) -> bool {
        let agreed = self.agreed.lock().expect("nothing panics while it holds what was agreed");
        agreed.get(id).is_some_and(|before| {
            let is_same =
                (&before.version, &before.groups, &before.holds) == (&now.version, &now.groups, &now.holds);
            is_same && now.at >= before.at && now.at.since(before.at) < AGREED_FOR
        })
    }

    fn remember(&self, id: &BoxId, now: Agreed) {
        let mut agreed = self.agreed.lock().expect("nothing panics while it holds what was agreed");
        if agreed.len() >= AGREED_MAX && !agreed.contains_key(id) {
            agreed.clear();
        }
        agreed.insert(id.clone(), now);
    }

    async fn send_lacking(
        &self,
        store: &SharedStore,
        id: &BoxId,
        kind: Lacking,
        lacking: Vec<CommandId>,
    ) -> Result<(), StoreError> {
        if lacking.is_empty() || !self.is_due(id, kind, &lacking, monotonic()) {
            return Ok(());
        }
        tracing::debug!(%id, ?kind, commands = lacking.len(), "sending what the box lacks");
        for envelope in store.envelopes(lacking).await? {
            self.to_box(id, Down::Command, envelope);
        }
        Ok(())
    }

    /// Tells whether to send these now; counts that they are.
    fn is_due(&self, id: &BoxId, kind: Lacking, lacking: &[CommandId], now: Moment) -> bool {
        let mut resent = self.resent.lock().expect("nothing panics while it holds what was sent again");
        let nothing = || Resent { commands: Vec::new(), times: 0, at: now };
        let key = (id.clone(), kind);
        if resent.len() >= RESENT_MAX && !resent.contains_key(&key) {
            resent.clear();
        }
        let last = resent.entry(key).or_insert_with(nothing);
        if last.commands != lacking {
            *last = Resent { commands: lacking.to_vec(), ..nothing() };
        }
        let due = delivery::is_due_again(last.times, now.since(last.at));
        if due {
            (last.times, last.at) = (last.times.saturating_add(1), now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, is_urgent: bool) -> Recent {
        let (groups, envelope) = (Vec::new(), Vec::new());
        let (id, expires, at) = (name.parse().unwrap(), Wall(9), Moment(0));
        Recent { id, is_urgent, repeated: 0, groups, envelope, expires, at }
    }

    #[test]
    fn an_emergency_leaves_after_what_is_not_urgent() {
        let mut recent = VecDeque::new();
        remember_recent(&mut recent, sent("lu", true));
        (0..RECENT_MAX).for_each(|n| remember_recent(&mut recent, sent(&format!("tin-{n}"), false)));
        assert_eq!(recent.len(), RECENT_MAX);
        assert_eq!([&recent[0].id, &recent[1].id].map(CommandId::as_str), ["lu", "tin-1"]);
        (0..RECENT_MAX).for_each(|n| remember_recent(&mut recent, sent(&format!("bao-{n}"), true)));
        assert_eq!(
            (recent.len(), recent[0].id.as_str()),
            (RECENT_MAX, "bao-0"),
            "of emergencies, the oldest"
        );
    }
}
