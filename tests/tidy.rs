//! Keeps the floors of ARCHITECTURE.md, and every file that we ship valid.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use loaxa_heart::config::programme_file::{self, Audio};

/// The crate without clock, randomness, I/O and unordered maps.
const HEART: &str = "src/heart/";

/// The floors inside the heart: a module imports its own floor and those below. Between crates the compiler keeps them.
const FLOORS: [(&str, u8); 5] = [("texts", 0), ("domain", 1), ("wire", 2), ("config", 2), ("decide", 3)];

const CODE_LINES_MAX: usize = 700;

const CLOCK_READS: [&str; 5] = ["Utc::now", "Local::now", "SystemTime::now", "Instant::now", "clock_gettime"];

/// Files outside `adapters/clock.rs` that may read a clock, and why. An entry that is not needed fails.
const MAY_READ_A_CLOCK: [(&str, &str); 0] = [];

const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

const WORLD: [&str; 8] =
    ["std::fs", "std::net", "std::process", "std::env", "std::thread", "tokio::", "getrandom", "ureq::"];

/// What must not stand in a pure floor, and where it may all the same.
const MAY_TOUCH_THE_WORLD: [(&str, &str); 1] = [("src/heart/config/", "std::fs")];

const UNFINISHED: [&str; 4] = [".unwrap()", "todo!(", "unimplemented!(", "dbg!("];

struct Source {
    /// From the root of the repository, for instance `src/domain/ids.rs`.
    path: String,
    /// Line numbers from 1, without tests and comments.
    code: Vec<(usize, String)>,
    lines_before_tests: usize,
}

impl Source {
    fn room(&self) -> Option<&str> {
        let room = self.path.strip_prefix(HEART)?.split(['/', '.']).next()?;
        FLOORS.iter().find(|(name, _)| *name == room).map(|(name, _)| *name)
    }

    fn is_pure(&self) -> bool {
        self.path.starts_with(HEART)
    }

    /// The lines that hold one of `words`, as `path:line: what`.
    fn holding(&self, words: &[&str]) -> Vec<String> {
        let found = self
            .code
            .iter()
            .filter_map(|(n, line)| Some((n, words.iter().find(|word| line.contains(**word))?)));
        found.map(|(n, word)| format!("{}:{n}: {word}", self.path)).collect()
    }
}

fn floor_of(room: &str) -> u8 {
    FLOORS.iter().find(|(name, _)| *name == room).map_or(0, |(_, floor)| *floor)
}

/// Line numbers and lines without comments and without items under `#[cfg(test)]`, as rustfmt lays them out.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((n, line)) = lines.next() {
        if line == "#[cfg(test)]" {
            let opens =
                lines.find(|(_, line)| !line.starts_with("#[")).is_some_and(|(_, item)| item.ends_with('{'));
            if opens {
                lines.find(|(_, line)| *line == "}");
            }
        } else if !line.trim_start().starts_with("//") {
            kept.push((n + 1, line.to_owned()));
        }
    }
    kept
}

/// Names of the files that a `#[cfg(test)] mod name;` of this text declares.
fn test_modules(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
    declared
        .filter_map(|pair| Some(pair[1].trim().strip_prefix("mod ")?.strip_suffix(';')?.to_owned()))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let texts: BTreeMap<PathBuf, String> = files_under("src", "rs")
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    let is_test = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        texts.iter().any(|(parent, text)| {
            let beside = parent.parent() == path.parent();
            let below = path.parent() == Some(&parent.with_extension(""));
            (beside || below) && test_modules(text).iter().any(|module| module == name)
        })
    };
    let source = |(path, text): (&PathBuf, &String)| Source {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        code: without_tests(text),
        lines_before_tests: text.lines().take_while(|line| *line != "#[cfg(test)]").count(),
    };
    texts.iter().filter(|(path, _)| !is_test(path)).map(source).collect()
}

/// The rooms that a line imports: `crate::a::..`, `crate::r#a::..`, `crate::{a::.., b}` on one line.
fn imports(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map_or(rest, |inside| inside);
        let names = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for name in names {
            let name = name.trim().trim_start_matches("r#");
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            rooms.extend(FLOORS.iter().find(|(room, _)| *room == &name[..end]).map(|(room, _)| *room));
        }
    }
    rooms
}

fn assert_none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_are_seen() {
    let check = |line: &str, expected: &[&str]| assert_eq!(imports(line), expected, "{line}");
    check("use crate::domain::ids::BoxId;", &["domain"]);
    check("use crate::{wire::topics, config};", &["wire", "config"]);
    check("    crate::decide::run(config)", &["decide"]);
    check("use super::ids::BoxId;", &[]);
}

#[test]
fn tests_and_comments_are_no_code() {
    let text = "a\n// b\n#[cfg(test)]\nmod tests {\n    c\n}\n#[cfg(test)]\nmod vectors;\nd\n";
    let kept: Vec<_> = without_tests(text).into_iter().map(|(n, line)| format!("{n}{line}")).collect();
    assert_eq!(kept, ["1a", "9d"]);
    assert_eq!(test_modules(text), ["vectors"]);
}

#[test]
fn no_floor_imports_a_higher_one() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        for (n, line) in &source.code {
            if line.ends_with("crate::{") {
                broken.push(format!(
                    "{}:{n}: a list over several lines: write one `use` for each room",
                    source.path
                ));
            }
            for imported in imports(line) {
                if floor_of(imported) > floor_of(room) {
                    broken.push(format!("{}:{n}: {room} imports {imported}", source.path));
                }
            }
        }
    }
    assert_none(broken, "a module imports its own floor and those below");
}

#[test]
fn clocks_are_read_in_their_adapter_only() {
    let mut broken = Vec::new();
    let mut needed = Vec::new();
    for source in sources().iter().filter(|source| source.path != "src/adapters/clock.rs") {
        let found = source.holding(&CLOCK_READS);
        let allowed = MAY_READ_A_CLOCK.iter().find(|(path, _)| *path == source.path);
        match allowed {
            Some(entry) if !found.is_empty() && !source.is_pure() => needed.push(*entry),
            _ => broken.extend(found),
        }
    }
    assert_none(broken, "time is an argument; a clock is read in adapters/clock.rs only");
    assert_eq!(needed, MAY_READ_A_CLOCK, "an exception that is not needed");
}

#[test]
fn pure_floors_are_pure() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.is_pure()) {
        broken.extend(source.holding(&UNORDERED));
        let excused = |word: &&str| {
            MAY_TOUCH_THE_WORLD
                .iter()
                .any(|(folder, allowed)| source.path.starts_with(folder) && allowed == word)
        };
        let forbidden: Vec<&str> = WORLD.iter().copied().filter(|word| !excused(word)).collect();
        broken.extend(source.holding(&forbidden));
    }
    assert_none(broken, "floors 1 to 3 know no unordered maps, randomness or I/O");
}

#[test]
fn nothing_is_unfinished() {
    let broken = sources().iter().flat_map(|source| source.holding(&UNFINISHED)).collect();
    assert_none(broken, "outside tests: `expect` states the invariant, and nothing is left to do");
}

#[test]
fn files_stay_readable() {
    let sources = sources();
    let long = sources.iter().filter(|source| source.lines_before_tests > CODE_LINES_MAX);
    let broken = long.map(|source| format!("{}: {} lines", source.path, source.lines_before_tests)).collect();
    assert_none(broken, "a file asks to be two");
}

#[test]
fn shipped_programmes_are_accepted() {
    let probe = |path: &Path| if path.is_file() { Ok(10_000) } else { Err("is missing".to_owned().into()) };
    let programmes = files_under("playlists", "toml");
    assert!(!programmes.is_empty());
    for path in programmes {
        if let Err(problems) = programme_file::read(&path, Audio::Required(&probe)) {
            panic!("{problems}");
        }
    }
}

#[test]
fn shipped_settings_are_well_formed() {
    let settings = files_under("firmware-config", "toml");
    assert!(settings.len() >= 2, "box.toml and central.toml are shipped");
    for path in settings {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = text.parse::<toml::Table>() {
            panic!("{}: {error}", path.display());
        }
    }
}

/// Every text of the example is spoken and every audio file is used or named in its README.
#[test]
fn the_example_commune_is_whole() {
    let commune = root().join("playlists/binh-minh");
    let programme = fs::read_to_string(commune.join("programme.toml")).unwrap();
    let m3u8 = fs::read_to_string(commune.join("nhac.m3u8")).unwrap();
    let readme = fs::read_to_string(root().join("playlists/README.md")).unwrap();
    let mut bytes = 0;
    let mut stems = Vec::new();
    for entry in fs::read_dir(commune.join("audio")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        bytes += fs::metadata(&path).unwrap().len();
        stems.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        let used =
            programme.contains(&format!("\"audio/{name}\"")) || m3u8.contains(&format!("audio/{name}"));
        assert!(used || readme.contains(&format!("`{name}`")), "{name} is used nowhere");
        assert!(readme.contains(&format!("| {name} |")), "{name} is not in the table of playlists/README.md");
    }
    for text in files_under("playlists/binh-minh/texts", "txt") {
        let stem = text.file_stem().unwrap().to_str().unwrap();
        assert!(stems.iter().any(|it| it == stem), "{stem}.txt was not spoken: run playlists/make.sh");
    }
    assert!(bytes < 6_000_000, "the example weighs {bytes} bytes");
}

#[test]
fn the_broker_takes_the_largest_message() {
    let text = fs::read_to_string(root().join("firmware-config/mosquitto.conf")).unwrap();
    let expected = format!("message_size_limit {}", loaxa_heart::wire::messages::MESSAGE_BYTES_MAX);
    assert!(text.lines().any(|line| line == expected), "mosquitto.conf must say: {expected}");
}

/// `systemd-analyze` wants the program to exist, so another one stands in for it.
#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not here: the units were not checked");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for path in [files_under("firmware-config", "service"), files_under("firmware-config", "path")].concat() {
        let text = fs::read_to_string(&path).unwrap();
        let starts = |line: &&str| line.starts_with("ExecStart=");
        let known = |line: &str| {
            ["/usr/bin/loaxa ", "/usr/bin/systemctl "].iter().any(|it| line[10..].starts_with(it))
        };
        assert!(text.lines().filter(starts).all(known), "{text}");
        let stand_in =
            |line: &str| if starts(&line) { "ExecStart=/bin/true\n".to_owned() } else { format!("{line}\n") };
        let copy = folder.path().join(path.file_name().unwrap());
        fs::write(&copy, text.lines().map(stand_in).collect::<String>()).unwrap();
        let answer =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}
