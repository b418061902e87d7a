//! The memory of the heart over a power cut: one typed note at a time, each on disk before what follows from it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::domain::authority::{Ender, Power};
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId, SlotId};
use crate::domain::playback::{NotPlayed, PlayStart, SlotKey, SlotOutcome};
use crate::domain::time::{Span, Wall};

/// Number of serials below the highest that are still told apart, as the design asks.
pub const SERIAL_WINDOW: u64 = 1_024;

/// The serials seen of one issuer: the highest, and which of the 1,024 below it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SerialWindow {
    pub highest: u64,
    /// Bit `n` of word `w` stands for the serial `highest - (64 w + n)`.
    seen: [u64; (SERIAL_WINDOW / 64) as usize],
}

impl SerialWindow {
    /// Tells whether a serial was used already, or is too old to tell.
    pub fn was_used(&self, serial: u64) -> bool {
        match self.highest.checked_sub(serial) {
            None => false,
            Some(back) if back >= SERIAL_WINDOW => true,
            Some(back) => self.seen[(back / 64) as usize] >> (back % 64) & 1 == 1,
        }
    }

    /// Marks a serial as used.
    pub fn mark(&mut self, serial: u64) {
        if serial > self.highest {
            self.shift(serial - self.highest);
            self.highest = serial;
        }
        let back = self.highest - serial;
        if back < SERIAL_WINDOW {
            self.seen[(back / 64) as usize] |= 1 << (back % 64);
        }
    }

    fn shift(&mut self, by: u64) {
        let (words, bits) = ((by / 64) as usize, by % 64);
        for word in (0..self.seen.len()).rev() {
            let from = |back: usize| word.checked_sub(back).map_or(0, |from| self.seen[from]);
            let carried = if bits == 0 { 0 } else { from(words + 1) >> (64 - bits) };
            self.seen[word] = from(words) << bits | carried;
        }
    }
}

/// A session's state as it is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMemo {
    pub start: Wall,
    pub state: SessionState,
}

/// The state of a session that was taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SessionState {
    /// Begun; `next` is the piece to go on with.
    Open {
        next: u32,
        position_us: u64,
        finished: u32,
        not_finished: u32,
        /// Something of it was heard.
        #[serde(default)]
        heard: bool,
        /// The last reason for which something of it did not sound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<NotPlayed>,
    },
    /// The session sounded, or can't sound: never again.
    Closed,
    /// The session's time passed without a sound; taken back where the clock turns out to have been wrong, or a newer
    /// programme puts it off.
    Missed,
}

impl SessionState {
    /// The state of a session of which nothing has sounded yet.
    pub const FRESH: Self =
        Self::Open { next: 0, position_us: 0, finished: 0, not_finished: 0, heard: false, why: None };

    /// The state of a session that ended so.
    pub fn after(outcome: &SlotOutcome) -> Self {
        match outcome {
            SlotOutcome::NotAired(
                NotPlayed::Missed
                | NotPlayed::Late
                | NotPlayed::NoRoom
                | NotPlayed::PreEmpted { .. }
                | NotPlayed::Guarded { .. },
            ) => Self::Missed,
            _ => Self::Closed,
        }
    }

    /// The outcome of a session that is not gone on with; `None` where nothing of it had its turn.
    pub fn outcome(&self) -> Option<SlotOutcome> {
        let Self::Open { finished, not_finished, heard, why, .. } = self else { return None };
        let (finished, not_finished) = (*finished, *not_finished);
        if finished > 0 || *heard {
            return Some(SlotOutcome::Aired { finished, not_finished });
        }
        why.clone().map(SlotOutcome::NotAired)
    }
}

/// An announcement's state as it is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    pub repetitions: u32,
    pub position_us: u64,
    pub started: bool,
    /// The announcement is over, and remembered only so that it is not taken in again.
    pub over: bool,
    /// The announcement expired by the clock of the box. An actual emergency is held on, in case that the clock was ahead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lapsed: bool,
}

/// A command that was accepted, so that its copies are known for copies. Its serial is what keeps it from being obeyed
/// again, so it may be forgotten at any time after it can act no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub digest: ContentHash,
    pub expires: Wall,
    /// Key and serial that the command takes up room under; absent in rows of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The key that issued a command, and the power that it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub issuer: KeyId,
    pub serial: u64,
    pub power: Power,
}

/// An order to end an announcement or a voice that has not arrived. It holds against what its signers may end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    #[serde(flatten)]
    pub by: Ender,
    /// Until when it must be remembered.
    pub until: Wall,
}

/// An order to end everything that was issued up to an instant. It holds against what its signers may end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    #[serde(flatten)]
    pub by: Ender,
    pub upto: Wall,
}

/// A local emergency that was released, as it is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRun {
    /// The announcement that sounds.
    pub id: CommandId,
    /// The order that it was released from.
    pub order: CommandId,
    /// The instant of its release by the clock of the box, right or wrong.
    pub at: Wall,
    /// The instant at which it ends; `None` where the time was not known at its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
    /// Seconds that it may go on for.
    pub left_s: u32,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub enum Memo {
    OpenPlay(PlayId, Option<PlayStart>),
    Session(SlotKey, Option<SessionMemo>),
    /// All sessions that started up to then have been accounted for.
    AccountedUpto(Wall),
    Rotation(SlotId, u32),
    Serials(KeyId, Option<SerialWindow>),
    /// Serials of a key's actual emergencies, apart: nothing else that it signs uses them up.
    EmergencySerials(KeyId, Option<SerialWindow>),
    Known(CommandId, Option<Known>),
    /// An order to end the first command, given by the second.
    Ending(CommandId, CommandId, Option<Ending>),
    /// Ordered by this command.
    Stop(CommandId, Option<Stop>),
    /// A cancel that an older version wrote down without its signers.
    Cancelled(CommandId, Option<Wall>),
    /// A stop of everything that an older version wrote down without its signers.
    AllCancelledUpto(Wall),
    Progress(CommandId, Option<Progress>),
    Sounded(NaiveDate, Span),
    /// The local emergency that was released and is not over.
    Local(Option<LocalRun>),
}

/// All that is remembered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    pub open_plays: BTreeMap<PlayId, PlayStart>,
    pub sessions: BTreeMap<SlotKey, SessionMemo>,
    pub accounted_upto: Option<Wall>,
    pub rotations: BTreeMap<SlotId, u32>,
    pub serials: BTreeMap<KeyId, SerialWindow>,
    pub emergency_serials: BTreeMap<KeyId, SerialWindow>,
    pub known: BTreeMap<CommandId, Known>,
    /// By the announcement that is to end, then by the command that says so.
    pub endings: BTreeMap<(CommandId, CommandId), Ending>,
    pub stops: BTreeMap<CommandId, Stop>,
    pub cancelled: BTreeMap<CommandId, Wall>,
    pub all_cancelled_upto: Option<Wall>,
    pub progress: BTreeMap<CommandId, Progress>,
    pub sounded: Option<(NaiveDate, Span)>,
    pub local: Option<LocalRun>,
}

fn put<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, key: &K, value: &Option<V>) {
    match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
}

impl Memory {
    /// Makes one change.
    pub fn apply(&mut self, memo: &Memo) {
        self.invariants();
        self.allows(memo);
        match memo {
            Memo::OpenPlay(play, start) => put(&mut self.open_plays, play, start),
            Memo::Session(key, session) => put(&mut self.sessions, key, session),
            Memo::AccountedUpto(wall) => self.accounted_upto = Some(*wall),
            Memo::Rotation(slot, next) => put(&mut self.rotations, slot, &Some(*next)),
            Memo::Serials(key, window) => put(&mut self.serials, key, window),
            Memo::EmergencySerials(key, window) => put(&mut self.emergency_serials, key, window),
            Memo::Known(id, known) => put(&mut self.known, id, known),
            Memo::Ending(of, by, ending) => put(&mut self.endings, &(of.clone(), by.clone()), ending),
            Memo::Stop(by, stop) => put(&mut self.stops, by, stop),
            Memo::Cancelled(id, until) => put(&mut self.cancelled, id, until),
            Memo::AllCancelledUpto(wall) => self.all_cancelled_upto = Some(*wall),
            Memo::Progress(id, progress) => put(&mut self.progress, id, progress),
            Memo::Sounded(day, span) => self.sounded = Some((*day, *span)),
            Memo::Local(run) => self.local.clone_from(run),
        }
        self.invariants();
    }

    /// Asserts what holds between any two changes.
    fn invariants(&self) {
        let is_own = |(play, start): (&PlayId, &PlayStart)| *play == start.play;
        debug_assert!(self.open_plays.iter().all(is_own), "a play has the start of another");
    }

    /// Asserts that a change takes nothing back that must stay: what is over stays over, what was used stays used.
    fn allows(&self, memo: &Memo) {
        if !cfg!(debug_assertions) {
            return;
        }
        match memo {
            Memo::OpenPlay(play, start) => {
                let is_open = self.open_plays.contains_key(play);
                debug_assert!(is_open != start.is_some(), "{play} starts twice, or ends twice");
            }
            Memo::Session(key, Some(now)) => {
                let opens = matches!(now.state, SessionState::Open { .. });
                let was_open = |memo: &SessionMemo| matches!(memo.state, SessionState::Open { .. });
                let may = !opens || self.sessions.get(key).is_none_or(was_open);
                debug_assert!(may, "{key:?} is over and opens again");
            }
            Memo::Serials(key, Some(window)) => {
                let before = self.serials.get(key).map_or(0, |window| window.highest);
                debug_assert!(window.highest >= before, "the serials of {key} go back");
            }
            Memo::EmergencySerials(key, Some(window)) => {
                let before = self.emergency_serials.get(key).map_or(0, |window| window.highest);
                debug_assert!(window.highest >= before, "the serials of {key} go back");
            }
            Memo::Known(id, Some(known)) => {
                let is_same = self.known.get(id).is_none_or(|before| before.digest == known.digest);
                debug_assert!(is_same, "{id} is another command");
            }
            Memo::Cancelled(id, Some(until)) => {
                let before = self.cancelled.get(id);
                debug_assert!(before <= Some(until), "{id} was cancelled for longer");
            }
            Memo::AllCancelledUpto(upto) => {
                debug_assert!(self.all_cancelled_upto <= Some(*upto), "a cancel of all is taken back");
            }
            Memo::Progress(id, Some(now)) => {
                let before = self.progress.get(id).cloned().unwrap_or_default();
                debug_assert!(now.over || !before.over, "{id} is over and goes on");
                let is_later = now.repetitions >= before.repetitions && now.started >= before.started;
                debug_assert!(now.over || is_later, "{id} goes back from {before:?} to {now:?}");
            }
            Memo::Session(_, None)
            | Memo::AccountedUpto(_)
            | Memo::Rotation(..)
            | Memo::Serials(_, None)
            | Memo::EmergencySerials(_, None)
            | Memo::Ending(..)
            | Memo::Stop(..)
            | Memo::Known(_, None)
            | Memo::Cancelled(_, None)
            | Memo::Progress(_, None)
            | Memo::Sounded(..)
            | Memo::Local(_) => {}
        }
    }

    /// Rebuilds the memory from what the store kept; rows that can't be read are returned and left out.
    pub fn restore(rows: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<String>) {
        let mut memory = Self::default();
        let mut unread = Vec::new();
        for (key, value) in rows {
            match Memo::read(&key, &value) {
                Some(memo) => memory.apply(&memo),
                None => unread.push(key),
            }
        }
        (memory, unread)
    }
}

impl Memo {
    /// Writes the change as a row of the store; no value removes the row.
    pub fn row(&self) -> (String, Option<String>) {
        fn json<T: Serialize>(value: &T) -> String {
            serde_json::to_string(value).expect("memos hold only plain data with text keys")
        }
        match self {
            Memo::OpenPlay(play, start) => (format!("open-play/{play}"), start.as_ref().map(json)),
            Memo::Session(key, session) => {
                (format!("session/{}/{}", key.date, key.slot), session.as_ref().map(json))
            }
            Memo::AccountedUpto(wall) => ("accounted-upto/".to_owned(), Some(json(wall))),
            Memo::Rotation(slot, next) => (format!("rotation/{slot}"), Some(json(next))),
            Memo::Serials(key, window) => (format!("serials/{key}"), window.as_ref().map(json)),
            Memo::EmergencySerials(key, window) => {
                (format!("emergency-serials/{key}"), window.as_ref().map(json))
            }
            Memo::Known(id, known) => (format!("known/{id}"), known.as_ref().map(json)),
            Memo::Ending(of, by, ending) => (format!("ending/{of}/{by}"), ending.as_ref().map(json)),
            Memo::Stop(by, stop) => (format!("stop/{by}"), stop.as_ref().map(json)),
            Memo::Cancelled(id, until) => (format!("cancelled/{id}"), until.as_ref().map(json)),
            Memo::AllCancelledUpto(wall) => ("all-cancelled-upto/".to_owned(), Some(json(wall))),
            Memo::Progress(id, progress) => (format!("progress/{id}"), progress.as_ref().map(json)),
            Memo::Sounded(day, span) => ("sounded/".to_owned(), Some(json(&(*day, span.0)))),
            Memo::Local(run) => ("local/".to_owned(), run.as_ref().map(json)),
        }
    }

    /// Reads a row that [`Memo::row`] wrote.
    fn read(key: &str, value: &str) -> Option<Self> {
        fn json<T: for<'de> Deserialize<'de>>(value: &str) -> Option<T> {
            serde_json::from_str(value).ok()
        }
        let (kind, name) = key.split_once('/')?;
        Some(match kind {
            "open-play" => {
                Memo::OpenPlay(u64::from_str_radix(name, 16).ok().map(PlayId)?, Some(json(value)?))
            }
            "session" => {
                let (date, slot) = name.split_once('/')?;
                let key = SlotKey { slot: slot.parse().ok()?, date: date.parse().ok()? };
                Memo::Session(key, Some(json(value)?))
            }
            "accounted-upto" => Memo::AccountedUpto(json(value)?),
            "rotation" => Memo::Rotation(name.parse().ok()?, json(value)?),
            "serials" => Memo::Serials(name.parse().ok()?, Some(json(value)?)),
            "emergency-serials" => Memo::EmergencySerials(name.parse().ok()?, Some(json(value)?)),
            "known" => Memo::Known(name.parse().ok()?, Some(json(value)?)),
            "ending" => {
                let (of, by) = name.split_once('/')?;
                Memo::Ending(of.parse().ok()?, by.parse().ok()?, Some(json(value)?))
            }
            "stop" => Memo::Stop(name.parse().ok()?, Some(json(value)?)),
            "cancelled" => Memo::Cancelled(name.parse().ok()?, Some(json(value)?)),
            "all-cancelled-upto" => Memo::AllCancelledUpto(json(value)?),
            "progress" => Memo::Progress(name.parse().ok()?, Some(json(value)?)),
            "local" => Memo::Local(Some(json(value)?)),
            "sounded" => {
                let (day, micros) = json(value)?;
                Memo::Sounded(day, Span(micros))
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Checks that the window agrees with a plain set of all serials ever marked.
        #[test]
        fn serial_window_is_a_set(serials in proptest::collection::vec(1u64..3_000, 1..200)) {
            let mut window = SerialWindow::default();
            let mut all = std::collections::BTreeSet::new();
            for serial in serials {
                let too_old = window.highest.saturating_sub(serial) >= SERIAL_WINDOW;
                prop_assert_eq!(window.was_used(serial), too_old || all.contains(&serial));
                if !too_old {
                    window.mark(serial);
                    all.insert(serial);
                }
            }
        }
    }

    #[test]
    fn what_sounded_in_part_was_aired() {
        let outcome = |finished, heard| {
            let why = Some(NotPlayed::NoRoom);
            SessionState::Open { next: 1, position_us: 0, finished, not_finished: 1, heard, why }.outcome()
        };
        let aired = |finished| Some(SlotOutcome::Aired { finished, not_finished: 1 });
        assert_eq!(outcome(0, true), aired(0));
        assert_eq!(outcome(1, false), aired(1));
        assert_eq!(outcome(0, false), Some(SlotOutcome::NotAired(NotPlayed::NoRoom)));
        assert_eq!(SessionState::FRESH.outcome(), None);
    }

    #[test]
    fn a_serial_as_old_as_the_window_leaves_no_mark() {
        let mut window = SerialWindow::default();
        window.mark(SERIAL_WINDOW + 1);
        window.mark(1);
        window.mark(2);
        assert!(window.was_used(1) && window.was_used(2) && !window.was_used(3));
    }

    #[test]
    fn memory_survives_the_store() {
        let id = CommandId::new("a1").unwrap();
        let key = SlotKey { slot: "sang".parse().unwrap(), date: "2026-11-20".parse().unwrap() };
        let (heard, why) = (true, Some(NotPlayed::NoRoom));
        let state = SessionState::Open { next: 3, position_us: 5, finished: 2, not_finished: 1, heard, why };
        let mut window = SerialWindow::default();
        window.mark(7);
        let origin = Origin { issuer: "k".parse().unwrap(), serial: 7, power: Power::Cancel };
        let by = Ender { issuer: "k".parse().unwrap(), signers: vec!["k".parse().unwrap()], mode: None };
        let memos = [
            Memo::Session(key, Some(SessionMemo { start: Wall(1), state })),
            Memo::AccountedUpto(Wall(2)),
            Memo::Rotation("sang".parse().unwrap(), 4),
            Memo::Serials("k".parse().unwrap(), Some(window.clone())),
            Memo::EmergencySerials("k".parse().unwrap(), Some(window)),
            Memo::Known(
                id.clone(),
                Some(Known { digest: ContentHash::of(b"x"), expires: Wall(9), origin: Some(origin) }),
            ),
            Memo::Ending(id.clone(), "b1".parse().unwrap(), Some(Ending { by: by.clone(), until: Wall(9) })),
            Memo::Stop("b2".parse().unwrap(), Some(Stop { by, upto: Wall(9) })),
            Memo::Cancelled(id.clone(), Some(Wall(9))),
            Memo::AllCancelledUpto(Wall(3)),
            Memo::Progress(id.clone(), Some(Progress { repetitions: 1, ..Progress::default() })),
            Memo::Sounded("2026-11-20".parse().unwrap(), Span(5)),
            Memo::Local(Some(LocalRun {
                id: "l-1-1".parse().unwrap(),
                order: "l".parse().unwrap(),
                at: Wall(3),
                until: None,
                left_s: 600,
            })),
        ];
        let mut memory = Memory::default();
        let mut rows = BTreeMap::new();
        for memo in memos.iter().chain([&Memo::Cancelled(id, None)]) {
            memory.apply(memo);
            let (key, value) = memo.row();
            put(&mut rows, &key, &value);
        }
        rows.insert("unheard-of/x".to_owned(), "1".to_owned());
        assert_eq!(Memory::restore(rows), (memory, vec!["unheard-of/x".to_owned()]));
    }

    /// Rows as the version before wrote them: a box is brought up to date in place.
    #[test]
    fn rows_of_the_version_before_are_read() {
        let digest = ContentHash::of(b"x");
        let rows = [
            ("known/a1", format!("{{\"digest\":\"{digest}\",\"expires\":\"2026-11-21T00:00:00Z\"}}")),
            ("cancelled/a2", "\"2026-11-21T00:00:00Z\"".to_owned()),
            ("all-cancelled-upto/", "\"2026-11-21T00:00:00Z\"".to_owned()),
        ];
        let (memory, unread) = Memory::restore(rows.into_iter().map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(unread, [""; 0]);
        assert_eq!(memory.known[&"a1".parse().unwrap()].origin, None);
        assert_eq!((memory.cancelled.len(), memory.all_cancelled_upto.is_some()), (1, true));
    }
}
