//! The plan of days to come: sessions with their plays, what the guard would refuse, and minutes by section. The heart
//! itself rehearses the days. An announcement's outlook on a box comes from the same rehearsal.
//!
//! Drawing and words are in the rooms below, so that the command line and the pages show the same.

mod outlook;
mod planned;
mod rehearsal;
pub mod svg;
pub mod text;
mod warnings;
pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate};

use serde::Serialize;

pub use self::outlook::{Outlook, outlook};
pub use self::planned::{Fate, Planned, PlannedSession};
pub use self::warnings::{Refusal, Warning, warnings};
use super::schedule::{Listeners, Timetable};
use crate::domain::ids::{BoxId, SectionId};
use crate::domain::policy::Policy;
use crate::domain::programme::Programme;

/// Plans the days `from` to `until`, both counted, for one set of listeners: the heart rehearses them. The guard starts
/// afresh on `from`, and a rotating slot at its first item.
pub fn plan(
    timetable: &Timetable,
    listeners: &Listeners,
    policy: &Policy,
    from: NaiveDate,
    until: NaiveDate,
) -> Vec<PlannedSession> {
    rehearsal::rehearse(timetable, listeners, policy, from, until)
}

/// Plans for many boxes; those to whom the timetable is the same share one plan.
pub fn plan_boxes(
    timetable: &Timetable,
    boxes: &BTreeMap<BoxId, Listeners>,
    policy: &Policy,
    from: NaiveDate,
    until: NaiveDate,
) -> BTreeMap<BoxId, Arc<Vec<PlannedSession>>> {
    let mut plans: BTreeMap<Listeners, Arc<Vec<PlannedSession>>> = BTreeMap::new();
    let mut of = |listeners: &Listeners| {
        let seen = timetable.seen_from(listeners);
        let make = || Arc::new(plan(timetable, &seen, policy, from, until));
        match plans.get(&seen) {
            Some(plan) => Arc::clone(plan),
            None => Arc::clone(plans.entry(seen.clone()).or_insert(make())),
        }
    };
    boxes.iter().map(|(id, listeners)| (id.clone(), of(listeners))).collect()
}

/// Finds sessions that would sound at once, as pairs of indexes; of programmes side by side, or of groups that share
/// boxes.
pub fn conflicts(sessions: &[PlannedSession]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let later = sessions.iter().enumerate().skip(index + 1);
        let meeting = later.take_while(|(_, later)| later.start < session.end);
        found.extend(meeting.map(|(later, _)| (index, later)));
    }
    found
}

/// Minutes of a section in a week.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectionWeek {
    /// Monday.
    pub week: NaiveDate,
    pub section: SectionId,
    pub title: String,
    pub sounds_s: u64,
    /// Least minutes a week that the programme asks for.
    pub minutes_min: Option<u32>,
}

impl SectionWeek {
    /// Tells whether the week has less than the programme asks for.
    pub fn is_short(&self) -> bool {
        self.minutes_min.is_some_and(|minutes| self.sounds_s < 60 * u64::from(minutes))
    }
}

/// Adds up the minutes of each section in each whole week, Monday to Sunday, of the days `from` to `until`.
pub fn section_weeks(
    sessions: &[PlannedSession],
    programmes: &[&Programme],
    from: NaiveDate,
    until: NaiveDate,
) -> Vec<SectionWeek> {
    let monday = |date: NaiveDate| date - Days::new(date.weekday().num_days_from_monday().into());
    let first = if monday(from) == from { from } else { monday(from) + Days::new(7) };
    let whole = |week: &NaiveDate| *week + Days::new(6) <= until;
    let weeks: Vec<_> = first.iter_weeks().take_while(whole).collect();
    let mut sums: BTreeMap<(NaiveDate, &SectionId), u64> = BTreeMap::new();
    for play in sessions.iter().flat_map(|session| &session.plays) {
        if let Some(section) = &play.section {
            *sums.entry((monday(play.from.date()), section)).or_default() += play.sounds().0;
        }
    }
    let sections = || programmes.iter().flat_map(|programme| programme.sections.values());
    let row = |week: NaiveDate, section: &crate::domain::programme::Section| SectionWeek {
        week,
        section: section.id.clone(),
        title: section.title.clone(),
        sounds_s: sums.get(&(week, &section.id)).copied().unwrap_or(0) / 1_000_000,
        minutes_min: section.weekly_minutes_min,
    };
    weeks
        .into_iter()
        .flat_map(|week| sections().map(move |section| (week, section)))
        .map(|(w, s)| row(w, s))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::programme_file::{Audio, parse};
    use crate::decide::schedule::Calendar;
    use crate::texts::Lang;

    const HEAD: &str = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n\
        [[section]]\nid = 'y-te'\ntitle = 'Y tế'\nweekly_minutes_min = 10\n\
        [[holiday]]\nid = 'tang'\ntitle = 'T'\neffect = 'mourning'\ndates = ['2026-11-25']\n";
    /// A minute of speech and three of music.
    const LIST: &str = "[[playlist]]\nid = 'l'\ntitle = 'L'\n\
        [[playlist.item]]\ntitle = 'A'\nfile = '60.mp3'\nsection = 'y-te'\n\
        [[playlist.item]]\ntitle = 'N'\nfile = '180.mp3'\nkind = 'music'\n";

    fn timetable(slots: &[&str]) -> Timetable {
        let probe = |path: &Path| {
            let seconds: u32 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            Ok(seconds * 1_000)
        };
        let slot = |(n, rest): (usize, &&str)| {
            format!("[[slot]]\nid = 's{n}'\ntitle = 'S{n}'\nplaylist = 'l'\n{rest}\n")
        };
        let slots: String = slots.iter().enumerate().map(slot).collect();
        let programme = parse(&format!("{HEAD}{LIST}{slots}"), "p", Path::new(""), Audio::Required(&probe));
        let programme = programme.unwrap_or_else(|problems| panic!("{problems}"));
        Timetable::new(vec![Calendar::new(Arc::new(programme)).unwrap()]).unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn planned(slots: &[&str], policy: &Policy, from: &str, until: &str) -> Vec<PlannedSession> {
        plan(&timetable(slots), &Listeners::default(), policy, date(from), date(until))
    }

    fn check(slots: &[&str], policy: &Policy, day: &str, expected: &[&str]) {
        let sessions = planned(slots, policy, day, day);
        let shown = |play: &Planned| {
            let (from, to) = (play.from.local().format("%H:%M:%S"), play.to.local().format("%H:%M:%S"));
            let fate = words::fate(&play.fate).map(|fate| fate.to_string()).unwrap_or_default();
            format!("{from} {to} {} {fate}", play.title).trim_end().to_owned()
        };
        let found: Vec<_> = sessions.iter().flat_map(|session| &session.plays).map(shown).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn items_follow_each_other_until_the_hard_end() {
        let usual = Policy::default();
        let slot = |rest: &str| format!("start = '05:00'\n{rest}");
        check(
            &[&slot("minutes = 10")],
            &usual,
            "2026-11-23",
            &["05:00:00 05:01:00 A", "05:01:00 05:04:00 N"],
        );
        check(
            &[&slot("minutes = 6\nfill = 'loop'")],
            &usual,
            "2026-11-23",
            &[
                "05:00:00 05:01:00 A",
                "05:01:00 05:04:00 N",
                "05:04:00 05:05:00 A",
                "05:05:00 05:06:00 N faded out at the hard end",
            ],
        );
        check(
            &[&slot("minutes = 3\nfill = 'fitting'")],
            &usual,
            "2026-11-23",
            &["05:00:00 05:01:00 A", "05:01:00 05:01:00 N not played: no room before the hard end"],
        );
        check(
            &[&slot("minutes = 10")],
            &usual,
            "2026-11-25",
            &["05:00:00 05:00:00 N not played: a day of mourning, without music", "05:00:00 05:01:00 A"],
        );
    }

    #[test]
    fn the_guard_of_the_box_refuses_here_too() {
        let usual = Policy::default();
        let refused = ["04:30:00 04:50:00 A not played: outside the allowed hours"];
        check(&["start = '04:30'\nminutes = 20"], &usual, "2026-11-23", &refused);
        let full = Policy { day_minutes_max: 3, ..Policy::default() };
        check(
            &["start = '05:00'\nminutes = 20\nfill = 'loop'"],
            &full,
            "2026-11-23",
            &["05:00:00 05:01:00 A", "05:01:00 05:03:00 N stopped: the day has reached 3 minutes"],
        );
    }

    #[test]
    fn a_rotating_slot_goes_on_the_next_day() {
        let slot = "start = '05:00'\nminutes = 2\norder = 'rotating'\nfill = 'fitting'";
        let sessions = planned(&[slot], &Policy::default(), "2026-11-23", "2026-11-24");
        let first: Vec<_> = sessions.iter().map(|session| session.plays[0].title.as_str()).collect();
        assert_eq!(first, ["A", "N"]);
    }

    #[test]
    fn minutes_of_whole_weeks_are_summed() {
        let sessions =
            planned(&["start = '05:00'\nminutes = 10"], &Policy::default(), "2026-11-21", "2026-12-06");
        let timetable = timetable(&["start = '05:00'\nminutes = 10"]);
        let programme = timetable.calendars()[0].programme();
        let weeks = section_weeks(&sessions, &[programme], date("2026-11-21"), date("2026-12-06"));
        let found: Vec<_> =
            weeks.iter().map(|row| (row.week.to_string(), row.sounds_s, row.is_short())).collect();
        assert_eq!(found, [("2026-11-23".to_owned(), 420, true), ("2026-11-30".to_owned(), 420, true)]);
        assert!(section_weeks(&sessions, &[programme], date("2026-11-24"), date("2026-12-05")).is_empty());
    }

    #[test]
    fn sessions_that_meet_are_told() {
        let apart = [
            "start = '05:00'\nminutes = 10\naudience = ['a']",
            "start = '05:05'\nminutes = 10\naudience = ['b']",
        ];
        let both =
            Listeners { groups: ["a", "b"].map(|name| name.parse().unwrap()).into(), languages: Vec::new() };
        let sessions =
            plan(&timetable(&apart), &both, &Policy::default(), date("2026-11-23"), date("2026-11-23"));
        assert_eq!(conflicts(&sessions), [(0, 1)]);
    }

    #[test]
    fn boxes_that_hear_the_same_share_a_plan() {
        let timetable = timetable(&["start = '05:00'\nminutes = 10\naudience = ['a']"]);
        let listeners = |group: &str, language: &str| Listeners {
            groups: [group.parse().unwrap()].into(),
            languages: vec![language.to_owned()],
        };
        let boxes = [("x", listeners("a", "vi")), ("y", listeners("a", "tay")), ("z", listeners("b", "vi"))];
        let boxes = boxes.map(|(id, listeners)| (id.parse().unwrap(), listeners)).into();
        let plans =
            plan_boxes(&timetable, &boxes, &Policy::default(), date("2026-11-23"), date("2026-11-23"));
        let lengths: Vec<_> = plans.values().map(|plan| plan.len()).collect();
        assert_eq!(lengths, [1, 1, 0]);
    }

    #[test]
    fn drawings_and_texts_hold_all_that_was_planned() {
        let slots = [
            "start = '05:00'\nminutes = 10\nopening = 'chime'",
            "start = '17:00'\nminutes = 2\nlunar = ['30']",
        ];
        let sessions = planned(&slots, &Policy::default(), "2026-12-07", "2026-12-09");
        let text = text::render(&sessions, &[], Lang::Vi);
        for part in [
            "Thứ Ba, 08/12/2026 (âm lịch 30/10/2026)",
            "17:00-17:02  S1 [s1], 100 %",
            "! 17:01:00    1:00  N",
            "tắt dần",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        let svg = svg::render(&sessions, Lang::En);
        let parsed: Vec<_> = svg.match_indices("<title>").collect();
        let plays: usize = sessions.iter().map(|session| 1 + session.plays.len()).sum();
        assert_eq!(parsed.len(), plays);
        assert!(svg::render(&[], Lang::En).ends_with("</svg>\n"));
    }
}
