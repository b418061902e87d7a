//! Programmes: those that the installer put on the box, and those that central sent in a signed command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::{ContentHash, GroupId, ProgrammeId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::sound::{FileRef, Sound};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_sound::decode;

/// Days that are searched for the first use of a file.
const DAYS_AHEAD: usize = 14;

/// The files of a programme, by their names.
type Named = BTreeMap<PathBuf, ContentHash>;

/// Programmes in force on a box.
#[derive(Default)]
pub struct Programmes {
    /// The installer's: they sound whatever the groups of the box are.
    installed: BTreeMap<ProgrammeId, Calendar>,
    /// Those that central sent, each in place of an installed one of its name; they sound in their group.
    sent: BTreeMap<ProgrammeId, Calendar>,
    /// The folder in which audio of programmes that were sent is found by its name in the programme.
    dir: PathBuf,
    media_dir: PathBuf,
    /// Audio of what was sent.
    media: BTreeMap<ProgrammeId, Named>,
}

impl Programmes {
    /// Reads the installer's files. Returns what is wrong with those that are left out; the others still sound.
    pub fn read(files: &[PathBuf], dir: PathBuf, media_dir: PathBuf) -> (Self, Vec<String>) {
        let mut programmes = Self { dir, media_dir, ..Self::default() };
        let mut wrong = Vec::new();
        for file in files {
            let probe = |path: &Path| match decode::probe(path) {
                Ok(info) => u32::try_from(info.ms).map_err(|_| said!("audio.too_long")),
                Err(fault) => Err(fault.say()),
            };
            let read = programme_file::read(file, Audio::WherePresent(&probe))
                .map_err(|problems| problems.to_string());
            match read
                .and_then(|programme| Calendar::new(Arc::new(programme)).map_err(|rule| rule.to_string()))
            {
                Ok(calendar) => {
                    programmes.installed.insert(calendar.programme().id.clone(), calendar);
                }
                Err(problem) => wrong.push(problem),
            }
        }
        (programmes, wrong)
    }

    /// Takes a programme that was sent, and gives the timetable of a box in `groups`. Everything stays as it was where
    /// this one is wrong, not newer, or can't stand beside the others.
    ///
    /// # Errors
    /// Tells what is wrong with it.
    pub fn adopt(
        &mut self,
        id: &ProgrammeId,
        version: u32,
        toml: &str,
        media: &BTreeMap<String, Media>,
        groups: &BTreeSet<GroupId>,
    ) -> Result<Timetable, CommandRefusal> {
        let held = self.versions().get(id).copied().unwrap_or(0);
        if version <= held {
            return Err(CommandRefusal::Rollback { offered: version, held });
        }
        let impossible = |detail: Sentence| CommandRefusal::Impossible { detail };
        let (calendar, named) = self.read_sent(id, version, toml, media).map_err(impossible)?;
        let before = self.sent.insert(id.clone(), calendar);
        let adopted = self.timetable(groups).map_err(impossible);
        if adopted.is_err() {
            self.sent.remove(id);
            self.sent.extend(before.map(|calendar| (id.clone(), calendar)));
        } else {
            self.media.insert(id.clone(), named);
        }
        adopted
    }

    /// Takes out of force a programme that was sent; an installed one of the same name is heard again.
    pub fn forget(&mut self, id: &ProgrammeId) {
        self.sent.remove(id);
    }

    fn read_sent(
        &self,
        id: &ProgrammeId,
        version: u32,
        toml: &str,
        media: &BTreeMap<String, Media>,
    ) -> Result<(Calendar, Named), Sentence> {
        let base = self.dir.join(id.as_str());
        let lengths: BTreeMap<PathBuf, u32> =
            media.iter().map(|(name, media)| (base.join(name), media.ms)).collect();
        let probe = |path: &Path| lengths.get(path).copied().ok_or_else(|| said!("audio.not_sent_along"));
        let programme = programme_file::parse(toml, id.as_str(), &base, Audio::Required(&probe))
            .map_err(|problems| problems.say())?;
        if programme.id != *id || programme.version != version {
            let (id, version) = (programme.id, programme.version);
            return Err(said!("refused.other_programme", id, version));
        }
        let calendar = Calendar::new(Arc::new(programme)).map_err(|rule| rule.say())?;
        self.link_media(&base, media).map_err(|error| error.say())?;
        let named = media.iter().map(|(name, media)| (base.join(name), media.sha256));
        Ok((calendar, named.collect()))
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
            let target = media.sha256.path_under(&self.media_dir);
            let fresh = link.with_extension("new-link");
            let _ = std::fs::remove_file(&fresh);
            std::os::unix::fs::symlink(target, &fresh)?;
            std::fs::rename(&fresh, &link)?;
        }
        Ok(())
    }

    /// Returns the audio that programmes in force name.
    pub fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        self.media.values().flat_map(|named| named.values().copied())
    }

    /// Returns the instant at which each file of a programme that was sent is first needed, as far as the days to come
    /// tell.
    pub fn first_needed(
        &self,
        id: &ProgrammeId,
        listeners: &Listeners,
        now: Wall,
    ) -> BTreeMap<ContentHash, Wall> {
        let mut needed = BTreeMap::new();
        let (Some(calendar), Some(named)) = (self.sent.get(id), self.media.get(id)) else {
            return needed;
        };
        for date in now.date().iter_days().take(DAYS_AHEAD) {
            for session in calendar.sessions_on(date, listeners).iter().filter(|session| session.end > now) {
                for piece in calendar.fill(session, listeners, 0).pieces {
                    let Sound::File(FileRef::Path(path)) = &piece.sound else { continue };
                    if let Some(sha256) = named.get(path) {
                        needed.entry(*sha256).or_insert(session.start);
                    }
                }
            }
        }
        needed
    }

    /// Returns the timetable of a box in `groups`.
    ///
    /// # Errors
    /// Names two that use one slot id.
    pub fn timetable(&self, groups: &BTreeSet<GroupId>) -> Result<Timetable, Sentence> {
        let installed = self.installed.iter().filter(|(id, _)| !self.sent.contains_key(*id));
        let sent = self.sent.iter().filter(|(_, calendar)| groups.contains(&calendar.programme().group));
        let calendars: BTreeMap<_, _> = installed.chain(sent).collect();
        Timetable::new(calendars.into_values().cloned().collect()).map_err(|clash| clash.say())
    }

    /// Returns the version of each programme.
    pub fn versions(&self) -> BTreeMap<ProgrammeId, u32> {
        let version = |(id, calendar): (&ProgrammeId, &Calendar)| (id.clone(), calendar.programme().version);
        self.installed.iter().chain(&self.sent).map(version).collect()
    }
}
