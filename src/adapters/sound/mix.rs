//! The desk: what the device's callback runs. It never allocates, frees, locks, logs or waits.
//!
//! Voices come in and go out through lock-free rings, so memory is made and freed on the player's thread.
//! rodio's mixer holds one source of ours for good, the [`Console`]: its own way of adding a source would
//! free memory in the callback when a source ends.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use rodio::Source;
use rodio::mixer::MixerSource;
use rtrb::{Consumer, Producer, RingBuffer};

use super::limiter::{self, Limiter};
use super::microphone::Tap;
use super::{Frame, RATE, frames_in, span_of};
use crate::adapters::clock::monotonic;
use crate::domain::ids::PlayId;
use crate::domain::time::{Moment, Span};

/// The fade at every cut.
pub const CUT_FADE: Span = Span::millis(20);
/// Orders that may wait for the next callback.
const ORDERS_MAX: usize = 16;
/// Notes that may wait for the player.
const NOTES_MAX: usize = 64;
/// Voices that may fade out at the same time.
const LEAVING_MAX: usize = 4;
/// Frames rendered at a time: orders are obeyed to the millisecond.
const BLOCK: usize = 48;

/// What feeder, desk and player know together about one voice.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Frames handed to the device.
    handed: AtomicU64,
    /// Frames of silence handed because the feeder was late.
    starved: AtomicU64,
    /// Moment at which the first frame sounds, in microseconds; 0 before.
    sounds_at: AtomicU64,
    /// Set by the feeder after its last frame.
    fed_all: AtomicBool,
    /// Frames that the feeder put into the ring.
    fed: AtomicU64,
}

impl Ledger {
    /// Frames handed to the device so far.
    pub fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    /// Frames of silence that stood in for late audio.
    pub fn starved(&self) -> u64 {
        self.starved.load(Ordering::Relaxed)
    }

    /// When the first frame sounds, once it was handed over.
    pub fn sounds_at(&self) -> Option<Moment> {
        let at = self.sounds_at.load(Ordering::Acquire);
        (at != 0).then_some(Moment(at))
    }

    /// Frames still to come, known once the feeder is through.
    pub fn left(&self) -> Option<u64> {
        let through = self.fed_all.load(Ordering::Acquire);
        through.then(|| self.fed.load(Ordering::Relaxed).saturating_sub(self.handed()))
    }

    /// Counts frames put into the ring.
    pub fn add_fed(&self, frames: u64) {
        self.fed.fetch_add(frames, Ordering::Relaxed);
    }

    /// Frames put into the ring so far.
    pub fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    /// Says that nothing more will be fed.
    pub fn close(&self) {
        self.fed_all.store(true, Ordering::Release);
    }
}

/// One play at the desk: a ring that a feeder fills.
pub struct Voice {
    play: PlayId,
    ring: Consumer<Frame>,
    ledger: Arc<Ledger>,
    fade: Option<Fade>,
}

#[derive(Clone, Copy)]
struct Fade {
    left: u32,
    whole: u32,
}

impl Voice {
    /// Makes a voice and the feeder's end of its ring.
    pub fn new(play: PlayId, ring_frames: usize) -> (Self, Producer<Frame>, Arc<Ledger>) {
        let (producer, ring) = RingBuffer::new(ring_frames);
        let ledger = Arc::new(Ledger::default());
        (Self { play, ring, ledger: ledger.clone(), fade: None }, producer, ledger)
    }

    /// The play that it carries.
    pub fn play(&self) -> PlayId {
        self.play
    }

    fn leave(&mut self, frames: u32) {
        let whole = frames.max(1);
        let sooner = self.fade.is_none_or(|fade| fade.left > whole);
        if sooner {
            // A fade that is cut short goes on from the level it has reached.
            let left = self.fade.map_or(whole, |fade| (fade.level() * whole as f32) as u32);
            self.fade = Some(Fade { left: left.max(1), whole });
        }
    }

    /// Adds to `out` what the ring has; answers how many frames it had.
    fn add_to(&mut self, out: &mut [Frame], first_at: impl FnOnce() -> Moment) -> usize {
        let wanted = match self.fade {
            Some(fade) => out.len().min(fade.left as usize),
            None => out.len(),
        };
        let frames = wanted.min(self.ring.slots());
        if let Some(fade) = &mut self.fade {
            // A fade goes on while its feeder is late, or it would never end.
            fade.left -= (wanted - frames) as u32;
        }
        if frames == 0 {
            return 0;
        }
        if self.ledger.sounds_at.load(Ordering::Relaxed) == 0 {
            self.ledger.sounds_at.store(first_at().0.max(1), Ordering::Release);
        }
        let chunk = self.ring.read_chunk(frames).expect("the ring holds as many as it said");
        let (older, newer) = chunk.as_slices();
        for (mixed, frame) in out.iter_mut().zip(older.iter().chain(newer)) {
            let level = match &mut self.fade {
                Some(fade) => fade.step(),
                None => 1.0,
            };
            mixed[0] += frame[0] * level;
            mixed[1] += frame[1] * level;
        }
        chunk.commit_all();
        self.ledger.handed.fetch_add(frames as u64, Ordering::Relaxed);
        frames
    }

    fn left_by(&self) -> Option<Leave> {
        if self.fade.is_some_and(|fade| fade.left == 0) {
            return Some(Leave::Faded);
        }
        let drained = self.ledger.fed_all.load(Ordering::Acquire) && self.ring.is_empty();
        drained.then_some(Leave::Drained)
    }
}

impl Fade {
    fn level(self) -> f32 {
        self.left as f32 / self.whole as f32
    }

    fn step(&mut self) -> f32 {
        let level = self.level();
        self.left = self.left.saturating_sub(1);
        level
    }
}

/// How a voice takes the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Now,
    AtEnd,
    At(Moment),
}

/// How a voice left the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Its last frame was handed over.
    Drained,
    /// It was faded out, or left before it began.
    Faded,
}

/// What the player asks of the desk.
pub enum Order {
    Enter { voice: Box<Voice>, entry: Entry },
    Leave { play: PlayId, fade: Span },
}

/// What the desk tells the player.
pub enum Note {
    Started { play: PlayId },
    Left { voice: Box<Voice>, how: Leave },
}

/// What both ends of the desk share without locks.
struct Shared {
    /// When the first frame of the buffer being rendered sounds.
    buffer_at: AtomicU64,
    /// Frames rendered before that buffer.
    buffer_frame: AtomicU64,
    awake: AtomicBool,
    last_render: AtomicU64,
    panicked: AtomicBool,
}

/// The player's end of the desk.
pub struct Desk {
    orders: Producer<Order>,
    notes: Consumer<Note>,
    shared: Arc<Shared>,
}

impl Desk {
    /// Makes a desk whose callback wakes `player` when something happened.
    pub fn new(player: Thread) -> (Self, Renderer) {
        let (orders, orders_in) = RingBuffer::new(ORDERS_MAX);
        let (notes_out, notes) = RingBuffer::new(NOTES_MAX);
        let shared = Arc::new(Shared {
            buffer_at: AtomicU64::new(0),
            buffer_frame: AtomicU64::new(0),
            awake: AtomicBool::new(true),
            last_render: AtomicU64::new(monotonic().0),
            panicked: AtomicBool::new(false),
        });
        let console = Console {
            orders: orders_in,
            notes: notes_out,
            player,
            shared: shared.clone(),
            on_air: None,
            next: None,
            leaving: [const { None }; LEAVING_MAX],
            block: [[0.0; 2]; BLOCK],
            at: 2 * BLOCK,
            rendered: 0,
        };
        let channels = NonZero::new(2).expect("two is not zero");
        let rate = NonZero::new(RATE).expect("the rate is not zero");
        let (mixer, source) = rodio::mixer::mixer(channels, rate);
        mixer.add(console);
        let renderer = Renderer {
            source,
            shared: shared.clone(),
            limiter: Limiter::default(),
            tail: 0,
            pulled: 0,
            tap: None,
        };
        (Self { orders, notes, shared }, renderer)
    }

    /// Passes an order on; gives it back where too many wait.
    pub fn order(&mut self, order: Order) -> Result<(), Order> {
        self.orders.push(order).map_err(|rtrb::PushError::Full(order)| order)?;
        self.shared.awake.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The next thing that happened.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop().ok()
    }

    /// When the device last asked for sound.
    pub fn last_render(&self) -> Moment {
        Moment(self.shared.last_render.load(Ordering::Relaxed))
    }

    /// Whether rendering failed since the desk was made.
    pub fn panicked(&self) -> bool {
        self.shared.panicked.load(Ordering::Relaxed)
    }
}

/// The device's end of the desk.
pub struct Renderer {
    source: MixerSource,
    shared: Arc<Shared>,
    limiter: Limiter,
    /// Frames still inside the limiter after the desk fell asleep.
    tail: usize,
    pulled: u64,
    /// What a microphone is compared with.
    tap: Option<Tap>,
}

impl Renderer {
    /// Leaves there, too, what it renders.
    pub fn tap_into(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Fills `out`, whose first frame will sound at `at`; silence where rendering panics.
    pub fn render(&mut self, out: &mut [Frame], at: Moment) {
        self.shared.last_render.store(monotonic().0, Ordering::Relaxed);
        let rendered = catch_unwind(AssertUnwindSafe(|| self.fill(out, at)));
        if rendered.is_err() {
            out.fill([0.0; 2]);
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
        if let Some(tap) = &mut self.tap {
            tap.take_frames(out, at);
        }
    }

    fn fill(&mut self, out: &mut [Frame], at: Moment) {
        if self.shared.awake.load(Ordering::SeqCst) {
            self.tail = limiter::DELAY;
            let sounds = at + span_of(limiter::DELAY as u64);
            self.shared.buffer_at.store(sounds.0, Ordering::Relaxed);
            self.shared.buffer_frame.store(self.pulled, Ordering::Relaxed);
            self.pulled += out.len() as u64;
            for sample in out.as_flattened_mut() {
                *sample = self.source.next().unwrap_or(0.0);
            }
            self.limiter.process(out);
        } else {
            out.fill([0.0; 2]);
            if self.tail > 0 {
                self.tail = self.tail.saturating_sub(out.len());
                self.limiter.process(out);
            }
        }
    }
}

/// The one source in rodio's mixer.
struct Console {
    orders: Consumer<Order>,
    notes: Producer<Note>,
    player: Thread,
    shared: Arc<Shared>,
    on_air: Option<Box<Voice>>,
    next: Option<(Box<Voice>, Entry)>,
    leaving: [Option<Box<Voice>>; LEAVING_MAX],
    block: [Frame; BLOCK],
    /// Samples of the block already given out.
    at: usize,
    /// Frames rendered so far, with the block.
    rendered: u64,
}

impl Console {
    fn render_block(&mut self) {
        let was_silent = self.is_silent();
        self.take_orders();
        let mut block = [[0.0; 2]; BLOCK];
        for place in 0..LEAVING_MAX {
            if let Some(voice) = &mut self.leaving[place] {
                voice.add_to(&mut block, Moment::default);
            }
            self.retire_leaving(place);
        }
        self.render_on_air(&mut block);
        self.block = block;
        self.rendered += BLOCK as u64;
        // Only after a block of silence: what is still in a block would be lost.
        if was_silent && self.is_silent() {
            self.sleep();
        }
    }

    fn render_on_air(&mut self, block: &mut [Frame; BLOCK]) {
        let due = self.due_in_block();
        let mut from = 0;
        while from < BLOCK {
            if due.is_some_and(|due| due <= from) {
                self.enter_by_clock();
            } else if self.on_air.is_none() && matches!(self.next, Some((_, Entry::AtEnd))) {
                self.on_air = self.next.take().map(|(voice, _)| voice);
            }
            let until = due.filter(|due| *due > from).unwrap_or(BLOCK);
            let first_at = self.moment_of(self.rendered + from as u64);
            let Some(voice) = &mut self.on_air else {
                if due.is_some_and(|due| due > from) {
                    from = until;
                    continue;
                }
                break;
            };
            let fresh = voice.ledger.sounds_at.load(Ordering::Relaxed) == 0;
            let play = voice.play;
            let handed = voice.add_to(&mut block[from..until], || first_at);
            if fresh && handed > 0 {
                self.tell(Note::Started { play });
            }
            from += handed;
            let Some(voice) = &mut self.on_air else { break };
            match voice.left_by() {
                Some(how) => {
                    let voice = self.on_air.take().expect("it was there a line ago");
                    if let Some(voice) = self.retire(voice, how) {
                        self.on_air = Some(voice);
                        break;
                    }
                }
                None if from < until => {
                    voice.ledger.starved.fetch_add((until - from) as u64, Ordering::Relaxed);
                    from = until;
                }
                None => {}
            }
        }
    }

    /// The frame of this block at which the next voice enters by the clock.
    fn due_in_block(&self) -> Option<usize> {
        let Some((_, Entry::At(moment))) = &self.next else { return None };
        let wait = moment.since(self.moment_of(self.rendered));
        let frame = frames_in(wait) as usize;
        (frame < BLOCK).then_some(frame)
    }

    fn moment_of(&self, frame: u64) -> Moment {
        let since = frame.saturating_sub(self.shared.buffer_frame.load(Ordering::Relaxed));
        Moment(self.shared.buffer_at.load(Ordering::Relaxed)) + span_of(since)
    }

    /// Puts the voice that waits for its moment on the air, as soon as what sounds has a place to fade.
    fn enter_by_clock(&mut self) {
        if matches!(self.next, Some((_, Entry::At(_)))) && self.fade_on_air() {
            self.on_air = self.next.take().map(|(voice, _)| voice);
        }
    }

    /// Moves what is on the air among the leaving; `false` where there is no place yet.
    fn fade_on_air(&mut self) -> bool {
        let Some(place) = self.leaving.iter().position(Option::is_none) else { return false };
        if let Some(mut voice) = self.on_air.take() {
            voice.leave(frames_in(CUT_FADE) as u32);
            self.leaving[place] = Some(voice);
        }
        true
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.peek() {
            // Room is checked before an order is taken, as nothing may be freed here.
            let room = self.notes.slots() > LEAVING_MAX && self.leaving.iter().any(Option::is_none);
            if !room && matches!(order, Order::Enter { .. }) {
                return;
            }
            match self.orders.pop() {
                Ok(Order::Enter { voice, entry }) => self.enter(voice, entry),
                Ok(Order::Leave { play, fade }) => self.leave(play, fade),
                Err(_) => return,
            }
        }
    }

    fn enter(&mut self, voice: Box<Voice>, entry: Entry) {
        if let Some((replaced, _)) = self.next.take() {
            self.tell(Note::Left { voice: replaced, how: Leave::Faded });
        }
        if entry != Entry::Now {
            self.next = Some((voice, entry));
            return;
        }
        for leaving in self.leaving.iter_mut().flatten() {
            leaving.leave(frames_in(CUT_FADE) as u32);
        }
        self.fade_on_air();
        self.on_air = Some(voice);
    }

    fn leave(&mut self, play: PlayId, fade: Span) {
        let frames = frames_in(fade) as u32;
        if let Some((voice, _)) = self.next.take_if(|(voice, _)| voice.play == play) {
            self.tell(Note::Left { voice, how: Leave::Faded });
        }
        let sounding = self.on_air.iter_mut().chain(self.leaving.iter_mut().flatten());
        for voice in sounding.filter(|voice| voice.play == play) {
            voice.leave(frames);
        }
    }

    fn retire_leaving(&mut self, place: usize) {
        let Some(voice) = self.leaving[place].take() else { return };
        self.leaving[place] = match voice.left_by() {
            Some(_) => self.retire(voice, Leave::Faded),
            None => Some(voice),
        };
    }

    /// Hands a voice back to the player; keeps it where too many notes wait.
    fn retire(&mut self, voice: Box<Voice>, how: Leave) -> Option<Box<Voice>> {
        match self.notes.push(Note::Left { voice, how }) {
            Ok(()) => {
                self.player.unpark();
                None
            }
            Err(rtrb::PushError::Full(Note::Left { voice, .. })) => Some(voice),
            Err(rtrb::PushError::Full(Note::Started { .. })) => None,
        }
    }

    fn tell(&mut self, note: Note) {
        let told = self.notes.push(note);
        debug_assert!(told.is_ok(), "room was checked when the order was taken");
        self.player.unpark();
    }

    fn is_silent(&self) -> bool {
        self.on_air.is_none() && self.next.is_none() && self.leaving.iter().all(Option::is_none)
    }

    /// Lets the renderer skip this console until an order comes.
    fn sleep(&mut self) {
        self.shared.awake.store(false, Ordering::SeqCst);
        if !self.orders.is_empty() {
            self.shared.awake.store(true, Ordering::SeqCst);
        }
    }
}

impl Iterator for Console {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.at >= 2 * BLOCK {
            self.render_block();
            self.at = 0;
        }
        let sample = self.block.as_flattened()[self.at];
        self.at += 1;
        Some(sample)
    }
}

impl Source for Console {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> NonZero<u16> {
        NonZero::new(2).expect("two is not zero")
    }

    fn sample_rate(&self) -> NonZero<u32> {
        NonZero::new(RATE).expect("the rate is not zero")
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}
