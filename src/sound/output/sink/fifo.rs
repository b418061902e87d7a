//! Raw sound into a named pipe.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::device::DeviceError;
use super::paced::{Outlet, sample_bytes};
use crate::Frame;

/// Longest time for which a pipe refuses data before the output is taken for dead.
const PIPE_STALL_MS: u16 = 1_000;
/// A named pipe, made where there is none.
pub struct Fifo {
    file: File,
    bytes: Vec<u8>,
}

impl Fifo {
    /// Opens the pipe.
    ///
    /// # Errors
    /// Fails when it can't be made or opened.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let failed = |detail: String| DeviceError::File { path: path.to_owned(), detail };
        if !path.exists() {
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o640);
            nix::unistd::mkfifo(path, mode).map_err(|error| failed(error.to_string()))?;
        }
        // Read and write: opening waits for no reader, and a reader that leaves is no error.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { file, bytes: Vec::new() })
    }
}

impl Outlet for Fifo {
    fn take(&mut self, frames: &[Frame]) -> bool {
        use std::os::fd::AsFd;
        self.bytes.clear();
        sample_bytes(frames, &mut self.bytes);
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                    match nix::poll::poll(&mut polled, PollTimeout::from(PIPE_STALL_MS)) {
                        Ok(ready) if ready > 0 => {}
                        Err(nix::errno::Errno::EINTR) => {}
                        _ => return false,
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
