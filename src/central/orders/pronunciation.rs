//! Words are said as the commune's list has them.

use crate::store::PronunciationRow;

/// Puts the way to say each word of the list in its place, whole words only, whatever their capitals, the longest first.
pub fn pronounce(text: &str, list: &[PronunciationRow]) -> String {
    let mut list: Vec<(Vec<char>, &str)> = list
        .iter()
        .map(|row| (lower(&row.word), row.say.as_str()))
        .filter(|(word, _)| !word.is_empty())
        .collect();
    list.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let chars: Vec<char> = text.chars().collect();
    let (mut said, mut at) = (String::with_capacity(text.len()), 0);
    while at < chars.len() {
        let begins = at == 0 || !chars[at - 1].is_alphanumeric() || !chars[at].is_alphanumeric();
        let found = list.iter().filter(|_| begins).find(|(word, _)| is_at(&chars[at..], word));
        match found {
            Some((word, say)) => {
                said.push_str(say);
                at += word.len();
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

/// Tells whether a word stands at the beginning of `chars`, as a whole.
fn is_at(chars: &[char], word: &[char]) -> bool {
    let same = chars.len() >= word.len() && chars.iter().zip(word).all(|(c, w)| small(*c) == *w);
    let ends_in_letter = word.last().is_some_and(|c| c.is_alphanumeric());
    same && !(ends_in_letter && chars.get(word.len()).is_some_and(|c| c.is_alphanumeric()))
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
            row(" ", "x"),
        ];
        let check = |text: &str, expected: &str| assert_eq!(pronounce(text, &list), expected);
        check("UBND huyện, ubnd tỉnh.", "Ủy ban nhân dân huyện, Ủy ban nhân dân tỉnh.");
        check("UBND xã mời", "Ủy ban xã mời");
        check("UBNDX và XUBND", "UBNDX và XUBND");
        check("TP.Huế", "thành phốHuế");
        check("đ/C Lan", "đồng chí Lan");
        check("", "");
    }
}
