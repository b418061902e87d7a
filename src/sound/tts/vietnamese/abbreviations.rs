//! Abbreviations of notices, and the places in which each of them is one.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::numbers::roman;
use super::scene::{Kind, Scene, Taken};

/// Places in which an abbreviation is one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Where {
    Everywhere,
    BeforeSmallLetters,
    BeforeAName,
    AmongSmallLetters,
    BeforeANumber,
    OnlyCell,
    AfterANumber,
    BeforeACode,
    /// After one of these words.
    After(Vec<&'static str>),
}

struct Abbreviation {
    short: Vec<char>,
    long: &'static str,
    place: Where,
}

/// Abbreviations by their first letter, the longest first.
static ABBREVIATIONS: LazyLock<HashMap<char, Vec<Abbreviation>>> = LazyLock::new(|| {
    let mut table: HashMap<char, Vec<Abbreviation>> = HashMap::new();
    for line in include_str!("abbreviations.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut cells = line.split('\t');
        let (Some(short), Some(long)) = (cells.next(), cells.next()) else { continue };
        let place = match cells.next() {
            Some("lower") => Where::BeforeSmallLetters,
            Some("name") => Where::BeforeAName,
            Some("number") => Where::BeforeANumber,
            Some("head") => Where::AmongSmallLetters,
            Some("cell") => Where::OnlyCell,
            Some("counted") => Where::AfterANumber,
            Some("code") => Where::BeforeACode,
            Some(words) if words.starts_with("after ") => {
                Where::After(words["after ".len()..].split('|').collect())
            }
            _ => Where::Everywhere,
        };
        let short: Vec<char> = short.chars().collect();
        table.entry(short[0]).or_default().push(Abbreviation { short, long, place });
    }
    table.values_mut().for_each(|list| list.sort_by_key(|known| std::cmp::Reverse(known.short.len())));
    table
});

/// Reads an abbreviation where it is one.
pub(super) fn abbreviation(scene: &Scene) -> Option<Taken> {
    let known = ABBREVIATIONS.get(&scene.char(scene.at)?)?;
    known.iter().find_map(|known| {
        let end = scene.at + known.short.len();
        let same = scene.chars.get(scene.at..end).is_some_and(|here| here == known.short);
        (same && stands_there(scene, known, end)).then(|| Taken::new(known.long, end, Kind::Abbreviation))
    })
}

/// Tells whether an abbreviation ends where it should, and stands where it is one.
fn stands_there(scene: &Scene, known: &Abbreviation, end: usize) -> bool {
    let next = scene.char(end);
    let letters = known.short.last().is_some_and(|c| c.is_alphanumeric());
    if known.place == Where::BeforeANumber {
        let from = scene.after_space(end);
        // "CT01" is the name of a form, "NH3" a gas.
        if from == end && scene.char(from) == Some('0')
            || from == end && matches!(known.short[..], ['N', 'H' | 'K' | 'S']) && scene.year(from).is_none()
        {
            return false;
        }
        let roman = roman(&scene.text(from, scene.word_end(from).min(from + 8))).is_some();
        return scene.is_digit(from) || from > end && (roman || scene.stands(from, "số "));
    }
    if letters && next.is_some_and(char::is_alphanumeric) {
        // "UBNDxã" lost its space on the way.
        let glued = next.is_some_and(char::is_lowercase) && known.short.len() >= 4;
        if !glued || known.place != Where::Everywhere || !known.short.iter().all(|c| c.is_uppercase()) {
            return false;
        }
    }
    let word = scene.char(scene.after_space(end));
    match &known.place {
        Where::Everywhere | Where::BeforeANumber => true,
        Where::OnlyCell => next == Some(',') && scene.previous(scene.at).is_none_or(|c| c == '\n'),
        Where::AfterANumber => {
            scene.last.is_some_and(|(kind, end)| kind == Kind::Number && end + 1 == scene.at)
                && scene.previous(scene.at) == Some(' ')
        }
        Where::BeforeACode => {
            let gap = |from: usize| scene.run_end(from, |c| matches!(c, ' ' | ':'));
            // "TK Vietcombank 1023456789"
            let bank = scene.run_end(gap(end), |c| c.is_ascii_alphabetic());
            let from = if bank > gap(end) + 2 { gap(bank) } else { gap(end) };
            let close = scene.run_end(from, |c| c.is_ascii_digit() || matches!(c, ' ' | '.'));
            from > end && scene.chars[from..close].iter().filter(|c| c.is_ascii_digit()).count() >= 6
        }
        Where::After(words) => scene.follows(words),
        Where::BeforeSmallLetters => next == Some(' ') && word.is_some_and(char::is_lowercase),
        Where::AmongSmallLetters => !among_capitals(scene, end),
        Where::BeforeAName => {
            // "30 x. Nghỉ" has no name of a commune.
            let small = known.short[0].is_lowercase() && scene.at > 1 && scene.is_digit(scene.at - 2);
            word.is_some_and(|c| c.is_uppercase() || c.is_ascii_digit())
                && !(known.short.len() == 2
                    && after_a_name(scene)
                    && !word.is_some_and(|c| c.is_ascii_digit()))
                && !(known.short.len() == 2 && small)
        }
    }
}

/// Tells whether the word before this place has a capital, as in "Nguyễn Văn H.".
pub(super) fn after_a_name(scene: &Scene) -> bool {
    let Some(space) = scene.at.checked_sub(1).filter(|space| scene.char(*space) == Some(' ')) else {
        return false;
    };
    let length = scene.chars[..space].iter().rev().take(20).take_while(|c| c.is_alphanumeric()).count();
    length > 0 && scene.char(space - length).is_some_and(char::is_uppercase)
}

/// Tells whether a neighbour of a word is written in capitals only.
pub(super) fn among_capitals(scene: &Scene, end: usize) -> bool {
    let capitals = |word: &[char]| word.len() > 1 && word.iter().all(|c| c.is_uppercase());
    let next = scene.after_space(end);
    let after = capitals(
        &scene.chars[next.min(scene.chars.len())..scene.word_end(next).min(next + 20).min(scene.chars.len())],
    );
    let Some(space) = scene.at.checked_sub(1).filter(|space| scene.char(*space) == Some(' ')) else {
        return after;
    };
    let length = scene.chars[..space].iter().rev().take(20).take_while(|c| c.is_alphanumeric()).count();
    after || capitals(&scene.chars[space - length..space])
}
