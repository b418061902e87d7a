//! Slots as iCalendar (RFC 5545) events, and back.
//!
//! An event says in the standard's own words when it sounds, so that any calendar shows it. Beside that it carries the
//! whole slot as TOML (`X-LOAXA-SLOT`) with a digest of the standard words (`X-LOAXA-DIGEST`). Where the digest still
//! fits, the slot comes back exactly; where somebody moved the event in a calendar, its times and days are taken from
//! the standard words and only the rest from the slot.

mod properties;
mod read;
mod windows_zones;
mod write;
mod zones;

use chrono::{NaiveDate, NaiveTime};

pub use read::{decode, parse};
pub use write::{write, write_sessions};

use loaxa_heart::config::day_rules::EVERY_DAY;
use loaxa_heart::domain::announcement::Interruption;
use loaxa_heart::domain::ids::{ContentHash, PlaylistId, SlotId};
use loaxa_heart::domain::programme::{DayRule, Days, Fill, Lateness, Order, Slot};

/// The name of Vietnam's zone in the tz database.
const ZONE: &str = "Asia/Ho_Chi_Minh";

/// Carries a slot's TOML.
const SLOT_PROPERTY: &str = "X-LOAXA-SLOT";
/// Carries [`Times::digest`].
const DIGEST_PROPERTY: &str = "X-LOAXA-DIGEST";

/// An event in the standard's words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Times {
    title: String,
    first: NaiveDate,
    start: NaiveTime,
    end: NaiveTime,
    /// RRULE value, in capitals.
    rule: Option<String>,
    /// RDATE and EXDATE, sorted.
    more: Vec<NaiveDate>,
    except: Vec<NaiveDate>,
}

impl Times {
    /// Hashes the meaning, so that two spellings of one event have the same digest.
    fn digest(&self) -> String {
        ContentHash::of(format!("{self:?}").as_bytes()).to_string()[..16].to_owned()
    }
}

/// An event of a calendar.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub uid: String,
    pub title: String,
    pub start: NaiveTime,
    pub end: NaiveTime,
    pub days: Days,
    /// The slot that it was written from, with what was changed since; `None` for an event of another program.
    pub slot: Option<Slot>,
    /// Line of its `BEGIN:VEVENT`, from 1.
    pub line: usize,
}

impl Event {
    /// The slot that it is, or a plain one with this id and playlist.
    pub fn into_slot(self, id: SlotId, playlist: PlaylistId) -> Slot {
        self.slot.unwrap_or(Slot {
            id,
            title: self.title,
            start: self.start,
            end: self.end,
            days: self.days,
            holiday: None,
            playlist,
            order: Order::InTurn,
            fill: Fill::Once,
            opening: None,
            closing: None,
            lateness: Lateness::Shift,
            start_within_s: None,
            interruption: Interruption::default(),
            volume_percent: 100,
            section: None,
            campaign: None,
            audience: Vec::new(),
        })
    }
}

fn every_day() -> DayRule {
    DayRule::Weekdays(EVERY_DAY.to_vec())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::Weekday;
    use proptest::prelude::*;

    use super::*;
    use loaxa_heart::config::programme_file::{self, Audio};
    use loaxa_heart::config::programme_text;
    use loaxa_heart::domain::days::ProgrammeDays;
    use loaxa_heart::domain::lunar::LunarDay;
    use loaxa_heart::domain::programme::{Content, Programme};
    use loaxa_heart::domain::sound::{Pattern, Tone};
    use loaxa_heart::domain::time::Wall;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn calendar(rest: &str) -> String {
        let event = rest.replace('\n', "\r\n");
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:u\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
    }

    fn check(rest: &str, times: &str, days: &[&str]) {
        let events = parse(&calendar(rest), "a.ics").unwrap_or_else(|problems| panic!("{problems}"));
        let event = &events[0];
        assert_eq!(format!("{} {} {}", event.title, event.start, event.end), times);
        assert_eq!(due(&[event.clone().into_slot(id("s"), playlist())], "2026-11-01", 40), days);
    }

    fn check_bad(rest: &str, says: &str) {
        let problems = parse(&calendar(rest), "a.ics").expect_err("a problem").to_string();
        assert!(problems.starts_with("a.ics") && problems.contains(says), "{problems}");
    }

    fn id(text: &str) -> SlotId {
        SlotId::new(text).unwrap()
    }

    fn playlist() -> PlaylistId {
        PlaylistId::new("l").unwrap()
    }

    fn programme(slots: Vec<Slot>) -> Programme {
        let text = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n\
            [[holiday]]\nid = 'tet'\ntitle = 'T'\neffect = 'mourning'\nlunar = ['1/1']\n";
        let programme = programme_file::parse(text, "p", Path::new(""), Audio::Unseen).unwrap();
        Programme { slots, ..programme }
    }

    /// Days on which any of the slots is due.
    fn due(slots: &[Slot], from: &str, days: usize) -> Vec<String> {
        let known = ProgrammeDays::new(&programme(slots.to_vec())).unwrap();
        let dates = date(from).iter_days().take(days);
        dates.filter(|date| !known.on(*date).due.is_empty()).map(|date| date.to_string()).collect()
    }

    const TIMES: &str =
        "DTSTART;TZID=Asia/Ho_Chi_Minh:20261102T050000\nDTEND;TZID=Asia/Ho_Chi_Minh:20261102T053000\n";

    #[test]
    fn events_of_other_programs_are_read() {
        check(&format!("{TIMES}SUMMARY:Sáng\\, sớm"), "Sáng, sớm 05:00:00 05:30:00", &["2026-11-02"]);
        check(
            &format!(
                "{TIMES}RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261201T000000Z\nEXDATE;TZID=Asia/Ho_Chi_Minh:20261109T050000"
            ),
            "Phát thanh 05:00:00 05:30:00",
            &["2026-11-02", "2026-11-16", "2026-11-23", "2026-11-30"],
        );
        // 22:00 UTC is 05:00 of the next day.
        check("DTSTART:20261101T220000Z\nDURATION:PT30M", "Phát thanh 05:00:00 05:30:00", &["2026-11-02"]);
        check(
            &format!("{TIMES}RDATE;VALUE=DATE:20261105"),
            "Phát thanh 05:00:00 05:30:00",
            &["2026-11-02", "2026-11-05"],
        );
        check(
            "dtstart:20261102T050000\ndtend:20261102T060000",
            "Phát thanh 05:00:00 06:00:00",
            &["2026-11-02"],
        );
    }

    #[test]
    fn an_until_before_the_days_time_leaves_that_day_out() {
        let until = |until: &str| format!("{TIMES}RRULE:FREQ=DAILY;UNTIL={until}");
        let days = ["2026-11-02", "2026-11-03"];
        check(&until("20261103T215959Z"), "Phát thanh 05:00:00 05:30:00", &days);
        check(&until("20261102T220000Z"), "Phát thanh 05:00:00 05:30:00", &days);
        check(&until("20261103"), "Phát thanh 05:00:00 05:30:00", &days);
    }

    #[test]
    fn what_is_no_slot_is_refused() {
        check_bad("SUMMARY:x", "no start");
        check_bad("DTSTART;VALUE=DATE:20261102\nDTEND;VALUE=DATE:20261103", "all day");
        check_bad("DTSTART:20261102T030000Z\nDTEND:20261102T173000Z", "across midnight");
        check_bad("DTSTART:20261102T160000Z", "no end");
        check_bad(&format!("{TIMES}RRULE:FREQ=HOURLY"), "within a day");
        check_bad(&format!("{TIMES}RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "never happens");
        check_bad("DTSTART:20261101T220000Z\nDURATION:PT30M\nRRULE:FREQ=MONTHLY;BYDAY=1SU", "another day");
        check_bad(
            "DTSTART;TZID=Europe/Paris:20261102T120000\nDURATION:PT30M\nRRULE:FREQ=DAILY",
            "changes its clocks",
        );
        check_bad("DTSTART;TZID=Nowhere:20261102T120000\nDURATION:PT30M", "not known");
        let two = "DTSTART:20261102T050000\nDURATION:PT5M\nRRULE:FREQ=DAILY\nEND:VEVENT\nBEGIN:VEVENT\nUID:u\n\
            RECURRENCE-ID;RANGE=THISANDFUTURE:20261104T050000\nDTSTART:20261104T060000\nDURATION:PT5M";
        check_bad(two, "all after it were changed");
        assert!(parse("", "a.ics").is_err());
        assert!(parse(&"BEGIN:A\r\n".repeat(100_000), "a.ics").is_err());
    }

    fn some_date() -> impl Strategy<Value = NaiveDate> {
        (0u64..900).prop_map(|days| date("2026-11-21") + chrono::Days::new(days))
    }

    fn some_rules() -> impl Strategy<Value = Vec<DayRule>> {
        let weekdays = prop::sample::subsequence(EVERY_DAY.to_vec(), 1..=7).prop_map(DayRule::Weekdays);
        let lunar = (0u8..=12, 1u8..=30).prop_map(|(month, day)| DayRule::Lunar(LunarDay { month, day }));
        let yearly = (1u32..=12, 1u32..=28).prop_map(|(month, day)| DayRule::Yearly { month, day });
        let texts = vec![
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH",
            "FREQ=DAILY;INTERVAL=3",
            "FREQ=MONTHLY;BYMONTHDAY=31;COUNT=5",
            "FREQ=YEARLY;BYDAY=20MO",
            "FREQ=DAILY;UNTIL=20270301",
        ];
        let recurrence = (prop::sample::select(texts), some_date())
            .prop_filter("ends after it starts", |(text, from)| {
                !text.contains("UNTIL") || *from < date("2027-03-01")
            })
            .prop_map(|(rule, from)| DayRule::Recurrence { rule: rule.to_owned(), from });
        let single = some_date().prop_map(DayRule::Date);
        let rules = (
            prop::option::of(weekdays),
            prop::option::of(lunar),
            prop::option::of(yearly),
            prop::option::of(single),
            prop::option::of(recurrence),
        );
        rules.prop_map(|(a, b, c, d, e)| {
            let rules: Vec<_> = [a, b, c, d, e].into_iter().flatten().collect();
            if rules.is_empty() { vec![every_day()] } else { rules }
        })
    }

    fn some_days() -> impl Strategy<Value = Days> {
        let validity = || prop::option::of(some_date());
        (some_rules(), validity(), validity(), prop::collection::vec(some_date(), 0..4)).prop_map(
            |(rules, from, until, except)| {
                let (valid_from, valid_until) = match (from, until) {
                    (Some(from), Some(until)) => (Some(from.min(until)), Some(from.max(until))),
                    pair => pair,
                };
                Days { rules, valid_from, valid_until, except }
            },
        )
    }

    fn some_slot() -> impl Strategy<Value = Slot> {
        let tone = Tone { from_hz: 440.0, to_hz: 880.5, ms: 300, gap_ms: 20 };
        let patterns = [Some(Pattern::chime()), None, Some(Pattern { tones: vec![tone], repeats: 3 })];
        let times = (0u32..80_000, 1u32..6_000).prop_map(|(start, length)| {
            let time = |seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap();
            (time(start), time(start + length))
        });
        let plain = (
            "[a-zA-ZđĐếổ0-9,;:.\"'#%=-]{1,8}( [a-zđếổ,;:\\\\]{1,30}){0,3}",
            prop::sample::select(vec![Order::InTurn, Order::Rotating, Order::Shuffled]),
            prop::sample::select(vec![Fill::Once, Fill::Loop, Fill::Fitting]),
            prop::sample::select(vec![Lateness::Join, Lateness::Shift, Lateness::Skip]),
            prop::option::of(1u32..86_400),
            1u8..=100,
        );
        let more =
            (prop::sample::select(patterns.to_vec()), prop::sample::select(patterns.to_vec()), any::<bool>());
        (times, some_days(), plain, more).prop_map(
            |((start, end), days, plain, (opening, closing, on_holiday))| Slot {
                id: id("s"),
                title: plain.0.trim().to_owned(),
                start,
                end,
                days,
                holiday: on_holiday.then(|| "tet".parse().unwrap()),
                playlist: playlist(),
                order: plain.1,
                fill: plain.2,
                opening,
                closing,
                lateness: plain.3,
                start_within_s: plain.4,
                interruption: Interruption::Restart,
                volume_percent: plain.5,
                section: Some("y-te".parse().unwrap()),
                campaign: None,
                audience: vec!["thon-1".parse().unwrap()],
            },
        )
    }

    const FROM: &str = "2026-11-21";
    const DAYS: usize = 800;

    fn written(slot: &Slot) -> String {
        let until = date(FROM) + chrono::Days::new(DAYS as u64);
        write(&programme(vec![slot.clone()]), date(FROM), until, Wall(0)).unwrap()
    }

    /// Takes out our own properties, as a calendar program does that throws away what it does not know.
    fn without_ours(text: &str) -> String {
        let unfolded = text.replace("\r\n ", "");
        unfolded
            .lines()
            .filter(|line| !line.starts_with("X-LOAXA"))
            .map(|line| format!("{line}\r\n"))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn a_slot_comes_back_as_it_was(slot in some_slot()) {
            let events = parse(&written(&slot), "a.ics").unwrap_or_else(|problems| panic!("{problems}"));
            prop_assert!(events.len() == usize::from(!due(std::slice::from_ref(&slot), FROM, 20 * 366).is_empty()));
            for event in events {
                prop_assert_eq!(event.into_slot(id("x"), playlist()), slot.clone());
            }
        }

        #[test]
        fn other_programs_see_the_same_days(slot in some_slot()) {
            let events = parse(&without_ours(&written(&slot)), "a.ics").unwrap_or_else(|problems| panic!("{problems}"));
            let slots: Vec<_> = events.into_iter().map(|event| event.into_slot(id("s"), playlist())).collect();
            prop_assert_eq!(due(&slots, FROM, DAYS), due(&[slot], FROM, DAYS));
        }

        #[test]
        fn a_slot_comes_back_from_toml(slot in some_slot()) {
            prop_assert_eq!(programme_file::parse_slot(&programme_text::write_slot(&slot)).unwrap(), slot);
        }

        #[test]
        fn no_text_panics(text in "(BEGIN:|END:|V|EVENT|\r\n|;|:|=|\\PC){0,60}") {
            let _ = parse(&text, "a.ics");
        }

        #[test]
        fn no_damaged_calendar_panics(at in 0usize..900, by in "\\PC{0,4}") {
            let text = written(&Slot { days: Days { rules: vec![DayRule::Weekdays(vec![Weekday::Mon])], valid_from: None, valid_until: None, except: vec![] }, ..parse(&calendar(TIMES), "a").unwrap().remove(0).into_slot(id("s"), playlist()) });
            let damaged: String = text.chars().take(at).chain(by.chars()).chain(text.chars().skip(at + 1)).collect();
            let _ = parse(&damaged, "a.ics");
        }
    }

    #[test]
    fn an_event_moved_in_a_calendar_moves_the_slot_and_keeps_the_rest() {
        let text = "[[slot]]\nid = 's'\ntitle = 'S'\nstart = '05:00'\nend = '05:30'\nplaylist = 'l'\norder = 'shuffled'";
        let slot = programme_file::parse_slot(text).unwrap();
        let moved = written(&slot).replace("T050000", "T051500");
        let slot = parse(&moved, "a.ics").unwrap().remove(0).into_slot(id("x"), playlist());
        assert_eq!(
            (slot.id.as_str(), slot.start.to_string(), slot.order),
            ("s", "05:15:00".to_owned(), Order::Shuffled)
        );
    }

    #[test]
    fn a_whole_programme_comes_back_from_toml() {
        let base = Path::new("../../playlists/binh-minh");
        let read = |text: &str| programme_file::parse(text, "p", base, Audio::Unseen).unwrap();
        let text = include_str!("../../../playlists/binh-minh/programme.toml");
        let mut programme = read(text);
        let items = programme.playlists.values_mut().flat_map(|playlist| &mut playlist.items);
        for item in items {
            // Lengths that a playlist in M3U8 tells are measured anew.
            if let Content::File { ms, .. } = &mut item.content {
                *ms = None;
            }
        }
        assert_eq!(read(&programme_text::write(&programme, base)), programme);
    }
}
