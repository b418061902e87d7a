//! The pieces that fill a session for its listeners, and what the day leaves out.

use chrono::{Datelike, NaiveDate};

use super::listeners::{Listeners, same_language};
use super::session::Session;
use crate::domain::announcement::Interruption;
use crate::domain::days::validity;
use crate::domain::ids::{CampaignId, PlaylistId, SectionId};
use crate::domain::playback::{NotPlayed, SlotKey};
use crate::domain::programme::{Content, Item, ItemKind, Order, Playlist, Programme, Slot};
use crate::domain::sound::{FileRef, Pattern, Sound};
use crate::domain::time::Span;

/// The part of a piece in its session.
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
    /// Number of this repetition of the item, from 1.
    pub repetition: u32,
    /// Silence before it.
    pub gap: Span,
    pub gain_db: f32,
    pub interruption: Interruption,
    pub length: Length,
    /// Playlist that sounds while a relay does not.
    pub fallback: Option<PlaylistId>,
}

/// The length of a piece, as well as it is known.
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
    /// Returns the length, where there is any idea of it.
    pub fn span(self) -> Option<Span> {
        match self {
            Length::Known(span) | Length::About(span) => Some(span),
            Length::Unknown | Length::UntilEnd => None,
        }
    }
}

/// The pieces of a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filling {
    /// In turn: the opening, the items once through, the closing. Empty where no item is left.
    pub pieces: Vec<Piece>,
    /// Items that would have been here on another day.
    pub left_out: Vec<LeftOut>,
}

/// An item that the day leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub title: String,
    pub section: Option<SectionId>,
    pub reason: NotPlayed,
}

/// Fills a session for `listeners`. `rotation` is the index of the item with which a rotating slot goes on; other
/// orders take no notice of it.
pub(super) fn fill(
    programme: &Programme,
    session: &Session,
    listeners: &Listeners,
    rotation: u32,
) -> Filling {
    let slot = &programme.slots[session.slot];
    let Some(playlist) = programme.playlists.get(&slot.playlist) else { return Filling::default() };
    let mut filling = items(programme, playlist, session, listeners, rotation);
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

/// Fills the place of a relay that does not sound with the items of its fallback, in turn.
pub(super) fn fallback(
    programme: &Programme,
    session: &Session,
    listeners: &Listeners,
    playlist: &PlaylistId,
) -> Filling {
    let playlist = programme.playlists.get(playlist);
    playlist.map(|playlist| items(programme, playlist, session, listeners, 0)).unwrap_or_default()
}

fn items(
    programme: &Programme,
    playlist: &Playlist,
    session: &Session,
    listeners: &Listeners,
    rotation: u32,
) -> Filling {
    let slot = &programme.slots[session.slot];
    let leaves = expand(programme, playlist);
    let count = leaves.len();
    let mut leaves: Vec<_> = leaves.into_iter().enumerate().collect();
    match slot.order {
        Order::InTurn => {}
        Order::Rotating => leaves.rotate_left(rotation as usize % count.max(1)),
        Order::Shuffled => shuffle(&mut leaves, &session.key),
    }
    let mut filling = Filling::default();
    for (index, leaf) in leaves {
        if !is_due(programme, &leaf, session.key.date, listeners) {
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
        pieces_of(&leaf, index as u32, slot, listeners, &mut filling.pieces);
    }
    filling
}

/// Puts nested lists in place, however deep. Circles are refused when a programme is read.
fn expand<'p>(programme: &'p Programme, playlist: &'p Playlist) -> Vec<Leaf<'p>> {
    let mut leaves = Vec::new();
    let mut open = vec![playlist.items.iter()];
    let mut holders: Vec<&Item> = Vec::new();
    while let Some(items) = open.last_mut() {
        let Some(item) = items.next() else {
            open.pop();
            holders.pop();
            continue;
        };
        match &item.content {
            Content::Playlist(id) => {
                if let Some(nested) = programme.playlists.get(id) {
                    holders.push(item);
                    open.push(nested.items.iter());
                }
            }
            _ => leaves.push(Leaf { item, holders: holders.clone() }),
        }
    }
    leaves
}

fn is_due(programme: &Programme, leaf: &Leaf<'_>, date: NaiveDate, listeners: &Listeners) -> bool {
    leaf.upwards().all(|item| {
        let campaign = item.campaign.as_ref().and_then(|id| programme.campaigns.get(id));
        let (from, until) = validity(item.valid_from, item.valid_until, campaign);
        (from..=until).contains(&date) && listeners.hear(&item.audience)
    })
}

/// An item that sounds, and the items that stand for the lists it is in, outermost first.
struct Leaf<'p> {
    item: &'p Item,
    holders: Vec<&'p Item>,
}

impl<'p> Leaf<'p> {
    /// Goes through the item, then its holders from the innermost.
    fn upwards(&self) -> impl Iterator<Item = &'p Item> + '_ {
        std::iter::once(self.item).chain(self.holders.iter().rev().copied())
    }

    /// Returns the value of the item itself, or of the innermost list that has one, or of the slot.
    fn first<T: Clone + 'p>(&self, of: impl Fn(&'p Item) -> Option<&'p T>, slot: Option<&'p T>) -> Option<T> {
        self.upwards().find_map(of).or(slot).cloned()
    }

    fn is_music(&self) -> bool {
        self.upwards().any(|item| item.kind == ItemKind::Music)
    }
}

/// Makes the pieces of an item: each repetition in each language that its listeners hear.
fn pieces_of<'p>(
    leaf: &Leaf<'p>,
    index: u32,
    slot: &'p Slot,
    listeners: &Listeners,
    pieces: &mut Vec<Piece>,
) {
    let item = leaf.item;
    for repetition in 1..=u32::from(item.repeats.max(1)) {
        for (nth, (language, content)) in versions(item, &listeners.languages).into_iter().enumerate() {
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

/// Chooses the versions of an item that listeners hear: each of their languages that the item has, else the main one.
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

/// Returns the sound of a content, its length and its fallback; `None` for a list.
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

/// Makes the piece of a chime.
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

/// Draws the next number of SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
