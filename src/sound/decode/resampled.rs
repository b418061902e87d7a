//! A decoder whose sound is brought to [`crate::RATE`], whatever its rate is from block to block.

use super::Decoder;
use super::resample::{ResampleError, Resampler};
use crate::Frame;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;
use loaxa_heart::texts::Say;

/// A decoder and its resampler.
pub struct Resampled {
    decoder: Decoder,
    resampler: Resampler,
}

impl Resampled {
    /// Goes on from where the decoder stands.
    ///
    /// # Errors
    /// `Damaged` where its rate is not one of sound.
    pub fn new(decoder: Decoder) -> Result<Self, Fault> {
        let resampler = Resampler::new(decoder.rate()).map_err(|error| damaged(&decoder, &error))?;
        Ok(Self { decoder, resampler })
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Gives the decoder back.
    pub fn into_decoder(self) -> Decoder {
        self.decoder
    }

    /// Goes on from `to`, exactly.
    ///
    /// # Errors
    /// Fails as [`Decoder::seek`] does.
    pub fn seek(&mut self, to: Span) -> Result<(), Fault> {
        self.decoder.seek(to)?;
        self.resampler =
            Resampler::new(self.decoder.rate()).map_err(|error| damaged(&self.decoder, &error))?;
        Ok(())
    }

    /// Appends what the next block makes, sometimes nothing; `false` at the end.
    ///
    /// # Errors
    /// Fails as [`Decoder::next_block`] does.
    pub fn more(&mut self, out: &mut Vec<Frame>) -> Result<bool, Fault> {
        let more = match self.decoder.advance() {
            Ok(more) => more,
            Err(fault) => {
                // What came before it sounds to its end.
                self.resampler.finish(out);
                return Err(fault);
            }
        };
        self.resample(more, out).map_err(|error| damaged(&self.decoder, &error))?;
        Ok(more)
    }

    fn resample(&mut self, more: bool, out: &mut Vec<Frame>) -> Result<(), ResampleError> {
        let rate = self.decoder.rate();
        if !more || self.resampler.rate() != rate {
            self.resampler.finish(out);
        }
        if self.resampler.rate() != rate {
            self.resampler = Resampler::new(rate)?;
        }
        self.resampler.push(self.decoder.block(), out);
        Ok(())
    }
}

fn damaged(decoder: &Decoder, error: &ResampleError) -> Fault {
    Fault::Damaged { what: decoder.what().to_owned(), detail: error.say() }
}
