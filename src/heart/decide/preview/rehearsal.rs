//! A rehearsal: the heart itself lives through the days to come, in a world where nothing goes wrong, and its log is
//! the plan.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::planned::{Fate, Planned, PlannedSession};
use crate::decide::schedule::{Length, Listeners, Piece, Role, Session, Timetable};
use crate::decide::simulation::world::{Setup, World};
use crate::domain::ids::PlayId;
use crate::domain::playback::{
    Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Subject,
};
use crate::domain::policy::Policy;
use crate::domain::programme::{Content, ItemKind};
use crate::domain::sound::{FRAMES_A_SECOND, Fault, FileRef, Sound};
use crate::domain::time::{Span, Wall};

/// Time after the last session in which its end is written.
const AFTER: Span = Span::secs(60);

/// Lives through `from` to `until`, both counted, for one set of listeners.
pub fn rehearse(
    timetable: &Timetable,
    listeners: &Listeners,
    policy: &Policy,
    from: NaiveDate,
    until: NaiveDate,
) -> Vec<PlannedSession> {
    let begin = Wall::from_local(from.and_hms_opt(0, 0, 0).unwrap_or_default());
    let days = from.iter_days().take_while(|date| *date <= until);
    let mut stage = Stage::default();
    let mut length = Span(0);
    for date in days {
        length = length + Span::secs(86_400);
        for session in timetable.sessions_on(date, listeners) {
            stage.announce(timetable, listeners, session);
        }
    }
    let setup = Setup {
        listeners: listeners.clone(),
        timetable: timetable.clone(),
        trust: None,
        policy: policy.clone(),
    };
    // With the latency of a player: what begins a little later may meet a limit that it would not have met.
    let mut world = World::new(setup, begin, Box::new(lookup(timetable)));
    world.power_on();
    let last = stage.sessions.iter().map(|session| session.end.since(begin)).max();
    world.run_for(last.map_or(length, |last| length.max(last + AFTER)));
    for entry in world.take_log() {
        stage.hear(entry.at.wall, entry.event);
    }
    stage.sessions
}

/// The sessions of the days, as they fill with what the log says.
#[derive(Default)]
struct Stage {
    sessions: Vec<PlannedSession>,
    index: BTreeMap<SlotKey, usize>,
    /// Pieces of each session, by title: the log does not tell speech from music.
    pieces: BTreeMap<SlotKey, BTreeMap<String, Piece>>,
    open: BTreeMap<PlayId, PlayStart>,
    /// Items that were left out while something sounded: they come after that.
    left_out: Vec<(SlotKey, String, NotPlayed)>,
}

impl Stage {
    fn announce(&mut self, timetable: &Timetable, listeners: &Listeners, session: Session) {
        let calendar = timetable.calendar(&session);
        let slot = calendar.slot(&session);
        let pieces = calendar.fill(&session, listeners, 0).pieces;
        let pieces = pieces.into_iter().map(|piece| (piece.title.clone(), piece)).collect();
        self.pieces.insert(session.key.clone(), pieces);
        self.index.insert(session.key.clone(), self.sessions.len());
        self.sessions.push(PlannedSession {
            title: slot.title.clone(),
            start: session.start,
            end: session.end,
            volume_percent: slot.volume_percent,
            notes: session.notes,
            plays: Vec::new(),
            key: session.key,
        });
    }

    fn hear(&mut self, at: Wall, event: Event) {
        match event {
            Event::PlayStarted(start) => {
                self.open.insert(start.play, start);
            }
            Event::PlayEnded(end) => self.ended(at, &end),
            Event::NotPlayed { subject: Subject::Slot(key), title, reason } if self.open.is_empty() => {
                self.left_out(at, &key, title, reason);
            }
            Event::NotPlayed { subject: Subject::Slot(key), title, reason } => {
                self.left_out.push((key, title, reason));
            }
            Event::SlotEnded { key, outcome: SlotOutcome::NotAired(reason), .. } => self.silent(&key, reason),
            _ => {}
        }
    }

    fn ended(&mut self, at: Wall, end: &PlayEnd) {
        let Some(start) = self.open.remove(&end.play) else { return };
        let Subject::Slot(key) = &end.subject else { return };
        let from = end.started_at.map_or(at, |stamp| stamp.wall);
        let to = from.plus(Span(end.frames_played * 1_000_000 / u64::from(FRAMES_A_SECOND)));
        let fate = match &end.outcome {
            PlayOutcome::HardEnd => Fate::HardEnd,
            PlayOutcome::Guarded { reason } => Fate::Guarded { reason: reason.clone() },
            _ => Fate::Whole,
        };
        let play = self.planned(key, start.title, from, to, fate);
        self.push(
            key,
            Planned { section: start.section, campaign: start.campaign, language: start.language, ..play },
        );
        for (key, title, reason) in std::mem::take(&mut self.left_out) {
            self.left_out(to, &key, title, reason);
        }
    }

    fn left_out(&mut self, at: Wall, key: &SlotKey, title: String, reason: NotPlayed) {
        let guarded = matches!(reason, NotPlayed::Guarded { .. });
        let Some(session) = self.index.get(key).map(|index| &self.sessions[*index]) else { return };
        let told = session.plays.last().is_some_and(
            |last| matches!(&last.fate, Fate::NotPlayed { reason: NotPlayed::Guarded { .. } } if guarded),
        );
        if told {
            return;
        }
        let over = session.plays.last().map_or(at, |last| last.to.max(at)).max(session.start);
        let to = if guarded { session.end } else { over };
        let play = self.planned(key, title, over, to, Fate::NotPlayed { reason });
        self.push(key, play);
    }

    /// Notes a session of which nothing sounds: its first item says why, unless its items did already.
    fn silent(&mut self, key: &SlotKey, reason: NotPlayed) {
        let Some(session) = self.index.get(key).map(|index| &self.sessions[*index]) else { return };
        let first = self.pieces.get(key).and_then(|pieces| {
            let items = pieces.values().filter_map(|piece| match piece.role {
                Role::Item { index } => Some((index, piece)),
                Role::Opening | Role::Closing => None,
            });
            items.min_by_key(|(index, _)| *index).map(|(_, piece)| piece.title.clone())
        });
        if session.plays.is_empty() {
            let (from, to) = (session.start, session.end);
            // A session that has no item on this day says why under its own title.
            let title = first.unwrap_or_else(|| session.title.clone());
            let play = self.planned(key, title, from, to, Fate::NotPlayed { reason });
            self.push(key, play);
        }
    }

    fn planned(&self, key: &SlotKey, title: String, from: Wall, to: Wall, fate: Fate) -> Planned {
        let piece = self.pieces.get(key).and_then(|pieces| pieces.get(&title));
        Planned {
            from,
            to,
            about: piece.is_some_and(|piece| matches!(piece.length, Length::About(_))),
            kind: piece.map_or(ItemKind::Music, |piece| piece.kind),
            chime: piece.is_some_and(|piece| !matches!(piece.role, Role::Item { .. })),
            section: piece.and_then(|piece| piece.section.clone()),
            campaign: piece.and_then(|piece| piece.campaign.clone()),
            responsible: piece.and_then(|piece| piece.responsible.clone()),
            language: piece.map_or_else(String::new, |piece| piece.language.clone()),
            title,
            fate,
        }
    }

    fn push(&mut self, key: &SlotKey, play: Planned) {
        if let Some(index) = self.index.get(key) {
            self.sessions[*index].plays.push(play);
        }
    }
}

/// Makes the lookup of a timetable's sounds, as far as their lengths are known.
pub(super) fn lookup(timetable: &Timetable) -> impl Fn(&Sound) -> Result<Option<Span>, Fault> + use<> {
    let (mut files, mut texts) = (BTreeMap::new(), BTreeMap::new());
    let playlists = timetable.calendars().iter().flat_map(|calendar| calendar.programme().playlists.values());
    for item in playlists.flat_map(|playlist| &playlist.items) {
        for content in std::iter::once(&item.content).chain(item.translations.values()) {
            match content {
                Content::File { path, ms: Some(ms) } => {
                    files.insert(path.clone(), Span::millis(u64::from(*ms)));
                }
                Content::Text { text, ms } => {
                    texts.insert(text.clone(), Span::millis(u64::from(*ms)));
                }
                Content::File { ms: None, .. } | Content::Relay { .. } | Content::Playlist(_) => {}
            }
        }
    }
    move |sound| match sound {
        Sound::File(FileRef::Path(path)) => {
            let missing = || Fault::Missing { what: path.display().to_string() };
            files.get(path).copied().map(Some).ok_or_else(missing)
        }
        Sound::File(FileRef::Stored(hash)) => Err(Fault::Missing { what: hash.to_string() }),
        Sound::Text { text, .. } => Ok(texts.get(text).copied()),
        Sound::Pattern(pattern) => Ok(Some(pattern.length())),
        Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
        Sound::Silence(span) => Ok(Some(*span)),
    }
}
