//! English sentences that came over the wire, found again among the texts, so that they can be said in another language.

use std::collections::BTreeMap;

use super::{Lang, Sentence, Tables, Value};

/// Letters of a text beside its values without which a match is taken for chance.
const LETTERS_MIN: usize = 6;
/// Sentences that may stand in each other.
const NESTING_MAX: u32 = 4;

impl Tables {
    /// Finds the sentence of these tables whose English words these are; of several, the one with most words of its own.
    pub fn recognise(&'static self, words: &str) -> Option<Sentence> {
        self.recognise_nested(words, NESTING_MAX)
    }

    fn recognise_nested(&'static self, words: &str, nesting: u32) -> Option<Sentence> {
        let found = self.of(Lang::En).words.iter().filter_map(|(key, text)| {
            let letters = letters(text);
            let values = (letters >= LETTERS_MIN).then(|| values(text, words))??;
            Some((letters, key, values))
        });
        let (_, key, values) = found.max_by_key(|(letters, ..)| *letters)?;
        let value =
            |text: &str| match nesting.checked_sub(1).and_then(|less| self.recognise_nested(text, less)) {
                Some(sentence) => Value::Sentence(Box::new(sentence)),
                None => Value::Plain(text.to_owned()),
            };
        let sentence = Sentence::new(self, key);
        Some(values.into_iter().fold(sentence, |sentence, (name, text)| sentence.with(name, value(text))))
    }
}

/// The letters of a text that are not names of values.
fn letters(text: &str) -> usize {
    let outside = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    outside.flat_map(str::chars).filter(|c| c.is_alphabetic()).count()
}

/// The values with which a text says these words; each ends where the text goes on for the first time.
fn values<'w>(text: &'static str, words: &'w str) -> Option<BTreeMap<&'static str, &'w str>> {
    let (before, mut text) = text.split_once('{').map_or((text, None), |(before, rest)| (before, Some(rest)));
    let mut words = words.strip_prefix(before)?;
    let mut values = BTreeMap::new();
    while let Some((name, rest)) = text.and_then(|text| text.split_once('}')) {
        let (literal, next) =
            rest.split_once('{').map_or((rest, None), |(literal, next)| (literal, Some(next)));
        let end = match (literal.is_empty(), next) {
            (true, _) => words.len(),
            (false, None) => {
                words.len().checked_sub(literal.len()).filter(|at| words.is_char_boundary(*at))?
            }
            (false, Some(_)) => words.find(literal)?,
        };
        values.insert(name, &words[..end]);
        words = words[end..].strip_prefix(literal)?;
        text = next;
    }
    words.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLES: Tables = Tables::new(
        "[a]\nstatus = \"máy chủ trả lời {code}\"\nshort = \"{x}: {y}\"\npart = \"đoạn {n} của luồng: {error}\"\n\
         quiet = \"im lặng quá lâu\"\n",
        "[a]\nstatus = \"the server answers {code}\"\nshort = \"{x}: {y}\"\npart = \"part {n} of the stream: {error}\"\n\
         quiet = \"silent for too long\"\n",
    );

    fn check(words: &str, expected: Option<&str>) {
        assert_eq!(TABLES.recognise(words).map(|said| said.to(Lang::Vi)).as_deref(), expected, "{words}");
    }

    #[test]
    fn english_is_said_in_vietnamese() {
        check("silent for too long", Some("im lặng quá lâu"));
        check("the server answers 404 Not Found", Some("máy chủ trả lời 404 Not Found"));
        check("part 7 of the stream: the server answers 500", Some("đoạn 7 của luồng: máy chủ trả lời 500"));
        check("part 7 of the stream: os error 111", Some("đoạn 7 của luồng: os error 111"));
    }

    #[test]
    fn what_nobody_here_says_is_not_recognised() {
        check("connection refused: os error 111", None);
        check("silent for too long, and more", None);
        check("", None);
        check("the server answers", None);
        check("đ", None);
    }

    /// Words from outside may hold anything at all.
    #[test]
    fn hostile_words_end() {
        let nested = "part 1 of the stream: ".repeat(2_000);
        assert!(TABLES.recognise(&nested).is_some());
        let said = TABLES.recognise("the server answers \u{1b}[2J{code}").unwrap().to(Lang::Vi);
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}
