//! Dates and times as people type them, in the commune's own time whatever the browser's clock says.

use chrono::{Datelike, NaiveDate, NaiveTime};

use loaxa_heart::domain::time::Wall;

/// Reads a date: `27/11/2026`, `27/11` of this year or the next, or `2026-11-27` as browsers write it.
pub fn date(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let text = text.trim();
    if text.find('-') == Some(4) {
        return text.parse().ok();
    }
    let parts: Vec<&str> = text.split(['/', '-', '.']).map(str::trim).collect();
    let number = |part: &str| part.parse::<u32>().ok();
    match parts[..] {
        [day, month, year] => {
            let year = year.parse::<i32>().ok().map(|year| if year < 100 { 2_000 + year } else { year });
            NaiveDate::from_ymd_opt(year?, number(month)?, number(day)?)
        }
        [day, month] => {
            let (day, month) = (number(day)?, number(month)?);
            let this = NaiveDate::from_ymd_opt(today.year(), month, day).filter(|date| *date >= today);
            this.or_else(|| NaiveDate::from_ymd_opt(today.year() + 1, month, day))
        }
        _ => None,
    }
}

/// Reads a time of day: `17:10`, `17h10`, `17 giờ 10`, `17h`.
pub fn time(text: &str) -> Option<NaiveTime> {
    let text = text.trim().to_lowercase().replace("giờ", "h").replace("gio", "h").replace("phút", "");
    let (hour, minute) = text.split_once([':', 'h', 'g', '.'])?;
    let minute = minute.trim();
    let minute = if minute.is_empty() { 0 } else { minute.parse().ok()? };
    NaiveTime::from_hms_opt(hour.trim().parse().ok()?, minute, 0)
}

/// A date as staff write it: `27/11/2026`.
pub fn date_words(at: Wall) -> String {
    at.local().format("%d/%m/%Y").to_string()
}

/// A time of day: `17:10`.
pub fn time_words(at: Wall) -> String {
    at.local().format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_people_write_them() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 26).unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(date(text, today), expected.map(|date| date.parse().unwrap()), "{text}");
        };
        check("27/11/2026", Some("2026-11-27"));
        check(" 7/1/2027 ", Some("2027-01-07"));
        check("27-11-26", Some("2026-11-27"));
        check("2026-11-27", Some("2026-11-27"));
        check("27/11", Some("2026-11-27"));
        check("1/2", Some("2027-02-01"));
        check("31/2/2027", None);
        check("11/27/2026", None);
        check("mai", None);
        check("", None);
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(time(text), expected.map(|time| time.parse().unwrap()), "{text}");
        };
        check("17:10", Some("17:10:00"));
        check("5h", Some("05:00:00"));
        check("17h10", Some("17:10:00"));
        check("17 giờ 10", Some("17:10:00"));
        check("17.10", Some("17:10:00"));
        check("25:00", None);
        check("17", None);
        check("", None);
    }
}
