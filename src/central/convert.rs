//! Recordings in forms that boxes can't play, converted by ffmpeg where it is installed.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use loaxa_adapters::program::{self, ProgramError};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Longest time that one recording may take: an hour of speech takes 20 s of a core of a PC, and the machine may be a slow and
/// busy one.
const WORK_MAX: Span = Span::secs(900);
/// Longest time to find how long a recording is.
const LOOK_MAX: Span = Span::secs(30);
/// Bits a second of what comes out: speech and music for loudspeakers, at the price of a village's data.
const BITS: &str = "96k";
/// Forms that ffmpeg may read: none of them names further files or addresses.
const READ: &str = "amr,asf,mov,mp4,3gp,matroska,webm,avi,flv,mpeg,mpegts,rm,ac3,eac3,dts,ape,wv,tta,mpc,mpc8,tak,au,voc,\
                    gsm,dsf,iff,spdif,oma,caf,aiff,w64,wav,ogg,aac,flac,mp3,loas,amrnb,amrwb,qcp,sln,xwma";

/// Finds how many milliseconds a recording says it lasts; none where there is no ffprobe, or it finds no length.
pub fn ms_of(recording: &Path) -> Option<u64> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "quiet", "-protocol_whitelist", "file", "-format_whitelist", READ]);
    ffprobe.args(["-show_entries", "format=duration", "-of", "csv=p=0"]).arg(local(recording));
    ffprobe.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = ffprobe.spawn().ok()?;
    program::wait(&mut child, LOOK_MAX).ok()?;
    let mut told = String::new();
    child.stdout?.read_to_string(&mut told).ok()?;
    let seconds: f64 = told.trim().parse().ok()?;
    Some((seconds * 1_000.0) as u64)
}

/// Converts a recording, or as much of it as lasts `ms_max`, to AAC in M4A; `false` where there is no ffmpeg, or it can't read
/// the recording either.
///
/// # Errors
/// Fails where the program can't be waited for, and with `TimedOut` where it does not get done.
pub fn to_m4a(from: &Path, to: &Path, ms_max: u64) -> std::io::Result<bool> {
    to_m4a_within(WORK_MAX, from, to, ms_max)
}

/// A path as ffmpeg takes for no other thing than a file.
fn local(path: &Path) -> OsString {
    let mut local = OsString::from("file:");
    local.push(path);
    local
}

fn to_m4a_within(patience: Span, from: &Path, to: &Path, ms_max: u64) -> std::io::Result<bool> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "quiet", "-y", "-threads", "1", "-protocol_whitelist", "file"]);
    ffmpeg.args(["-format_whitelist", READ]).arg("-i").arg(local(from));
    ffmpeg.args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"]);
    ffmpeg.args(["-c:a", "aac", "-b:a", BITS, "-ar", "48000"]);
    ffmpeg.args(["-af", "aformat=channel_layouts=mono|stereo"]);
    ffmpeg.args(["-t", &format!("{ms_max}ms"), "-fs", &MEDIA_BYTES_MAX.to_string(), "-f", "ipod"]);
    ffmpeg.arg(local(to)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match ffmpeg.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match program::wait(&mut child, patience) {
        Ok(()) => Ok(true),
        Err(ProgramError::TooLong(_)) => Err(std::io::ErrorKind::TimedOut.into()),
        Err(error) => {
            tracing::info!(%error, "ffmpeg did not convert a recording");
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Silence as WAV of 200 samples a second, which boxes don't play.
    fn slow_wav(folder: &Path, seconds: u32) -> std::path::PathBuf {
        let bytes = 200 * seconds;
        let mut wav =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\xc8\0\0\0\xc8\0\0\0\x01\0\x08\0data".to_vec();
        wav[4..8].copy_from_slice(&(bytes + 36).to_le_bytes());
        wav.extend(bytes.to_le_bytes());
        wav.resize(wav.len() + bytes as usize, 128);
        let path = folder.join("slow.wav");
        std::fs::write(&path, wav).unwrap();
        path
    }

    #[test]
    fn a_recording_says_how_long_it_is_and_no_more_than_that_is_converted() {
        let dir = tempfile::tempdir().unwrap();
        let (wav, m4a) = (slow_wav(dir.path(), 10), dir.path().join("out"));
        assert_eq!(ms_of(&wav), Some(10_000));
        assert!(to_m4a(&wav, &m4a, 2_500).unwrap());
        let converted = ms_of(&m4a).unwrap();
        assert!((2_400..2_700).contains(&converted), "{converted} ms");
        std::fs::write(&wav, "%PDF-1.7").unwrap();
        assert_eq!((ms_of(&wav), to_m4a(&wav, &m4a, 2_500).unwrap()), (None, false));
    }

    #[test]
    fn a_machine_that_does_not_get_done_is_no_fault_of_the_recording() {
        let dir = tempfile::tempdir().unwrap();
        let wav = slow_wav(dir.path(), 3_600);
        let refused = to_m4a_within(Span::secs(0), &wav, &dir.path().join("out"), 3_600_000).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut);
    }
}
