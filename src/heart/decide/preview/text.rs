//! A plan as lines of text.

use std::fmt::Write;

use super::planned::{Fate, PlannedSession};
use super::words;
use super::{SectionWeek, conflicts};
use crate::domain::time::{Span, Wall};
use crate::said;
use crate::texts::Lang;

/// Writes the days, their sessions and plays, conflicts, and minutes by section.
pub fn render(sessions: &[PlannedSession], weeks: &[SectionWeek], lang: Lang) -> String {
    let mut out = String::new();
    for day in sessions.chunk_by(|a, b| a.key.date == b.key.date) {
        let _ = writeln!(out, "{}", words::day(day[0].key.date).to(lang));
        day.iter().for_each(|session| session_lines(&mut out, session, lang));
        out.push('\n');
    }
    if sessions.is_empty() {
        let _ = writeln!(out, "{}\n", said!("preview.nothing").to(lang));
    }
    for (one, other) in conflicts(sessions) {
        let (one, other) = (&sessions[one], &sessions[other]);
        let (one_at, other_at) = (clock(one.start), clock(other.start));
        let conflict = said!("preview.conflict", one_at, one = one.title, other_at, other = other.title);
        let _ = writeln!(out, "{}", conflict.to(lang));
    }
    week_lines(&mut out, weeks, lang);
    out
}

fn session_lines(out: &mut String, session: &PlannedSession, lang: Lang) {
    let (from, to) = (clock(session.start), clock_at_end(session.start, session.end));
    let _ = writeln!(
        out,
        "  {from}-{to}  {} [{}], {} %",
        session.title, session.key.slot, session.volume_percent
    );
    for note in &session.notes {
        let _ = writeln!(out, "      * {}", words::note(note).to(lang));
    }
    for play in &session.plays {
        let mark = match play.fate {
            Fate::NotPlayed { .. } => '-',
            Fate::Whole if play.chime => '♪',
            Fate::Whole => ' ',
            Fate::HardEnd | Fate::Guarded { .. } => '!',
        };
        let about = if play.about { "~" } else { "" };
        let length = format!("{about}{}", length(play.to.since(play.from)));
        let _ = write!(out, "    {mark} {} {length:>7}  {}", seconds(play.from), words::title(play).to(lang));
        if let Some(section) = &play.section {
            let _ = write!(out, " · {section}");
        }
        if !matches!(play.language.as_str(), "" | "vi") {
            let _ = write!(out, " · {}", play.language);
        }
        let _ = match words::fate(&play.fate) {
            None => writeln!(out),
            Some(fate) => writeln!(out, "  ({})", fate.to(lang)),
        };
    }
}

fn week_lines(out: &mut String, weeks: &[SectionWeek], lang: Lang) {
    for week in weeks.chunk_by(|a, b| a.week == b.week) {
        let title = said!("preview.week", date = week[0].week);
        let _ = writeln!(out, "{}", title.to(lang));
        for row in week {
            let sounds = length(Span::secs(row.sounds_s));
            let _ = write!(out, "  {sounds:>8}  {}", row.title);
            if let Some(min) = row.minutes_min {
                let least =
                    if row.is_short() { said!("preview.short", min) } else { said!("preview.least", min) };
                let _ = write!(out, " {}", least.to(lang));
            }
            out.push('\n');
        }
    }
}

/// Writes an instant as `HH:MM` in Vietnam.
pub(super) fn clock(at: Wall) -> String {
    at.local().format("%H:%M").to_string()
}

/// Writes the end of a session: midnight is the end of its day.
pub(super) fn clock_at_end(start: Wall, end: Wall) -> String {
    if end.date() > start.date() { "24:00".to_owned() } else { clock(end) }
}

fn seconds(at: Wall) -> String {
    at.local().format("%H:%M:%S").to_string()
}

/// Writes a span in minutes and seconds.
pub(super) fn length(span: Span) -> String {
    let seconds = (span.as_millis() + 500) / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
