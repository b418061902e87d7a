//! Shaping of sound for the loudspeakers of a box: part of `[sound]`.

use super::fields::Fields;
use crate::said;

/// The kind of loudspeaker on the amplifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loudspeaker {
    /// A loudspeaker that radiates everything.
    #[default]
    Full,
    /// A horn, which gets only what it can radiate, 300 Hz to 7 kHz. Deeper sound only heats and tears its driver.
    Horn,
}

/// The shaping of a sound beside its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    pub loudspeaker: Loudspeaker,
    /// Loud and soft syllables brought nearer to each other, so that speech is not buried by noise.
    pub compress: bool,
}

/// The shapes of a day; by default none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shaping {
    pub day: Shape,
    /// Differences from 21:00 to 06:00.
    pub night: Option<Night>,
}

/// `[sound.night]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Night {
    pub loudness_lufs: f32,
    pub compress: bool,
}

impl Shape {
    /// Tells whether the shape leaves sound as it is.
    pub fn is_flat(self) -> bool {
        self == Self::default()
    }
}

impl Shaping {
    /// Returns shape and target in force, by night or by day; `target_lufs` is the day's.
    pub fn at(&self, is_night: bool, target_lufs: Option<f32>) -> (Shape, Option<f32>) {
        match self.night.filter(|_| is_night) {
            Some(night) => {
                let target = target_lufs.map(|_| night.loudness_lufs);
                (Shape { compress: night.compress, ..self.day }, target)
            }
            None => (self.day, target_lufs),
        }
    }
}

/// Reads `loudspeaker`, `compress` and `night` of `[sound]`; `loudness_lufs` is the day's.
pub(super) fn shaping(fields: &mut Fields<'_>, loudness_lufs: f32) -> Option<Shaping> {
    let kinds = [("full", Loudspeaker::Full), ("horn", Loudspeaker::Horn)];
    let switch = [("yes", true), ("no", false)];
    let loudspeaker =
        fields.get("loudspeaker").map_or(Some(Loudspeaker::Full), |value| value.choice(&kinds))?;
    let compress = fields.get("compress").map_or(Some(false), |value| value.choice(&switch))?;
    let night = match fields.get("night") {
        None => None,
        Some(value) => {
            let mut fields = value.table()?;
            let value = fields.get("loudness_lufs");
            let night_lufs =
                value.as_ref().map_or(Some(loudness_lufs), |value| value.number(-40.0..=-8.0))?;
            if let Some(value) = value.filter(|_| night_lufs > loudness_lufs) {
                value.problem(said!("problem.loud_night"));
            }
            let compress = fields.get("compress").map_or(Some(compress), |value| value.choice(&switch))?;
            fields.finish();
            Some(Night { loudness_lufs: night_lufs, compress })
        }
    };
    Some(Shaping { day: Shape { loudspeaker, compress }, night })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Shape = Shape { loudspeaker: Loudspeaker::Horn, compress: false };

    fn check(shaping: Shaping, is_night: bool, expected: (Shape, Option<f32>)) {
        assert_eq!(shaping.at(is_night, Some(-18.0)), expected);
    }

    #[test]
    fn the_night_has_its_own_level() {
        let night = Some(Night { loudness_lufs: -24.0, compress: true });
        check(Shaping::default(), true, (Shape::default(), Some(-18.0)));
        check(Shaping { day: DAY, night }, false, (DAY, Some(-18.0)));
        check(Shaping { day: DAY, night }, true, (Shape { compress: true, ..DAY }, Some(-24.0)));
        check(Shaping { day: DAY, night: None }, true, (DAY, Some(-18.0)));
        assert_eq!(Shaping { day: DAY, night }.at(true, None).1, None);
    }
}
