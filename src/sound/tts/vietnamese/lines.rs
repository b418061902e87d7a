//! Lines as they are pasted from Word and from chats: bullets, numbers of items, tables, and lines without a full stop.

use super::numbers::{cardinal, roman};
use super::scene::{Kind, Scene, Taken};

/// Characters that open an item of a list and are not read.
const BULLETS: &[char] = &[
    '-', '–', '—', '−', '+', '*', '•', '→', '⇒', '➡', '·', '●', '○', '◦', '▪', '▫', '■', '□', '▶', '►', '▸',
    '➢', '➤', '➔', '✓', '✔', '√', '☑', '❖', '◆', '◇', '★', '☆', '∙', '\u{f0b7}', '\u{f0a7}', '\u{f0fc}',
    '\u{f0d8}', '»', '>', 'o',
];
/// Length from which a line was probably broken by its width.
const WRAPPED_CHARS: usize = 60;

/// Gives the lines of a text without bullets, rules and cells, and with a full stop where one item ends and another begins.
pub(super) fn plain(text: &str) -> String {
    let lines: Vec<(bool, String)> = text.split('\n').filter(|line| !is_rule(line)).map(line).collect();
    let mut said: Vec<String> = Vec::with_capacity(lines.len());
    let mut next: Option<&(bool, String)> = None;
    for both in lines.iter().rev() {
        let (bullet, line) = both;
        let stop = next.is_some_and(|next| ends_before(line, *bullet, next));
        said.push(if stop { format!("{line}.") } else { line.clone() });
        if !line.is_empty() {
            next = Some(both);
        }
    }
    said.reverse();
    said.join("\n")
}

/// Tells whether a line ends without a sign where the next one begins something new.
fn ends_before(line: &str, bullet: bool, (next_bullet, next): &(bool, String)) -> bool {
    let open = line.ends_with(|c: char| {
        c.is_alphanumeric() || matches!(c, ')' | '"' | '”' | '%' | '\'' | '²' | '³' | '°')
    });
    let begins = next.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || matches!(c, '"' | '“'));
    let mut chars = next.chars();
    let item = chars.next().is_some_and(char::is_lowercase) && chars.next() == Some(')');
    let listed = bullet || *next_bullet || item;
    open && (begins || item || *next_bullet) && (listed || line.chars().count() < WRAPPED_CHARS)
}

/// Tells whether a line is drawn, not written: "-----", "|---|---|", "______".
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() > 2
        && line
            .chars()
            .all(|c| matches!(c, '-' | '=' | '_' | '*' | '|' | '+' | ':' | ' ' | '—' | '–' | '.' | '…' | ','))
}

/// Gives a line without what stands around its words, and whether a bullet opened it.
fn line(text: &str) -> (bool, String) {
    let mut rest = text.trim();
    let mut bullet = false;
    // ". Hôm nay": a stop that lost its line.
    let stops = rest.trim_start_matches(['.', ',', ';', ':', '…']);
    if stops.len() < rest.len() && stops.starts_with([' ', '\t']) {
        rest = stops.trim_start();
    }
    while let Some(first) = rest.chars().next().filter(|c| BULLETS.contains(c)) {
        let after = &rest[first.len_utf8()..];
        // "-5°C" begins with a sign, "**quan trọng**" with a mark, "o" is a word.
        let spaced = after.starts_with([' ', '\t']);
        let glued = matches!(first, '-' | '–' | '−' | '+') && !spaced && is_temperature(after);
        let kept = match first {
            'o' | '>' | '»' => !(after.starts_with('\t') || first != 'o' && spaced),
            '*' => false,
            '+' => glued || !spaced && after.starts_with(|c: char| c.is_ascii_digit()),
            _ => glued,
        };
        if kept || after.trim().is_empty() {
            break;
        }
        bullet |= first != '*' || spaced;
        rest = after.trim_start();
    }
    (bullet, cells(rest))
}

fn is_temperature(text: &str) -> bool {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | '.')).trim_start();
    text.starts_with(|c: char| c.is_ascii_digit())
        && (after.starts_with(['°', 'º', '℃', '%']) || after.starts_with("độ") || after.starts_with("oC"))
}

/// Gives the cells of a row with a pause between them, and one space between words.
fn cells(text: &str) -> String {
    let bar = |c: char| matches!(c, '\t' | '|' | '¦');
    let cells = text.split(bar).map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut said = String::with_capacity(text.len());
    for cell in cells.filter(|cell| !cell.is_empty()) {
        if !said.is_empty() {
            said.push_str(if said.ends_with(char::is_alphanumeric) || said.ends_with([')', '%', '”', '"']) {
                ", "
            } else {
                " "
            });
        }
        said.push_str(&cell);
    }
    said
}

/// Reads the number or letter of an item: `1. `, `2) `, `a) `, `1.1. `, `IV. `.
pub(super) fn item(scene: &Scene) -> Option<Taken> {
    let before = scene.chars[..scene.at].iter().rev().find(|c| **c != ' ');
    let opens = before.is_none_or(|c| *c == '\n');
    let apart = scene.previous(scene.at).is_none_or(char::is_whitespace);
    if !apart || !opens && !before.is_some_and(|c| matches!(c, ';' | '.' | ',' | ':' | ')')) {
        return None;
    }
    let bracket = usize::from(scene.char(scene.at) == Some('('));
    let end = scene.word_end(scene.at + bracket);
    if end == scene.at + bracket || end - scene.at > 6 {
        return None;
    }
    if bracket > 0 {
        return in_brackets(scene, end);
    }
    let word = scene.text(scene.at, end);
    let letter = word.chars().count() == 1 && word.chars().all(|c| c.is_lowercase());
    let digits = word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit());
    let closed = scene.char(end) == Some(')') && scene.char(end + 1) == Some(' ');
    let spaced = |close: usize| {
        scene.char(close) == Some(' ') && scene.chars.get(close + 1).is_some_and(|c| !c.is_whitespace())
    };
    let dashed = opens && digits && scene.char(end) == Some('-') && spaced(end + 1);
    let dashed = dashed || opens && digits && scene.stands(end, ".-") && spaced(end + 2);
    let numbered = digits && !opens && is_of_a_row(scene, &word, end);
    let dotted = dashed || numbered || opens && matches!(scene.char(end), Some('.' | '/')) && spaced(end + 1);
    if digits
        && opens
        && let Some(parts) = parts(scene, end)
    {
        return Some(parts);
    }
    let said = match word {
        word if letter && (closed || dotted && scene.char(end) == Some('.')) => word,
        word if digits && (closed || dotted) => cardinal(word.parse().ok()?),
        word if dotted && is_a_part(scene, &word, end) => word,
        word if dotted => cardinal(roman(&word)?),
        _ => return None,
    };
    let close = if scene.stands(end, ".-") { end + 2 } else { end + 1 };
    Some(Taken::new(format!("{said},"), close, Kind::Other))
}

/// Tells whether a number within a line goes on a list: "Gồm: 1. Ông Nam (tổ 1) 2. Bà Lan".
fn is_of_a_row(scene: &Scene, word: &str, end: usize) -> bool {
    let Ok(number) = word.parse::<u32>() else { return false };
    let item = scene.char(end) == Some('.')
        && scene.char(end + 1) == Some(' ')
        && scene.char(end + 2).is_some_and(char::is_uppercase);
    let ahead = scene.text(end, end + 200);
    let rest = ahead.split('\n').next().unwrap_or_default();
    item && match number {
        0 => false,
        1 => rest.contains(" 2. "),
        _ => {
            scene.line().contains(&format!(" {}. ", number - 1))
                || scene.line().starts_with(&format!("{}. ", number - 1))
        }
    }
}

/// Tells whether a capital opens a heading in capitals, "A. PHẦN LỄ", and is no numeral or name.
fn is_a_part(scene: &Scene, word: &str, end: usize) -> bool {
    let capital = word.chars().count() == 1 && matches!(word, "A" | "B" | "C" | "D" | "Đ" | "E" | "G" | "H");
    let next = scene.after_space(end + 1);
    let heading = &scene.chars[next..scene.word_end(next)];
    capital && heading.len() > 1 && heading.iter().all(|c| c.is_uppercase())
}

/// Reads "(1) hộ nghèo; (2) hộ cận nghèo".
fn in_brackets(scene: &Scene, end: usize) -> Option<Taken> {
    let word = scene.text(scene.at + 1, end);
    if !scene.stands(end, ") ") || !scene.is_word(end + 2) {
        return None;
    }
    let letter = word.chars().count() == 1 && word.chars().all(|c| c.is_lowercase());
    let digits = word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit());
    let said = match word {
        word if letter => word,
        word if digits => cardinal(word.parse().ok()?),
        _ => return None,
    };
    Some(Taken::new(format!("{said},"), end + 1, Kind::Other))
}

/// Reads `1.2. Mục tiêu` and `1.2 Mục tiêu`.
fn parts(scene: &Scene, first: usize) -> Option<Taken> {
    let (mut said, mut end) = (vec![cardinal(scene.value(scene.at, first))], first);
    while scene.char(end) == Some('.') && said.len() < 6 {
        let Some((number, close)) = scene.short(end + 1) else { break };
        said.push(cardinal(number));
        end = close;
    }
    let stop = end + usize::from(matches!(scene.char(end), Some('.' | ')')));
    let heading = scene.char(stop) == Some(' ') && scene.char(stop + 1).is_some_and(char::is_uppercase);
    (said.len() > 1 && heading).then(|| Taken::new(format!("{},", said.join(" chấm ")), stop, Kind::Other))
}
