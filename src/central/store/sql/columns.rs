//! Columns as checked types, both ways.

use super::engine::{Error, Result, Row};
use serde::de::DeserializeOwned;

use crate::told_once::ToldOnce;
use chrono::NaiveDate;
use loaxa_heart::domain::time::Wall;

/// Writes JSON.
pub fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows are JSON: their map keys are texts")
}

/// Writes a plain enum as the text that JSON gives it, for instance `priority`.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

type Bad = Box<dyn std::error::Error + Send + Sync>;

/// Reads a column as a checked type; what this program wrote it also reads.
pub fn parsed<T, E: Into<Bad>>(
    row: &Row,
    column: &str,
    parse: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text).map_err(|error| unreadable(column, error.into()))
}

/// An error that names the column.
pub fn unreadable(column: &str, error: Bad) -> Error {
    Error::Unknown { column: column.to_owned(), error }
}

/// The kinds of values that this version does not know.
static UNKNOWN: ToldOnce = ToldOnce::new();

/// Collects the rows of a list, without those that hold something this version does not know: a central of a later version
/// beside it may have written them. Each kind of them is told of once.
pub fn known<T>(rows: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    rows.filter_map(|row| match row {
        Err(error @ Error::Unknown { .. }) => {
            let error = error.to_string();
            if UNKNOWN.is_due(&error) {
                tracing::warn!(error, "a row that this version can not read is left out of a list");
            }
            None
        }
        row => Some(row),
    })
    .collect()
}

/// Lists at most `limit` rows, without those that [`known`] leaves out: others behind them come in their place, so that a list
/// which is not full has no more. The question is told how many rows are wanted behind how many.
pub fn known_up_to<T>(limit: u32, mut ask: impl FnMut(u32, u32) -> Result<Vec<Result<T>>>) -> Result<Vec<T>> {
    let (mut found, mut behind) = (Vec::new(), 0);
    loop {
        let wanted = limit - found.len() as u32;
        let rows = ask(wanted, behind)?;
        let read = rows.len() as u32;
        behind += read;
        found.extend(known(rows.into_iter())?);
        if read < wanted || found.len() as u32 >= limit {
            return Ok(found);
        }
    }
}

/// Reads an identifier.
pub fn name<T: std::str::FromStr<Err: Into<Bad>>>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, str::parse::<T>)
}

/// Reads JSON.
pub fn from_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, |text| serde_json::from_str(text))
}

/// Reads a plain enum or a hexadecimal number, kept as the text that JSON gives it.
pub fn from_word<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, |text| serde_json::from_value(text.into()))
}

/// Reads a plain enum that may be absent.
pub fn optional_word<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| serde_json::from_value(text.into());
    text.map(parse).transpose().map_err(|error| unreadable(column, error.into()))
}

/// Reads a day.
pub fn day(row: &Row, column: &str) -> Result<NaiveDate> {
    parsed(row, column, str::parse::<NaiveDate>)
}

/// Reads a time.
pub fn wall(row: &Row, column: &str) -> Result<Wall> {
    row.get(column).map(Wall)
}

/// Reads a time that may be absent.
pub fn optional_wall(row: &Row, column: &str) -> Result<Option<Wall>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Wall))
}

/// Writes a number that is never negative; what is larger than the column is written as its largest.
pub fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a number that is never negative.
pub fn count(row: &Row, column: &str) -> Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

/// Reads a number that may be absent.
pub fn optional_count(row: &Row, column: &str) -> Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|n| n as u64))
}

/// Reads an identifier that may be absent.
pub fn optional_name<T: std::str::FromStr<Err: Into<Bad>>>(row: &Row, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse()).transpose().map_err(|error: T::Err| unreadable(column, error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strange: &[u32], limit: u32, expected: &[u32]) {
        let row = |n: u32| if strange.contains(&n) { Err(unreadable("n", "strange".into())) } else { Ok(n) };
        let asked = |wanted: u32, behind: u32| Ok((behind..10).take(wanted as usize).map(row).collect());
        assert_eq!(known_up_to(limit, asked).unwrap(), expected, "{strange:?}, {limit}");
    }

    #[test]
    fn what_can_not_be_read_takes_no_place_in_a_list() {
        check(&[], 3, &[0, 1, 2]);
        check(&[0, 1, 3], 3, &[2, 4, 5]);
        check(&[8], 3, &[0, 1, 2]);
        check(&[7, 9], 20, &[0, 1, 2, 3, 4, 5, 6, 8]);
        check(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 3, &[]);
        check(&[0], 0, &[]);
        let fails = known_up_to(3, |_, _| Ok(vec![Ok(1), Err(Error::NoRow)]));
        assert!(fails.is_err(), "what the database refuses is no strange row");
    }
}
