//! A file or a stream being decoded, block by block.

use std::fs::File;
use std::path::{Path, PathBuf};

use symphonia::core::audio::{Audio, GenericAudioBufferRef};
use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::errors::Error;
use symphonia::core::formats::well_known as formats;
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo};
use symphonia::core::io::MediaSource;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Time, TimeBase, Timestamp};

use super::edits::Shown;
use super::fault::{contained, damaged, unread};
use super::frames::Frames;
use super::joined;
use super::mended::mended;
use super::resample::RATES;
use super::tally::{Measured, Tally};
use super::track::{Track, span};
use super::wave::{self, Found};
use crate::Frame;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// Damaged packets in a row after which a file is given up.
const DAMAGED_IN_ROW_MAX: u32 = 200;
/// Damaged packets in a row after which a stream is looked at anew: it may have changed its rate.
const DAMAGED_IN_STREAM_MAX: u32 = 3;
/// Longest silence put in the place of one damaged packet, in seconds of its time base.
const PACKET_SECONDS_MAX: u64 = 1;
/// Decoded ahead of a seek target, so that codecs with a memory of the past sound right at the target.
const SEEK_RUN_UP: Span = Span::millis(150);
/// Most by which the last time in a file may differ from its length.
const INDEX_ERROR_MAX: Span = Span::millis(200);
/// Largest sample let through before the limiter; damaged files decode to anything.
pub const SAMPLE_MAX: f32 = 8.0;
/// Frames of a packet of AAC.
const AAC_FRAMES: u64 = 1_024;
/// A file being decoded.
pub struct Decoder {
    what: String,
    path: Option<PathBuf>,
    format: Box<dyn FormatReader>,
    track: Track,
    /// The reader's packets say exactly what is cut off, and are cut here.
    exact: bool,
    length: Option<Span>,
    rate: u32,
    channels: u16,
    interleaved: Vec<f32>,
    block: Vec<Frame>,
    first_is_waiting: bool,
    /// Part that is dropped, after a seek and at the beginning.
    drop: Drop,
    /// Place at which the sound ends before its packets do, and what was given so far.
    end: Option<Span>,
    given: Tally,
    shown: Option<Shown>,
    /// Blocks only have their lengths.
    counts: bool,
    /// Times in the file do not tell the place: parts of it begin them anew, or they are wrong.
    times_lie: bool,
    damaged_packets: u32,
    damaged_in_row: u32,
    damaged_in_row_max: u32,
}

/// Part that is dropped of the packets that come.
enum Drop {
    Nothing,
    /// All before this place, in the time of the packets.
    Before(Span),
    /// So much of what is decoded.
    Count(Tally, Span),
}

impl Decoder {
    /// Begins with a file.
    pub fn of_file(path: &Path, file: File, shown: Option<Shown>, counts: bool) -> Result<Self, Fault> {
        let what = path.display().to_string();
        let decoder = Self::of_source(Box::new(file), what, shown, counts)?;
        Ok(Self { path: Some(path.to_owned()), ..decoder })
    }

    fn of_source(
        source: Box<dyn MediaSource>,
        what: String,
        shown: Option<Shown>,
        counts: bool,
    ) -> Result<Self, Fault> {
        let source = match wave::open(source).map_err(|error| unread(&what, &error))? {
            Ok(Found::Samples(reader)) => {
                return Self::of_reader(Box::new(reader), true, what, shown, counts);
            }
            Ok(Found::Frames(inside)) => {
                match Frames::open(inside, false).map_err(|error| unread(&what, &error))? {
                    Ok(frames) => return Self::of_reader(Box::new(frames), true, what, shown, counts),
                    Err(_) => return Err(damaged(&what, said!("decode.no_sound"))),
                }
            }
            Err(source) => source,
        };
        match Frames::open(source, true).map_err(|error| unread(&what, &error))? {
            Ok(frames) => Self::of_reader(Box::new(frames), true, what, shown, counts),
            Err(source) => Self::of_container(source, what, shown, counts),
        }
    }

    /// Begins with a stream, from wherever it is entered.
    pub fn of_stream(source: Box<dyn MediaSource>, what: String) -> Result<Self, Fault> {
        let decoder = match Frames::open(source, false).map_err(|error| unread(&what, &error))? {
            Ok(frames) => Self::of_reader(Box::new(frames), true, what, None, false)?,
            Err(source) => Self::of_container(source, what, None, false)?,
        };
        Ok(Self { damaged_in_row_max: DAMAGED_IN_STREAM_MAX, length: None, ..decoder })
    }

    fn of_container(
        source: Box<dyn MediaSource>,
        what: String,
        shown: Option<Shown>,
        counts: bool,
    ) -> Result<Self, Fault> {
        let source = mended(source).map_err(|error| unread(&what, &error))?;
        let format = contained(&what, || {
            joined::open(source).map_err(|error| {
                tracing::debug!(what, %error, "no reader");
                damaged(&what, said!("decode.no_audio"))
            })
        })?;
        Self::of_reader(format, false, what, shown, counts)
    }

    fn of_reader(
        format: Box<dyn FormatReader>,
        exact: bool,
        what: String,
        shown: Option<Shown>,
        counts: bool,
    ) -> Result<Self, Fault> {
        let (track, length) = contained(&what, || Track::choose(&*format, !exact, shown, &what))?;
        let mut decoder = Self {
            what,
            path: None,
            format,
            track,
            exact,
            length,
            rate: 0,
            channels: 0,
            interleaved: Vec::new(),
            block: Vec::new(),
            first_is_waiting: false,
            drop: Drop::Nothing,
            end: None,
            given: Tally::default(),
            shown,
            counts,
            times_lie: false,
            damaged_packets: 0,
            damaged_in_row: 0,
            damaged_in_row_max: DAMAGED_IN_ROW_MAX,
        };
        decoder.drop = decoder.drop_at_first();
        Ok(decoder)
    }

    /// Says what is dropped where the sound begins.
    fn drop_at_first(&self) -> Drop {
        if self.track.pre_skip > 0 {
            let lead = self.track.pre_skip();
            return Drop::Count(Tally::default(), lead);
        }
        match self.shown {
            Some(shown) if shown.from > 0 => Drop::Before(span(shown.from, self.track.time_base)),
            _ => Drop::Nothing,
        }
    }

    /// Decodes the first good packet.
    pub fn begun(mut self) -> Result<Self, Fault> {
        self.decode_packet()?;
        if self.block.is_empty() || self.damaged_in_row > 0 && !self.has_a_good_packet()? {
            return Err(damaged(&self.what, said!("decode.nothing")));
        }
        self.first_is_waiting = true;
        Ok(self)
    }

    /// Looks ahead in a file whose first packets are damaged, for one that is not: silence alone would sound of it.
    fn has_a_good_packet(&self) -> Result<bool, Fault> {
        let Some(path) = &self.path else { return Ok(true) };
        let file = File::open(path).map_err(|error| unread(&self.what, &error))?;
        let mut scout = Self::of_file(path, file, self.shown, false)?;
        for _ in 0..=DAMAGED_IN_ROW_MAX {
            scout.decode_packet()?;
            if scout.block.is_empty() || scout.damaged_in_row == 0 {
                break;
            }
        }
        Ok(!scout.block.is_empty() && scout.damaged_in_row == 0)
    }

    /// Tells whether decoding stopped because this decoder can't go on, not because the sound ended.
    pub fn is_stuck(&self) -> bool {
        self.damaged_in_row >= self.damaged_in_row_max
    }

    /// Looks at the rest of a stream as if it were new.
    ///
    /// # Errors
    /// Fails as [`super::open_stream`] does.
    pub fn begin_anew(self) -> Result<Self, Fault> {
        Self::of_stream(Box::new(self.format.into_inner()), self.what)?.begun()
    }

    /// The path, for messages.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Frames a second of the last block.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels of the last block.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// The codec of the last block.
    pub fn codec(&self) -> AudioCodecId {
        self.track.codec_id
    }

    /// The length, as it was counted; `None` where it can't be known.
    pub fn length(&self) -> Option<Span> {
        self.length
    }

    /// Takes what was measured of the whole file.
    pub fn take_length(&mut self, measured: Measured) {
        let Measured { length, times_lie, is_cut } = measured;
        (self.length, self.times_lie, self.end) = (length, times_lie, length.filter(|_| is_cut));
    }

    /// Tells whether times in the file do not tell the place, by what was decoded so far and by the whole length.
    pub fn times_lie(&self, length: Span) -> bool {
        let is_ogg = self.format.format_info().format == formats::FORMAT_ID_OGG;
        let differs = |index: Span| index.0.abs_diff(length.0) > INDEX_ERROR_MAX.0;
        self.times_lie || is_ogg && self.length.is_some_and(differs)
    }

    /// Tells whether the container is Matroska or WebM.
    pub fn is_matroska(&self) -> bool {
        self.format.format_info().format == formats::FORMAT_ID_MKV
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
        let what = self.what.clone();
        contained(&what, || self.seek_to(to))
    }

    fn seek_to(&mut self, to: Span) -> Result<(), Fault> {
        self.first_is_waiting = false;
        self.given = Tally::from(to);
        if let Some(path) = self.path.clone().filter(|_| self.times_lie) {
            return self.seek_from_begin(&path, to);
        }
        let lead = self.shown.map_or(0, |shown| shown.from) + self.track.lead;
        let target = to + span(lead, self.track.time_base);
        let early = target.saturating_sub(SEEK_RUN_UP);
        let place = if self.exact {
            SeekTo::Time { time: Time::from_micros_u64(early.0), track_id: Some(self.track.id) }
        } else {
            SeekTo::Timestamp {
                ts: Timestamp::new(ticks_in(early, self.track.time_base)),
                track_id: self.track.id,
            }
        };
        match self.format.seek(SeekMode::Accurate, place) {
            Ok(_) => {}
            // Past a wrongly guessed end, or no index: decode and drop from where the file stands.
            Err(Error::SeekError(_)) => {}
            Err(error) => return Err(self.unreadable(&error)),
        }
        if self.exact {
            self.track = Track::choose(&*self.format, false, self.shown, &self.what)?.0;
        }
        self.track.codec.reset();
        self.drop = Drop::Before(target);
        Ok(())
    }

    /// Decodes from the first packet, where times begin anew within the file.
    fn seek_from_begin(&mut self, path: &Path, to: Span) -> Result<(), Fault> {
        let file = File::open(path).map_err(|error| unread(&self.what, &error))?;
        let fresh = Self::of_file(path, file, self.shown, false)?;
        let drop = Drop::Count(Tally::default(), fresh.track.pre_skip() + to);
        let Self { length, end, given, rate, .. } = *self;
        *self = Self { length, end, given, rate, times_lie: true, drop, ..fresh };
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
        if let Some(end) = self.end {
            self.given.add(0, self.rate);
            self.block.truncate(usize::try_from(self.given.missing(end)).unwrap_or(usize::MAX));
            self.given.add(self.block.len() as u64, self.rate);
        }
        Ok(!self.block.is_empty())
    }

    /// Returns the block that was decoded last, at [`Self::rate`].
    pub fn block(&self) -> &[Frame] {
        &self.block
    }

    fn unreadable(&self, error: &Error) -> Fault {
        match error {
            Error::IoError(error) => unread(&self.what, error),
            error => {
                tracing::debug!(what = self.what, %error, "can't be read on");
                damaged(&self.what, said!("decode.broken"))
            }
        }
    }

    fn decode_packet(&mut self) -> Result<(), Fault> {
        let what = self.what.clone();
        contained(&what, || self.fill_block())
    }

    /// Fills `block` from the next packet that yields frames; leaves it empty at the end.
    fn fill_block(&mut self) -> Result<(), Fault> {
        if !self.counts {
            self.block.clear();
        }
        while self.damaged_in_row < self.damaged_in_row_max {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(Error::ResetRequired) => {
                    self.track = Track::choose(&*self.format, !self.exact, self.shown, &self.what)?.0;
                    self.times_lie |= !self.exact;
                    if self.counts {
                        // The rate shows in what is decoded first.
                        self.rate = 0;
                    }
                    if self.track.pre_skip > 0 {
                        self.drop = self.drop_of_link();
                    }
                    self.damaged_in_row += 1;
                    continue;
                }
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(Error::IoError(error)) => return Err(unread(&self.what, &error)),
                Err(_) => {
                    self.damaged_packets += 1;
                    self.damaged_in_row += 1;
                    continue;
                }
            };
            if packet.track_id != self.track.id {
                continue;
            }
            // Sound that comes late in a film: its places are not its times.
            let begins = span(packet.pts.get().max(0) as u64, self.track.time_base);
            self.times_lie |= self.rate == 0 && self.is_matroska() && begins > INDEX_ERROR_MAX;
            let is_hidden =
                self.shown.and_then(|shown| shown.to).is_some_and(|to| packet.pts.get() >= to as i64);
            if is_hidden {
                break;
            }
            self.damaged_in_row = if self.take_packet(&packet)? { 0 } else { self.damaged_in_row + 1 };
            if !self.block.is_empty() {
                return Ok(());
            }
        }
        self.block.clear();
        Ok(())
    }

    /// Says what is dropped at the beginning of a link of a chain: the rest of what was to be dropped, and what its encoder
    /// put in front.
    fn drop_of_link(&mut self) -> Drop {
        let lead = self.track.pre_skip();
        match std::mem::replace(&mut self.drop, Drop::Nothing) {
            Drop::Count(tally, to) => Drop::Count(tally, to + lead),
            _ => Drop::Count(Tally::default(), lead),
        }
    }

    /// Decodes one packet into `block`; `false` where it was damaged and, if anything, silence stands for it.
    fn take_packet(&mut self, packet: &Packet) -> Result<bool, Fault> {
        if let Some(frames) = self.counted(packet) {
            self.block.resize(usize::try_from(frames).unwrap_or(usize::MAX).min(1 << 20), [0.0; 2]);
            self.cut(packet);
            return Ok(true);
        }
        self.block.clear();
        let good = match self.track.codec.decode(packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let rate = spec.rate();
                if !RATES.contains(&rate) || spec.channels().count() == 0 {
                    return Err(damaged(&self.what, said!("resample.rate", hz = rate)));
                }
                self.rate = rate;
                self.channels = spec.channels().count().min(usize::from(u16::MAX)) as u16;
                if let Some((left, right)) = sides(&buffer) {
                    self.block.extend(left.iter().zip(right).map(|(left, right)| [*left, *right]));
                } else {
                    self.interleaved.resize(buffer.samples_interleaved(), 0.0);
                    buffer.copy_to_slice_interleaved(&mut self.interleaved);
                    to_stereo(&self.interleaved, usize::from(self.channels), &mut self.block);
                }
                if self.track.gain != 1.0 {
                    self.block.as_flattened_mut().iter_mut().for_each(|sample| *sample *= self.track.gain);
                }
                make_clean(&mut self.block);
                true
            }
            Err(Error::DecodeError(_) | Error::IoError(_) | Error::ResetRequired) => {
                self.damaged_packets += 1;
                self.track.codec.reset();
                let ticks = if self.exact { packet.block_dur() } else { packet.dur };
                let ticks = ticks
                    .get()
                    .min(PACKET_SECONDS_MAX.saturating_mul(u64::from(self.track.time_base.denom.get())));
                if self.rate == 0 && self.exact {
                    self.rate = self.track_rate();
                }
                let frames = self.frames(ticks).min(PACKET_SECONDS_MAX * u64::from(self.rate));
                self.block.resize(frames as usize, [0.0; 2]);
                false
            }
            Err(error) => return Err(self.unreadable(&error)),
        };
        self.cut(packet);
        Ok(good)
    }

    /// The rate that the track names.
    fn track_rate(&self) -> u32 {
        let named = self.track.codec.codec_params().sample_rate.unwrap_or(0);
        if RATES.contains(&named) { named } else { 0 }
    }

    /// Frames that a packet decodes to, where this is to be known without decoding, and can be.
    fn counted(&mut self, packet: &Packet) -> Option<u64> {
        if !self.counts || self.rate == 0 {
            return None;
        }
        if self.exact {
            self.rate = self.track_rate();
            return (self.rate > 0).then(|| self.frames(packet.block_dur().get()));
        }
        let format = self.format.format_info().format;
        let says = [formats::FORMAT_ID_FLAC, formats::FORMAT_ID_OGG].contains(&format);
        match self.track.codec_id {
            codecs::CODEC_ID_AAC if format == formats::FORMAT_ID_ISOMP4 => Some(AAC_FRAMES),
            codecs::CODEC_ID_FLAC | codecs::CODEC_ID_VORBIS | codecs::CODEC_ID_OPUS if says => {
                Some(self.frames(packet.dur.get()))
            }
            _ => None,
        }
    }

    /// Cuts off what is not to be heard of the block.
    fn cut(&mut self, packet: &Packet) {
        if self.exact {
            let (before, behind) = (self.frames(packet.trim_start.get()), self.frames(packet.trim_end.get()));
            self.block.truncate(self.block.len().saturating_sub(behind as usize));
            self.block.drain(..(before as usize).min(self.block.len()));
        }
        let here = self.block.len() as u64;
        let dropped = match &mut self.drop {
            Drop::Nothing => return,
            Drop::Before(wanted) => {
                let wanted = ticks_in(*wanted, self.track.time_base);
                let lead = if self.exact { 0 } else { packet.trim_start.get() };
                let start = packet.pts.get().saturating_add_unsigned(lead);
                let missing = wanted.saturating_sub(start).max(0) as u64;
                frames_nearest(missing, self.track.time_base, self.rate)
            }
            Drop::Count(tally, until) => {
                tally.add(0, self.rate);
                let dropped = tally.missing(*until).min(here);
                tally.add(dropped, self.rate);
                dropped
            }
        };
        if dropped < here {
            self.drop = Drop::Nothing;
        }
        self.block.drain(..(dropped.min(here)) as usize);
    }

    /// Ticks of the time base in frames of the decoded rate.
    fn frames(&self, ticks: u64) -> u64 {
        let (numer, denom) = (self.track.time_base.numer.get(), self.track.time_base.denom.get());
        let frames = u128::from(ticks) * u128::from(numer) * u128::from(self.rate) / u128::from(denom);
        u64::try_from(frames).unwrap_or(u64::MAX)
    }
}

/// Ticks in a time, rounded to the nearest.
fn ticks_in(at: Span, time_base: TimeBase) -> i64 {
    let unit = u128::from(time_base.numer.get()) * 1_000_000;
    let ticks = (u128::from(at.0) * u128::from(time_base.denom.get()) + unit / 2) / unit;
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

/// Frames in some ticks, rounded to the nearest.
fn frames_nearest(ticks: u64, time_base: TimeBase, rate: u32) -> u64 {
    let denom = u128::from(time_base.denom.get());
    let frames =
        (u128::from(ticks) * u128::from(time_base.numer.get()) * u128::from(rate) + denom / 2) / denom;
    u64::try_from(frames).unwrap_or(u64::MAX)
}

fn clean(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-SAMPLE_MAX, SAMPLE_MAX) } else { 0.0 }
}

/// Cleans frames of which nearly all are clean: to look at all at once costs a tenth of cleaning each.
fn make_clean(frames: &mut [Frame]) {
    let samples = frames.as_flattened_mut();
    if !samples.iter().fold(true, |clean, sample| clean & (sample.abs() <= SAMPLE_MAX)) {
        samples.iter_mut().for_each(|sample| *sample = clean(*sample));
    }
}

/// The samples of both sides where they lie ready, as the common codecs give them.
fn sides<'b>(buffer: &GenericAudioBufferRef<'b>) -> Option<(&'b [f32], &'b [f32])> {
    let GenericAudioBufferRef::F32(buffer) = *buffer else { return None };
    match buffer.num_planes() {
        1 => buffer.plane(0).map(|both| (both, both)),
        2 => buffer.plane_pair(0, 1),
        _ => None,
    }
}

/// The channel of deep effects in surround sound, by the order in which files hold channels; BS.775 leaves it out of two.
const DEEP_EFFECTS: (std::ops::RangeInclusive<usize>, usize) = (6..=8, 3);

/// Mono to both sides; of more than two channels the others are mixed into left and right.
fn to_stereo(interleaved: &[f32], channels: usize, out: &mut Vec<Frame>) {
    match channels {
        1 => out.extend(interleaved.iter().map(|sample| [*sample; 2])),
        2 => out.extend_from_slice(interleaved.as_chunks::<2>().0),
        _ => {
            let left_out = Some(DEEP_EFFECTS.1).filter(|_| DEEP_EFFECTS.0.contains(&channels));
            let used = (2..channels).filter(|n| Some(*n) != left_out);
            let share = 1.0 / (1.0 + used.clone().count() as f32 * 0.5);
            out.extend(interleaved.chunks_exact(channels).map(|frame| {
                let others: f32 = used.clone().map(|n| clean(frame[n])).sum();
                [0, 1].map(|side| (clean(frame[side]) + 0.5 * others) * share)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_effects_are_left_out_of_two_sides() {
        let check = |frame: &[f32], expected: Frame| {
            let mut out = Vec::new();
            to_stereo(frame, frame.len(), &mut out);
            let differs =
                out[0].iter().zip(expected).any(|(found, expected)| (found - expected).abs() > 1e-6);
            assert!(!differs && out.len() == 1, "{out:?} of {frame:?}");
        };
        check(&[0.5, 0.25], [0.5, 0.25]);
        check(&[0.3, 0.0, 0.0], [0.3 / 1.5, 0.0]);
        check(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0]);
        check(&[0.25, 0.0, 0.0, 1.0, 0.0, 0.0], [0.1, 0.0]);
        check(&[0.0, 0.0, 0.5, 1.0, 0.0, 0.0], [0.1, 0.1]);
        check(&[0.0, 0.0, 0.0, 0.5], [0.125, 0.125]);
    }
}
