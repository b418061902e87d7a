//! A programme's plan for a date and its listeners: sessions, and the pieces that fill them.

mod cue;
mod filling;
mod listeners;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

pub use self::cue::{CuePoint, cue_at};
pub use self::filling::{Filling, LeftOut, Length, Piece, Role};
pub use self::listeners::Listeners;
use self::listeners::same_language;
pub use self::session::Session;
use crate::domain::days::{DueSlot, Effects, ProgrammeDays};
use crate::domain::ids::{GroupId, PlaylistId, ProgrammeId, SlotId};
use crate::domain::playback::SlotKey;
use crate::domain::programme::{Item, Programme, Slot};
use crate::domain::recurrence::BadRule;
use crate::domain::time::Wall;
use crate::said;
use crate::texts::{Say, Sentence};

/// A programme that can be asked for its days.
#[derive(Debug, Clone)]
pub struct Calendar {
    programme: Arc<Programme>,
    days: Arc<ProgrammeDays>,
}

impl Calendar {
    /// Makes a programme's days ready.
    ///
    /// # Errors
    /// Names a recurrence rule that can't be read; a programme from [`crate::config::programme_file`] has none.
    pub fn new(programme: Arc<Programme>) -> Result<Self, BadRule> {
        let days = Arc::new(ProgrammeDays::new(&programme)?);
        Ok(Self { programme, days })
    }

    /// Returns the programme itself.
    pub fn programme(&self) -> &Arc<Programme> {
        &self.programme
    }

    /// Returns the slot of a session of this calendar.
    pub fn slot(&self, session: &Session) -> &Slot {
        &self.programme.slots[session.slot]
    }

    /// Lists the sessions on `date` for `listeners`, by start, where no other programme has a holiday.
    pub fn sessions_on(&self, date: NaiveDate, listeners: &Listeners) -> Vec<Session> {
        self.sessions_with(date, listeners, self.days.effects_on(date))
    }

    fn sessions_with(&self, date: NaiveDate, listeners: &Listeners, effects: Effects) -> Vec<Session> {
        let plan = self.days.on_with(date, effects);
        let here =
            plan.due.into_iter().filter(|due| listeners.hear(&self.programme.slots[due.slot].audience));
        let session = |due: DueSlot| {
            let slot = &self.programme.slots[due.slot];
            Session {
                key: SlotKey { slot: slot.id.clone(), date },
                calendar: 0,
                slot: due.slot,
                start: Wall::from_local(date.and_time(slot.start)),
                end: Wall::from_local(date.and_time(slot.start) + slot.length()),
                mourning: plan.mourning,
                notes: due.notes,
            }
        };
        let mut sessions: Vec<_> = here.map(session).collect();
        sessions.sort_by_key(|session| session.start);
        sessions
    }

    /// Fills a session for `listeners`. `rotation` is the index of the item with which a rotating slot goes on; other
    /// orders take no notice of it.
    pub fn fill(&self, session: &Session, listeners: &Listeners, rotation: u32) -> Filling {
        filling::fill(&self.programme, session, listeners, rotation)
    }

    /// Fills the place of a relay that does not sound: the items of its fallback, in turn.
    pub fn fallback(&self, session: &Session, listeners: &Listeners, playlist: &PlaylistId) -> Filling {
        filling::fallback(&self.programme, session, listeners, playlist)
    }
}

/// The programmes in force at once, for instance the province's and the commune's.
#[derive(Debug, Clone, Default)]
pub struct Timetable {
    calendars: Vec<Calendar>,
}

/// Two programmes that use one slot id: their sessions could not be told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct SlotClash {
    pub slot: SlotId,
    pub one: ProgrammeId,
    pub other: ProgrammeId,
}

impl Say for SlotClash {
    fn say(&self) -> Sentence {
        let SlotClash { slot, one, other } = self;
        said!("slot_clash.bad", one, other, slot)
    }
}

impl Timetable {
    /// Puts programmes side by side, the higher authority first.
    ///
    /// # Errors
    /// Names a slot id that two of them use.
    pub fn new(calendars: Vec<Calendar>) -> Result<Self, SlotClash> {
        let mut seen = BTreeMap::new();
        for calendar in &calendars {
            let id = &calendar.programme.id;
            for slot in &calendar.programme.slots {
                if let Some(one) = seen.insert(&slot.id, id) {
                    return Err(SlotClash { slot: slot.id.clone(), one: one.clone(), other: id.clone() });
                }
            }
        }
        Ok(Self { calendars })
    }

    /// Returns the programmes, in their order.
    pub fn calendars(&self) -> &[Calendar] {
        &self.calendars
    }

    /// Returns the calendar of a session of this timetable.
    pub fn calendar(&self, session: &Session) -> &Calendar {
        &self.calendars[session.calendar]
    }

    /// Returns the listeners without the groups and languages that the programmes know nothing of: two boxes that look
    /// the same from here hear the same.
    pub fn seen_from(&self, listeners: &Listeners) -> Listeners {
        let programmes = || self.calendars.iter().map(|calendar| &*calendar.programme);
        let items =
            || programmes().flat_map(|programme| programme.playlists.values().flat_map(|list| &list.items));
        let slots = programmes().flat_map(|programme| &programme.slots);
        let audiences = slots.flat_map(|slot| &slot.audience).chain(items().flat_map(|item| &item.audience));
        let spoken = |wanted: &&String| {
            let tags = |item: &'_ Item| {
                same_language(&item.language, wanted)
                    || item.translations.keys().any(|tag| same_language(tag, wanted))
            };
            items().any(tags)
        };
        Listeners {
            groups: audiences.filter(|group| listeners.groups.contains(*group)).cloned().collect(),
            languages: listeners.languages.iter().filter(spoken).cloned().collect(),
        }
    }

    /// Finds a slot's session on its date for `listeners`.
    pub fn session(&self, key: &SlotKey, listeners: &Listeners) -> Option<Session> {
        self.sessions_on(key.date, listeners).into_iter().find(|session| session.key == *key)
    }

    /// Lists the sessions of all programmes on `date` for `listeners`, by start, those of the higher authority first.
    /// Sessions of different programmes may overlap. A holiday holds for all programmes of its group: a commune may keep
    /// its holidays in a programme of their own.
    pub fn sessions_on(&self, date: NaiveDate, listeners: &Listeners) -> Vec<Session> {
        let mut of_groups: BTreeMap<&GroupId, Effects> = BTreeMap::new();
        for calendar in &self.calendars {
            let effects = of_groups.entry(&calendar.programme.group).or_default();
            *effects = effects.and(calendar.days.effects_on(date));
        }
        let mut sessions = Vec::new();
        for (index, calendar) in self.calendars.iter().enumerate() {
            let effects = of_groups[&calendar.programme.group];
            let here = calendar.sessions_with(date, listeners, effects).into_iter();
            sessions.extend(here.map(|session| Session { calendar: index, ..session }));
        }
        sessions.sort_by_key(|session| session.start);
        sessions
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::programme_file::{Audio, parse};
    use crate::domain::ids::SectionId;
    use crate::domain::playback::NotPlayed;
    use crate::domain::programme::Fill;
    use crate::domain::time::Span;

    const HEAD: &str = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n";

    fn calendar(text: &str) -> Calendar {
        let probe =
            |path: &Path| if path.ends_with("gone.mp3") { Err(String::new().into()) } else { Ok(60_000) };
        let programme = parse(&format!("{HEAD}{text}"), "p.toml", Path::new(""), Audio::WherePresent(&probe));
        Calendar::new(Arc::new(programme.unwrap_or_else(|problems| panic!("{problems}")))).unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn listeners(groups: &[&str], languages: &[&str]) -> Listeners {
        let group = |name: &&str| GroupId::new(*name).unwrap();
        let languages = languages.iter().map(|tag| (*tag).to_owned()).collect();
        Listeners { groups: groups.iter().map(group).collect(), languages }
    }

    fn slot(id: &str, rest: &str) -> String {
        format!("[[slot]]\nid = '{id}'\ntitle = '{id}'\nplaylist = 'l'\n{rest}\n")
    }

    /// Writes a list of files a.mp3, b.mp3, ... of one minute each.
    fn list(items: &[&str]) -> String {
        let item = |rest: &&str| format!("[[playlist.item]]\n{rest}\n");
        format!("[[playlist]]\nid = 'l'\ntitle = 'L'\n{}", items.iter().map(item).collect::<String>())
    }

    const ONE: &str = "title = 'A'\nfile = 'a.mp3'";

    fn check_days(text: &str, groups: &[&str], from: &str, days: u64, expected: &[&str]) {
        let calendar = calendar(text);
        let listeners = listeners(groups, &[]);
        let sessions =
            date(from).iter_days().take(days as usize).flat_map(|day| calendar.sessions_on(day, &listeners));
        let found: Vec<_> = sessions
            .map(|session| {
                let notes =
                    if session.notes.is_empty() { String::new() } else { format!(" {:?}", session.notes) };
                format!("{} {}{notes}", session.start.local().format("%m-%d %H:%M"), session.key.slot)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sessions_come_by_their_days_and_sorted() {
        let text = list(&[ONE])
            + &slot("chieu", "start = '17:00'\nminutes = 30\ndays = ['sat', 'sun']")
            + &slot(
                "sang",
                "start = '05:00'\nminutes = 30\nexcept = ['2026-11-22']\nvalid_until = '2026-11-23'",
            );
        let expected = ["11-21 05:00 sang", "11-21 17:00 chieu", "11-22 17:00 chieu", "11-23 05:00 sang"];
        check_days(&text, &[], "2026-11-21", 5, &expected);
    }

    #[test]
    fn an_audience_hears_its_own() {
        let text = list(&[ONE]) + &slot("s", "start = '05:00'\nminutes = 30\naudience = ['thon-1']");
        check_days(&text, &["thon-1", "xa"], "2026-11-21", 1, &["11-21 05:00 s"]);
        check_days(&text, &["xa"], "2026-11-21", 1, &[]);
    }

    #[test]
    fn a_lunar_30th_is_the_29th_in_a_short_month() {
        // The 10th lunar month of 2026 has 30 days, the 11th 30, the 12th 29: Tết is on 2027-02-06.
        let text = list(&[ONE]) + &slot("s", "start = '05:00'\nminutes = 30\nlunar = ['30/12']");
        check_days(&text, &[], "2027-01-20", 30, &["02-05 05:00 s [LunarThirtieth]"]);
        // 2024-02-09 was a real 30th.
        check_days(&text, &[], "2024-01-20", 30, &["02-09 05:00 s"]);
    }

    const HOLIDAYS: &str = "[[holiday]]\nid = 'tet'\ntitle = 'T'\neffect = 'replace'\nlunar = ['1/1']\nlasts_days = 2\n\
        [[holiday]]\nid = 'tang'\ntitle = 'T'\neffect = 'mourning'\ndates = ['2026-11-22']\n\
        [[holiday]]\nid = 'le'\ntitle = 'L'\neffect = 'add'\nyearly = ['2/9']\n\
        [[holiday]]\nid = 'im'\ntitle = 'I'\neffect = 'silence'\ndates = ['2026-11-24']\n";

    fn with_holidays() -> String {
        let items = [ONE, "title = 'N'\nfile = 'n.mp3'\nkind = 'music'"];
        list(&items)
            + HOLIDAYS
            + &slot("s", "start = '05:00'\nminutes = 30")
            + &slot("t", "start = '06:00'\nminutes = 30\nholiday = 'tet'")
            + &slot("l", "start = '07:00'\nminutes = 30\nholiday = 'le'")
    }

    #[test]
    fn holidays_replace_add_and_silence() {
        let tet = |day: &str| format!("{day} 06:00 t [Holiday(HolidayId(\"tet\"))]");
        let days = ["02-16 05:00 s".to_owned(), tet("02-17"), tet("02-18"), "02-19 05:00 s".to_owned()];
        check_days(&with_holidays(), &[], "2026-02-16", 4, &days.each_ref().map(String::as_str));
        check_days(
            &with_holidays(),
            &[],
            "2026-09-02",
            1,
            &["09-02 05:00 s", "09-02 07:00 l [Holiday(HolidayId(\"le\"))]"],
        );
        check_days(&with_holidays(), &[], "2026-11-23", 3, &["11-23 05:00 s", "11-25 05:00 s"]);
    }

    #[test]
    fn mourning_leaves_out_music_and_says_so() {
        let calendar = calendar(&with_holidays());
        let session = &calendar.sessions_on(date("2026-11-22"), &Listeners::default())[0];
        let filling = calendar.fill(session, &Listeners::default(), 0);
        assert_eq!(filling.pieces.iter().map(|piece| piece.title.as_str()).collect::<Vec<_>>(), ["A"]);
        let left_out = LeftOut { title: "N".to_owned(), section: None, reason: NotPlayed::Mourning };
        assert_eq!(filling.left_out, [left_out]);
    }

    /// Titles (with language and repetition where not plain) of a day's one session.
    fn check_fill(text: &str, at: &str, listeners: &Listeners, rotation: u32, expected: &[&str]) {
        let calendar = calendar(text);
        let session = &calendar.sessions_on(date(at), listeners)[0];
        let shown = |piece: &Piece| match piece.role {
            Role::Opening => "<".to_owned(),
            Role::Closing => ">".to_owned(),
            Role::Item { index } => {
                format!("{index} {} {} {}", piece.title, piece.language, piece.repetition)
            }
        };
        let pieces = calendar.fill(session, listeners, rotation).pieces;
        assert_eq!(pieces.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    fn daily(rest: &str) -> String {
        slot("s", &format!("start = '05:00'\nminutes = 30\n{rest}"))
    }

    #[test]
    fn items_sound_in_turn_between_the_chimes() {
        let items = [ONE, "title = 'B'\nfile = 'b.mp3'\nrepeats = 2\ngap_s = 3\nvalid_until = '2026-11-21'"];
        let text = list(&items) + &daily("opening = 'chime'\nclosing = 'chime'");
        check_fill(
            &text,
            "2026-11-21",
            &Listeners::default(),
            7,
            &["<", "0 A vi 1", "1 B vi 1", "1 B vi 2", ">"],
        );
        check_fill(&text, "2026-11-22", &Listeners::default(), 7, &["<", "0 A vi 1", ">"]);
        let none =
            list(&["title = 'B'\nfile = 'b.mp3'\nvalid_until = '2026-11-21'"]) + &daily("opening = 'chime'");
        check_fill(&none, "2026-11-22", &Listeners::default(), 0, &[]);
    }

    #[test]
    fn a_village_hears_the_languages_it_speaks() {
        let item = "title = 'A'\nfile = 'a.mp3'\n[playlist.item.translations.tay]\ntext = 'b'\n[playlist.item.translations.hmn]\nfile = 'c.mp3'";
        let text = list(&[item]) + &daily("");
        let heard = |languages: &[&str], expected: &[&str]| {
            check_fill(&text, "2026-11-21", &listeners(&[], languages), 0, expected);
        };
        heard(&[], &["0 A vi 1"]);
        heard(&["en"], &["0 A vi 1"]);
        heard(&["tay", "vi-VN", "tay"], &["0 A tay 1", "0 A vi 1"]);
    }

    #[test]
    fn rotation_goes_on_where_it_stopped_though_items_come_and_go() {
        let item = |name: &str, rest: &str| format!("title = '{name}'\nfile = '{name}.mp3'\n{rest}");
        let items = [item("A", ""), item("B", "valid_from = '2026-12-01'"), item("C", "")];
        let text = list(&items.each_ref().map(String::as_str)) + &daily("order = 'rotating'");
        check_fill(&text, "2026-11-21", &Listeners::default(), 1, &["2 C vi 1", "0 A vi 1"]);
        check_fill(&text, "2026-12-01", &Listeners::default(), 4, &["1 B vi 1", "2 C vi 1", "0 A vi 1"]);
    }

    #[test]
    fn shuffling_is_one_order_a_day_for_all() {
        let items: Vec<_> = (0..8).map(|n| format!("title = '{n}'\nfile = '{n}.mp3'")).collect();
        let text = list(&items.iter().map(String::as_str).collect::<Vec<_>>()) + &daily("order = 'shuffled'");
        let calendar = calendar(&text);
        let order = |day: &str, listeners: &Listeners| {
            let session = &calendar.sessions_on(date(day), listeners)[0];
            calendar
                .fill(session, listeners, 0)
                .pieces
                .into_iter()
                .map(|piece| piece.title)
                .collect::<String>()
        };
        let here = Listeners::default();
        assert_eq!(order("2026-11-21", &here), order("2026-11-21", &listeners(&["x"], &["vi"])));
        assert_ne!(order("2026-11-21", &here), order("2026-11-22", &here));
        // Changing this order would make boxes of two versions disagree.
        assert_eq!(order("2026-11-21", &here), "62754130");
    }

    #[test]
    fn nested_lists_are_put_in_place_and_hand_down() {
        let nested = "[[playlist]]\nid = 'n'\ntitle = 'N'\n[[playlist.item]]\ntitle = 'B'\nfile = 'b.mp3'\n\
            [[section]]\nid = 'y-te'\ntitle = 'Y'\n";
        let holder = "playlist = 'n'\nsection = 'y-te'\naudience = ['thon-1']\nresponsible = 'Lan'";
        let text = list(&[ONE, holder, "title = 'C'\nfile = 'c.mp3'"]) + nested + &daily("");
        let heard = ["0 A vi 1", "1 B vi 1", "2 C vi 1"];
        check_fill(&text, "2026-11-21", &listeners(&["thon-1"], &[]), 0, &heard);
        check_fill(&text, "2026-11-21", &Listeners::default(), 0, &["0 A vi 1", "2 C vi 1"]);
        let calendar = calendar(&text);
        let here = listeners(&["thon-1"], &[]);
        let session = &calendar.sessions_on(date("2026-11-21"), &here)[0];
        let piece = &calendar.fill(session, &here, 0).pieces[1];
        assert_eq!(piece.section.as_ref().map(SectionId::as_str), Some("y-te"));
        assert_eq!(piece.responsible.as_deref(), Some("Lan"));
    }

    fn check_cue(fill: Fill, elapsed_s: u64, expected: Option<(usize, u64)>) {
        let items =
            [ONE, "title = 'G'\nfile = 'gone.mp3'", "title = 'B'\nfile = 'b.mp3'\nrepeats = 2\ngap_s = 10"];
        let calendar = calendar(&(list(&items) + &daily("opening = 'chime'\nclosing = 'chime'")));
        let session = &calendar.sessions_on(date("2026-11-21"), &Listeners::default())[0];
        let pieces = calendar.fill(session, &Listeners::default(), 0).pieces;
        let expected = expected.map(|(index, skip)| CuePoint { index, skip: Span::millis(skip) });
        assert_eq!(cue_at(&pieces, fill, Span::secs(elapsed_s)), expected);
    }

    #[test]
    fn joining_enters_where_it_would_be() {
        // Chime 1.2 s, A 60 s, gone 0, B 60 s, gap 10 s, B 60 s, chime 1.2 s.
        check_cue(Fill::Once, 0, Some((0, 0)));
        check_cue(Fill::Once, 1, Some((0, 1_000)));
        check_cue(Fill::Once, 2, Some((1, 800)));
        check_cue(Fill::Once, 62, Some((3, 800)));
        check_cue(Fill::Once, 125, Some((4, 0)));
        check_cue(Fill::Once, 132, Some((4, 800)));
        check_cue(Fill::Once, 192, Some((5, 800)));
        check_cue(Fill::Once, 193, None);
        check_cue(Fill::Loop, 193, Some((1, 1_800)));
        check_cue(Fill::Loop, 193 + 190 * 1_000, Some((1, 1_800)));
    }

    #[test]
    fn a_holiday_holds_for_all_programmes_of_its_group() {
        let days = |group: &str, from: &str, until: &str| {
            let everyday = list(&[ONE]) + &slot("s", "start = '05:00'\nminutes = 30");
            let tet = "[[holiday]]\nid = 'tet'\ntitle = 'T'\neffect = 'replace'\nlunar = ['1/1']\nlasts_days = 2\n\
                [[holiday]]\nid = 'le'\ntitle = 'L'\neffect = 'add'\nyearly = ['20/2']\n\
                [[holiday]]\nid = 'im'\ntitle = 'I'\neffect = 'silence'\nyearly = ['21/2']\n";
            let of_tet = list(&[ONE])
                + tet
                + &slot("t", "start = '06:00'\nminutes = 30\nholiday = 'tet'")
                + &slot("l", "start = '07:00'\nminutes = 30\nholiday = 'le'");
            let second = of_group(&of_tet, "tet", group);
            let timetable = Timetable::new(vec![calendar(&everyday), second]).unwrap();
            let days = date(from).iter_days().take_while(|day| *day <= date(until));
            let sessions = days.flat_map(|day| timetable.sessions_on(day, &Listeners::default()));
            let shown = |it: Session| format!("{} {}", it.start.local().format("%m-%d"), it.key.slot);
            sessions.map(shown).collect::<Vec<_>>()
        };
        let tet = ["02-16 s", "02-17 t", "02-18 t", "02-19 s", "02-20 s", "02-20 l", "02-22 s"];
        assert_eq!(days("xa", "2026-02-16", "2026-02-22"), tet);
        // Another group's holidays are its own.
        assert_eq!(days("thon", "2026-02-16", "2026-02-17"), ["02-16 s", "02-17 s", "02-17 t"]);
    }

    /// Makes a calendar with this id and group.
    fn of_group(text: &str, id: &str, group: &str) -> Calendar {
        let programme = (**calendar(text).programme()).clone();
        let (id, group) = (id.parse().unwrap(), group.parse().unwrap());
        Calendar::new(Arc::new(Programme { id, group, ..programme })).unwrap()
    }

    #[test]
    fn programmes_side_by_side_need_slots_of_their_own() {
        let text = |slot_id: &str, start: &str| {
            list(&[ONE]) + &slot(slot_id, &format!("start = '{start}'\nminutes = 30"))
        };
        let (one, other) = (calendar(&text("a", "06:00")), calendar(&text("b", "05:00")));
        let timetable = Timetable::new(vec![one.clone(), other]).unwrap();
        let sessions = timetable.sessions_on(date("2026-11-21"), &Listeners::default());
        let found: Vec<_> =
            sessions.iter().map(|session| (session.calendar, session.key.slot.as_str())).collect();
        assert_eq!(found, [(1, "b"), (0, "a")]);
        assert!(Timetable::new(vec![one.clone(), one]).is_err());
    }
}
