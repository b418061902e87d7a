//! Sinks as the player sees them: their pace, and what went wrong with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;

use crate::losses::Losses;
use loaxa_heart::domain::time::Span;

/// An output that asks its renderer for sound until it is dropped.
pub trait Sink: Send {
    /// Returns the longest time between two askings.
    fn period(&self) -> Span;

    /// Tells whether the sink may be closed while nothing sounds: not where its silence is recorded.
    fn may_rest(&self) -> bool {
        false
    }
}

/// The state of an open sink that its error callback may touch: flags, counts and a wake-up of the player. It neither
/// locks nor logs; the player logs for it.
#[derive(Debug)]
pub struct Trouble {
    broken: AtomicBool,
    kind: AtomicU32,
    losses: Arc<Losses>,
    player: Thread,
}

/// Reasons in [`Trouble`], by number.
const TROUBLES: [&str; 4] = [
    "the device reported an error",
    "the device is gone",
    "the device must be opened anew",
    "nobody reads the pipe, or the file can't be written",
];

impl Trouble {
    /// Makes the state of a sink that is about to be opened, and that wakes `player` when it breaks.
    pub fn new(player: Thread, losses: Arc<Losses>) -> Arc<Self> {
        Arc::new(Self { broken: false.into(), kind: 0.into(), losses, player })
    }

    /// Tells why the output broke, if it did.
    pub fn broken(&self) -> Option<&'static str> {
        let broken = self.broken.load(Ordering::Acquire);
        broken.then(|| TROUBLES[self.kind.load(Ordering::Relaxed) as usize % TROUBLES.len()])
    }

    /// Counts an underrun.
    pub(super) fn underrun(&self) {
        self.losses.underruns.add(1);
    }

    /// Notes that the output broke, by number; only the first time counts, as a broken device may report it half a
    /// million times a second.
    pub fn signal(&self, kind: u32) {
        if !self.broken.load(Ordering::Relaxed) {
            self.kind.store(kind, Ordering::Relaxed);
            self.broken.store(true, Ordering::Release);
            self.player.unpark();
        }
    }
}
