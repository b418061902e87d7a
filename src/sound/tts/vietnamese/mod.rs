//! Vietnamese notices as a newsreader says them: what an engine is given has no digits, abbreviations and signs left.
//!
//! `docs/speech.md` gives the rules and their sources, `tests/fixtures/speech` an example of each and more.

mod abbreviations;
mod clues;
mod codes;
mod dates;
mod lines;
mod numbers;
mod quantities;
mod scene;
mod symbols;
mod times;
mod units;
mod web;
mod words;

use loaxa_heart::domain::text::clean;
use scene::{Kind, Scene, Taken};
use unicode_normalization::UnicodeNormalization;

/// Opens words that are said as they stand, as the commune's list has them: from Unicode's private use.
pub const AS_IT_STANDS: char = '\u{e000}';
/// Closes words that are said as they stand.
pub const AS_IT_STOOD: char = '\u{e001}';

/// Longest text that is read; what is longer is cut there.
const TEXT_CHARS_MAX: usize = 100_000;
/// Readings of a reading until nothing changes: a rule may bring forth what another one reads.
const READINGS_MAX: usize = 5;

/// Rules for what stands at a place, the first that fits.
const RULES: &[fn(&Scene) -> Option<Taken>] = &[
    lines::item,
    web::address,
    codes::account,
    codes::mixed,
    codes::phone,
    codes::plate,
    codes::standard,
    codes::document,
    codes::door,
    codes::section,
    dates::date,
    times::time,
    quantities::score,
    quantities::in_one,
    quantities::row,
    quantities::fraction,
    quantities::quantity,
];

/// Gives `text` as a Vietnamese reader would say it; reading that again changes nothing.
///
/// What stands between [`AS_IT_STANDS`] and [`AS_IT_STOOD`] stays as it is, and loses these marks.
pub fn readable(text: &str) -> String {
    let short: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let mut said = read(&lines::plain(&plain(&clean(&short))));
    for _ in 1..READINGS_MAX {
        let again = read(&lines::plain(&said));
        if again == said {
            break;
        }
        said = again;
    }
    said.replace([AS_IT_STANDS, AS_IT_STOOD], "")
}

/// Gives digits, letters and units in their usual form, and leaves out pictures.
fn plain(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            'Ð' => said.push('Đ'),
            'ð' => said.push('đ'),
            'Ø' | 'ø' | '⌀' | 'Φ' | 'φ' => said.push_str("phi "),
            // A raised nought is how some keyboards write a degree.
            '\u{2070}' => said.push('°'),
            '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215f}' => {
                if said.ends_with(|c: char| c.is_ascii_digit()) {
                    said.push(' ');
                }
                said.extend(std::iter::once(c).nfkc().map(|c| if c == '\u{2044}' { '/' } else { c }));
            }
            '\u{2160}'..='\u{217f}' | '\u{2460}'..='\u{249b}' | '\u{2071}'..='\u{2089}' => {
                said.extend(std::iter::once(c).nfkc());
            }
            '\u{3300}'..='\u{33ff}' | '\u{ff01}'..='\u{ff5e}' => said.extend(std::iter::once(c).nfkc()),
            // Pictures that stand for a word: a pause between what they part.
            '📍' | '☎' | '📞' | '⏰' | '📅' | '📌' | '👉' | '📱' | '📧' | '🏠' | '💰' | '🕐'..='🕧'
                if said.trim_end_matches(' ').ends_with(char::is_alphanumeric) && !ends(&text[at..]) =>
            {
                said.truncate(said.trim_end_matches(' ').len());
                said.push_str(", ");
            }
            '\u{1f000}'..='\u{1faff}'
            | '\u{231a}'..='\u{23ff}'
            | '\u{2600}'..='\u{2712}'
            | '\u{2715}'..='\u{27bf}'
            | '\u{200d}' => said.push(' '),
            _ => said.push(c),
        }
    }
    // A paper ends with "./.".
    let said = said
        .replace("./.", ".")
        .replace("-->", "→")
        .replace("->", "→")
        .replace(" => ", ", ")
        .replace("=>", ", ");
    // A mark of a footnote.
    let said = said.replace(" (*)", "").replace("(*)", "").replace(" (**)", "").replace("(**)", "");
    said.nfc().collect()
}

/// Tells whether nothing but signs is left of a line.
fn ends(rest: &str) -> bool {
    !rest.split('\n').next().unwrap_or_default().contains(char::is_alphanumeric)
}

/// Reads a text once, from its beginning to its end.
fn read(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { said: String::with_capacity(text.len() * 2), joins: false };
    let mut scene = Scene { chars: &chars, at: 0, last: None, since_number: usize::MAX };
    let mut ended = 0;
    while let Some(c) = scene.char(scene.at) {
        if c == AS_IT_STANDS {
            let end = scene.run_end(scene.at, |c| c != AS_IT_STOOD);
            reader.words(&scene.text(scene.at, end + 1));
            scene.at = (end + 1).min(chars.len());
            continue;
        }
        if let Some(taken) = taken(&scene, c, ended == scene.at) {
            reader.words(&taken.words);
            scene.at = taken.end;
            ended = taken.end;
            if taken.kind != Kind::Link {
                scene.since_number =
                    if taken.kind.is_numeric() { 0 } else { scene.since_number.saturating_add(1) };
                scene.last = Some((taken.kind, taken.end));
            }
            continue;
        }
        let end = if c.is_alphanumeric() { scene.word_end(scene.at).max(scene.at + 1) } else { scene.at + 1 };
        reader.letters(&chars[scene.at..end]);
        scene.since_number = match c {
            '.' | ';' | '\n' => usize::MAX,
            _ if c.is_alphanumeric() => scene.since_number.saturating_add(1),
            _ => scene.since_number,
        };
        scene.at = end;
    }
    // A mark may have come to stand behind a letter.
    reader.said.trim_end_matches(' ').nfc().collect()
}

/// Finds the words for what stands at a place.
fn taken(scene: &Scene, c: char, resumed: bool) -> Option<Taken> {
    let begins = resumed || !scene.previous(scene.at).is_some_and(char::is_alphanumeric);
    if begins
        && (c.is_ascii_alphanumeric()
            || c.is_alphabetic()
            || matches!(c, '(' | '+' | '$' | '€' | '₫' | '£' | '¥' | '#'))
    {
        let found = if matches!(c, 'x' | 'X') { symbols::symbol(scene) } else { None };
        let found =
            found.or_else(|| RULES.iter().find_map(|rule| rule(scene))).or_else(|| words::word(scene));
        if found.is_some() {
            return found;
        }
    }
    if c.is_alphanumeric() && !matches!(c, '²' | '³' | 'º') { None } else { symbols::symbol(scene) }
}

/// The words so far.
struct Reader {
    said: String,
    /// The last words came from a rule: a letter after them stands apart.
    joins: bool,
}

impl Reader {
    /// Adds words of a rule, apart from the letters before.
    fn words(&mut self, words: &str) {
        let first = words.chars().next();
        if first.is_some_and(char::is_alphanumeric)
            && self.said.ends_with(|c: char| c.is_alphanumeric() || c == ',')
        {
            self.said.push(' ');
        }
        if first == Some(',') {
            let end = self.said.trim_end_matches(' ').len();
            self.said.truncate(end);
            if self.said.ends_with([',', '\n', '.', ';', ':']) || self.said.is_empty() {
                self.joins = true;
                return;
            }
        }
        if words.starts_with(' ') && self.said.ends_with([' ', '\n']) {
            self.said.push_str(words.trim_start());
        } else {
            self.said.push_str(words);
        }
        self.joins = true;
    }

    /// Adds characters as they are.
    fn letters(&mut self, letters: &[char]) {
        let first = letters[0];
        if self.joins
            && first.is_alphanumeric()
            && self.said.ends_with(|c: char| c.is_alphanumeric() || c == ',')
        {
            self.said.push(' ');
        }
        if first != ' ' || !self.said.ends_with([' ', '\n']) && !self.said.is_empty() {
            self.said.extend(letters);
        }
        self.joins = false;
    }
}
