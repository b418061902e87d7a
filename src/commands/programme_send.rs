//! `loaxa programme send`: a programme and its audio on their way to the boxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::check::{self, Worst};
use super::client::{CentralArgs, of_language, text};
use super::language::{Outcome, complain, tell};
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::programme_text;
use loaxa_heart::domain::programme::{Content, Programme};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

#[derive(clap::Args)]
pub struct SendArgs {
    file: PathBuf,
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    approver: Option<String>,
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: &SendArgs) -> Outcome {
    let programme = programme_file::read(&args.file, Audio::Required(&check::probe))?;
    let base = args.file.parent().unwrap_or(Path::new(""));
    let client = args.central.client()?;
    let mut media = BTreeMap::new();
    for path in files(&programme) {
        let name = path.strip_prefix(base).unwrap_or(path);
        let name = name.to_str().ok_or_else(|| said!("programme.no_utf8", path = path.display()))?;
        media.insert(name.to_owned(), client.upload(path)?);
    }
    let body = json!({
        // Playlists in files of their own stand in it as items.
        "toml": programme_text::write(&programme, base),
        "media": media, "author": args.author, "approver": args.approver,
    });
    let body = body.to_string();
    if !args.anyway {
        let foreseen = client.post_with(
            "programmes",
            &[("foresee", "true".to_owned())],
            "application/json",
            body.as_bytes(),
        )?;
        let warnings = foreseen["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
        for warning in warnings {
            let said = of_language(warning, "said");
            complain!("check.warning", file = args.file.display(), warning = Sentence::from_outside(said));
        }
        if warnings.iter().any(|warning| warning["what"] != "quieter") {
            complain!("send.stopped");
            return Ok(Worst::Warned.exit_code());
        }
    }
    let answer = client.post("programmes", "application/json", body.as_bytes())?;
    let (version, id) = (text(&answer["version"]), text(&answer["id"]));
    tell!("programme.sent", programme = programme.id, version, id);
    Ok(ExitCode::SUCCESS)
}

/// The audio files that a programme names, each once.
fn files(programme: &Programme) -> Vec<&Path> {
    let items = programme.playlists.values().flat_map(|playlist| &playlist.items);
    let contents = items.flat_map(|item| std::iter::once(&item.content).chain(item.translations.values()));
    let mut files: Vec<_> = contents
        .filter_map(|content| match content {
            Content::File { path, .. } => Some(path.as_path()),
            Content::Text { .. } | Content::Relay { .. } | Content::Playlist(_) => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}
