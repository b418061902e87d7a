//! When the amplifier is to be on: warm before the first sound, off a while after the last.

use crate::domain::time::{Moment, Span};

/// How an amplifier is driven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AmplifierConfig {
    /// Shell command that switches it on; `None` where it is always on.
    pub on: Option<String>,
    /// Shell command that switches it off.
    pub off: Option<String>,
    /// How long it takes until it sounds.
    pub warm_up_ms: u32,
    /// How long it stays on after the last sound.
    pub off_delay_ms: u32,
}

/// What the amplifier does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amplifier {
    Off,
    /// On, and sounding from this moment.
    On {
        warm_at: Moment,
    },
    /// Nothing sounds any more; off at this moment.
    Lingering {
        warm_at: Moment,
        off_at: Moment,
    },
}

/// What is to be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

impl Amplifier {
    /// Something is to sound: answers from when it can be heard, and whether to switch on.
    pub fn wake(&mut self, now: Moment, warm_up: Span) -> (Moment, Option<Switch>) {
        let (warm_at, switch) = match *self {
            Self::Off => (now + warm_up, Some(Switch::On)),
            Self::On { warm_at } | Self::Lingering { warm_at, .. } => (warm_at, None),
        };
        *self = Self::On { warm_at };
        (warm_at, switch)
    }

    /// Nothing sounds any more and nothing is about to.
    pub fn rest(&mut self, now: Moment, off_delay: Span) {
        if let Self::On { warm_at } = *self {
            *self = Self::Lingering { warm_at, off_at: now + off_delay };
        }
    }

    /// When [`Self::expire`] is to be asked.
    pub fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Lingering { off_at, .. } => Some(*off_at),
            Self::Off | Self::On { .. } => None,
        }
    }

    /// Whether it is time to switch off.
    pub fn expire(&mut self, now: Moment) -> Option<Switch> {
        let due = self.deadline().is_some_and(|off_at| off_at <= now);
        due.then(|| {
            *self = Self::Off;
            Switch::Off
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARM: Span = Span::secs(2);
    const LINGER: Span = Span::secs(30);

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    #[test]
    fn it_warms_up_once_and_lingers() {
        let mut amplifier = Amplifier::Off;
        assert_eq!(amplifier.wake(at(10), WARM), (at(12), Some(Switch::On)));
        assert_eq!(amplifier.wake(at(11), WARM), (at(12), None));
        amplifier.rest(at(20), LINGER);
        assert_eq!(amplifier.deadline(), Some(at(50)));
        assert_eq!(amplifier.expire(at(49)), None);
        assert_eq!(amplifier.wake(at(49), WARM), (at(12), None));
        amplifier.rest(at(60), LINGER);
        assert_eq!(amplifier.expire(at(90)), Some(Switch::Off));
        assert_eq!(amplifier, Amplifier::Off);
        amplifier.rest(at(91), LINGER);
        assert_eq!(amplifier.deadline(), None);
    }
}
