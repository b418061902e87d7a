//! What a programme has for a date and a place: sessions, and the pieces that fill them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use crate::domain::announcement::Interruption;
use crate::domain::days::{DayNote, DueSlot, ProgrammeDays, validity};
use crate::domain::ids::{CampaignId, GroupId, PlaylistId, ProgrammeId, SectionId, SlotId};
use crate::domain::playback::{NotPlayed, SlotKey};
use crate::domain::programme::{Content, Fill, Item, ItemKind, Order, Playlist, Programme, Slot};
use crate::domain::recurrence::BadRule;
use crate::domain::sound::{FileRef, Pattern, Sound};
use crate::domain::time::{Span, Wall};
use crate::said;
use crate::texts::{Say, Sentence};

/// What a box is to a programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// All groups that it is in, those above them included.
    pub groups: BTreeSet<GroupId>,
    /// BCP 47 tags of the languages that its village hears, in turn; empty for each item's own.
    pub languages: Vec<String>,
}

impl Place {
    /// Whether something for `audience` is for this place; an empty audience is everybody.
    pub fn hears(&self, audience: &[GroupId]) -> bool {
        audience.is_empty() || audience.iter().any(|group| self.groups.contains(group))
    }
}

/// A slot on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub key: SlotKey,
    /// Index of the calendar in its [`Timetable`]; 0 for a calendar alone.
    pub calendar: usize,
    /// Index in [`Programme::slots`].
    pub slot: usize,
    pub start: Wall,
    /// Hard end.
    pub end: Wall,
    /// Music is left out.
    pub mourning: bool,
    pub notes: Vec<DayNote>,
}

impl Session {
    /// From start to hard end.
    pub fn length(&self) -> Span {
        self.end.since(self.start)
    }
}

/// What a piece is in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Opening,
    /// The `index`-th item of the playlist with its nested lists in place, whatever the order of the day. After it
    /// has finished, a rotating slot goes on at `index + 1`.
    Item {
        index: u32,
    },
    Closing,
}

/// One thing to sound, from start to end.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub title: String,
    pub sound: Sound,
    pub role: Role,
    pub kind: ItemKind,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    pub language: String,
    pub responsible: Option<String>,
    /// Which repetition of the item this is, from 1.
    pub repetition: u32,
    /// Silence before it.
    pub gap: Span,
    pub gain_db: f32,
    pub interruption: Interruption,
    pub length: Length,
    /// What sounds where a relay does not.
    pub fallback: Option<PlaylistId>,
}

/// How long a piece takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Measured, or set by a pattern or a relay's minutes.
    Known(Span),
    /// Reckoned from the number of words.
    About(Span),
    /// A file that could not be opened when the programme was read.
    Unknown,
    /// A relay that lasts until the hard end.
    UntilEnd,
}

impl Length {
    /// The length, where there is any idea of it.
    pub fn span(self) -> Option<Span> {
        match self {
            Length::Known(span) | Length::About(span) => Some(span),
            Length::Unknown | Length::UntilEnd => None,
        }
    }
}

/// What fills a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filling {
    /// In turn: the opening, the items once through, the closing. Empty where no item is left.
    pub pieces: Vec<Piece>,
    /// What would have been here on another day.
    pub left_out: Vec<LeftOut>,
}

/// An item that the day leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub title: String,
    pub section: Option<SectionId>,
    pub reason: NotPlayed,
}

/// Where to enter a filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPoint {
    /// Index of the piece.
    pub index: usize,
    /// How far into it; a relay is to last so much shorter.
    pub skip: Span,
}

/// Where a filling would be `elapsed` after its start, or `None` where it would be over. Gaps count; a file of
/// unknown length counts as nothing; with [`Fill::Loop`] the items go round until the end.
pub fn entry_at(pieces: &[Piece], fill: Fill, elapsed: Span) -> Option<EntryPoint> {
    let is_item = |piece: &Piece| matches!(piece.role, Role::Item { .. });
    let opening = pieces.iter().take_while(|piece| piece.role == Role::Opening).count();
    let mut left = elapsed;
    if let Some(found) = walk(&pieces[..opening], 0, &mut left) {
        return Some(found);
    }
    let items = pieces[opening..].iter().take_while(|piece| is_item(piece)).count();
    let after = opening + items;
    if fill == Fill::Loop {
        let round: Option<u64> =
            pieces[opening..after].iter().map(|piece| whole(piece).map(|span| span.0)).sum();
        match round {
            Some(0) => return None,
            Some(round) => left = Span(left.0 % round),
            // Something in it lasts until the end: the first round never ends.
            None => {}
        }
    }
    walk(&pieces[opening..after], opening, &mut left).or_else(|| walk(&pieces[after..], after, &mut left))
}

/// How long a piece takes with its gap; `None` for one that ends only with the session.
fn whole(piece: &Piece) -> Option<Span> {
    (piece.length != Length::UntilEnd).then(|| piece.length.span().map_or(Span(0), |span| piece.gap + span))
}

fn walk(pieces: &[Piece], first: usize, left: &mut Span) -> Option<EntryPoint> {
    for (index, piece) in pieces.iter().enumerate() {
        match whole(piece) {
            Some(whole) if whole <= *left => *left = left.saturating_sub(whole),
            _ => return Some(EntryPoint { index: first + index, skip: left.saturating_sub(piece.gap) }),
        }
    }
    None
}

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
    /// A recurrence rule that can't be read; a programme from [`crate::config::programme_file`] has none.
    pub fn new(programme: Arc<Programme>) -> Result<Self, BadRule> {
        let days = Arc::new(ProgrammeDays::new(&programme)?);
        Ok(Self { programme, days })
    }

    /// The programme itself.
    pub fn programme(&self) -> &Arc<Programme> {
        &self.programme
    }

    /// The slot of a session of this calendar.
    pub fn slot(&self, session: &Session) -> &Slot {
        &self.programme.slots[session.slot]
    }

    /// What sounds on `date` at `place`, by start.
    pub fn sessions_on(&self, date: NaiveDate, place: &Place) -> Vec<Session> {
        let plan = self.days.on(date);
        let here = plan.due.into_iter().filter(|due| place.hears(&self.programme.slots[due.slot].audience));
        let session = |due: DueSlot| {
            let slot = &self.programme.slots[due.slot];
            Session {
                key: SlotKey { slot: slot.id.clone(), date },
                calendar: 0,
                slot: due.slot,
                start: Wall::from_local(date.and_time(slot.start)),
                end: Wall::from_local(date.and_time(slot.end)),
                mourning: plan.mourning,
                notes: due.notes,
            }
        };
        let mut sessions: Vec<_> = here.map(session).collect();
        sessions.sort_by_key(|session| session.start);
        sessions
    }

    /// What fills a session at a place. `rotation` is the index of the item with which a rotating slot goes on; other
    /// orders take no notice of it.
    pub fn fill(&self, session: &Session, place: &Place, rotation: u32) -> Filling {
        let slot = self.slot(session);
        let Some(playlist) = self.programme.playlists.get(&slot.playlist) else { return Filling::default() };
        let mut filling = self.filling(playlist, session, place, rotation);
        if filling.pieces.is_empty() {
            return filling;
        }
        if let Some(pattern) = &slot.opening {
            filling.pieces.insert(0, signal(slot, pattern, Role::Opening));
        }
        if let Some(pattern) = &slot.closing {
            filling.pieces.push(signal(slot, pattern, Role::Closing));
        }
        filling
    }

    /// What sounds in the place of a relay that does not: the items of its fallback, in turn.
    pub fn fallback(&self, session: &Session, place: &Place, playlist: &PlaylistId) -> Filling {
        let playlist = self.programme.playlists.get(playlist);
        playlist.map(|playlist| self.filling(playlist, session, place, 0)).unwrap_or_default()
    }

    fn filling(&self, playlist: &Playlist, session: &Session, place: &Place, rotation: u32) -> Filling {
        let slot = self.slot(session);
        let mut leaves = Vec::new();
        self.expand(playlist, &mut Vec::new(), &mut leaves);
        let count = leaves.len();
        let mut leaves: Vec<_> = leaves.into_iter().enumerate().collect();
        match slot.order {
            Order::InTurn => {}
            Order::Rotating => leaves.rotate_left(rotation as usize % count.max(1)),
            Order::Shuffled => shuffle(&mut leaves, &session.key),
        }
        let mut filling = Filling::default();
        for (index, leaf) in leaves {
            if !self.is_due(&leaf, session.key.date, place) {
                continue;
            }
            if session.mourning && leaf.is_music() {
                filling.left_out.push(LeftOut {
                    title: leaf.item.title.clone(),
                    section: leaf.first(|item| item.section.as_ref(), slot.section.as_ref()),
                    reason: NotPlayed::Mourning,
                });
                continue;
            }
            pieces_of(&leaf, index as u32, slot, place, &mut filling.pieces);
        }
        filling
    }

    /// Puts nested lists in place. Cycles are refused when a programme is read.
    fn expand<'p>(&'p self, playlist: &'p Playlist, holders: &mut Vec<&'p Item>, leaves: &mut Vec<Leaf<'p>>) {
        for item in &playlist.items {
            match &item.content {
                Content::Playlist(id) => {
                    if let Some(nested) = self.programme.playlists.get(id) {
                        holders.push(item);
                        self.expand(nested, holders, leaves);
                        holders.pop();
                    }
                }
                _ => leaves.push(Leaf { item, holders: holders.clone() }),
            }
        }
    }

    fn is_due(&self, leaf: &Leaf<'_>, date: NaiveDate, place: &Place) -> bool {
        leaf.upwards().all(|item| {
            let campaign = item.campaign.as_ref().and_then(|id| self.programme.campaigns.get(id));
            let (from, until) = validity(item.valid_from, item.valid_until, campaign);
            (from..=until).contains(&date) && place.hears(&item.audience)
        })
    }
}

/// An item that sounds, and the items that stand for the lists it is in, outermost first.
struct Leaf<'p> {
    item: &'p Item,
    holders: Vec<&'p Item>,
}

impl<'p> Leaf<'p> {
    /// The item, then its holders from the innermost.
    fn upwards(&self) -> impl Iterator<Item = &'p Item> + '_ {
        std::iter::once(self.item).chain(self.holders.iter().rev().copied())
    }

    /// What the item itself says, or the innermost list that says anything, or the slot.
    fn first<T: Clone + 'p>(&self, of: impl Fn(&'p Item) -> Option<&'p T>, slot: Option<&'p T>) -> Option<T> {
        self.upwards().find_map(of).or(slot).cloned()
    }

    fn is_music(&self) -> bool {
        self.upwards().any(|item| item.kind == ItemKind::Music)
    }
}

/// The pieces of an item: each repetition in each language that the place hears.
fn pieces_of<'p>(leaf: &Leaf<'p>, index: u32, slot: &'p Slot, place: &Place, pieces: &mut Vec<Piece>) {
    let item = leaf.item;
    for repetition in 1..=u32::from(item.repeats.max(1)) {
        for (nth, (language, content)) in versions(item, &place.languages).into_iter().enumerate() {
            let Some((sound, length, fallback)) = sound_of(content, language) else { continue };
            pieces.push(Piece {
                title: item.title.clone(),
                sound,
                role: Role::Item { index },
                kind: if leaf.is_music() { ItemKind::Music } else { ItemKind::Speech },
                section: leaf.first(|item| item.section.as_ref(), slot.section.as_ref()),
                campaign: leaf.first(|item| item.campaign.as_ref(), slot.campaign.as_ref()),
                language: language.to_owned(),
                responsible: leaf.first(|item| item.responsible.as_ref(), None),
                repetition,
                gap: if repetition > 1 && nth == 0 { Span::secs(item.gap_s.into()) } else { Span(0) },
                gain_db: item.gain_db,
                interruption: item.interruption.unwrap_or(slot.interruption),
                length,
                fallback,
            });
        }
    }
}

/// The versions of an item that a place hears: each of its languages that the item has, else the main one.
fn versions<'i>(item: &'i Item, languages: &[String]) -> Vec<(&'i str, &'i Content)> {
    let main = (item.language.as_str(), &item.content);
    let all = || {
        std::iter::once(main).chain(item.translations.iter().map(|(tag, content)| (tag.as_str(), content)))
    };
    let heard = languages.iter().filter_map(|wanted| all().find(|(tag, _)| same_language(tag, wanted)));
    let mut versions: Vec<(&str, &Content)> = Vec::new();
    for version in heard {
        if !versions.iter().any(|(tag, _)| *tag == version.0) {
            versions.push(version);
        }
    }
    if versions.is_empty() { vec![main] } else { versions }
}

/// Whether two tags name one language, regions apart: `vi` and `vi-VN`.
fn same_language(a: &str, b: &str) -> bool {
    fn primary(tag: &str) -> &str {
        tag.split('-').next().unwrap_or(tag)
    }
    primary(a).eq_ignore_ascii_case(primary(b))
}

/// What sounds of a content, `None` for a list.
fn sound_of(content: &Content, language: &str) -> Option<(Sound, Length, Option<PlaylistId>)> {
    Some(match content {
        Content::File { path, ms } => {
            let length = ms.map_or(Length::Unknown, |ms| Length::Known(Span::millis(ms.into())));
            (Sound::File(FileRef::Path(path.clone())), length, None)
        }
        Content::Text { text, ms } => {
            let sound = Sound::Text { text: text.clone(), language: language.to_owned() };
            (sound, Length::About(Span::millis((*ms).into())), None)
        }
        Content::Relay { url, minutes, fallback } => {
            let length = minutes
                .map_or(Length::UntilEnd, |minutes| Length::Known(Span::secs(60 * u64::from(minutes))));
            (Sound::Relay { url: url.clone() }, length, fallback.clone())
        }
        Content::Playlist(_) => return None,
    })
}

/// The piece of a chime.
fn signal(slot: &Slot, pattern: &Pattern, role: Role) -> Piece {
    Piece {
        title: slot.title.clone(),
        length: Length::Known(pattern.length()),
        sound: Sound::Pattern(pattern.clone()),
        role,
        kind: ItemKind::Speech,
        section: slot.section.clone(),
        campaign: slot.campaign.clone(),
        language: String::new(),
        responsible: None,
        repetition: 1,
        gap: Span(0),
        gain_db: 0.0,
        interruption: Interruption::Drop,
        fallback: None,
    }
}

/// Shuffles by slot and date alone, so that all boxes have the same order.
fn shuffle<T>(things: &mut [T], key: &SlotKey) {
    let mut seed = key
        .slot
        .as_str()
        .bytes()
        .fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    seed ^= u64::from(key.date.num_days_from_ce().unsigned_abs());
    for end in (1..things.len()).rev() {
        // The bias of a remainder is below 2^-50 for any list that is accepted.
        things.swap(end, (split_mix(&mut seed) % (end as u64 + 1)) as usize);
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
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

    /// The programmes, in their order.
    pub fn calendars(&self) -> &[Calendar] {
        &self.calendars
    }

    /// The calendar of a session of this timetable.
    pub fn calendar(&self, session: &Session) -> &Calendar {
        &self.calendars[session.calendar]
    }

    /// A place without the groups and languages that the programmes know nothing of: two boxes that look the same from
    /// here hear the same.
    pub fn seen_from(&self, place: &Place) -> Place {
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
        Place {
            groups: audiences.filter(|group| place.groups.contains(*group)).cloned().collect(),
            languages: place.languages.iter().filter(spoken).cloned().collect(),
        }
    }

    /// The sessions of all programmes on `date` at `place`, by start, those of the higher authority first. Sessions of
    /// different programmes may overlap.
    pub fn sessions_on(&self, date: NaiveDate, place: &Place) -> Vec<Session> {
        let mut sessions = Vec::new();
        for (index, calendar) in self.calendars.iter().enumerate() {
            let here = calendar.sessions_on(date, place).into_iter();
            sessions.extend(here.map(|session| Session { calendar: index, ..session }));
        }
        sessions.sort_by_key(|session| session.start);
        sessions
    }

    /// The next session at `place` that starts after `after`, at most `days_max` days away.
    pub fn next_session(&self, after: Wall, place: &Place, days_max: u32) -> Option<Session> {
        let days = after.date().iter_days().take(days_max as usize + 1);
        days.flat_map(|date| self.sessions_on(date, place)).find(|session| session.start > after)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::programme_file::{Audio, parse};

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

    fn place(groups: &[&str], languages: &[&str]) -> Place {
        let group = |name: &&str| GroupId::new(*name).unwrap();
        let languages = languages.iter().map(|tag| (*tag).to_owned()).collect();
        Place { groups: groups.iter().map(group).collect(), languages }
    }

    fn slot(id: &str, rest: &str) -> String {
        format!("[[slot]]\nid = '{id}'\ntitle = '{id}'\nplaylist = 'l'\n{rest}\n")
    }

    /// A list of files a.mp3, b.mp3, ... of one minute each.
    fn list(items: &[&str]) -> String {
        let item = |rest: &&str| format!("[[playlist.item]]\n{rest}\n");
        format!("[[playlist]]\nid = 'l'\ntitle = 'L'\n{}", items.iter().map(item).collect::<String>())
    }

    const ONE: &str = "title = 'A'\nfile = 'a.mp3'";

    fn check_days(text: &str, groups: &[&str], from: &str, days: u64, expected: &[&str]) {
        let calendar = calendar(text);
        let place = place(groups, &[]);
        let sessions =
            date(from).iter_days().take(days as usize).flat_map(|day| calendar.sessions_on(day, &place));
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
        let session = &calendar.sessions_on(date("2026-11-22"), &Place::default())[0];
        let filling = calendar.fill(session, &Place::default(), 0);
        assert_eq!(filling.pieces.iter().map(|piece| piece.title.as_str()).collect::<Vec<_>>(), ["A"]);
        let left_out = LeftOut { title: "N".to_owned(), section: None, reason: NotPlayed::Mourning };
        assert_eq!(filling.left_out, [left_out]);
    }

    /// Titles (with language and repetition where not plain) of a day's one session.
    fn check_fill(text: &str, at: &str, place: &Place, rotation: u32, expected: &[&str]) {
        let calendar = calendar(text);
        let session = &calendar.sessions_on(date(at), place)[0];
        let shown = |piece: &Piece| match piece.role {
            Role::Opening => "<".to_owned(),
            Role::Closing => ">".to_owned(),
            Role::Item { index } => {
                format!("{index} {} {} {}", piece.title, piece.language, piece.repetition)
            }
        };
        let pieces = calendar.fill(session, place, rotation).pieces;
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
            &Place::default(),
            7,
            &["<", "0 A vi 1", "1 B vi 1", "1 B vi 2", ">"],
        );
        check_fill(&text, "2026-11-22", &Place::default(), 7, &["<", "0 A vi 1", ">"]);
        let none =
            list(&["title = 'B'\nfile = 'b.mp3'\nvalid_until = '2026-11-21'"]) + &daily("opening = 'chime'");
        check_fill(&none, "2026-11-22", &Place::default(), 0, &[]);
    }

    #[test]
    fn a_village_hears_the_languages_it_speaks() {
        let item = "title = 'A'\nfile = 'a.mp3'\n[playlist.item.translations.tay]\ntext = 'b'\n[playlist.item.translations.hmn]\nfile = 'c.mp3'";
        let text = list(&[item]) + &daily("");
        let heard = |languages: &[&str], expected: &[&str]| {
            check_fill(&text, "2026-11-21", &place(&[], languages), 0, expected);
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
        check_fill(&text, "2026-11-21", &Place::default(), 1, &["2 C vi 1", "0 A vi 1"]);
        check_fill(&text, "2026-12-01", &Place::default(), 4, &["1 B vi 1", "2 C vi 1", "0 A vi 1"]);
    }

    #[test]
    fn shuffling_is_one_order_a_day_for_all() {
        let items: Vec<_> = (0..8).map(|n| format!("title = '{n}'\nfile = '{n}.mp3'")).collect();
        let text = list(&items.iter().map(String::as_str).collect::<Vec<_>>()) + &daily("order = 'shuffled'");
        let calendar = calendar(&text);
        let order = |day: &str, place: &Place| {
            let session = &calendar.sessions_on(date(day), place)[0];
            calendar.fill(session, place, 0).pieces.into_iter().map(|piece| piece.title).collect::<String>()
        };
        let here = Place::default();
        assert_eq!(order("2026-11-21", &here), order("2026-11-21", &place(&["x"], &["vi"])));
        assert_ne!(order("2026-11-21", &here), order("2026-11-22", &here));
        // Changing this order would make boxes of two versions disagree.
        assert_eq!(order("2026-11-21", &here), "62754130");
    }

    #[test]
    fn nested_lists_are_put_in_place_and_hand_down() {
        let nested = "[[playlist]]\nid = 'n'\ntitle = 'N'\n[[playlist.item]]\ntitle = 'B'\nfile = 'b.mp3'\n\
            [[section]]\nid = 'y-te'\ntitle = 'Y'\n";
        let holder = "playlist = 'n'\nsection = 'y-te'\naudience = ['thon-1']\nresponsible = 'Lan'";
        let text = list(&[ONE, holder]) + nested + &daily("");
        check_fill(&text, "2026-11-21", &place(&["thon-1"], &[]), 0, &["0 A vi 1", "1 B vi 1"]);
        check_fill(&text, "2026-11-21", &Place::default(), 0, &["0 A vi 1"]);
        let calendar = calendar(&text);
        let here = place(&["thon-1"], &[]);
        let session = &calendar.sessions_on(date("2026-11-21"), &here)[0];
        let piece = &calendar.fill(session, &here, 0).pieces[1];
        assert_eq!(piece.section.as_ref().map(SectionId::as_str), Some("y-te"));
        assert_eq!(piece.responsible.as_deref(), Some("Lan"));
    }

    fn check_entry(fill: Fill, elapsed_s: u64, expected: Option<(usize, u64)>) {
        let items =
            [ONE, "title = 'G'\nfile = 'gone.mp3'", "title = 'B'\nfile = 'b.mp3'\nrepeats = 2\ngap_s = 10"];
        let calendar = calendar(&(list(&items) + &daily("opening = 'chime'\nclosing = 'chime'")));
        let session = &calendar.sessions_on(date("2026-11-21"), &Place::default())[0];
        let pieces = calendar.fill(session, &Place::default(), 0).pieces;
        let expected = expected.map(|(index, skip)| EntryPoint { index, skip: Span::millis(skip) });
        assert_eq!(entry_at(&pieces, fill, Span::secs(elapsed_s)), expected);
    }

    #[test]
    fn joining_enters_where_it_would_be() {
        // Chime 1.2 s, A 60 s, gone 0, B 60 s, gap 10 s, B 60 s, chime 1.2 s.
        check_entry(Fill::Once, 0, Some((0, 0)));
        check_entry(Fill::Once, 1, Some((0, 1_000)));
        check_entry(Fill::Once, 2, Some((1, 800)));
        check_entry(Fill::Once, 62, Some((3, 800)));
        check_entry(Fill::Once, 125, Some((4, 0)));
        check_entry(Fill::Once, 132, Some((4, 800)));
        check_entry(Fill::Once, 192, Some((5, 800)));
        check_entry(Fill::Once, 193, None);
        check_entry(Fill::Loop, 193, Some((1, 1_800)));
        check_entry(Fill::Loop, 193 + 190 * 1_000, Some((1, 1_800)));
    }

    #[test]
    fn programmes_side_by_side_need_slots_of_their_own() {
        let text = |slot_id: &str, start: &str| {
            list(&[ONE]) + &slot(slot_id, &format!("start = '{start}'\nminutes = 30"))
        };
        let (one, other) = (calendar(&text("a", "06:00")), calendar(&text("b", "05:00")));
        let timetable = Timetable::new(vec![one.clone(), other]).unwrap();
        let sessions = timetable.sessions_on(date("2026-11-21"), &Place::default());
        let found: Vec<_> =
            sessions.iter().map(|session| (session.calendar, session.key.slot.as_str())).collect();
        assert_eq!(found, [(1, "b"), (0, "a")]);
        let next = timetable.next_session(sessions[1].start, &Place::default(), 3).unwrap();
        assert_eq!(next.start.local().to_string(), "2026-11-22 05:00:00");
        assert!(Timetable::new(vec![one.clone(), one]).is_err());
    }
}
