//! A plan as a drawing: a line for each day, a block for each play.

use std::fmt::Write;

use chrono::{NaiveDate, Timelike};

use super::planned::{Fate, Planned, PlannedSession};
use super::words;
use crate::domain::programme::ItemKind;
use crate::domain::time::Wall;
use crate::texts::Lang;

const LEFT_PX: f64 = 190.0;
/// Most pixels of all bands together, however much of the day they cover.
const BANDS_PX_MAX: f64 = 1_100.0;
const SECOND_PX_MAX: f64 = 0.25;
/// Pixels between bands; hours in which no day has anything are not drawn.
const GAP_PX: f64 = 50.0;
/// Sessions that are nearer to each other than this, in seconds, share a band.
const NEAR_S: u32 = 15 * 60;
const TICK_PX_MIN: f64 = 44.0;
const ROW_PX: usize = 34;
const HEAD_PX: usize = 30;

/// Colours that people with any colour vision can tell apart (Okabe and Ito, 2008); what does not sound is hatched.
const SPEECH: &str = "#0072b2";
const MUSIC: &str = "#56b4e9";
const CHIME: &str = "#e69f00";
const CUT: &str = "#d55e00";

/// Draws the hours in which anything sounds, each day on its own line. Every block carries its words as a tooltip.
pub fn render(sessions: &[PlannedSession], lang: Lang) -> String {
    let days: Vec<_> = sessions.chunk_by(|a, b| a.key.date == b.key.date).collect();
    let axis = Axis::over(sessions);
    let width =
        axis.bands.last().map_or(LEFT_PX, |band| band.x + f64::from(band.until - band.from) * axis.second_px)
            + 30.0;
    let height = HEAD_PX + ROW_PX * days.len() + 10;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height}\" width=\"{width:.0}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <path d=\"M0 6L6 0\" stroke=\"{CUT}\" stroke-width=\"1.5\"/></pattern></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    for (x, second) in axis.ticks() {
        let (hour, minute, bottom) = (second / 3_600, second / 60 % 60, height - 10);
        let _ = writeln!(out, "<path d=\"M{x:.1} {HEAD_PX}V{bottom}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\" fill=\"#555\">{hour:02}:{minute:02}</text>"
        );
    }
    for (row, day) in days.into_iter().enumerate() {
        let y = HEAD_PX + ROW_PX * row;
        let sheet = Sheet { axis: &axis, y, lang };
        let label = day_label(day[0].key.date, lang);
        let _ = writeln!(out, "<text x=\"8\" y=\"{}\">{}</text>", y + 21, escape(&label));
        day.iter().for_each(|session| sheet.session(&mut out, session));
    }
    out.push_str("</svg>\n");
    out
}

/// A part of the day, in seconds since midnight, and its place in the drawing.
struct Band {
    from: u32,
    until: u32,
    x: f64,
}

/// The parts of the day in which any session lies.
struct Axis {
    bands: Vec<Band>,
    second_px: f64,
}

impl Axis {
    fn over(sessions: &[PlannedSession]) -> Self {
        let second = |at: Wall| at.local().num_seconds_from_midnight();
        let mut spans: Vec<_> =
            sessions.iter().map(|session| (second(session.start), second(session.end))).collect();
        spans.sort_unstable();
        let mut bands: Vec<Band> = Vec::new();
        for (from, until) in spans {
            match bands.last_mut() {
                Some(band) if from <= band.until + NEAR_S => band.until = band.until.max(until),
                _ => bands.push(Band { from, until, x: 0.0 }),
            }
        }
        let seconds: u32 = bands.iter().map(|band| band.until - band.from).sum();
        let second_px = SECOND_PX_MAX.min(BANDS_PX_MAX / f64::from(seconds.max(1)));
        let mut x = LEFT_PX;
        for band in &mut bands {
            band.x = x;
            x += f64::from(band.until - band.from) * second_px + GAP_PX;
        }
        Self { bands, second_px }
    }

    fn x(&self, at: Wall) -> f64 {
        let local = at.local();
        let second = f64::from(local.num_seconds_from_midnight()) + f64::from(local.nanosecond()) / 1e9;
        let band = self.bands.iter().rev().find(|band| f64::from(band.from) <= second);
        band.map_or(LEFT_PX, |band| band.x + (second - f64::from(band.from)) * self.second_px)
    }

    /// Returns places and seconds of the day: the ends of each band, and round times between that do not crowd.
    fn ticks(&self) -> Vec<(f64, u32)> {
        let step = [60, 300, 600, 900, 1_800, 3_600, 7_200];
        let step =
            step.into_iter().find(|step| f64::from(*step) * self.second_px >= TICK_PX_MIN).unwrap_or(14_400);
        let of = |band: &Band| {
            let place = |second: u32| (band.x + f64::from(second - band.from) * self.second_px, second);
            let room = (TICK_PX_MIN / self.second_px) as u32;
            let first = (band.from + room).div_ceil(step) * step;
            let round = (first..band.until.saturating_sub(room)).step_by(step as usize);
            std::iter::once(band.from).chain(round).chain([band.until]).map(place).collect::<Vec<_>>()
        };
        self.bands.iter().flat_map(of).collect()
    }
}

fn day_label(date: NaiveDate, lang: Lang) -> String {
    let whole = words::day(date).to(lang);
    whole.split(" (").next().unwrap_or_default().to_owned()
}

/// The canvas for a day.
struct Sheet<'a> {
    axis: &'a Axis,
    y: usize,
    lang: Lang,
}

impl Sheet<'_> {
    fn session(&self, out: &mut String, session: &PlannedSession) {
        let (x, y) = (self.axis.x(session.start), self.y + 4);
        let width = self.axis.x(session.end) - x;
        let notes: Vec<_> = session.notes.iter().map(|note| words::note(note).to(self.lang)).collect();
        let (from, to) = (super::text::clock(session.start), super::text::clock(session.end));
        let tip = format!("{from}-{to} {}\n{}", session.title, notes.join("\n"));
        let _ = writeln!(
            out,
            "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"26\" fill=\"#f4f4f4\" stroke=\"#999\">\
             <title>{}</title></rect>",
            escape(tip.trim_end())
        );
        session.plays.iter().for_each(|play| self.play(out, play));
    }

    fn play(&self, out: &mut String, play: &Planned) {
        let (x, y) = (self.axis.x(play.from), self.y + 7);
        // A play without a length is still to be seen.
        let width = (self.axis.x(play.to) - x).max(1.0);
        let fill = match play.fate {
            Fate::NotPlayed { .. } => "url(#hatch)",
            Fate::HardEnd | Fate::Guarded { .. } => CUT,
            Fate::Whole if play.chime => CHIME,
            Fate::Whole if play.kind == ItemKind::Music => MUSIC,
            Fate::Whole => SPEECH,
        };
        let fate = words::fate(&play.fate).map(|fate| fate.to(self.lang)).unwrap_or_default();
        let at = play.from.local().format("%H:%M:%S");
        let title = words::title(play).to(self.lang);
        let tip = format!("{at} {title} ({})\n{fate}", super::text::length(play.to.since(play.from)));
        let _ = writeln!(
            out,
            "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"20\" fill=\"{fill}\"><title>{}</title></rect>",
            escape(tip.trim_end())
        );
    }
}

fn escape(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control() || *c == '\n');
    plain.fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
        out
    })
}
