//! Words are said as the commune's list has them.

use crate::store::PronunciationRow;
use loaxa_heart::domain::text::clean;
use loaxa_sound::tts::{AS_IT_STANDS, AS_IT_STOOD};

/// Marks of what is said as it stands; a text has none of its own.
const MARKS: [char; 2] = [AS_IT_STANDS, AS_IT_STOOD];

/// Puts the way to say each word of the list in its place, whole words only, whatever their capitals and however their marks
/// were typed, the longest first.
///
/// Each stands between marks, so that no rule for numbers and abbreviations reads it otherwise.
pub fn pronounce(text: &str, list: &[PronunciationRow]) -> String {
    let mut list: Vec<(Vec<char>, String)> = list
        .iter()
        .map(|row| (lower(&clean(&row.word)), clean(&row.say).replace(MARKS, "")))
        .filter(|(word, _)| !word.is_empty())
        .collect();
    list.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let chars: Vec<char> = clean(text).replace(MARKS, "").chars().collect();
    let (mut said, mut at) = (String::with_capacity(text.len()), 0);
    while at < chars.len() {
        // "2-9" of the list is no part of "12-9" or "2-9-2026".
        let inside =
            at > 1 && chars[at].is_ascii_digit() && joins(chars[at - 1]) && chars[at - 2].is_ascii_digit();
        let begins = at == 0 || !inside && (!chars[at - 1].is_alphanumeric() || !chars[at].is_alphanumeric());
        let found = list.iter().filter(|_| begins).find(|(word, _)| is_at(&chars[at..], word));
        match found {
            Some((word, say)) => {
                said.push(AS_IT_STANDS);
                said.push_str(say.trim());
                said.push(AS_IT_STOOD);
                at += word.len();
                // "TP.Huế" is two words.
                if say.trim().ends_with(char::is_alphanumeric)
                    && chars.get(at).is_some_and(|c| c.is_alphanumeric())
                {
                    said.push(' ');
                }
            }
            None => {
                said.push(chars[at]);
                at += 1;
            }
        }
    }
    said
}

/// Lower-case characters, one for each of the text: those that become several stay as they are.
fn lower(text: &str) -> Vec<char> {
    text.trim().chars().map(small).collect()
}

fn small(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Tells whether a sign between two digits makes them one number.
const fn joins(c: char) -> bool {
    matches!(c, '.' | ',' | '-' | '/' | ':')
}

/// Tells whether a word stands at the beginning of `chars`, as a whole.
fn is_at(chars: &[char], word: &[char]) -> bool {
    let same = chars.len() >= word.len() && chars.iter().zip(word).all(|(c, w)| small(*c) == *w);
    let ends_in_letter = word.last().is_some_and(|c| c.is_alphanumeric());
    let inside = word.last().is_some_and(char::is_ascii_digit)
        && chars.get(word.len()).is_some_and(|c| joins(*c))
        && chars.get(word.len() + 1).is_some_and(char::is_ascii_digit);
    same && !inside && !(ends_in_letter && chars.get(word.len()).is_some_and(|c| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::time::Wall;

    #[test]
    fn whole_words_are_said_as_the_list_has_them() {
        let row = |word: &str, say: &str| PronunciationRow {
            word: word.to_owned(),
            say: say.to_owned(),
            by: "lan".parse().unwrap(),
            at: Wall(0),
        };
        let list = [
            row("UBND", "Ủy ban nhân dân"),
            row("UBND xã", "Ủy ban xã"),
            row("TP.", "thành phố"),
            row("Đ/c", "đồng chí"),
            row("cô tho\u{302}n", "cô thôn quê"),
            row(" ", "x"),
        ];
        let check =
            |text: &str, expected: &str| assert_eq!(pronounce(text, &list).replace(MARKS, ""), expected);
        check("UBND huyện, ubnd tỉnh.", "Ủy ban nhân dân huyện, Ủy ban nhân dân tỉnh.");
        check("UBND xã mời", "Ủy ban xã mời");
        check("UBNDX và XUBND", "UBNDX và XUBND");
        check("TP.Huế", "thành phố Huế");
        check("xã Đông", "xã Đông");
        check("Co\u{302} Tho\u{302}n", "cô thôn quê");
        check("Cô Thôn", "cô thôn quê");
        check("đ/C Lan", "đồng chí Lan");
        check("", "");
    }

    #[test]
    fn the_list_wins_over_the_rules() {
        let row = |word: &str, say: &str| PronunciationRow {
            word: word.to_owned(),
            say: say.to_owned(),
            by: "lan".parse().unwrap(),
            at: Wall(0),
        };
        let list =
            [row("UBND", "UBND"), row("QL13", "quốc lộ một ba"), row("AED", "A E D"), row("2-9", "hai chín")];
        let check = |text: &str, expected: &str| {
            assert_eq!(loaxa_sound::tts::readable(&pronounce(text, &list)), expected);
        };
        check("UBND xã mời họp lúc 7h", "UBND xã mời họp lúc bảy giờ");
        check("ubnd, HĐND", "UBND, Hội đồng nhân dân");
        check("Đường QL13, QL14", "Đường quốc lộ một ba, quốc lộ mười bốn");
        check(
            "trường 2-9, ngày 2-9-2026",
            "trường hai chín, ngày hai tháng chín năm hai nghìn không trăm hai mươi sáu",
        );
        check("máy AED \u{e000}5 km\u{e001}", "máy A E D năm ki-lô-mét");
    }
}
