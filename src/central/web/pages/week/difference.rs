//! The differences of two versions, as people read them.

use std::path::Path;

use chrono::NaiveDate;
use maud::{Markup, html};

use crate::app::App;
use crate::programmes::NotProposal;
use crate::programmes::basis;
use crate::store::{Change, ChangeRow, ProposalContent, ProposalKind, StoreError};
use crate::web::frame::{Frame, moment};
use loaxa_heart::config::programme_diff::{Difference, Part, differences};
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::said;

/// Things that are listed.
const SHOWN_MAX: usize = 200;

/// Finds the differences of two contents, or all of a programme that has no older one; of what is no programme, the lines.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn between(
    app: &App,
    old: Option<&ProposalContent>,
    new: &ProposalContent,
) -> Result<Vec<Difference>, StoreError> {
    let Some(old) = old else { return all_of(app, new).await };
    if new.kind == ProposalKind::Programme {
        match (basis::read(app, old).await, basis::read(app, new).await) {
            (Ok(old), Ok(new)) => {
                return Ok(differences((&old, Path::new("sent")), (&new, Path::new("sent"))));
            }
            (Err(NotProposal::Store(error)), _) | (_, Err(NotProposal::Store(error))) => return Err(error),
            _ => {}
        }
    }
    let only = |here: &str, there: &str| {
        here.lines()
            .filter(|line| !there.lines().any(|it| it == *line))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (before, after) = (only(&old.text, &new.text), only(&new.text, &old.text));
    if before.is_empty() && after.is_empty() {
        return Ok(Vec::new());
    }
    let (part, id) = (Part::Programme, new.subject.clone());
    Ok(vec![Difference { part, title: String::new(), id, before, after, whole: false }])
}

/// Lists everything of a programme that was never sent.
async fn all_of(app: &App, new: &ProposalContent) -> Result<Vec<Difference>, StoreError> {
    let programme = match basis::read(app, new).await {
        Ok(programme) => programme,
        Err(NotProposal::Store(error)) => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let mut empty = Programme::clone(&programme);
    empty.slots.clear();
    empty.playlists.clear();
    empty.holidays.clear();
    empty.sections.clear();
    empty.campaigns.clear();
    Ok(differences((&empty, Path::new("sent")), (&programme, Path::new("sent"))))
}

/// Draws differences: what goes, and what comes.
pub fn draw(frame: &Frame, differences: &[Difference]) -> Markup {
    html! {
        @if differences.is_empty() { p.mute { (frame.say("week.no_difference")) } }
        ul.list {
            @for it in differences.iter().take(SHOWN_MAX) {
                li {
                    b { (frame.texts.code("programme_part", it.part.code())) @if !it.title.is_empty() { ": " (it.title) } }
                    @if it.whole && it.after.is_empty() { " · " (frame.say("week.goes")) }
                    @if it.whole && it.before.is_empty() { " · " (frame.say("week.is_new")) }
                    @for line in it.before.iter().filter_map(|line| fact(frame, line)) { p { del { (line) } } }
                    @for line in it.after.iter().filter_map(|line| fact(frame, line)) { p { ins { (line) } } }
                }
            }
        }
        @if differences.len() > SHOWN_MAX { p.mute { (frame.tell(&said!("week.more", count = differences.len() - SHOWN_MAX))) } }
    }
}

/// A line of a programme's text in the words of people; nothing for what only programs need.
fn fact(frame: &Frame, line: &str) -> Option<String> {
    let Some((key, value)) = line.split_once(" = ") else { return Some(line.to_owned()) };
    let key = key.trim();
    if key == "id" {
        return None;
    }
    let values =
        value.trim_matches(['[', ']']).split(", ").map(|value| plain(frame, value.trim_matches('"')));
    Some(format!("{}: {}", frame.texts.code("programme_key", key), values.collect::<Vec<_>>().join(", ")))
}

/// A value as people write it: days by their names, dates as in a letter.
fn plain(frame: &Frame, value: &str) -> String {
    match value.parse::<NaiveDate>() {
        Ok(date) => date.format("%d/%m/%Y").to_string(),
        Err(_) if value == "daily" => frame.say("week.every_day").to_owned(),
        Err(_) => frame.texts.code("weekday", value),
    }
}

/// A change in one line.
pub fn change(frame: &Frame, change: &Change) -> Markup {
    let kind = frame.texts.code("week_change", change.kind.code());
    html! {
        b { (kind) } @if !change.title.is_empty() { ": " (change.title) }
        @if let Some(day) = change.day { " · " (frame.tell(&said!("week.only_on", day = day.format("%d/%m/%Y")))) }
        @if let Some(before) = &change.before { " · " del { (before) } }
        @if let Some(after) = &change.after { " → " ins { (after) } }
        @if change.boxes > 0 { " · " (frame.tell(&said!("compose.boxes", count = change.boxes))) }
    }
}

/// Draws the latest changes, with who made them.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn history(
    app: &App,
    frame: &Frame,
    changes: &[ChangeRow],
    shown: usize,
) -> Result<Markup, StoreError> {
    let mut named = Vec::new();
    for row in changes.iter().take(shown) {
        let person = app.store.person(row.by.clone()).await?;
        named.push((row, person.map_or_else(|| row.by.to_string(), |person| person.name)));
    }
    Ok(html! {
        ul.list { @for (row, name) in &named {
            li { (change(frame, &row.change)) br; span.mute { (name) ", " (moment(row.at)) } }
        } }
    })
}
