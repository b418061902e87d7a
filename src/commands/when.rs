//! Days and times as staff write them.

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use super::language::Failure;
use loaxa_heart::domain::person::{normalised, skeleton};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// A point in time, as far as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(Wall),
    Day(NaiveDate),
    Time(NaiveTime),
}

/// Reads `05:30`, `17h30`, `26/11/2026`, `26/11`, `2026-11-26`, `hôm qua`, `yesterday`, a day with a time in either order,
/// and RFC 3339.
pub fn read(text: &str, now: Wall) -> Option<When> {
    if let Ok(at) = text.trim().parse::<Wall>() {
        return Some(When::At(at));
    }
    let text = normalised(text);
    let today = now.date();
    if let Some(day) = day(&text, today) {
        return Some(When::Day(day));
    }
    if let Some(time) = time(&text) {
        return Some(When::Time(time));
    }
    let both = |(a, b): (&str, &str)| {
        let in_order = |d: &str, t: &str| Some((day(d, today)?, time(t)?));
        in_order(a, b).or_else(|| in_order(b, a))
    };
    let spaces = text.match_indices(' ').map(|(at, _)| at);
    let (day, time) = spaces.filter_map(|at| both((&text[..at], &text[at + 1..]))).next()?;
    Some(When::At(Wall::from_local(day.and_time(time))))
}

fn day(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    // With or without its accents.
    match skeleton(text).as_str() {
        "homnay" | "today" => return Some(today),
        "homqua" | "yesterday" => return today.checked_sub_days(Days::new(1)),
        "homkia" => return today.checked_sub_days(Days::new(2)),
        "mai" | "ngaymai" | "tomorrow" => return today.checked_add_days(Days::new(1)),
        "kia" | "ngaykia" => return today.checked_add_days(Days::new(2)),
        _ => {}
    }
    let text = match text.split_once(' ') {
        Some((word, date)) if skeleton(word) == "ngay" => date,
        _ => text,
    };
    let forms = ["%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y"];
    let written = forms.iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok());
    // No year below 1000: `26/11/26` is a mistake.
    let of_this_year = || NaiveDate::parse_from_str(&format!("{text}/{}", today.year()), "%d/%m/%Y").ok();
    written.or_else(of_this_year).filter(|date| date.year() >= 1_000)
}

fn time(text: &str) -> Option<NaiveTime> {
    let text = text.strip_suffix('h').map_or_else(|| text.replace('h', ":"), |hour| format!("{hour}:00"));
    ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(&text, form).ok())
}

/// The first instant of what was written, or with `after` the first one behind it: a day ends with its last second.
///
/// # Errors
/// Says how a time is written.
pub fn instant(text: &str, now: Wall, after: bool) -> Result<Wall, Failure> {
    let when = read(text, now).ok_or_else(|| said!("when.unknown", text = text.escape_debug()))?;
    Ok(match when {
        When::At(at) => at,
        When::Time(time) => Wall::from_local(now.date().and_time(time)),
        When::Day(day) => {
            let day = if after { day.checked_add_days(Days::new(1)).unwrap_or(day) } else { day };
            Wall::from_local(day.and_time(NaiveTime::MIN))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-26T15:00:00+07:00";

    fn check(text: &str, first: &str, behind: &str) {
        let now = NOW.parse().unwrap();
        let expected = |text: &str| format!("{text}+07:00").parse::<Wall>().unwrap();
        assert_eq!(instant(text, now, false).unwrap(), expected(first), "{text}");
        assert_eq!(instant(text, now, true).unwrap(), expected(behind), "{text}");
    }

    #[test]
    fn days_and_times_are_taken_as_staff_write_them() {
        let (today, tomorrow) = ("2026-11-26T00:00:00", "2026-11-27T00:00:00");
        for text in
            ["2026-11-26", "26/11/2026", "26/11", "hôm nay", "Hôm  nay", "hom nay", "today", "ngày 26/11"]
        {
            check(text, today, tomorrow);
        }
        for text in ["hôm qua", "ho\u{302}m qua", "yesterday", "25/11"] {
            check(text, "2026-11-25T00:00:00", today);
        }
        for text in
            ["17h30 26/11/2026", "hôm nay 17:30", "2026-11-26 17:30", "2026-11-26T17:30:00+07:00", "17:30"]
        {
            check(text, "2026-11-26T17:30:00", "2026-11-26T17:30:00");
        }
        check("ngày mai 5h", "2026-11-27T05:00:00", "2026-11-27T05:00:00");
        for wrong in ["", "hôm", "32/11", "26/11/26", "25:00", "17:30 17:30", "tuần trước", "h"] {
            assert!(instant(wrong, NOW.parse().unwrap(), false).is_err(), "{wrong}");
        }
    }
}
