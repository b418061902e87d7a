//! Files to stereo frames at the file's own rate, block by block, in constant memory.

mod adts;
pub mod decimate;
mod he_aac;
pub mod resample;
pub mod resampled;

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::codecs::audio::{AudioCodecId, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};
use symphonia_adapter_libopus::OpusDecoder;

use self::adts::Turns;
use self::resample::RATES;
use crate::Frame;
use loaxa_heart::config::files;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// Damaged packets in a row after which a file is given up.
const DAMAGED_IN_ROW_MAX: u32 = 200;
/// Damaged packets in a row after which a stream is looked at anew: it may have changed its rate.
const DAMAGED_IN_STREAM_MAX: u32 = 3;
/// Longest silence put in the place of one damaged packet, in seconds of its time base.
const PACKET_SECONDS_MAX: u64 = 1;
/// Files whose length only a walk over all packets can tell are walked up to this size (an hour at 128 kbit/s).
const WALK_BYTES_MAX: u64 = 64 << 20;
/// Longest file that is decoded for its length, in seconds: a day is the longest that is taken.
const COUNTED_S_MAX: u64 = 24 * 3_600;
/// Decoded ahead of a seek target, so that codecs with a memory of the past sound right at the target.
const SEEK_RUN_UP: Span = Span::millis(150);
/// Largest sample let through before the limiter; damaged files decode to anything.
const SAMPLE_MAX: f32 = 8.0;

/// symphonia's own decoders, and libopus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// The contents of a file, as far as its first packets and its index tell.
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
    let decoder = open(path)?;
    Ok(AudioInfo {
        ms: decoder.length().map_or(0, Span::as_millis),
        rate: decoder.rate,
        channels: decoder.channels,
        codec: mime(decoder.track.codec_id).to_owned(),
    })
}

/// Opens a file and decodes its first good packet.
///
/// # Errors
/// Fails as [`probe`] does.
pub fn open(path: &Path) -> Result<Decoder, Fault> {
    let what = path.display().to_string();
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::Missing { what: what.clone() },
        _ => damaged(&what, &error),
    };
    // Before it is opened: a pipe would wait for who writes into it.
    let bytes = std::fs::metadata(path).map_err(missing)?;
    files::is_a_file(&bytes).map_err(|said| damaged(&what, &said))?;
    let file = File::open(path).map_err(missing)?;
    if bytes.len() == 0 {
        return Err(damaged(&what, &"the file is empty"));
    }
    let mut decoder = Decoder::start(Box::new(file), what)?;
    if decoder.length_is_a_guess() {
        let is_small = bytes.len() <= WALK_BYTES_MAX;
        let walked = contained(&decoder.what, || Ok(if is_small { walk(path) } else { None }))?;
        decoder.length = walked.or(decoder.length);
        decoder.trims = false;
        decoder.track = Track::choose(&*decoder.format, false, &decoder.what)?.0;
    }
    if decoder.length_is_unknown() && bytes.len() <= WALK_BYTES_MAX {
        decoder.length = count(path, &decoder.what)?;
    }
    decoder.begun()
}

/// Decodes a file to its end for its length: browsers' recorders write none, or the one of their first second.
fn count(path: &Path, what: &str) -> Result<Option<Span>, Fault> {
    let file = File::open(path).map_err(|error| damaged(what, &error))?;
    let mut decoder = Decoder::start(Box::new(file), what.to_owned())?.begun()?;
    let mut frames = 0u64;
    // What is decodable up to a fault counts; playing ends there, too.
    while let Ok(true) = decoder.advance() {
        frames += decoder.block().len() as u64;
        if frames / u64::from(decoder.rate.max(1)) > COUNTED_S_MAX {
            return Ok(None);
        }
    }
    let micros = u128::from(frames) * 1_000_000 / u128::from(decoder.rate.max(1));
    Ok(Some(Span(u64::try_from(micros).unwrap_or(u64::MAX))))
}

/// Decodes what a station sends, from wherever it is entered.
///
/// # Errors
/// `Damaged` where it is no sound.
pub fn open_stream(bytes: impl Read + Send + Sync + 'static, what: String) -> Result<Decoder, Fault> {
    let turned = Arc::new(AtomicBool::new(false));
    let source = ReadOnlySource::new(Turns::new(bytes, turned.clone()));
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    Decoder::probe(stream, what, false)?.of_stream(turned).begun()
}

fn damaged(what: &str, detail: &dyn std::fmt::Display) -> Fault {
    Fault::Damaged { what: what.to_owned(), detail: detail.to_string() }
}

/// Runs what may panic on damaged input, and makes a fault of it.
fn contained<T>(what: &str, run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(damaged(what, &"its decoder failed on it")))
}

/// A file being decoded.
pub struct Decoder {
    what: String,
    format: Box<dyn FormatReader>,
    track: Track,
    /// Delay and padding of the encoder are known, and cut off.
    trims: bool,
    length: Option<Span>,
    rate: u32,
    channels: u16,
    interleaved: Vec<f32>,
    block: Vec<Frame>,
    first_is_waiting: bool,
    /// Everything before this timestamp is dropped, after a seek.
    wanted_from: Option<Timestamp>,
    damaged_packets: u32,
    damaged_in_row: u32,
    damaged_in_row_max: u32,
    /// Set where a stream's bytes ended because what follows needs another decoder.
    turned: Arc<AtomicBool>,
}

/// The track that sounds, and its decoder.
struct Track {
    id: u32,
    codec: Box<dyn AudioDecoder>,
    codec_id: AudioCodecId,
    time_base: TimeBase,
    /// Ticks that the container counts before the sound begins.
    lead: u64,
}

impl Track {
    /// Picks the sounding track of a file, and its length from the index.
    fn choose(format: &dyn FormatReader, trims: bool, what: &str) -> Result<(Self, Option<Span>), Fault> {
        let track =
            format.default_track(TrackType::Audio).ok_or_else(|| damaged(what, &"it holds no sound"))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(|| damaged(what, &"its sound is in an unknown form"))?;
        let options = AudioDecoderOptions::default().gapless(trims);
        let mut parameters = parameters.clone();
        let config = parameters.extra_data.as_deref().filter(|_| parameters.codec == codecs::CODEC_ID_AAC);
        if let Some(core) = config.and_then(he_aac::core_config) {
            parameters.with_extra_data(Box::new(core));
        }
        let codec =
            CODECS.make_audio_decoder(&parameters, &options).map_err(|error| damaged(what, &error))?;
        let rate = parameters.sample_rate.and_then(TimeBase::try_from_recip);
        let time_base = track.time_base.or(rate).ok_or_else(|| damaged(what, &"it names no rate"))?;
        let ticks = track.duration.map(|ticks| ticks.get()).or(track.num_frames).filter(|ticks| *ticks > 0);
        // Of Ogg Opus the index counts what its encoder put in front, too.
        let lead = track.delay.filter(|_| parameters.codec == codecs::CODEC_ID_OPUS).map_or(0, u64::from);
        let length = ticks.map(|ticks| span(ticks.saturating_sub(lead), time_base));
        Ok((Self { id: track.id, codec, codec_id: parameters.codec, time_base, lead }, length))
    }
}

impl Decoder {
    fn start(source: Box<dyn MediaSource>, what: String) -> Result<Self, Fault> {
        Self::probe(MediaSourceStream::new(source, Default::default()), what, true)
    }

    fn probe(stream: MediaSourceStream<'static>, what: String, trims: bool) -> Result<Self, Fault> {
        let (format, (track, length)) = contained(&what, || {
            let format = symphonia::default::get_probe()
                .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
                .map_err(|error| damaged(&what, &error))?;
            let chosen = Track::choose(&*format, trims, &what)?;
            Ok((format, chosen))
        })?;
        Ok(Self {
            what,
            format,
            track,
            trims,
            length,
            rate: 0,
            channels: 0,
            interleaved: Vec::new(),
            block: Vec::new(),
            first_is_waiting: false,
            wanted_from: None,
            damaged_packets: 0,
            damaged_in_row: 0,
            damaged_in_row_max: DAMAGED_IN_ROW_MAX,
            turned: Arc::default(),
        })
    }

    fn of_stream(self, turned: Arc<AtomicBool>) -> Self {
        Self { damaged_in_row_max: DAMAGED_IN_STREAM_MAX, length: None, turned, ..self }
    }

    /// Decodes the first good packet.
    fn begun(mut self) -> Result<Self, Fault> {
        self.decode_packet()?;
        if self.block.is_empty() {
            return Err(damaged(&self.what, &"no sound in it could be decoded"));
        }
        self.first_is_waiting = true;
        Ok(self)
    }

    /// Tells whether decoding stopped because this decoder can't go on, not because the sound ended.
    pub fn is_stuck(&self) -> bool {
        self.damaged_in_row >= self.damaged_in_row_max || self.turned.load(Ordering::Acquire)
    }

    /// Looks at the rest of a stream as if it were new.
    ///
    /// # Errors
    /// Fails as [`open_stream`] does.
    pub fn begin_anew(self) -> Result<Self, Fault> {
        self.turned.store(false, Ordering::Release);
        Self::probe(self.format.into_inner(), self.what, false)?.of_stream(self.turned).begun()
    }

    /// The path, for messages.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Frames a second of the last block.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The length from the file's index, or counted; `None` where it can't be known.
    pub fn length(&self) -> Option<Span> {
        self.length
    }

    /// Packets that were replaced by silence so far.
    pub fn damaged_packets(&self) -> u32 {
        self.damaged_packets
    }

    /// Goes on from `to`, exactly; at or past the end nothing follows.
    ///
    /// # Errors
    /// `Damaged` where the file can't be positioned.
    pub fn seek(&mut self, to: Span) -> Result<(), Fault> {
        if to == Span::default() && self.first_is_waiting {
            return Ok(());
        }
        self.first_is_waiting = false;
        let target = self.timestamp(to);
        let early = self.timestamp(to.saturating_sub(SEEK_RUN_UP));
        let to = SeekTo::Timestamp { ts: early, track_id: self.track.id };
        match self.format.seek(SeekMode::Accurate, to) {
            Ok(_) => {}
            // Past a wrongly guessed end, or no index: decode and drop from where the file stands.
            Err(Error::SeekError(_)) => {}
            Err(error) => return Err(damaged(&self.what, &error)),
        }
        self.track.codec.reset();
        self.wanted_from = Some(target);
        Ok(())
    }

    /// The next frames; `None` at the end.
    ///
    /// # Errors
    /// `Damaged` where the file can't be read on.
    pub fn next_block(&mut self) -> Result<Option<&[Frame]>, Fault> {
        Ok(if self.advance()? { Some(&self.block) } else { None })
    }

    /// Decodes on; `false` at the end.
    ///
    /// # Errors
    /// Fails as [`Self::next_block`] does.
    pub fn advance(&mut self) -> Result<bool, Fault> {
        if !std::mem::take(&mut self.first_is_waiting) {
            self.decode_packet()?;
        }
        Ok(!self.block.is_empty())
    }

    /// Returns the block that was decoded last, at [`Self::rate`].
    pub fn block(&self) -> &[Frame] {
        &self.block
    }

    fn timestamp(&self, at: Span) -> Timestamp {
        let ticks = at.0 as u128 * u128::from(self.track.time_base.denom.get())
            / (u128::from(self.track.time_base.numer.get()) * 1_000_000);
        Timestamp::new(i64::try_from(ticks + u128::from(self.track.lead)).unwrap_or(i64::MAX))
    }

    /// Matroska and WebM name a length that recorders do not write; a fragmented MP4 may name none.
    fn length_is_unknown(&self) -> bool {
        let format = self.format.format_info().format;
        self.length.is_none() || format == symphonia::core::formats::well_known::FORMAT_ID_MKV
    }

    /// MPEG audio without a LAME tag and ADTS guess their length from the first packets.
    fn length_is_a_guess(&self) -> bool {
        let track = self.format.default_track(TrackType::Audio);
        let mpeg =
            [codecs::CODEC_ID_MP1, codecs::CODEC_ID_MP2, codecs::CODEC_ID_MP3].contains(&self.track.codec_id);
        let no_tag = track.is_some_and(|track| track.delay.is_none());
        let adts = self.format.format_info().format == symphonia::core::formats::well_known::FORMAT_ID_ADTS;
        adts || (mpeg && no_tag)
    }

    fn decode_packet(&mut self) -> Result<(), Fault> {
        let what = self.what.clone();
        contained(&what, || self.fill_block())
    }

    /// Fills `block` from the next packet that yields frames; leaves it empty at the end.
    fn fill_block(&mut self) -> Result<(), Fault> {
        self.block.clear();
        while self.block.is_empty() && self.damaged_in_row < self.damaged_in_row_max {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(()),
                Err(Error::ResetRequired) => {
                    self.track = Track::choose(&*self.format, self.trims, &self.what)?.0;
                    self.damaged_in_row += 1;
                    continue;
                }
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                Err(Error::IoError(error)) => return Err(damaged(&self.what, &error)),
                Err(_) => {
                    self.damaged_packets += 1;
                    self.damaged_in_row += 1;
                    continue;
                }
            };
            if packet.track_id != self.track.id {
                continue;
            }
            self.damaged_in_row = if self.take_packet(&packet)? { 0 } else { self.damaged_in_row + 1 };
        }
        Ok(())
    }

    /// Decodes one packet into `block`; `false` where it was damaged and, if anything, silence stands for it.
    fn take_packet(&mut self, packet: &Packet) -> Result<bool, Fault> {
        let good = match self.track.codec.decode(packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let rate = spec.rate();
                if !RATES.contains(&rate) || spec.channels().count() == 0 {
                    return Err(damaged(
                        &self.what,
                        &format_args!("a rate of {rate} Hz is not one of sound"),
                    ));
                }
                self.rate = rate;
                self.channels = spec.channels().count().min(usize::from(u16::MAX)) as u16;
                self.interleaved.resize(buffer.samples_interleaved(), 0.0);
                buffer.copy_to_slice_interleaved(&mut self.interleaved);
                to_stereo(&self.interleaved, usize::from(self.channels), &mut self.block);
                true
            }
            Err(Error::DecodeError(_) | Error::IoError(_) | Error::ResetRequired) => {
                self.damaged_packets += 1;
                self.track.codec.reset();
                let ticks =
                    packet.dur.get().min(PACKET_SECONDS_MAX * u64::from(self.track.time_base.denom.get()));
                let frames = self.frames(ticks).min(PACKET_SECONDS_MAX * u64::from(self.rate));
                self.block.resize(frames as usize, [0.0; 2]);
                false
            }
            Err(error) => return Err(damaged(&self.what, &error)),
        };
        self.drop_before_target(packet);
        Ok(good)
    }

    fn drop_before_target(&mut self, packet: &Packet) {
        let Some(wanted) = self.wanted_from else { return };
        let lead = if self.trims { packet.trim_start.get() } else { 0 };
        let start = packet.pts.get().saturating_add_unsigned(lead);
        let missing = wanted.get().saturating_sub(start).max(0) as u64;
        let drop = self.frames(missing);
        if drop < self.block.len() as u64 {
            self.wanted_from = None;
        }
        self.block.drain(..(drop as usize).min(self.block.len()));
    }

    /// Ticks of the time base in frames of the decoded rate.
    fn frames(&self, ticks: u64) -> u64 {
        let (numer, denom) = (self.track.time_base.numer.get(), self.track.time_base.denom.get());
        let frames = u128::from(ticks) * u128::from(numer) * u128::from(self.rate) / u128::from(denom);
        u64::try_from(frames).unwrap_or(u64::MAX)
    }
}

fn span(ticks: u64, time_base: TimeBase) -> Span {
    let micros =
        u128::from(ticks) * u128::from(time_base.numer.get()) * 1_000_000 / u128::from(time_base.denom.get());
    Span(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Adds up the packets of a file without decoding them.
fn walk(path: &Path) -> Option<Span> {
    let file = File::open(path).ok()?;
    let mut walker = Decoder::start(Box::new(file), String::new()).ok()?;
    let mut ticks = 0u64;
    let mut failures = 0;
    while failures < DAMAGED_IN_ROW_MAX {
        match walker.format.next_packet() {
            Ok(Some(packet)) if packet.track_id == walker.track.id => {
                ticks = ticks.saturating_add(packet.block_dur().get());
                failures = 0;
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Error::IoError(_)) => break,
            Err(_) => failures += 1,
        }
    }
    Some(span(ticks, walker.track.time_base))
}

/// Mono to both sides; of more than two channels the others are mixed into left and right.
fn to_stereo(interleaved: &[f32], channels: usize, out: &mut Vec<Frame>) {
    let clean = |sample: f32| if sample.is_finite() { sample.clamp(-SAMPLE_MAX, SAMPLE_MAX) } else { 0.0 };
    match channels {
        1 => out.extend(interleaved.iter().map(|sample| [clean(*sample); 2])),
        2 => out.extend(interleaved.as_chunks::<2>().0.iter().map(|[l, r]| [clean(*l), clean(*r)])),
        _ => {
            let share = 1.0 / (1.0 + (channels - 2) as f32 * 0.5);
            out.extend(interleaved.chunks_exact(channels).map(|frame| {
                let others: f32 = frame[2..].iter().map(|sample| clean(*sample)).sum();
                [0, 1].map(|side| (clean(frame[side]) + 0.5 * others) * share)
            }));
        }
    }
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

    use super::*;

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
        check("chirp.m4a", "audio/aac", 44_100, 1_024, 1_912);
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
