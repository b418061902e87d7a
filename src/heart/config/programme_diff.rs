//! The differences of two programmes, thing by thing: slots, playlists, holidays, sections and campaigns.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::programme_text;
use crate::domain::programme::Programme;

/// The kind of a thing in a programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Programme,
    Slot,
    Playlist,
    Holiday,
    Section,
    Campaign,
}

impl Part {
    /// Returns the word in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Part::Programme => "programme",
            Part::Slot => "slot",
            Part::Playlist => "playlist",
            Part::Holiday => "holiday",
            Part::Section => "section",
            Part::Campaign => "campaign",
        }
    }
}

/// Something that is in one programme and not in the same words in the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub part: Part,
    pub id: String,
    /// The title that the thing has now, or had.
    pub title: String,
    /// The lines that are no more; all of them where the thing itself is no more.
    pub before: Vec<String>,
    /// The lines that are new.
    pub after: Vec<String>,
    /// Only one of the two programmes has the thing.
    pub whole: bool,
}

/// Lists what differs from `old` to `new`, by kind and id. The version alone is no difference.
///
/// Each programme comes with the folder below which its files lie.
pub fn differences(old: (&Programme, &Path), new: (&Programme, &Path)) -> Vec<Difference> {
    let (old, new) = (things(old.0, old.1), things(new.0, new.1));
    let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let nothing = Thing::default();
    let difference = |key: &&(Part, String)| {
        let (was, is) = (old.get(*key), new.get(*key));
        if was == is {
            return None;
        }
        let whole = was.is_none() || is.is_none();
        let (was, is) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
        let title = if is.title.is_empty() { &was.title } else { &is.title };
        let only = |here: &Thing, there: &Thing| {
            here.lines.iter().filter(|line| !there.lines.contains(line)).cloned().collect::<Vec<_>>()
        };
        let (before, after) = (only(was, is), only(is, was));
        let order_alone = before.is_empty() && after.is_empty();
        let all = |thing: &Thing| thing.lines.clone();
        let (before, after) = if order_alone { (all(was), all(is)) } else { (before, after) };
        Some(Difference { part: key.0, id: key.1.clone(), title: title.clone(), before, after, whole })
    };
    keys.iter().filter_map(difference).collect()
}

/// Something with a name, in lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Thing {
    title: String,
    lines: Vec<String>,
}

impl Thing {
    fn new(title: &str, text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with("[[") && !line.trim().is_empty());
        Self { title: title.to_owned(), lines: lines.map(str::to_owned).collect() }
    }
}

fn things(programme: &Programme, base: &Path) -> BTreeMap<(Part, String), Thing> {
    let mut all = BTreeMap::new();
    let head = format!("title = {:?}\ngroup = {:?}", programme.title, programme.group.as_str());
    all.insert((Part::Programme, programme.id.to_string()), Thing::new(&programme.title, &head));
    for slot in &programme.slots {
        let text = programme_text::write_slot(slot);
        all.insert((Part::Slot, slot.id.to_string()), Thing::new(&slot.title, &text));
    }
    for list in programme.playlists.values() {
        let text = programme_text::write_playlist(list, base);
        all.insert((Part::Playlist, list.id.to_string()), Thing::new(&list.title, &text));
    }
    // The rest has no writer of its own: each alone in an otherwise empty programme.
    let empty = || Programme {
        slots: Vec::new(),
        playlists: BTreeMap::new(),
        holidays: BTreeMap::new(),
        sections: BTreeMap::new(),
        campaigns: BTreeMap::new(),
        ..programme.clone()
    };
    let heading = programme_text::write(&empty(), base).len();
    let mut alone = |part, id: String, title: &str, only: Programme| {
        let text = programme_text::write(&only, base);
        all.insert((part, id), Thing::new(title, &text[heading..]));
    };
    for (id, it) in &programme.holidays {
        let only = Programme { holidays: [(id.clone(), it.clone())].into(), ..empty() };
        alone(Part::Holiday, id.to_string(), &it.title, only);
    }
    for (id, it) in &programme.sections {
        let only = Programme { sections: [(id.clone(), it.clone())].into(), ..empty() };
        alone(Part::Section, id.to_string(), &it.title, only);
    }
    for (id, it) in &programme.campaigns {
        let only = Programme { campaigns: [(id.clone(), it.clone())].into(), ..empty() };
        alone(Part::Campaign, id.to_string(), &it.title, only);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::programme_file::{Audio, parse};

    fn programme(rest: &str) -> Programme {
        let text = format!("[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n{rest}");
        parse(&text, "p", Path::new(""), Audio::Unseen).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn moved_slots_new_items_and_sections_that_went_are_told() {
        let list = |more: &str| {
            format!("[[playlist]]\nid = 'l'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'A'\ntext = 'a'\n{more}")
        };
        let slot = |start: &str| {
            format!("[[slot]]\nid = 's'\ntitle = 'S'\nstart = '{start}'\nend = '06:00'\nplaylist = 'l'\n")
        };
        let section = "[[section]]\nid = 'y'\ntitle = 'Y'\n";
        let old = programme(&(list("") + &slot("05:00") + section));
        let new = programme(&(list("[[playlist.item]]\ntitle = 'B'\ntext = 'b'\n") + &slot("05:30")));
        let told: Vec<_> = differences((&old, Path::new("")), (&new, Path::new("")))
            .into_iter()
            .map(|it| {
                format!("{} {} -{} +{}", it.part.code(), it.id, it.before.join(","), it.after.join(","))
            })
            .collect();
        assert_eq!(
            told,
            [
                "slot s -start = \"05:00\" +start = \"05:30\"",
                "playlist l - +title = \"B\",text = \"b\"",
                "section y -id = \"y\",title = \"Y\" +",
            ]
        );
        assert!(differences((&old, Path::new("")), (&old, Path::new(""))).is_empty());
    }
}
