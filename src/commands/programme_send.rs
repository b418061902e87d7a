//! `loaxa programme send`: a programme and its audio on their way to the boxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::check;
use super::client::{CentralArgs, Client, text};
use super::language::{Failure, Outcome, of_file, tell};
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::programme_text;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::programme::{Content, Programme};
use loaxa_heart::said;

#[derive(clap::Args)]
pub struct SendArgs {
    file: PathBuf,
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    approver: Option<String>,
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
        media.insert(name.to_owned(), upload(&client, path)?);
    }
    let body = json!({
        // Playlists in files of their own stand in it as items.
        "toml": programme_text::write(&programme, base),
        "media": media, "author": args.author, "approver": args.approver,
    });
    let answer = client.post("programmes", "application/json", body.to_string().as_bytes())?;
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

/// Brings a file to central, unless it is there already.
fn upload(client: &Client, path: &Path) -> Result<ContentHash, Failure> {
    let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
    let hash = ContentHash::of(&bytes);
    if client.get(&format!("media/{hash}"), &[]).is_err() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        client.post_with("media", &[("name", name)], "application/octet-stream", &bytes)?;
    }
    Ok(hash)
}
