//! The expected fate of announcements and the plan of a day, as central rehearses them for those who ask, kept for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;

use crate::store::Audience;
use loaxa_heart::decide::preview::{Fate, PlannedSession, SectionWeek};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, GroupId, ProgrammeId};
use loaxa_heart::domain::playback::{NotPlayed, SlotKey};
use loaxa_heart::domain::policy::GuardRefusal;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::texts::Sentence;

/// Announcements whose outlook is kept; when there are more, all are forgotten.
const KEPT_MAX: usize = 64;
/// Time for which an outlook is good: boxes come and go.
const GOOD_FOR: Span = Span::secs(60);

/// A slot of a day, with the villages that hear it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSlot {
    pub key: SlotKey,
    pub title: String,
    pub start: Wall,
    pub end: Wall,
    pub villages: BTreeSet<GroupId>,
}

/// Everything that a plan follows from: its first and last day, the documents in force, and the audiences of the boxes.
pub type DayFrom = ((NaiveDate, NaiveDate), Vec<CommandId>, BTreeSet<Audience>);

/// Plans that are kept: of today for staff, of the days around it for everybody.
const PLANS_MAX: usize = 4;

/// The plans that were asked for last.
#[derive(Debug, Default)]
pub struct Days(Mutex<Vec<(DayFrom, Arc<Vec<PlannedSlot>>)>>);

impl Days {
    /// Finds the plan that was made from the same.
    pub fn find(&self, from: &DayFrom) -> Option<Arc<Vec<PlannedSlot>>> {
        let kept = self.0.lock().expect("nothing panics while it holds the plan");
        kept.iter().find(|(made_from, _)| made_from == from).map(|(_, plan)| Arc::clone(plan))
    }

    /// Keeps a plan in place of the earlier one of the same days, or of the oldest.
    pub fn keep(&self, from: DayFrom, plan: Arc<Vec<PlannedSlot>>) {
        let mut kept = self.0.lock().expect("nothing panics while it holds the plan");
        kept.retain(|(made_from, _)| made_from.0 != from.0);
        if kept.len() >= PLANS_MAX {
            kept.remove(0);
        }
        kept.push((from, plan));
    }
}

/// A slot on a day of a week, as villages that hear the same do.
#[derive(Debug, Clone, PartialEq)]
pub struct WeekSession {
    pub planned: PlannedSession,
    pub programme: ProgrammeId,
    pub villages: BTreeSet<GroupId>,
}

impl WeekSession {
    /// Tells whether both are the same slot of the same day, heard otherwise: in another language, for instance.
    pub fn is_also(&self, other: &Self) -> bool {
        self.planned.key == other.planned.key && self.silent().is_some() == other.silent().is_some()
    }

    /// Tells why nothing of the session would sound; `None` where something does.
    pub fn silent(&self) -> Option<&NotPlayed> {
        let mut plays = self.planned.plays.iter().filter(|play| !play.chime);
        if plays.clone().any(|play| !matches!(play.fate, Fate::NotPlayed { .. })) {
            return None;
        }
        plays.find_map(|play| match &play.fate {
            Fate::NotPlayed { reason } => Some(reason),
            _ => None,
        })
    }
}

/// The plan of a week in a place.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Week {
    /// By start; with those of the day before that reach beyond midnight.
    pub sessions: Vec<WeekSession>,
    /// Minutes of each section; the least, where villages differ.
    pub sums: Vec<SectionWeek>,
}

/// Things that were made lately, by the digest of what they follow from.
#[derive(Debug)]
pub struct Recent<T>(Mutex<BTreeMap<ContentHash, Arc<T>>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Recent<T> {
    /// Finds one.
    pub fn find(&self, from: ContentHash) -> Option<Arc<T>> {
        self.0.lock().expect("nothing panics while it holds them").get(&from).map(Arc::clone)
    }

    /// Keeps one; when there are many, all others are forgotten.
    pub fn keep(&self, from: ContentHash, thing: Arc<T>) {
        let mut kept = self.0.lock().expect("nothing panics while it holds them");
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(from, thing);
    }
}

/// The expected fate of an announcement on the boxes that it is meant for.
#[derive(Debug, Clone)]
pub struct Foreseen {
    pub boxes: Vec<BoxForeseen>,
    /// Lines for the person who sent it.
    pub said: Sentence,
}

/// The expected fate on one box.
#[derive(Debug, Clone)]
pub struct BoxForeseen {
    pub id: BoxId,
    pub title: String,
    pub online: bool,
    /// The time of its last message.
    pub last_seen: Option<Wall>,
    /// Start of the first repetition, if it hears of it before; `None` where it will not sound.
    pub sounds_at: Option<Wall>,
    /// The guard's reason where it refuses the announcement, or stops it before its end.
    pub refusal: Option<GuardRefusal>,
    /// The time at which the announcement sounds, or the reason why it will not, for people.
    pub said: Sentence,
}

/// The outlooks that were asked for lately.
#[derive(Debug, Default)]
pub struct Outlooks(Mutex<BTreeMap<CommandId, (Wall, Arc<Foreseen>)>>);

impl Outlooks {
    /// Finds one that is still good at `now`.
    pub fn find(&self, id: &CommandId, now: Wall) -> Option<Arc<Foreseen>> {
        let kept = self.0.lock().expect("nothing panics while it holds the outlooks");
        let (made, foreseen) = kept.get(id)?;
        (now.since(*made) < GOOD_FOR).then(|| Arc::clone(foreseen))
    }

    /// Keeps one that was made at `now`.
    pub fn keep(&self, id: CommandId, now: Wall, foreseen: Arc<Foreseen>) {
        let mut kept = self.0.lock().expect("nothing panics while it holds the outlooks");
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(id, (now, foreseen));
    }
}
