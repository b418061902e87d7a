//! The opening of a score's parts, each from its source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Timelike;

use super::banded::Banded;
use super::file::{FilePart, Treatment};
use super::live::Live;
use super::part::{Part, Silence};
use super::relay::Relay;
use super::synth::Synth;
use crate::decode::{self, resampled::Resampled};
use crate::frames_in;
use crate::level::loudness::{LoudnessBook, Measured, TARGET_LUFS, Way, after_db, gain_db, measure};
use crate::losses::Losses;
use crate::output::together::SharedClock;
use crate::tts::Speech;
use loaxa_adapters::authorities::Authorities;
use loaxa_adapters::clock::wall;
use loaxa_heart::config::shaping::{Shape, Shaping};
use loaxa_heart::domain::sound::{Fault, FileRef, Sound};
use loaxa_heart::domain::time::Span;

/// Time that is spent on measuring a file that was never measured, before it sounds.
const FIRST_LISTEN: Span = Span::millis(10);

/// The places and the means from which the parts of a score are opened.
pub struct Sources {
    /// Files named by path are found here, unless the path is absolute.
    pub programme_dir: PathBuf,
    /// Files named by hash are found here, in folders of the first two digits.
    pub media_dir: PathBuf,
    pub speech: Speech,
    pub book: LoudnessBook,
    /// Level that files are brought to; `None` leaves them as they are.
    pub target_lufs: Option<f32>,
    /// The authorities that central's server is checked against, beside those of the machine.
    pub ca: Option<Authorities>,
    /// The clock that plays which sound together keep to.
    pub clock: SharedClock,
    pub shaping: Shaping,
    pub losses: Arc<Losses>,
}

/// Tells whether it is night, 21:00 to 06:00 (QCVN 26:2010/BTNMT), by the system's clock, believed or not: only a level
/// depends on it.
fn is_night() -> bool {
    !(6..21).contains(&wall().local().hour())
}

impl Sources {
    /// Returns the path of a file.
    pub fn path(&self, file: &FileRef) -> PathBuf {
        match file {
            FileRef::Path(path) => self.programme_dir.join(path),
            FileRef::Stored(hash) => hash.path_under(&self.media_dir),
        }
    }

    /// Returns the shape and the level in force now.
    fn profile(&self) -> (Shape, Option<f32>) {
        self.shaping.at(is_night(), self.target_lufs)
    }

    /// Asks for a file to be measured when there is time, as it would sound now.
    pub fn ask(&self, file: &FileRef) {
        self.ask_path(&self.path(file), self.profile().0);
    }

    fn ask_path(&self, path: &Path, shape: Shape) {
        if !self.book.ask(path, shape) {
            self.losses.unmeasured_files.add(1);
        }
    }

    /// Works out how a file is brought to its level and into shape.
    fn treatment(&self, path: &Path) -> Result<Treatment, Fault> {
        let (shape, target) = self.profile();
        let Some(target) = target else { return Ok(Treatment::new(shape, 0.0, 0.0)) };
        let Measured { lufs: flat, whole: known, offset } = self.loudness(path, Way::default(), true)?;
        if shape.is_flat() {
            return Ok(Treatment::new(shape, 0.0, gain_db(flat, target)).without(offset));
        }
        let before_db = gain_db(flat, TARGET_LUFS);
        let shaped = self.loudness(path, Way { before_db, shape, offset }, known)?.lufs;
        Ok(Treatment::new(shape, before_db, after_db(flat, before_db, shaped, target)).without(offset))
    }

    /// Returns a file's loudness and offset: a file that was never measured is judged by its first moments.
    fn loudness(&self, path: &Path, way: Way, keep: bool) -> Result<Measured, Fault> {
        if let Some(known) = self.book.known(path, way.shape) {
            return Ok(Measured { lufs: known, whole: true, offset: self.book.offset(path) });
        }
        let first = measure(path, way, Some(FIRST_LISTEN))?;
        if first.whole && keep {
            self.book.keep_offset(path, first.offset);
            self.book.keep(path, way.shape, first.lufs);
        } else {
            self.ask_path(path, way.shape);
        }
        Ok(first)
    }

    /// Opens a part of a score.
    ///
    /// # Errors
    /// Tells why it can't sound.
    pub(crate) fn open(&self, sound: &Sound) -> Result<Box<dyn Part>, Fault> {
        match sound {
            Sound::File(file) => self.open_file(&self.path(file)),
            Sound::Text { text, language } => self.open_file(&self.speech.speak(text, language)?),
            Sound::Pattern(pattern) => {
                Ok(Box::new(Banded::new(Synth::new(pattern.clone()), self.profile().0)))
            }
            Sound::Silence(span) => Ok(Box::new(Silence::new(frames_in(*span)))),
            Sound::Relay { url } => {
                let (shape, target_lufs) = self.profile();
                Ok(Box::new(Relay::open(url, shape, target_lufs)?))
            }
            Sound::Live { url, .. } => {
                let live = Live::open(url, self.ca.as_ref().map(Authorities::file), self.losses.clone())?;
                Ok(Box::new(Banded::new(live, self.profile().0)))
            }
        }
    }

    fn open_file(&self, path: &Path) -> Result<Box<dyn Part>, Fault> {
        let sound = Resampled::new(decode::open(path)?)?;
        let treatment = self.treatment(path)?;
        Ok(Box::new(FilePart::new(sound, treatment)))
    }
}
