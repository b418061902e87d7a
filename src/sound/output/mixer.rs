//! The desk: what the device's callback runs. It never allocates, frees, locks, logs or waits.
//!
//! Voices come in and go out through lock-free rings, so memory is made and freed on the player's thread.
//! rodio's mixer adds up what sounds at the same time. Its sources are the strips of the desk, which stay for
//! good: its own way of taking in a source would free memory in the callback when that ends. It takes sample
//! after sample through two dynamic calls, so where one voice sounds alone it has nothing to add and is spared.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use rodio::Source;
use rodio::mixer::MixerSource;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::hearing::microphone::Tap;
use crate::level::limiter::{self, Limiter};
use crate::{Frame, RATE, frames_in, span_of};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::time::{Moment, Span};

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
/// What the mixer adds up: the voice on the air, and those that leave.
const STRIPS: usize = 1 + LEAVING_MAX;

/// Frames over which the device's time is averaged: a second.
pub const MEAN_FRAMES: u64 = RATE as u64;
const MARKS_A_MEAN: i64 = MEAN_FRAMES as i64 / BLOCK as i64;
/// A device that is this far from where it was has stood still: 20 ms.
const MARK_STEP_NS: i64 = 20_000_000;
const NS_A_SECOND: u64 = 1_000_000_000;

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
    /// When the first frame would have sounded, had the device always run as now, in nanoseconds; 0 before it sounds.
    origin_ns: AtomicI64,
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

    /// When the first frame would have sounded, had the device always run as it does now, in nanoseconds.
    pub fn origin_ns(&self) -> Option<i64> {
        Some(self.origin_ns.load(Ordering::Relaxed)).filter(|origin| *origin != 0)
    }

    /// Notes that the next frame sounds `at`. One callback's stamp is rough; the mean over a second is not.
    fn mark(&self, at: Moment) {
        let seen = at.0 as i64 * 1_000 - (self.handed() * NS_A_SECOND / u64::from(RATE)) as i64;
        let before = self.origin_ns.load(Ordering::Relaxed);
        let off = seen - before;
        let origin = if off.abs() > MARK_STEP_NS { seen } else { before + off / MARKS_A_MEAN };
        self.origin_ns.store(origin, Ordering::Relaxed);
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
        let at = first_at();
        if self.ledger.sounds_at.load(Ordering::Relaxed) == 0 {
            self.ledger.sounds_at.store(at.0.max(1), Ordering::Release);
        }
        if self.fade.is_none() {
            self.ledger.mark(at);
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
            fading: [None; LEAVING_MAX],
            strips: Strips::new(),
            rendered: 0,
        };
        let renderer =
            Renderer { console, shared: shared.clone(), limiter: Limiter::default(), tail: 0, tap: None };
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
    console: Console,
    shared: Arc<Shared>,
    limiter: Limiter,
    /// Frames still inside the limiter after the desk fell asleep.
    tail: usize,
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
            self.console.begin_buffer(sounds);
            for block in out.chunks_mut(BLOCK) {
                self.console.render(block);
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

/// The rings into rodio's mixer, and what it gives.
struct Strips {
    rings: [Producer<f32>; STRIPS],
    sum: MixerSource,
}

impl Strips {
    fn new() -> Self {
        let (mixer, mut sum) = rodio::mixer::mixer(CHANNELS, SAMPLE_RATE);
        let rings = std::array::from_fn(|_| {
            let (ring, samples) = RingBuffer::new(2 * BLOCK);
            mixer.add(Strip { samples });
            ring
        });
        // The first frame makes the mixer take in its sources, which frees what carried them.
        sum.by_ref().take(2).for_each(drop);
        Self { rings, sum }
    }

    /// Lays frames on a strip; the others are silent in this block unless they are laid on, too.
    fn lay(&mut self, strip: usize, frames: &[Frame]) {
        let (_, left_over) = self.rings[strip].push_partial_slice(frames.as_flattened());
        debug_assert!(left_over.is_empty(), "a strip was emptied by the block before");
    }

    fn add_up(&mut self, out: &mut [Frame]) {
        for sample in out.as_flattened_mut() {
            *sample = self.sum.next().unwrap_or(0.0);
        }
    }
}

const CHANNELS: NonZero<u16> = NonZero::new(2).expect("two is not zero");
const SAMPLE_RATE: NonZero<u32> = NonZero::new(RATE).expect("the rate is not zero");

/// A source of the mixer that never ends: silent where nothing was laid on it.
struct Strip {
    samples: Consumer<f32>,
}

impl Iterator for Strip {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        Some(self.samples.pop().unwrap_or(0.0))
    }
}

impl Source for Strip {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> NonZero<u16> {
        CHANNELS
    }

    fn sample_rate(&self) -> NonZero<u32> {
        SAMPLE_RATE
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}

/// What the desk holds and decides, block by block.
struct Console {
    orders: Consumer<Order>,
    notes: Producer<Note>,
    player: Thread,
    shared: Arc<Shared>,
    on_air: Option<Box<Voice>>,
    next: Option<(Box<Voice>, Entry)>,
    leaving: [Option<Box<Voice>>; LEAVING_MAX],
    /// What the leaving voices gave to this block.
    fading: [Option<[Frame; BLOCK]>; LEAVING_MAX],
    strips: Strips,
    /// Frames rendered so far.
    rendered: u64,
}

impl Console {
    /// Takes the moment at which the next frame sounds.
    fn begin_buffer(&self, sounds: Moment) {
        self.shared.buffer_at.store(sounds.0, Ordering::Relaxed);
        self.shared.buffer_frame.store(self.rendered, Ordering::Relaxed);
    }

    /// Fills up to [`BLOCK`] frames.
    fn render(&mut self, block: &mut [Frame]) {
        block.fill([0.0; 2]);
        self.take_orders();
        for place in 0..LEAVING_MAX {
            self.fading[place] = None;
            self.render_leaving(place, 0, block.len());
        }
        self.render_on_air(block);
        self.mix(block);
        self.rendered += block.len() as u64;
        if self.is_silent() {
            self.sleep();
        }
    }

    /// Lets a voice fade on in a part of this block.
    fn render_leaving(&mut self, place: usize, from: usize, until: usize) {
        let Some(voice) = &mut self.leaving[place] else { return };
        let fading = self.fading[place].get_or_insert([[0.0; 2]; BLOCK]);
        voice.add_to(&mut fading[from..until], Moment::default);
        self.retire_leaving(place);
    }

    /// Adds what leaves to what is on the air.
    fn mix(&mut self, block: &mut [Frame]) {
        if self.fading.iter().all(Option::is_none) {
            return;
        }
        self.strips.lay(0, block);
        for (place, fading) in self.fading.iter().enumerate() {
            if let Some(fading) = fading {
                self.strips.lay(1 + place, &fading[..block.len()]);
            }
        }
        self.strips.add_up(block);
    }

    fn render_on_air(&mut self, block: &mut [Frame]) {
        let due = self.due_within(block.len());
        let mut from = 0;
        while from < block.len() {
            if due.is_some_and(|due| due <= from) {
                self.enter_by_clock(from, block.len());
            } else if self.on_air.is_none() && matches!(self.next, Some((_, Entry::AtEnd))) {
                self.on_air = self.next.take().map(|(voice, _)| voice);
            }
            let until = due.filter(|due| *due > from).unwrap_or(block.len());
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
    fn due_within(&self, frames: usize) -> Option<usize> {
        let Some((_, Entry::At(moment))) = &self.next else { return None };
        let wait = moment.since(self.moment_of(self.rendered));
        let frame = frames_in(wait) as usize;
        (frame < frames).then_some(frame)
    }

    fn moment_of(&self, frame: u64) -> Moment {
        let since = frame.saturating_sub(self.shared.buffer_frame.load(Ordering::Relaxed));
        Moment(self.shared.buffer_at.load(Ordering::Relaxed)) + span_of(since)
    }

    /// Puts the voice that waits for its moment on the air, as soon as what sounds has a place to fade.
    fn enter_by_clock(&mut self, from: usize, until: usize) {
        if matches!(self.next, Some((_, Entry::At(_))))
            && let Some(place) = self.fade_on_air()
        {
            self.render_leaving(place, from, until);
            self.on_air = self.next.take().map(|(voice, _)| voice);
        }
    }

    /// Moves what is on the air among the leaving; `None` where there is no place yet.
    fn fade_on_air(&mut self) -> Option<usize> {
        let place = self.leaving.iter().position(Option::is_none)?;
        if let Some(mut voice) = self.on_air.take() {
            voice.leave(frames_in(CUT_FADE) as u32);
            self.leaving[place] = Some(voice);
        }
        Some(place)
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
