//! The guard: allowed hours, rest days, longest stretch without a pause, most minutes a day, volume ceilings.
//!
//! Programmes and announcements are not known here, only rungs. Nothing but an actual emergency passes it.

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Timelike};

use crate::domain::announcement::Rung;
use crate::domain::policy::{DAY_BAND_HOURS, GuardRefusal, Policy};
use crate::domain::time::{ClockQuality, DAY_END, Moment, Reading, Span, Wall};

/// A pause of this length ends a stretch of sound in the sense of `session_minutes_max`.
pub const PAUSE_THAT_ENDS_A_STRETCH: Span = Span::secs(300);

/// The guard's permission for a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// 0 to 100, the wish lowered to the ceiling.
    pub volume_percent: u8,
    /// Moment at which the sound must be over, and the rule behind it.
    pub until: Option<(Moment, Limit)>,
}

/// The rule that ends a play which was permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Hours,
    Stretch,
    Day,
}

/// The policy in force and what has sounded under it.
#[derive(Debug, Clone)]
pub struct Guard {
    policy: Policy,
    day: NaiveDate,
    used_today: Span,
    stretch: Option<Stretch>,
    /// The moment since when something sounds that is not counted yet.
    on_air_since: Option<Moment>,
}

/// Sound without a pause of [`PAUSE_THAT_ENDS_A_STRETCH`].
#[derive(Debug, Clone, Copy)]
struct Stretch {
    used: Span,
    last_end: Moment,
}

impl Guard {
    /// Makes a guard for a box that has sounded for `used` on `day`.
    pub fn new(policy: Policy, day: NaiveDate, used: Span) -> Self {
        Self { policy, day, used_today: used, stretch: None, on_air_since: None }
    }

    /// Returns the policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Puts another policy in force; what has sounded today still counts.
    pub fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes note of what sounds since when, so that what is permitted now does not get its time once more.
    pub fn note_on_air(&mut self, since: Option<Moment>) {
        self.on_air_since = since;
    }

    /// Counts sound that has ended at `now`. Returns the day and what has sounded on it.
    pub fn count(&mut self, now: &Reading, sounded: Span) -> (NaiveDate, Span) {
        let today = now.wall.date();
        if self.day != today {
            (self.day, self.used_today) = (today, Span(0));
        }
        self.used_today = self.used_today + sounded;
        let used = self.stretch_used(now.mono.since(Moment(0)).saturating_sub(sounded));
        self.stretch = Some(Stretch { used: used + sounded, last_end: now.mono });
        (self.day, self.used_today)
    }

    /// Returns how much has sounded in the stretch that is still open at a monotonic time.
    fn stretch_used(&self, at: Span) -> Span {
        match self.stretch {
            Some(stretch)
                if at.saturating_sub(stretch.last_end.since(Moment(0))) < PAUSE_THAT_ENDS_A_STRETCH =>
            {
                stretch.used
            }
            _ => Span(0),
        }
    }

    /// Permits a play of this rung to start now, or refuses. What reaches into the next band of the day keeps to the
    /// lower ceiling from its start; `length` is `None` for what may go on until it is stopped.
    ///
    /// # Errors
    /// Names the rule that refuses the play.
    pub fn permit(
        &self,
        now: &Reading,
        rung: Rung,
        volume_percent: u8,
        length: Option<Span>,
    ) -> Result<Permit, GuardRefusal> {
        if rung == Rung::Emergency {
            return Ok(Permit { volume_percent, until: None });
        }
        if now.quality == ClockQuality::None {
            return Err(GuardRefusal::ClockUnknown);
        }
        let local = now.wall.local();
        if rung == Rung::Exercise && !DAY_BAND_HOURS.contains(&local.hour()) {
            return Err(GuardRefusal::ExerciseAtNight);
        }
        let closes = self.window_end(now.wall).ok_or(GuardRefusal::OutsideHours)?;
        if rung <= Rung::Programme && self.rests(local.date()) {
            return Err(GuardRefusal::RestDay);
        }
        let day_left = self.left_today(now);
        if day_left == Span(0) {
            return Err(GuardRefusal::DayFull { minutes: self.policy.day_minutes_max });
        }
        let sounding = self.sounding(now);
        let used = self.stretch_used(now.mono.since(Moment(0)).saturating_sub(sounding)) + sounding;
        let stretch_left = minutes(self.policy.session_minutes_max).saturating_sub(used);
        if stretch_left == Span(0) {
            return Err(GuardRefusal::StretchTooLong { minutes: self.policy.session_minutes_max });
        }
        let limits = [
            (now.moment_of(closes), Limit::Hours),
            (now.mono + stretch_left, Limit::Stretch),
            (now.mono + day_left, Limit::Day),
        ];
        let until = limits.into_iter().min_by_key(|(moment, _)| *moment);
        let last = until.map_or(now.mono, |(moment, _)| moment).since(now.mono);
        let ends = now.wall.plus(length.map_or(last, |length| length.min(last))).minus(Span(1)).max(now.wall);
        let ceiling = self.policy.ceiling(local.time()).min(self.policy.ceiling(ends.local().time()));
        Ok(Permit { volume_percent: volume_percent.min(ceiling), until })
    }

    /// Returns the refusal that a limit stands for.
    pub fn refusal(&self, limit: Limit) -> GuardRefusal {
        match limit {
            Limit::Hours => GuardRefusal::OutsideHours,
            Limit::Stretch => GuardRefusal::StretchTooLong { minutes: self.policy.session_minutes_max },
            Limit::Day => GuardRefusal::DayFull { minutes: self.policy.day_minutes_max },
        }
    }

    fn left_today(&self, now: &Reading) -> Span {
        let used = if self.day == now.wall.date() { self.used_today } else { Span(0) };
        minutes(self.policy.day_minutes_max).saturating_sub(used + self.sounding(now))
    }

    fn sounding(&self, now: &Reading) -> Span {
        self.on_air_since.map_or(Span(0), |since| now.mono.since(since))
    }

    fn rests(&self, date: NaiveDate) -> bool {
        self.policy.rest_weekdays.contains(&date.weekday()) || self.policy.rest_dates.contains(&date)
    }

    /// Returns when the allowed window around `wall` closes; windows that touch or overlap are one.
    fn window_end(&self, wall: Wall) -> Option<Wall> {
        let local = wall.local();
        let (mut date, mut time) = (local.date(), local.time());
        let mut closes = None;
        // After a week of windows that touch, the same ones come again.
        let last = date + Days::new(7);
        while date < last {
            let open = self.policy.allowed.iter().filter(|window| {
                let on_day = window.days.is_empty() || window.days.contains(&date.weekday());
                on_day && window.from <= time && time < window.until
            });
            match open.map(|window| window.until).max() {
                Some(until) => {
                    closes = Some(Wall::from_local(date.and_time(until)));
                    time = until;
                    if until == DAY_END {
                        (date, time) = (date + Days::new(1), NaiveTime::MIN);
                    }
                }
                None => return closes,
            }
        }
        closes
    }
}

fn minutes(n: u32) -> Span {
    Span::secs(u64::from(n) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Window;

    fn at(local: &str) -> Reading {
        let local = chrono::NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
        Reading {
            mono: Moment(1_000_000_000),
            wall: Wall::from_local(local),
            quality: ClockQuality::Synced,
            uncertainty_ms: 0,
        }
    }

    fn guard(policy: Policy) -> Guard {
        Guard::new(policy, NaiveDate::default(), Span(0))
    }

    fn check(local: &str, rung: Rung, expected: Result<(u8, u64), GuardRefusal>) {
        let now = at(local);
        let mut policy = Policy::default();
        policy.rest_weekdays.push(chrono::Weekday::Sun);
        let found = guard(policy).permit(&now, rung, 90, Some(Span::secs(60)));
        let found = found.map(|permit| {
            let minutes = permit.until.map_or(0, |(until, _)| until.since(now.mono).as_millis() / 60_000);
            (permit.volume_percent, minutes)
        });
        assert_eq!(found, expected, "{local} {rung:?}");
    }

    #[test]
    fn a_mistyped_hour_stays_silent_and_an_emergency_sounds() {
        use GuardRefusal::*;
        check("2026-11-20 03:15", Rung::Programme, Err(OutsideHours));
        check("2026-11-20 03:15", Rung::Priority, Err(OutsideHours));
        check("2026-11-20 03:15", Rung::Live, Err(OutsideHours));
        check("2026-11-20 03:15", Rung::Exercise, Err(ExerciseAtNight));
        check("2026-11-20 03:15", Rung::Emergency, Ok((90, 0)));
        check("2026-11-20 05:00", Rung::Programme, Ok((60, 180)));
        check("2026-11-20 07:00", Rung::Programme, Ok((90, 180)));
        check("2026-11-20 20:59", Rung::Programme, Ok((90, 31)));
        check("2026-11-20 21:00", Rung::Programme, Ok((60, 30)));
        check("2026-11-20 21:30", Rung::Programme, Err(OutsideHours));
        check("2026-11-22 07:00", Rung::Programme, Err(RestDay));
        check("2026-11-22 07:00", Rung::Priority, Ok((90, 180)));
    }

    #[test]
    fn what_reaches_into_the_night_is_as_quiet_as_the_night() {
        let guard = guard(Policy::default());
        let volume =
            |local, length| guard.permit(&at(local), Rung::Programme, 100, length).unwrap().volume_percent;
        assert_eq!(volume("2026-11-20 20:50", Some(minutes(10))), 100);
        assert_eq!(volume("2026-11-20 20:50", Some(minutes(11))), 60);
        assert_eq!(volume("2026-11-20 20:50", None), 60);
        assert_eq!(volume("2026-11-20 05:50", Some(minutes(20))), 60);
        assert_eq!(volume("2026-11-20 12:00", None), 100);
    }

    #[test]
    fn an_unknown_clock_allows_only_emergencies() {
        let now = Reading { quality: ClockQuality::None, ..at("2026-11-20 07:00") };
        let guard = guard(Policy::default());
        assert_eq!(guard.permit(&now, Rung::Live, 50, None), Err(GuardRefusal::ClockUnknown));
        assert!(guard.permit(&now, Rung::Emergency, 50, None).is_ok());
    }

    #[test]
    fn minutes_add_up_over_a_stretch_and_over_a_day() {
        let mut guard = guard(Policy { session_minutes_max: 30, day_minutes_max: 40, ..Policy::default() });
        let mut now = at("2026-11-20 07:00");
        let step = |now: &mut Reading, span| {
            now.mono = now.mono + span;
            now.wall = now.wall.plus(span);
        };
        step(&mut now, minutes(30));
        guard.count(&now, minutes(30));
        let refused = Err(GuardRefusal::StretchTooLong { minutes: 30 });
        assert_eq!(guard.permit(&now, Rung::Programme, 50, None), refused);
        step(&mut now, PAUSE_THAT_ENDS_A_STRETCH);
        let (until, limit) = guard.permit(&now, Rung::Programme, 50, None).unwrap().until.unwrap();
        assert_eq!((until.since(now.mono), limit), (minutes(10), Limit::Day));
        step(&mut now, minutes(10));
        guard.count(&now, minutes(10));
        assert_eq!(guard.permit(&now, Rung::Programme, 50, None), Err(GuardRefusal::DayFull { minutes: 40 }));
        step(&mut now, minutes(24 * 60));
        assert!(guard.permit(&now, Rung::Programme, 50, None).is_ok());
    }

    #[test]
    fn windows_that_touch_are_one() {
        let window = |from: u32, until: u32| Window {
            days: Vec::new(),
            from: NaiveTime::from_hms_opt(from, 0, 0).unwrap(),
            until: NaiveTime::from_hms_opt(until, 0, 0).unwrap(),
        };
        let policy = Policy { allowed: vec![window(5, 7), window(7, 8)], ..Policy::default() };
        let now = at("2026-11-20 06:30");
        let (until, _) = guard(policy).permit(&now, Rung::Programme, 50, None).unwrap().until.unwrap();
        assert_eq!(until.since(now.mono), minutes(90));
        let to_midnight = Window { until: DAY_END, ..window(5, 6) };
        let policy = Policy { allowed: vec![window(0, 1), to_midnight], ..Policy::default() };
        let now = at("2026-11-20 23:30");
        let (until, _) =
            guard(policy.clone()).permit(&now, Rung::Programme, 50, None).unwrap().until.unwrap();
        assert_eq!(until.since(now.mono), minutes(90));
        let always = Policy { allowed: vec![Window { until: DAY_END, ..window(0, 1) }], ..policy };
        let (until, limit) = guard(always).permit(&now, Rung::Programme, 50, None).unwrap().until.unwrap();
        assert_eq!((until.since(now.mono), limit), (minutes(180), Limit::Stretch));
    }
}
