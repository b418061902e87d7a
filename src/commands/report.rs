use std::process::ExitCode;

use chrono::{Months, NaiveDate};
use serde_json::Value;

use super::client::{CentralArgs, print_table, text};
use super::language::{Failure, Outcome, chosen, complain, words};
use loaxa_adapters::clock;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let month = args.month.unwrap_or_else(|| clock::wall().date().format("%Y-%m").to_string());
    let (from, to) = span_of(&month)?;
    let rows = client.get("report", &[("from", from.to_string()), ("to", to.to_string())])?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let shown = rows.iter().map(|row| {
        let section = text(&row["section"]);
        let minutes = row["seconds_played"].as_f64().unwrap_or_default() / 60.0;
        vec![
            text(&row["box_title"]),
            if section.is_empty() { "-".to_owned() } else { section },
            text(&row["plays"]),
            text(&row["finished"]),
            words(Sentence::decimal(minutes, 1)),
            not_aired(&row["not_aired"]),
        ]
    });
    print_table("report", &shown.collect::<Vec<_>>());
    for row in rows.iter().filter(|row| row["implausible"].as_u64().unwrap_or_default() > 0) {
        complain!("report.implausible", count = text(&row["implausible"]), title = text(&row["box_title"]));
    }
    Ok(ExitCode::SUCCESS)
}

/// Slots that did not sound, with their reasons.
fn not_aired(counted: &Value) -> String {
    let texts = crate::commands::texts::TEXTS.of(chosen());
    let reason =
        |(because, slots): (&String, &Value)| format!("{slots} ({})", texts.code("because", because));
    let reasons: Vec<_> = counted.as_object().into_iter().flatten().map(reason).collect();
    if reasons.is_empty() { "-".to_owned() } else { reasons.join(", ") }
}

/// From the first instant of a month to the first of the next.
fn span_of(month: &str) -> Result<(Wall, Wall), Failure> {
    let wrong = || said!("report.no_month", month = month.escape_debug());
    let first = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").map_err(|_| wrong())?;
    let next = first.checked_add_months(Months::new(1)).ok_or_else(wrong)?;
    let begins = |date: NaiveDate| Wall::from_local(date.and_time(chrono::NaiveTime::MIN));
    Ok((begins(first), begins(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_one_of_vietnam() {
        let (from, to) = span_of("2026-12").unwrap();
        assert_eq!(from, "2026-12-01T00:00:00+07:00".parse().unwrap());
        assert_eq!(to, "2027-01-01T00:00:00+07:00".parse().unwrap());
        assert!(span_of("2026-13").is_err() && span_of("").is_err());
    }
}
