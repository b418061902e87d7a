//! The verdict on the demo: is everything that was due in central's log, and in the recordings?

use std::collections::BTreeMap;
use std::path::Path;

use super::cues::Cue;
use super::ears::Sound;
use super::files::{Commune, Item, Village};
use super::proof::{Check, Told, measure};
use super::story::{Story, is_of};
use crate::commands::client::{Client, print_table};
use crate::commands::language::{Failure, of_file, tell, words};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::{PlayEnd, PlayOutcome, PlayStart, Subject};
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::messages::{Body, Command};

/// The tone under each piece of music (playlists/README.md).
const TONES: [(&str, f64); 6] = [
    ("nhac-hieu.wav", 493.9),
    ("buoi-sang.mp3", 392.0),
    ("dong-lua.flac", 349.2),
    ("ben-nuoc.m4a", 311.1),
    ("chieu-lang.ogg", 277.2),
    ("nhac-ket.aac", 587.3),
];
/// Frames a second in the log.
const FRAMES_A_SECOND: f64 = loaxa_heart::domain::sound::FRAMES_A_SECOND as f64;
/// Largest distance, in seconds, between the place where an item was cut off and the place where it goes on.
const RESUME_OFF_MAX_S: f64 = 0.050;

/// Checks everything.
///
/// # Errors
/// Fails when a recording can't be read, or central does not answer.
pub fn judge(client: &Client, commune: &Commune, story: &Story, cues: &[Cue]) -> Result<Vec<Check>, Failure> {
    let recording = |village: &Village| -> Result<Option<Sound>, Failure> {
        let Some(wav) = &village.wav else { return Ok(None) };
        Ok(Some(Sound::read_wav(wav).map_err(|error| of_file(wav, &error))?))
    };
    // All at once, before anything else is played.
    let recordings = commune.villages.iter().map(recording).collect::<Result<Vec<_>, _>>()?;
    let mut library = Library { client, commune, pieces: BTreeMap::new() };
    let mut checks = Vec::new();
    for (village, recording) in commune.villages.iter().zip(recordings) {
        let plays = story.ended(village);
        checks.extend(complete(commune, village, &plays, cues));
        let Some(recording) = recording else { continue };
        let told: Result<Vec<_>, _> = plays.iter().map(|(start, end)| library.tell(start, end)).collect();
        checks.extend(measure(village.title, &recording, &told?));
    }
    Ok(checks)
}

/// Prints the table, and says in words what is wrong.
pub fn print(checks: &[Check]) {
    let rows = checks.iter().map(|check| {
        let ok = if check.ok { said!("verdict.right") } else { said!("verdict.wrong") };
        vec![
            check.place.clone(),
            words(&check.what),
            words(&check.expected),
            words(&check.measured),
            words(ok),
        ]
    });
    print_table("verdict", &rows.collect::<Vec<_>>());
    let wrong: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
    tell!("verdict.counts", checks = checks.len(), wrong = wrong.len());
    for Check { place, what, expected, measured, .. } in wrong {
        tell!("verdict.line", place, what = words(what).trim(), expected, measured);
    }
}

/// The expected sounds of the things that were played.
struct Library<'a> {
    client: &'a Client,
    commune: &'a Commune,
    /// Decoded once: the sound, and whether it begins with the siren.
    pieces: BTreeMap<(Subject, String), (Option<Sound>, bool)>,
}

impl Library<'_> {
    fn tell(&mut self, start: &PlayStart, end: &PlayEnd) -> Result<Told, Failure> {
        let key = (start.subject.clone(), start.source.clone());
        if !self.pieces.contains_key(&key) {
            let piece = self.decode(start)?;
            self.pieces.insert(key.clone(), piece);
        }
        let (piece, siren) = &self.pieces[&key];
        let entered = start.entered_at_ms as f64 / 1_000.0;
        let at = end.started_at.as_ref().ok_or_else(|| said!("verdict.no_start"))?;
        let music = TONES.iter().find(|(file, _)| start.source.ends_with(file));
        Ok(Told {
            title: start.title.clone(),
            at: at.mono_us as f64 / 1_000_000.0,
            seconds: end.frames_played as f64 / FRAMES_A_SECOND,
            piece: piece.clone().map(|piece| piece.from(entered)),
            tone_hz: music.map(|(_, hz)| *hz),
            siren: *siren && entered == 0.0,
        })
    }

    fn decode(&self, start: &PlayStart) -> Result<(Option<Sound>, bool), Failure> {
        let (pattern, file) = match (&start.subject, &start.content) {
            (Subject::Announcement { command }, Some(hash)) if start.rung != Rung::Exercise => {
                let file = hash.path_under(&self.commune.path("central/media"));
                (self.opening(command)?, Some(file))
            }
            (Subject::Slot(_), None) if start.source == "pattern" => (Some(Pattern::chime()), None),
            (Subject::Slot(_), None) if start.source != "speech" => {
                (None, Some(self.commune.path("binh-minh").join(&start.source)))
            }
            _ => return Ok((None, false)),
        };
        let siren = pattern.as_ref() == Some(&Pattern::siren(1));
        Ok((Some(Sound::expected(pattern.as_ref(), file.as_deref())?), siren))
    }

    /// Asks central for the pattern that sounds before an announcement, as it was signed.
    fn opening(&self, id: &CommandId) -> Result<Option<Pattern>, Failure> {
        let announced = self.client.get(&format!("announcements/{id}"), &[])?;
        let command: Command = serde_json::from_value(announced["command"].clone())?;
        Ok(match command.body {
            Body::Announce { plan, .. } => plan.opening,
            _ => None,
        })
    }
}

/// Checks that the log of a box has every item and every announcement, and that the ladder was kept.
fn complete(
    commune: &Commune,
    village: &Village,
    plays: &[(&PlayStart, &PlayEnd)],
    cues: &[Cue],
) -> Vec<Check> {
    let row = |what: Sentence, expected: Sentence, measured: Sentence, ok| Check {
        place: village.title.to_owned(),
        what,
        expected,
        measured,
        ok,
    };
    let mut checks = Vec::new();
    let files =
        |item: &Item| item.files(village.languages).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let versions =
        commune.items.iter().flat_map(|item| files(item).into_iter().map(move |file| (item, file)));
    for (item, file) in versions {
        let of_item: Vec<_> = plays.iter().filter(|(start, _)| is_file(start, &file)).collect();
        checks.push(row(
            said!("verdict.log", title = item.title),
            said!("verdict.whole"),
            outcomes(&of_item),
            is_whole(&of_item),
        ));
    }
    for cue in cues {
        let is_meant = village.group == cue.to || cue.to == super::files::COMMUNE;
        let is_its = |start: &PlayStart| cue.id.as_ref().is_some_and(|id| is_of(start, id));
        let of_cue: Vec<_> = plays.iter().filter(|(start, _)| is_its(start)).collect();
        let what = said!("verdict.log", title = cue.title);
        let found = outcomes(&of_cue);
        let cut = plays.iter().filter(|(_, end)| end.outcome == PlayOutcome::Interrupted { by: cue.rung() });
        checks.push(match (is_meant, cue.rung()) {
            (false, _) => row(what, said!("verdict.nothing"), found, of_cue.is_empty()),
            (true, Rung::Emergency) => {
                let cut = cut.count();
                let found = said!("verdict.cut", found, cut);
                row(what, said!("verdict.cuts_in"), found, is_whole(&of_cue) && cut == 1)
            }
            (true, _) => {
                let cut = cut.count();
                let found = said!("verdict.cut", found, cut);
                row(what, said!("verdict.waits"), found, is_whole(&of_cue) && cut == 0)
            }
        });
    }
    checks
}

/// Says whether a play is one of this file of the example.
fn is_file(start: &PlayStart, file: &str) -> bool {
    !file.is_empty() && Path::new(&start.source).ends_with(file)
}

/// All but the last play were cut off by an emergency, each went on from there, and the last finished.
fn is_whole(plays: &[&(&PlayStart, &PlayEnd)]) -> bool {
    let Some(((_, last), earlier)) = plays.split_last().map(|(last, rest)| (*last, rest)) else {
        return false;
    };
    let cut =
        |(_, end): &&(&PlayStart, &PlayEnd)| end.outcome == PlayOutcome::Interrupted { by: Rung::Emergency };
    let goes_on = plays.windows(2).all(|pair| {
        let ((before, end), (after, _)) = (pair[0], pair[1]);
        let entered = |start: &PlayStart| start.entered_at_ms as f64 / 1_000.0;
        let stopped = entered(before) + end.frames_played as f64 / FRAMES_A_SECOND;
        after.entered_at_ms == 0 || (entered(after) - stopped).abs() <= RESUME_OFF_MAX_S
    });
    let all = last.frames_due.is_none_or(|due| due == last.frames_played);
    last.outcome == PlayOutcome::Finished && all && earlier.iter().all(cut) && goes_on
}

fn outcomes(plays: &[&(&PlayStart, &PlayEnd)]) -> Sentence {
    let one = |(start, end): &&(&PlayStart, &PlayEnd)| {
        let seconds = |frames: u64| frames as f64 / FRAMES_A_SECOND;
        let played = seconds(end.frames_played);
        let due = Sentence::decimal(end.frames_due.map_or(played, seconds), 2);
        let played = Sentence::decimal(played, 2);
        let outcome = match &end.outcome {
            PlayOutcome::Finished => said!("verdict.outcome_whole", played, due),
            PlayOutcome::Interrupted { .. } => said!("verdict.outcome_cut_off", played, due),
            _ => said!("verdict.outcome_ended", played, due),
        };
        if start.entered_at_ms > 0 { said!("verdict.on", outcome) } else { outcome }
    };
    let all = plays.iter().map(one);
    all.reduce(|before, last| said!("verdict.and", before, last)).unwrap_or_else(|| said!("verdict.nothing"))
}
