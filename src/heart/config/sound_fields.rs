//! Values that several files share: language tags, chimes and tones.

use super::fields::{Fields, Value};
use crate::domain::sound::{Pattern, Tone};
use crate::said;

/// Tells whether a text is a BCP 47 tag in the plain form of letters, digits and hyphens.
pub(super) fn is_language(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    tag.split('-').all(part) && tag.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Reads a language tag.
pub(super) fn language(value: &Value<'_>) -> Option<String> {
    let tag = value.text()?;
    if !is_language(tag) {
        value.problem(said!("problem.no_language", tag = tag.escape_debug()));
        return None;
    }
    Some(tag.to_owned())
}

/// Reads `"chime"`, `"none"`, or a table of tones.
pub(super) fn chime(value: &Value<'_>) -> Option<Pattern> {
    if value.is_text() {
        return value.choice(&[("chime", true), ("none", false)])?.then(Pattern::chime);
    }
    pattern(value.table()?)
}

/// Reads a pattern of tones, for instance `{ tones = [{ from_hz = 784, ms = 350, gap_ms = 50 }], repeats = 2 }`.
pub(super) fn pattern(mut fields: Fields<'_>) -> Option<Pattern> {
    let tones: Option<Vec<_>> = fields.tables("tones").into_iter().map(tone).collect();
    let repeats = fields.get("repeats").map_or(Some(1), |value| value.integer(1..=100));
    let tones = tones?;
    if tones.is_empty() {
        fields.problem(said!("problem.no_tone"));
        return None;
    }
    fields.finish();
    Some(Pattern { tones, repeats: repeats? })
}

fn tone(mut fields: Fields<'_>) -> Option<Tone> {
    let from_hz = fields.need("from_hz").and_then(|value| value.number(50.0..=8_000.0));
    let to_hz = fields.get("to_hz").map_or(from_hz, |value| value.number(50.0..=8_000.0));
    let ms = fields.need("ms").and_then(|value| value.integer(10..=60_000));
    let gap_ms = fields.get("gap_ms").map_or(Some(0), |value| value.integer(0..=60_000));
    fields.finish();
    Some(Tone { from_hz: from_hz?, to_hz: to_hz?, ms: ms?, gap_ms: gap_ms? })
}
