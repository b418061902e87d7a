//! The programmes that central sent to a box in memory. Their audio is a length and nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::decide::schedule::{Calendar, Timetable};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::{ContentHash, GroupId, KeyId, ProgrammeId};
use loaxa_heart::domain::sound::{Fault, FileRef, Sound};
use loaxa_heart::domain::time::Span;
use loaxa_heart::texts::{Say, Sentence};

/// A programme in force, with those who signed it.
struct Sent {
    calendar: Calendar,
    signers: Vec<KeyId>,
}

/// Programmes in force, and the lengths of all audio that was named.
#[derive(Default)]
pub struct Programmes {
    sent: BTreeMap<ProgrammeId, Sent>,
    by_hash: BTreeMap<ContentHash, Span>,
    by_path: BTreeMap<PathBuf, Span>,
}

impl Programmes {
    /// Takes a programme and gives the timetable of a box in `groups`; everything stays as it was where it is wrong.
    ///
    /// # Errors
    /// Tells what is wrong with it.
    pub fn adopt(
        &mut self,
        id: &ProgrammeId,
        (version, toml): (u32, &str),
        media: &BTreeMap<String, Media>,
        signers: &[KeyId],
        groups: &BTreeSet<GroupId>,
    ) -> Result<Timetable, Sentence> {
        let base = PathBuf::from(id.as_str());
        let lengths: BTreeMap<PathBuf, u32> =
            media.iter().map(|(name, media)| (base.join(name), media.ms)).collect();
        let probe =
            |path: &Path| lengths.get(path).copied().ok_or_else(|| other("its audio was not sent along"));
        let programme = programme_file::parse(toml, id.as_str(), &base, Audio::Sent(&probe))
            .map_err(|problems| problems.say())?;
        if programme.id != *id || programme.version != version {
            return Err(other("it is another programme than its command says"));
        }
        let calendar = Calendar::new(Arc::new(programme)).map_err(|rule| rule.say())?;
        let before = self.sent.insert(id.clone(), Sent { calendar, signers: signers.to_vec() });
        let timetable = self.timetable(groups);
        if timetable.is_err() {
            self.sent.remove(id);
            self.sent.extend(before.map(|sent| (id.clone(), sent)));
        } else {
            self.by_path.extend(lengths.into_iter().map(|(path, ms)| (path, Span::millis(ms.into()))));
        }
        timetable
    }

    /// Returns the timetable of a box in `groups`.
    ///
    /// # Errors
    /// Names two programmes that use one slot id.
    pub fn timetable(&self, groups: &BTreeSet<GroupId>) -> Result<Timetable, Sentence> {
        let heard = self.sent.values().filter(|sent| groups.contains(&sent.calendar.programme().group));
        Timetable::new(heard.map(|sent| sent.calendar.clone()).collect()).map_err(|clash| clash.say())
    }

    /// Returns version and signers of a programme in force; 0 and nobody for none.
    pub fn held(&self, id: &ProgrammeId) -> (u32, Vec<KeyId>) {
        let sent = self.sent.get(id);
        sent.map_or((0, Vec::new()), |sent| (sent.calendar.programme().version, sent.signers.clone()))
    }

    /// Returns the version of each programme.
    pub fn versions(&self) -> BTreeMap<ProgrammeId, u32> {
        self.sent.iter().map(|(id, sent)| (id.clone(), sent.calendar.programme().version)).collect()
    }

    /// Remembers how long a piece of audio is.
    pub fn learn(&mut self, media: &Media) {
        self.by_hash.insert(media.sha256, Span::millis(media.ms.into()));
    }

    /// Returns the length of a sound, `None` where it has no end.
    ///
    /// # Errors
    /// Fails for audio that nobody named, and for words: boxes in memory have no voice of their own.
    pub fn length(&self, sound: &Sound) -> Result<Option<Span>, Fault> {
        let missing = |what: String| Fault::Missing { what };
        match sound {
            Sound::Pattern(pattern) => Ok(Some(pattern.length())),
            Sound::Silence(span) => Ok(Some(*span)),
            Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
            Sound::File(FileRef::Stored(hash)) => {
                self.by_hash.get(hash).copied().map(Some).ok_or_else(|| missing(hash.to_string()))
            }
            Sound::File(FileRef::Path(path)) => {
                self.by_path.get(path).copied().map(Some).ok_or_else(|| missing(path.display().to_string()))
            }
            Sound::Text { text, .. } => Ok(Some(Span::millis(text.chars().count() as u64 * MS_A_CHARACTER))),
        }
    }
}

/// Time that a voice needs for a character; espeak-ng takes about as long.
const MS_A_CHARACTER: u64 = 70;

/// A reason that only whoever looks at a fleet reads.
fn other(reason: &str) -> Sentence {
    Sentence::from_outside(reason.to_owned())
}
