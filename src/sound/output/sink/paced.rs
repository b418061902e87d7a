//! Outputs without a clock of their own, at the pace of the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::device::PERIOD;
use super::trouble::{Sink, Trouble};
use crate::output::mixer::Renderer;
use crate::{Frame, span_of};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Span;

/// A paced output that is further behind starts counting anew, e.g. after the machine was suspended.
const BEHIND_MAX: Span = Span::millis(500);
/// A file or a pipe: takes frames, and has no clock of its own.
pub trait Outlet: Send + 'static {
    /// Takes one period; returns `false` where the outlet is broken.
    fn take(&mut self, frames: &[Frame]) -> bool;

    /// Tells whether silence needs no taking.
    fn may_rest(&self) -> bool {
        false
    }
}

/// A thread that asks for a period at every tick of the clock.
pub struct Paced {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    may_rest: bool,
}

impl Paced {
    /// Starts the thread.
    pub fn start(mut outlet: impl Outlet, mut renderer: Renderer, trouble: Arc<Trouble>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, may_rest) = (stop.clone(), outlet.may_rest());
        let run = move || {
            let mut frames = [[0.0; 2]; PERIOD];
            let mut start = monotonic();
            let mut given = 0;
            while !stopped.load(Ordering::Relaxed) {
                let due = start + span_of(given);
                let now = monotonic();
                if now.since(due) > BEHIND_MAX {
                    (start, given) = (now, 0);
                    continue;
                }
                std::thread::sleep(Duration::from(due.since(now)));
                renderer.render(&mut frames, due);
                if !outlet.take(&frames) {
                    return trouble.signal(3);
                }
                given += PERIOD as u64;
            }
        };
        let thread = std::thread::Builder::new().name("paced".into()).spawn(run);
        Self { stop, thread: thread.ok(), may_rest }
    }
}

impl Sink for Paced {
    fn period(&self) -> Span {
        span_of(PERIOD as u64)
    }

    fn may_rest(&self) -> bool {
        self.may_rest
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was already seen as callbacks that stopped.
            let _ = thread.join();
        }
    }
}

/// An outlet that forgets everything.
pub struct Nothing;

impl Outlet for Nothing {
    fn take(&mut self, _: &[Frame]) -> bool {
        true
    }

    fn may_rest(&self) -> bool {
        true
    }
}

/// Appends frames as 16-bit little-endian samples.
pub fn sample_bytes(frames: &[Frame], out: &mut Vec<u8>) {
    for sample in frames.as_flattened() {
        let value = (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16;
        out.extend_from_slice(&value.to_le_bytes());
    }
}
