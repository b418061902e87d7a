//! `loaxa logs` with the filters of the page: what was due, and what became of it.

use std::process::ExitCode;

use serde_json::Value;

use super::super::client::{Client, local, print_json, print_table, text};
use super::super::language::{Outcome, chosen, complain, foreign};
use super::form::{Format, no_formula};
use crate::commands::texts::TEXTS;

/// Rows asked for at a time.
const PAGE_ROWS: usize = 1_000;

/// The filters that ask for what was due, not for what sounded alone.
#[derive(clap::Args)]
pub struct Choice {
    #[arg(long, value_name = "GROUP")]
    village: Option<String>,
    #[arg(long, value_name = "SECTION")]
    section: Option<String>,
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
}

impl Choice {
    /// The query of the filters; `None` where none is given.
    pub fn query(self) -> Option<Vec<(&'static str, String)>> {
        let given = [
            ("village", self.village),
            ("section", self.section),
            ("class", self.class),
            ("campaign", self.campaign),
            ("person", self.person),
            ("outcome", self.outcome),
        ];
        let query: Vec<_> = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        (!query.is_empty()).then_some(query)
    }
}

/// The columns of the CSV.
const COLUMNS: [&str; 8] = ["due", "village", "box", "title", "class", "planned_ms", "aired_ms", "outcome"];

/// Prints what was due, and says aloud where there is more.
///
/// # Errors
/// As [`Client::get`].
pub fn print(client: &Client, query: &[(&str, String)], format: Format, limit: u32) -> Outcome {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rows: Vec<Value> = Vec::new();
    let mut next = None;
    loop {
        let mut page_query = query.to_vec();
        page_query.push(("limit", PAGE_ROWS.min(wanted - rows.len()).to_string()));
        page_query.extend(next.take().map(|before| ("before", before)));
        let mut page = client.get("airings", &page_query)?;
        if let Value::Array(found) = page["airings"].take() {
            rows.extend(found);
        }
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() || rows.len() >= wanted {
            break;
        }
    }
    rows.reverse();
    match format {
        Format::Json => rows.iter().for_each(|row| print_json(&format!("{row}\n"))),
        Format::Table => print_table("airings", &rows.iter().map(cells).collect::<Vec<_>>()),
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(std::io::stdout().lock());
            writer.write_record(COLUMNS).map_err(|error| foreign(&error))?;
            for row in &rows {
                let codes =
                    ["due", "village_title", "box_title", "title", "class", "planned_ms", "aired_ms", "fate"];
                let cells = codes.map(|code| no_formula(&text(&row[code])));
                writer.write_record(cells).map_err(|error| foreign(&error))?;
            }
            writer.flush()?;
        }
    }
    if next.is_some() {
        complain!("logs.more", shown = rows.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &Value) -> Vec<String> {
    let texts = TEXTS.of(chosen());
    let minutes = |ms: &Value| ((ms.as_u64().unwrap_or_default() + 30_000) / 60_000).to_string();
    vec![
        local(&row["due"]),
        text(&row["village_title"]),
        text(&row["box_title"]),
        text(&row["title"]),
        texts.code("class", &text(&row["class"])),
        minutes(&row["planned_ms"]),
        minutes(&row["aired_ms"]),
        texts.code("fate", &text(&row["fate"])),
    ]
}
