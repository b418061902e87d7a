//! A player that makes no sound and keeps the promises of [`PlayerCommand`] and [`PlayerEvent`] to the microsecond.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::ids::PlayId;
use crate::domain::sound::{Cut, End, Fault, PlayerCommand, PlayerEvent, Score, Sound, Sounded};
use crate::domain::time::{Moment, Span};

/// From a command to its first effect; a real box takes 5 to 10 ms.
pub const LATENCY: Span = Span::millis(5);

/// Time before the end of a play at which its end is announced.
const ENDING: Span = Span::millis(400);

/// The length of a part of a score, `None` where it has no end, or the reason why it can't sound.
pub type Lookup<'a> = dyn Fn(&Sound) -> Result<Option<Span>, Fault> + 'a;

/// A length of sound that came out of the loudspeaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    pub play: PlayId,
    pub from: Moment,
    pub to: Moment,
    pub level: Level,
}

/// The level of a play, as it was ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    pub volume_percent: u8,
    pub gain_db: f32,
}

/// The loudness that the player measures of everything.
pub const LOUDNESS_LUFS: f32 = -20.5;

#[derive(Debug, Clone)]
struct Channel {
    play: PlayId,
    began: Moment,
    level: Level,
    left: Option<Span>,
    /// The play breaks off here although more was promised.
    breaks: Option<(Span, Fault)>,
    ending_told: bool,
}

impl Channel {
    fn ends(&self) -> Option<Moment> {
        let whole = self.left.map(|left| self.began + left);
        let breaks = self.breaks.as_ref().map(|(after, _)| self.began + *after);
        [whole, breaks].into_iter().flatten().min()
    }
}

/// The player.
pub struct SimulatedPlayer {
    latency: Span,
    /// Sounds that are open: the time that each has left, and how loud it is to be.
    opened: BTreeMap<PlayId, (Option<Span>, Level)>,
    sounding: Option<Channel>,
    follow: Option<PlayId>,
    /// Play that begins at a moment.
    waiting: Option<(PlayId, Moment)>,
    events: VecDeque<(Moment, PlayerEvent)>,
    device_lost: bool,
    heard: Vec<Heard>,
    /// The next play breaks off after this time.
    pub break_next: Option<(Span, Fault)>,
}

impl Default for SimulatedPlayer {
    fn default() -> Self {
        Self { latency: LATENCY, ..Self::instant() }
    }
}

impl SimulatedPlayer {
    /// Makes a player that answers without delay.
    pub fn instant() -> Self {
        Self {
            latency: Span(0),
            opened: BTreeMap::new(),
            sounding: None,
            follow: None,
            waiting: None,
            events: VecDeque::new(),
            device_lost: false,
            heard: Vec::new(),
            break_next: None,
        }
    }

    /// Carries out a command.
    pub fn command(&mut self, now: Moment, command: PlayerCommand, lookup: &Lookup<'_>) {
        match command {
            PlayerCommand::Preflight { play, score } => self.preflight(now, play, &score, lookup),
            PlayerCommand::Play { play, cut: Cut::AtEnd } if self.sounding.is_some() => {
                self.follow = Some(play)
            }
            PlayerCommand::Play { play, cut: Cut::At { moment, .. } } if moment > now => {
                self.drop_waiting(now, End::Stopped);
                self.waiting = Some((play, moment));
            }
            PlayerCommand::Play { play, .. } => {
                self.cut(now);
                self.begin(now + self.latency, play);
            }
            PlayerCommand::Stop { play, .. } => self.stop(now, play),
        }
    }

    fn preflight(&mut self, now: Moment, play: PlayId, score: &Score, lookup: &Lookup<'_>) {
        let lengths: Result<Vec<_>, _> = score.parts.iter().map(lookup).collect();
        let result = lengths.map(|lengths| {
            let whole = lengths.into_iter().try_fold(Span(0), |sum, length| Some(sum + length?));
            let left = whole.map(|whole| whole.saturating_sub(score.skip));
            let level = Level { volume_percent: score.volume_percent, gain_db: score.gain_db };
            self.opened.insert(play, (left, level));
            whole
        });
        self.events.push_back((now + self.latency, PlayerEvent::Preflighted { play, result }));
    }

    fn begin(&mut self, at: Moment, play: PlayId) {
        let Some((left, level)) = self.opened.remove(&play) else { return };
        if self.device_lost {
            let reason = Fault::DeviceLost { detail: "simulated".to_owned() };
            return self.end(at, play, Span(0), left, End::Failed(reason));
        }
        let breaks = self.break_next.take();
        self.sounding = Some(Channel { play, began: at, level, left, breaks, ending_told: false });
        self.events.push_back((at, PlayerEvent::Started { play, at }));
    }

    fn end(&mut self, at: Moment, play: PlayId, played: Span, due: Option<Span>, end: End) {
        let loudness_lufs = (played > Span(0)).then_some(LOUDNESS_LUFS);
        let sounded = Sounded { played, due, loudness_lufs, heard: None };
        self.events.push_back((at, PlayerEvent::Ended { play, sounded, end }));
    }

    fn drop_waiting(&mut self, now: Moment, end: End) {
        if let Some((play, _)) = self.waiting.take() {
            self.opened.remove(&play);
            self.end(now, play, Span(0), None, end);
        }
    }

    fn cut(&mut self, now: Moment) {
        self.drop_waiting(now, End::Stopped);
        if let Some(play) = self.follow.take() {
            self.opened.remove(&play);
            self.end(now, play, Span(0), None, End::Stopped);
        }
        if let Some(channel) = self.sounding.take() {
            self.silence(now, channel, End::Stopped);
        }
    }

    fn silence(&mut self, now: Moment, channel: Channel, end: End) {
        let played = now.since(channel.began);
        self.note_heard(now, &channel);
        self.end(now, channel.play, played, channel.left, end);
    }

    fn note_heard(&mut self, now: Moment, channel: &Channel) {
        let Channel { play, began, level, .. } = *channel;
        self.heard.push(Heard { play, from: began, to: now.max(began), level });
    }

    fn stop(&mut self, now: Moment, play: PlayId) {
        self.opened.remove(&play);
        if self.waiting.is_some_and(|(waiting, _)| waiting == play) {
            self.drop_waiting(now, End::Stopped);
        }
        if self.follow == Some(play) {
            self.follow = None;
            self.end(now, play, Span(0), None, End::Stopped);
        }
        if let Some(channel) = self.sounding.take_if(|channel| channel.play == play) {
            self.silence(now, channel, End::Stopped);
            if let Some(next) = self.follow.take() {
                self.begin(now, next);
            }
        }
    }

    /// Takes the sound device away.
    pub fn lose_device(&mut self, now: Moment) {
        let detail = || "simulated".to_owned();
        self.device_lost = true;
        self.events.push_back((now, PlayerEvent::DeviceLost { detail: detail() }));
        self.drop_waiting(now, End::Failed(Fault::DeviceLost { detail: detail() }));
        if let Some(play) = self.follow.take() {
            self.end(now, play, Span(0), None, End::Failed(Fault::DeviceLost { detail: detail() }));
        }
        if let Some(channel) = self.sounding.take() {
            self.silence(now, channel, End::Failed(Fault::DeviceLost { detail: detail() }));
        }
    }

    /// Says that the device is lost, as a player does which starts without one.
    pub fn start(&mut self, now: Moment) {
        if self.device_lost {
            self.events.push_back((now, PlayerEvent::DeviceLost { detail: "simulated".to_owned() }));
        }
    }

    /// Gives the sound device back.
    pub fn find_device(&mut self, now: Moment) {
        if std::mem::replace(&mut self.device_lost, false) {
            self.events.push_back((now, PlayerEvent::DeviceBack));
        }
    }

    /// Returns when something happens by itself.
    pub fn wakes(&self) -> Option<Moment> {
        let told = self.events.front().map(|(at, _)| *at);
        let channel =
            self.sounding.as_ref().and_then(|channel| match (channel.ends(), channel.ending_told) {
                (Some(ends), false) => Some(Moment(ends.0.saturating_sub(ENDING.0)).max(channel.began)),
                (ends, _) => ends,
            });
        let waiting = self.waiting.map(|(_, at)| at);
        [told, channel, waiting].into_iter().flatten().min()
    }

    /// Returns what has happened by `now`, one event at a time.
    pub fn poll(&mut self, now: Moment) -> Option<PlayerEvent> {
        if self.events.front().is_some_and(|(at, _)| *at <= now) {
            return self.events.pop_front().map(|(_, event)| event);
        }
        if let Some((play, at)) = self.waiting.take_if(|(_, at)| *at <= now) {
            self.cut(at);
            self.begin(at, play);
            return self.events.pop_front().map(|(_, event)| event);
        }
        let channel = self.sounding.as_mut()?;
        let ends = channel.ends()?;
        if !channel.ending_told && ends.0.saturating_sub(ENDING.0).max(channel.began.0) <= now.0 {
            channel.ending_told = true;
            return Some(PlayerEvent::Ending { play: channel.play });
        }
        if ends > now {
            return None;
        }
        let channel = self.sounding.take()?;
        let end = match &channel.breaks {
            Some((after, fault)) if channel.left.is_none_or(|left| *after < left) => {
                End::Failed(fault.clone())
            }
            _ => End::Whole,
        };
        self.silence(ends, channel, end);
        if let Some(next) = self.follow.take() {
            self.begin(ends, next);
        }
        self.events.pop_front().map(|(_, event)| event)
    }

    /// Returns how much of a play has sounded.
    pub fn position(&self, now: Moment, play: PlayId) -> Option<Span> {
        let channel = self.sounding.as_ref().filter(|channel| channel.play == play)?;
        Some(now.since(channel.began))
    }

    /// Takes what has been heard since the last call. After a power cut, what sounded until then is part of it.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Takes the power away: what sounds breaks off without a word.
    pub fn lose_power(&mut self, now: Moment) {
        if let Some(channel) = self.sounding.take() {
            self.note_heard(now, &channel);
        }
        let heard = std::mem::take(&mut self.heard);
        *self = Self { heard, latency: self.latency, ..Self::instant() };
    }
}
