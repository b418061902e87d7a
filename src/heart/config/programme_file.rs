//! A programme's TOML file to a checked [`Programme`].

use crate::said;
use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveTime;

use super::day_rules::{calendar_rules, days, times};
use super::fields::{Fields, Reader, Value};
use super::file_names::FileNames;
use super::files::read_text;
use super::problem::{Problem, Problems};
use super::programme_check;
pub use super::programme_items::items_of;
pub use super::programme_parser::{Audio, Probe};
use super::programme_parser::{Parser, audience, interruption, words};
use super::programme_places::{NameOf, Places};
use super::sound_fields::chime;
use crate::domain::ids::{GroupId, HolidayId, PlaylistId, ProgrammeId, SlotId};
use crate::domain::programme::*;

/// Most bytes of a programme file.
pub const PROGRAMME_BYTES_MAX: u64 = 1 << 20;

/// Reads a programme from a file; the audio and playlists that it names are sought beside it.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn read(path: &Path, audio: Audio<'_>) -> Result<Programme, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, PROGRAMME_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")), audio)
}

/// Reads a programme from its text. Audio and playlists are sought in `base`; `file` names the text in problems.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn parse(text: &str, file: &str, base: &Path, audio: Audio<'_>) -> Result<Programme, Problems> {
    let (reader, table) = Reader::new(file, text);
    let mut parser =
        Parser { reader: &reader, base, audio, places: Places::default(), names: FileNames::default() };
    let programme = parser.programme(reader.root(&table));
    let places = parser.places;
    match programme {
        Some(programme) if reader.is_clean() => {
            programme_check::check(&programme, &places, &reader);
            if reader.is_clean() { Ok(programme) } else { Err(reader.into_problems()) }
        }
        _ => Err(reader.into_problems()),
    }
}

/// Reads one `[[slot]]` alone; that what it names exists is not checked.
///
/// # Errors
/// Lists all that is wrong with the text, or says that it is not one slot.
pub fn parse_slot(text: &str) -> Result<Slot, Problems> {
    let (reader, table) = Reader::new("slot", text);
    let mut parser = Parser {
        reader: &reader,
        base: Path::new(""),
        audio: Audio::Unseen,
        places: Places::default(),
        names: FileNames::default(),
    };
    let mut root = reader.root(&table);
    let mut slots: Vec<_> = root.tables("slot").into_iter().flat_map(|fields| parser.slots(fields)).collect();
    root.finish();
    match slots.pop() {
        Some(slot) if slots.is_empty() && reader.is_clean() => Ok(slot),
        Some(_) if reader.is_clean() => Err(Problem::of_file("slot", said!("problem.two_slots")).into()),
        None if reader.is_clean() => Err(Problem::of_file("slot", said!("problem.no_slot")).into()),
        _ => Err(reader.into_problems()),
    }
}

impl<'p> Parser<'p> {
    /// Reads the whole file. `None` only where problems were noted.
    fn programme(&mut self, mut root: Fields<'p>) -> Option<Programme> {
        let mut head = root.section("programme");
        let id = head.need("id").and_then(|value| value.parse::<ProgrammeId>());
        let version = head.need("version").and_then(|value| value.integer(1..=u32::MAX));
        let title = head.need("title").and_then(|value| value.words());
        let group = head.need("group").and_then(|value| value.parse::<GroupId>());
        head.finish();
        let sections = self.keyed(root.tables("section"), Self::section_of, |section| &section.id);
        let campaigns = self.keyed(root.tables("campaign"), Self::campaign, |campaign| &campaign.id);
        let holidays = self.keyed(root.tables("holiday"), Self::holiday, |holiday| &holiday.id);
        let playlists = self.keyed(root.tables("playlist"), Self::playlist, |playlist| &playlist.id);
        let slots = root.tables("slot").into_iter().flat_map(|fields| self.slots(fields)).collect();
        root.finish();
        Some(Programme {
            id: id?,
            version: version?,
            title: title?.to_owned(),
            group: group?,
            slots,
            playlists,
            holidays,
            sections,
            campaigns,
        })
    }

    /// Reads tables with an id each, no two the same.
    fn keyed<T, K: Ord + Clone + std::fmt::Display>(
        &mut self,
        tables: Vec<Fields<'p>>,
        read: fn(&mut Self, Fields<'p>) -> Option<T>,
        key: fn(&T) -> &K,
    ) -> BTreeMap<K, T> {
        let mut all = BTreeMap::new();
        let mut first_at: BTreeMap<K, usize> = BTreeMap::new();
        for fields in tables {
            let at = fields.at;
            let Some(thing) = read(self, fields) else { continue };
            let id = key(&thing).clone();
            if let Some(first) = first_at.get(&id) {
                let line = self.reader.line(*first);
                self.reader.problem(at, "id", said!("problem.id_in_line", id, line));
                continue;
            }
            first_at.insert(id.clone(), at);
            all.insert(id, thing);
        }
        all
    }

    fn section_of(&mut self, mut fields: Fields<'p>) -> Option<Section> {
        let id = fields.need("id").and_then(|value| value.parse());
        let title = fields.need("title").and_then(|value| value.words());
        let responsible = words(&mut fields, "responsible");
        let weekly_minutes_min = fields.get("weekly_minutes_min").and_then(|value| value.integer(1..=10_080));
        fields.finish();
        Some(Section { id: id?, title: title?.to_owned(), responsible, weekly_minutes_min })
    }

    fn campaign(&mut self, mut fields: Fields<'p>) -> Option<Campaign> {
        let id = fields.need("id").and_then(|value| value.parse());
        let title = fields.need("title").and_then(|value| value.words());
        let from = fields.need("from").and_then(|value| value.date());
        let until_value = fields.need("until");
        let until = until_value.as_ref().and_then(Value::date);
        let responsible = fields.need("responsible").and_then(|value| value.words());
        let messages = fields.get("messages").map(|value| value.list()).unwrap_or_default();
        let messages = messages.iter().filter_map(|value| Some(value.words()?.to_owned())).collect();
        fields.finish();
        if let (Some(from), Some(until), Some(value)) = (from, until, until_value)
            && until < from
        {
            value.problem(said!("problem.backward_campaign", from));
        }
        Some(Campaign {
            id: id?,
            title: title?.to_owned(),
            from: from?,
            until: until?,
            responsible: responsible?.to_owned(),
            messages,
        })
    }

    fn holiday(&mut self, mut fields: Fields<'p>) -> Option<Holiday> {
        let at = fields.at;
        let id: Option<HolidayId> = fields.need("id").and_then(|value| value.parse());
        let title = fields.need("title").and_then(|value| value.words());
        let effect = fields.need("effect").and_then(|value| {
            value.choice(&[
                ("replace", HolidayEffect::Replace),
                ("add", HolidayEffect::Add),
                ("mourning", HolidayEffect::Mourning),
                ("silence", HolidayEffect::Silence),
            ])
        });
        let rules = calendar_rules(&mut fields);
        let lasts_days = fields.get("lasts_days").map_or(Some(1), |value| value.integer(1..=30));
        if rules.is_empty() && self.reader.is_clean() {
            fields.problem(said!("problem.no_holiday_day"));
        }
        fields.finish();
        if let Some(id) = &id {
            self.places.holidays.insert(id.clone(), at);
        }
        Some(Holiday { id: id?, title: title?.to_owned(), rules, lasts_days: lasts_days?, effect: effect? })
    }

    /// Reads the slots of a table: one for each start.
    fn slots(&mut self, mut fields: Fields<'p>) -> Vec<Slot> {
        let at = fields.at;
        let times = times(&mut fields);
        let slot = self.slot(&mut fields);
        fields.finish();
        let (Some(times), Some(slot)) = (times, slot) else { return Vec::new() };
        let several = times.len() > 1;
        let mut slots = Vec::new();
        for (index, (start, end)) in times.into_iter().enumerate() {
            let id = if several { format!("{}-{}", slot.id, index + 1) } else { slot.id.to_string() };
            let Ok(id) = SlotId::new(id) else {
                self.reader.problem(at, "slot.id", said!("problem.long_id"));
                return slots;
            };
            self.places.slots.push(at);
            slots.push(Slot { id, start, end, ..slot.clone() });
        }
        slots
    }

    /// Reads a slot without its times.
    fn slot(&mut self, fields: &mut Fields<'p>) -> Option<Slot> {
        let id = fields.need("id").and_then(|value| value.parse());
        let title = fields.need("title").and_then(|value| value.words());
        let days = days(fields);
        let holiday = self.named(fields, NameOf::Holiday);
        let playlist = fields.need("playlist").and_then(|value| value.parse::<PlaylistId>());
        self.name_value(fields, "playlist", NameOf::Playlist);
        let order = fields.get("order").map_or(Some(Order::InTurn), |value| {
            value.choice(&[
                ("in_turn", Order::InTurn),
                ("rotating", Order::Rotating),
                ("shuffled", Order::Shuffled),
            ])
        });
        let fill = fields.get("fill").map_or(Some(Fill::Once), |value| {
            value.choice(&[("once", Fill::Once), ("loop", Fill::Loop), ("fitting", Fill::Fitting)])
        });
        let opening = fields.get("opening").and_then(|value| chime(&value));
        let closing = fields.get("closing").and_then(|value| chime(&value));
        let lateness = fields.get("lateness").map_or(Some(Lateness::Shift), |value| {
            value.choice(&[("join", Lateness::Join), ("shift", Lateness::Shift), ("skip", Lateness::Skip)])
        });
        let start_within_s = fields.get("start_within_s").and_then(|value| value.integer(1..=86_400));
        let interruption = interruption(fields).unwrap_or_default();
        let volume = fields.get("volume_percent").map_or(Some(100), |value| value.integer(1..=100));
        let (section, campaign) = (self.named(fields, NameOf::Section), self.named(fields, NameOf::Campaign));
        let audience = audience(fields);
        Some(Slot {
            id: id?,
            title: title?.to_owned(),
            start: NaiveTime::MIN,
            end: NaiveTime::MIN,
            days,
            holiday,
            playlist: playlist?,
            order: order?,
            fill: fill?,
            opening,
            closing,
            lateness: lateness?,
            start_within_s,
            interruption,
            volume_percent: volume?,
            section,
            campaign,
            audience,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::day_rules::{EVERY_DAY, hm};
    use super::super::programme_items::WORD_MS;
    use super::*;
    use crate::domain::sound::Pattern;

    const HEAD: &str = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n";
    const LIST: &str =
        "[[playlist]]\nid = 'l'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'A'\ntext = 'một hai'\n";

    fn slot(rest: &str) -> String {
        format!("{HEAD}{LIST}[[slot]]\nid = 's'\ntitle = 'S'\nplaylist = 'l'\n{rest}\n")
    }

    fn read(text: &str) -> Result<Programme, Problems> {
        let exists = |path: &Path| {
            if path.ends_with("da-co.mp3") { Ok(61_000) } else { Err("not found".to_owned().into()) }
        };
        parse(text, "p.toml", Path::new("base"), Audio::Required(&exists))
    }

    fn check(text: &str, expected: fn(&Programme)) {
        expected(&read(text).unwrap_or_else(|problems| panic!("{problems}")));
    }

    /// Checks that a text has exactly one problem, in this line, and that its words hold all of these.
    fn check_bad(text: &str, line: usize, says: &[&str]) {
        let Problems(problems) = read(text).expect_err("a problem");
        assert_eq!(problems.len(), 1, "{}", Problems(problems.clone()));
        let shown = problems[0].to_string();
        assert_eq!(problems[0].line, line, "{shown}");
        for part in says {
            assert!(shown.contains(part), "{shown:?} does not say {part:?}");
        }
    }

    /// Lines of HEAD and LIST, and the slot's own four.
    const SLOT: usize = 12;
    const REST: usize = 16;

    #[test]
    fn defaults_are_those_of_the_book() {
        check(&slot("start = '05:00'\nend = '05:45'"), |programme| {
            let slot = &programme.slots[0];
            assert_eq!((hm(slot.start), hm(slot.end)), ("05:00".to_owned(), "05:45".to_owned()));
            assert_eq!(slot.days.rules, [DayRule::Weekdays(EVERY_DAY.to_vec())]);
            assert_eq!((slot.order, slot.fill, slot.lateness), (Order::InTurn, Fill::Once, Lateness::Shift));
            assert_eq!((slot.volume_percent, slot.opening.clone()), (100, None));
            let item = &programme.playlists[&slot.playlist].items[0];
            assert_eq!(item.content, Content::Text { text: "một hai".to_owned(), ms: 2 * WORD_MS });
        });
    }

    #[test]
    fn several_starts_are_several_slots() {
        check(&slot("start = ['05:00', 11:00:30]\nminutes = 45\nopening = 'chime'"), |programme| {
            let found: Vec<_> =
                programme.slots.iter().map(|s| format!("{} {} {}", s.id, hm(s.start), hm(s.end))).collect();
            assert_eq!(found, ["s-1 05:00 05:45", "s-2 11:00:30 11:45:30"]);
            assert_eq!(programme.slots[1].opening, Some(Pattern::chime()));
        });
    }

    #[test]
    fn a_slot_may_end_at_midnight_and_hours_be_written_as_people_do() {
        let check_times = |rest: &str, expected: &str| {
            let programme = read(&slot(rest)).unwrap_or_else(|problems| panic!("{problems}"));
            let slot = &programme.slots[0];
            assert_eq!(format!("{}-{}", hm(slot.start), hm(slot.end)), expected, "{rest}");
        };
        check_times("start = '21:00'\nend = '24:00'", "21:00-24:00");
        check_times("start = '21:00'\nend = '24h00'", "21:00-24:00");
        check_times("start = '23:00'\nminutes = 60", "23:00-24:00");
        check_times("start = '0:00'\nminutes = 1440", "00:00-24:00");
        check_times("start = '5h00'\nend = '5g30'", "05:00-05:30");
        check_times("start = '17h'\nend = '17H45'", "17:00-17:45");
        check_bad(&slot("start = '5h60'\nminutes = 5"), REST, &["5h60"]);
    }

    #[test]
    fn all_ways_to_name_days_are_read() {
        let days = "start = '05:00'\nminutes = 5\ndays = ['mon']\nlunar = ['15', '1/1']\ndates = [2026-12-24]\n\
                    rrule = 'FREQ=MONTHLY;BYDAY=1SU'\nrrule_from = '2026-01-01'\nexcept = ['2026-12-25']";
        check(&slot(days), |programme| {
            assert_eq!(programme.slots[0].days.rules.len(), 5);
            assert_eq!(programme.slots[0].days.except.len(), 1);
        });
    }

    #[test]
    fn a_slot_may_reach_beyond_midnight() {
        for times in ["start = '23:30'\nend = '00:30'", "start = '23:30'\nminutes = 60"] {
            check(&slot(times), |programme| assert_eq!(programme.slots[0].length().num_minutes(), 60));
        }
        let early = "[[slot]]\nid = 't'\ntitle = 'T'\nplaylist = 'l'\nstart = '00:15'\nminutes = 5\n";
        check_bad(
            &slot(&format!("start = '23:30'\nminutes = 60\ndays = ['sun']\n{early}days = ['mon']")),
            REST + 3,
            &["overlap"],
        );
        check(
            &slot(&format!("start = '23:30'\nminutes = 60\ndays = ['mon']\n{early}days = ['mon']")),
            |programme| assert_eq!(programme.slots.len(), 2),
        );
    }

    #[test]
    fn impossible_times_are_refused() {
        check_bad(&slot("start = '25:00'\nend = '05:45'"), REST, &["slot.start", "25:00", "23:59:59"]);
        check_bad(&slot("start = '05:00'\nend = '24:01'"), REST + 1, &["slot.end", "24:00"]);
        check_bad(&slot("start = '24:00'\nminutes = 5"), REST, &["slot.start", "23:59:59"]);
        check_bad(&slot("start = '05:00'\nend = '04:00'"), REST + 1, &["later time of the same day"]);
        check_bad(&slot("start = '05:00'\nend = '06:00'\nminutes = 60"), REST + 1, &["both end and minutes"]);
        check_bad(&slot("start = '05:00'"), SLOT, &["no end"]);
        check_bad(&slot("start = 5\nend = '06:00'"), REST, &["an integer where a time of day is expected"]);
    }

    #[test]
    fn impossible_days_are_refused() {
        let with = |line: &str| slot(&format!("start = '05:00'\nend = '05:45'\n{line}"));
        let at = REST + 2;
        check_bad(&with("dates = ['2026-02-30']"), at, &["2026-02-30", "2026-02 has 28 days"]);
        check_bad(&with("lunar = ['31']"), at, &["no day 31"]);
        check_bad(&with("lunar = ['1/13']"), at, &["no month 13"]);
        check_bad(&with("yearly = ['30/2']"), at, &["30/2"]);
        check_bad(&with("days = ['monday']"), at, &["mon, tue"]);
        check_bad(&with("rrule = 'FREQ=HOURLY'\nrrule_from = '2026-01-01'"), at, &["within a day"]);
        check_bad(&with("rrule = 'FREQ=EVER'\nrrule_from = '2026-01-01'"), at, &["FREQ=MONTHLY;BYDAY=1MO"]);
        check_bad(
            &with("rrule = 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30'\nrrule_from = '2026-01-01'"),
            at,
            &["never happens"],
        );
        check_bad(&with("rrule = 'FREQ=DAILY'"), at, &["rrule_from"]);
        check_bad(
            &with("valid_from = '2026-02-01'\nvalid_until = '2026-01-01'"),
            at + 1,
            &["ends before it begins"],
        );
        check_bad(&with("dates = ['2026-05-01']\nexcept = ['2026-05-01']"), SLOT, &["never sounds"]);
    }

    #[test]
    fn unknown_keys_and_names_are_refused_with_what_is_near() {
        check_bad(
            &slot("start = '05:00'\nend = '05:45'\nvolum_percent = 5"),
            REST + 2,
            &["did you mean \"volume_percent\"?"],
        );
        check_bad(
            &slot("start = '05:00'\nend = '05:45'\nsection = 'y-te'"),
            REST + 2,
            &["no section \"y-te\"", "[[section]]"],
        );
        let near =
            slot("start = '05:00'\nend = '05:45'\nsection = 'y-tee'\n[[section]]\nid = 'y-te'\ntitle = 'Y'");
        check_bad(&near, REST + 2, &["did you mean \"y-te\"?"]);
        check_bad(&format!("{HEAD}[slots]\n"), 6, &["slots: unknown key", "did you mean \"slot\"?"]);
    }

    #[test]
    fn slots_that_meet_are_refused_and_others_are_not() {
        let two =
            |a: &str, b: &str| format!("{}[[slot]]\nid = 't'\ntitle = 'T'\nplaylist = 'l'\n{b}\n", slot(a));
        let at = SLOT + 6;
        let early = "start = '05:00'\nend = '05:45'";
        check_bad(
            &two(early, "start = '05:44'\nend = '06:00'"),
            at,
            &["overlaps s (05:00-05:45) of line 12", "2026-01-01"],
        );
        check(&two(early, "start = '05:45'\nend = '06:00'"), |_| {});
        let days = |a: &str, b: &str| {
            two(
                &format!("start = '05:00'\nend = '05:45'\n{a}"),
                &format!("start = '05:00'\nend = '06:00'\n{b}"),
            )
        };
        check(&days("days = ['mon']", "days = ['tue']"), |_| {});
        check(&days("audience = ['a']", "audience = ['b']"), |_| {});
        check(&days("valid_until = '2026-05-01'", "valid_from = '2026-05-02'"), |_| {});
        check_bad(&days("days = ['mon']", "lunar = ['1/1']"), at + 1, &["first on 2033-01-31"]);
    }

    #[test]
    fn holidays_part_slots_that_would_meet() {
        let tet =
            "[[holiday]]\nid = 'tet'\ntitle = 'Tết'\neffect = 'replace'\nlunar = ['1/1']\nlasts_days = 3\n";
        let own = "[[slot]]\nid = 't'\ntitle = 'T'\nplaylist = 'l'\nholiday = 'tet'\nstart = '05:00'\nend = '06:00'\n";
        let everyday = slot("start = '05:00'\nend = '05:45'");
        check(&format!("{everyday}{tet}{own}"), |_| {});
        let beside = format!("{everyday}{}{own}", tet.replace("replace", "add"));
        check_bad(&beside, SLOT + 12, &["overlaps", "2026-02-17"]);
        check_bad(&format!("{everyday}{tet}"), SLOT + 6, &["no slot sounds on tet"]);
        let silent = format!("{everyday}{}{own}", tet.replace("replace", "silence"));
        check_bad(&silent, SLOT + 12, &["day of silence"]);
    }

    #[test]
    fn lists_and_items_are_checked() {
        let list = |items: &str| format!("{HEAD}[[playlist]]\nid = 'l'\ntitle = 'L'\n{items}");
        let item = |rest: &str| list(&format!("[[playlist.item]]\ntitle = 'A'\n{rest}"));
        check(&item("file = 'audio/da-co.mp3'"), |programme| {
            let Content::File { path, ms } = &programme.playlists.values().next().unwrap().items[0].content
            else {
                panic!("a file");
            };
            assert_eq!((path.to_str(), *ms), (Some("base/audio/da-co.mp3"), Some(61_000)));
        });
        check_bad(&list(""), 6, &["the playlist is empty"]);
        check_bad(&item("file = 'x.mp3'"), 11, &["base/x.mp3 can't be played: not found"]);
        check_bad(&item("file = '../x.mp3'"), 11, &["leads away"]);
        check_bad(&item("file = '/x.mp3'"), 11, &["leads away"]);
        check_bad(&item("relay = 'ftp://a'"), 11, &["https://"]);
        check_bad(&item(""), 9, &["nothing to sound"]);
        check_bad(&item("text = 'a'\nrelay = 'http://a'"), 9, &["more than one"]);
        check_bad(&item("playlist = 'l'"), 6, &["contains itself: l > l"]);
        check_bad(&item("playlist = 'm'"), 11, &["no playlist \"m\""]);
        check_bad(&item("text = 'a'\nrepeats = 0"), 12, &["out of range", "1 to 100"]);
        check_bad(&item("text = 'a'\nminutes = 3"), 12, &["unknown key"]);
        check_bad(&list("m3u8 = 'none.m3u8'"), 9, &["base/none.m3u8 can't be read"]);
    }

    #[test]
    fn a_slot_shorter_than_its_chimes_is_refused() {
        let tones = "opening = { tones = [{ from_hz = 440, ms = 60000 }] }";
        check_bad(&slot(&format!("start = '05:00'\nminutes = 1\n{tones}")), SLOT, &["its chimes 60.0 s"]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(&slot("start = '25:00'\nend = '05:45'\nfill = 'x'\nfoo = 1")).unwrap_err();
        assert_eq!(problems.0.iter().map(|problem| problem.line).collect::<Vec<_>>(), [16, 18, 19]);
    }

    #[test]
    fn lists_that_double_and_double_are_refused() {
        let mut text = format!(
            "{HEAD}[[playlist]]\nid = 'l0'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'A'\ntext = 'a'\n"
        );
        for n in 1..60 {
            let nested = format!("[[playlist.item]]\nplaylist = 'l{}'\n", n - 1).repeat(2);
            text += &format!("[[playlist]]\nid = 'l{n}'\ntitle = 'L'\n{nested}");
        }
        assert!(read(&text).unwrap_err().to_string().contains("at most 5000"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = read(&text);
        }

        #[test]
        fn no_damaged_programme_panics(at in 0usize..300, by in ".{0,4}") {
            let text = slot("start = '05:00'\nend = '05:45'\nlunar = ['1/1']\nopening = { tones = [{ from_hz = 9, ms = 1 }] }");
            let damaged: String = text.chars().take(at).chain(by.chars()).chain(text.chars().skip(at + 1)).collect();
            let _ = read(&damaged);
        }
    }
}
