//! Programmes: those that the installer put on the box, and those that central sent in a signed command.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::adapters::sound::decode;
use crate::config::programme_file::{self, Audio};
use crate::decide::schedule::{Calendar, Place, Timetable};
use crate::domain::announcement::Media;
use crate::domain::ids::{ContentHash, ProgrammeId};
use crate::domain::sound::{FileRef, Sound};
use crate::domain::time::Wall;

/// How far it is looked ahead for the first use of a file.
const DAYS_AHEAD: usize = 14;

/// Programmes in force on a box.
#[derive(Default)]
pub struct Programmes {
    calendars: BTreeMap<ProgrammeId, Calendar>,
    /// Where audio of programmes that were sent is found by its name in the programme.
    dir: PathBuf,
    media_dir: PathBuf,
    /// Audio of what was sent.
    media: BTreeMap<ProgrammeId, BTreeMap<PathBuf, ContentHash>>,
}

impl Programmes {
    /// Reads the installer's files. One that is wrong is left out, and what is wrong with it is returned: the others
    /// still sound.
    pub fn read(files: &[PathBuf], dir: PathBuf, media_dir: PathBuf) -> (Self, Vec<String>) {
        let mut programmes = Self { dir, media_dir, ..Self::default() };
        let mut wrong = Vec::new();
        for file in files {
            let probe = |path: &Path| match decode::probe(path) {
                Ok(info) => u32::try_from(info.ms).map_err(|_| "it is longer than 49 days".to_owned()),
                Err(fault) => Err(fault.to_string()),
            };
            let read = programme_file::read(file, Audio::WherePresent(&probe))
                .map_err(|problems| problems.to_string());
            match read
                .and_then(|programme| Calendar::new(Arc::new(programme)).map_err(|rule| rule.to_string()))
            {
                Ok(calendar) => {
                    programmes.calendars.insert(calendar.programme().id.clone(), calendar);
                }
                Err(problem) => wrong.push(problem),
            }
        }
        (programmes, wrong)
    }

    /// Takes a programme that was sent. The one in force stays where this one is wrong or not newer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn adopt(
        &mut self,
        id: &ProgrammeId,
        version: u32,
        toml: &str,
        media: &BTreeMap<String, Media>,
    ) -> Result<(), String> {
        let held = self.calendars.get(id).map_or(0, |calendar| calendar.programme().version);
        if version <= held {
            return Err(format!("version {version} of programme {id} is not newer than {held}"));
        }
        let base = self.dir.join(id.as_str());
        let lengths: BTreeMap<PathBuf, u32> =
            media.iter().map(|(name, media)| (base.join(name), media.ms)).collect();
        let probe =
            |path: &Path| lengths.get(path).copied().ok_or_else(|| "it was not sent along".to_owned());
        let programme = programme_file::parse(toml, id.as_str(), &base, Audio::Required(&probe))
            .map_err(|problems| problems.to_string())?;
        if programme.id != *id || programme.version != version {
            return Err(format!("it says that it is {} version {}", programme.id, programme.version));
        }
        let calendar = Calendar::new(Arc::new(programme)).map_err(|rule| rule.to_string())?;
        self.link_media(&base, media).map_err(|error| error.to_string())?;
        self.calendars.insert(id.clone(), calendar);
        let named = media.iter().map(|(name, media)| (base.join(name), media.sha256));
        self.media.insert(id.clone(), named.collect());
        Ok(())
    }

    /// Gives each file its name in the programme, as a link into the media store that may still be waited for.
    fn link_media(&self, base: &Path, media: &BTreeMap<String, Media>) -> std::io::Result<()> {
        for (name, media) in media {
            let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if !plain {
                return Err(std::io::Error::other(format!("{name:?} is no plain name of a file")));
            }
            let link = base.join(name);
            if let Some(parent) = link.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let hash = media.sha256.to_string();
            let target = self.media_dir.join(&hash[..2]).join(&hash);
            let fresh = link.with_extension("new-link");
            let _ = std::fs::remove_file(&fresh);
            std::os::unix::fs::symlink(target, &fresh)?;
            std::fs::rename(&fresh, &link)?;
        }
        Ok(())
    }

    /// Audio that programmes in force name.
    pub fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        self.media.values().flat_map(|named| named.values().copied())
    }

    /// When each file of a programme that was sent is first needed, as far as the days to come tell.
    pub fn first_needed(&self, id: &ProgrammeId, place: &Place, now: Wall) -> BTreeMap<ContentHash, Wall> {
        let mut needed = BTreeMap::new();
        let (Some(calendar), Some(named)) = (self.calendars.get(id), self.media.get(id)) else {
            return needed;
        };
        for date in now.date().iter_days().take(DAYS_AHEAD) {
            for session in calendar.sessions_on(date, place).iter().filter(|session| session.end > now) {
                for piece in calendar.fill(session, place, 0).pieces {
                    let Sound::File(FileRef::Path(path)) = &piece.sound else { continue };
                    if let Some(sha256) = named.get(path) {
                        needed.entry(*sha256).or_insert(session.start);
                    }
                }
            }
        }
        needed
    }

    /// All of them side by side.
    ///
    /// # Errors
    /// Names two that use one slot id.
    pub fn timetable(&self) -> Result<Timetable, String> {
        Timetable::new(self.calendars.values().cloned().collect()).map_err(|clash| clash.to_string())
    }

    /// The version of each.
    pub fn versions(&self) -> BTreeMap<ProgrammeId, u32> {
        let version = |(id, calendar): (&ProgrammeId, &Calendar)| (id.clone(), calendar.programme().version);
        self.calendars.iter().map(version).collect()
    }
}
