//! The centre's own clock, against what boxes say that have the time from elsewhere, and against itself: a machine whose battery
//! is empty begins in 1970 or in 2099, and what it sends then sounds nowhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{Moment, Span, Wall};

/// Difference from most boxes beyond which the clock counts as wrong: boxes refuse orders dated 10 minutes ahead.
const OFF_MIN: Span = Span::secs(120);
/// Boxes that must have said the time before their majority counts.
const BOXES_MIN: usize = 3;
/// Most boxes whose last word is kept.
const BOXES_MAX: usize = 256;
/// Time for which a box's word counts: five heartbeats.
const BELIEVED_FOR: Span = Span::secs(300);
/// A jump of the wall clock that is told.
const JUMP_MIN: Span = Span::secs(30);

/// Time that the clock must have gone on without a jump before anything is deleted by its dates.
const STEADY_MIN: Span = Span::secs(3_600);
/// The same where the last deletion is long ago, or dated later: a week, in which somebody sees the date on every page.
const STEADY_AFTER_LONG: Span = Span::secs(7 * 86_400);
/// Age of the last deletion beyond which the clock may be ahead by years.
const LONG: Span = Span::secs(60 * 86_400);

/// The clock's last jump, and its difference from the clocks of boxes.
pub struct ClockCheck(Mutex<Inside>);

struct Inside {
    /// The last look at both clocks.
    looked: (Wall, Moment),
    /// The begin, or the last jump.
    steady_since: Moment,
    /// Microseconds by which this clock is ahead of each box's.
    ahead: BTreeMap<BoxId, (i64, Moment)>,
}

impl ClockCheck {
    /// Begins with the clocks as they are.
    pub fn new(wall: Wall, at: Moment) -> Self {
        Self(Mutex::new(Inside { looked: (wall, at), steady_since: at, ahead: BTreeMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the time that a box said which has it from elsewhere.
    pub fn note(&self, id: &BoxId, said: Wall, now: Wall, at: Moment) {
        let mut inside = self.lock();
        let fresh = |(_, said): &(i64, Moment)| at.since(*said) < BELIEVED_FOR;
        if inside.ahead.len() >= BOXES_MAX && !inside.ahead.contains_key(id) {
            inside.ahead.retain(|_, word| fresh(word));
            // The others speak for all.
            if inside.ahead.len() >= BOXES_MAX {
                return;
            }
        }
        inside.ahead.insert(id.clone(), (now.0.saturating_sub(said.0), at));
    }

    /// Looks at both clocks; returns the seconds of a jump since the last look.
    pub fn look(&self, now: Wall, at: Moment) -> Option<i64> {
        let mut inside = self.lock();
        let (wall, then) = std::mem::replace(&mut inside.looked, (now, at));
        let jumped = (now.0 - wall.0).saturating_sub(at.since(then).0 as i64);
        if jumped.unsigned_abs() < JUMP_MIN.0 {
            return None;
        }
        inside.steady_since = at;
        // They were said against the clock as it was.
        inside.ahead.clear();
        Some(jumped / 1_000_000)
    }

    /// Finds the seconds by which the clock is ahead of most boxes, or behind them; `None` where it is right or nobody knows.
    pub fn off(&self, at: Moment) -> Option<i64> {
        let inside = self.lock();
        let fresh = inside.ahead.values().filter(|(_, said)| at.since(*said) < BELIEVED_FOR);
        let mut ahead: Vec<_> = fresh.map(|(ahead, _)| *ahead).collect();
        if ahead.len() < BOXES_MIN {
            return None;
        }
        ahead.sort_unstable();
        let middle = ahead[ahead.len() / 2];
        (middle.unsigned_abs() >= OFF_MIN.0).then_some(middle / 1_000_000)
    }

    /// Tells whether things may be deleted for being old. `last` is the last time by this clock at which it was believed so far
    /// that what was old was deleted.
    pub fn may_delete(&self, last: Option<Wall>, now: Wall, at: Moment) -> bool {
        let is_long_ago = last.is_some_and(|last| now.since(last) > LONG || last > now);
        let steady = at.since(self.lock().steady_since);
        self.off(at).is_none() && steady >= if is_long_ago { STEADY_AFTER_LONG } else { STEADY_MIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::secs(86_400);

    fn at(s: u64) -> Moment {
        Moment(0) + Span::secs(s)
    }

    fn wall(s: i64) -> Wall {
        Wall(1_800_000_000_000_000 + s * 1_000_000)
    }

    fn id(n: usize) -> BoxId {
        BoxId::new(format!("loa-{n}")).unwrap()
    }

    #[test]
    fn the_clock_is_wrong_where_most_boxes_say_so() {
        let check = |said: &[i64], off: Option<i64>| {
            let clock = ClockCheck::new(wall(0), at(0));
            said.iter().enumerate().for_each(|(n, s)| clock.note(&id(n), wall(*s), wall(0), at(1)));
            assert_eq!(clock.off(at(2)), off, "{said:?}");
            assert_eq!(clock.off(at(1) + BELIEVED_FOR), None, "words grow old");
        };
        check(&[], None);
        check(&[-86_400, -86_400], None);
        check(&[-86_400, -86_400, -86_399], Some(86_400));
        check(&[86_400, 86_400, 0], Some(-86_400));
        check(&[-86_400, 0, 1], None);
        check(&[-119, -119, -119], None);
    }

    #[test]
    fn a_jump_is_told_once_and_a_flood_of_names_is_bounded() {
        let clock = ClockCheck::new(wall(0), at(0));
        assert_eq!(clock.look(wall(10), at(10)), None);
        assert_eq!(clock.look(wall(86_420), at(20)), Some(86_400));
        assert_eq!(clock.look(wall(86_430), at(30)), None);
        assert_eq!(clock.look(wall(40), at(40)), Some(-86_400));
        (0..2 * BOXES_MAX).for_each(|n| clock.note(&id(n), wall(0), wall(0), at(50)));
        assert_eq!(clock.lock().ahead.len(), BOXES_MAX);
    }

    #[test]
    fn nothing_is_deleted_by_a_clock_that_may_be_years_ahead() {
        let clock = ClockCheck::new(wall(0), at(0));
        let lately = Some(wall(-86_400));
        let (hour, week) = (STEADY_MIN, STEADY_AFTER_LONG);
        let may = |last, after: Span| clock.may_delete(last, wall(0), at(0) + after);
        assert!(!may(lately, Span::secs(60)) && may(lately, hour) && may(None, hour));
        let long_ago = Some(wall(0).minus(LONG).minus(DAY));
        let ahead = Some(wall(0).plus(DAY));
        assert!(!may(long_ago, hour) && !may(ahead, hour) && may(long_ago, week) && may(ahead, week));
        (0..3).for_each(|n| clock.note(&id(n), wall(-9_999_999), wall(0), at(0) + hour));
        assert!(!may(lately, hour), "boxes know better");
        assert!(may(lately, hour + BELIEVED_FOR));
        clock.look(wall(0).plus(DAY), at(1));
        assert!(!may(lately, hour), "it jumped a moment ago");
    }
}
