//! Our lunar calendar against a published table: each day of 1900 to 2099.

use chrono::{Days, NaiveDate};
use loaxa_heart::domain::lunar::{LunarDate, LunarDay, Meets};

/// First days of lunar months, and the last day of the table (`tests/fixtures/lunar/README.md`).
const TABLE: &str = include_str!("../fixtures/lunar/month-starts.csv");

struct MonthStart {
    solar: NaiveDate,
    /// `None` closes the table.
    lunar: Option<Lunar>,
}

fn month_starts() -> Vec<MonthStart> {
    let line = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        let number = |index: usize| fields[index].parse::<i32>().unwrap();
        let lunar =
            (fields[1] != "end").then(|| (number(1) as u8, number(2) as u8, number(3), fields[4] == "1"));
        MonthStart { solar: fields[0].parse().unwrap(), lunar }
    };
    TABLE.lines().skip(1).map(line).collect()
}

/// The rows in which the table errs, as first day, last day, what it says of the first, and what is true.
///
/// 1900: it calls the month of 25 August the leap one. The autumn equinox, a major solar term, fell into that month
/// (23 September, 19:20 in UTC+7) and none into the next, so the leap month began on 24 September; Ho Ngoc Duc's
/// own table has leap month 8 for 1900 as well. 2054 and 2062: a day 0, which no calendar has.
const ERRATA: [(&str, &str, Lunar, Lunar); 4] = [
    ("1900-08-25", "1900-09-23", (1, 7, 1900, true), (1, 8, 1900, false)),
    ("1900-09-24", "1900-10-22", (1, 8, 1900, false), (1, 8, 1900, true)),
    ("2054-05-07", "2054-05-07", (0, 4, 2054, false), (30, 3, 2054, false)),
    ("2062-04-09", "2062-04-09", (0, 3, 2062, false), (30, 2, 2062, false)),
];

/// Day, month, year, whether the month is a leap one.
type Lunar = (u8, u8, i32, bool);

/// Looks `date` up in the table, mended where that errs.
fn mended(date: NaiveDate, said: Lunar) -> Lunar {
    let within = |first: &str, last: &str| (first.parse().unwrap()..=last.parse().unwrap()).contains(&date);
    let Some((_, _, wrong, right)) = ERRATA.iter().find(|(first, last, ..)| within(first, last)) else {
        return said;
    };
    assert_eq!((said.1, said.2, said.3), (wrong.1, wrong.2, wrong.3), "the table changed at {date}");
    (said.0 - wrong.0 + right.0, right.1, right.2, right.3)
}

#[test]
fn every_day_of_two_centuries_is_right() {
    let starts = month_starts();
    let mut days = 0;
    for pair in starts.windows(2) {
        let (first_day, month, year, leap) = pair[0].lunar.unwrap();
        let closes = pair[1].lunar.is_none();
        let length = (pair[1].solar - pair[0].solar).num_days() + i64::from(closes);
        for offset in 0..length {
            let solar = pair[0].solar + Days::new(offset as u64);
            let (day, month, year, leap) = mended(solar, (first_day + offset as u8, month, year, leap));
            let found = LunarDate::from_solar(solar);
            assert_eq!((found.day, found.month, found.year, found.leap), (day, month, year, leap), "{solar}");
            assert_eq!(LunarDate::to_solar(year, month, leap, day), Some(solar));
            days += 1;
        }
    }
    assert_eq!(days, 73_049);
}

#[test]
fn a_month_has_as_many_days_as_its_last_day_says() {
    let mut date: NaiveDate = "1900-01-01".parse().unwrap();
    while date < "2100-01-01".parse().unwrap() {
        let (today, tomorrow) = (LunarDate::from_solar(date), LunarDate::from_solar(date + Days::new(1)));
        assert_eq!(tomorrow.day == 1, today.day == today.month_days, "{date}");
        date = date + Days::new(1);
    }
}

#[test]
fn new_year_falls_where_vietnam_kept_it_and_not_where_china_did() {
    let check = |year, expected: &str| {
        assert_eq!(LunarDate::new_year(year).unwrap().to_string(), expected);
    };
    check(1968, "1968-01-29");
    check(1969, "1969-02-16");
    check(1985, "1985-01-21");
    check(2007, "2007-02-17");
    check(2026, "2026-02-17");
    check(2030, "2030-02-02");
    check(2053, "2053-02-18");
}

#[test]
fn months_that_do_not_exist_have_no_days() {
    assert_eq!(LunarDate::month_length(2025, 6, true), Some(29));
    assert_eq!(LunarDate::month_length(2026, 6, true), None);
    assert_eq!(LunarDate::to_solar(2026, 13, false, 1), None);
    assert_eq!(LunarDate::to_solar(2026, 0, false, 1), None);
    let short = (1..=12).find(|month| LunarDate::month_length(2026, *month, false) == Some(29)).unwrap();
    assert_eq!(LunarDate::to_solar(2026, short, false, 30), None);
}

#[test]
fn dates_far_away_do_not_panic() {
    for year in [-9_999, -1, 0, 1_582, 1_970, 2_199, 2_200, 9_999] {
        let date = NaiveDate::from_ymd_opt(year, 6, 1).unwrap();
        let lunar = LunarDate::from_solar(date);
        assert!((1..=12).contains(&lunar.month) && (1..=30).contains(&lunar.day), "{lunar}");
    }
}

#[test]
fn a_feast_is_not_kept_again_in_a_leap_month() {
    // 2025 has two sixth months: from the 25th of June and from the 25th of July.
    let days_of = |named: &str| -> Vec<String> {
        let named: LunarDay = named.parse().unwrap();
        let year = NaiveDate::from_ymd_opt(2025, 1, 29).unwrap().iter_days().take(384);
        year.filter(|date| named.meets(&LunarDate::from_solar(*date)) != Meets::No)
            .map(|date| date.to_string())
            .collect()
    };
    assert_eq!(days_of("15/6"), ["2025-07-09"]);
    assert_eq!(days_of("29/6"), ["2025-07-23"]);
    // The 30th of the regular sixth month is real; that of the leap month of 29 days is none of it.
    assert_eq!(days_of("30/6"), ["2025-07-24"]);
    assert_eq!(days_of("15").len(), 13);
    assert_eq!(days_of("30").len(), 13);
}
