//! `loaxa central backup`: everything that central needs to live on another machine, taken while it runs.
//!
//! A backup folder holds one folder for each backup, named by its time, and `media` that all of them share. The manifest
//! is written last: a backup without one was never finished.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use loaxa_adapters::fetch::hash_of_file;
use loaxa_adapters::{clock, private_files};
use loaxa_central::store::sql::backup::copy_to;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file::{self, CentralConfig};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use serde::{Deserialize, Serialize};

use super::language::{Failure, Outcome, of_file, tell};

/// Version of the form of a backup.
pub const FORM: u32 = 1;
pub const MANIFEST: &str = "manifest.json";
pub const DATABASE: &str = "central.db";
/// Audio by its content, beside the backups.
pub const MEDIA: &str = "media";
/// Part of a media folder with recordings as they came, before they were converted.
const ORIGINALS: &str = "originals";
/// Configuration, keys and certificates, numbered.
const FILES: &str = "files";
/// Largest file that a configuration names and that is taken along: keys and certificates are far below.
const NAMED_BYTES_MAX: u64 = 4 << 20;
/// Names of backups: in time order, and without a character that some disks refuse.
const NAMED_BY: &str = "%Y-%m-%dT%H-%M-%SZ";

#[derive(clap::Args)]
pub struct Args {
    folder: PathBuf,
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

/// The content of a backup.
#[derive(Serialize, Deserialize)]
pub struct Manifest {
    pub form: u32,
    pub program: String,
    pub made: DateTime<Utc>,
    pub commune: String,
    /// The file that central was started with, in this backup.
    pub config: Kept,
    pub database: Kept,
    /// The files that the configuration names.
    pub files: Vec<Named>,
    /// The audio that was there, as [`audio_at`] takes it, in the media folder beside the backup.
    pub media: BTreeSet<PathBuf>,
}

/// A file in a backup.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// Seen from the backup.
    pub path: PathBuf,
    pub sha256: ContentHash,
}

/// A file that the configuration names.
#[derive(Serialize, Deserialize)]
pub struct Named {
    /// As the configuration writes it: absolute, or seen from the configuration's folder.
    pub named: PathBuf,
    /// Rights, as `chmod` takes them.
    pub mode: u32,
    #[serde(flatten)]
    pub kept: Kept,
}

pub fn run(args: Args) -> Outcome {
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    let Some(database) = config.database.file() else {
        return Err(Failure(said!("backup.server")));
    };
    let made: DateTime<Utc> = clock::wall().utc();
    let backup = args.folder.join(made.format(NAMED_BY).to_string());
    make_folder(&args.folder)?;
    fs::DirBuilder::new().mode(0o700).create(&backup).map_err(|error| of_file(&backup, &error))?;
    let manifest = take(&args, &config, database, &backup, made)?;
    let count = manifest.media.len();
    let text = serde_json::to_vec_pretty(&manifest)?;
    write_whole(&backup.join(MANIFEST), &text)?;
    tell!("backup.made", path = backup.display(), media = count);
    if let Some(keep) = args.keep {
        for old in surplus(&args.folder, keep as usize)? {
            fs::remove_dir_all(&old).map_err(|error| of_file(&old, &error))?;
            tell!("backup.removed", path = old.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn take(
    args: &Args,
    config: &CentralConfig,
    original: &Path,
    backup: &Path,
    made: DateTime<Utc>,
) -> Result<Manifest, Failure> {
    // The database first: audio that it names is there already, and stays.
    let database = backup.join(DATABASE);
    copy_to(original, &database)?;
    let rights = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&database, rights).map_err(|error| of_file(&database, &error))?;
    fs::File::open(&database)?.sync_all()?;
    let text = fs::read_to_string(&args.config).map_err(|error| of_file(&args.config, &error))?;
    let base = args.config.parent().unwrap_or(Path::new(""));
    make_folder(&backup.join(FILES))?;
    let mut files = Vec::new();
    for (number, named) in named_files(&text, base, config).into_iter().enumerate() {
        let from = base.join(&named);
        let path = Path::new(FILES).join(number.to_string());
        let bytes = fs::read(&from).map_err(|error| of_file(&from, &error))?;
        let mode = fs::metadata(&from)?.permissions().mode() & 0o777;
        files.push(Named { named, mode, kept: keep(backup, path, &bytes)? });
    }
    let media = copy_media(&config.data_dir.join(MEDIA), &args.folder.join(MEDIA))?;
    Ok(Manifest {
        form: FORM,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made,
        commune: config.commune.clone(),
        config: keep(backup, PathBuf::from("central.toml"), text.as_bytes())?,
        database: Kept { sha256: hash_of_file(&database)?, path: PathBuf::from(DATABASE) },
        files,
        media,
    })
}

/// Makes a folder that only its owner may enter, unless it is there.
fn make_folder(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    Ok(made.map_err(|error| of_file(path, &error))?)
}

/// Writes a file of a backup, which only its owner may read.
fn keep(backup: &Path, path: PathBuf, bytes: &[u8]) -> Result<Kept, Failure> {
    write_whole(&backup.join(&path), bytes)?;
    Ok(Kept { path, sha256: ContentHash::of(bytes) })
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    private_files::write(path, bytes).map_err(|error| of_file(path, &error))?;
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    Ok(synced.map_err(|error| of_file(path, &error))?)
}

/// The files that a configuration names, as it writes them: each text in it that is the path of a small file.
fn named_files(text: &str, base: &Path, config: &CentralConfig) -> BTreeSet<PathBuf> {
    fn texts(value: &toml::Value, found: &mut BTreeSet<PathBuf>) {
        match value {
            toml::Value::String(text) => drop(found.insert(PathBuf::from(text))),
            toml::Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
            toml::Value::Table(table) => table.values().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        table.values().for_each(|value| texts(value, &mut found));
    }
    found.retain(|path| {
        let at = base.join(path);
        // Programs, such as the one that speaks, are the machine's own.
        let is_ours =
            !at.starts_with("/usr") && !at.starts_with("/bin") && Some(&*at) != config.database.file();
        is_ours && at.metadata().is_ok_and(|is| is.is_file() && is.len() <= NAMED_BYTES_MAX)
    });
    found
}

/// Copies the audio that a backup folder lacks, and returns all that there is.
fn copy_media(from: &Path, to: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    make_folder(to)?;
    let found = media_in(from)?;
    for (path, hash) in &found {
        let (source, copy) = (from.join(path), to.join(path));
        if !copy.exists() {
            make_folder(copy.parent().unwrap_or(to))?;
            let unfinished = copy.with_extension("part");
            fs::copy(&source, &unfinished).map_err(|error| of_file(&unfinished, &error))?;
            if hash_of_file(&unfinished)? != *hash {
                return Err(Failure(said!("backup.damaged", path = source.display())));
            }
            fs::File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, &copy).map_err(|error| of_file(&copy, &error))?;
        }
    }
    Ok(found.into_iter().map(|(path, _)| path).collect())
}

/// The audio in a media folder, by its place there.
fn media_in(folder: &Path) -> Result<Vec<(PathBuf, ContentHash)>, Failure> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for part in fs::read_dir(folder).map_err(|error| of_file(folder, &error))? {
        let part = part?;
        if !part.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(part.path()).map_err(|error| of_file(&part.path(), &error))? {
            let path = Path::new(&part.file_name()).join(file?.file_name());
            found.extend(audio_at(&path).map(|hash| (path, hash)));
        }
    }
    Ok(found)
}

/// The hash of the audio at a place of a media folder: the first two digits, or `originals`, and then all of them. `None`
/// for every other path.
pub fn audio_at(path: &Path) -> Option<ContentHash> {
    let hash = path.file_name()?.to_str()?.parse::<ContentHash>().ok()?;
    let name = hash.to_string();
    [&name[..2], ORIGINALS].iter().any(|part| Path::new(part).join(&name) == path).then_some(hash)
}

/// The finished backups of a folder beyond the newest `keep`.
fn surplus(folder: &Path, keep: usize) -> Result<Vec<PathBuf>, Failure> {
    let mut finished: Vec<_> = fs::read_dir(folder)
        .map_err(|error| of_file(folder, &error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(MANIFEST).is_file())
        .collect();
    finished.sort();
    finished.truncate(finished.len().saturating_sub(keep));
    Ok(finished)
}
