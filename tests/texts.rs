//! Every sentence for people stands in the text files, in both languages, and every text is used: found by reading the
//! sources, so that a new page, answer or command can't be forgotten. (Commands' help is walked in `commands/help.rs`.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of code that have text files of their own.
const ROOMS: [&str; 6] = ["adapters", "box", "central", "commands", "heart", "sound"];

/// Macros that make a sentence of a key and its values.
const SENTENCES: [&str; 3] = ["said!(", "tell!(", "complain!("];

/// Calls that look a key up by a code that is known only at run time; their first argument is the section.
const BY_CODE: [&str; 4] = ["code(", "section(", "code_in_words(", "with_detail("];

/// Vietnamese texts that are right without any sign on their letters.
const PLAIN_VIETNAMESE: [&str; 10] = [
    "draft.in_place_of",
    "health.gigabytes",
    "health.megabytes",
    "lunar_month.m2",
    "lunar_month.m3",
    "page.other_language",
    "proof.hertz",
    "sign.error_key",
    "verdict.line",
    "verdict.wrong",
];

/// English words that no Vietnamese sentence holds.
const ENGLISH: [&str; 12] =
    ["the", "is", "are", "was", "of", "not", "and", "with", "this", "that", "where", "it"];

/// Files whose Vietnamese is data, not a sentence of the program: names of people and titles in the log, what is spoken on
/// the air, what the Vietnamese calendar calls its leap month.
const VIETNAMESE_DATA: [&str; 13] = [
    "src/adapters/ical/",
    "src/central/orders/live.rs",
    "src/central/web/local_time.rs",
    "src/commands/central_init.rs",
    "src/commands/conform/",
    "src/commands/demo/cues.rs",
    "src/commands/demo/files.rs",
    "src/commands/demo/people.rs",
    "src/heart/decide/simulation/",
    "src/heart/decide/speaker/held.rs",
    "src/heart/decide/speaker/live.rs",
    "src/heart/domain/lunar.rs",
    "src/sound/tts",
];

/// Folders of files that only tests use.
const OF_TESTS: [&str; 2] = ["tests", "contract"];

/// Lines for programs, which are the same in every language.
const FOR_PROGRAMS: [&str; 4] = ["TAP version", "Bail out!", "ok {number}", "loaxa central ready"];

const SIGNS: &str = "ăâđêôơưàằầèềìòồờùừỳảẳẩẻểỉỏổởủửỷãẵẫẽễĩõỗỡũữỹáắấéếíóốớúứýạặậẹệịọộợụựỵ";

type Table = BTreeMap<String, String>;

/// All texts of a room in a language, by `section.key`: those of `texts/vi.toml` and of every `texts/SUBJECT.vi.toml`.
fn table(room: &str, lang: &str) -> Table {
    let mut flat = Table::new();
    let end = format!("{lang}.toml");
    let in_texts = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("texts"));
    let is_table = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        in_texts(path) && (name == end.as_str() || name.ends_with(&format!(".{end}")))
    };
    for path in files(&Path::new("src").join(room)).into_iter().filter(is_table) {
        let text = fs::read_to_string(&path).unwrap();
        let sections: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (section, words) in sections {
            for (key, text) in words {
                let again = flat.insert(format!("{section}.{key}"), text);
                assert!(again.is_none(), "{}: {section}.{key} stands twice", path.display());
            }
        }
    }
    assert!(!flat.is_empty(), "{room} has no texts");
    flat
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found.extend(files(&entry)),
            false => found.push(entry),
        }
    }
    found.sort();
    found
}

/// A room's sources without comments and tests, by path.
fn sources(room: &str) -> Vec<(String, String)> {
    let mut paths = files(&Path::new("src").join(room));
    let is_test =
        |path: &Path| path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
    paths.retain(|path| path.extension().is_some_and(|end| end == "rs") && !is_test(path));
    paths.retain(|path| !path.iter().any(|part| OF_TESTS.iter().any(|folder| part == *folder)));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let begins_tests =
            |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{');
        let code = lines.windows(2).position(begins_tests).unwrap_or(lines.len());
        let kept = lines[..code].iter().copied().filter(|line| !line.trim_start().starts_with("//"));
        (path.display().to_string(), kept.collect::<Vec<_>>().join("\n"))
    };
    paths.into_iter().map(read).collect()
}

/// The names in braces of a text.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let insides = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let names = insides.filter_map(|(inside, _)| inside.split('|').next());
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    names.filter(is_name).collect()
}

/// A text without what stands in braces.
fn bare(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('}').map_or(part, |(_, after)| after)).collect::<String>()
}

/// Finds what stands in the parentheses of each call of a macro or function.
fn calls<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(name).map(move |(at, _)| {
        let inside = &text[at + name.len()..];
        let (mut depth, mut in_text, mut escaped) = (1, false, false);
        for (index, c) in inside.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                '(' | '[' | '{' if !in_text => depth += 1,
                ')' | ']' | '}' if !in_text => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return &inside[..index];
            }
        }
        inside
    })
}

/// The arguments of a call, split where a comma stands outside of parentheses and texts.
fn arguments(inside: &str) -> Vec<&str> {
    let (mut depth, mut in_text, mut escaped, mut from, mut parts) = (0, false, false, 0, Vec::new());
    for (index, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' | ']' | '}' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                parts.push(inside[from..index].trim());
                from = index + 1;
            }
            _ => {}
        }
    }
    parts.push(inside[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn literal(argument: &str) -> Option<&str> {
    argument.trim().strip_prefix('"')?.split('"').next()
}

/// All texts in quotes, on one line each.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn fail_with(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn both_languages_say_the_same_things() {
    let mut wrong = Vec::new();
    for room in ROOMS {
        let (vi, en) = (table(room, "vi"), table(room, "en"));
        for key in vi.keys().chain(en.keys()).collect::<BTreeSet<_>>() {
            let (Some(vi), Some(en)) = (vi.get(key), en.get(key)) else {
                wrong.push(format!("{room}: {key} stands in one language only"));
                continue;
            };
            if vi.trim().is_empty() || en.trim().is_empty() {
                wrong.push(format!("{room}: {key} is empty"));
            }
            if placeholders(vi) != placeholders(en) {
                wrong.push(format!("{room}: {key} names other values in the other language"));
            }
        }
    }
    fail_with(wrong, "half-translated");
}

#[test]
fn vietnamese_is_vietnamese() {
    let mut wrong = Vec::new();
    let mut needless: BTreeSet<_> = PLAIN_VIETNAMESE.into_iter().collect();
    for room in ROOMS {
        for (key, text) in table(room, "vi") {
            let words = bare(&text).to_lowercase();
            let has_words = words.chars().any(char::is_alphabetic);
            if has_words && !words.chars().any(|c| SIGNS.contains(c)) && !needless.remove(key.as_str()) {
                wrong.push(format!("{room}: {key} has no Vietnamese sign: {text}"));
            }
            // What stands in quotes is to be typed as it is.
            let prose: String = words.split(['"', '`', '\'']).step_by(2).collect();
            let mut parts = prose.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(english) = parts.find(|part| ENGLISH.contains(part)) {
                wrong.push(format!("{room}: {key} has the English word {english:?}: {text}"));
            }
        }
    }
    wrong.extend(needless.iter().map(|key| format!("{key} is listed as plain and need not be")));
    fail_with(wrong, "not Vietnamese");
}

#[test]
fn every_sentence_in_the_code_has_a_text_with_its_values() {
    let mut wrong = Vec::new();
    for room in ROOMS {
        let texts = table(room, "en");
        for (path, source) in sources(room) {
            for inside in SENTENCES.iter().flat_map(|name| calls(&source, name)) {
                let arguments = arguments(inside);
                // The macros' own definitions name no key.
                let Some(key) = arguments.first().and_then(|first| literal(first)) else { continue };
                let Some(text) = texts.get(key) else {
                    wrong.push(format!("{path}: there is no text {key}"));
                    continue;
                };
                let given: BTreeSet<_> = arguments[1..]
                    .iter()
                    .map(|argument| argument.split(['=', ' ', '\n']).next().unwrap().trim())
                    .collect();
                if given != placeholders(text) {
                    wrong.push(format!("{path}: {key} is given {given:?}, its text is {text:?}"));
                }
            }
            for key in calls(&source, ".say(").chain(calls(&source, " say(")).filter_map(literal) {
                if key.contains('.') && !texts.contains_key(key) {
                    wrong.push(format!("{path}: there is no text {key}"));
                }
            }
        }
    }
    fail_with(wrong, "sentences without their text");
}

#[test]
fn every_text_is_used() {
    let mut unused = Vec::new();
    for room in ROOMS {
        let texts = table(room, "en");
        let sources = sources(room);
        let named: BTreeSet<&str> = sources.iter().flat_map(|(_, source)| literals(source)).collect();
        let mut sections = BTreeSet::new();
        for (_, source) in &sources {
            let by_code = BY_CODE.iter().flat_map(|name| calls(source, name));
            sections.extend(by_code.filter_map(|inside| literal(arguments(inside).first()?)));
        }
        let heads: BTreeSet<_> = sources
            .iter()
            .flat_map(|(_, source)| calls(source, "print_table("))
            .filter_map(|inside| Some(format!("{}.head", literal(arguments(inside).first()?)?)))
            .collect();
        for key in texts.keys() {
            let section = key.split('.').next().unwrap();
            if !named.contains(key.as_str()) && !sections.contains(section) && !heads.contains(key) {
                unused.push(format!("{room}: {key}"));
            }
        }
    }
    fail_with(unused, "texts that no code uses");
}

#[test]
fn no_sentence_stands_in_the_code() {
    let mut wrong = Vec::new();
    for (path, source) in ROOMS.into_iter().flat_map(sources) {
        let is_data = VIETNAMESE_DATA.iter().any(|data| path.starts_with(data));
        for text in literals(&source).filter(|_| !is_data) {
            if text.to_lowercase().chars().any(|c| SIGNS.contains(c)) {
                wrong.push(format!("{path}: {text:?}"));
            }
        }
        for inside in calls(&source, "#[error(") {
            if !matches!(inside, "transparent" | "\"{}\", self.say()") {
                wrong.push(format!("{path}: #[error({inside})]"));
            }
        }
        for inside in ["println!(", "print!("].iter().flat_map(|name| calls(&source, name)) {
            let Some(text) = arguments(inside).first().and_then(|first| literal(first)) else { continue };
            let two_words =
                bare(text).split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count()
                    > 1;
            if two_words && !FOR_PROGRAMS.iter().any(|line| text.contains(line)) {
                wrong.push(format!("{path}: println!({text:?})"));
            }
        }
    }
    fail_with(wrong, "sentences that belong into the text files");
}
