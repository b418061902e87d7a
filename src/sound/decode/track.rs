//! The track of a file that sounds, with its decoder.

use std::sync::LazyLock;

use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::codecs::audio::{AudioCodecId, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::formats::well_known as formats;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::units::TimeBase;
use symphonia_adapter_libopus::OpusDecoder;

use super::edits::Shown;
use super::fault::damaged;
use super::he_aac;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// The rate at which Opus counts (RFC 7845, 4).
const OPUS_RATE: u32 = 48_000;
/// Place of the samples to be dropped in the header of Opus (RFC 7845, 5.1).
const PRE_SKIP: std::ops::Range<usize> = 10..12;
/// Place of the gain in it that every player applies, in 1/256 dB.
const GAIN: usize = 16;

/// symphonia's own decoders, and libopus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// The track that sounds, and its decoder.
pub struct Track {
    pub id: u32,
    pub codec: Box<dyn AudioDecoder>,
    pub codec_id: AudioCodecId,
    pub time_base: TimeBase,
    /// Ticks that the container counts before the sound begins.
    pub lead: u64,
    /// Samples that the decoder of Opus gives before the sound begins.
    pub pre_skip: u64,
    /// Factor of all samples that the header of Opus asks for.
    pub gain: f32,
}

impl Track {
    /// Picks the sounding track of a file, and its length from the index.
    ///
    /// # Errors
    /// `Damaged` where none can be decoded.
    pub fn choose(
        format: &dyn FormatReader,
        trims: bool,
        shown: Option<Shown>,
        what: &str,
    ) -> Result<(Self, Option<Span>), Fault> {
        let track =
            format.default_track(TrackType::Audio).ok_or_else(|| damaged(what, said!("decode.no_sound")))?;
        let unknown = || damaged(what, said!("decode.unknown"));
        let parameters =
            track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(unknown)?;
        let options = AudioDecoderOptions::default().gapless(trims);
        let mut parameters = parameters.clone();
        if shown.is_some_and(|shown| shown.high_byte_first) {
            parameters.codec = with_high_byte_first(parameters.codec);
        }
        // Eight bits stand for more: the decoder takes their own number for a contradiction.
        if [codecs::CODEC_ID_PCM_ALAW, codecs::CODEC_ID_PCM_MULAW].contains(&parameters.codec) {
            (parameters.bits_per_sample, parameters.bits_per_coded_sample) = (None, None);
        }
        let config = parameters.extra_data.as_deref().filter(|_| parameters.codec == codecs::CODEC_ID_AAC);
        if let Some(core) = config.and_then(he_aac::core_config) {
            parameters.with_extra_data(Box::new(core));
        }
        let is_opus = parameters.codec == codecs::CODEC_ID_OPUS;
        let (mut pre_skip, mut gain) = (0, 1.0);
        if let Some(header) = parameters.extra_data.as_mut().filter(|_| is_opus) {
            // In MP4 numbers have their high byte first.
            let is_mp4 = format.format_info().format == formats::FORMAT_ID_ISOMP4;
            let number = if is_mp4 { u16::from_be_bytes } else { u16::from_le_bytes };
            if let Some(bytes) = header.get(GAIN..).and_then(|it| it.first_chunk()) {
                gain = 10f32.powf(f32::from(number(*bytes) as i16) / (20.0 * 256.0));
            }
            // The adapter drops no more than the first packet.
            if let Some(skip) = header.get_mut(PRE_SKIP) {
                pre_skip = u64::from(number([skip[0], skip[1]]));
                skip.fill(0);
            }
        }
        let codec = CODECS.make_audio_decoder(&parameters, &options).map_err(|error| {
            tracing::debug!(what, %error, "no decoder");
            unknown()
        })?;
        let rate = parameters.sample_rate.and_then(TimeBase::try_from_recip);
        let time_base = track.time_base.or(rate).ok_or_else(unknown)?;
        let ticks = track.duration.map(|ticks| ticks.get()).or(track.num_frames).filter(|ticks| *ticks > 0);
        // Of Ogg Opus the index counts what its encoder put in front, too.
        let lead = track.delay.filter(|_| is_opus).map_or(0, u64::from);
        let length = ticks.map(|ticks| span(ticks.saturating_sub(lead), time_base));
        Ok((
            Self { id: track.id, codec, codec_id: parameters.codec, time_base, lead, pre_skip, gain },
            length,
        ))
    }
}

impl Track {
    /// Time that the decoder of Opus gives before the sound begins.
    pub fn pre_skip(&self) -> Span {
        Span(self.pre_skip * 1_000_000 / u64::from(OPUS_RATE))
    }
}

/// The form of samples that differs by the order of its bytes.
const fn with_high_byte_first(codec: AudioCodecId) -> AudioCodecId {
    match codec {
        codecs::CODEC_ID_PCM_S24LE => codecs::CODEC_ID_PCM_S24BE,
        codecs::CODEC_ID_PCM_S32LE => codecs::CODEC_ID_PCM_S32BE,
        codecs::CODEC_ID_PCM_F32LE => codecs::CODEC_ID_PCM_F32BE,
        codecs::CODEC_ID_PCM_F64LE => codecs::CODEC_ID_PCM_F64BE,
        other => other,
    }
}

/// Ticks of a time base as time.
pub fn span(ticks: u64, time_base: TimeBase) -> Span {
    let micros =
        u128::from(ticks) * u128::from(time_base.numer.get()) * 1_000_000 / u128::from(time_base.denom.get());
    Span(u64::try_from(micros).unwrap_or(u64::MAX))
}
