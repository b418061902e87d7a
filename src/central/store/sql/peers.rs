//! The centrals that share a database on a server.
//!
//! Each counts what it changed in `news`, most of it in the transaction of the change, and says so on a channel. A thread with
//! a connection of its own listens there. What is said is a hint, and may be lost: the counts are compared every two seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::SqlStore;
use super::engine::{Connection, Ear, Result, Target, Value, params, params_from_iter};
use super::live::Live;
use super::serials;
use super::signs::{Flush, Part, Signs};
use super::touched::Touched;
use super::writer::Operation;
use crate::store::{Answer, NewRequest, News, Peers, RequestTaken};
use loaxa_adapters::clock::{monotonic, wall};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BoxId, KeyId};
use loaxa_heart::domain::time::{Moment, Span, Wall};

/// The channel on which centrals say what they changed.
const CHANNEL: &str = "loaxa";
/// The number of the lock that centrals share, or that one has alone.
const RUNNING: i64 = 0x006c_6f61_7872;
/// Longest time of a question of the listening connection.
const ASK_MAX: Duration = Duration::from_secs(5);
/// Time for which the connection listens before it looks after the rest.
const LISTEN: Duration = Duration::from_millis(500);
/// Time between two comparisons of the counts, where nothing is said.
const COMPARE_EVERY: Span = Span::secs(2);
/// Time between two tries to connect again.
const AGAIN: Duration = Duration::from_millis(500);
/// Counts of a central that has said nothing for so long are deleted.
const NEWS_KEPT: Span = Span::secs(86_400);
/// Most bytes of what is said at once; PostgreSQL takes 8,000.
const SAID_MAX: usize = 7_500;
/// News that wait to be taken up by this process.
pub const HEARD_MAX: usize = 64;
/// Most wrong tries that are remembered.
const TRIES_MAX: u32 = 100_000;

/// The clock of the server, in microseconds.
const CLOCK: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

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
fn count(db: &Connection, me: &str, news: &[News], now: Wall) -> Result<()> {
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

impl Peers for SqlStore {
    fn has_peers(&self) -> bool {
        self.among.has_peers()
    }

    fn tell_peers(&self, news: Vec<News>) -> Answer<'_, ()> {
        if !self.has_peers() || news.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        let me = self.among.me.clone();
        self.write(move |db| count(db, &me, &news, wall()))
    }

    fn take_duties(&self, duties: Vec<&'static str>, term: Span) -> Answer<'_, Vec<String>> {
        if !self.has_peers() {
            return Box::pin(async move { Ok(duties.into_iter().map(str::to_owned).collect()) });
        }
        let me = self.among.me.clone();
        self.write(move |db| take_duties(db, &me, &duties, term))
    }

    fn leave_duties(&self) -> Answer<'_, ()> {
        let me = self.among.me.clone();
        self.write(move |db| {
            db.prepare_cached("DELETE FROM leases WHERE holder = ?1")?.execute([me.as_str()])?;
            Ok(())
        })
    }

    fn take_request(&self, request: NewRequest) -> Answer<'_, RequestTaken> {
        self.write(move |db| take_request(db, &request))
    }

    fn wrong_tries(&self, names: Vec<String>, since: Wall) -> Answer<'_, Vec<u32>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT coalesce(max(times), 0) FROM wrong_tries WHERE who = ?1 AND since > ?2",
            )?;
            names.iter().map(|who| query.query_row(params![who, since.0], |row| row.get(0))).collect()
        })
    }

    fn note_wrong_tries(&self, names: Vec<String>, since: Wall, now: Wall) -> Answer<'_, ()> {
        self.write(move |db| note_wrong_tries(db, &names, since, now))
    }

    fn forget_wrong_tries(&self, name: String) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM wrong_tries WHERE who = ?1")?.execute([name.as_str()])?;
            Ok(())
        })
    }

    fn set_serials_aside(&self, issuers: Vec<KeyId>) -> Answer<'_, ()> {
        Box::pin(async move {
            if !self.has_peers() {
                return Ok(());
            }
            let asked = issuers.clone();
            let aside = self.write(move |db| {
                asked.iter().map(|issuer| serials::set_aside(db, issuer)).collect::<Result<Vec<_>>>()
            });
            for (issuer, numbers) in issuers.into_iter().zip(aside.await?) {
                self.keep_aside(&issuer, numbers);
            }
            Ok(())
        })
    }
}

fn take_duties(db: &Connection, me: &str, duties: &[&str], term: Span) -> Result<Vec<String>> {
    let row = format!("(?, ?, {CLOCK} + {})", term.0);
    let rows = vec![row.as_str(); duties.len()].join(", ");
    let values: Vec<Value> =
        duties.iter().flat_map(|duty| [(*duty).to_owned().into(), me.to_owned().into()]).collect();
    let mut take = db.prepare_cached(&format!(
        "INSERT INTO leases (duty, holder, until) VALUES {rows}
         ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until < {CLOCK} RETURNING duty"
    ))?;
    take.query_map(params_from_iter(values.iter()), |row| row.get(0))?.collect()
}

fn take_request(db: &Connection, request: &NewRequest) -> Result<RequestTaken> {
    db.prepare_cached("DELETE FROM taken_requests WHERE at < ?1")?.execute([request.forget_before.0])?;
    let of_key: u32 = db
        .prepare_cached("SELECT count(*) FROM taken_requests WHERE key = ?1")?
        .query_row([request.key.as_str()], |row| row.get(0))?;
    if of_key >= request.of_key_max {
        return Ok(RequestTaken::TooMany);
    }
    let taken = db
        .prepare_cached(
            "INSERT INTO taken_requests (key, nonce, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![request.key.as_str(), request.nonce, request.at.0])?;
    Ok(if taken == 1 { RequestTaken::Now } else { RequestTaken::Before })
}

fn note_wrong_tries(db: &Connection, names: &[String], since: Wall, now: Wall) -> Result<()> {
    db.prepare_cached("DELETE FROM wrong_tries WHERE since <= ?1")?.execute([since.0])?;
    let known: u32 =
        db.prepare_cached("SELECT count(*) FROM wrong_tries")?.query_row([], |row| row.get(0))?;
    if known >= TRIES_MAX {
        // Ever new names push out each other, and not the count of whoever guesses for long.
        db.prepare_cached(
            "DELETE FROM wrong_tries WHERE who IN (SELECT who FROM wrong_tries ORDER BY times, since LIMIT 1000)",
        )?
        .execute([])?;
    }
    let mut note = db.prepare_cached(
        "INSERT INTO wrong_tries (who, since, times) VALUES (?1, ?2, 1)
         ON CONFLICT (who) DO UPDATE SET times = wrong_tries.times + 1",
    )?;
    for who in names {
        note.execute(params![who, now.0])?;
    }
    Ok(())
}

/// The way in which a central works on a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nobody else may.
    Nobody,
    /// Others may, each at the same broker.
    Others,
}

/// A connection that listens to the other centrals.
pub struct Listening {
    pub target: Target,
    pub beside: Beside,
    pub among: Arc<Among>,
    pub live: Arc<Live>,
    pub signs: Arc<Signs>,
    pub writer: mpsc::WeakSender<Box<dyn Operation>>,
    pub told: mpsc::Sender<News>,
    pub ended: Arc<AtomicBool>,
}

/// The counts of other centrals.
type Counts = BTreeMap<(String, String), i64>;

impl Listening {
    /// Connects, and comes in beside the others; `None` where that may not be.
    pub fn come_in(&self) -> Result<Option<Ear>> {
        let mut ear = Ear::open(&self.target, CHANNEL, ASK_MAX)?;
        Ok(ear.lock(RUNNING, self.beside == Beside::Nobody)?.then_some(ear))
    }

    /// Listens until the store ends.
    pub fn run(self, ear: Ear) {
        let mut ear = Some(ear);
        let mut seen = None;
        let mut news = BTreeSet::new();
        let mut compared: Option<Moment> = None;
        while !self.ended.load(Ordering::Relaxed) {
            self.write_signs();
            let Some(open) = ear.as_mut() else {
                std::thread::sleep(AGAIN);
                ear = self.again();
                continue;
            };
            let heard = open.wait(LISTEN).and_then(|said| {
                let is_due = compared.is_none_or(|at| monotonic().since(at) >= COMPARE_EVERY);
                if self.take_in(&said) || is_due {
                    compared = Some(monotonic());
                    self.compare(open, &mut seen, &mut news)?;
                }
                Ok(())
            });
            if let Err(error) = heard {
                tracing::warn!(%error, "the other centrals are not heard");
                ear = None;
            }
            news.retain(|news| self.told.try_send(*news).is_err());
        }
    }

    fn again(&self) -> Option<Ear> {
        match self.come_in() {
            Ok(Some(ear)) => return Some(ear),
            Ok(None) => tracing::error!(
                "another central works on this database; it must be ended, or set up as one of several"
            ),
            Err(error) => tracing::debug!(%error, "no connection to hear the other centrals by"),
        }
        None
    }

    /// Takes in what was said; true where the counts are to be compared.
    fn take_in(&self, said: &[String]) -> bool {
        let mut has_news = false;
        for line in said {
            let mut words = line.split(' ');
            if words.next() == Some(self.among.me.as_str()) {
                continue;
            }
            match words.next() {
                Some("boxes") => words.for_each(|id| match id.parse::<BoxId>() {
                    Ok(id) => self.live.delivered(&id),
                    Err(_) => self.live.delivered_to_many(),
                }),
                _ => has_news = true,
            }
        }
        has_news
    }

    /// Compares the counts of the others with those of the last time.
    fn compare(&self, ear: &mut Ear, seen: &mut Option<Counts>, news: &mut BTreeSet<News>) -> Result<()> {
        let rows = ear.counts("SELECT central, kind, version FROM news")?;
        let others = rows.into_iter().filter(|(central, ..)| *central != self.among.me);
        let counts: Counts = others.map(|(central, kind, version)| ((central, kind), version)).collect();
        let before = seen.replace(counts).unwrap_or_default();
        let new = seen.iter().flatten().filter(|(of, version)| before.get(of) != Some(version));
        for ((_, kind), _) in new {
            match News::of(kind) {
                Some(News::Commands) => self.live.changed_elsewhere(),
                Some(other) => drop(news.insert(other)),
                None => {}
            }
        }
        Ok(())
    }

    /// Has signs of life written that are due, also where no other sign comes.
    fn write_signs(&self) {
        let Some(writer) = self.writer.upgrade() else { return };
        let Ok(room) = writer.try_reserve() else { return };
        if let Some(flush) = Flush::take(&self.signs, &Part::Due, None) {
            room.send(Box::new(flush));
        }
    }
}
