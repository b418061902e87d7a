//! The playlists of a programme and the items in them.

use crate::said;
use crate::texts::Sentence;
use std::collections::BTreeMap;
use std::path::Path;

use super::day_rules::validity;
use super::fields::{Fields, Value};
use super::playlist_file;
use super::problem::Problem;
use super::programme_parser::{Parser, audience, interruption, words};
use super::programme_places::NameOf;
use super::sound_fields::{is_language, language};
use super::tracks::{Place, Source, Track};
use crate::domain::ids::PlaylistId;
use crate::domain::programme::{Content, Item, ItemKind, Playlist};

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

    /// Reads the tracks of a playlist in a file of its own as items of `kind`. The forms know no kinds: what is exchanged
    /// in them is music unless the programme says otherwise.
    fn m3u8(&mut self, value: &Value<'p>, kind: ItemKind) -> Option<Vec<Item>> {
        let path = self.path(value)?;
        let inside = Path::new(value.text()?).parent().unwrap_or(Path::new(""));
        let whole = std::path::absolute(self.base).ok();
        let tracks = match playlist_file::read(&path, Place { inside, base: whole.as_deref() }) {
            Ok(tracks) => tracks,
            Err(problems) => {
                // What is wrong with the file as a whole is told where the programme names it.
                match &problems.0[..] {
                    [Problem { line: 0, said, .. }] => {
                        value.problem(said!("problem.of_named_file", path = path.display(), wrong = said));
                    }
                    _ => self.reader.append(problems),
                }
                return None;
            }
        };
        let file = path.display().to_string();
        let mut items = Vec::new();
        for (track, mut item) in tracks.iter().zip(items_of(tracks.clone())) {
            item.kind = kind;
            if let Content::File { path, ms } = &mut item.content {
                let literal = track.literal.as_ref().map(|literal| self.found(&self.base.join(literal)));
                let literal = literal.filter(|literal| literal.symlink_metadata().is_ok());
                *path = literal.unwrap_or_else(|| self.found(&self.base.join(&*path)));
                match self.length(path) {
                    Ok(length) => *ms = length.or(*ms),
                    Err(why) => self.reader.append(track_problem(&file, track.line, path, &why).into()),
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

/// Turns the tracks of a playlist into items of music, which its forms mostly carry.
pub fn items_of(tracks: Vec<Track>) -> Vec<Item> {
    let content = |source, ms: Option<u32>| match source {
        Source::File(path) => Content::File { path, ms },
        Source::Stream(url) => {
            Content::Relay { url, minutes: ms.map(|ms| ms.div_ceil(60_000)), fallback: None }
        }
    };
    let item = |track: Track| Item {
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
