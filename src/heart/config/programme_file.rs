//! A programme's TOML file to a checked [`Programme`].

use crate::said;
use crate::texts::{Say, Sentence};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use chrono::NaiveTime;

use super::day_rules::{calendar_rules, days, times, validity};
use super::fields::{Fields, Reader, Value};
use super::problem::{Problem, Problems};
use super::{m3u8, programme_check};
use crate::domain::announcement::Interruption;
use crate::domain::ids::{GroupId, HolidayId, PlaylistId, ProgrammeId, SlotId};
use crate::domain::programme::*;
use crate::domain::sound::{Pattern, Tone};

/// Opens an audio file and tells its length in milliseconds, 0 where only playing it would tell.
pub type Probe<'a> = dyn Fn(&Path) -> Result<u32, Sentence> + 'a;

/// What is done about the audio files that a programme names.
#[derive(Clone, Copy)]
pub enum Audio<'a> {
    /// They are opened; one that can't be is a problem. For people who write a programme.
    Required(&'a Probe<'a>),
    /// They are opened where they can be. For a box, which plays what it has.
    WherePresent(&'a Probe<'a>),
    /// They are not looked at.
    Unseen,
}

/// Most bytes of a programme file.
pub const PROGRAMME_BYTES_MAX: u64 = 1 << 20;

/// Reads a programme from a file; the audio and playlists that it names are sought beside it.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path, audio: Audio<'_>) -> Result<Programme, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, PROGRAMME_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")), audio)
}

/// The text of a file that is not larger than `bytes_max`, or what is wrong and what to do.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Sentence> {
    let cant_read = |error: std::io::Error| said!("problem.cant_read", error);
    let bytes = std::fs::metadata(path).map_err(cant_read)?.len();
    if bytes > bytes_max {
        return Err(said!("problem.large", bytes, max = bytes_max));
    }
    let bytes = std::fs::read(path).map_err(cant_read)?;
    String::from_utf8(bytes).map_err(|_| said!("problem.no_utf8"))
}

/// Reads a programme from its text. Audio and playlists are sought in `base`; `file` names the text in problems.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str, file: &str, base: &Path, audio: Audio<'_>) -> Result<Programme, Problems> {
    let (reader, table) = Reader::new(file, text);
    let mut parser = Parser { reader: &reader, base, audio, places: Places::default() };
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
/// All that is wrong with it, or that it is not one slot.
pub fn parse_slot(text: &str) -> Result<Slot, Problems> {
    let (reader, table) = Reader::new("slot", text);
    let mut parser =
        Parser { reader: &reader, base: Path::new(""), audio: Audio::Unseen, places: Places::default() };
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

/// Where things stand in the text, for problems that show only when all of it is known.
#[derive(Default)]
pub(super) struct Places {
    /// By index of the slot.
    pub slots: Vec<usize>,
    pub playlists: BTreeMap<PlaylistId, usize>,
    pub holidays: BTreeMap<HolidayId, usize>,
    /// Each name of something else: where, under which key, of what kind, the name.
    pub names: Vec<Name>,
}

/// A mention of something by its name.
pub(super) struct Name {
    pub at: usize,
    pub key: String,
    pub of: NameOf,
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameOf {
    Section,
    Campaign,
    Playlist,
    Holiday,
}

struct Parser<'p> {
    reader: &'p Reader<'p>,
    base: &'p Path,
    audio: Audio<'p>,
    places: Places,
}

impl<'p> Parser<'p> {
    /// `None` only where problems were noted.
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

    fn playlist(&mut self, mut fields: Fields<'p>) -> Option<Playlist> {
        let at = fields.at;
        let id: Option<PlaylistId> = fields.need("id").and_then(|value| value.parse());
        let title = fields.need("title").and_then(|value| value.words());
        let m3u8_kind = fields.get("m3u8_kind").and_then(|value| value.choice(&KINDS));
        let mut items = match fields.get("m3u8") {
            Some(value) => self.m3u8(&value, m3u8_kind.unwrap_or(ItemKind::Music)).unwrap_or_default(),
            None => Vec::new(),
        };
        items.extend(fields.tables("item").into_iter().filter_map(|fields| self.item(fields)));
        if items.is_empty() && self.reader.is_clean() {
            fields.problem(said!("problem.empty_playlist"));
        }
        fields.finish();
        if let Some(id) = &id {
            self.places.playlists.insert(id.clone(), at);
        }
        Some(Playlist { id: id?, title: title?.to_owned(), items })
    }

    /// M3U8 knows no kinds; what is exchanged in it is music unless the programme says otherwise.
    fn m3u8(&mut self, value: &Value<'p>, kind: ItemKind) -> Option<Vec<Item>> {
        let path = self.path(value)?;
        let read = read_text(&path, PROGRAMME_BYTES_MAX).map_err(|wrong| {
            value.problem(said!("problem.of_named_file", path = path.display(), wrong));
        });
        let file = path.display().to_string();
        let inside = Path::new(value.text()?).parent().unwrap_or(Path::new(""));
        let entries = match m3u8::parse(&read.ok()?, &file, inside) {
            Ok(entries) => entries,
            Err(problems) => {
                self.reader.append(problems);
                return None;
            }
        };
        let mut items = Vec::new();
        for (line, mut item) in entries.iter().map(|entry| entry.line).zip(items_of(entries.clone())) {
            item.kind = kind;
            if let Content::File { path, ms } = &mut item.content {
                *path = self.base.join(&*path);
                match self.length(path) {
                    Ok(length) => *ms = length.or(*ms),
                    Err(why) => self.reader.append(entry_problem(&file, line, path, &why).into()),
                }
            }
            items.push(item);
        }
        Some(items)
    }

    fn item(&mut self, mut fields: Fields<'p>) -> Option<Item> {
        let title = words(&mut fields, "title");
        let content = self.content(&mut fields)?;
        let nested = matches!(content, Content::Playlist(_));
        if title.is_none() && !nested && self.reader.is_clean() {
            fields.problem(said!("problem.no_title"));
        }
        let kind = fields.get("kind").map_or(Some(ItemKind::Speech), |value| value.choice(&KINDS));
        let (valid_from, valid_until) = validity(&mut fields);
        let (section, campaign) =
            (self.named(&mut fields, NameOf::Section), self.named(&mut fields, NameOf::Campaign));
        let responsible = words(&mut fields, "responsible");
        let licence = words(&mut fields, "licence");
        let audience = audience(&mut fields);
        let plain = plain_item(title.unwrap_or_default(), content);
        let item = Item {
            kind: kind?,
            valid_from,
            valid_until,
            section,
            campaign,
            responsible,
            licence,
            audience,
            ..plain
        };
        let item = if nested { item } else { self.sounding(&mut fields, item)? };
        fields.finish();
        Some(item)
    }

    /// What only an item that itself sounds can have.
    fn sounding(&mut self, fields: &mut Fields<'p>, item: Item) -> Option<Item> {
        let language = fields.get("language").map_or(Some("vi".to_owned()), |value| language(&value));
        let interruption = interruption(fields);
        let repeats = fields.get("repeats").map_or(Some(1), |value| value.integer(1..=100));
        let gap_s = fields.get("gap_s").map_or(Some(0), |value| value.integer(0..=3_600));
        let gain_db = fields.get("gain_db").map_or(Some(0.0), |value| value.number(-40.0..=12.0));
        let mut translations = BTreeMap::new();
        if let Some(mut table) = fields.get("translations").and_then(|value| value.table()) {
            for name in table.names() {
                let Some(mut fields) = table.any(name).and_then(|value| value.table()) else { continue };
                if !is_language(name) {
                    fields.problem(said!("problem.no_language", tag = name.escape_debug()));
                }
                match self.content(&mut fields) {
                    Some(content @ (Content::File { .. } | Content::Text { .. })) => {
                        translations.insert(name.to_owned(), content);
                    }
                    Some(_) => fields.problem(said!("problem.translation")),
                    None => {}
                }
                fields.finish();
            }
        }
        Some(Item {
            language: language?,
            interruption,
            repeats: repeats?,
            gap_s: gap_s?,
            gain_db: gain_db?,
            translations,
            ..item
        })
    }

    /// The one of `file`, `text`, `relay` and `playlist` that is there.
    fn content(&mut self, fields: &mut Fields<'p>) -> Option<Content> {
        let file = fields.get("file");
        let text = fields.get("text");
        let relay = fields.get("relay");
        let playlist = self.name_value(fields, "playlist", NameOf::Playlist);
        match (file, text, relay, playlist) {
            (Some(value), None, None, None) => {
                let path = self.path(&value)?;
                let ms = self.length(&path).unwrap_or_else(|why| {
                    value.problem(said!("problem.cant_play", path = path.display(), why));
                    None
                });
                Some(Content::File { path, ms })
            }
            (None, Some(value), None, None) => {
                let text = value.words()?.to_owned();
                Some(Content::Text { ms: speech_ms(&text), text })
            }
            (None, None, Some(value), None) => {
                let url = value.text()?;
                if !(url.starts_with("http://") || url.starts_with("https://")) {
                    value.problem(said!("problem.no_stream", url = url.escape_debug()));
                }
                let minutes = fields.get("minutes").and_then(|value| value.integer(1..=1_440));
                let fallback = self.name_value(fields, "fallback", NameOf::Playlist);
                let fallback = fallback.and_then(|value| value.parse());
                Some(Content::Relay { url: url.to_owned(), minutes, fallback })
            }
            (None, None, None, Some(value)) => value.parse().map(Content::Playlist),
            (None, None, None, None) => {
                fields.problem(said!("problem.nothing_to_sound"));
                None
            }
            _ => {
                fields.problem(said!("problem.too_much_to_sound"));
                None
            }
        }
    }

    /// A path beside the programme.
    fn path(&self, value: &Value<'p>) -> Option<PathBuf> {
        let path = Path::new(value.words()?);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            value.problem(said!("problem.leads_away", path = path.display()));
            return None;
        }
        Some(self.base.join(path))
    }

    fn length(&self, path: &Path) -> Result<Option<u32>, Sentence> {
        let known = |ms: u32| (ms > 0).then_some(ms);
        match self.audio {
            Audio::Required(probe) => probe(path).map(known),
            Audio::WherePresent(probe) => Ok(probe(path).ok().and_then(known)),
            Audio::Unseen => Ok(None),
        }
    }

    /// The slots of a table: one for each start.
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

    /// A slot without its times.
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

    /// The name of a section, campaign or holiday under the key of that name.
    fn named<T: std::str::FromStr<Err: Say>>(&mut self, fields: &mut Fields<'p>, of: NameOf) -> Option<T> {
        let key = match of {
            NameOf::Section => "section",
            NameOf::Campaign => "campaign",
            NameOf::Holiday => "holiday",
            NameOf::Playlist => "playlist",
        };
        self.name_value(fields, key, of)?.parse()
    }

    /// A value that names something else; that it is there is checked when all of the file is known.
    fn name_value(&mut self, fields: &mut Fields<'p>, key: &'static str, of: NameOf) -> Option<Value<'p>> {
        let value = fields.get(key)?;
        if value.is_text() {
            let name = value.text()?.to_owned();
            self.places.names.push(Name { at: value.at, key: value.key.clone(), of, name });
        }
        Some(value)
    }
}

/// The entries of an M3U8 playlist as items: music, as what is exchanged in this form mostly is.
pub fn items_of(entries: Vec<m3u8::Entry>) -> Vec<Item> {
    let content = |source, ms: Option<u32>| match source {
        m3u8::Source::File(path) => Content::File { path, ms },
        m3u8::Source::Stream(url) => {
            Content::Relay { url, minutes: ms.map(|ms| ms.div_ceil(60_000)), fallback: None }
        }
    };
    let item = |entry: m3u8::Entry| Item {
        kind: ItemKind::Music,
        ..plain_item(entry.title, content(entry.source, entry.ms))
    };
    entries.into_iter().map(item).collect()
}

const KINDS: [(&str, ItemKind); 2] = [("speech", ItemKind::Speech), ("music", ItemKind::Music)];

/// An item with nothing but a title and a content.
fn plain_item(title: String, content: Content) -> Item {
    Item {
        title,
        content,
        kind: ItemKind::Speech,
        language: "vi".to_owned(),
        translations: BTreeMap::new(),
        section: None,
        campaign: None,
        responsible: None,
        licence: None,
        valid_from: None,
        valid_until: None,
        interruption: None,
        repeats: 1,
        gap_s: 0,
        gain_db: 0.0,
        audience: Vec::new(),
    }
}

fn words(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    Some(fields.get(key)?.words()?.to_owned())
}

fn entry_problem(file: &str, line: usize, path: &Path, why: &Sentence) -> Problem {
    let said = said!("problem.cant_play", path = path.display(), why);
    Problem { file: file.to_owned(), line, column: 1, key: String::new(), said }
}

fn interruption(fields: &mut Fields<'_>) -> Option<Interruption> {
    fields.get("interruption")?.choice(&[
        ("resume", Interruption::Resume),
        ("restart", Interruption::Restart),
        ("drop", Interruption::Drop),
    ])
}

fn audience(fields: &mut Fields<'_>) -> Vec<GroupId> {
    let values = fields.get("audience").map(|value| value.list()).unwrap_or_default();
    values.iter().filter_map(Value::parse).collect()
}

/// A BCP 47 tag in the plain form of letters, digits and hyphens.
fn is_language(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    tag.split('-').all(part) && tag.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// A language tag, checked.
pub(super) fn language(value: &Value<'_>) -> Option<String> {
    let tag = value.text()?;
    if !is_language(tag) {
        value.problem(said!("problem.no_language", tag = tag.escape_debug()));
        return None;
    }
    Some(tag.to_owned())
}

/// `"chime"`, `"none"`, or a table of tones.
fn chime(value: &Value<'_>) -> Option<Pattern> {
    if value.is_text() {
        return value.choice(&[("chime", true), ("none", false)])?.then(Pattern::chime);
    }
    pattern(value.table()?)
}

/// A pattern of tones, for instance `{ tones = [{ from_hz = 784, ms = 350, gap_ms = 50 }], repeats = 2 }`.
pub(super) fn pattern(mut fields: Fields<'_>) -> Option<Pattern> {
    let tones: Option<Vec<_>> = fields.tables("tones").into_iter().map(tone).collect();
    let repeats = fields.get("repeats").map_or(Some(1), |value| value.integer(1..=100));
    let tones = tones?;
    if tones.is_empty() {
        fields.problem(said!("problem.no_tone"));
        return None;
    }
    fields.finish();
    Some(Pattern { tones, repeats: repeats? })
}

fn tone(mut fields: Fields<'_>) -> Option<Tone> {
    let from_hz = fields.need("from_hz").and_then(|value| value.number(50.0..=8_000.0));
    let to_hz = fields.get("to_hz").map_or(from_hz, |value| value.number(50.0..=8_000.0));
    let ms = fields.need("ms").and_then(|value| value.integer(10..=60_000));
    let gap_ms = fields.get("gap_ms").map_or(Some(0), |value| value.integer(0..=60_000));
    fields.finish();
    Some(Tone { from_hz: from_hz?, to_hz: to_hz?, ms: ms?, gap_ms: gap_ms? })
}

/// About how long a text takes to speak: espeak-ng's Vietnamese voice at its usual pace.
fn speech_ms(text: &str) -> u32 {
    let words = text.split_whitespace().count() as u32;
    let pauses = text.matches(['.', ',', ';', ':', '!', '?', '\n']).count() as u32;
    words.saturating_mul(WORD_MS).saturating_add(pauses.saturating_mul(PAUSE_MS))
}

/// Measured with espeak-ng 1.51, voice `vi`, 175 words a minute.
const WORD_MS: u32 = 220;
const PAUSE_MS: u32 = 320;

#[cfg(test)]
mod tests {
    use super::super::day_rules::{EVERY_DAY, hm};
    use super::*;

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

    /// Exactly one problem, in this line, that says all of these.
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
    fn all_ways_to_name_days_are_read() {
        let days = "start = '05:00'\nminutes = 5\ndays = ['mon']\nlunar = ['15', '1/1']\ndates = [2026-12-24]\n\
                    rrule = 'FREQ=MONTHLY;BYDAY=1SU'\nrrule_from = '2026-01-01'\nexcept = ['2026-12-25']";
        check(&slot(days), |programme| {
            assert_eq!(programme.slots[0].days.rules.len(), 5);
            assert_eq!(programme.slots[0].days.except.len(), 1);
        });
    }

    #[test]
    fn impossible_times_are_refused() {
        check_bad(&slot("start = '25:00'\nend = '05:45'"), REST, &["slot.start", "25:00", "23:59:59"]);
        check_bad(&slot("start = '05:00'\nend = '24:00'"), REST + 1, &["slot.end"]);
        check_bad(&slot("start = '22:00'\nend = '01:00'"), REST + 1, &["split it into two slots"]);
        check_bad(&slot("start = '05:00'\nend = '04:00'"), REST + 1, &["later time of the same day"]);
        check_bad(
            &slot("start = '23:30'\nminutes = 60"),
            REST,
            &["across midnight", "split it into two slots"],
        );
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
