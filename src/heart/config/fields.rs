//! Reading the values of a TOML file one by one, with all that is wrong collected instead of stopping at the first.

use crate::said;
use crate::texts::{Say, Sentence};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveTime};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use crate::domain::time::DAY_END;

/// A TOML file that is being read, and the problems found so far.
pub struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

/// Most problems that are told of one file; more help nobody.
const PROBLEMS_MAX: usize = 100;

impl<'t> Reader<'t> {
    /// Parses a file's text; errors of its syntax are the first problems.
    pub fn new(file: &'t str, text: &'t str) -> (Self, Spanned<DeTable<'t>>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let reader = Self { file, text, problems: RefCell::default() };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, "", said!("problem.toml", detail = error.message()));
        }
        (reader, table)
    }

    /// Returns the outermost table.
    pub fn root<'r>(&'r self, table: &'r Spanned<DeTable<'t>>) -> Fields<'r> {
        Fields::new(self, String::new(), 0, table.as_ref())
    }

    /// Notes a problem at a byte of the text.
    pub fn problem(&self, at: usize, key: &str, said: Sentence) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() == PROBLEMS_MAX {
            return;
        }
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        problems.push(Problem {
            file: self.file.to_owned(),
            line: self.line(at),
            column: self.text[line_start..at].chars().count() + 1,
            key: key.to_owned(),
            said,
        });
    }

    /// Takes over problems of another file that this one names.
    pub fn append(&self, Problems(others): Problems) {
        let mut problems = self.problems.borrow_mut();
        let room = PROBLEMS_MAX - problems.len();
        problems.extend(others.into_iter().take(room));
    }

    /// Returns the line of a byte of the text, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    /// Tells whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Returns all problems that were found, by line.
    pub fn into_problems(self) -> Problems {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        Problems(problems)
    }
}

/// A table; keys that nobody asked for are refused by [`Fields::finish`].
pub struct Fields<'r> {
    reader: &'r Reader<'r>,
    path: String,
    /// Byte of the text at which the table stands.
    pub at: usize,
    values: BTreeMap<&'r str, (usize, &'r Spanned<DeValue<'r>>)>,
    known: Vec<&'static str>,
}

impl<'r> Fields<'r> {
    fn new(reader: &'r Reader<'_>, path: String, at: usize, table: &'r DeTable<'_>) -> Self {
        let entry = |(key, value): (&'r Spanned<_>, &'r Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.as_ref();
            (&**name, (key.span().start, value))
        };
        Self { reader, path, at, values: table.iter().map(entry).collect(), known: Vec::new() }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a problem of the table as a whole.
    pub fn problem(&self, said: Sentence) {
        self.reader.problem(self.at, &self.path, said);
    }

    /// Returns the value of a key that may be absent.
    pub fn get(&mut self, key: &'static str) -> Option<Value<'r>> {
        self.known.push(key);
        let (_, value) = *self.values.get(key)?;
        Some(Value { reader: self.reader, key: self.key(key), at: value.span().start, value: value.as_ref() })
    }

    /// Tells whether a key is there; it is still to be asked for.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Returns the value of a key that must be there.
    pub fn need(&mut self, key: &'static str) -> Option<Value<'r>> {
        let value = self.get(key);
        if value.is_none() {
            let key = self.key(key);
            self.reader.problem(self.at, &key, said!("problem.missing", key));
        }
        value
    }

    /// Returns the table under `key`; an empty one where it is absent.
    pub fn section(&mut self, key: &'static str) -> Fields<'r> {
        let at = self.at;
        let table = self.get(key).and_then(|value| value.table());
        let path = self.key(key);
        table.unwrap_or_else(|| Fields {
            reader: self.reader,
            path,
            at,
            values: BTreeMap::new(),
            known: Vec::new(),
        })
    }

    /// Returns the tables under `key`, written `[[key]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Fields<'r>> {
        let values = self.get(key).map(|value| value.list()).unwrap_or_default();
        values.into_iter().filter_map(|value| value.table()).collect()
    }

    /// Returns the names of keys that are there.
    pub fn names(&self) -> Vec<&'r str> {
        self.values.keys().copied().collect()
    }

    /// Returns the value of a key whose name is data; the key counts as asked for.
    pub fn any(&mut self, name: &'r str) -> Option<Value<'r>> {
        let (_, value) = self.values.remove(name)?;
        Some(Value {
            reader: self.reader,
            key: self.key(name),
            at: value.span().start,
            value: value.as_ref(),
        })
    }

    /// Refuses every key that was not asked for.
    pub fn finish(self) {
        for (name, (at, _)) in &self.values {
            if !self.known.contains(name) {
                let remedy = did_you_mean(name, self.known.iter().copied())
                    .unwrap_or_else(|| said!("problem.known_here", names = self.known.join(", ")));
                self.reader.problem(*at, &self.key(name), said!("problem.unknown_key", remedy));
            }
        }
    }
}

/// Proposes the closest of `known` to what was written.
pub fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<Sentence> {
    let distance = |name: &str| strsim::damerau_levenshtein(written, name);
    let closest = known.into_iter().min_by_key(|name| distance(name))?;
    let near = distance(closest) <= 1 + written.chars().count() / 3;
    near.then(|| said!("problem.did_you_mean", name = closest.escape_debug()))
}

/// A value and its place in the text.
#[derive(Clone)]
pub struct Value<'r> {
    reader: &'r Reader<'r>,
    /// Path of its key.
    pub key: String,
    /// Byte of the text at which the value stands.
    pub at: usize,
    value: &'r DeValue<'r>,
}

impl<'r> Value<'r> {
    /// Notes a problem of this value.
    pub fn problem(&self, said: Sentence) {
        self.reader.problem(self.at, &self.key, said);
    }

    fn expected<T>(&self, wanted: Sentence, example: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => said!("type.string"),
            DeValue::Integer(_) => said!("type.integer"),
            DeValue::Float(_) => said!("type.float"),
            DeValue::Boolean(_) => said!("type.boolean"),
            DeValue::Datetime(_) => said!("type.datetime"),
            DeValue::Array(_) => said!("type.array"),
            DeValue::Table(_) => said!("type.table"),
        };
        self.problem(said!("problem.wrong_type", found, wanted, example));
        None
    }

    /// Reads a string.
    pub fn text(&self) -> Option<&'r str> {
        self.value.as_str().or_else(|| self.expected(said!("type.text"), "\"...\""))
    }

    /// Reads a string that is not blank.
    pub fn words(&self) -> Option<&'r str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.problem(said!("problem.blank"));
            return None;
        }
        Some(text)
    }

    /// Tells whether the value is a string, without complaint where not.
    pub fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Reads a string that means a `T`.
    pub fn parse<T: FromStr<Err: Say>>(&self) -> Option<T> {
        match self.text()?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(error.say());
                None
            }
        }
    }

    /// Reads one of a few words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let written = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == written).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.problem(said!(
                "problem.unknown_choice",
                written = written.escape_debug(),
                names = names.join(", ")
            ));
        }
        found
    }

    /// Reads a whole number in `range`.
    pub fn integer<T: TryFrom<i64> + TryInto<i64> + Copy + Display>(
        &self,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let Some(integer) = self.value.as_integer() else {
            return self.expected(said!("type.whole_number"), &range.start().to_string());
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let within = number.filter(|number| {
            let bound = |bound: T| bound.try_into().unwrap_or(i64::MAX);
            (bound(*range.start())..=bound(*range.end())).contains(number)
        });
        let value = within.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            self.problem(said!(
                "problem.out_of_range",
                number = integer.as_str(),
                min = range.start(),
                max = range.end()
            ));
        }
        value
    }

    /// Reads a number in `range`.
    pub fn number(&self, range: RangeInclusive<f32>) -> Option<f32> {
        let text = match self.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return self.expected(said!("type.number"), &format!("{:.1}", range.start())),
        };
        let value = text.parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.problem(said!(
                "problem.out_of_range",
                number = text,
                min = range.start(),
                max = range.end()
            ));
        }
        value
    }

    /// Reads a date, written as TOML date or as string `YYYY-MM-DD`.
    pub fn date(&self) -> Option<NaiveDate> {
        let text = match self.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(at) if at.time.is_none() => at.to_string(),
            _ => return self.expected(said!("type.date"), "\"2026-09-02\""),
        };
        let date = text.parse::<NaiveDate>().ok().filter(|date| DATE_YEARS.contains(&date.year()));
        if date.is_none() {
            self.problem(said!("problem.no_date", text = text.escape_debug(), remedy = date_advice(&text)));
        }
        date
    }

    /// Reads a time of day, written as TOML time or as string `HH:MM` or `HH:MM:SS`.
    pub fn time(&self) -> Option<NaiveTime> {
        let text = match self.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(at) if at.date.is_none() => at.to_string(),
            _ => return self.expected(said!("type.time"), "\"05:00\""),
        };
        let time = time_of_day(&text);
        if time.is_none() {
            let (text, last) = (text.escape_debug(), "23:59:59");
            self.problem(said!("problem.no_time", text, last));
        }
        time
    }

    /// Reads a time of day at which something ends: also `24:00`, as [`DAY_END`].
    pub fn end_time(&self) -> Option<NaiveTime> {
        let DeValue::String(text) = self.value else { return self.time() };
        let time = time_of_day(text).or_else(|| is_day_end(text).then_some(DAY_END));
        if time.is_none() {
            let (text, last) = (text.escape_debug(), "24:00");
            self.problem(said!("problem.no_time", text, last));
        }
        time
    }

    /// Returns the elements of an array, or the one value that stands in its place.
    pub fn list(&self) -> Vec<Value<'r>> {
        let Some(array) = self.value.as_array() else { return vec![self.clone()] };
        let element = |value: &'r Spanned<DeValue<'r>>| Value {
            reader: self.reader,
            key: self.key.clone(),
            at: value.span().start,
            value: value.as_ref(),
        };
        array.iter().map(element).collect()
    }

    /// Tells whether the value is an array.
    pub fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Reads a table.
    pub fn table(&self) -> Option<Fields<'r>> {
        match self.value.as_table() {
            Some(table) => Some(Fields::new(self.reader, self.key.clone(), self.at, table)),
            None => self.expected(said!("type.table"), "[...]"),
        }
    }
}

/// Reads a time of day as `05:00`, `05:00:30`, or as people write it: `5h00`, `5h`, `5g30`.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let plain = with_colons(text);
    let time = ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(&plain, form).ok());
    // A leap second is no time that a schedule can name.
    time.filter(|_| !plain.ends_with(":60"))
}

fn is_day_end(text: &str) -> bool {
    matches!(with_colons(text).as_str(), "24:00" | "24:00:00")
}

fn with_colons(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(['h', 'g']) {
        Some(hour) => format!("{hour}:00"),
        None => text.replace(['h', 'g'], ":"),
    }
}

/// Years that a date may lie in; keeps all reckoning with days far from overflow.
const DATE_YEARS: RangeInclusive<i32> = 1970..=2199;

fn date_advice(text: &str) -> Sentence {
    let mut parts = text.splitn(3, '-').map(str::parse::<u32>);
    let month = match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(_))) => NaiveDate::from_ymd_opt(year as i32, month, 1),
        _ => None,
    };
    match month {
        Some(month) if DATE_YEARS.contains(&month.year()) => {
            said!("problem.days_in_month", month = month.format("%Y-%m"), days = month.num_days_in_month())
        }
        _ => said!("problem.date_form"),
    }
}
