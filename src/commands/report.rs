use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{Months, NaiveDate};
use serde_json::Value;

use super::client::{CentralArgs, Client, print_json, print_table, text};
use super::language::{Failure, Outcome, chosen, complain, of_file, words};
use loaxa_adapters::clock;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    period: Period,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    central: CentralArgs,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Period {
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    #[arg(long, value_name = "YYYY-QN")]
    quarter: Option<String>,
    #[arg(long, value_name = "YYYY")]
    year: Option<String>,
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
    Xlsx,
    Docx,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let Period { month, quarter, year, campaign } = args.period;
    let is_of_month = quarter.is_none() && year.is_none() && campaign.is_none();
    if args.format == Format::Table && is_of_month {
        return by_box(&client, month);
    }
    let mut query = Vec::new();
    query.extend(month.or(quarter).or(year).map(|period| ("period", period)));
    query.extend(campaign.map(|campaign| ("campaign", campaign)));
    query.push(("lang", chosen().tag().to_owned()));
    match args.format {
        Format::Table => print_villages(&client.get("reports", &query)?),
        Format::Json => print_json(&format!("{:#}\n", client.get("reports", &query)?)),
        Format::Csv | Format::Xlsx | Format::Docx => {
            let format = match args.format {
                Format::Xlsx => "xlsx",
                Format::Docx => "docx",
                Format::Csv | Format::Table | Format::Json => "csv",
            };
            query.push(("format", format.to_owned()));
            let bytes = client.get_bytes("reports", &query)?;
            match &args.output {
                Some(path) => std::fs::write(path, bytes).map_err(|error| of_file(path, &error))?,
                None => std::io::stdout().lock().write_all(&bytes)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the villages of a report, and its total.
fn print_villages(report: &Value) {
    let line = |title: String, minutes: &Value| {
        let cells = ["planned", "aired", "missed", "unknown"].map(|code| text(&minutes[code]));
        [vec![title], cells.to_vec()].concat()
    };
    let lines = report["tables"][0]["lines"].as_array().into_iter().flatten();
    let mut rows: Vec<_> = lines.map(|it| line(text(&it["title"]), &it["minutes"])).collect();
    rows.push(line(words(said!("report.sum")), &report["total"]));
    print_table("report_of_period", &rows);
}

/// Prints a month by box and section.
fn by_box(client: &Client, month: Option<String>) -> Outcome {
    let month = month.unwrap_or_else(|| clock::wall().date().format("%Y-%m").to_string());
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
