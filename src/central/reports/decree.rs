//! A report in the form of an administrative document, as Decree 30/2020/NĐ-CP (appendix I) asks. Such a document is
//! Vietnamese, whatever language its reader chose for the pages.

use chrono::{Datelike, NaiveDate};

use super::grid::{Grid, grids};
use super::report::{Report, number, percent};
use crate::settings::Reporting;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Sentence};

/// The parts of the document, in their order.
pub struct Decree {
    /// The office, one line each.
    pub office: [String; 2],
    /// The number, left blank for the clerk.
    pub number: String,
    pub place_and_date: String,
    pub subject: String,
    /// The office that gets it; `None` where none is set.
    pub addressee: Option<String>,
    pub paragraphs: Vec<String>,
    pub grids: Vec<Grid>,
    pub proposals: String,
    pub receivers: Vec<String>,
}

/// The name of a place without what kind of place it is: `Xã Bình Minh` becomes `Bình Minh`.
fn bare(commune: &str) -> String {
    let kinds = said!("decree.kinds").to(Lang::Vi);
    let lower = commune.to_lowercase();
    let kind = kinds.split('|').map(|kind| format!("{kind} ")).find(|kind| lower.starts_with(kind));
    kind.and_then(|kind| commune.get(kind.len()..)).unwrap_or(commune).to_owned()
}

/// A date as the decree writes it: days below 10 and months 1 and 2 have a 0 before.
fn dated(date: NaiveDate) -> (String, String) {
    let month = if date.month() <= 2 { format!("0{}", date.month()) } else { date.month().to_string() };
    (format!("{:02}", date.day()), month)
}

/// Makes the document of a report.
pub fn decree(report: &Report, reporting: &Reporting) -> Decree {
    let vi = |said: Sentence| said.to(Lang::Vi);
    let (day, month) = dated(report.made.date());
    let place = bare(&report.commune);
    let named = vi(report.period.named());
    let total = &report.total;
    let share = |part| percent(part, total.planned);
    let mut paragraphs = vec![vi(said!(
        "decree.summary",
        period = named,
        boxes = number(report.boxes),
        villages = number(report.villages),
        aired = number(total.aired),
        planned = number(total.planned),
        share = share(total.aired)
    ))];
    paragraphs.push(vi(said!(
        "decree.rest",
        missed = number(total.missed),
        missed_share = share(total.missed),
        unknown = number(total.unknown),
        unknown_share = share(total.unknown)
    )));
    if report.reach.households > 0 {
        paragraphs.push(vi(said!(
            "decree.reach",
            reached = number(report.reach.reached),
            households = number(report.reach.households),
            minutes = number(report.reach.minutes_each)
        )));
    }
    let said = &report.voices.total;
    if said.said > 0 {
        paragraphs.push(vi(said!(
            "decree.voices",
            said = number(said.said),
            asked = number(said.asked),
            in_time = number(said.in_time),
            late = number(said.late),
            waiting = number(said.waiting)
        )));
    }
    if report.counted_until < report.until {
        paragraphs.push(vi(said!("report.until", date = report.counted_until.format("%d/%m/%Y"))));
    }
    let mut receivers = vec![vi(said!("decree.as_above")), vi(said!("decree.file"))];
    if reporting.above.is_empty() {
        receivers.remove(0);
    }
    Decree {
        office: [vi(said!("decree.office")), report.commune.to_uppercase()],
        number: vi(said!("decree.number")),
        place_and_date: vi(said!("decree.dated", place, day, month, year = report.made.date().year())),
        subject: vi(said!("decree.subject", period = named)),
        addressee: Some(reporting.above.clone()).filter(|above| !above.is_empty()),
        paragraphs,
        grids: grids(report, Lang::Vi),
        proposals: vi(said!("decree.proposals")),
        receivers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_days_and_the_first_two_months_have_a_nought_before() {
        let check = |date: &str, expected: (&str, &str)| {
            let (day, month) = dated(date.parse().unwrap());
            assert_eq!((day.as_str(), month.as_str()), expected);
        };
        check("2026-02-05", ("05", "02"));
        check("2026-01-31", ("31", "01"));
        check("2026-03-09", ("09", "3"));
        check("2026-11-26", ("26", "11"));
    }

    #[test]
    fn a_place_is_named_without_its_kind() {
        assert_eq!(
            ["Xã Bình Minh", "Phường Đông", "Bình Minh"].map(bare),
            ["Bình Minh", "Đông", "Bình Minh"]
        );
    }
}
