//! The room on disks.

use std::io;
use std::path::Path;

/// Returns the bytes that may still be written to the disk of a file or folder.
///
/// # Errors
/// Fails when the disk does not say.
pub fn free_bytes(place: &Path) -> io::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(place)?;
    #[allow(clippy::useless_conversion, reason = "32 bits wide on some machines")]
    Ok(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}
