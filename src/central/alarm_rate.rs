//! Alarms about what strangers and boxes send, at a bounded rate: a flood is one alarm with a count, and one line a minute.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::store::{Alarm, AlarmKind};
use loaxa_heart::domain::time::{Span, Wall};

/// An alarm is written at most this often; what comes between is counted.
const ALARM_EVERY: Span = Span::secs(10);
/// A kind is told on standard error at most this often.
const LINE_EVERY: Span = Span::secs(60);
/// Subjects of a kind that have an alarm of their own; a stranger who sends under ever new names shares one.
const SUBJECTS_MAX: usize = 64;
/// Subject of what is shared.
const OTHERS: &str = "*";

/// Counts of what was refused, by kind and by whom.
#[derive(Default)]
pub struct AlarmRate(Mutex<BTreeMap<AlarmKind, Kind>>);

#[derive(Default)]
struct Kind {
    told: Option<Wall>,
    untold: u64,
    subjects: BTreeMap<String, Subject>,
}

struct Subject {
    written: Wall,
    unwritten: u64,
    detail: String,
}

/// The things to be done about one refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    pub alarm: Option<Alarm>,
    /// Times to tell of in a line on standard error, if a line is due.
    pub line: Option<u64>,
}

impl AlarmRate {
    /// Counts one more.
    pub fn note(&self, kind: AlarmKind, subject: &str, detail: &str, now: Wall) -> Due {
        let mut kinds = self.0.lock().expect("nothing panics while it holds the counts");
        let of_kind = kinds.entry(kind).or_default();
        of_kind.untold += 1;
        let line_is_due = of_kind.told.is_none_or(|told| is_over(told, LINE_EVERY, now));
        let line = line_is_due.then(|| {
            of_kind.told = Some(now);
            std::mem::take(&mut of_kind.untold)
        });
        let has_room = of_kind.subjects.len() < SUBJECTS_MAX || of_kind.subjects.contains_key(subject);
        let subject = if has_room { subject } else { OTHERS };
        let alarm = match of_kind.subjects.get_mut(subject) {
            Some(known) => {
                known.unwritten += 1;
                detail.clone_into(&mut known.detail);
                known.take_due(kind, subject, now)
            }
            None => {
                let first = Subject { written: now, unwritten: 0, detail: detail.to_owned() };
                of_kind.subjects.insert(subject.to_owned(), first);
                Some(alarm(kind, subject, detail, now, 1))
            }
        };
        Due { alarm, line }
    }

    /// Counts one more as [`Self::note`], and leaves its alarm to [`Self::take_waiting`]; gives the times for a line that is due.
    pub fn note_to_wait(&self, kind: AlarmKind, subject: &str, detail: &str, now: Wall) -> Option<u64> {
        let due = self.note(kind, subject, detail, now);
        if let Some(alarm) = due.alarm {
            let mut kinds = self.0.lock().expect("nothing panics while it holds the counts");
            let subjects = &mut kinds.entry(kind).or_default().subjects;
            let of_others = || Subject { written: now, unwritten: 0, detail: String::new() };
            let waiting = subjects.entry(alarm.subject).or_insert_with(of_others);
            waiting.unwritten += alarm.times;
            waiting.written = now.minus(ALARM_EVERY);
            waiting.detail = alarm.detail;
        }
        due.line
    }

    /// Returns the alarms whose counts have waited long enough, also where nothing comes any more.
    pub fn take_waiting(&self, now: Wall) -> Vec<Alarm> {
        let mut kinds = self.0.lock().expect("nothing panics while it holds the counts");
        let subjects = kinds.iter_mut().flat_map(|(kind, of_kind)| {
            of_kind.subjects.iter_mut().map(move |(subject, counted)| (*kind, subject, counted))
        });
        subjects.filter_map(|(kind, subject, counted)| counted.take_due(kind, subject, now)).collect()
    }
}

impl Subject {
    fn take_due(&mut self, kind: AlarmKind, subject: &str, now: Wall) -> Option<Alarm> {
        if self.unwritten == 0 || !is_over(self.written, ALARM_EVERY, now) {
            return None;
        }
        self.written = now;
        Some(alarm(kind, subject, &self.detail, now, std::mem::take(&mut self.unwritten)))
    }
}

/// Tells whether a rest is over; one whose begin lies ahead of a clock that was set back is.
fn is_over(since: Wall, rest: Span, now: Wall) -> bool {
    now < since || now.since(since) >= rest
}

fn alarm(kind: AlarmKind, subject: &str, detail: &str, at: Wall, times: u64) -> Alarm {
    Alarm { kind, subject: subject.to_owned(), detail: detail.to_owned(), at, times }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_alarm_with_its_count_and_a_line_a_minute() {
        let rate = AlarmRate::default();
        let at = |ms: u64| Wall(1_795_221_000_000_000).plus(Span::millis(ms));
        let (mut alarms, mut lines) = (Vec::new(), Vec::new());
        for n in 0..35_000 {
            let due = rate.note(AlarmKind::BadLog, "loa-1", "x", at(n * 2));
            alarms.extend(due.alarm);
            lines.extend(due.line);
        }
        alarms.extend(rate.take_waiting(at(200_000)));
        assert_eq!(alarms.iter().map(|alarm| alarm.times).sum::<u64>(), 35_000);
        assert!(alarms.len() <= 9 && lines.len() == 2, "{} {lines:?}", alarms.len());
        assert_eq!(rate.take_waiting(at(300_000)), []);
    }

    #[test]
    fn ever_new_names_share_an_alarm() {
        let rate = AlarmRate::default();
        let now = Wall(1_795_221_000_000_000);
        let raised =
            (0..10_000).filter_map(|n| rate.note(AlarmKind::UnknownBox, &format!("x-{n}"), "x", now).alarm);
        assert_eq!(raised.count(), SUBJECTS_MAX + 1);
        assert_eq!(rate.take_waiting(now.plus(ALARM_EVERY)).len(), 1);
    }
}
