//! The users under which the services run, and the files that are theirs.

use std::os::unix::fs::chown;
use std::path::Path;

use super::language::{Failure, foreign, of_file};

/// Gives a file or a folder with all in it to a service's user. Does nothing on a machine that has no such user, or for
/// a caller who may not: then the service runs under the caller's own.
///
/// # Errors
/// Names what can't be given.
pub fn hand_over(user: &str, path: &Path) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    match nix::unistd::User::from_name(user).map_err(|error| foreign(&error))? {
        Some(user) => give(path, user.uid.as_raw(), user.gid.as_raw()),
        None => Ok(()),
    }
}

fn give(path: &Path, uid: u32, gid: u32) -> Result<(), Failure> {
    chown(path, Some(uid), Some(gid)).map_err(|error| of_file(path, &error))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).map_err(|error| of_file(path, &error))? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
