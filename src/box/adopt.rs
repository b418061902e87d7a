//! Programmes: those that the installer put on the box, and those that central sent in a signed command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loaxa_adapters::whole_file;
use loaxa_heart::config::files;
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
    /// Programmes that central sent, each in place of an installed one of the same name; they sound in their group.
    sent: BTreeMap<ProgrammeId, Calendar>,
    /// The folder in which audio of programmes that were sent is found by its name in the programme.
    dir: PathBuf,
    media_dir: PathBuf,
    /// Audio of what was sent.
    media: BTreeMap<ProgrammeId, Named>,
}

/// An installed file that is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub file: PathBuf,
    pub problem: String,
    /// The text that was right at an earlier start is in force in its place.
    pub last_good: bool,
}

fn read_installed(text: &str, file: &Path) -> Result<Calendar, String> {
    let probe = |path: &Path| match decode::probe(path) {
        Ok(info) => u32::try_from(info.ms).map_err(|_| said!("audio.too_long")),
        Err(fault) => Err(fault.say()),
    };
    let base = file.parent().unwrap_or(Path::new(""));
    let programme =
        programme_file::parse(text, &file.display().to_string(), base, Audio::WherePresent(&probe))
            .map_err(|problems| problems.to_string())?;
    Calendar::new(Arc::new(programme)).map_err(|rule| rule.to_string())
}

/// Keeps the text of a file that is right, for a start at which it no longer is.
fn keep_good(kept: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(kept).is_ok_and(|before| before == text) {
        return Ok(());
    }
    if let Some(folder) = kept.parent() {
        std::fs::create_dir_all(folder)?;
    }
    whole_file::write(kept, text.as_bytes(), 0o644)
}

impl Programmes {
    /// Reads the installer's files. The text of a right one is kept below `dir`, and is in force again at a start at
    /// which the file is wrong. Returns what is wrong, and what stands in.
    pub fn read(files: &[PathBuf], dir: PathBuf, media_dir: PathBuf) -> (Self, Vec<LeftOut>) {
        let mut programmes = Self { dir, media_dir, ..Self::default() };
        let mut left_out = Vec::new();
        for file in files {
            let name = ContentHash::of(file.as_os_str().as_encoded_bytes()).to_string();
            let kept = programmes.dir.join("installed").join(format!("{name}.toml"));
            let text = files::read_text(file, programme_file::PROGRAMME_BYTES_MAX);
            let read = text.map_err(|said| said.to_string()).and_then(|text| {
                let calendar = read_installed(&text, file)?;
                if let Err(error) = keep_good(&kept, &text) {
                    tracing::warn!(%error, "no copy of the programme {} is kept", file.display());
                }
                Ok(calendar)
            });
            let calendar = read.or_else(|problem| {
                let before = std::fs::read_to_string(&kept).ok();
                let calendar = before.and_then(|text| read_installed(&text, file).ok());
                left_out.push(LeftOut { file: file.clone(), problem, last_good: calendar.is_some() });
                calendar.ok_or(())
            });
            if let Ok(calendar) = calendar {
                programmes.installed.insert(calendar.programme().id.clone(), calendar);
            }
        }
        (programmes, left_out)
    }

    /// Takes out of force, one after the other, installed programmes that can't stand beside the others.
    pub fn leave_out_clashing(&mut self, groups: &BTreeSet<GroupId>) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        while let Err(clash) = self.timetable(groups) {
            let Some((id, _)) = self.installed.pop_last() else { break };
            let file = PathBuf::from(id.as_str());
            left_out.push(LeftOut { file, problem: clash.to_string(), last_good: false });
        }
        left_out
    }

    /// Takes a programme that was sent and is newer, and gives the timetable of a box in `groups`. Everything stays as it
    /// was where this one is wrong, or can't stand beside the others.
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

    /// Returns the version of the programme of this name that is in force, 0 for none.
    pub fn version_of(&self, id: &ProgrammeId) -> u32 {
        self.versions().get(id).copied().unwrap_or(0)
    }

    /// Returns the group of the programme of this name that is in force.
    pub fn group_of(&self, id: &ProgrammeId) -> Option<&GroupId> {
        let calendar = self.sent.get(id).or_else(|| self.installed.get(id))?;
        Some(&calendar.programme().group)
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
        let programme = programme_file::parse(toml, id.as_str(), &base, Audio::Sent(&probe))
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
        // A session of yesterday may reach beyond midnight.
        let yesterday = now.date().pred_opt().unwrap_or(now.date());
        for date in yesterday.iter_days().take(DAYS_AHEAD + 1) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[programme]\nid = 'xa'\nversion = 1\ntitle = 'Xã'\ngroup = 'xa'\n\
        [[playlist]]\nid = 'p'\ntitle = 'P'\n[[playlist.item]]\ntitle = 'T'\ntext = 'Chào bà con'\n\
        [[slot]]\nid = 'sang'\ntitle = 'Sáng'\nstart = '05:00'\nend = '05:30'\nplaylist = 'p'\n";

    fn slots(folder: &Path, text: &str) -> (usize, Vec<bool>) {
        let file = folder.join("programme.toml");
        std::fs::write(&file, text).unwrap();
        let (programmes, left_out) = Programmes::read(&[file], folder.join("state"), folder.join("media"));
        let slots = programmes.installed.values().map(|calendar| calendar.programme().slots.len()).sum();
        (slots, left_out.into_iter().map(|left_out| left_out.last_good).collect())
    }

    #[test]
    fn a_wrong_file_leaves_its_last_good_text_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let overlapping = format!("{GOOD}{}", &GOOD[GOOD.find("[[slot]]").unwrap()..].replace("sang", "toi"));
        assert_eq!(slots(folder.path(), &overlapping), (0, vec![false]), "nothing was ever right");
        assert_eq!(slots(folder.path(), GOOD), (1, vec![]));
        assert_eq!(slots(folder.path(), &overlapping), (1, vec![true]));
        assert_eq!(
            slots(folder.path(), "[programme"),
            (1, vec![true]),
            "also when it is wrong again and again"
        );
        let two = format!(
            "{GOOD}{}",
            &GOOD[GOOD.find("[[slot]]").unwrap()..].replace("sang", "toi").replace("05:", "17:")
        );
        assert_eq!(slots(folder.path(), &two), (2, vec![]));
    }
}
