//! The opening of a doc comment: a type's and a field's is a noun, a function's a verb. One that opens a door ("What
//! keeps ...") is a riddle to a reader who does not see the code beside it, and so is a pronoun before its noun.

use std::fs;

use crate::source::{files_under, root};

const FOLDERS: [&str; 4] = ["src", "tests", "benches", "fuzz"];

const DOORS: [&str; 14] = [
    "Whether", "What", "How", "When", "Where", "Which", "Who", "Whom", "Whose", "Why", "It", "Its", "They",
    "Their",
];

/// Text of a line of a doc comment, without its marks.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

/// Finds doc comments, and sections of them such as `# Errors`, that open with one of the words above.
fn riddles(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut opens = true;
    for (index, line) in text.lines().enumerate() {
        let Some(said) = doc(line) else {
            opens = true;
            continue;
        };
        let first = said.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if opens && DOORS.contains(&first) {
            found.push(format!("{path}:{}: {first}", index + 1));
        }
        opens = said.starts_with("# ");
    }
    found
}

#[test]
fn doc_comments_open_with_a_noun_or_a_verb() {
    let files = FOLDERS.into_iter().flat_map(|folder| files_under(folder, "rs"));
    let ours = files.filter(|path| !path.starts_with(root().join("fuzz/target")));
    let found = ours.flat_map(|path| {
        riddles(path.strip_prefix(root()).unwrap().to_str().unwrap(), &fs::read_to_string(&path).unwrap())
    });
    crate::assert_none(found.collect(), "a type's comment opens with a noun, a function's with a verb");
}

#[test]
fn planted_riddles_are_found() {
    let check = |text: &str, expected: &[&str]| assert_eq!(riddles("a.rs", text), expected, "{text}");
    check("//! What a box lacks.\n", &["a.rs:1: What"]);
    check("fn f() {}\n    /// Whether it sounds.\n", &["a.rs:2: Whether"]);
    check("/// Sends it.\n///\n/// # Errors\n/// When it can't.\n", &["a.rs:4: When"]);
    check("/// Sends everything\n/// When asked.\n///\n/// Where it goes.\n", &[]);
    check("/// Whatever sounds.\n/// Says what is due.\n// What follows is no doc comment.\n", &[]);
}
