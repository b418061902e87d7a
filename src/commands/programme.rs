//! `loaxa programme`: programmes checked, previewed, and exchanged with other programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use clap::{Subcommand, ValueEnum};

use super::check::{self, Worst};
use super::language::{Outcome, chosen, complain};
use super::programme_list;
use super::programme_send::{self, SendArgs};
use loaxa_adapters::clock;
use loaxa_adapters::ical;
use loaxa_heart::config::box_file::{self, NamedFiles};
use loaxa_heart::config::kind::{Kind, kind_of};
use loaxa_heart::config::problem::Problems;
use loaxa_heart::config::programme_diff::differences;
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::tracks::{Place, Source, Track};
use loaxa_heart::config::{m3u8, playlist_file, programme_text};
use loaxa_heart::decide::preview::{self, PlannedSession, svg, text};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::ids::{GroupId, PlaylistId, SlotId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::{Content, Item, Playlist, Programme};
use loaxa_heart::said;
use loaxa_heart::texts::visible;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[arg(long)]
        elsewhere: bool,
        #[arg(long = "box")]
        box_file: Option<PathBuf>,
    },
    Preview(PreviewArgs),
    Diff {
        old: PathBuf,
        new: PathBuf,
        #[arg(long)]
        json: bool,
    },
    Send(SendArgs),
    List(programme_list::Args),
    Export {
        file: PathBuf,
        #[arg(long)]
        playlist: Option<PlaylistId>,
        #[arg(long)]
        from: Option<NaiveDate>,
        #[arg(long)]
        to: Option<NaiveDate>,
    },
    Import {
        file: PathBuf,
        #[arg(long)]
        playlist: PlaylistId,
        #[arg(long = "box")]
        box_file: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct PreviewArgs {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long)]
    from: Option<NaiveDate>,
    #[arg(long)]
    to: Option<NaiveDate>,
    #[arg(long)]
    group: Vec<GroupId>,
    #[arg(long, value_delimiter = ',')]
    language: Vec<String>,
    #[arg(long = "box", conflicts_with_all = ["group", "language"])]
    box_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Svg,
    Ics,
}

/// Longest preview; a year of a full programme is a page of 100,000 lines.
const PREVIEW_DAYS_MAX: u64 = 366;

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::Check { files, elsewhere, box_file } => {
            let policy = check::policy(box_file.as_deref())?;
            let found =
                files.iter().map(|file| check::tell(file, check::programme(file, elsewhere, &policy)));
            Ok(found.max().unwrap_or(Worst::Right).exit_code())
        }
        Action::Preview(args) => preview(&args),
        Action::Diff { old, new, json } => diff(&old, &new, json),
        Action::Send(args) => programme_send::run(&args),
        Action::List(args) => programme_list::run(&args),
        Action::Export { file, playlist, from, to } => export(&file, playlist.as_ref(), from, to),
        Action::Import { file, playlist, box_file } => import(&file, &playlist, box_file.as_deref()),
    }
}

fn read(file: &Path) -> Result<Programme, Problems> {
    programme_file::read(file, Audio::WherePresent(&check::probe))
}

/// Says what differs, thing by thing; the exit code tells whether anything does, as that of `diff`.
fn diff(old: &Path, new: &Path, json: bool) -> Outcome {
    let read = |file: &Path| programme_file::read(file, Audio::Unseen);
    let base = |file: &Path| file.parent().unwrap_or(Path::new("")).to_owned();
    let (was, is) = ((read(old)?, base(old)), (read(new)?, base(new)));
    let found = differences((&was.0, &was.1), (&is.0, &is.1));
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for it in &found {
            let sign = match (it.whole, it.before.is_empty()) {
                (true, true) => '+',
                (true, false) => '-',
                _ => '~',
            };
            println!("{sign} {} {}: {}", it.part.code(), it.id, visible(&it.title));
            it.before.iter().for_each(|line| println!("    - {}", visible(line)));
            it.after.iter().for_each(|line| println!("    + {}", visible(line)));
        }
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn preview(args: &PreviewArgs) -> Outcome {
    let from = args.from.unwrap_or_else(|| clock::wall().date());
    let until = args.to.unwrap_or(from + Days::new(6));
    if until < from || until > from + Days::new(PREVIEW_DAYS_MAX) {
        return Err(said!("programme.preview_days", until, max = PREVIEW_DAYS_MAX, from).into());
    }
    let programmes = args.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let (listeners, policy) = match &args.box_file {
        Some(file) => {
            let config = box_file::read(file, NamedFiles::Unseen)?;
            (
                Listeners { groups: config.groups.into_iter().collect(), languages: config.languages },
                config.guard,
            )
        }
        None => (listeners(args, &programmes), Policy::default()),
    };
    let calendars =
        programmes.iter().cloned().map(Arc::new).map(Calendar::new).collect::<Result<Vec<_>, _>>()?;
    let timetable = Timetable::new(calendars)?;
    let sessions = preview::plan(&timetable, &listeners, &policy, from, until);
    let programmes: Vec<_> = programmes.iter().collect();
    let weeks = preview::section_weeks(&sessions, &programmes, from, until);
    let lang = chosen();
    match args.format {
        Format::Text => print!("{}", text::render(&sessions, &weeks, lang)),
        Format::Json => {
            let conflicts = preview::conflicts(&sessions);
            let all = serde_json::json!({ "sessions": sessions, "weeks": weeks, "conflicts": conflicts });
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Svg => print!("{}", svg::render(&sessions, lang)),
        Format::Ics => print!("{}", single_events(programmes[0], &sessions)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The groups asked for, or all that any audience names; and those of the programmes, which every box that gets them is in.
fn listeners(args: &PreviewArgs, programmes: &[Programme]) -> Listeners {
    let audiences = |programme: &Programme| {
        let items = programme.playlists.values().flat_map(|playlist| &playlist.items);
        let slots = programme.slots.iter().flat_map(|slot| slot.audience.clone());
        slots.chain(items.flat_map(|item| item.audience.clone())).collect::<Vec<_>>()
    };
    let mut groups: BTreeSet<_> = programmes.iter().map(|programme| programme.group.clone()).collect();
    if args.group.is_empty() {
        groups.extend(programmes.iter().flat_map(audiences));
    }
    groups.extend(args.group.iter().cloned());
    Listeners { groups, languages: args.language.clone() }
}

fn single_events(programme: &Programme, sessions: &[PlannedSession]) -> String {
    let event = |session: &PlannedSession| {
        let uid = format!("{}-{}@{}.loaxa", session.key.slot, session.key.date, programme.id);
        (session.title.clone(), uid, session.start, session.end)
    };
    let events: Vec<_> = sessions.iter().map(event).collect();
    let events = events.iter().map(|(title, uid, start, end)| (title.as_str(), uid.clone(), *start, *end));
    ical::write_sessions(&programme.title, events, clock::wall())
}

fn export(
    file: &Path,
    playlist: Option<&PlaylistId>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Outcome {
    let programme = read(file)?;
    let Some(id) = playlist else {
        let from = from.unwrap_or_else(|| clock::wall().date());
        let until = to.unwrap_or(from + Days::new(2 * 365));
        print!("{}", ical::write(&programme, from, until, clock::wall())?);
        return Ok(ExitCode::SUCCESS);
    };
    let playlist = programme
        .playlists
        .get(id)
        .ok_or_else(|| said!("programme.no_playlist", id, file = file.display()))?;
    let tracks: Vec<_> = playlist.items.iter().filter_map(|item| track(item, file)).collect();
    let left_out = playlist.items.len() - tracks.len();
    if left_out > 0 {
        complain!("programme.left_out", count = left_out);
    }
    print!("{}", m3u8::write(&tracks));
    Ok(ExitCode::SUCCESS)
}

/// Puts an item into the words of M3U8; `None` for what that format can't say.
fn track(item: &Item, file: &Path) -> Option<Track> {
    let base = file.parent().unwrap_or(Path::new(""));
    let (source, ms) = match &item.content {
        Content::File { path, ms } => (Source::File(path.strip_prefix(base).unwrap_or(path).to_owned()), *ms),
        Content::Relay { url, minutes, .. } => {
            (Source::Stream(url.clone()), minutes.map(|minutes| minutes.saturating_mul(60_000)))
        }
        Content::Text { .. } | Content::Playlist(_) => return None,
    };
    Some(Track { title: item.title.clone(), source, literal: None, ms, line: 0 })
}

fn import(file: &Path, playlist: &PlaylistId, box_file: Option<&Path>) -> Outcome {
    match kind_of(file, "") {
        Some(Kind::Calendar) => {
            let mut slots = Vec::new();
            for (index, event) in check::read_calendar(file)?.into_iter().enumerate() {
                let slot = event.into_slot(SlotId::new(format!("slot-{}", index + 1))?, playlist.clone());
                println!("{}", programme_text::write_slot(&slot));
                slots.push(slot);
            }
            let warnings = check::refused_of_slots(slots, &check::policy(box_file)?);
            Ok(check::tell_warnings(file, &warnings).exit_code())
        }
        Some(Kind::Playlist) => {
            let tracks = playlist_file::read(file, Place::inside(Path::new("")))?;
            let beside = file.parent().unwrap_or(Path::new(""));
            let literal = |track: Track| match &track.literal {
                Some(literal) if beside.join(literal).exists() => {
                    Track { source: Source::File(literal.clone()), ..track }
                }
                _ => track,
            };
            let items = programme_file::items_of(tracks.into_iter().map(literal).collect());
            let title = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let list = Playlist { id: playlist.clone(), title, items };
            print!("{}", programme_text::write_playlist(&list, Path::new("")));
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(said!("programme.unknown_kind", file = file.display()).into()),
    }
}
