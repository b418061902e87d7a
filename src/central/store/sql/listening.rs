//! A thread that listens, by a connection of its own, to the other centrals on a server. What they say is a hint, and may be
//! lost: the counts of what they changed are compared every two seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::among::{Among, CHANNEL};
use super::engine::{Ear, Result, Target};
use super::live::Live;
use super::signs::{Flush, Part, Signs};
use super::writer::Operation;
use crate::store::News;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::time::{Moment, Span};

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
pub const HEARD_MAX: usize = 64;

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
        let mut is_refused = false;
        while !self.ended.load(Ordering::Relaxed) {
            self.write_signs();
            let Some(open) = ear.as_mut() else {
                std::thread::sleep(AGAIN);
                ear = self.again(&mut is_refused);
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

    fn again(&self, was_refused: &mut bool) -> Option<Ear> {
        let came = self.come_in();
        let is_refused = matches!(came, Ok(None));
        if is_refused && !std::mem::replace(was_refused, is_refused) {
            tracing::error!(
                "another central works on this database; it must be ended, or set up as one of several"
            );
        }
        *was_refused = is_refused;
        came.inspect_err(|error| tracing::debug!(%error, "no connection to hear the other centrals by"))
            .ok()?
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
                Some("sent") => {
                    let ids = words.filter_map(|id| id.parse::<CommandId>().ok());
                    ids.for_each(|id| self.among.note_sent_elsewhere(id));
                }
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
            let Some(of_theirs) = News::of(kind) else { continue };
            if of_theirs == News::Commands {
                self.live.changed_elsewhere();
            }
            news.insert(of_theirs);
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
