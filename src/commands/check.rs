//! `loaxa check`: whether configuration files are right, before anything is started with them, and what the guard will
//! refuse of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::language::{Failure, Outcome, words};
use loaxa_adapters::{clock, ical};
use loaxa_heart::config::box_file::{self, NamedFiles};
use loaxa_heart::config::kind::{Kind, kind_of};
use loaxa_heart::config::problem::{Problem, Problems};
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::tracks::Place;
use loaxa_heart::config::{central_file, files, playlist_file, trust_file};
use loaxa_heart::decide::preview::{self, Warning};
use loaxa_heart::decide::schedule::{Calendar, Timetable};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::{Programme, Slot};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_sound::decode;

/// Exit code where everything is right, and the guard will refuse some of it.
pub(super) const WARNED: u8 = 3;

/// Most bytes of a file.
pub(super) const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(clap::Args)]
pub struct Args {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long)]
    elsewhere: bool,
    #[arg(long = "box")]
    box_file: Option<PathBuf>,
}

/// A file that is right.
pub(super) struct Right {
    what: Sentence,
    warnings: Vec<Warning>,
}

impl From<Sentence> for Right {
    fn from(what: Sentence) -> Self {
        Self { what, warnings: Vec::new() }
    }
}

/// The worst that was found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worst {
    Right,
    Warned,
    Wrong,
}

impl Worst {
    pub fn exit_code(self) -> ExitCode {
        match self {
            Worst::Right => ExitCode::SUCCESS,
            Worst::Warned => ExitCode::from(WARNED),
            Worst::Wrong => ExitCode::FAILURE,
        }
    }
}

pub fn run(args: Args) -> Outcome {
    let policy = policy(args.box_file.as_deref())?;
    let found = args.files.iter().map(|file| tell(file, check(file, args.elsewhere, &policy)));
    Ok(found.max().unwrap_or(Worst::Right).exit_code())
}

/// The limits of a box, or those of a box on which nobody wrote any.
pub(super) fn policy(box_file: Option<&Path>) -> Result<Policy, Failure> {
    Ok(match box_file {
        Some(file) => box_file::read(file, NamedFiles::Unseen)?.guard,
        None => Policy::default(),
    })
}

/// Prints what became of a check.
pub(super) fn tell(file: &Path, checked: Result<Right, Problems>) -> Worst {
    match checked {
        Ok(Right { what, warnings }) => {
            println!("{}: {}", file.display(), words(what));
            tell_warnings(file, &warnings)
        }
        Err(problems) => {
            eprintln!("{}", words(problems));
            Worst::Wrong
        }
    }
}

/// Prints what the guard will refuse.
pub(super) fn tell_warnings(file: &Path, warnings: &[Warning]) -> Worst {
    for warning in warnings {
        eprintln!("{}", words(said!("check.warning", file = file.display(), warning)));
    }
    if warnings.iter().any(Warning::is_refusal) { Worst::Warned } else { Worst::Right }
}

/// The length of an audio file, for [`Audio`].
pub(super) fn probe(path: &Path) -> Result<u32, Sentence> {
    let info = decode::probe(path).map_err(|fault| fault.say())?;
    Ok(u32::try_from(info.ms).unwrap_or(u32::MAX))
}

fn check(file: &Path, elsewhere: bool, policy: &Policy) -> Result<Right, Problems> {
    let shown = file.display().to_string();
    let of_file = |said: Sentence| Problems::from(Problem::of_file(&shown, said));
    // By their names alone: only their own readers know how they are written.
    match kind_of(file, "") {
        Some(Kind::Playlist) => {
            let tracks = playlist_file::read(file, Place::inside(Path::new("")))?;
            return Ok(said!("check.playlist", entries = tracks.len()).into());
        }
        Some(Kind::Calendar) => return calendar(file, policy),
        _ => {}
    }
    let text = files::read_text(file, FILE_BYTES_MAX).map_err(of_file)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let named = if elsewhere { NamedFiles::Unseen } else { NamedFiles::MustExist };
    match kind_of(file, &text) {
        Some(Kind::Programme) => programme(file, elsewhere, policy),
        Some(Kind::Box) => {
            let config = box_file::parse(&text, &shown, base, named)?;
            let mut warnings = Vec::new();
            if !elsewhere {
                let programmes = config.programmes.iter().map(|file| read(file, false));
                warnings = refused(programmes.collect::<Result<_, _>>()?, &config.guard);
                config.trust.iter().try_for_each(|trust| trust.root.read().map(drop))?;
            }
            Ok(Right { what: said!("check.box", id = config.id), warnings })
        }
        Some(Kind::Central) => central_file::parse(&text, &shown, base, named)
            .map(|it| said!("check.central", commune = it.commune, boxes = it.boxes.len()).into()),
        Some(Kind::Trust) => trust_file::parse(&text)
            .map(|trust| said!("check.trust", version = trust.version, keys = trust.grants.len()).into())
            .map_err(|error| of_file(error.say())),
        Some(Kind::Playlist | Kind::Calendar) | None => Err(of_file(said!("check.unknown_kind"))),
    }
}

fn calendar(file: &Path, policy: &Policy) -> Result<Right, Problems> {
    let events = read_calendar(file)?;
    let what = said!("check.calendar", events = events.len());
    let list = "l".parse().expect("a name");
    let slots = events.into_iter().enumerate().filter_map(|(index, event)| {
        let id = format!("slot-{}", index + 1).parse().ok()?;
        Some(event.into_slot(id, std::clone::Clone::clone(&list)))
    });
    Ok(Right { what, warnings: refused_of_slots(slots.collect(), policy) })
}

/// Reads the events of a calendar from its file.
pub(super) fn read_calendar(file: &Path) -> Result<Vec<ical::Event>, Problems> {
    let shown = file.display().to_string();
    let of_file = |said: Sentence| Problems::from(Problem::of_file(&shown, said));
    let bytes = files::read_bytes(file, FILE_BYTES_MAX).map_err(of_file)?;
    ical::parse(&ical::decode(&bytes).map_err(of_file)?, &shown)
}

/// Tells what the guard will refuse of slots of which only the times are known.
pub(super) fn refused_of_slots(slots: Vec<Slot>, policy: &Policy) -> Vec<Warning> {
    let text = "[programme]\nid = 'lich'\nversion = 1\ntitle = 'lich'\ngroup = 'lich'\n\
                [[playlist]]\nid = 'l'\ntitle = 'l'\n[[playlist.item]]\ntitle = 'l'\ntext = 'l'\n";
    let empty = programme_file::parse(text, "lich", Path::new(""), Audio::Unseen);
    let playlist = "l".parse().expect("a name");
    let slot = |(index, slot): (usize, Slot)| Slot {
        id: format!("slot-{}", index + 1).parse().unwrap_or_else(|_| slot.id.clone()),
        playlist: std::clone::Clone::clone(&playlist),
        audience: Vec::new(),
        ..slot
    };
    let slots = slots.into_iter().enumerate().map(slot).collect();
    empty.map(|empty| refused(vec![Programme { slots, ..empty }], policy)).unwrap_or_default()
}

fn read(file: &Path, elsewhere: bool) -> Result<Programme, Problems> {
    programme_file::read(file, if elsewhere { Audio::Unseen } else { Audio::Required(&probe) })
}

/// Checks a programme with its audio.
pub(super) fn programme(file: &Path, elsewhere: bool, policy: &Policy) -> Result<Right, Problems> {
    let programme = read(file, elsewhere)?;
    let items: usize = programme.playlists.values().map(|playlist| playlist.items.len()).sum();
    let (id, version, slots) = (programme.id.clone(), programme.version, programme.slots.len());
    let what = said!("check.programme", id, version, slots, items);
    Ok(Right { what, warnings: refused(vec![programme], policy) })
}

/// Tells what the guard will refuse of programmes side by side.
fn refused(programmes: Vec<Programme>, policy: &Policy) -> Vec<Warning> {
    let calendars = programmes.into_iter().filter_map(|programme| Calendar::new(Arc::new(programme)).ok());
    let timetable = Timetable::new(calendars.collect()).unwrap_or_default();
    preview::warnings(&timetable, policy, clock::wall().date())
}
