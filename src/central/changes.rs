//! Changes that open pages want to know of, by name; whoever is told asks for what it shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::sync::broadcast::{self, Receiver, Sender};

use loaxa_heart::domain::ids::AccountId;

/// Changes that wait for one listener; one that falls further behind is told that everything changed.
const WAITING_MAX: usize = 256;
/// Pages that listen at a time, and those of one person.
const LISTENERS_MAX: usize = 1_024;
const OF_PERSON_MAX: usize = 16;

/// Something that pages show and that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    Boxes,
    Alarms,
    Announcements,
    Notices,
    /// Calls for a second duty officer.
    Calls,
}

impl Changed {
    pub const ALL: [Changed; 5] =
        [Changed::Boxes, Changed::Alarms, Changed::Announcements, Changed::Notices, Changed::Calls];

    /// The name of the event in the browser.
    pub const fn name(self) -> &'static str {
        match self {
            Changed::Boxes => "boxes",
            Changed::Alarms => "alarms",
            Changed::Announcements => "announcements",
            Changed::Notices => "notices",
            Changed::Calls => "calls",
        }
    }
}

/// The listeners of changes.
pub struct Changes {
    /// `None` once this process ends.
    sender: Mutex<Option<Sender<Changed>>>,
    listeners: Arc<Mutex<BTreeMap<AccountId, usize>>>,
    told: AtomicU64,
    /// Changes of this process that its peers were not told of.
    untold: Mutex<BTreeSet<Changed>>,
    has_untold: Notify,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            sender: Mutex::new(Some(broadcast::channel(WAITING_MAX).0)),
            listeners: Arc::default(),
            told: AtomicU64::new(0),
            untold: Mutex::default(),
            has_untold: Notify::new(),
        }
    }
}

impl Changes {
    /// Tells all listeners of a change that this process made.
    pub fn tell(&self, changed: Changed) {
        self.tell_here(changed);
        self.untold.lock().expect("nothing panics while it holds the changes").insert(changed);
        self.has_untold.notify_one();
    }

    /// Waits for changes that this process made, and gives all that came by then.
    pub async fn untold(&self) -> BTreeSet<Changed> {
        self.has_untold.notified().await;
        std::mem::take(&mut *self.untold.lock().expect("nothing panics while it holds the changes"))
    }

    /// Tells the listeners of this process of a change.
    pub fn tell_here(&self, changed: Changed) {
        self.told.fetch_add(1, Ordering::AcqRel);
        if let Some(sender) = &*self.sender.lock().expect("nothing panics while it holds the sender") {
            // Without an open page nobody listens.
            let _ = sender.send(changed);
        }
    }

    /// The number of changes that were told: what was read while it was the same is as new as any page can be.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// Lets all listeners go: this process ends.
    pub fn end(&self) {
        self.sender.lock().expect("nothing panics while it holds the sender").take();
    }

    /// Lets somebody listen whom the caller has counted; `None` once this process ends.
    pub fn watch(&self) -> Option<Receiver<Changed>> {
        let sender = self.sender.lock().expect("nothing panics while it holds the sender");
        sender.as_ref().map(Sender::subscribe)
    }

    /// Adds a listener of a person; `None` where there is no room for one more.
    pub fn listen(&self, person: &AccountId) -> Option<Listener> {
        let mut listeners = self.listeners.lock().expect("nothing panics while it counts listeners");
        let of_person = listeners.get(person).copied().unwrap_or(0);
        if of_person >= OF_PERSON_MAX || listeners.values().sum::<usize>() >= LISTENERS_MAX {
            return None;
        }
        let sender = self.sender.lock().expect("nothing panics while it holds the sender");
        let changes = sender.as_ref()?.subscribe();
        listeners.insert(person.clone(), of_person + 1);
        Some(Listener { changes, person: person.clone(), counted: Arc::clone(&self.listeners) })
    }
}

/// A listener; its room is free again when it is dropped.
pub struct Listener {
    pub changes: Receiver<Changed>,
    person: AccountId,
    counted: Arc<Mutex<BTreeMap<AccountId, usize>>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut counted = self.counted.lock().expect("nothing panics while it counts listeners");
        match counted.get_mut(&self.person) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counted.remove(&self.person)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_have_room_for_so_many_and_give_it_back() {
        let changes = Changes::default();
        let an: AccountId = "an".parse().unwrap();
        let listeners: Vec<_> = (0..OF_PERSON_MAX).map(|_| changes.listen(&an).unwrap()).collect();
        assert!(changes.listen(&an).is_none());
        drop(listeners);
        let mut again = changes.listen(&an).unwrap();
        changes.tell(Changed::Alarms);
        assert_eq!(again.changes.try_recv(), Ok(Changed::Alarms));
        let crowd: Vec<_> = (0..LISTENERS_MAX)
            .filter_map(|n| changes.listen(&format!("p{}", n / OF_PERSON_MAX).parse().unwrap()))
            .collect();
        assert_eq!(crowd.len(), LISTENERS_MAX - 1, "with the one of An");
    }
}
