//! The commune on disk: keys, signed trust, settings, and a programme whose morning begins in a moment.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::commands::language::{Failure, foreign, of_file};
use loaxa_adapters::keys::KeyFile;
use loaxa_adapters::private_files;
use loaxa_heart::config::trust_file;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};

/// The group that holds all villages.
pub const COMMUNE: &str = "binh-minh";
/// Beside `central.toml`: tells that a folder is an old demo's and may be emptied.
const MARK: &str = "loaxa-demo";
/// The slot of the example programme that the demo plays.
const SLOT: &str = "sang";
/// Items of the short form of the demo.
const SHORT: [&str; 5] =
    ["nhac-hieu.wav", "loi-chao-sang.mp3", "nong-nghiep-lua.m4a", "buoi-sang.mp3", "loi-ket-sang.mp3"];
/// Length of the morning slot: its items, the announcements, and room to try more by hand.
const SLOT_LASTS: Span = Span::secs(1_200);
/// The least time that the morning needs before midnight.
const SLOT_NEEDS: Span = Span::secs(300);

/// A village with its one box.
pub struct Village {
    pub group: &'static str,
    pub title: &'static str,
    pub box_id: String,
    pub languages: &'static [&'static str],
    /// File in which the box's sound is recorded; `None` for the box that sounds on the sound card.
    pub wav: Option<PathBuf>,
}

/// One item of the morning's playlist.
pub struct Item {
    pub title: String,
    /// By language; under `""` the one for all others.
    files: BTreeMap<String, String>,
}

impl Item {
    /// The files that a box whose village hears these languages plays, in turn.
    pub fn files(&self, languages: &[&str]) -> Vec<&str> {
        let heard: Vec<_> = languages.iter().filter_map(|language| self.files.get(*language)).collect();
        let own = self.files.get("").filter(|_| heard.is_empty());
        heard.into_iter().chain(own).map(String::as_str).collect()
    }
}

/// Everything that the demo laid out.
pub struct Commune {
    pub dir: PathBuf,
    pub token: String,
    pub villages: Vec<Village>,
    pub items: Vec<Item>,
    programme: Table,
}

impl Commune {
    /// Lays out a fresh folder.
    ///
    /// # Errors
    /// Fails when the example is not found, or the folder holds something else.
    pub fn lay_out(dir: &Path, short: bool, with_sound: bool) -> Result<Self, Failure> {
        let example = find_example()?;
        let dir = fresh(dir)?;
        copy_folder(&example.join("audio"), &dir.join("binh-minh/audio"))?;
        let text = fs::read_to_string(example.join("programme.toml"))?;
        let (programme, items) = morning(&text, short)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| said!("demo.no_randomness", error))?;
        let token = hex(&random);
        let village = |(index, (group, title, languages)): (usize, (&'static str, _, _))| Village {
            group,
            title,
            box_id: format!("{group}-1"),
            languages,
            wav: (index > 0 || !with_sound).then(|| dir.join(format!("{group}.wav"))),
        };
        let three: [(&str, &str, &[&str]); 3] = [
            ("thon-dong", "Thôn Đông", &["vi"]),
            ("thon-doai", "Thôn Đoài", &["tay", "vi"]),
            ("thon-trung", "Thôn Trung", &["vi"]),
        ];
        let villages = three.into_iter().enumerate().map(village).collect();
        let commune = Self { dir, token, villages, items, programme };
        commune.write_keys()?;
        commune.write_central()?;
        Ok(commune)
    }

    /// Returns the name by which staff know the place of a box.
    pub fn title_of(&self, id: &BoxId) -> String {
        let village = self.villages.iter().find(|village| village.box_id == id.as_str());
        village.map_or_else(|| id.to_string(), |village| village.title.to_owned())
    }

    /// A file of the commune.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Chooses the beginning of the morning after `earliest`: a whole second, and not too near to midnight.
    pub fn beginning(earliest: Wall) -> Wall {
        let second = Wall(earliest.0.div_euclid(1_000_000) * 1_000_000 + 1_000_000);
        let needs = second.plus(SLOT_NEEDS);
        if needs.date() == second.date() {
            return second;
        }
        Wall::from_local(needs.date().and_hms_opt(0, 0, 5).expect("a time of every day"))
    }

    /// Writes the programme whose morning begins at `start`.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn write_programme(&self, start: Wall) -> Result<(), Failure> {
        let last = start.date().and_hms_opt(23, 59, 59).expect("a time of every day");
        let end = start.plus(SLOT_LASTS).min(Wall::from_local(last));
        let mut programme = self.programme.clone();
        let clock = |at: Wall| Value::from(at.local().format("%H:%M:%S").to_string());
        for slot in programme.get_mut("slot").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(slot) = slot.as_table_mut() else { continue };
            slot.insert("start".to_owned(), clock(start));
            slot.insert("end".to_owned(), clock(end));
        }
        let head =
            "# Của lệnh loaxa demo: chỉ buổi sáng, dời tới bây giờ. / Only the morning, moved to now.\n";
        fs::write(
            self.path("binh-minh/programme.toml"),
            head.to_owned() + &toml::to_string(&programme).map_err(|error| foreign(&error))?,
        )?;
        Ok(())
    }

    /// Writes the settings of the boxes, which find their broker at this address.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn write_boxes(&self, broker: &str) -> Result<(), Failure> {
        for village in &self.villages {
            let Village { group, box_id, languages, .. } = village;
            let output = match &village.wav {
                Some(wav) => format!("wav:{}", wav.display()),
                None => "alsa:default".to_owned(),
            };
            let text = format!(
                "[box]\nid = \"{box_id}\"\ngroups = [\"{group}\", \"{COMMUNE}\"]\nlanguages = {languages:?}\n\
                 state_dir = \"{box_id}\"\n[programme]\nfiles = [\"binh-minh/programme.toml\"]\n\
                 [sound]\noutput = {output:?}\nvolume_percent = 100\n\
                 # Cả ngày, chỉ để xem thử. / All day, for a demo only.\n\
                 [guard]\nallowed = [{{ from = \"00:00\", until = \"23:59:59\" }}]\n\
                 [central]\nbroker = \"mqtt://{broker}\"\n\
                 [trust]\nroot = \"keys/root.pub\"\ntrust = \"keys/trust.json\"\nkey = \"keys/{box_id}.key\"\n"
            );
            fs::write(self.path(&format!("{box_id}.toml")), text)?;
        }
        Ok(())
    }

    fn write_keys(&self) -> Result<(), Failure> {
        use Power::*;
        fs::create_dir(self.path("keys"))?;
        let key = |name: &str, holder: &str| -> Result<KeyFile, Failure> {
            let made = KeyFile::generate(Some(holder))?;
            made.write_new(&self.path(&format!("keys/{name}.key")))?;
            Ok(made)
        };
        let root = key("root", "Chủ tịch ủy ban nhân dân xã")?;
        fs::write(self.path("keys/root.pub"), format!("public {}\n", root.key.public()))?;
        let grant = |made: &KeyFile, powers: &[Power]| -> Result<Grant, Failure> {
            Ok(Grant {
                key: made.key.key_id(),
                public: made.key.public().to_string(),
                holder: made.holder.clone().unwrap_or_default(),
                powers: powers.iter().copied().collect(),
                groups: [COMMUNE.parse()?].into(),
                level: 1,
                valid_from: None,
                account: None,
                valid_until: None,
            })
        };
        let people = [Normal, Priority, Emergency, Exercise, Cancel, Test];
        let nesting = |village: &Village| Ok((village.group.parse::<GroupId>()?, COMMUNE.parse()?));
        let trust = Trust {
            version: 1,
            grants: vec![
                grant(&key("central", "Trung tâm")?, &[Central])?,
                grant(&key("mai", "Lê Thị Mai")?, &people)?,
                grant(&key("long", "Phạm Văn Long")?, &people)?,
            ],
            thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
            nesting: self.villages.iter().map(nesting).collect::<Result<_, Failure>>()?,
        };
        fs::write(self.path("keys/trust.toml"), trust_file::print(&trust))?;
        let sealed = codec::seal(&TrustMessage { v: VERSION, trust }, &[&root.key]);
        fs::write(self.path("keys/trust.json"), sealed)?;
        for village in &self.villages {
            key(&village.box_id, &village.box_id)?;
        }
        Ok(())
    }

    fn write_central(&self) -> Result<(), Failure> {
        private_files::write(&self.path("token"), format!("{}\n", self.token).as_bytes())?;
        let mut text = format!(
            "[central]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"central\"\ncommune = \"Xã Bình Minh\"\n\
             group = \"{COMMUNE}\"\n[broker]\nembedded = \"127.0.0.1:0\"\n[api]\ntoken_file = \"token\"\n\
             [people]\nsecond_factor = \"off\"\n\
             [keys]\ncentral = \"keys/central.key\"\nissuers = [\"keys/mai.key\", \"keys/long.key\"]\n\
             trust = \"keys/trust.json\"\n[[group]]\nid = \"{COMMUNE}\"\ntitle = \"Xã Bình Minh\"\n"
        );
        for Village { group, title, box_id, .. } in &self.villages {
            let key = KeyFile::read(&self.path(&format!("keys/{box_id}.key")))?.key.public();
            let _ = write!(
                text,
                "[[group]]\nid = \"{group}\"\ntitle = \"{title}\"\nparent = \"{COMMUNE}\"\n\
                 [[box]]\nid = \"{box_id}\"\ntitle = \"{title}\"\ngroups = [\"{group}\", \"{COMMUNE}\"]\n\
                 key = \"{key}\"\n"
            );
        }
        Ok(fs::write(self.path("central.toml"), text)?)
    }
}

/// `playlists/binh-minh`, here or in a folder above this program.
fn find_example() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    let program = std::env::current_exe()?;
    let mut around = [here].into_iter().chain(program.ancestors().skip(1).map(Path::to_owned));
    let found =
        around.find_map(|folder| Some(folder.join("playlists/binh-minh")).filter(|path| path.is_dir()));
    Ok(found.ok_or_else(|| said!("demo.no_example"))?)
}

/// An empty folder: new, or one that an earlier demo left.
fn fresh(dir: &Path) -> Result<PathBuf, Failure> {
    let of = |error: std::io::Error| of_file(dir, &error);
    if dir.join(MARK).exists() {
        fs::remove_dir_all(dir).map_err(of)?;
    }
    fs::create_dir_all(dir).map_err(of)?;
    if fs::read_dir(dir).map_err(of)?.next().is_some() {
        return Err(of_file(dir, &said!("demo.not_empty")).into());
    }
    fs::write(dir.join(MARK), "").map_err(of)?;
    Ok(dir.canonicalize().map_err(of)?)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The example programme with its morning slot alone, whatever day it is, and the items of that slot.
fn morning(text: &str, short: bool) -> Result<(Table, Vec<Item>), Failure> {
    let mut programme: Table = text.parse()?;
    let no_morning = || said!("demo.no_morning");
    programme.remove("holiday");
    let slots = programme.get_mut("slot").and_then(Value::as_array_mut).ok_or_else(no_morning)?;
    slots.retain(|slot| text_of(slot, "id") == SLOT);
    let slot = slots.first_mut().and_then(Value::as_table_mut).ok_or_else(no_morning)?;
    // However long a slow machine takes, every box plays the whole morning.
    slot.insert("lateness".to_owned(), "shift".into());
    let list = slot.get("playlist").and_then(Value::as_str).ok_or_else(no_morning)?.to_owned();
    let lists = programme.get_mut("playlist").and_then(Value::as_array_mut).ok_or_else(no_morning)?;
    lists.retain(|playlist| text_of(playlist, "id") == list);
    let items = lists.first_mut().and_then(|playlist| playlist.get_mut("item")?.as_array_mut());
    let items = items.ok_or_else(no_morning)?;
    let is_short = |item: &Value| SHORT.iter().any(|file| text_of(item, "file").ends_with(file));
    items.retain(|item| !short || is_short(item));
    let found = items.iter().map(item).collect();
    Ok((programme, found))
}

fn item(item: &Value) -> Item {
    let translations = item.get("translations").and_then(Value::as_table).into_iter().flatten();
    let translated =
        translations.map(|(language, said)| (language.clone(), text_of(said, "file").to_owned()));
    let own = text_of(item, "file").to_owned();
    let mut files: BTreeMap<_, _> = translated.collect();
    if let Some(language) = item.get("language").and_then(Value::as_str) {
        files.insert(language.to_owned(), own.clone());
    }
    files.insert(String::new(), own);
    Item { title: text_of(item, "title").to_owned(), files }
}

fn text_of<'a>(table: &'a Value, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::config::box_file::{self, NamedFiles};
    use loaxa_heart::config::{central_file, programme_file};

    fn check_beginning(earliest: &str, expected: &str) {
        assert_eq!(Commune::beginning(earliest.parse().unwrap()), expected.parse().unwrap(), "{earliest}");
    }

    #[test]
    fn the_morning_begins_at_a_whole_second_and_ends_before_midnight() {
        check_beginning("2026-11-21T05:00:00.2+07:00", "2026-11-21T05:00:01+07:00");
        check_beginning("2026-11-21T23:54:58+07:00", "2026-11-21T23:54:59+07:00");
        check_beginning("2026-11-21T23:55:01+07:00", "2026-11-22T00:00:05+07:00");
    }

    #[test]
    fn what_is_laid_out_is_accepted() {
        let temp = tempfile::tempdir().unwrap();
        for (short, items) in [(false, 7), (true, 5)] {
            // The second time over the first.
            let commune = Commune::lay_out(&temp.path().join("demo"), short, false).unwrap();
            commune.write_programme(Wall(1_795_000_000_000_000)).unwrap();
            commune.write_boxes("127.0.0.1:1883").unwrap();
            central_file::read(&commune.path("central.toml"), NamedFiles::MustExist).unwrap();
            for village in &commune.villages {
                let path = commune.path(&format!("{}.toml", village.box_id));
                box_file::read(&path, NamedFiles::MustExist).unwrap();
            }
            let programme = programme_file::read(
                &commune.path("binh-minh/programme.toml"),
                programme_file::Audio::Unseen,
            );
            assert_eq!(programme.unwrap().slots.len(), 1);
            assert_eq!(commune.items.len(), items);
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("thesis.txt"), "years of work").unwrap();
        assert!(Commune::lay_out(temp.path(), true, false).is_err());
        assert!(temp.path().join("thesis.txt").exists());
    }
}
