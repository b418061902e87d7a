//! Recordings in forms that boxes can't play, converted by ffmpeg where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use loaxa_adapters::program;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Longest time that one recording may take.
const WORK_MAX: Span = Span::secs(60);
/// Longest recording that is converted, in seconds: a day.
const SECONDS_MAX: u32 = 24 * 3_600;
/// Bits a second of what comes out: speech and music for loudspeakers, at the price of a village's data.
const BITS: &str = "96k";
/// Forms that ffmpeg may read: none of them names further files or addresses.
const READ: &str = "amr,asf,mov,mp4,3gp,matroska,webm,avi,flv,mpeg,mpegts,rm,ac3,eac3,dts,ape,wv,tta,mpc,mpc8,tak,au,voc,\
                    gsm,dsf,iff,spdif,oma,caf,aiff,w64,wav,ogg,aac,flac,mp3,loas,amrnb,amrwb,qcp,sln,xwma";

/// Converts a recording to AAC in M4A; `false` where there is no ffmpeg, or it can't read the recording either.
///
/// # Errors
/// Fails where the program can't be waited for.
pub fn to_m4a(from: &Path, to: &Path) -> std::io::Result<bool> {
    let mut input = std::ffi::OsString::from("file:");
    input.push(from);
    let mut output = std::ffi::OsString::from("file:");
    output.push(to);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "quiet", "-y", "-threads", "1", "-protocol_whitelist", "file"]);
    ffmpeg.args(["-format_whitelist", READ]).arg("-i").arg(input);
    ffmpeg.args([
        "-map",
        "0:a:0",
        "-vn",
        "-sn",
        "-dn",
        "-map_metadata",
        "-1",
        "-c:a",
        "aac",
        "-b:a",
        BITS,
        "-ar",
        "48000",
        "-af",
        "aformat=channel_layouts=mono|stereo",
    ]);
    ffmpeg
        .args(["-t", &SECONDS_MAX.to_string(), "-fs", &MEDIA_BYTES_MAX.to_string(), "-f", "ipod"])
        .arg(output);
    ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match ffmpeg.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let done = program::wait(&mut child, WORK_MAX);
    if let Err(error) = &done {
        tracing::info!(%error, "ffmpeg did not convert a recording");
    }
    Ok(done.is_ok())
}
