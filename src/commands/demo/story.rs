//! The events of the demo, as central's log tells them: kept, and told to the person at the terminal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files::{Commune, Village};
use crate::commands::client::Client;
use crate::commands::language::{Failure, chosen, words};
use loaxa_adapters::clock;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, CommandId, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Event, PlayEnd, PlayOutcome, PlayStart, SlotOutcome, Subject,
};
use loaxa_heart::domain::sound::FRAMES_A_SECOND;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::LogBody;

/// Log entries that are asked for at a time.
const ENTRIES: &str = "1000";

/// Says a line with the time before it.
pub fn say(line: impl Say) {
    println!("{}  {}", clock::wall().local().format("%H:%M:%S"), words(line));
}

/// A play, as far as the log knows it.
pub struct Play {
    pub start: PlayStart,
    pub end: Option<PlayEnd>,
}

/// Everything that has arrived at central.
#[derive(Default)]
pub struct Story {
    cursor: i64,
    /// In the order in which they began on each box.
    pub plays: BTreeMap<(BoxId, PlayId), Play>,
    /// Outcome of the morning on each box.
    pub mornings: BTreeMap<BoxId, SlotOutcome>,
    /// Announcements that are over, by box.
    pub over: BTreeMap<(CommandId, BoxId), DeliveryStep>,
}

impl Story {
    /// Takes in what is new, tells it, and returns it.
    ///
    /// # Errors
    /// Fails when central does not answer.
    pub fn follow(&mut self, client: &Client, commune: &Commune) -> Result<Vec<(BoxId, PlayStart)>, Failure> {
        let query = [("after", self.cursor.to_string()), ("limit", ENTRIES.to_owned())];
        let page = client.get("log", &query)?;
        let mut lines: Vec<(Sentence, BTreeSet<String>)> = Vec::new();
        let mut started = Vec::new();
        for row in page["entries"].as_array().into_iter().flatten() {
            self.cursor = row["cursor"].as_i64().unwrap_or(self.cursor);
            let body: LogBody = serde_json::from_str(row["body"].as_str().unwrap_or_default())?;
            if let Event::PlayStarted(start) = &body.entry.event {
                started.push((body.box_id.clone(), start.clone()));
            }
            if let Some(line) = self.take(&body) {
                let place = commune.title_of(&body.box_id);
                match lines.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, places)) => drop(places.insert(place)),
                    None => lines.push((line, [place].into())),
                }
            }
        }
        for (line, places) in lines {
            say(said!("story.at", line, places = places.into_iter().collect::<Vec<_>>().join(", ")));
        }
        Ok(started)
    }

    /// Keeps what an entry says; the line is for the terminal.
    fn take(&mut self, body: &LogBody) -> Option<Sentence> {
        let id = &body.box_id;
        match &body.entry.event {
            Event::PlayStarted(start) => {
                self.plays.insert((id.clone(), start.play), Play { start: start.clone(), end: None });
                Some(line_of_start(start))
            }
            Event::PlayEnded(end) => {
                let play = self.plays.get_mut(&(id.clone(), end.play))?;
                play.end = Some(end.clone());
                line_of_end(&play.start, end)
            }
            Event::SlotEnded { outcome, .. } => {
                self.mornings.insert(id.clone(), outcome.clone());
                Some(said!("story.over"))
            }
            Event::Delivery { command, step } => {
                use DeliveryStep::{Cancelled, Expired, Finished, NotPlayed, Superseded};
                if matches!(step, Finished | Superseded | Cancelled | Expired | NotPlayed { .. }) {
                    self.over.insert((command.clone(), id.clone()), step.clone());
                }
                None
            }
            Event::NotPlayed { title, reason, .. } => Some(said!("story.not_played", title, reason)),
            Event::CommandRefused { reason, .. } => Some(said!("story.refused", reason)),
            _ => None,
        }
    }

    /// The plays of a box that have ended and sounded, in turn.
    pub fn ended<'a>(&'a self, village: &Village) -> Vec<(&'a PlayStart, &'a PlayEnd)> {
        let of_box = self.plays.iter().filter(|((id, _), _)| id.as_str() == village.box_id);
        let ended = of_box.filter_map(|(_, play)| Some((&play.start, play.end.as_ref()?)));
        let mut ended: Vec<_> = ended.filter(|(_, end)| end.frames_played > 0).collect();
        ended.sort_by_key(|(_, end)| end.started_at.as_ref().map(|at| at.mono_us));
        ended
    }

    /// Says whether nothing sounds now.
    pub fn is_silent(&self) -> bool {
        self.plays.values().all(|play| play.end.is_some())
    }
}

/// Says whether a play is one of this announcement.
pub fn is_of(start: &PlayStart, id: &CommandId) -> bool {
    matches!(&start.subject, Subject::Announcement { command } if command == id)
}

fn line_of_start(start: &PlayStart) -> Sentence {
    let title = match start.rung {
        Rung::Emergency => said!("story.emergency", title = start.title),
        Rung::Priority => said!("story.priority", title = start.title),
        Rung::Normal => said!("story.normal", title = start.title),
        _ => Sentence::from_outside(&*start.title),
    };
    if start.entered_at_ms > 0 {
        let second = start.entered_at_ms as f64 / 1_000.0;
        return said!("story.goes_on", second = Sentence::decimal(second, 1), title);
    }
    said!("story.plays", title)
}

fn line_of_end(start: &PlayStart, end: &PlayEnd) -> Option<Sentence> {
    let seconds = end.frames_played as f64 / f64::from(FRAMES_A_SECOND);
    let title = &start.title;
    match &end.outcome {
        PlayOutcome::Finished => None,
        PlayOutcome::Interrupted { by } => {
            let by = code_in_words("class", &serde_json::to_value(by).unwrap_or_default());
            Some(said!("story.cut_off", second = Sentence::decimal(seconds, 1), by, title))
        }
        PlayOutcome::Cancelled => Some(said!("story.stopped", title)),
        other => {
            let other = serde_json::to_value(other).unwrap_or(Value::Null);
            Some(said!("story.ended", how = code_in_words("outcome", &other["outcome"]), title))
        }
    }
}

/// The words for a code of a section, as the log writes it.
fn code_in_words(section: &str, code: &Value) -> String {
    crate::commands::texts::TEXTS.of(chosen()).code(section, code.as_str().unwrap_or_default())
}
