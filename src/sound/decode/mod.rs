//! Files to stereo frames at the file's own rate, block by block, in constant memory.

pub mod decimate;
mod decoder;
mod edits;
mod fault;
mod flac_end;
mod frames;
mod he_aac;
mod joined;
pub mod lengths;
mod mended;
pub mod resample;
pub mod resampled;
mod start;
mod tally;
mod track;
mod wave;
mod window;

use std::io::Read;
use std::path::Path;

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::io::ReadOnlySource;

pub use self::decoder::Decoder;
pub use self::start::foreign;
use self::start::start;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// The contents of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInfo {
    /// Length in milliseconds; 0 where only playing it would tell.
    pub ms: u64,
    pub rate: u32,
    pub channels: u16,
    /// MIME type, e.g. `audio/mpeg`.
    pub codec: String,
}

/// Reads a file's length, rate, channels and codec.
///
/// # Errors
/// `Missing` where there is no such file, `Damaged` where nothing in it can be decoded.
pub fn probe(path: &Path) -> Result<AudioInfo, Fault> {
    Ok(info(&open(path)?))
}

fn info(decoder: &Decoder) -> AudioInfo {
    AudioInfo {
        ms: decoder.length().map_or(0, Span::as_millis),
        rate: decoder.rate(),
        channels: decoder.channels(),
        codec: mime(decoder.codec()).to_owned(),
    }
}

/// Reads what [`probe`] reads of a file that has, or will have, the name of its hash.
///
/// # Errors
/// Fails as [`probe`] does.
pub fn probe_named(path: &Path, hash: ContentHash) -> Result<AudioInfo, Fault> {
    Ok(info(&open_as(path, Some(hash))?))
}

/// Opens a file and decodes its first good packet.
///
/// # Errors
/// Fails as [`probe`] does.
pub fn open(path: &Path) -> Result<Decoder, Fault> {
    open_as(path, None)
}

fn open_as(path: &Path, hash: Option<ContentHash>) -> Result<Decoder, Fault> {
    let mut decoder = start(path, false)?.begun()?;
    let measured = lengths::of(path, hash, decoder.what())?;
    decoder.take_length(measured);
    Ok(decoder)
}

/// Decodes what a station sends, from wherever it is entered.
///
/// # Errors
/// `Damaged` where it is no sound.
pub fn open_stream(bytes: impl Read + Send + Sync + 'static, what: String) -> Result<Decoder, Fault> {
    Decoder::of_stream(Box::new(ReadOnlySource::new(bytes)), what)?.begun()
}

fn mime(codec: AudioCodecId) -> &'static str {
    match codec {
        codecs::CODEC_ID_MP1 | codecs::CODEC_ID_MP2 | codecs::CODEC_ID_MP3 => "audio/mpeg",
        codecs::CODEC_ID_AAC => "audio/aac",
        codecs::CODEC_ID_FLAC => "audio/flac",
        codecs::CODEC_ID_VORBIS | codecs::CODEC_ID_OPUS => "audio/ogg",
        _ => "audio/wav",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::decoder::SAMPLE_MAX;
    use super::*;
    use crate::Frame;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sound").join(name)
    }

    fn all(decoder: &mut Decoder) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(block) = decoder.next_block().unwrap() {
            frames.extend_from_slice(block);
        }
        frames
    }

    /// The fixtures' sound: a sweep of 2 s from 300 Hz up by 400 Hz a second.
    fn sweep(seconds: f64) -> f32 {
        (std::f64::consts::TAU * (300.0 * seconds + 200.0 * seconds * seconds)).sin() as f32 * 0.4
    }

    /// Finds the lag, in frames, at which a piece of sound fits the sweep best.
    fn lag(piece: &[Frame], from: usize, rate: u32) -> i64 {
        let fit = |lag: i64| {
            let sum: f32 = (0..piece.len())
                .map(|n| piece[n][0] * sweep((from as i64 + n as i64 - lag) as f64 / f64::from(rate)))
                .sum();
            sum / piece.len() as f32
        };
        (-100..3_000).max_by(|a, b| fit(*a).total_cmp(&fit(*b))).unwrap()
    }

    /// `late` frames is what the format's encoder adds in front, `longer` what it adds in all.
    fn check(name: &str, codec: &str, rate: u32, late: i64, longer: u64) {
        let path = fixture(name);
        let info = probe(&path).unwrap();
        assert_eq!((info.codec.as_str(), info.rate, info.channels), (codec, rate, 1), "{name}");
        let mut decoder = open(&path).unwrap();
        let frames = all(&mut decoder);
        assert_eq!(decoder.damaged_packets(), 0, "{name}");
        assert_eq!(frames.len() as u64, 2 * u64::from(rate) + longer, "{name}");
        let announced = decoder.length().unwrap().0 as i64 * i64::from(rate) / 1_000_000;
        // MP4 does not announce the last block's padding.
        let unannounced = frames.len() as i64 - announced;
        assert!((-1..1_024).contains(&unannounced), "{name}: {announced} announced");
        let piece = rate as usize / 2;
        assert_eq!(lag(&frames[piece..piece + 2_000], piece, rate), late, "{name}");
        for at_ms in [0, 1, 700, 1_500] {
            let mut decoder = open(&path).unwrap();
            decoder.seek(Span::millis(at_ms)).unwrap();
            let rest = all(&mut decoder);
            let from = at_ms as usize * rate as usize / 1_000;
            assert!(rest.len().abs_diff(frames.len() - from) <= 1, "{name} from {at_ms} ms: {}", rest.len());
            // Half a filter further in, where codecs with a memory have settled.
            let (got, wanted) = (&rest[500..2_500], &frames[from + 500..from + 2_500]);
            let worst = got.iter().zip(wanted).map(|(a, b)| (a[0] - b[0]).abs()).fold(0.0, f32::max);
            assert!(worst < 0.05, "{name} from {at_ms} ms differs by {worst}");
        }
    }

    #[test]
    fn every_format_sounds_at_its_place() {
        check("chirp.wav", "audio/wav", 8_000, 0, 0);
        check("chirp.aiff", "audio/wav", 22_050, 0, 0);
        check("chirp.flac", "audio/flac", 44_100, 0, 0);
        check("chirp.ogg", "audio/ogg", 44_100, 0, 0);
        check("chirp.opus", "audio/ogg", 48_000, 0, 0);
        check("chirp.mp3", "audio/mpeg", 44_100, 0, 0);
        check("bare.mp3", "audio/mpeg", 44_100, 1_105, 1_656);
        check("chirp.mp2", "audio/mpeg", 44_100, 481, 504);
        check("chirp.m4a", "audio/aac", 44_100, 0, 888);
        check("chirp.aac", "audio/aac", 44_100, 1_024, 1_912);
        check("fragmented.m4a", "audio/aac", 44_100, 1_024, 1_912);
    }

    /// Nobody went back to write the length, times are whole milliseconds, and the padding at the end is not cut off.
    #[test]
    fn recordings_of_browsers_are_whole() {
        for (name, rate) in [("opus.webm", 48_000), ("vorbis.webm", 44_100)] {
            let path = fixture(name);
            let (info, mut decoder) = (probe(&path).unwrap(), open(&path).unwrap());
            let frames = all(&mut decoder);
            let second = rate as usize;
            assert!(
                (2 * second..2 * second + second / 50).contains(&frames.len()),
                "{name}: {}",
                frames.len()
            );
            assert!((2_000..2_020).contains(&info.ms), "{name}: {} ms", info.ms);
            assert_eq!(lag(&frames[second / 2..second / 2 + 2_000], second / 2, rate), 0, "{name}");
            let mut decoder = open(&path).unwrap();
            decoder.seek(Span::millis(1_000)).unwrap();
            assert!(all(&mut decoder).len().abs_diff(frames.len() - second) < second / 50, "{name}");
        }
    }

    #[test]
    fn junk_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("junk");
        assert!(matches!(open(&path), Err(Fault::Missing { .. })));
        assert!(matches!(open(folder.path()), Err(Fault::Damaged { .. })));
        let noise: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for bytes in [&[][..], &[0; 4_096], b"RIFF\xff\xff\xff\xffWAVE", &noise] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(open(&path), Err(Fault::Damaged { .. })), "{} bytes", bytes.len());
        }
    }

    /// Whatever bytes are hit, decoding ends, and what sounds has about its length.
    #[test]
    fn damage_is_bridged() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["chirp.mp3", "chirp.ogg", "chirp.opus", "chirp.flac", "chirp.aac", "chirp.m4a", "chirp.wav"]
        {
            let whole = std::fs::read(fixture(name)).unwrap();
            for seed in 0..40u32 {
                let mut bytes = whole.clone();
                for hit in 0..20u32 {
                    let at =
                        (seed * 7_919 + hit * 104_729).wrapping_mul(2_654_435_761) as usize % bytes.len();
                    bytes[at] ^= (seed + hit) as u8 | 1;
                }
                let path = folder.path().join(name);
                std::fs::write(&path, &bytes).unwrap();
                let Ok(mut decoder) = open(&path) else { continue };
                let mut frames = 0;
                while let Ok(Some(block)) = decoder.next_block() {
                    frames += block.len();
                    assert!(block.iter().flatten().all(|sample| sample.abs() <= SAMPLE_MAX));
                    assert!(frames < 10_000_000, "{name} with seed {seed} does not end");
                }
            }
        }
    }
}
