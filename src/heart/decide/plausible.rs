//! Plausibility of what a box wrote into its log: an entry that can't be true is kept, marked, and never added up.

use serde::{Deserialize, Serialize};

use crate::domain::playback::{Entry, Event, PlayEnd, Stamp};
use crate::domain::sound::FRAMES_A_SECOND;
use crate::domain::time::{ClockQuality, Span, Wall};

/// Largest lead of a box's clock over central's that is believed.
const AHEAD_MAX: Span = Span::secs(24 * 3_600);

/// The time before which no box was built, 2024-01-01T00:00:00Z.
const BUILT: Wall = Wall(1_704_067_200_000_000);

/// Longest play that is believed.
const PLAY_MAX: Span = Span::secs(31 * 24 * 3_600);

/// Largest step of a clock that is believed: a century, from 1970 to what a broken battery clock shows.
const STEP_US_MAX: u64 = 100 * 366 * 24 * 3_600 * 1_000_000;

/// A reason for which an entry can't be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Implausible {
    /// The entry is dated in the future, or before there were boxes.
    Date,
    /// The entry says that more sounded than there was, or than the time has room for.
    Length,
}

/// Judges an entry that arrived at this time by central's clock.
pub fn judge(entry: &Entry, arrived: Wall) -> Option<Implausible> {
    let dated = |at: &Stamp| is_dated(at.wall, at.quality, arrived);
    if !dated(&entry.at) {
        return Some(Implausible::Date);
    }
    match &entry.event {
        Event::PlayStarted(start) if start.scheduled.is_some_and(|at| at > latest(arrived)) => {
            Some(Implausible::Date)
        }
        Event::PlayEnded(end) if !end.started_at.as_ref().is_none_or(dated) => Some(Implausible::Date),
        Event::PlayEnded(end) if !has_room(end, &entry.at) => Some(Implausible::Length),
        Event::ClockSet { step_us, .. } if step_us.unsigned_abs() > STEP_US_MAX => Some(Implausible::Date),
        _ => None,
    }
}

/// Returns the latest date that is believed of an entry that arrived at this time.
pub fn latest(arrived: Wall) -> Wall {
    arrived.plus(AHEAD_MAX)
}

/// Tells whether an instant can be true. A box without a known time may show any past: its entries are dated anew
/// when it learns the time.
fn is_dated(wall: Wall, quality: ClockQuality, arrived: Wall) -> bool {
    wall <= latest(arrived) && (quality != ClockQuality::Synced || wall >= BUILT)
}

/// Tells whether what sounded fits into what was due and into the time from its first sample to its end. The length of a
/// file is often estimated, and a device has buffers: both have a margin.
fn has_room(end: &PlayEnd, ended: &Stamp) -> bool {
    let played = end.frames_played;
    let longest = frames(PLAY_MAX);
    let of_due = end.frames_due.map(|due| due.saturating_add(due / 4).saturating_add(frames(Span::secs(30))));
    let of_time = end.started_at.filter(|started| started.start == ended.start).map(|started| {
        let took = frames(ended.moment().since(started.moment()));
        took.saturating_add(took / 50).saturating_add(frames(Span::secs(10)))
    });
    [Some(longest), of_due, of_time].into_iter().flatten().all(|room| played <= room)
        && end.frames_due.is_none_or(|due| due <= longest)
}

/// Returns the frames of a length of time.
fn frames(span: Span) -> u64 {
    let frames = u128::from(span.0) * u128::from(FRAMES_A_SECOND) / 1_000_000;
    u64::try_from(frames).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::PlayId;
    use crate::domain::playback::{PlayOutcome, Subject};

    const NOW: Wall = Wall(1_795_221_000_000_000);
    const SECOND: u64 = FRAMES_A_SECOND as u64;

    fn stamp(wall: Wall, quality: ClockQuality, seconds: u64) -> Stamp {
        Stamp { start: 1, mono_us: seconds * 1_000_000, wall, quality, uncertainty_ms: 1 }
    }

    fn check(at: Stamp, event: Event, expected: Option<Implausible>) {
        let entry = Entry { at, event };
        assert_eq!(judge(&entry, NOW), expected, "{entry:?}");
    }

    #[test]
    fn a_date_is_of_the_past_that_boxes_have() {
        use ClockQuality::{None as Unknown, Synced};
        let dated = |wall, quality, expected| check(stamp(wall, quality, 0), Event::DeviceBack, expected);
        dated(NOW, Synced, None);
        dated(NOW.plus(Span::secs(3_600)), Synced, None);
        dated(Wall(0), Unknown, None);
        dated(Wall(0), Synced, Some(Implausible::Date));
        dated("2199-01-01T00:00:00Z".parse().unwrap(), Unknown, Some(Implausible::Date));
        dated(Wall(i64::MAX), Synced, Some(Implausible::Date));
        let step = |step_us| Event::ClockSet { step_us, before: Unknown };
        check(stamp(NOW, Synced, 0), step(50 * 365 * 86_400_000_000), None);
        check(stamp(NOW, Synced, 0), step(i64::MIN), Some(Implausible::Date));
        let longest = i64::try_from(STEP_US_MAX).unwrap();
        check(stamp(NOW, Synced, 0), step(-longest), None);
        check(stamp(NOW, Synced, 0), step(-longest - 1), Some(Implausible::Date));
    }

    #[test]
    fn a_play_is_no_longer_than_its_time_and_its_sound() {
        let length = |frames_played, frames_due, took, expected| {
            let end = PlayEnd {
                play: PlayId::new(1, 1),
                subject: Subject::Live { voice: "v".to_owned() },
                outcome: PlayOutcome::Finished,
                started_at: Some(stamp(NOW, ClockQuality::Synced, 0)),
                frames_played,
                frames_due,
                loudness_lufs: None,
                heard: None,
            };
            check(stamp(NOW, ClockQuality::Synced, took), Event::PlayEnded(end), expected);
        };
        length(60 * SECOND, Some(60 * SECOND), 60, None);
        length(66 * SECOND, Some(60 * SECOND), 66, None);
        length(600 * SECOND, None, 600, None);
        length(600 * SECOND, Some(60 * SECOND), 600, Some(Implausible::Length));
        length(105 * SECOND, Some(60 * SECOND), 600, None);
        length(105 * SECOND + 1, Some(60 * SECOND), 600, Some(Implausible::Length));
        length(112 * SECOND, None, 100, None);
        length(112 * SECOND + 1, None, 100, Some(Implausible::Length));
        length(60 * SECOND, Some(60 * SECOND), 20, Some(Implausible::Length));
        length(u64::MAX, None, u64::MAX / 1_000_000, Some(Implausible::Length));
        length(0, Some(u64::MAX), 0, Some(Implausible::Length));
        length((1 << 63) - 1, Some((1 << 63) - 1), 60, Some(Implausible::Length));
    }
}
