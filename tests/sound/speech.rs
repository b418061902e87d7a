//! What an engine is given for notices, against what a newsreader says.

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
                wrong.push(format!("{}: {:?}\n  said {said:?}\n  for  {:?}", case.rule, case.text, case.reading));
            }
        }
    }
    println!("{} of {all} are said exactly", all - wrong.len());
    assert!(all >= 400);
    assert!(wrong.is_empty(), "{} of {all} are said otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
