//! A capture of the sound in a WAV file.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::device::{DeviceError, PERIOD};
use super::paced::{Outlet, sample_bytes};
use crate::{Frame, RATE};

/// Periods that a WAV file collects before it is written, with its header.
const WAV_PERIODS: usize = 5;
const WAV_HEADER_BYTES: u64 = 44;
/// Bytes of a stereo 16-bit frame.
const FRAME_BYTES: u64 = 4;

/// A 16-bit stereo WAV whose header is right after every write, so that it can be read after a kill.
pub struct WavFile {
    file: File,
    waiting: Vec<u8>,
    data_bytes: u64,
}

impl WavFile {
    /// Opens the file, or goes on with the one that is there.
    ///
    /// # Errors
    /// Fails when the file can't be written.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let failed =
            |error: std::io::Error| DeviceError::File { path: path.to_owned(), detail: error.to_string() };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let old = file.metadata().map_err(failed)?.len().saturating_sub(WAV_HEADER_BYTES);
        let data_bytes = old - old % FRAME_BYTES;
        file.set_len(WAV_HEADER_BYTES + data_bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let wav = Self { file, waiting: Vec::new(), data_bytes };
        wav.write_header().map_err(failed)?;
        Ok(wav)
    }

    fn write_header(&self) -> std::io::Result<()> {
        let data = u32::try_from(self.data_bytes).unwrap_or(u32::MAX);
        let mut header = [0u8; WAV_HEADER_BYTES as usize];
        header[..4].copy_from_slice(b"RIFF");
        header[4..8].copy_from_slice(&data.saturating_add(WAV_HEADER_BYTES as u32 - 8).to_le_bytes());
        header[8..16].copy_from_slice(b"WAVEfmt ");
        header[16..20].copy_from_slice(&16u32.to_le_bytes());
        header[20..22].copy_from_slice(&1u16.to_le_bytes());
        header[22..24].copy_from_slice(&2u16.to_le_bytes());
        header[24..28].copy_from_slice(&RATE.to_le_bytes());
        header[28..32].copy_from_slice(&(RATE * FRAME_BYTES as u32).to_le_bytes());
        header[32..34].copy_from_slice(&(FRAME_BYTES as u16).to_le_bytes());
        header[34..36].copy_from_slice(&16u16.to_le_bytes());
        header[36..40].copy_from_slice(b"data");
        header[40..44].copy_from_slice(&data.to_le_bytes());
        self.file.write_all_at(&header, 0)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.data_bytes += self.waiting.len() as u64;
        self.waiting.clear();
        self.write_header()
    }
}

impl Outlet for WavFile {
    fn take(&mut self, frames: &[Frame]) -> bool {
        sample_bytes(frames, &mut self.waiting);
        let full = self.waiting.len() >= WAV_PERIODS * PERIOD * FRAME_BYTES as usize;
        !full || self.flush().is_ok()
    }
}

impl Drop for WavFile {
    fn drop(&mut self) {
        // The file is complete but for the last 50 ms if this fails.
        let _ = self.flush();
    }
}
