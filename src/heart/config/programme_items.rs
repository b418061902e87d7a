//! The playlists of a programme and the items in them.

use crate::said;
use crate::texts::Sentence;
use std::collections::BTreeMap;
use std::path::Path;

use super::day_rules::validity;
use super::fields::{Fields, Value};
use super::files::read_text;
use super::m3u8;
use super::problem::Problem;
use super::programme_parser::{Parser, audience, interruption, words};
use super::programme_places::NameOf;
use super::sound_fields::{is_language, language};
use crate::domain::ids::PlaylistId;
use crate::domain::programme::{Content, Item, ItemKind, Playlist};

/// Most bytes of an M3U8 playlist.
const PLAYLIST_BYTES_MAX: u64 = 1 << 20;

impl<'p> Parser<'p> {
    pub fn playlist(&mut self, mut fields: Fields<'p>) -> Option<Playlist> {
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

    /// Reads the tracks of an M3U8 playlist as items of `kind`. The form knows no kinds: what is exchanged in it is
    /// music unless the programme says otherwise.
    fn m3u8(&mut self, value: &Value<'p>, kind: ItemKind) -> Option<Vec<Item>> {
        let path = self.path(value)?;
        let read = read_text(&path, PLAYLIST_BYTES_MAX).map_err(|wrong| {
            value.problem(said!("problem.of_named_file", path = path.display(), wrong));
        });
        let file = path.display().to_string();
        let inside = Path::new(value.text()?).parent().unwrap_or(Path::new(""));
        let tracks = match m3u8::parse(&read.ok()?, &file, inside) {
            Ok(tracks) => tracks,
            Err(problems) => {
                self.reader.append(problems);
                return None;
            }
        };
        let mut items = Vec::new();
        for (line, mut item) in tracks.iter().map(|track| track.line).zip(items_of(tracks.clone())) {
            item.kind = kind;
            if let Content::File { path, ms } = &mut item.content {
                *path = self.base.join(&*path);
                match self.length(path) {
                    Ok(length) => *ms = length.or(*ms),
                    Err(why) => self.reader.append(track_problem(&file, line, path, &why).into()),
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

    /// Reads the keys that only an item which itself sounds can have.
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

    /// Reads the one of `file`, `text`, `relay` and `playlist` that is there.
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
}

/// Turns the tracks of an M3U8 playlist into items of music, which this form mostly carries.
pub fn items_of(tracks: Vec<m3u8::Track>) -> Vec<Item> {
    let content = |source, ms: Option<u32>| match source {
        m3u8::Source::File(path) => Content::File { path, ms },
        m3u8::Source::Stream(url) => {
            Content::Relay { url, minutes: ms.map(|ms| ms.div_ceil(60_000)), fallback: None }
        }
    };
    let item = |track: m3u8::Track| Item {
        kind: ItemKind::Music,
        ..plain_item(track.title, content(track.source, track.ms))
    };
    tracks.into_iter().map(item).collect()
}

const KINDS: [(&str, ItemKind); 2] = [("speech", ItemKind::Speech), ("music", ItemKind::Music)];

/// Makes an item with nothing but a title and a content.
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

fn track_problem(file: &str, line: usize, path: &Path, why: &Sentence) -> Problem {
    let said = said!("problem.cant_play", path = path.display(), why);
    Problem { file: file.to_owned(), line, column: 1, key: String::new(), said }
}

/// Estimates how long a text takes to speak: espeak-ng's Vietnamese voice at its usual pace.
fn speech_ms(text: &str) -> u32 {
    let words = text.split_whitespace().count() as u32;
    let pauses = text.matches(['.', ',', ';', ':', '!', '?', '\n']).count() as u32;
    words.saturating_mul(WORD_MS).saturating_add(pauses.saturating_mul(PAUSE_MS))
}

/// Measured with espeak-ng 1.51, voice `vi`, 175 words a minute.
pub(super) const WORD_MS: u32 = 220;
const PAUSE_MS: u32 = 320;
