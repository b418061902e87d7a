//! The log against the sound: what each box says that it played, and what its recording holds.

use super::ears::{SILENT, Sound, peak, rms};
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Largest difference between a time in the recording and in the log, in seconds.
const OFF_MAX_S: f64 = 0.050;
/// Reach of the search around the expected place of a piece, in seconds.
const AROUND_S: f64 = 0.200;
/// Least likeness of the recording and the piece, from 0 to 1.
const ALIKE_MIN: f64 = 0.95;
/// Length of sound that is compared at a time, in seconds.
const WINDOW_S: f64 = 0.5;
/// Distance between two comparisons, in seconds.
const STEP_S: f64 = 3.0;
/// Fades, and the ringing of resamplers, beside which silence is not asked for.
const MARGIN_S: f64 = 0.080;
/// The end of a piece that is not compared, because what is cut off fades out over 20 ms.
const FADE_S: f64 = 0.025;
/// A tone is right within this.
const TONE_OFF_MAX_HZ: f64 = 3.0;
/// Length of sound in which a tone is measured, in seconds.
const TONE_S: f64 = 2.0;
/// A sweeping tone is measured in moments of this length, in which it moves by 5 Hz.
const SWEEP_S: f64 = 0.1;
const SWEEP_OFF_MAX_HZ: f64 = 12.0;

/// One play as the log tells it.
pub struct Told {
    pub title: String,
    /// Start of the first sample, in seconds of the box's monotonic clock.
    pub at: f64,
    pub seconds: f64,
    /// The expected sound, from where the play was entered; `None` where only the box knows it, as with words that the
    /// box speaks itself.
    pub piece: Option<Sound>,
    /// The tone under a piece of music (playlists/README.md).
    pub tone_hz: Option<f64>,
    /// Says that the play begins with the siren, from the siren's start.
    pub siren: bool,
}

/// One line of the table of checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub place: String,
    pub what: Sentence,
    pub expected: Sentence,
    pub measured: Sentence,
    pub ok: bool,
}

/// Compares a box's log with its recording. The clock of the log is set by the first play; all else is relative to it.
pub fn measure(place: &str, recording: &Sound, told: &[Told]) -> Vec<Check> {
    let row = |what: Sentence, expected: Sentence, measured: Sentence, ok| Check {
        place: place.to_owned(),
        what,
        expected,
        measured,
        ok,
    };
    let first = told.first().and_then(|play| Some((play, play.piece.as_ref()?)));
    let Some(((first, piece), onset)) = first.zip(recording.onset()) else {
        return vec![row(said!("proof.recording"), said!("proof.sound"), said!("proof.silence"), false)];
    };
    let began = onset - piece.onset().unwrap_or(0.0);
    let (lag, _) = recording.find(piece.part(0.0..WINDOW_S), began, AROUND_S);
    let zero = began + lag - first.at;
    let mut checks = Vec::new();
    for play in told {
        let at = zero + play.at;
        let loudness = rms(recording.part(at..at + play.seconds));
        let (measured, ok) = match &play.piece {
            Some(piece) => {
                let heard = listen(recording, play, piece, at);
                (heard.say(), heard.is_right() && loudness >= SILENT)
            }
            None => {
                let level = Sentence::decimal(loudness.into(), 3);
                (said!("proof.not_compared", level), loudness >= SILENT)
            }
        };
        let expected = said!("proof.when", from = seconds(at, 7), length = seconds(play.seconds, 6));
        checks.push(row(Sentence::from_outside(&*play.title), expected, measured, ok));
        checks.extend(
            tone(recording, play, at)
                .map(|(expected, measured, ok)| row(tone_name(play), expected, measured, ok)),
        );
    }
    let (loudest, at) = loudest_between(recording, told, zero);
    let measured = said!("proof.peak", level = Sentence::decimal(loudest.into(), 4), at = seconds(at, 0));
    checks.push(row(said!("proof.in_between"), said!("proof.silence"), measured, loudest < SILENT));
    checks
}

/// A play as it was heard in the recording.
struct Heard {
    /// Later than told, in seconds, at its first and its last moment that was compared.
    first_lag: f64,
    last_lag: f64,
    began: f64,
    seconds: f64,
    alike: f64,
}

impl Heard {
    fn is_right(&self) -> bool {
        self.alike >= ALIKE_MIN
            && self.first_lag.abs() <= OFF_MAX_S
            && (self.last_lag - self.first_lag).abs() <= OFF_MAX_S
    }
}

impl Say for Heard {
    fn say(&self) -> Sentence {
        let percent = format!("{:3.0}", self.alike * 100.0);
        said!("proof.heard", from = seconds(self.began, 7), length = seconds(self.seconds, 6), percent)
    }
}

/// Seconds with two decimals, in a column of this width.
fn seconds(seconds: f64, width: usize) -> Sentence {
    let en = format!("{seconds:width$.2}");
    Sentence::Each { vi: en.replace('.', ","), en }
}

fn listen(recording: &Sound, play: &Told, piece: &Sound, at: f64) -> Heard {
    // Windows from the start on, and one at the very end; silences of the piece itself say nothing.
    let end = (play.seconds - FADE_S).max(0.0);
    let last = (end - WINDOW_S).max(0.0);
    let steps = (0..).map(|n| f64::from(n) * STEP_S).take_while(|from| *from < last);
    let windows = steps.chain([last]).map(|from| (from, piece.part(from..(from + WINDOW_S).min(end))));
    let found: Vec<_> = windows
        .filter(|(_, piece)| rms(piece) >= SILENT)
        .map(|(from, piece)| recording.find(piece, at + from, AROUND_S))
        .collect();
    let lag = |found: Option<&(f64, f64)>| found.map_or(0.0, |(lag, _)| *lag);
    let (first_lag, last_lag) = (lag(found.first()), lag(found.last()));
    Heard {
        first_lag,
        last_lag,
        began: at + first_lag,
        seconds: play.seconds + last_lag - first_lag,
        alike: found.iter().map(|(_, alike)| *alike).reduce(f64::min).unwrap_or(0.0),
    }
}

fn tone_name(play: &Told) -> Sentence {
    if play.siren { said!("proof.siren") } else { said!("proof.tone") }
}

/// The tone of music, or the sweep of a siren: expected, measured, right.
fn tone(recording: &Sound, play: &Told, at: f64) -> Option<(Sentence, Sentence, bool)> {
    if let Some(hz) = play.tone_hz {
        let middle = at + play.seconds / 2.0;
        let half = (TONE_S / 2.0).min(play.seconds / 2.0);
        let found = recording.loudest_hz(middle - half..middle + half, 150.0..1_000.0);
        let ok = (found - hz).abs() <= TONE_OFF_MAX_HZ;
        let hertz = |hz: f64| said!("proof.hertz", hz = Sentence::decimal(hz, 1));
        return Some((hertz(hz), hertz(found), ok));
    }
    if !play.siren {
        return None;
    }
    let siren = Pattern::siren(1);
    let tone = siren.tones.first()?;
    let whole = f64::from(tone.ms) / 1_000.0;
    let moments = [0.25, 0.5, 0.75].map(|share| share * whole);
    let expected =
        moments.map(|t| f64::from(tone.from_hz) + f64::from(tone.to_hz - tone.from_hz) * t / whole);
    let found = moments.map(|t| {
        let middle = at + t;
        recording.loudest_hz(middle - SWEEP_S / 2.0..middle + SWEEP_S / 2.0, 150.0..1_000.0)
    });
    let ok = expected.iter().zip(found).all(|(expected, found)| (found - expected).abs() <= SWEEP_OFF_MAX_HZ);
    let rising = |hz: [f64; 3]| said!("proof.hertz", hz = hz.map(|hz| format!("{hz:.0}")).join(" → "));
    Some((rising(expected), rising(found), ok))
}

/// The loudest sample where no play is told of, and where it is.
fn loudest_between(recording: &Sound, told: &[Told], zero: f64) -> (f32, f64) {
    let mut free = 0.0;
    let mut loudest = (0.0, 0.0);
    let ends = told.iter().map(|play| (zero + play.at, zero + play.at + play.seconds));
    for (from, to) in ends.chain([(recording.seconds() + MARGIN_S, 0.0)]) {
        let gap = free..from - MARGIN_S;
        if gap.end > gap.start {
            let most = peak(recording.part(gap.clone()));
            loudest = if most > loudest.0 { (most, gap.start) } else { loudest };
        }
        free = to + MARGIN_S;
    }
    loudest
}

#[cfg(test)]
mod tests {
    use super::super::ears::tests::{in_turn, rising, silence};
    use super::*;

    fn told(title: &str, at: f64, seconds: f64, piece: Sound) -> Told {
        Told { title: title.to_owned(), at, seconds, piece: Some(piece), tone_hz: None, siren: false }
    }

    fn three() -> Vec<Told> {
        vec![
            told("a", 100.0, 2.0, rising(300.0, 2.0)),
            told("b", 102.0, 4.0, rising(500.0, 4.0)),
            told("c", 107.0, 2.0, rising(700.0, 2.0)),
        ]
    }

    /// `wrong`: what the checks that fail are about.
    fn check(pieces: &[Sound], told: &[Told], wrong: &[&str]) {
        let checks = measure("loa", &in_turn(pieces), told);
        let found: Vec<_> = checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.what.to_string()[..1].to_owned())
            .collect();
        assert_eq!(found, wrong, "{checks:#?}");
        let tones = told.iter().filter(|play| play.tone_hz.is_some() || play.siren).count();
        assert_eq!(checks.len(), told.len() + tones + 1);
    }

    #[test]
    fn a_recording_holds_what_the_log_says_or_fails() {
        let (a, b, c) = (rising(300.0, 2.0), rising(500.0, 4.0), rising(700.0, 2.0));
        let gap = || silence(1.0);
        check(&[silence(3.3), a.clone(), b.clone(), gap(), c.clone(), gap()], &three(), &[]);
        // One that is missing, one that is late, one that broke off, something that nobody told of.
        check(&[gap(), a.clone(), silence(4.0), gap(), c.clone(), gap()], &three(), &["b"]);
        check(&[gap(), a.clone(), b.clone(), silence(1.07), c.clone(), gap()], &three(), &["c"]);
        let short = rising(500.0, 2.0);
        check(&[gap(), a.clone(), short, silence(3.0), c.clone(), gap()], &three(), &["b"]);
        check(&[gap(), a.clone(), b.clone(), gap(), c.clone(), gap(), a.clone()], &three(), &["i"]);
        // A piece that went on from another place than told.
        let mut moved = three();
        moved[1].piece = Some(rising(500.0, 6.0).from(1.0));
        check(&[gap(), a, b, gap(), c, gap()], &moved, &["b"]);
    }

    #[test]
    fn silence_is_no_proof() {
        let checks = measure("loa", &silence(20.0), &three());
        assert!(checks.iter().all(|check| !check.ok) && checks.len() == 1);
    }

    #[test]
    fn tones_and_sirens_are_measured() {
        let siren = Sound::expected(Some(&Pattern::siren(1)), None).unwrap();
        let steady = Pattern {
            tones: vec![loaxa_heart::domain::sound::Tone {
                from_hz: 392.0,
                to_hz: 392.0,
                ms: 5_000,
                gap_ms: 0,
            }],
            repeats: 1,
        };
        let music = Sound::expected(Some(&steady), None).unwrap();
        let plays = |hz| {
            let mut plays = vec![told("s", 10.0, 30.0, siren.clone()), told("m", 40.0, 5.0, music.clone())];
            plays[0].siren = true;
            plays[1].tone_hz = Some(hz);
            plays
        };
        let sounds = [silence(1.0), siren.clone(), music.clone(), silence(1.0)];
        check(&sounds, &plays(392.0), &[]);
        check(&sounds, &plays(349.2), &[" "]);
    }
}
