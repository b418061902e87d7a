//! WAV and its larger kin (RF64, BW64, Sony's W64): what is there counts, whatever the header says.
//!
//! Recorders that were cut off leave a length of 0, of -1, or of a gigabyte; sound may be joined behind sound.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::errors::{Error, Result, SeekErrorKind, seek_error};
use symphonia::core::formats::well_known::FORMAT_ID_WAVE;
use symphonia::core::formats::{FormatInfo, FormatReader, MediaInfo, SeekMode, SeekTo, SeekedTo, Track};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::{Metadata, MetadataLog};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::window::Window;

/// Frames given at a time.
const PACKET_FRAMES: u64 = 2_048;
/// Channels beyond which a header lies.
const CHANNELS_MAX: u16 = 64;
/// Longest block of ADPCM, and longest frame.
const BLOCK_BYTES_MAX: u64 = 64 << 10;
/// Chunks that are looked at for the sound of one header, and bytes of a format chunk that are read.
const CHUNKS_MAX: usize = 1_000;
const FORMAT_BYTES_MAX: u64 = 64;
/// Bytes in the middle of padded samples that tell where the padding is.
const PADDED_BYTES: u64 = 64 << 10;
/// Pieces of sound that one file may join.
const SECTIONS_MAX: usize = 10_000;
/// The ends of the identifiers of W64, behind their four letters.
const W64_RIFF: [u8; 12] = [0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0x00, 0x00];

static INFO: FormatInfo = FormatInfo { format: FORMAT_ID_WAVE, short_name: "wave", long_name: "WAV" };

/// Sound in one form, and its place in the file.
#[derive(Debug, Clone, PartialEq)]
struct Section {
    form: Form,
    from: u64,
    bytes: u64,
}

/// A form of sound; its unit is a frame, or a block of ADPCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    coding: Coding,
    rate: u32,
    channels: u16,
    bits: u16,
    unit_bytes: u64,
    unit_frames: u64,
    /// Place of the three bytes of a sample that lies in four.
    place_in_four: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Samples(AudioCodecId),
    /// Frames of MPEG audio or ADTS.
    Frames,
}

impl Section {
    fn frames(&self) -> u64 {
        self.bytes / self.form.unit_bytes * self.form.unit_frames
    }
}

impl Form {
    /// Reads a format chunk, `None` where its form is not known here.
    fn read(chunk: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?));
        let (mut tag, channels, bits) = (word(0)?, word(2)?, word(14).unwrap_or(8));
        let rate = u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?);
        let block = u64::from(word(12)?);
        if tag == 0xfffe {
            tag = word(24)?;
        }
        if !(1..=CHANNELS_MAX).contains(&channels) {
            return None;
        }
        let width = u64::from(bits.div_ceil(8));
        let plain = |codec| Some((codec, width * u64::from(channels), 1));
        let (codec, unit_bytes, unit_frames) = match (tag, width) {
            (1, 1) => plain(codecs::CODEC_ID_PCM_U8),
            (1, 2) => plain(codecs::CODEC_ID_PCM_S16LE),
            (1, 3) if block == 4 * u64::from(channels) => Some((codecs::CODEC_ID_PCM_S24LE, block, 1)),
            (1, 3) => plain(codecs::CODEC_ID_PCM_S24LE),
            (1, 4) => plain(codecs::CODEC_ID_PCM_S32LE),
            (3, 4) => plain(codecs::CODEC_ID_PCM_F32LE),
            (3, 8) => plain(codecs::CODEC_ID_PCM_F64LE),
            (6, _) => Some((codecs::CODEC_ID_PCM_ALAW, u64::from(channels), 1)),
            (7, _) => Some((codecs::CODEC_ID_PCM_MULAW, u64::from(channels), 1)),
            (2, _) if channels <= 2 => adpcm(codecs::CODEC_ID_ADPCM_MS, block, channels, 7, 2),
            (0x11, _) if channels <= 2 => adpcm(codecs::CODEC_ID_ADPCM_IMA_WAV, block, channels, 4, 1),
            (0x50 | 0x55 | 0xff | 0x1600 | 0x706d, _) => {
                let coding = Coding::Frames;
                return Some(Self {
                    coding,
                    rate,
                    channels,
                    bits,
                    unit_bytes: 1,
                    unit_frames: 0,
                    place_in_four: None,
                });
            }
            _ => None,
        }?;
        let bits = (width * 8) as u16;
        let coding = Coding::Samples(codec);
        Some(Self { coding, rate, channels, bits, unit_bytes, unit_frames, place_in_four: None })
    }

    /// Tells whether samples of three bytes lie in four.
    fn is_padded(&self) -> bool {
        self.coding == Coding::Samples(codecs::CODEC_ID_PCM_S24LE)
            && self.unit_bytes == 4 * u64::from(self.channels)
    }
}

/// A block begins with some bytes for each channel that stand for some frames; two frames lie in each further byte.
fn adpcm(
    codec: AudioCodecId,
    block: u64,
    channels: u16,
    head: u64,
    first: u64,
) -> Option<(AudioCodecId, u64, u64)> {
    let channels = u64::from(channels);
    let rest = block.checked_sub(head * channels)?;
    (rest > 0 && block <= BLOCK_BYTES_MAX).then(|| (codec, block, rest * 2 / channels + first))
}

/// The place of the three bytes that count in samples of four: the fourth is nothing, or repeats the sign. Some programs
/// write floating point there, whose samples are zero or have an exponent near that of one.
fn place_in_four(samples: &[u8]) -> Option<usize> {
    let all = |is_so: fn(&[u8; 4]) -> bool| samples.as_chunks().0.iter().all(is_so);
    let exponent = |sample: &[u8; 4]| u32::from_le_bytes(*sample) >> 23 & 0xff;
    let is_silent = all(|sample| *sample == [0; 4]);
    let is_float = |sample: &[u8; 4]| *sample == [0; 4] || (0x60..0xa0).contains(&exponent(sample));
    if !is_silent && samples.as_chunks().0.iter().all(is_float) {
        None
    } else if all(|sample| sample[0] == 0) {
        Some(1)
    } else if all(|sample| sample[3] == if sample[2] < 0x80 { 0 } else { 0xff }) {
        Some(0)
    } else {
        None
    }
}

/// The walk over chunks.
struct Chunks<'s> {
    source: &'s mut dyn MediaSource,
    end: u64,
    at: u64,
    is_w64: bool,
    /// The length of the sound that a chunk of 64-bit lengths names.
    long: Option<u64>,
}

impl Chunks<'_> {
    fn read(&mut self, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::new();
        self.source.seek(SeekFrom::Start(at))?;
        (&mut self.source).take(bytes).read_to_end(&mut chunk)?;
        Ok(chunk)
    }

    /// The place behind a tag of ID3v2, which some programs put before everything.
    fn behind_a_tag(&mut self) -> io::Result<u64> {
        let head = self.read(0, 10)?;
        let size = head.get(6..10).filter(|_| head.starts_with(b"ID3"));
        Ok(size.map_or(0, |size| 10 + size.iter().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))))
    }

    /// Passes over the header of a file that begins here; says whether there is one.
    fn enter(&mut self) -> io::Result<bool> {
        let head = self.read(self.at, 40)?;
        self.long = None;
        self.is_w64 = head.starts_with(b"riff") && head.get(4..16) == Some(&W64_RIFF);
        let known = [&b"RIFF"[..], b"RF64", b"BW64"].iter().any(|magic| head.starts_with(magic));
        let is_wave =
            self.is_w64 && head.get(24..28) == Some(b"wave") || known && head.get(8..12) == Some(b"WAVE");
        if is_wave {
            self.at += if self.is_w64 { 40 } else { 12 };
        }
        Ok(is_wave)
    }

    /// Finds the sound of the file that was entered, and stands behind it.
    fn sound(&mut self) -> io::Result<Option<Section>> {
        let mut form = None;
        for _ in 0..CHUNKS_MAX {
            let width = if self.is_w64 { 24 } else { 8 };
            let head = self.read(self.at, width)?;
            let Some(name) = head.first_chunk::<4>().filter(|_| head.len() as u64 == width) else { break };
            let said = match (self.is_w64, head.get(4..8), head.get(16..24)) {
                (true, _, Some(size)) => {
                    u64::from_le_bytes(size.try_into().unwrap_or_default()).saturating_sub(24)
                }
                (_, Some(size), _) => u64::from(u32::from_le_bytes(size.try_into().unwrap_or_default())),
                _ => break,
            };
            let from = self.at + width;
            let there = self.end.saturating_sub(from);
            match name {
                b"fmt " => form = Form::read(&self.read(from, said.min(FORMAT_BYTES_MAX))?),
                b"ds64" => {
                    let sizes = self.read(from, 16)?;
                    self.long =
                        sizes.get(8..16).map(|size| u64::from_le_bytes(size.try_into().unwrap_or_default()));
                }
                b"data" => {
                    let said = match self.long {
                        Some(long) if said == u64::from(u32::MAX) => long,
                        _ => said,
                    };
                    let open = said == 0 || said == u64::from(u32::MAX) && self.long.is_none();
                    let bytes = if open { there } else { said.min(there) };
                    self.at = self.behind(from, bytes);
                    let Some(mut form) = form else { return Ok(None) };
                    if form.is_padded() {
                        let middle = from + bytes / 2 / form.unit_bytes * form.unit_bytes;
                        form.place_in_four = place_in_four(&self.read(middle, PADDED_BYTES)?);
                        if form.place_in_four.is_none() {
                            return Ok(None);
                        }
                    }
                    return Ok(Some(Section { form, from, bytes }));
                }
                _ => {}
            }
            self.at = self.behind(from, said);
        }
        Ok(None)
    }

    fn behind(&self, from: u64, bytes: u64) -> u64 {
        let unit = if self.is_w64 { 8 } else { 2 };
        from.saturating_add(bytes).checked_next_multiple_of(unit).unwrap_or(u64::MAX).min(self.end)
    }
}

/// Sound found in a WAV.
pub enum Found {
    Samples(Wave),
    /// A file of frames inside.
    Frames(Box<dyn MediaSource>),
}

/// Finds the sound of a file, from where it begins; gives a file of another kind or form back.
///
/// # Errors
/// Fails where it can't be read.
pub fn open(
    mut source: Box<dyn MediaSource>,
) -> io::Result<std::result::Result<Found, Box<dyn MediaSource>>> {
    let end = source.seek(SeekFrom::End(0))?;
    let mut chunks = Chunks { source: &mut *source, end, at: 0, is_w64: false, long: None };
    chunks.at = chunks.behind_a_tag()?;
    let mut sections: Vec<Section> = Vec::new();
    while sections.len() < SECTIONS_MAX && chunks.enter()? {
        let Some(section) = chunks.sound()? else { break };
        if section.form.coding == Coding::Frames && sections.is_empty() {
            let Section { from, bytes, .. } = section;
            source.seek(SeekFrom::Start(from))?;
            return Ok(Ok(Found::Frames(Box::new(Window::new(source, from, bytes)))));
        }
        if section.form.unit_frames > 0 && section.frames() > 0 {
            sections.push(section);
        }
    }
    source.seek(SeekFrom::Start(0))?;
    if sections.is_empty() {
        return Ok(Err(source));
    }
    let mut wave = Wave {
        source,
        sections,
        now: 0,
        unit: 0,
        before: 0,
        track: Vec::new(),
        media: MediaInfo::default(),
        metadata: MetadataLog::default(),
    };
    wave.enter(0)?;
    Ok(Ok(Found::Samples(wave)))
}

/// The sound of a WAV, section by section.
pub struct Wave {
    source: Box<dyn MediaSource>,
    sections: Vec<Section>,
    /// The section that sounds, and the unit in it that is next.
    now: usize,
    unit: u64,
    /// Frames of the sections before, at the rate of this one.
    before: u64,
    track: Vec<Track>,
    media: MediaInfo,
    metadata: MetadataLog,
}

impl Wave {
    fn enter(&mut self, now: usize) -> io::Result<()> {
        let Section { form, from, .. } = self.sections[now];
        (self.now, self.unit) = (now, 0);
        self.before = self.sections[..now]
            .iter()
            .map(|section| section.frames() * u64::from(form.rate) / u64::from(section.form.rate.max(1)))
            .sum();
        self.source.seek(SeekFrom::Start(from))?;
        let mut parameters = AudioCodecParameters::new();
        if let Coding::Samples(codec) = form.coding {
            parameters.for_codec(codec);
        }
        let bits = u32::from(form.bits);
        parameters.with_sample_rate(form.rate).with_channels(Channels::Discrete(form.channels));
        if ![Coding::Samples(codecs::CODEC_ID_PCM_ALAW), Coding::Samples(codecs::CODEC_ID_PCM_MULAW)]
            .contains(&form.coding)
        {
            parameters.with_bits_per_sample(bits).with_bits_per_coded_sample(bits);
        }
        parameters.with_max_frames_per_packet(PACKET_FRAMES.max(form.unit_frames));
        parameters.with_frames_per_block(form.unit_frames);
        let mut track = Track::new(0);
        track.with_codec_params(CodecParameters::Audio(parameters));
        self.track = vec![track];
        Ok(())
    }

    fn units(&self) -> u64 {
        self.sections[self.now].bytes / self.sections[self.now].form.unit_bytes
    }
}

impl FormatReader for Wave {
    fn format_info(&self) -> &FormatInfo {
        &INFO
    }

    fn media_info(&self) -> &MediaInfo {
        &self.media
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.metadata.metadata()
    }

    fn tracks(&self) -> &[Track] {
        &self.track
    }

    fn seek(&mut self, _: SeekMode, to: SeekTo) -> Result<SeekedTo> {
        let SeekTo::Time { time, .. } = to else { return seek_error(SeekErrorKind::Unseekable) };
        let micros = time.as_micros().max(0) as u128;
        for now in 0..self.sections.len() {
            self.enter(now)?;
            let form = self.sections[now].form;
            let wanted = (micros * u128::from(form.rate) / 1_000_000) as u64;
            let inside = wanted.saturating_sub(self.before);
            if inside < self.sections[now].frames() || now + 1 == self.sections.len() {
                self.unit = (inside / form.unit_frames).min(self.units());
                break;
            }
        }
        let section = &self.sections[self.now];
        self.source.seek(SeekFrom::Start(section.from + self.unit * section.form.unit_bytes))?;
        let at = Timestamp::new((self.before + self.unit * section.form.unit_frames) as i64);
        Ok(SeekedTo { track_id: 0, required_ts: at, actual_ts: at })
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        let form = self.sections[self.now].form;
        let units = (PACKET_FRAMES / form.unit_frames).max(1).min(self.units() - self.unit);
        if units == 0 && self.now + 1 < self.sections.len() {
            self.enter(self.now + 1)?;
            return Err(Error::ResetRequired);
        }
        let mut data = Vec::new();
        (&mut self.source).take(units * form.unit_bytes).read_to_end(&mut data)?;
        let units = data.len() as u64 / form.unit_bytes;
        if units == 0 {
            return Ok(None);
        }
        data.truncate((units * form.unit_bytes) as usize);
        if let Some(at) = form.place_in_four {
            data = data.as_chunks::<4>().0.iter().flat_map(|it| [it[at], it[at + 1], it[at + 2]]).collect();
        }
        let pts = Timestamp::new((self.before + self.unit * form.unit_frames) as i64);
        self.unit += units;
        Ok(Some(Packet::new(0, pts, Duration::new(units * form.unit_frames), data)))
    }

    fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
    where
        Self: 's,
    {
        MediaSourceStream::new(self.source, Default::default())
    }
}
