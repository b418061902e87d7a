//! Changes of a programme's text that leave everything else of it as a person wrote it: comments, order, spaces.
//!
//! What comes out is text again; [`super::programme_file`] judges it.

use std::fmt::Display;

use chrono::{NaiveDate, NaiveTime, Weekday};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::day_rules::{WEEKDAYS, hm};
use crate::domain::ids::{PlaylistId, ProgrammeId, SectionId, SlotId};
use crate::said;
use crate::texts::{Say, Sentence};

/// Most tables of one kind that are gone through.
const TABLES_MAX: usize = 5_000;

/// Reasons for which a text can't be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotEdited {
    Unreadable,
    NoSlot(SlotId),
    NoPlaylist(PlaylistId),
    NoItem(usize),
    NoFreeId,
}

impl Say for NotEdited {
    fn say(&self) -> Sentence {
        match self {
            NotEdited::Unreadable => said!("programme_edit.unreadable"),
            NotEdited::NoSlot(slot) => said!("programme_edit.no_slot", slot),
            NotEdited::NoPlaylist(playlist) => said!("programme_edit.no_playlist", playlist),
            NotEdited::NoItem(number) => said!("programme_edit.no_item", number),
            NotEdited::NoFreeId => said!("programme_edit.no_free_id"),
        }
    }
}

/// The fields of a slot that a page changes; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotFields {
    pub title: Option<String>,
    pub times: Option<(NaiveTime, NaiveTime)>,
    pub weekdays: Option<Vec<Weekday>>,
    pub playlist: Option<PlaylistId>,
    pub volume_percent: Option<u8>,
    /// `Some(None)` takes the section away.
    pub section: Option<Option<SectionId>>,
}

/// The fields of an item of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFields {
    pub title: String,
    pub sound: ItemSound,
    pub section: Option<SectionId>,
    pub licence: Option<String>,
    pub valid_from: Option<NaiveDate>,
    pub valid_until: Option<NaiveDate>,
    pub is_music: bool,
}

/// The sound of an item that is written on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemSound {
    Text(String),
    File(String),
    Relay(String),
    /// Whatever the item has already.
    Unchanged,
}

/// A programme's text that is being changed.
pub struct ProgrammeText(DocumentMut);

impl ProgrammeText {
    /// Opens a text.
    ///
    /// # Errors
    /// Fails when it is no TOML.
    pub fn open(text: &str) -> Result<Self, NotEdited> {
        text.parse().map(Self).map_err(|_| NotEdited::Unreadable)
    }

    /// Writes the first text of a programme.
    pub fn begin(id: &ProgrammeId, title: &str, group: &impl Display) -> String {
        let mut document = DocumentMut::new();
        let mut head = Table::new();
        head["id"] = value(id.as_str());
        head["version"] = value(1);
        head["title"] = value(title);
        head["group"] = value(group.to_string());
        document["programme"] = Item::Table(head);
        document.to_string()
    }

    /// Returns the text as it is now.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Returns the title that stands in the text.
    pub fn title(&self) -> Option<String> {
        let title = self.0.get("programme")?.as_table_like()?.get("title")?.as_str()?;
        Some(title.to_owned())
    }

    /// Sets the version.
    pub fn set_version(&mut self, version: u32) {
        if let Some(head) = self.0.get_mut("programme").and_then(Item::as_table_like_mut) {
            set(head, "version", i64::from(version));
        }
    }

    /// Changes a slot on all its days.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn change_slot(&mut self, slot: &SlotId, fields: &SlotFields) -> Result<(), NotEdited> {
        let index = self.own_table(slot)?;
        let table = self.slot_mut(index).ok_or(NotEdited::Unreadable)?;
        fill(table, fields);
        Ok(())
    }

    /// Changes a slot on one day: the day becomes an exception of the series, with a slot of its own. The id of that one
    /// names the series and the day, so that it stays the same however often it is changed.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn change_once(
        &mut self,
        slot: &SlotId,
        day: NaiveDate,
        fields: &SlotFields,
    ) -> Result<SlotId, NotEdited> {
        let index = self.own_table(slot)?;
        if self.slot(index).is_some_and(|table| only_day(table) == Some(day)) {
            self.change_slot(slot, &SlotFields { weekdays: None, ..fields.clone() })?;
            return Ok(slot.clone());
        }
        let once = self.copy_to(slot, day, fields)?;
        self.silence_once(slot, day)?;
        Ok(once)
    }

    /// Adds a slot like another on a day of its own.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn copy_to(
        &mut self,
        slot: &SlotId,
        day: NaiveDate,
        fields: &SlotFields,
    ) -> Result<SlotId, NotEdited> {
        let index = self.own_table(slot)?;
        let mut table = self.slot(index).ok_or(NotEdited::Unreadable)?.clone();
        let id = self.free_id(&format!("{}.{}", series_of(slot), day.format("%Y%m%d")))?;
        inline(&mut table);
        without_comments(&mut table);
        table.set_position(None);
        for key in ["days", "lunar", "yearly", "rrule", "rrule_from", "valid_from", "valid_until", "except"] {
            table.remove(key);
        }
        set(&mut table, "id", id.as_str());
        set(&mut table, "dates", list([day]));
        fill(&mut table, &SlotFields { weekdays: None, ..fields.clone() });
        self.slots_mut().push(table);
        Ok(id)
    }

    /// Leaves a slot out on one day.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn silence_once(&mut self, slot: &SlotId, day: NaiveDate) -> Result<(), NotEdited> {
        let index = self.own_table(slot)?;
        if self.slot(index).is_some_and(|table| only_day(table) == Some(day)) {
            return self.remove_slot(slot);
        }
        let table = self.slot_mut(index).ok_or(NotEdited::Unreadable)?;
        let text = day.to_string();
        match table.get_mut("except").and_then(Item::as_array_mut) {
            Some(except) if except.iter().any(|it| is_day(it, &text)) => {}
            Some(except) => except.push(text),
            None => set(table, "except", list([day])),
        }
        Ok(())
    }

    /// Lets a slot sound again on a day on which it was left out.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn restore_once(&mut self, slot: &SlotId, day: NaiveDate) -> Result<(), NotEdited> {
        let index = self.own_table(slot)?;
        let table = self.slot_mut(index).ok_or(NotEdited::Unreadable)?;
        let text = day.to_string();
        if let Some(except) = table.get_mut("except").and_then(Item::as_array_mut) {
            except.retain(|it| !is_day(it, &text));
            if except.is_empty() {
                table.remove("except");
            }
        }
        Ok(())
    }

    /// Takes a slot out of the programme; its single exceptions stay where they are.
    ///
    /// # Errors
    /// Fails when the text has no such slot.
    pub fn remove_slot(&mut self, slot: &SlotId) -> Result<(), NotEdited> {
        let index = self.own_table(slot)?;
        self.slots_mut().remove(index);
        Ok(())
    }

    /// Adds a slot, on weekdays or on one day.
    ///
    /// # Errors
    /// Fails when no id is free.
    pub fn add_slot(&mut self, fields: &SlotFields, day: Option<NaiveDate>) -> Result<SlotId, NotEdited> {
        let title = fields.title.clone().unwrap_or_default();
        let id = self.free_id(&name_of(&title))?;
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        table["id"] = value(id.as_str());
        table["title"] = value(title);
        match day {
            Some(day) => {
                set(&mut table, "dates", list([day]));
                fill(&mut table, &SlotFields { weekdays: None, ..fields.clone() });
            }
            None => fill(&mut table, fields),
        }
        self.slots_mut().push(table);
        Ok(id)
    }

    /// Adds an empty playlist with its first item.
    ///
    /// # Errors
    /// Fails when no id is free.
    pub fn add_playlist(&mut self, title: &str, first: &ItemFields) -> Result<PlaylistId, NotEdited> {
        let wanted = name_of(title);
        let known: Vec<String> = tables(&self.0, "playlist").filter_map(id_of).map(str::to_owned).collect();
        let id = free(&wanted, |id| !known.iter().any(|it| it == id)).ok_or(NotEdited::NoFreeId)?;
        let id = PlaylistId::new(id).map_err(|_| NotEdited::NoFreeId)?;
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        table["id"] = value(id.as_str());
        table["title"] = value(title);
        let mut items = ArrayOfTables::new();
        items.push(item(first, None));
        table["item"] = Item::ArrayOfTables(items);
        self.tables_mut("playlist").push(table);
        Ok(id)
    }

    /// Adds an item at the end of a playlist.
    ///
    /// # Errors
    /// Fails when the text has no such playlist.
    pub fn add_item(&mut self, playlist: &PlaylistId, fields: &ItemFields) -> Result<(), NotEdited> {
        self.items_mut(playlist)?.push(item(fields, None));
        Ok(())
    }

    /// Changes the item with this number, from 0, among those that stand in the text.
    ///
    /// # Errors
    /// Fails when the text has no such item.
    pub fn change_item(
        &mut self,
        playlist: &PlaylistId,
        number: usize,
        fields: &ItemFields,
    ) -> Result<(), NotEdited> {
        let items = self.items_mut(playlist)?;
        let table = items.get_mut(number).ok_or(NotEdited::NoItem(number + 1))?;
        *table = item(fields, Some(table));
        Ok(())
    }

    /// Takes an item out.
    ///
    /// # Errors
    /// Fails when the text has no such item.
    pub fn remove_item(&mut self, playlist: &PlaylistId, number: usize) -> Result<(), NotEdited> {
        let items = self.items_mut(playlist)?;
        if number >= items.len() {
            return Err(NotEdited::NoItem(number + 1));
        }
        items.remove(number);
        Ok(())
    }

    /// Lets an item and the one before it change places, with the comments above them.
    ///
    /// # Errors
    /// Fails when the text has no such item, or none is before it.
    pub fn raise_item(&mut self, playlist: &PlaylistId, number: usize) -> Result<(), NotEdited> {
        let items = self.items_mut(playlist)?;
        let before = number.checked_sub(1).ok_or(NotEdited::NoItem(number + 1))?;
        let (Some(mut upper), Some(mut lower)) = (items.get(before).cloned(), items.get(number).cloned())
        else {
            return Err(NotEdited::NoItem(number + 1));
        };
        inline(&mut upper);
        inline(&mut lower);
        let places = (upper.position(), lower.position());
        for (index, mut table, place) in [(before, lower, places.0), (number, upper, places.1)] {
            table.set_position(place);
            if let Some(at) = items.get_mut(index) {
                *at = table;
            }
        }
        Ok(())
    }

    /// Finds the table of a slot; where one table stands for several starts, it is parted first, and each part keeps the
    /// id under which boxes know it.
    fn own_table(&mut self, slot: &SlotId) -> Result<usize, NotEdited> {
        let of_several = |table: &Table| starts(table).filter(|starts| starts.len() > 1).map(Array::len);
        let found = tables(&self.0, "slot").enumerate().find_map(|(index, table)| {
            let id = id_of(table)?;
            match of_several(table) {
                None => (id == slot.as_str()).then_some((index, None)),
                Some(count) => {
                    let part = (1..=count).find(|n| format!("{id}-{n}") == slot.as_str())?;
                    Some((index, Some((part, count))))
                }
            }
        });
        let (index, part) = found.ok_or_else(|| NotEdited::NoSlot(slot.clone()))?;
        let Some((part, count)) = part else { return Ok(index) };
        self.part(index, count);
        Ok(index + part - 1)
    }

    /// Parts a table of several starts into tables of one.
    fn part(&mut self, index: usize, count: usize) {
        let slots = self.slots_mut();
        let all: Vec<Table> = slots.iter().cloned().collect();
        slots.clear();
        for (at, table) in all.into_iter().enumerate() {
            if at != index {
                slots.push(table);
                continue;
            }
            let id = id_of(&table).unwrap_or_default().to_owned();
            let starts: Vec<Value> = starts(&table).into_iter().flatten().cloned().collect();
            for n in 0..count {
                let mut one = table.clone();
                inline(&mut one);
                if n > 0 {
                    without_comments(&mut one);
                }
                set(&mut one, "id", format!("{id}-{}", n + 1));
                if let Some(start) = starts.get(n) {
                    set(&mut one, "start", start.clone().decorated(" ", ""));
                }
                slots.push(one);
            }
        }
    }

    fn slots_mut(&mut self) -> &mut ArrayOfTables {
        self.tables_mut("slot")
    }

    fn tables_mut(&mut self, kind: &str) -> &mut ArrayOfTables {
        let entry = self.0.entry(kind).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if !entry.is_array_of_tables() {
            *entry = Item::ArrayOfTables(array_of_tables(std::mem::take(entry)));
        }
        entry.as_array_of_tables_mut().expect("an array of tables was just put there")
    }

    fn slot(&self, index: usize) -> Option<&Table> {
        tables(&self.0, "slot").nth(index)
    }

    fn slot_mut(&mut self, index: usize) -> Option<&mut Table> {
        self.slots_mut().get_mut(index)
    }

    fn items_mut(&mut self, playlist: &PlaylistId) -> Result<&mut ArrayOfTables, NotEdited> {
        let lists = self.tables_mut("playlist");
        let list = lists.iter_mut().find(|table| id_of(table) == Some(playlist.as_str()));
        let list = list.ok_or_else(|| NotEdited::NoPlaylist(playlist.clone()))?;
        let items = list.entry("item").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if !items.is_array_of_tables() {
            *items = Item::ArrayOfTables(array_of_tables(std::mem::take(items)));
        }
        Ok(items.as_array_of_tables_mut().expect("an array of tables was just put there"))
    }

    fn free_id(&self, wanted: &str) -> Result<SlotId, NotEdited> {
        let mut known: Vec<String> = Vec::new();
        for table in tables(&self.0, "slot").take(TABLES_MAX) {
            let Some(id) = id_of(table) else { continue };
            known.push(id.to_owned());
            let several = starts(table).map_or(0, Array::len);
            known.extend((1..=several).map(|n| format!("{id}-{n}")));
        }
        let id = free(wanted, |id| !known.iter().any(|it| it == id)).ok_or(NotEdited::NoFreeId)?;
        SlotId::new(id).map_err(|_| NotEdited::NoFreeId)
    }
}

/// The tables of a kind; one that is written as a list of inline tables has none here until it is changed.
fn tables<'d>(document: &'d DocumentMut, kind: &str) -> impl Iterator<Item = &'d Table> {
    document.get(kind).and_then(Item::as_array_of_tables).into_iter().flatten()
}

/// A list of inline tables as tables of their own.
fn array_of_tables(item: Item) -> ArrayOfTables {
    item.into_array_of_tables().unwrap_or_default()
}

fn id_of(table: &Table) -> Option<&str> {
    table.get("id").and_then(Item::as_str)
}

/// The starts of a table that has a list of them.
fn starts(table: &Table) -> Option<&Array> {
    table.get("start").and_then(Item::as_array)
}

/// The day of a slot that has no other.
fn only_day(table: &Table) -> Option<NaiveDate> {
    let others = ["days", "lunar", "yearly", "rrule"];
    let dates = table.get("dates").and_then(Item::as_array).filter(|dates| dates.len() == 1)?;
    if others.iter().any(|key| table.contains_key(key)) {
        return None;
    }
    let date = dates.get(0)?;
    match date {
        Value::String(text) => text.value().parse().ok(),
        Value::Datetime(time) => time
            .value()
            .date
            .and_then(|date| NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())),
        _ => None,
    }
}

fn is_day(found: &Value, day: &str) -> bool {
    match found {
        Value::String(text) => text.value() == day,
        Value::Datetime(time) => time.value().to_string() == day,
        _ => false,
    }
}

/// Takes the comments out of a copy: they stand once, where they were written.
fn without_comments(table: &mut Table) {
    table.decor_mut().set_prefix("\n");
    for (mut key, item) in table.iter_mut() {
        key.leaf_decor_mut().clear();
        if let Some(value) = item.as_value_mut() {
            value.decor_mut().clear();
        }
    }
}

/// Draws tables below a table into it, so that it can be moved and copied as one.
fn inline(table: &mut Table) {
    let below: Vec<String> =
        table.iter().filter(|(_, item)| item.is_table()).map(|(key, _)| key.to_owned()).collect();
    for key in below {
        if let Some(item) = table.get_mut(&key) {
            item.make_value();
        }
    }
}

/// Sets a value and keeps the comment behind the one before.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, new: impl Into<Value>) {
    let mut new = new.into();
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

fn list(days: impl IntoIterator<Item = NaiveDate>) -> Array {
    days.into_iter().map(|day| day.to_string()).collect()
}

fn fill(table: &mut Table, fields: &SlotFields) {
    if let Some(title) = &fields.title {
        set(table, "title", title.as_str());
    }
    if let Some((start, end)) = fields.times {
        set(table, "start", hm(start));
        if table.remove("minutes").is_some() || !table.contains_key("end") {
            table.insert("end", value(hm(end)));
        } else {
            set(table, "end", hm(end));
        }
    }
    if let Some(weekdays) = &fields.weekdays {
        match weekdays.len() {
            7 => set(table, "days", "daily"),
            _ => {
                let names = weekdays.iter().map(|day| WEEKDAYS[day.num_days_from_monday() as usize].0);
                set(table, "days", names.collect::<Array>());
            }
        }
    }
    if let Some(playlist) = &fields.playlist {
        set(table, "playlist", playlist.as_str());
    }
    match fields.volume_percent {
        Some(100) if !table.contains_key("volume_percent") => {}
        Some(volume) => set(table, "volume_percent", i64::from(volume)),
        None => {}
    }
    match &fields.section {
        Some(Some(section)) => set(table, "section", section.as_str()),
        Some(None) => drop(table.remove("section")),
        None => {}
    }
}

/// Writes an item, in the place of another one where there is one: keys that the page does not know stay.
fn item(fields: &ItemFields, old: Option<&Table>) -> Table {
    let mut table = old.cloned().unwrap_or_default();
    let sounds: [(&str, Option<&String>); 3] = [
        ("text", if let ItemSound::Text(text) = &fields.sound { Some(text) } else { None }),
        ("file", if let ItemSound::File(file) = &fields.sound { Some(file) } else { None }),
        ("relay", if let ItemSound::Relay(url) = &fields.sound { Some(url) } else { None }),
    ];
    if !fields.title.is_empty() {
        set(&mut table, "title", fields.title.as_str());
    }
    if fields.sound != ItemSound::Unchanged {
        for (key, sound) in sounds {
            match sound {
                Some(sound) => set(&mut table, key, sound.as_str()),
                None => drop(table.remove(key)),
            }
        }
    }
    let mut optional = |key: &str, text: Option<String>| match text {
        Some(text) => set(&mut table, key, text),
        None => drop(table.remove(key)),
    };
    optional("section", fields.section.as_ref().map(ToString::to_string));
    optional("licence", fields.licence.clone());
    optional("valid_from", fields.valid_from.map(|day| day.to_string()));
    optional("valid_until", fields.valid_until.map(|day| day.to_string()));
    optional("kind", fields.is_music.then(|| "music".to_owned()));
    table
}

/// The most bytes of a series' name that stand in the name of its single occurrences.
const SERIES_BYTES_MAX: usize = 48;

/// Names the series that a slot is an occurrence of, by the id that [`ProgrammeText::copy_to`] gave it; else the slot.
fn series_of(slot: &SlotId) -> &str {
    let of_day = |(series, day): &(&str, &str)| {
        let day = day.split('-').next().unwrap_or_default();
        !series.is_empty() && day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())
    };
    let series = slot.as_str().rsplit_once('.').filter(of_day).map_or(slot.as_str(), |(series, _)| series);
    &series[..series.len().min(SERIES_BYTES_MAX)]
}

/// Makes a name of a title: Vietnamese letters without their signs, hyphens between the words.
fn name_of(title: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    let plain = title.to_lowercase().replace('đ', "d");
    let plain: String = plain.nfd().filter(|letter| !('\u{300}'..='\u{36f}').contains(letter)).collect();
    let words = plain.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(40).collect();
    if name.is_empty() { "khung".to_owned() } else { name.trim_end_matches('-').to_owned() }
}

/// Finds a name that is free: the one that is wanted, or with a number behind it.
fn free(wanted: &str, is_free: impl Fn(&str) -> bool) -> Option<String> {
    let numbered = (2..=TABLES_MAX).map(|n| format!("{wanted}-{n}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(|id| is_free(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::programme_file::{Audio, parse};
    use crate::domain::programme::Programme;
    use std::path::Path;

    const TEXT: &str = "# Chương trình của xã, do cô Mai giữ.
[programme]
id = 'xa'   # đừng đổi
version = 3
title = 'Xã'
group = 'xa'

[[playlist]]
id = 'l'
title = 'L'

# Bài đầu
[[playlist.item]]
title = 'A'
text = 'một'
[playlist.item.translations.tay]
text = 'nưng'

# Bài sau
[[playlist.item]]
title = 'B'
text = 'hai'

# Buổi sáng
[[slot]]
id = 'sang'
title = 'Sáng'
start = '05:00' # gà gáy
end = '05:30'
playlist = 'l'

# Ba buổi
[[slot]]
id = 'tin'
title = 'Tin'
start = ['07:00', '11:00', '17:00']
minutes = 10
playlist = 'l'
volume_percent = 80 # trạm y tế ở gần
";

    fn programme(text: &str) -> Programme {
        parse(text, "p", Path::new(""), Audio::Unseen).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    fn slot(id: &str) -> SlotId {
        id.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn times(start: &str, end: &str) -> SlotFields {
        SlotFields { times: Some((start.parse().unwrap(), end.parse().unwrap())), ..Default::default() }
    }

    /// Changes the text and lists the slots that it has then; every comment must still be there.
    fn check(change: impl FnOnce(&mut ProgrammeText), expected: &[&str]) -> String {
        let mut text = ProgrammeText::open(TEXT).unwrap();
        change(&mut text);
        let text = text.text();
        for comment in TEXT.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment) {
            assert_eq!(text.matches(comment).count(), 1, "{comment} in\n{text}");
        }
        let found: Vec<_> = programme(&text)
            .slots
            .iter()
            .map(|slot| {
                let days = slot.days.rules.len() + slot.days.except.len();
                format!("{} {}-{} {days}", slot.id, hm(slot.start), hm(slot.end))
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        text
    }

    const OTHERS: [&str; 3] = ["tin-1 07:00-07:10 1", "tin-2 11:00-11:10 1", "tin-3 17:00-17:10 1"];

    #[test]
    fn a_series_is_moved_and_comments_stay() {
        let text = check(
            |text| text.change_slot(&slot("sang"), &times("23:30", "00:30")).unwrap(),
            &["sang 23:30-00:30 1", OTHERS[0], OTHERS[1], OTHERS[2]],
        );
        assert!(text.contains("start = \"23:30\" # gà gáy"), "{text}");
    }

    #[test]
    fn a_single_occurrence_is_an_exception_with_a_slot_of_its_own() {
        let once = |text: &mut ProgrammeText| {
            let id = text.change_once(&slot("sang"), day("2026-11-27"), &times("06:00", "06:20")).unwrap();
            assert_eq!(id.as_str(), "sang.20261127");
            // Changed once more, it stays the same slot; the series is renamed and moved, and the exception holds.
            assert_eq!(text.change_once(&id, day("2026-11-27"), &times("06:10", "06:20")).unwrap(), id);
            let renamed = SlotFields { title: Some("Sớm".to_owned()), ..times("04:50", "05:20") };
            text.change_slot(&slot("sang"), &renamed).unwrap();
        };
        // A copy of an occurrence is named after the series, so that names do not grow.
        let mut copied = ProgrammeText::open(TEXT).unwrap();
        once(&mut copied);
        let copy = |text: &mut ProgrammeText, of: &str, to: &str| {
            text.copy_to(&slot(of), day(to), &SlotFields::default()).unwrap().to_string()
        };
        assert_eq!(copy(&mut copied, "sang.20261127", "2026-12-04"), "sang.20261204");
        assert_eq!(copy(&mut copied, "sang.20261127", "2026-12-04"), "sang.20261204-2");
        assert_eq!(copy(&mut copied, "sang.20261204-2", "2026-12-11"), "sang.20261211");
        let own = "sang.20261127 06:10-06:20 1";
        check(once, &["sang 04:50-05:20 2", OTHERS[0], OTHERS[1], OTHERS[2], own]);
        let back = |text: &mut ProgrammeText| {
            once(text);
            text.silence_once(&slot("sang.20261127"), day("2026-11-27")).unwrap();
            text.restore_once(&slot("sang"), day("2026-11-27")).unwrap();
        };
        check(back, &["sang 04:50-05:20 1", OTHERS[0], OTHERS[1], OTHERS[2]]);
    }

    #[test]
    fn one_of_several_starts_is_changed_alone_and_the_others_keep_their_ids() {
        check(
            |text| text.change_slot(&slot("tin-2"), &times("12:00", "12:15")).unwrap(),
            &["sang 05:00-05:30 1", OTHERS[0], "tin-2 12:00-12:15 1", OTHERS[2]],
        );
        check(
            |text| text.silence_once(&slot("tin-3"), day("2026-11-27")).unwrap(),
            &["sang 05:00-05:30 1", OTHERS[0], OTHERS[1], "tin-3 17:00-17:10 2"],
        );
    }

    #[test]
    fn slots_are_added_under_readable_names() {
        let new = SlotFields {
            title: Some("Bản tin Đêm".to_owned()),
            weekdays: Some(vec![Weekday::Mon, Weekday::Sun]),
            playlist: Some("l".parse().unwrap()),
            ..times("20:00", "20:01")
        };
        check(
            |text| assert_eq!(text.add_slot(&new, None).unwrap().as_str(), "ban-tin-dem"),
            &["sang 05:00-05:30 1", OTHERS[0], OTHERS[1], OTHERS[2], "ban-tin-dem 20:00-20:01 1"],
        );
        let title = Some("Tin 1".to_owned());
        let mut text = ProgrammeText::open(TEXT).unwrap();
        assert_eq!(text.add_slot(&SlotFields { title, ..new }, None).unwrap().as_str(), "tin-1-2");
    }

    #[test]
    fn items_are_added_changed_and_change_places() {
        let list: PlaylistId = "l".parse().unwrap();
        let item = |title: &str, sound| ItemFields {
            title: title.to_owned(),
            sound,
            section: None,
            licence: None,
            valid_from: None,
            valid_until: None,
            is_music: false,
        };
        let mut text = ProgrammeText::open(TEXT).unwrap();
        text.raise_item(&list, 1).unwrap();
        text.add_item(&list, &item("C", ItemSound::File("c.mp3".to_owned()))).unwrap();
        text.change_item(&list, 1, &item("A2", ItemSound::Unchanged)).unwrap();
        let list_of = |text: &ProgrammeText| {
            let programme = programme(&text.text());
            let items = &programme.playlists[&list].items;
            items.iter().map(|item| format!("{} {}", item.title, item.translations.len())).collect::<Vec<_>>()
        };
        assert_eq!(list_of(&text), ["B 0", "A2 1", "C 0"]);
        assert_eq!(text.text().matches('#').count(), TEXT.matches('#').count(), "{}", text.text());
        text.remove_item(&list, 0).unwrap();
        assert_eq!(list_of(&text), ["A2 1", "C 0"]);
        assert_eq!(text.remove_item(&list, 7), Err(NotEdited::NoItem(8)));
        let new = text.add_playlist("Nhạc <mới>", &item("N", ItemSound::Text("la".to_owned()))).unwrap();
        assert_eq!((new.as_str(), programme(&text.text()).playlists.len()), ("nhac-moi", 2));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut text = ProgrammeText::open(TEXT).unwrap();
        assert_eq!(text.remove_slot(&slot("tin")), Err(NotEdited::NoSlot(slot("tin"))));
        assert_eq!(ProgrammeText::open("[[slot").err(), Some(NotEdited::Unreadable));
    }

    #[test]
    fn a_first_text_is_a_programme() {
        let id: ProgrammeId = "xa".parse().unwrap();
        let mut text = ProgrammeText::open(&ProgrammeText::begin(&id, "Xã \"Bình\"", &"xa")).unwrap();
        text.set_version(7);
        let programme = programme(&text.text());
        assert_eq!((programme.version, programme.title.as_str()), (7, "Xã \"Bình\""));
    }
}
