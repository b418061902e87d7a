//! `loaxa central restore`: a backup put in the place of what was lost, on this machine or a fresh one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use loaxa_adapters::fetch::hash_of_file;
use loaxa_adapters::{clock, private_files};
use loaxa_central::store::sql::backup::renew;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file;
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

use super::central_backup::{FORM, Kept, MANIFEST, MEDIA, Manifest, Named, audio_at};
use super::central_init::SERVICE_USER;
use super::language::{Failure, Outcome, of_file, tell};
use super::service_user;

#[derive(clap::Args)]
pub struct Args {
    backup: PathBuf,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

pub fn run(args: Args) -> Outcome {
    let manifest = read(&args.backup)?;
    private_files::as_modes_say();
    check(&args.backup, &manifest)?;
    let base = args.config.parent().unwrap_or(Path::new(""));
    for file in &manifest.files {
        belongs_here(&args.backup, base, file)?;
    }
    put(&args.backup.join(&manifest.config.path), &args.config, 0o644)?;
    for file in manifest.files.iter().filter(|file| !is_outside(base, &file.named)) {
        put(&args.backup.join(&file.kept.path), &base.join(&file.named), file.mode)?;
    }
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    let Some(database) = config.database.file() else {
        return Err(Failure(said!("backup.server")));
    };
    if database.exists() {
        return Err(Failure(said!("restore.in_the_way", path = database.display())));
    }
    let media = config.data_dir.join(MEDIA);
    for path in &manifest.media {
        put(&args.backup.with_file_name(MEDIA).join(path), &media.join(path), 0o644)?;
    }
    let made = Wall(manifest.made.timestamp_micros());
    // Under another name until all is done: central never starts on half a restoration.
    let unfinished = database.with_extension("restoring");
    if unfinished.exists() {
        fs::remove_file(&unfinished).map_err(|error| of_file(&unfinished, &error))?;
    }
    put(&args.backup.join(&manifest.database.path), &unfinished, 0o600)?;
    let valid = renew(&Database::Sqlite(unfinished.clone()), made, clock::wall())?;
    fs::rename(&unfinished, database).map_err(|error| of_file(database, &error))?;
    for path in [&*config.data_dir, database] {
        service_user::hand_over(SERVICE_USER, path)?;
    }
    for file in manifest.files.iter().filter(|file| file.mode & 0o044 == 0 && !is_outside(base, &file.named))
    {
        service_user::hand_over(SERVICE_USER, &base.join(&file.named))?;
    }
    tell!("restore.done", commune = manifest.commune, made = made.local().format("%d/%m/%Y %H:%M"));
    for one in valid {
        let until = one.expires.local().format("%d/%m %H:%M");
        tell!("restore.still_valid", id = one.id, title = one.title, until);
    }
    tell!("restore.again");
    Ok(ExitCode::SUCCESS)
}

fn read(backup: &Path) -> Result<Manifest, Failure> {
    let path = backup.join(MANIFEST);
    let text = fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => said!("restore.unfinished", path = backup.display()),
        _ => of_file(&path, &error),
    })?;
    let damaged = |_| Failure(said!("backup.damaged", path = path.display()));
    let manifest: Manifest = serde_json::from_slice(&text).map_err(damaged)?;
    if manifest.form > FORM {
        return Err(Failure(said!("restore.newer", program = manifest.program)));
    }
    Ok(manifest)
}

/// Checks every file of a backup before the first is put anywhere.
fn check(backup: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let files = manifest.files.iter().map(|file| &file.kept);
    let kept = files.chain([&manifest.config, &manifest.database]);
    let kept = kept.map(|Kept { path, sha256 }| (backup, backup.join(path), Some(*sha256)));
    let folder = backup.with_file_name(MEDIA);
    let media = manifest.media.iter().map(|path| (folder.as_path(), folder.join(path), audio_at(path)));
    for (folder, path, sha256) in kept.chain(media) {
        // A link or a path out of the backup would bring a file of this machine to where others may read it.
        let lies_at = path.canonicalize().map_err(|error| of_file(&path, &error))?;
        let folder = folder.canonicalize().map_err(|error| of_file(folder, &error))?;
        if !lies_at.is_file() || !lies_at.starts_with(folder) {
            return Err(Failure(said!("backup.damaged", path = path.display())));
        }
        let found = hash_of_file(&path).map_err(|error| of_file(&path, &error))?;
        if Some(found) != sha256 {
            return Err(Failure(said!("backup.damaged", path = path.display())));
        }
    }
    Ok(())
}

/// Tells whether a file that a configuration names lies elsewhere than in the configuration's folder.
fn is_outside(base: &Path, named: &Path) -> bool {
    let here = if named.is_absolute() { named.strip_prefix(base).ok() } else { Some(named) };
    !here.is_some_and(|here| {
        here.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    })
}

/// Checks that a file of a backup may be put where its configuration names it. A backup may have lain where others write:
/// it puts nothing outside the configuration's folder, and nothing that a user's rights are not enough for.
fn belongs_here(backup: &Path, base: &Path, file: &Named) -> Result<(), Failure> {
    let (from, to) = (backup.join(&file.kept.path), base.join(&file.named));
    if file.mode & !0o777 != 0 {
        return Err(Failure(said!("backup.damaged", path = from.display())));
    }
    let is_there = || to.is_file() && hash_of_file(&to).is_ok_and(|hash| hash == file.kept.sha256);
    if is_outside(base, &file.named) && !is_there() {
        return Err(Failure(said!("restore.by_hand", from = from.display(), to = to.display())));
    }
    Ok(())
}

/// Copies a file to where nothing else stands. What was put there before, by a restoration that broke off, may stay.
fn put(from: &Path, to: &Path, mode: u32) -> Result<(), Failure> {
    if to.exists() {
        if hash_of_file(to)? == hash_of_file(from)? {
            return Ok(());
        }
        return Err(Failure(said!("restore.in_the_way", path = to.display())));
    }
    let folder = to.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|error| of_file(folder, &error))?;
    let unfinished = to.with_extension("putting");
    private_files::keep(&unfinished).map_err(|error| of_file(&unfinished, &error))?;
    let copied = fs::copy(from, &unfinished)
        .and_then(|_| fs::set_permissions(&unfinished, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::File::open(&unfinished)?.sync_all())
        .and_then(|()| fs::rename(&unfinished, to));
    Ok(copied.map_err(|error| of_file(to, &error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_puts_files_beside_its_configuration_only() {
        let check = |named: &str, expected| {
            assert_eq!(is_outside(Path::new("/etc/loaxa"), Path::new(named)), expected, "{named}");
        };
        for inside in ["api-token", "trust/central.key", "./ca.pem", "/etc/loaxa/tls/ca.pem"] {
            check(inside, false);
        }
        for outside in
            ["/etc/cron.d/x", "../cron.d/x", "a/../../x", "/etc/loaxa/../cron.d/x", "/etc/loaxa2/x", ".."]
        {
            check(outside, true);
        }
    }
}
