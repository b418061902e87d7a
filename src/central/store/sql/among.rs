//! This central among those that share a database on a server: what it changes is counted in `news`, most of it in the
//! transaction of the change, and said on a channel.

use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{Connection, Result, params};
use super::touched::Touched;
use crate::store::News;
use loaxa_adapters::clock::wall;
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::time::{Span, Wall};

/// The channel on which centrals say what they changed.
pub const CHANNEL: &str = "loaxa";
/// Most bytes of what is said at once; PostgreSQL takes 8,000.
const SAID_MAX: usize = 7_500;
/// Counts of a central that has said nothing for so long are deleted, and leases and voices that are so old.
pub const NEWS_KEPT: Span = Span::secs(86_400);

/// This central among those that share the database.
pub struct Among {
    /// A name that no other has.
    pub me: String,
    has_peers: AtomicBool,
}

impl Default for Among {
    fn default() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the system gives randomness");
        Self { me: hex(&random), has_peers: AtomicBool::new(false) }
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
