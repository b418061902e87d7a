//! The mixer, which the device's callback runs. The callback never allocates, frees, locks, logs or waits.
//!
//! Voices come in and go out through lock-free rings, so memory is made and freed on the player's thread. A panic is
//! contained: silence is rendered, and the player takes the device for lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;

use rtrb::{Consumer, Producer, RingBuffer};

use super::channels::{Channels, LEAVING_MAX};
use super::ledger::BLOCK;
use super::voice::{Leave, Voice};
use crate::hearing::tap::Tap;
use crate::level::limiter::{self, Limiter};
use crate::{Frame, frames_in, span_of};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::time::{Moment, Span};

/// The fade at every cut.
pub const CUT_FADE: Span = Span::millis(20);
/// Orders that may wait for the next callback.
const ORDERS_MAX: usize = 16;
/// Notes that may wait for the player.
const NOTES_MAX: usize = 64;
/// Notes that the voices in the mixer can still cause: two for each on the air, next and leaving.
const NOTES_RESERVED: usize = 2 * (2 + LEAVING_MAX);

/// Ways in which a voice takes the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// At once, over whatever sounds.
    Now,
    /// At the end of whatever sounds.
    AtEnd,
    /// At a moment, over whatever sounds.
    At(Moment),
}

/// Requests of the player to the mixer.
pub enum Order {
    Enter { voice: Box<Voice>, entry: Entry },
    Leave { play: PlayId, fade: Span },
}

/// Events in the mixer that the player is told.
pub enum Note {
    Started { play: PlayId },
    Left { voice: Box<Voice>, how: Leave },
}

/// State that both ends of the mixer share without locks.
struct Shared {
    /// The moment at which the first frame of the buffer being rendered sounds.
    buffer_at: AtomicU64,
    /// Frames rendered before that buffer.
    buffer_frame: AtomicU64,
    awake: AtomicBool,
    last_render: AtomicU64,
    panicked: AtomicBool,
}

/// The player's end of the mixer.
pub struct Mixer {
    orders: Producer<Order>,
    notes: Consumer<Note>,
    shared: Arc<Shared>,
}

impl Mixer {
    /// Makes a mixer whose callback wakes `player` when something happened.
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
        let playout = Playout {
            orders: orders_in,
            notes: notes_out,
            player,
            shared: shared.clone(),
            on_air: None,
            next: None,
            leaving: [const { None }; LEAVING_MAX],
            fading: [None; LEAVING_MAX],
            channels: Channels::new(),
            rendered: 0,
        };
        let renderer =
            Renderer { playout, shared: shared.clone(), limiter: Limiter::default(), tail: 0, tap: None };
        (Self { orders, notes, shared }, renderer)
    }

    /// Passes an order on.
    ///
    /// # Errors
    /// Gives the order back when [`ORDERS_MAX`] wait already.
    pub fn order(&mut self, order: Order) -> Result<(), Order> {
        self.orders.push(order).map_err(|rtrb::PushError::Full(order)| order)?;
        self.shared.awake.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Takes the oldest event.
    pub fn note(&mut self) -> Option<Note> {
        self.notes.pop().ok()
    }

    /// Returns the moment at which the device last asked for sound.
    pub fn last_render(&self) -> Moment {
        Moment(self.shared.last_render.load(Ordering::Relaxed))
    }

    /// Tells whether rendering has panicked since the mixer was made.
    pub fn panicked(&self) -> bool {
        self.shared.panicked.load(Ordering::Relaxed)
    }
}

/// The device's end of the mixer.
pub struct Renderer {
    playout: Playout,
    shared: Arc<Shared>,
    limiter: Limiter,
    /// Frames still inside the limiter after the mixer fell asleep.
    tail: usize,
    /// Copies what sounds to whoever compares it with a microphone.
    tap: Option<Tap>,
}

impl Renderer {
    /// Copies everything that is rendered into `tap`.
    pub fn tap_into(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Tells how many orders wait for the next callback.
    pub fn orders_waiting(&self) -> usize {
        self.playout.orders.slots()
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
            self.playout.begin_buffer(sounds);
            for block in out.chunks_mut(BLOCK) {
                self.playout.render(block);
            }
            self.limiter.process(out);
        } else {
            out.fill([0.0; 2]);
            if self.tail > 0 {
                self.tail = self.tail.saturating_sub(out.len());
                self.limiter.process(out);
                if self.tail == 0 {
                    self.limiter.forget();
                }
            }
        }
    }
}

/// The voices in the mixer, and what is decided about them block by block.
struct Playout {
    orders: Consumer<Order>,
    notes: Producer<Note>,
    player: Thread,
    shared: Arc<Shared>,
    on_air: Option<Box<Voice>>,
    next: Option<(Box<Voice>, Entry)>,
    leaving: [Option<Box<Voice>>; LEAVING_MAX],
    /// Sound of the leaving voices in this block.
    fading: [Option<[Frame; BLOCK]>; LEAVING_MAX],
    channels: Channels,
    /// Frames rendered so far.
    rendered: u64,
}

impl Playout {
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
        self.channels.put(0, block);
        for (place, fading) in self.fading.iter().enumerate() {
            if let Some(fading) = fading {
                self.channels.put(1 + place, &fading[..block.len()]);
            }
        }
        self.channels.add_up(block);
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
            let fresh = voice.ledger().sounds_at().is_none();
            let play = voice.play();
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
                    voice.ledger().add_starved(until - from);
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
            // Room is made sure of before a voice is taken in: a note without room would be freed here.
            let can_enter = self.notes.slots() >= NOTES_RESERVED && self.leaving.iter().any(Option::is_none);
            if !can_enter && matches!(order, Order::Enter { .. }) {
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
        if let Some((voice, _)) = self.next.take_if(|(voice, _)| voice.play() == play) {
            self.tell(Note::Left { voice, how: Leave::Faded });
        }
        let sounding = self.on_air.iter_mut().chain(self.leaving.iter_mut().flatten());
        for voice in sounding.filter(|voice| voice.play() == play) {
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

    /// Hands a voice back to the player; returns it where too many notes wait.
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
        debug_assert!(told.is_ok(), "room was reserved when the voice was taken in");
        self.player.unpark();
    }

    fn is_silent(&self) -> bool {
        self.on_air.is_none() && self.next.is_none() && self.leaving.iter().all(Option::is_none)
    }

    /// Lets the renderer skip this mixer until an order comes.
    fn sleep(&mut self) {
        self.shared.awake.store(false, Ordering::SeqCst);
        if !self.orders.is_empty() {
            self.shared.awake.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RATE;
    use crate::losses::Losses;
    use crate::test_allocator::counted;

    const BUFFER: usize = 480;

    /// A mixer whose callback is run by the test, which counts what the callback allocates and frees.
    struct Rig {
        mixer: Mixer,
        renderer: Renderer,
        at: Moment,
        plays: u32,
        /// Voices that were handed back, as the player would hold them.
        back: Vec<Voice>,
        rings: Vec<rtrb::Producer<Frame>>,
    }

    impl Rig {
        fn new() -> Self {
            let (mixer, renderer) = Mixer::new(std::thread::current());
            let (at, plays) = (Moment(1_000_000), 0);
            Self { mixer, renderer, at, plays, back: Vec::new(), rings: Vec::new() }
        }

        /// A voice with so many frames; one that is `fed` whole ends after them, another one goes on in silence.
        fn enter(&mut self, frames: usize, fed: bool, entry: Entry) -> PlayId {
            self.plays += 1;
            let play = PlayId::new(1, self.plays);
            let (voice, mut ring, ledger) = Voice::new(play, RATE as usize);
            (0..frames).for_each(|n| ring.push([n as f32 / frames as f32; 2]).unwrap());
            ledger.add_fed(frames as u64);
            if fed {
                ledger.close();
            }
            self.rings.push(ring);
            assert!(self.mixer.order(Order::Enter { voice: Box::new(voice), entry }).is_ok());
            play
        }

        fn run(&mut self, buffers: usize) {
            let mut out = [[0.0; 2]; BUFFER];
            for _ in 0..buffers {
                let (renderer, at) = (&mut self.renderer, self.at);
                assert_eq!(
                    counted(|| renderer.render(&mut out, at)),
                    0,
                    "the callback touched the allocator"
                );
                self.at = self.at + span_of(BUFFER as u64);
            }
        }

        fn take_notes(&mut self) -> usize {
            let mut taken = 0;
            while let Some(note) = self.mixer.note() {
                taken += 1;
                if let Note::Left { voice, .. } = note {
                    self.back.push(*voice);
                }
            }
            taken
        }
    }

    #[test]
    fn the_callback_allocates_and_frees_nothing() {
        let mut rig = Rig::new();
        let (tap, line) = Tap::new(std::sync::Arc::<Losses>::default());
        rig.renderer.tap_into(tap);
        rig.run(3);
        // One after the other without a gap, then over each other, by the clock, and stopped.
        rig.enter(5_000, true, Entry::Now);
        rig.run(2);
        rig.enter(7_000, true, Entry::AtEnd);
        rig.run(20);
        for _ in 0..8 {
            rig.enter(20_000, true, Entry::Now);
            rig.run(1);
        }
        let by_clock = rig.at + Span::millis(33);
        let stopped = rig.enter(20_000, true, Entry::At(by_clock));
        rig.run(10);
        assert!(rig.mixer.order(Order::Leave { play: stopped, fade: Span::millis(50) }).is_ok());
        rig.run(10);
        // One that is replaced before its time, and one that starves.
        rig.enter(100, true, Entry::At(rig.at + Span::secs(9)));
        rig.run(1);
        let starving = rig.enter(300, false, Entry::Now);
        rig.run(5);
        assert!(rig.mixer.order(Order::Leave { play: starving, fade: CUT_FADE }).is_ok());
        rig.run(1_000);
        assert!(rig.take_notes() >= 2 * 12, "all were started, and are handed back");
        drop(line);
    }

    #[test]
    fn a_player_that_takes_no_notes_loses_none() {
        let mut rig = Rig::new();
        for _ in 0..NOTES_MAX {
            rig.enter(500, true, Entry::Now);
            rig.run(8);
            if rig.renderer.orders_waiting() > 0 {
                break;
            }
        }
        assert_eq!(
            rig.renderer.orders_waiting(),
            1,
            "the mixer takes in no voice without room for its notes"
        );
        let play = PlayId::new(1, rig.plays);
        assert!(rig.mixer.order(Order::Leave { play, fade: CUT_FADE }).is_ok());
        rig.run(8);
        assert!(rig.take_notes() > NOTES_MAX - NOTES_RESERVED);
        rig.run(20);
        rig.take_notes();
        assert_eq!(rig.back.len() as u32, rig.plays, "each voice is handed back");
    }
}
