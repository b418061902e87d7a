//! Our recurrence rules against the test suites of python-dateutil and libical.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate, NaiveDateTime};
use loaxa_heart::domain::recurrence::{BadRule, Recurrence};

const DATEUTIL: &str = include_str!("../fixtures/recurrence/dateutil.txt");
const LIBICAL: &str = include_str!("../fixtures/recurrence/libical.txt");

/// Days after the last expected one on which nothing more may come.
const QUIET_DAYS: u64 = 500;

struct Vector<'t> {
    name: &'t str,
    rule: &'t str,
    start: NaiveDateTime,
    /// Instances before are not asked for.
    start_at: NaiveDateTime,
    instances: Vec<NaiveDateTime>,
}

fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y%m%dT%H%M%S").unwrap()
}

fn vectors(text: &str) -> Vec<Vector<'_>> {
    let vector = |block: &'_ str| {
        let lines: BTreeMap<_, _> = block.lines().filter_map(|line| line.split_once(':')).collect();
        let start = at(lines["DTSTART"]);
        let instances = lines["INSTANCES"].split(',').filter(|text| !text.is_empty()).map(at).collect();
        (start, lines.get("START-AT").map_or(start, |text| at(text)), instances)
    };
    let field = |block: &'_ str, name: &str| -> Option<(usize, usize)> {
        let from = block.find(name)? + name.len();
        Some((from, from + block[from..].find('\n').unwrap_or(block.len() - from)))
    };
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let text = |name| field(block, name).map(|(from, to)| &block[from..to]).unwrap();
            let (start, start_at, instances) = vector(block);
            Vector { name: text("NAME:"), rule: text("RRULE:"), start, start_at, instances }
        })
        .collect()
}

/// The vectors know times of day, our rules only days: UNTIL becomes the last day whose instance is not later.
fn in_days(vector: &Vector<'_>) -> String {
    let part = |part: &str| {
        let Some(until) = part.strip_prefix("UNTIL=").filter(|until| until.contains('T')) else {
            return part.to_owned();
        };
        let until = at(until);
        let early = Days::new(u64::from(until.time() < vector.start.time()));
        (until.date() - early).format("UNTIL=%Y%m%d").to_string()
    };
    vector.rule.to_ascii_uppercase().split(';').map(part).collect::<Vec<_>>().join(";")
}

/// The outcome of a vector.
#[derive(Debug, PartialEq)]
enum Outcome {
    Same,
    /// The rule is about times of day, which slots do not take from rules.
    RefusedAsNotOfDays,
    /// RFC 5545 forbids it (3.3.10), and so do we; dateutil is lenient.
    RefusedAsForbidden,
    Differs(String),
}

/// Tells whether RFC 5545 forbids a part together with this frequency.
fn is_forbidden(rule: &str) -> bool {
    let has = |part: &str| rule.contains(part);
    let yearly = has("FREQ=YEARLY");
    let day_number = has("BYYEARDAY=") && (has("FREQ=DAILY") || has("FREQ=WEEKLY") || has("FREQ=MONTHLY"));
    day_number || (has("BYWEEKNO=") && !yearly) || (has("BYMONTHDAY=") && has("FREQ=WEEKLY"))
}

fn compare(vector: &Vector<'_>) -> Outcome {
    let from = vector.start.date();
    let rule = match Recurrence::new(&in_days(vector), from) {
        Ok(rule) => rule,
        Err(BadRule::SubDaily(_) | BadRule::SetsTime(_)) => return Outcome::RefusedAsNotOfDays,
        Err(BadRule::Syntax(_)) if is_forbidden(vector.rule) => return Outcome::RefusedAsForbidden,
        Err(BadRule::EndsBeforeStart { .. }) if vector.instances.is_empty() => return Outcome::Same,
        Err(error) => return Outcome::Differs(error.to_string()),
    };
    let expected: BTreeSet<NaiveDate> = vector.instances.iter().map(NaiveDateTime::date).collect();
    let last = expected.last().copied().unwrap_or(from) + Days::new(QUIET_DAYS);
    let asked = from.iter_days().take_while(|date| *date <= last);
    let found: BTreeSet<_> = asked
        .filter(|date| rule.contains(*date) && date.and_time(vector.start.time()) >= vector.start_at)
        .collect();
    if found == expected {
        return Outcome::Same;
    }
    Outcome::Differs(format!("{:?}", found.symmetric_difference(&expected).take(3).collect::<Vec<_>>()))
}

/// Runs all vectors; `counts` are those that agree, that are not about days, and that are forbidden. `known` names those that differ, each with the reason, and fails when one no longer does.
fn check(text: &str, known: &[(&str, &str)], counts: [usize; 3]) {
    let (mut same, mut not_of_days, mut forbidden) = (0, 0, 0);
    let mut differing = Vec::new();
    let mut wrong = String::new();
    for vector in vectors(text) {
        match compare(&vector) {
            Outcome::Same => same += 1,
            Outcome::RefusedAsNotOfDays => not_of_days += 1,
            Outcome::RefusedAsForbidden => forbidden += 1,
            Outcome::Differs(how) => {
                differing.push(vector.name);
                if !known.iter().any(|(name, _)| *name == vector.name) {
                    wrong += &format!("{} {} from {}: {how}\n", vector.name, vector.rule, vector.start);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    assert_eq!(differing, known, "a known difference is none any more");
    assert_eq!([same, not_of_days, forbidden], counts);
}

#[test]
fn dateutil_agrees() {
    check(DATEUTIL, &[], [71, 120, 31]);
}

#[test]
fn libical_agrees() {
    // dateutil's testYearlyByWeekNo wants what libical's 51 does not; the crate sides with dateutil.
    let week =
        ("51", "BYWEEKNO without BYDAY: libical takes DTSTART's day of the week, the crate all seven days");
    check(LIBICAL, &[week], [62, 7, 0]);
}
