//! Words from outside made safe to show: what would steer a terminal, break a line or turn the reading round is written
//! out instead.

use std::borrow::Cow;

/// Writes out what can't be seen in one line of foreign text.
///
/// ```
/// use loaxa_heart::texts::visible;
/// assert_eq!(visible("Bão số 5"), "Bão số 5");
/// assert_eq!(visible("a\u{1b}[2J\nb\u{9b}c\u{202e}d"), r"a\u{1b}[2J\nb\u{9b}c\u{202e}d");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, steers)
}

/// Writes out what can't be seen in foreign text of several lines, which stay lines.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |c| c != '\n' && steers(c))
}

/// Writes JSON so that a terminal can show it: what steers is escaped as JSON escapes it, so that the values stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let must = |c| c != '\n' && steers(c);
    if !json.contains(must) {
        return Cow::Borrowed(json);
    }
    // All that steers lies below U+10000, and JSON itself writes nothing of it outside its texts.
    let escape = |c: char| if must(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(json.chars().map(escape).collect())
}

fn written_out(text: &str, must: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&must) {
        return Cow::Borrowed(text);
    }
    let mut seen = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if must(c) { seen.extend(c.escape_debug()) } else { seen.push(c) }
    }
    Cow::Owned(seen)
}

/// Tells whether a character is a control (C0, C1, delete), a separator of lines, or a mark of direction (Unicode
/// Standard Annex 9).
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_written_out_and_the_rest_stays() {
        let check = |text: &str, line: &str, lines: &str| {
            assert_eq!((visible(text).as_ref(), visible_lines(text).as_ref()), (line, lines));
        };
        check("Nguyễn  Văn Ân 🎉", "Nguyễn  Văn Ân 🎉", "Nguyễn  Văn Ân 🎉");
        check("a\nb\r", "a\\nb\\r", "a\nb\\r");
        check("\u{7f}\u{85}\u{2029}", "\\u{7f}\\u{85}\\u{2029}", "\\u{7f}\\u{85}\\u{2029}");
        assert_eq!(visible_json("{\"a\":\"\u{9b}2J\"}\n"), "{\"a\":\"\\u009b2J\"}\n");
        check("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}", "\\u{1b}]0;x\\u{7}");
    }
}
