//! The language in which the command line speaks, and the sentence with which a command fails.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence};

/// Asks for a language, before that of the machine.
const VARIABLE: &str = "LOAXA_LANG";
/// Variables that POSIX asks for the language of messages, in this order.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];
/// The argument that every command takes.
pub const ARGUMENT: &str = "--lang";

static CHOSEN: OnceLock<Lang> = OnceLock::new();

/// The language of this run; English before [`choose`].
pub fn chosen() -> Lang {
    *CHOSEN.get().unwrap_or(&Lang::En)
}

/// Chooses the language by `--lang`, which is looked for before anything is read so that help speaks it, too, else by
/// the environment.
pub fn choose(arguments: impl IntoIterator<Item = OsString>) {
    let mut variables =
        std::iter::once(VARIABLE).chain(LOCALE).map(|name| std::env::var(name).unwrap_or_default());
    let asked = asked_for(arguments.into_iter().filter_map(|argument| argument.into_string().ok()));
    let lang = asked.unwrap_or_else(|| {
        Lang::of_locale(variables.by_ref().collect::<Vec<_>>().iter().map(String::as_str))
    });
    // Chosen once, at the start.
    let _ = CHOSEN.set(lang);
}

fn asked_for(mut arguments: impl Iterator<Item = String>) -> Option<Lang> {
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.strip_prefix(ARGUMENT) else { continue };
        let value = match rest.strip_prefix('=') {
            Some(value) => value.to_owned(),
            None if rest.is_empty() => arguments.next()?,
            None => continue,
        };
        return Lang::ALL.into_iter().find(|lang| lang.tag() == value);
    }
    None
}

/// A sentence in the language of this run.
pub fn words(sentence: impl Say) -> String {
    sentence.say().to(chosen())
}

/// Prints a sentence of the texts for the person who typed.
macro_rules! tell {
    ($($sentence:tt)*) => {
        println!("{}", $crate::commands::language::words(loaxa_heart::said!($($sentence)*)))
    };
}

/// Prints a sentence of the texts on standard error.
macro_rules! complain {
    ($($sentence:tt)*) => {
        eprintln!("{}", $crate::commands::language::words(loaxa_heart::said!($($sentence)*)))
    };
}

pub(super) use {complain, tell};

/// A command's failure: a sentence for the person who typed it.
pub struct Failure(pub Sentence);

/// A command's exit code, or a sentence for the person who typed it.
pub type Outcome = Result<ExitCode, Failure>;

impl<E: Say> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.say())
    }
}

/// English, for tests and logs.
impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// Says what went wrong with a file.
pub fn of_file(path: &Path, error: &dyn Say) -> Sentence {
    said!("file.error", path = path.display(), error)
}

/// Repeats what a library says went wrong, in its own words.
pub fn foreign(error: &dyn std::fmt::Display) -> Sentence {
    Sentence::from_outside(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_found_wherever_it_stands() {
        let check = |line: &str, expected: Option<Lang>| {
            assert_eq!(asked_for(line.split(' ').map(str::to_owned)), expected, "{line}");
        };
        check("loaxa status --lang vi", Some(Lang::Vi));
        check("loaxa --lang=en status", Some(Lang::En));
        check("loaxa announce --language vi", None);
        check("loaxa status --lang de", None);
        check("loaxa status", None);
    }
}
