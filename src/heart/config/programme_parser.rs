//! The parser that the files for a programme's parts share, with what it knows of the text so far.

use crate::said;
use crate::texts::{Say, Sentence};
use std::path::{Component, Path, PathBuf};

use super::fields::{Fields, Reader, Value};
use super::file_names::FileNames;
use super::programme_places::{Name, NameOf, Places};
use crate::domain::announcement::Interruption;
use crate::domain::ids::GroupId;

/// Opens an audio file and tells its length in milliseconds, 0 where only playing it would tell.
pub type Probe<'a> = dyn Fn(&Path) -> Result<u32, Sentence> + 'a;

/// The treatment of the audio files that a programme names.
#[derive(Clone, Copy)]
pub enum Audio<'a> {
    /// For people who write a programme: files are opened, and one that can't be is a problem.
    Required(&'a Probe<'a>),
    /// For a box, which plays what it has: files are opened where they can be.
    WherePresent(&'a Probe<'a>),
    /// For a programme that came with its audio, each file under the very name that the programme has for it: what lies on
    /// the disk is not looked at.
    Sent(&'a Probe<'a>),
    /// For readers who only want the text: files are left alone.
    Unseen,
}

/// A programme that is being read.
pub(super) struct Parser<'p> {
    pub reader: &'p Reader<'p>,
    pub base: &'p Path,
    pub audio: Audio<'p>,
    pub places: Places,
    pub names: FileNames,
}

impl<'p> Parser<'p> {
    /// Reads a path that leads to a file beside the programme.
    pub fn path(&self, value: &Value<'p>) -> Option<PathBuf> {
        let path = Path::new(value.words()?);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            value.problem(said!("problem.leads_away", path = path.display()));
            return None;
        }
        Some(self.found(&self.base.join(path)))
    }

    /// Finds a path in whichever Unicode form its names are written on the disk.
    pub fn found(&self, path: &Path) -> PathBuf {
        match self.audio {
            Audio::Required(_) | Audio::WherePresent(_) => self.names.find(path),
            Audio::Sent(_) | Audio::Unseen => path.to_owned(),
        }
    }

    pub fn length(&self, path: &Path) -> Result<Option<u32>, Sentence> {
        let known = |ms: u32| (ms > 0).then_some(ms);
        match self.audio {
            Audio::Required(probe) | Audio::Sent(probe) => probe(path).map(known),
            Audio::WherePresent(probe) => Ok(probe(path).ok().and_then(known)),
            Audio::Unseen => Ok(None),
        }
    }

    /// Reads the name of a section, campaign or holiday under the key of that name.
    pub fn named<T: std::str::FromStr<Err: Say>>(
        &mut self,
        fields: &mut Fields<'p>,
        of: NameOf,
    ) -> Option<T> {
        let key = match of {
            NameOf::Section => "section",
            NameOf::Campaign => "campaign",
            NameOf::Holiday => "holiday",
            NameOf::Playlist => "playlist",
        };
        self.name_value(fields, key, of)?.parse()
    }

    /// Reads a value that names something else. Whether that exists is checked when all of the file is known.
    pub fn name_value(
        &mut self,
        fields: &mut Fields<'p>,
        key: &'static str,
        of: NameOf,
    ) -> Option<Value<'p>> {
        let value = fields.get(key)?;
        if value.is_text() {
            let name = value.text()?.to_owned();
            self.places.names.push(Name { at: value.at, key: value.key.clone(), of, name });
        }
        Some(value)
    }
}

pub(super) fn words(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    Some(fields.get(key)?.words()?.to_owned())
}

pub(super) fn interruption(fields: &mut Fields<'_>) -> Option<Interruption> {
    fields.get("interruption")?.choice(&[
        ("resume", Interruption::Resume),
        ("restart", Interruption::Restart),
        ("drop", Interruption::Drop),
    ])
}

pub(super) fn audience(fields: &mut Fields<'_>) -> Vec<GroupId> {
    let values = fields.get("audience").map(|value| value.list()).unwrap_or_default();
    values.iter().filter_map(Value::parse).collect()
}
