//! `loaxa box first-start`: the enrolment of a box whose card was given address and code beforehand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use super::box_enrol::{self, Newcomer, Places};
use super::enrol_ask::NotTakenIn;
use super::language::{Failure, Outcome, complain, of_file};
use loaxa_heart::config::files;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence};
use loaxa_heart::wire::enrolment::EnrolmentCode;
use loaxa_sound::output::sink::SinkSpec;

/// Places of the boot partition, the newer first; any computer can write there.
const FILES: [&str; 2] = ["/boot/firmware/loaxa.toml", "/boot/loaxa.toml"];
/// Suffix of a file that was obeyed.
const DONE: &str = "done";
/// Name, beside the file, of what became of it.
const RESULT: &str = "loaxa-result.txt";
/// Largest file that is read.
const BYTES_MAX: u64 = 16 << 10;
/// Exit code where trying again changes nothing; the unit goes by it.
const FINAL: u8 = 2;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_values = FILES)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    places: Places,
}

/// The file as an installer writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    central: String,
    code: String,
    output: Option<String>,
}

/// Enrols by the first of the files that is there. The exit code is 1 where a later try may succeed, and 2 where it can't.
pub fn run(args: &Args) -> Outcome {
    if args.places.dir.join("box.toml").exists() {
        complain!("first_start.set_up", path = args.places.dir.join("box.toml").display());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(path) = args.file.iter().find(|path| path.exists()) else {
        return Err(said!("first_start.no_file", path = args.file[0].display()).into());
    };
    let outcome = read(path, &args.places).and_then(|newcomer| box_enrol::take_in(&newcomer));
    let (said, code) = match &outcome {
        Ok(id) => (said!("first_start.done", id), ExitCode::SUCCESS),
        Err(NotTakenIn::Later(why)) => (said!("first_start.later", why), ExitCode::FAILURE),
        Err(NotTakenIn::Refused(why)) => (said!("first_start.refused", why), ExitCode::from(FINAL)),
    };
    complain!("first_start.result", path = path.display(), said = &said);
    if let Err(why) = note(path, &said, outcome.is_ok()) {
        // The box works all the same.
        complain!("first_start.no_note", why = why.0);
    }
    Ok(code)
}

fn read(path: &Path, places: &Places) -> Result<Newcomer, NotTakenIn> {
    let wrong = |why: &dyn Say| NotTakenIn::Refused(of_file(path, why));
    let text = files::read_text(path, BYTES_MAX).map_err(|why| wrong(&why))?;
    let Written { central, code, output } = toml::from_str(&text).map_err(|error| wrong(&error))?;
    let code = code.parse::<EnrolmentCode>().map_err(|error| wrong(&error))?;
    if central.trim().is_empty() {
        return Err(wrong(&said!("enrol.no_central")));
    }
    let output = output.unwrap_or_else(|| box_enrol::OUTPUT.to_owned());
    output.parse::<SinkSpec>().map_err(|error| wrong(&error))?;
    Ok(Newcomer { central: box_enrol::address(&central), code, places: places.clone(), output })
}

/// Writes beside the file what became of it, for whoever puts the card into a computer, and sets a file aside that was obeyed.
fn note(path: &Path, said: &Sentence, is_done: bool) -> Result<(), Failure> {
    let result = path.with_file_name(RESULT);
    let text = format!("{}\r\n{}\r\n", said.to(Lang::Vi), said.to(Lang::En));
    // Tries that end alike write once: a card wears.
    if std::fs::read_to_string(&result).ok().as_ref() != Some(&text) {
        std::fs::write(&result, text).map_err(|error| of_file(&result, &error))?;
    }
    if is_done {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{DONE}"));
        std::fs::rename(path, &aside).map_err(|error| of_file(path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0123-4567-89ab-cdef-0123-4567-89ab-cdef-0123";

    fn read_text(text: &[u8]) -> Result<Newcomer, NotTakenIn> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loaxa.toml");
        std::fs::write(&path, text).unwrap();
        read(&path, &Places { dir: folder.path().into(), state_dir: folder.path().into() })
    }

    #[test]
    fn a_file_is_read_as_any_editor_writes_it() {
        let text = format!("central = \"10.77.0.1\"\r\ncode = \"{CODE}\"\r\noutput = \"alsa:loaxa\"\r\n");
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let utf16 = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes().to_vec(), marked, utf16] {
            let read = read_text(&bytes).map_err(|why| why.say().to(Lang::En));
            let Newcomer { central, code, output, .. } = read.unwrap();
            assert_eq!((central.as_str(), output.as_str()), ("https://10.77.0.1:8443", "alsa:loaxa"));
            assert_eq!(code.to_string(), CODE);
        }
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_for_good() {
        let check = |text: &str, expected: &str| match read_text(text.as_bytes()) {
            Err(NotTakenIn::Refused(why)) => {
                let why = why.to(Lang::En);
                assert!(why.contains(expected), "{why}");
            }
            Err(NotTakenIn::Later(why)) => panic!("{text}: not for good: {}", why.to(Lang::En)),
            Ok(_) => panic!("{text}: taken"),
        };
        check("", "central");
        check("central = \"10.77.0.1\"", "code");
        check("central = \"10.77.0.1\"\ncode = \"1234\"", "code");
        check(&format!("central = \" \"\ncode = \"{CODE}\""), "central");
        check(&format!("central = \"10.77.0.1\"\ncode = \"{CODE}\"\nsound = 1"), "sound");
        check(&format!("central = \"10.77.0.1\"\ncode = \"{CODE}\"\noutput = \"loud\""), "loud");
        check(&"#".repeat(BYTES_MAX as usize + 1), "16384");
    }

    #[test]
    fn the_card_says_what_became_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loaxa.toml");
        std::fs::write(&path, "x").unwrap();
        let later = said!("first_start.later", why = said!("enrol.no_reason"));
        note(&path, &later, false).unwrap();
        let result = std::fs::read_to_string(folder.path().join(RESULT)).unwrap();
        assert_eq!(result, format!("{}\r\n{}\r\n", later.to(Lang::Vi), later.to(Lang::En)));
        assert!(path.exists());
        note(&path, &said!("first_start.done", id = "loa-1"), true).unwrap();
        assert!(!path.exists() && folder.path().join("loaxa.toml.done").exists());
    }
}
