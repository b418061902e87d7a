//! Downloads of audio: the next to be fetched, those that wait for the night or for the next month, and the files that
//! make room.
//!
//! Deliberately absent: network and disk. The shell counts bytes, fetches and deletes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, NaiveTime};

use crate::domain::announcement::{Media, PreparedItem, Rung};
use crate::domain::ids::ContentHash;
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};

/// Time before the need by which audio is to be there: a large file over a bad network takes its time.
pub const LEAD: Span = Span::secs(3_600);

/// The share of the night window over which boxes spread their beginning.
const JITTER_SHARE: f64 = 0.5;

/// The limits of what a box fetches and keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Bytes in a calendar month; `None` for no limit.
    pub budget_bytes: Option<u64>,
    /// The window for audio that can wait; `None` for any time.
    pub night: Option<Night>,
    /// Bytes of audio on the disk.
    pub disk_bytes_max: u64,
}

/// A daily window in local time; it may reach over midnight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Night {
    pub from: NaiveTime,
    pub until: NaiveTime,
    /// Place of this box in the jitter, from 0 to 1.
    pub jitter: f64,
}

/// Largest share of the disk that prepared messages take; the rest is left to programmes and announcements.
const STAGED_SHARE: u64 = 2;

/// The need for which audio is fetched, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A programme or an announcement that can wait.
    Scheduled,
    /// A prepared message: it waits for the night and for the budget, and goes before everything that does.
    Staged,
    /// The download waits for nothing, and may exceed the budget, and the bound of the disk by a quarter.
    Urgent,
    /// An actual emergency: it may exceed the bound of the disk as well, and what is on its way for less gives way to it.
    Emergency,
}

impl Need {
    /// Returns how urgently the audio of an announcement on this rung is fetched.
    pub const fn of(rung: Rung) -> Self {
        match rung {
            Rung::Normal | Rung::Programme => Need::Scheduled,
            Rung::Priority | Rung::Live | Rung::Exercise => Need::Urgent,
            Rung::Emergency => Need::Emergency,
        }
    }

    /// Returns how many bytes a download may take beyond the bound of the disk.
    pub const fn beyond(self, disk_bytes_max: u64) -> u64 {
        match self {
            Need::Scheduled | Need::Staged => 0,
            Need::Urgent => disk_bytes_max / URGENT_SHARE,
            Need::Emergency => u64::MAX,
        }
    }

    /// Returns how many files may wait before one for this need is refused. Prepared messages and emergencies are few by
    /// the bounds of the box's memory, and refused for nobody's flood.
    pub const fn waiting_max(self) -> usize {
        match self {
            Need::Scheduled => WAITING_MAX,
            Need::Urgent => 2 * WAITING_MAX,
            Need::Staged | Need::Emergency => usize::MAX,
        }
    }
}

/// Part of the bound of the disk that urgent audio takes beyond it where scheduled audio fills it.
const URGENT_SHARE: u64 = 4;

/// Files that may wait before more that can wait are refused.
pub const WAITING_MAX: usize = 1_024;

/// Chooses the prepared messages that a box keeps, in the order of the list, for as long as they leave enough of the
/// disk to others.
pub fn staged(items: &[PreparedItem], disk_bytes_max: u64) -> BTreeMap<ContentHash, Media> {
    let mut left = disk_bytes_max / STAGED_SHARE;
    let mut staged = BTreeMap::new();
    for media in items.iter().map(|item| &item.media) {
        if let Some(rest) = left.checked_sub(media.bytes)
            && !staged.contains_key(&media.sha256)
        {
            left = rest;
            staged.insert(media.sha256, media.clone());
        }
    }
    staged
}

/// Adds up the room that a download for `need` leaves free: what is scheduled does not take the place of prepared
/// messages that are still to come.
pub fn room_to_leave<'a>(need: Need, waiting: impl IntoIterator<Item = &'a Wish>) -> u64 {
    let staged = waiting.into_iter().filter(|wish| wish.need == Need::Staged && need == Need::Scheduled);
    staged.map(|wish| wish.bytes).sum()
}

/// Audio that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Bytes that are still to be received.
    pub bytes: u64,
    /// Instant at which the audio is needed.
    pub by: Wall,
    pub need: Need,
    /// Earliest moment of the next try.
    pub not_before: Moment,
}

/// A month of the local calendar; counted bytes belong to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    pub year: i32,
    pub month: u32,
}

impl Month {
    /// Returns the month at an instant.
    pub fn of(at: Wall) -> Self {
        let date = at.date();
        Self { year: date.year(), month: date.month() }
    }

    /// Returns the instant at which the next month begins.
    fn end(self) -> Wall {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        let first = NaiveDate::from_ymd_opt(year, month, 1).expect("a month has a first day");
        Wall::from_local(first.and_time(NaiveTime::MIN))
    }
}

/// The downloads to begin, and those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// To be fetched now.
    pub fetch: Option<Fetch>,
    /// Moment at which it is worth asking again without any news.
    pub wake: Option<Moment>,
    /// Something waits for the next month.
    pub waits_for_budget: bool,
}

/// A file whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    pub sha256: ContentHash,
    /// The download is urgent, and larger than what the budget has left.
    pub over_budget: bool,
}

enum When {
    Now,
    At(Moment),
    NextMonth(Moment),
    /// Until the clock is known.
    Unknown,
}

/// Chooses what is fetched now: the urgent, then prepared messages, then what is needed soonest. `used` are the bytes of this
/// month.
pub fn plan(wishes: &BTreeMap<ContentHash, Wish>, rules: &Rules, used: u64, now: &Reading) -> Plan {
    let mut plan = Plan { fetch: None, wake: None, waits_for_budget: false };
    let mut best: Option<(Reverse<Need>, Wall, ContentHash)> = None;
    for (sha256, wish) in wishes {
        let at = match when(wish, rules, used, now) {
            When::Now => {
                let rank = (Reverse(wish.need), wish.by, *sha256);
                best = Some(best.map_or(rank, |best| best.min(rank)));
                continue;
            }
            When::At(at) => at,
            When::NextMonth(at) => {
                plan.waits_for_budget = true;
                at
            }
            When::Unknown => continue,
        };
        plan.wake = Some(plan.wake.map_or(at, |wake| wake.min(at)));
    }
    plan.fetch = best.map(|(_, _, sha256)| Fetch {
        sha256,
        over_budget: !is_within(rules, used, wishes.get(&sha256).map_or(0, |wish| wish.bytes)),
    });
    plan
}

fn is_within(rules: &Rules, used: u64, bytes: u64) -> bool {
    rules.budget_bytes.is_none_or(|budget| used.saturating_add(bytes) <= budget)
}

fn when(wish: &Wish, rules: &Rules, used: u64, now: &Reading) -> When {
    if wish.not_before > now.mono {
        return When::At(wish.not_before);
    }
    if wish.need >= Need::Urgent {
        return When::Now;
    }
    let knows_time = now.quality > ClockQuality::None;
    if !is_within(rules, used, wish.bytes) {
        return if knows_time {
            When::NextMonth(now.moment_of(Month::of(now.wall).end()))
        } else {
            When::Unknown
        };
    }
    let Some(night) = rules.night else { return When::Now };
    if !knows_time {
        return When::Unknown;
    }
    let opens = night.next_opening(now.wall);
    if opens <= now.wall || wish.by.minus(LEAD) <= opens { When::Now } else { When::At(now.moment_of(opens)) }
}

impl Night {
    fn length(&self) -> Span {
        let seconds = (self.until - self.from).num_seconds().rem_euclid(86_400);
        // The same time twice is the whole day.
        Span::secs(if seconds == 0 { 86_400 } else { seconds as u64 })
    }

    /// Returns when this box's window opens; not later than `now` while it is open.
    fn next_opening(&self, now: Wall) -> Wall {
        let length = self.length();
        let jitter = Span((length.0 as f64 * JITTER_SHARE * self.jitter.clamp(0.0, 1.0)) as u64);
        let today = now.date();
        let days = [today.pred_opt(), Some(today), today.succ_opt()];
        let begins = days.into_iter().flatten().map(|day| Wall::from_local(day.and_time(self.from)));
        let next = begins.filter(|begin| begin.plus(length) > now).map(|begin| begin.plus(jitter)).min();
        next.unwrap_or(now)
    }
}

/// A file on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub sha256: ContentHash,
    pub bytes: u64,
    /// Last time that the file was wanted or played, in seconds of any clock.
    pub used_at_s: u64,
}

/// Chooses the files to delete so that `coming` bytes fit, least recently used first, and never what is `in_use`. Where
/// that is not enough, the second value says how many bytes are too many.
pub fn evict(
    stored: &[Stored],
    in_use: &BTreeSet<ContentHash>,
    coming: u64,
    disk_bytes_max: u64,
) -> (Vec<ContentHash>, u64) {
    let held: u64 = stored.iter().map(|file| file.bytes).sum();
    let mut excess = held.saturating_add(coming).saturating_sub(disk_bytes_max);
    let mut free: Vec<_> = stored.iter().filter(|file| !in_use.contains(&file.sha256)).collect();
    free.sort_by_key(|file| (file.used_at_s, file.sha256));
    let mut gone = Vec::new();
    for file in free {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(file.bytes);
        gone.push(file.sha256);
    }
    (gone, excess)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn hash(n: u8) -> ContentHash {
        ContentHash([n; 32])
    }

    fn at(text: &str) -> Wall {
        Wall::from_local(text.parse().unwrap())
    }

    fn reading(wall: &str, quality: ClockQuality) -> Reading {
        Reading { mono: Moment(1_000_000), wall: at(wall), quality, uncertainty_ms: 10 }
    }

    fn wish(bytes: u64, by: &str, urgent: bool) -> Wish {
        let need = if urgent { Need::Urgent } else { Need::Scheduled };
        Wish { bytes, by: at(by), need, not_before: Moment(0) }
    }

    fn staged_wish(bytes: u64) -> Wish {
        Wish { bytes, by: Wall::MAX, need: Need::Staged, not_before: Moment(0) }
    }

    fn rules() -> Rules {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let night = Some(Night { from: time(23), until: time(3), jitter: 0.5 });
        Rules { budget_bytes: Some(100 * MB), night, disk_bytes_max: 500 * MB }
    }

    #[test]
    fn an_emergency_goes_before_whatever_else_is_urgent() {
        let earlier = wish(MB, "2026-11-20T06:00:00", true);
        let emergency = Wish { need: Need::Emergency, ..wish(MB, NOON, true) };
        check(&[earlier, emergency, earlier], 0, NOON, Some((1, false)), None);
        check(&[emergency], 200 * MB, NOON, Some((0, true)), None);
        let needs = [Rung::Normal, Rung::Priority, Rung::Exercise, Rung::Emergency].map(Need::of);
        assert_eq!(needs, [Need::Scheduled, Need::Urgent, Need::Urgent, Need::Emergency]);
        assert!(Need::Scheduled.waiting_max() < Need::Urgent.waiting_max());
    }

    /// Checks which wish is fetched now, whether over the budget, and else in how many minutes one is looked at again.
    fn check(
        wishes: &[Wish],
        used: u64,
        now: &str,
        fetched: Option<(u8, bool)>,
        wake_min: Option<u64>,
    ) -> bool {
        let wishes = (0..).map(hash).zip(wishes.iter().copied()).collect();
        let now = reading(now, ClockQuality::Synced);
        let plan = plan(&wishes, &rules(), used, &now);
        let expected = fetched.map(|(n, over_budget)| Fetch { sha256: hash(n), over_budget });
        assert_eq!(plan.fetch, expected);
        assert_eq!(plan.wake.map(|wake| wake.since(now.mono).as_millis() / 60_000), wake_min);
        plan.waits_for_budget
    }

    #[test]
    fn prepared_messages_go_before_all_that_can_wait() {
        let night = "2026-11-21T01:00:00";
        check(&[wish(MB, night, false), staged_wish(MB)], 0, night, Some((1, false)), None);
        check(&[wish(MB, night, true), staged_wish(MB)], 0, night, Some((0, false)), None);
        // They wait for the night and the budget themselves.
        check(&[wish(MB, NOON, false), staged_wish(MB)], 0, NOON, Some((0, false)), Some(12 * 60));
        assert!(check(
            &[wish(MB, night, false), staged_wish(2 * MB)],
            99 * MB,
            night,
            Some((0, false)),
            Some(14_340)
        ));
        let waiting = [staged_wish(7), staged_wish(8), wish(9, NOON, false), wish(9, NOON, true)];
        let left = [Need::Scheduled, Need::Staged, Need::Urgent].map(|need| room_to_leave(need, &waiting));
        assert_eq!(left, [15, 0, 0]);
    }

    #[test]
    fn prepared_messages_take_half_the_disk_at_most_in_their_order() {
        let item = |n: u8, bytes: u64| PreparedItem {
            id: format!("tin-{n}").parse().unwrap(),
            title: "Lũ".to_owned(),
            language: "vi".to_owned(),
            media: Media {
                sha256: hash(n),
                bytes,
                codec: "audio/mpeg".to_owned(),
                ms: 60_000,
                path: format!("{n}"),
            },
            siren: None,
        };
        let check = |items: &[(u8, u64)], expected: &[u8]| {
            let items: Vec<_> = items.iter().map(|(n, bytes)| item(*n, *bytes)).collect();
            let kept: Vec<_> = staged(&items, 100).into_keys().collect();
            assert_eq!(kept, expected.iter().copied().map(hash).collect::<Vec<_>>());
        };
        check(&[(1, 30), (2, 20)], &[1, 2]);
        check(&[(1, 30), (2, 21), (3, 20)], &[1, 3]);
        check(&[(1, 30), (1, 30), (3, 20)], &[1, 3]);
        check(&[(1, u64::MAX), (2, 50)], &[2]);
    }

    const NOON: &str = "2026-11-20T12:00:00";
    const IN_A_WEEK: &str = "2026-11-27T05:00:00";

    #[test]
    fn the_urgent_goes_first_then_the_soonest() {
        let tonight = "2026-11-20T17:00:00";
        check(&[wish(MB, tonight, false), wish(MB, IN_A_WEEK, true)], 0, NOON, Some((1, false)), None);
        check(
            &[wish(MB, "2026-11-20T18:00:00", false), wish(MB, tonight, false)],
            0,
            NOON,
            Some((1, false)),
            None,
        );
        let later = Wish { not_before: Moment(61_000_000), ..wish(MB, NOON, true) };
        check(&[later], 0, NOON, None, Some(1));
    }

    #[test]
    fn what_can_wait_waits_for_the_night() {
        // 23:00 to 03:00, and half of the first two hours: this box begins at midnight.
        check(&[wish(MB, IN_A_WEEK, false)], 0, NOON, None, Some(12 * 60));
        check(&[wish(MB, IN_A_WEEK, false)], 0, "2026-11-20T23:30:00", None, Some(30));
        check(&[wish(MB, IN_A_WEEK, false)], 0, "2026-11-21T00:00:00", Some((0, false)), None);
        check(&[wish(MB, IN_A_WEEK, false)], 0, "2026-11-21T02:59:59", Some((0, false)), None);
        check(&[wish(MB, IN_A_WEEK, false)], 0, "2026-11-21T03:00:00", None, Some(21 * 60));
        // Needed before the window, or within an hour of its opening.
        check(&[wish(MB, "2026-11-21T00:59:00", false)], 0, NOON, Some((0, false)), None);
        check(&[wish(MB, "2026-11-21T05:00:00", false)], 0, NOON, None, Some(12 * 60));
    }

    #[test]
    fn a_window_from_an_hour_to_the_same_hour_is_the_whole_day() {
        let time = NaiveTime::from_hms_opt(3, 0, 0).unwrap();
        let rules = Rules { night: Some(Night { from: time, until: time, jitter: 0.0 }), ..rules() };
        let wishes = [(hash(0), wish(MB, IN_A_WEEK, false))].into();
        let plan = plan(&wishes, &rules, 0, &reading(NOON, ClockQuality::Synced));
        assert!(plan.fetch.is_some(), "{plan:?}");
    }

    #[test]
    fn the_budget_stops_all_but_the_urgent_until_the_next_month() {
        let night = "2026-11-21T01:00:00";
        let minutes = (9 * 24 + 23) * 60;
        assert!(check(&[wish(2 * MB, IN_A_WEEK, false)], 99 * MB, night, None, Some(minutes)));
        assert!(!check(&[wish(MB, IN_A_WEEK, false)], 99 * MB, night, Some((0, false)), None));
        check(&[wish(2 * MB, NOON, true)], 99 * MB, NOON, Some((0, true)), None);
        let december = Month::of(at("2026-12-31T23:59:59"));
        assert_eq!(december.end(), at("2027-01-01T00:00:00"));
        assert!(Month::of(at("2026-12-01T00:00:00")) > Month::of(at("2026-11-30T23:59:59")));
    }

    #[test]
    fn without_a_clock_only_the_urgent_is_fetched() {
        let now = reading(NOON, ClockQuality::None);
        let fetched = |urgent| {
            let wishes = [(hash(0), wish(MB, NOON, urgent))].into();
            plan(&wishes, &rules(), 0, &now)
        };
        assert_eq!(fetched(false), Plan { fetch: None, wake: None, waits_for_budget: false });
        assert!(fetched(true).fetch.is_some());
        // Nobody knows when the month ends.
        let beyond = [(hash(0), wish(101 * MB, NOON, false))].into();
        let plan = plan(&beyond, &rules(), 0, &now);
        assert_eq!(plan, Plan { fetch: None, wake: None, waits_for_budget: false });
    }

    fn check_evict(stored: &[(u8, u64, u64)], in_use: &[u8], coming: u64, gone: &[u8], excess: u64) {
        let stored: Vec<_> = stored
            .iter()
            .map(|(n, bytes, used_at_s)| Stored { sha256: hash(*n), bytes: *bytes, used_at_s: *used_at_s })
            .collect();
        let in_use = in_use.iter().copied().map(hash).collect();
        let expected = gone.iter().copied().map(hash).collect();
        assert_eq!(evict(&stored, &in_use, coming, 100), (expected, excess));
    }

    #[test]
    fn the_longest_unused_makes_room_and_what_is_scheduled_stays() {
        check_evict(&[(1, 40, 7), (2, 40, 5)], &[], 20, &[], 0);
        check_evict(&[(1, 40, 7), (2, 40, 5)], &[], 21, &[2], 0);
        check_evict(&[(1, 40, 7), (2, 40, 5)], &[2], 21, &[1], 0);
        check_evict(&[(1, 40, 7), (2, 40, 5)], &[1, 2], 21, &[], 1);
        check_evict(&[(1, 40, 7), (2, 40, 5)], &[1], 80, &[2], 20);
        check_evict(&[], &[], u64::MAX, &[], u64::MAX - 100);
    }
}
