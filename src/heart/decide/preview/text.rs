//! A plan as lines of text.

use std::fmt::Write;

use super::planned::{Fate, PlannedSession};
use super::words::{self, Lang};
use super::{SectionWeek, conflicts};
use crate::domain::time::{Span, Wall};

/// Writes the days, their sessions and plays, conflicts, and minutes by section.
pub fn render(sessions: &[PlannedSession], weeks: &[SectionWeek], lang: Lang) -> String {
    let mut out = String::new();
    for day in sessions.chunk_by(|a, b| a.key.date == b.key.date) {
        let _ = writeln!(out, "{}", words::day(day[0].key.date, lang));
        day.iter().for_each(|session| session_lines(&mut out, session, lang));
        out.push('\n');
    }
    if sessions.is_empty() {
        let _ = writeln!(
            out,
            "{}\n",
            lang.of("Không có gì phát trong những ngày này.", "Nothing sounds on these days.")
        );
    }
    for (one, other) in conflicts(sessions) {
        let (one, other) = (&sessions[one], &sessions[other]);
        let clash = lang.of("Trùng giờ", "Conflict");
        let _ = writeln!(
            out,
            "{clash}: {} {} / {} {}",
            clock(one.start),
            one.title,
            clock(other.start),
            other.title
        );
    }
    week_lines(&mut out, weeks, lang);
    out
}

fn session_lines(out: &mut String, session: &PlannedSession, lang: Lang) {
    let (from, to) = (clock(session.start), clock(session.end));
    let _ = writeln!(
        out,
        "  {from}-{to}  {} [{}], {} %",
        session.title, session.key.slot, session.volume_percent
    );
    for note in &session.notes {
        let _ = writeln!(out, "      * {}", words::note(note, lang));
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
        let _ = write!(out, "    {mark} {} {length:>7}  {}", seconds(play.from), words::title(play, lang));
        if let Some(section) = &play.section {
            let _ = write!(out, " · {section}");
        }
        if !matches!(play.language.as_str(), "" | "vi") {
            let _ = write!(out, " · {}", play.language);
        }
        let fate = words::fate(&play.fate, lang);
        let _ = if fate.is_empty() { writeln!(out) } else { writeln!(out, "  ({fate})") };
    }
}

fn week_lines(out: &mut String, weeks: &[SectionWeek], lang: Lang) {
    for week in weeks.chunk_by(|a, b| a.week == b.week) {
        let title = lang.of("Số phút theo chuyên mục, tuần từ", "Minutes by section, week of");
        let _ = writeln!(out, "{title} {}:", week[0].week);
        for row in week {
            let sounds = length(Span::secs(row.sounds_s));
            let _ = write!(out, "  {sounds:>8}  {}", row.title);
            if let Some(min) = row.minutes_min {
                let least = lang.of("ít nhất", "at least");
                let short = if row.is_short() { lang.of(" THIẾU", " SHORT") } else { "" };
                let _ = write!(out, " ({least} {min}:00){short}");
            }
            out.push('\n');
        }
    }
}

/// Writes an instant as `HH:MM` in Vietnam.
pub(super) fn clock(at: Wall) -> String {
    at.local().format("%H:%M").to_string()
}

fn seconds(at: Wall) -> String {
    at.local().format("%H:%M:%S").to_string()
}

/// Writes a span in minutes and seconds.
pub(super) fn length(span: Span) -> String {
    let seconds = (span.as_millis() + 500) / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
