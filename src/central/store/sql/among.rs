//! This central among those that share a database on a server: what it changes is counted in `news`, most of it in the
//! transaction of the change, and said on a channel.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::engine::{Connection, Result, params};
use super::touched::Touched;
use crate::store::News;
use loaxa_adapters::clock::wall;
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::time::{Span, Wall};

/// The channel on which centrals say what they changed.
pub const CHANNEL: &str = "loaxa";
/// Most bytes of what is said at once; PostgreSQL takes 8,000.
const SAID_MAX: usize = 7_500;
/// Orders that are named at once as sent: longer names than these have fit within [`SAID_MAX`].
const SENT_AT_ONCE: usize = 64;
/// Most orders that are remembered as sent by others; one that is forgotten may go out once more.
const SENT_ELSEWHERE_MAX: usize = 256;
/// Counts of a central that has said nothing for so long are deleted, and leases and voices that are so old.
pub const NEWS_KEPT: Span = Span::secs(86_400);

/// This central among those that share the database.
pub struct Among {
    /// A name that no other has.
    pub me: String,
    has_peers: AtomicBool,
    /// Urgent orders that the broker has from others, the latest last.
    sent: Mutex<VecDeque<CommandId>>,
}

impl Default for Among {
    fn default() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the system gives randomness");
        Self { me: hex(&random), has_peers: AtomicBool::new(false), sent: Mutex::default() }
    }
}

impl Among {
    /// Tells whether others may work on this database.
    pub fn has_peers(&self) -> bool {
        self.has_peers.load(Ordering::Relaxed)
    }

    /// From now on others may.
    pub fn expect_peers(&self) {
        self.has_peers.store(true, Ordering::Relaxed);
    }

    fn sent(&self) -> MutexGuard<'_, VecDeque<CommandId>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether another central said that the broker has an order.
    pub fn is_sent_elsewhere(&self, id: &CommandId) -> bool {
        self.sent().contains(id)
    }

    /// Notes that the broker has an order from another central.
    pub fn note_sent_elsewhere(&self, id: CommandId) {
        let mut sent = self.sent();
        if sent.contains(&id) {
            return;
        }
        if sent.len() >= SENT_ELSEWHERE_MAX {
            sent.pop_front();
        }
        sent.push_back(id);
    }

    /// Counts and says what a commit changed, as a part of it.
    pub fn note(&self, db: &Connection, touched: &Touched) -> Result<()> {
        if !self.has_peers() {
            return Ok(());
        }
        if touched.commands {
            count(db, &self.me, &[News::Commands], wall())?;
        }
        if touched.boxes.is_empty() {
            return Ok(());
        }
        let mut said = format!("{} boxes", self.me);
        for id in &touched.boxes {
            said.push(' ');
            said.push_str(id.as_str());
        }
        if said.len() > SAID_MAX {
            said = format!("{} boxes *", self.me);
        }
        say(db, &said)
    }
}

fn say(db: &Connection, said: &str) -> Result<()> {
    db.prepare_cached("SELECT pg_notify(?1, ?2)")?.query_row([CHANNEL, said], |_| Ok(()))
}

/// Says which urgent orders the broker has.
pub fn say_sent(db: &Connection, me: &str, ids: &[CommandId]) -> Result<()> {
    ids.chunks(SENT_AT_ONCE).try_for_each(|ids| {
        let ids: String = ids.iter().map(|id| format!(" {id}")).collect();
        say(db, &format!("{me} sent{ids}"))
    })
}

/// Counts news of a central, and says that there are some.
pub fn count(db: &Connection, me: &str, news: &[News], now: Wall) -> Result<()> {
    for news in news {
        db.prepare_cached(
            "INSERT INTO news (central, kind, version, at) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (central, kind) DO UPDATE SET version = max(news.version + 1, ?3), at = ?3",
        )?
        .execute(params![me, news.code(), now.0])?;
    }
    db.prepare_cached("DELETE FROM news WHERE at < ?1")?.execute([now.minus(NEWS_KEPT).0])?;
    say(db, &format!("{me} news"))
}
