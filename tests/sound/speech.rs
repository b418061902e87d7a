//! Readings of notices: the text that an engine is given, against the words of a newsreader.

use loaxa_sound::tts::readable;
use std::path::{Path, PathBuf};

/// A line of the tables: a text, its reading, and the rule.
struct Case {
    text: String,
    reading: String,
    rule: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech")
}

/// Gives `\n`, `\t`, `\r` and `\u0301` of a table as the characters that they stand for.
fn unescaped(cell: &str) -> String {
    let mut said = String::new();
    let mut rest = cell;
    while let Some(at) = rest.find('\\') {
        said.push_str(&rest[..at]);
        let (c, length) = match &rest[at + 1..at + 2] {
            "n" => ('\n', 2),
            "t" => ('\t', 2),
            "r" => ('\r', 2),
            "u" => (char::from_u32(u32::from_str_radix(&rest[at + 2..at + 6], 16).unwrap()).unwrap(), 6),
            _ => ('\\', 1),
        };
        said.push(c);
        rest = &rest[at + length..];
    }
    said + rest
}

fn cases(file: &Path) -> Vec<Case> {
    let table = std::fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        assert_eq!(cells.len(), 3, "{}: {line}", file.display());
        Case { text: unescaped(cells[0]), reading: unescaped(cells[1]), rule: cells[2].to_owned() }
    };
    table.lines().map(line).collect()
}

fn tables() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "tsv"));
    files.sort();
    files
}

#[test]
fn texts_are_read_as_a_newsreader_says_them() {
    let (mut all, mut wrong) = (0, Vec::new());
    for file in tables() {
        for case in cases(&file) {
            all += 1;
            let said = readable(&case.text);
            if said != case.reading {
                wrong.push(format!(
                    "{}: {:?}\n  said {said:?}\n  for  {:?}",
                    case.rule, case.text, case.reading
                ));
            }
        }
    }
    println!("{} of {all} are said exactly", all - wrong.len());
    assert!(all >= 400);
    assert!(wrong.is_empty(), "{} of {all} are said otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn texts_that_were_kept_apart_are_read_as_well() {
    const SETS: [&str; 13] = [
        "notices",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
    ];
    let cases: Vec<_> = SETS
        .iter()
        .map(|set| format!("{set}.tsv"))
        .flat_map(|file| cases(&folder().join("apart").join(file)))
        .collect();
    let wrong: Vec<_> = cases.iter().filter(|case| readable(&case.text) != case.reading).collect();
    println!("{} of {} are said exactly", cases.len() - wrong.len(), cases.len());
    let said: Vec<_> =
        wrong.iter().map(|case| format!("{:?} as {:?}", case.text, readable(&case.text))).collect();
    assert!(wrong.len() * 100 <= cases.len(), "{}", said.join("\n"));
}

#[test]
fn a_reading_is_read_as_it_stands() {
    for file in tables() {
        for case in cases(&file) {
            let once = readable(&case.text);
            assert_eq!(readable(&once), once, "{:?}", case.text);
            assert!(!once.contains(|c: char| c.is_ascii_digit()), "{once:?}");
        }
    }
}

/// Gives numbers that look like chance, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// Makes a text of pieces of the tables, cut and joined anywhere.
fn scrambled(dice: &mut Dice, pieces: &[Vec<char>]) -> String {
    const SIGNS: &[char] = &[
        ' ', '.', ',', '-', '/', ':', ';', '(', ')', '\n', '\t', '0', '1', '2', '9', 'x', 'k', 'đ', '%', '°',
        'I', 'V', 'X', 'P', 'T', 'C', '@', '#', '$', '+', '|', '*', '²', '½', '\u{301}', '\u{200b}', 'ờ',
        '\'', '_', '&', '>', '=', '•', 'Ⅳ', '①', '㎡', '📢',
    ];
    let mut text = String::new();
    for _ in 0..1 + dice.below(8) {
        let piece = &pieces[dice.below(pieces.len())];
        let (from, to) = (dice.below(piece.len() + 1), dice.below(piece.len() + 1));
        text.extend(&piece[from.min(to)..from.max(to)]);
        (0..dice.below(4)).for_each(|_| text.push(SIGNS[dice.below(SIGNS.len())]));
    }
    text
}

#[test]
fn whatever_is_written_is_read_once_and_for_all() {
    let tables = tables();
    let pieces: Vec<Vec<char>> =
        tables.iter().flat_map(|file| cases(file)).map(|case| case.text.chars().collect()).collect();
    let rounds =
        std::env::var("LOAXA_SPEECH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000);
    let mut dice = Dice(0x5eed);
    for round in 0..rounds {
        let text = scrambled(&mut dice, &pieces);
        let once = readable(&text);
        assert_eq!(readable(&once), once, "round {round}: {text:?}");
        assert!(!once.contains(|c: char| c.is_ascii_digit()), "round {round}: {text:?} as {once:?}");
    }
}

#[test]
fn a_long_text_is_read_in_time_that_grows_with_it() {
    for piece in [
        "1", "1.", "1 ", "1/", "1-", "a.", "A", "IV ", "T2-", "0912 ", "a@b.vn/", "\n", "- ", "x", "(",
        "UBND", "\u{301}", "1.000",
    ] {
        let text: String = piece.chars().cycle().take(100_000).collect();
        let said = readable(&text);
        assert!(!said.contains(|c: char| c.is_ascii_digit()), "{piece:?}");
    }
}
