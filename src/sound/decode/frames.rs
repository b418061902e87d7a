//! MPEG audio (layers I to III) and AAC in ADTS: a row of frames that each say their length, rate and channels.
//!
//! Such files can be joined by joining their bytes, so the form may change at any frame, with tags in between. What is
//! counted and what is cut off is what ffmpeg counts and cuts.

use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZero;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::errors::{Error, Result, SeekErrorKind, seek_error};
use symphonia::core::formats::well_known::FORMAT_ID_MP3;
use symphonia::core::formats::{FormatInfo, FormatReader, MediaInfo, SeekMode, SeekTo, SeekedTo, Track};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::{Metadata, MetadataLog};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase, Timestamp};

/// Ticks a second: a multiple of every rate that a frame can name.
const TICKS: u32 = 28_224_000;
/// Bytes read from a source at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes in which the first frame must begin, behind tags.
const SEARCHED_BYTES_MAX: usize = 64 << 10;
/// Frames alike in a row, each where the one before ends, after which a source is believed to be made of frames.
const ALIKE_MIN: usize = 3;
/// Bytes of a header, with the length that ADTS writes.
const HEADER: usize = 7;
/// Samples by which a decoder of layer III is late (LAME's tag counts without them).
const DECODER_DELAY: u64 = 529;
/// Bytes of an ID3v2 header, of an APE tag's header, and of an ID3v1 tag.
const ID3_HEADER: usize = 10;
const APE_HEADER: usize = 32;
const ID3V1: usize = 128;

static INFO: FormatInfo =
    FormatInfo { format: FORMAT_ID_MP3, short_name: "frames", long_name: "frames of MPEG audio" };

/// A header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    form: Form,
    /// Bytes of the whole frame.
    bytes: usize,
    /// Bytes that the decoder does not want.
    skipped: usize,
    samples: u32,
}

/// The part of a header that may not change under a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    codec: AudioCodecId,
    rate: u32,
    channels: u16,
}

impl Head {
    /// Reads a header where there is one.
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        match bytes[1] >> 1 & 3 {
            _ if bytes[0] != 0xff || bytes[1] & 0xe0 != 0xe0 => None,
            0 => Self::of_adts(bytes),
            layer => Self::of_mpeg(bytes, 4 - layer),
        }
    }

    /// ISO/IEC 11172-3, 2.4.2.3, and 13818-3 for the lower rates.
    fn of_mpeg(bytes: &[u8; HEADER], layer: u8) -> Option<Self> {
        const KBITS: [[u32; 14]; 5] = [
            [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let (version, kbits, rate) = (bytes[1] >> 3 & 3, bytes[2] >> 4, bytes[2] >> 2 & 3);
        let padding = usize::from(bytes[2] >> 1 & 1);
        let halved = match version {
            3 => 0,
            2 => 1,
            0 => 2,
            _ => return None,
        };
        let rate = [44_100, 48_000, 32_000].get(usize::from(rate))? >> halved;
        let table = match (halved, layer) {
            (0, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let bits = 1_000 * KBITS[table].get(usize::from(kbits).checked_sub(1)?)?;
        let (codec, samples, bytes_long) = match layer {
            1 => (CODEC_ID_MP1, 384, ((12 * bits / rate) as usize + padding) * 4),
            2 => (CODEC_ID_MP2, 1_152, (144 * bits / rate) as usize + padding),
            _ if halved == 0 => (CODEC_ID_MP3, 1_152, (144 * bits / rate) as usize + padding),
            _ => (CODEC_ID_MP3, 576, (72 * bits / rate) as usize + padding),
        };
        let channels = if bytes[3] >> 6 == 3 { 1 } else { 2 };
        Some(Self { form: Form { codec, rate, channels }, bytes: bytes_long, skipped: 0, samples })
    }

    /// ISO/IEC 14496-3, 1.A.2.
    fn of_adts(bytes: &[u8; HEADER]) -> Option<Self> {
        const RATES: [u32; 13] = [
            96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
            7_350,
        ];
        if bytes[1] & 0xf0 != 0xf0 {
            return None;
        }
        let length =
            usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5]) >> 5;
        let rate = *RATES.get(usize::from(bytes[2] >> 2 & 15))?;
        let channels = u16::from(bytes[2] & 1) << 2 | u16::from(bytes[3] >> 6);
        let skipped = if bytes[1] & 1 == 1 { HEADER } else { HEADER + 2 };
        let samples = 1_024 * (u32::from(bytes[6] & 3) + 1);
        let form = Form { codec: CODEC_ID_AAC, rate, channels };
        (length > skipped).then_some(Self { form, bytes: length, skipped, samples })
    }

    fn ticks(&self) -> u64 {
        u64::from(self.samples) * u64::from(TICKS / self.form.rate)
    }
}

/// A source of which some bytes are held and can be looked at.
struct Held {
    source: Box<dyn MediaSource>,
    bytes: Vec<u8>,
    /// Bytes of `bytes` that are done with.
    done: usize,
    ended: bool,
}

impl Held {
    /// Returns at least so many bytes, fewer at the end.
    fn look(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.bytes.len() - self.done < count && !self.ended {
            if self.done > 0 {
                self.bytes.drain(..self.done);
                self.done = 0;
            }
            let from = self.bytes.len();
            self.bytes.resize(from + PIECE_BYTES.max(count - from), 0);
            let read = loop {
                match self.source.read(&mut self.bytes[from..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.bytes.truncate(from + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(&self.bytes[self.done..])
    }

    /// Passes over bytes, held or not.
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let here = self.look(1)?.len() as u64;
            if here == 0 {
                break;
            }
            let now = here.min(count);
            self.done += now as usize;
            count -= now;
        }
        Ok(())
    }

    /// Passes over a tag where one begins here; says whether there was one.
    fn skip_tag(&mut self) -> io::Result<bool> {
        let bytes = match tag_bytes(self.look(APE_HEADER)?) {
            Some(bytes) => bytes,
            None => return Ok(false),
        };
        self.skip(bytes)?;
        Ok(true)
    }

    fn restart(&mut self, at: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(at))?;
        self.bytes.clear();
        (self.done, self.ended) = (0, false);
        Ok(())
    }
}

/// Returns the length of a tag that begins here.
fn tag_bytes(bytes: &[u8]) -> Option<u64> {
    if bytes.starts_with(b"TAG") {
        return Some(ID3V1 as u64);
    }
    if bytes.starts_with(b"APETAGEX") && bytes.len() >= APE_HEADER {
        let size = u32::from_le_bytes(*bytes[12..].first_chunk()?);
        let is_header = bytes[23] & 0x20 != 0;
        return Some(if is_header { u64::from(size) } else { 0 } + APE_HEADER as u64);
    }
    let header: &[u8; ID3_HEADER] = bytes.first_chunk()?;
    let is_id3 =
        header.starts_with(b"ID3") && header[3] != 0xff && header[6..].iter().all(|byte| *byte < 0x80);
    let size = header[6..].iter().fold(0, |size, byte| size << 7 | u64::from(*byte));
    let footer = if header[5] & 0x10 != 0 { ID3_HEADER as u64 } else { 0 };
    is_id3.then_some(size + ID3_HEADER as u64 + footer)
}

/// The tag in which an encoder of layer III says how much it put in front and behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Encoder {
    /// Samples in front that are not of the sound.
    lead: u64,
    /// The first sample behind the sound, and the first one after that which is kept again.
    tail: Option<(u64, u64)>,
}

impl Encoder {
    /// Reads a frame; `None` where it is sound, not a tag. `rest`: bytes of the file from there on, where they are known.
    fn read(frame: &[u8], head: &Head, rest: Option<u64>) -> Option<Self> {
        if head.form.codec != CODEC_ID_MP3 {
            return None;
        }
        if frame.get(36..40) == Some(b"VBRI") {
            return Some(Self::default());
        }
        let side = match (head.samples, head.form.channels) {
            (1_152, 1) | (576, 2) => 17,
            (1_152, _) => 32,
            _ => 9,
        };
        let tag = frame.get(4 + side..)?;
        if !tag.starts_with(b"Xing") && !tag.starts_with(b"Info") {
            return None;
        }
        let flags = *tag.get(7)?;
        let field = |bit: u8, bytes: usize| if flags & bit != 0 { bytes } else { 0 };
        let frames = tag.get(8..12).filter(|_| flags & 1 != 0).and_then(|bytes| bytes.first_chunk());
        let frames = frames.map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)));
        let size =
            tag.get(8 + field(1, 4)..).filter(|_| flags & 2 != 0).and_then(|bytes| bytes.first_chunk());
        let size = size.map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)));
        // Another file was joined behind the one that the tag is of.
        let is_joined = size > 0 && rest.is_some_and(|rest| rest > size && rest - size > size / 16);
        let frames = if is_joined { 0 } else { frames };
        let at = 8 + field(1, 4) + field(2, 4) + field(4, 100) + field(8, 4);
        let name = tag.get(at..at + 4)?;
        if ![&b"LAME"[..], b"Lavf", b"Lavc"].contains(&name) {
            return Some(Self::default());
        }
        let [a, b, c] = *tag.get(at + 21..)?.first_chunk()?;
        let (lead, padding) = (u64::from(a) << 4 | u64::from(b) >> 4, u64::from(b & 15) << 8 | u64::from(c));
        let end = frames * u64::from(head.samples);
        let tail = (padding > DECODER_DELAY && end > padding).then(|| (end + DECODER_DELAY - padding, end));
        Some(Self { lead: lead + DECODER_DELAY, tail })
    }
}

/// The frames of a source.
pub struct Frames {
    held: Held,
    /// Byte at which the first frame begins; `None` where the source can't go back.
    begin: Option<u64>,
    encoder: Encoder,
    /// The form of the frames now; a frame of another one is held back until the decoder was changed.
    form: Option<Form>,
    /// Something that is no frame stands before the next one.
    strange: bool,
    /// Ticks of all frames so far, and of what was left of them.
    passed: u64,
    given: u64,
    track: Vec<Track>,
    media: MediaInfo,
    metadata: MetadataLog,
}

impl Frames {
    /// Finds the first frame of a source that is made of frames; gives any other source back, as it was.
    ///
    /// `trims`: what encoders put in front and behind is cut off, where the first frame says so.
    ///
    /// # Errors
    /// Fails where the source can't be read.
    pub fn open(
        source: Box<dyn MediaSource>,
        trims: bool,
    ) -> io::Result<std::result::Result<Self, Box<dyn MediaSource>>> {
        let can_seek = source.is_seekable();
        let mut held = Held { source, bytes: Vec::new(), done: 0, ended: false };
        let mut begin = 0;
        let mut is_plain = true;
        if can_seek {
            while let Some(bytes) = tag_bytes(held.look(APE_HEADER)?).filter(|_| begin < u64::MAX / 2) {
                is_plain &= held.look(3)?.starts_with(b"ID3");
                begin += bytes;
                held.restart(begin)?;
            }
        } else {
            while held.bytes.len() < SEARCHED_BYTES_MAX
                && !is_something_else(held.look(HEADER)?)
                && held.skip_tag()?
            {}
        }
        let Some(at) = first_frame(&mut held)? else {
            return Ok(Err(if can_seek {
                held.restart(0)?;
                held.source
            } else {
                held.into_rest()
            }));
        };
        held.skip(at as u64)?;
        let begin = can_seek.then_some(begin + at as u64);
        let mut frames = Self {
            held,
            begin,
            encoder: Encoder::default(),
            form: None,
            strange: false,
            passed: 0,
            given: 0,
            track: Vec::new(),
            media: MediaInfo::default(),
            metadata: MetadataLog::default(),
        };
        // As ffmpeg does, an encoder's tag is believed in the first frame of a file, behind nothing but ID3.
        let is_first = is_plain && at == 0;
        if trims && !is_first {
            frames.skip_unlike()?;
        }
        frames.begin_sound(trims && is_first)?;
        Ok(Ok(frames))
    }

    /// Passes over a first frame whose header is unlike that of the next one, as those of encoders' tags are.
    fn skip_unlike(&mut self) -> io::Result<()> {
        let Some(head) = Head::read(self.held.look(HEADER)?) else { return Ok(()) };
        let bytes = self.held.look(head.bytes + HEADER)?;
        let fixed = |at: usize| {
            Some([bytes.get(at + 1)? & 0xfe, bytes.get(at + 2)? & 0x0c, bytes.get(at + 3)? & 0xcf])
        };
        let is_unlike = fixed(head.bytes).is_some_and(|next| Some(next) != fixed(0));
        if is_unlike && head.form.codec != CODEC_ID_AAC {
            self.held.skip(head.bytes as u64)?;
            self.begin = self.begin.map(|at| at + head.bytes as u64);
        }
        Ok(())
    }

    /// Takes the form of the first frame; passes over that frame where it is only a tag.
    fn begin_sound(&mut self, trims: bool) -> io::Result<()> {
        let Some(head) = Head::read(self.held.look(HEADER)?) else { return Ok(()) };
        self.take_form(head.form);
        let rest = self.held.source.byte_len().zip(self.begin).map(|(end, begin)| end.saturating_sub(begin));
        let frame = self.held.look(head.bytes)?;
        let tag = Encoder::read(&frame[..frame.len().min(head.bytes)], &head, rest);
        if let Some(encoder) = tag.filter(|_| trims) {
            let ticks = u64::from(TICKS / head.form.rate);
            let tail = encoder.tail.map(|(from, to)| (from * ticks, to * ticks));
            self.encoder = Encoder { lead: encoder.lead * ticks, tail };
            self.held.skip(head.bytes as u64)?;
            self.begin = self.begin.map(|at| at + head.bytes as u64);
        }
        Ok(())
    }

    fn take_form(&mut self, form: Form) {
        self.form = Some(form);
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(form.codec).with_sample_rate(form.rate);
        if form.channels > 0 {
            let channels = if form.channels == 7 { 8 } else { form.channels };
            parameters.with_channels(Channels::Discrete(channels));
        }
        let mut track = Track::new(0);
        if let Some(ticks) = NonZero::new(TICKS) {
            track.with_time_base(TimeBase::new(NonZero::<u32>::MIN, ticks));
        }
        track.with_codec_params(CodecParameters::Audio(parameters));
        self.track = vec![track];
    }

    /// Finds the next frame, and notes where something that is no frame stands before it.
    fn find(&mut self) -> io::Result<Option<Head>> {
        loop {
            let bytes = self.held.look(HEADER)?;
            let Some(first) = bytes.first().copied() else { return Ok(None) };
            if let Some(head) = Head::read(bytes)
                && (self.form == Some(head.form) && !self.strange || self.is_believed(&head)?)
            {
                return Ok(Some(head));
            }
            if self.held.skip_tag()? {
                self.strange = true;
                continue;
            }
            self.strange |= first != 0;
            self.held.done += 1;
        }
    }

    /// Tells whether a frame is followed by one of its form, or by nothing.
    fn is_believed(&mut self, head: &Head) -> io::Result<bool> {
        let bytes = self.held.look(head.bytes + HEADER)?;
        Ok(match bytes.get(head.bytes..) {
            Some(after) if after.len() >= HEADER => {
                Head::read(after).is_some_and(|next| next.form == head.form) || tag_bytes(after).is_some()
            }
            Some(_) => true,
            None => false,
        })
    }

    /// Takes the next frame's bytes, `None` at the end. Where the form changes, the frame stays.
    fn take(&mut self) -> Result<Option<(Head, u64, &[u8])>> {
        loop {
            let Some(head) = self.find()? else { return Ok(None) };
            if self.form != Some(head.form) {
                self.take_form(head.form);
                return Err(Error::ResetRequired);
            }
            let here = self.held.look(head.bytes)?.len();
            let is_mpeg = head.form.codec != CODEC_ID_AAC;
            // ffmpeg's decoder loses a frame behind what is none, and finishes the last one of MPEG where it was cut off.
            let is_lost = std::mem::take(&mut self.strange) && is_mpeg && self.begin.is_some();
            if is_lost || here < head.bytes && !is_mpeg {
                self.held.done += here.min(head.bytes);
                continue;
            }
            if here < head.bytes {
                self.held.bytes.resize(self.held.done + head.bytes, 0);
            }
            let from = self.held.done;
            self.held.done += head.bytes;
            let at = self.passed;
            self.passed += head.ticks();
            return Ok(Some((head, at, &self.held.bytes[from..from + head.bytes])));
        }
    }

    /// Ticks to be cut off a frame that begins at `at`.
    fn cut(encoder: &Encoder, at: u64, ticks: u64) -> (u64, u64) {
        let end = at + ticks;
        let behind =
            encoder.tail.filter(|(from, to)| end >= *from && at < *to).map_or(0, |(from, _)| end - from);
        let before = encoder.lead.saturating_sub(at).min(ticks);
        (before, behind.min(ticks - before))
    }
}

impl FormatReader for Frames {
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
        let Some(begin) = self.begin else { return seek_error(SeekErrorKind::Unseekable) };
        let wanted = match to {
            SeekTo::Time { time, .. } => {
                (time.as_micros().max(0) as u128 * u128::from(TICKS) / 1_000_000) as u64
            }
            SeekTo::Timestamp { ts, .. } => ts.get().max(0) as u64,
        };
        self.held.restart(begin)?;
        (self.form, self.strange, self.passed, self.given) = (None, false, 0, 0);
        let encoder = self.encoder;
        loop {
            let (head, at) = match self.take() {
                Ok(Some((head, at, _))) => (head, at),
                Ok(None) => break,
                Err(Error::ResetRequired) => continue,
                Err(error) => return Err(error),
            };
            let (before, behind) = Self::cut(&encoder, at, head.ticks());
            let left = head.ticks() - before - behind;
            if self.given + left > wanted {
                self.held.done -= head.bytes;
                self.passed = at;
                break;
            }
            self.given += left;
        }
        let at = Timestamp::new(self.given as i64);
        Ok(SeekedTo { track_id: 0, required_ts: Timestamp::new(wanted as i64), actual_ts: at })
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        let encoder = self.encoder;
        let Some((head, at, bytes)) = self.take()? else { return Ok(None) };
        let (before, behind) = Self::cut(&encoder, at, head.ticks());
        let data: Box<[u8]> = bytes[head.skipped..].into();
        let pts = Timestamp::new(self.given as i64);
        let left = head.ticks() - before - behind;
        self.given += left;
        let mut packet = Packet::new(0, pts, Duration::new(left), data);
        (packet.trim_start, packet.trim_end) = (Duration::new(before), Duration::new(behind));
        Ok(Some(packet))
    }

    fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
    where
        Self: 's,
    {
        MediaSourceStream::new(self.held.into_rest(), Default::default())
    }
}

impl Held {
    /// Turns what was not done with into a source that can't go back.
    fn into_rest(mut self) -> Box<dyn MediaSource> {
        self.bytes.drain(..self.done);
        Box::new(ReadOnlySource::new(io::Cursor::new(self.bytes).chain(self.source)))
    }
}

/// Tells by the first bytes that a source is in one of the containers.
fn is_something_else(bytes: &[u8]) -> bool {
    const OTHERS: [&[u8]; 9] =
        [b"RIFF", b"OggS", b"fLaC", b"FORM", b"caff", b"\x1a\x45\xdf\xa3", b"RF64", b"BW64", b"riff"];
    OTHERS.iter().any(|magic| bytes.starts_with(magic))
        || bytes
            .get(4..7)
            .is_some_and(|it| [b"fty", b"sty", b"moo"].contains(&it.first_chunk().unwrap_or(b"   ")))
}

/// Finds the first of some frames in a row, as a distance from here.
fn first_frame(held: &mut Held) -> io::Result<Option<usize>> {
    if is_something_else(held.look(HEADER)?) {
        return Ok(None);
    }
    for at in 0..SEARCHED_BYTES_MAX {
        let bytes = held.look(at + HEADER)?;
        let Some(head) = bytes.get(at..).and_then(Head::read) else {
            if bytes.len() < at + HEADER {
                return Ok(None);
            }
            continue;
        };
        let (mut next, mut alike) = (at + head.bytes, 1);
        while alike < ALIKE_MIN {
            let bytes = held.look(next + APE_HEADER)?;
            let after = bytes.get(next..).unwrap_or_default();
            match Head::read(after) {
                Some(other) if other.form == head.form => next += other.bytes,
                // The last frame, or the last before a tag.
                _ if after.len() < HEADER && next <= bytes.len() || tag_bytes(after).is_some() => {
                    return Ok((at == 0 || alike > 1).then_some(at));
                }
                _ => break,
            }
            alike += 1;
        }
        if alike == ALIKE_MIN {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
