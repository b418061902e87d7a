//! Lengths of sound whose rate changes, without an error that adds up.

use loaxa_heart::domain::time::Span;

/// The finding of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// `None` for what has no end within a day, or within the time that is spent on it.
    pub length: Option<Span>,
    /// Times in it do not tell the place.
    pub times_lie: bool,
    /// Sound that would be decoded behind the length is cut off.
    pub is_cut: bool,
}

/// Frames so far, and the time of those at earlier rates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    earlier: Span,
    frames: u64,
    rate: u32,
}

impl Tally {
    /// Counts on from a place.
    pub fn from(place: Span) -> Self {
        Self { earlier: place, ..Self::default() }
    }

    /// Adds frames of a rate.
    pub fn add(&mut self, frames: u64, rate: u32) {
        if rate != self.rate {
            *self = Self { earlier: self.span(), frames: 0, rate };
        }
        self.frames += frames;
    }

    /// Returns the time of all frames.
    pub fn span(&self) -> Span {
        self.earlier + Span(self.frames.saturating_mul(1_000_000) / u64::from(self.rate.max(1)))
    }

    /// Returns how many frames of the rate that was added last are missing from a time, rounded to the nearest.
    pub fn missing(&self, until: Span) -> u64 {
        frames_in(until.saturating_sub(self.earlier), self.rate).saturating_sub(self.frames)
    }
}

/// The frames of a rate in a time, rounded to the nearest.
pub fn frames_in(span: Span, rate: u32) -> u64 {
    u64::try_from((u128::from(span.0) * u128::from(rate) + 500_000) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_add_up() {
        let mut tally = Tally::default();
        tally.add(44_100, 44_100);
        for _ in 0..1_000_000 {
            tally.add(441, 44_100);
        }
        tally.add(4_000, 8_000);
        assert_eq!(tally.span(), Span::secs(10_001) + Span::millis(500));
        assert_eq!(tally.missing(Span::secs(10_002)), 4_000);
        assert_eq!(tally.missing(Span::secs(3)), 0);
    }
}
