//! `loaxa check`: whether configuration files are right, before anything is started with them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::language::{Outcome, words};
use loaxa_adapters::ical;
use loaxa_heart::config::box_file::{self, NamedFiles};
use loaxa_heart::config::kind::{Kind, kind_of};
use loaxa_heart::config::problem::{Problem, Problems};
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::{central_file, m3u8, trust_file};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_sound::decode;

#[derive(clap::Args)]
pub struct Args {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long)]
    elsewhere: bool,
}

pub fn run(args: Args) -> Outcome {
    let mut all_right = true;
    for file in &args.files {
        all_right &= tell(file, check(file, args.elsewhere));
    }
    Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what became of a check; whether all is right.
pub(super) fn tell(file: &Path, checked: Result<Sentence, Problems>) -> bool {
    match checked {
        Ok(what) => {
            println!("{}: {}", file.display(), words(what));
            true
        }
        Err(problems) => {
            eprintln!("{}", words(problems));
            false
        }
    }
}

/// The length of an audio file, for [`Audio`].
pub(super) fn probe(path: &Path) -> Result<u32, Sentence> {
    let info = decode::probe(path).map_err(|fault| fault.say())?;
    Ok(u32::try_from(info.ms).unwrap_or(u32::MAX))
}

fn check(file: &Path, elsewhere: bool) -> Result<Sentence, Problems> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::of_file(&shown, said!("check.cant_read", error)))?;
    let base = file.parent().unwrap_or(Path::new(""));
    let named = if elsewhere { NamedFiles::Unseen } else { NamedFiles::MustExist };
    match kind_of(file, &text) {
        Some(Kind::Programme) => programme(file, elsewhere),
        Some(Kind::Box) => box_file::parse(&text, &shown, base, named).and_then(|config| {
            if !elsewhere {
                config.programmes.iter().try_for_each(|file| programme(file, false).map(drop))?;
                config.trust.iter().try_for_each(|trust| trust.root.read().map(drop))?;
            }
            Ok(said!("check.box", id = config.id))
        }),
        Some(Kind::Central) => central_file::parse(&text, &shown, base, named)
            .map(|config| said!("check.central", commune = config.commune, boxes = config.boxes.len())),
        Some(Kind::Trust) => trust_file::parse(&text)
            .map(|trust| said!("check.trust", version = trust.version, keys = trust.grants.len()))
            .map_err(|error| Problem::of_file(&shown, error.say()).into()),
        Some(Kind::M3u8) => m3u8::parse(&text, &shown, Path::new(""))
            .map(|entries| said!("check.playlist", entries = entries.len())),
        Some(Kind::Calendar) => {
            ical::parse(&text, &shown).map(|events| said!("check.calendar", events = events.len()))
        }
        None => Err(Problem::of_file(&shown, said!("check.unknown_kind")).into()),
    }
}

/// Checks a programme with its audio.
pub(super) fn programme(file: &Path, elsewhere: bool) -> Result<Sentence, Problems> {
    let audio = if elsewhere { Audio::Unseen } else { Audio::Required(&probe) };
    let programme = programme_file::read(file, audio)?;
    let items: usize = programme.playlists.values().map(|playlist| playlist.items.len()).sum();
    let (id, version, slots) = (programme.id, programme.version, programme.slots.len());
    Ok(said!("check.programme", id, version, slots, items))
}
