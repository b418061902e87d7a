mod airings;
mod anchors;
mod form;
mod verify;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

pub use self::form::Format;
use self::form::no_formula;
use super::client::{CentralArgs, Client, local, print_json, print_table, text};
use super::language::{Failure, Outcome, chosen, complain, foreign, words};
use super::when;
use loaxa_adapters::clock;
use loaxa_heart::domain::playback::CHECKPOINT_EVERY;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Sentence, visible};

/// Pause between two looks of `--follow`.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows asked for at a time: as many as central gives.
const PAGE_ROWS: usize = 1_000;
/// Rows that `--follow` looks at.
const FOLLOW_ROWS: usize = 200;
/// Frames a second in the log.
const FRAMES_A_SECOND: f64 = loaxa_heart::domain::sound::FRAMES_A_SECOND as f64;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    show: Show,
}

#[derive(clap::Subcommand)]
enum Action {
    Verify(verify::Args),
    Anchor(CentralArgs),
}

#[derive(clap::Args)]
struct Show {
    #[arg(long = "box", value_name = "BOX")]
    id: Option<String>,
    #[arg(long)]
    from: Option<String>,
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    choice: airings::Choice,
    #[arg(long)]
    follow: bool,
    #[arg(long, conflicts_with = "follow")]
    implausible: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Some(Action::Verify(args)) => return verify::run(&args),
        Some(Action::Anchor(central)) => return anchors::print(&central),
        None => {}
    }
    let show = args.show;
    let now = clock::wall();
    let from = show.from.map(|text| when::instant(&text, now, false)).transpose()?;
    let to = show.to.map(|text| when::instant(&text, now, true)).transpose()?;
    let given =
        [("box", show.id), ("from", from.map(|at| at.to_string())), ("to", to.map(|at| at.to_string()))];
    let query: Vec<_> = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let client = show.central.client()?;
    if let Some(choice) = show.choice.query() {
        if show.follow || show.implausible {
            return Err(said!("logs.not_with_filters").into());
        }
        let query = [query, choice].concat();
        return airings::print(&client, &query, show.format, show.limit);
    }
    match (show.format, show.follow) {
        (Format::Json, follow) => export(&client, &query, follow)?,
        (format, true) => follow_plays(&client, &query, format)?,
        (format, false) => {
            let mut query = query;
            if show.implausible {
                query.push(("implausible", true.to_string()));
            }
            let (mut plays, more) = newest_plays(&client, &query, show.limit)?;
            plays.reverse();
            print_plays(&plays, format)?;
            if more {
                complain!("logs.more", shown = plays.len());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest plays first, as many as one answer holds.
///
/// # Errors
/// As [`Client::get`].
pub fn plays(client: &Client, query: &[(&str, String)]) -> Result<Vec<Value>, Failure> {
    match client.get("plays", query)? {
        Value::Array(plays) => Ok(plays),
        _ => Err(said!("logs.no_list").into()),
    }
}

/// The newest plays first, page by page up to `limit`; tells whether there are more.
fn newest_plays(
    client: &Client,
    query: &[(&str, String)],
    limit: u32,
) -> Result<(Vec<Value>, bool), Failure> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut query = query.to_vec();
    loop {
        let mut page_query = query.clone();
        page_query.push(("limit", PAGE_ROWS.to_string()));
        let page = plays(client, &page_query)?;
        let is_last = page.len() < PAGE_ROWS;
        // The next page begins at the instant of the last row, which may share it with others.
        let next = page.last().and_then(opened).map(|at| at.plus(Span(1)));
        let before = found.len();
        found.extend(page.into_iter().filter(|play| seen.insert(play["cursor"].as_i64())));
        if found.len() > wanted || is_last || found.len() == before {
            let more = found.len() > wanted || !is_last;
            found.truncate(wanted);
            return Ok((found, more));
        }
        let Some(next) = next else { return Ok((found, true)) };
        query.retain(|(key, _)| *key != "to");
        query.push(("to", next.to_string()));
    }
}

fn opened(play: &Value) -> Option<Wall> {
    play["opened"].as_str()?.parse().ok()
}

/// Prints plays as staff read them.
///
/// # Errors
/// Fails when nobody takes what is printed.
pub fn print_plays(plays: &[Value], format: Format) -> Result<(), Failure> {
    if format == Format::Csv {
        return print_csv(plays, true);
    }
    print_table("logs", &plays.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

fn start(play: &Value) -> &Value {
    if play["started"].is_null() { &play["opened"] } else { &play["started"] }
}

fn class(play: &Value) -> &Value {
    if play["class"].is_null() { &play["rung"] } else { &play["class"] }
}

fn seconds(frames: &Value) -> Option<f64> {
    frames.as_f64().map(|frames| frames / FRAMES_A_SECOND)
}

fn cells(play: &Value) -> Vec<String> {
    let seconds_in_words = |s| words(said!("logs.seconds", seconds = Sentence::decimal(s, 1)));
    let length = |frames: &Value| seconds(frames).map_or_else(|| "-".to_owned(), seconds_in_words);
    vec![
        local(start(play)),
        text(&play["box_title"]),
        text(&play["title"]),
        class_word(&text(class(play))),
        match seconds(&play["frames_played"]) {
            Some(least) if play["outcome"] == "power_lost" => {
                let most = least + CHECKPOINT_EVERY.as_secs_f64();
                let [least, most] = [least, most].map(|s| Sentence::decimal(s, 0));
                words(said!("logs.between", least, most))
            }
            _ => length(&play["frames_played"]),
        },
        length(&play["frames_due"]),
        outcome(play),
    ]
}

fn class_word(code: &str) -> String {
    crate::commands::texts::TEXTS.of(chosen()).code("class", code)
}

fn outcome(play: &Value) -> String {
    let code = text(&play["outcome"]);
    let words = crate::commands::texts::TEXTS
        .of(chosen())
        .code("outcome", if code.is_empty() { "playing" } else { &code });
    let reason: Value =
        play["reason"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match reason["by"].as_str() {
        Some(by) => format!("{words} {}", class_word(by)),
        None => words,
    }
}

/// The columns of the CSV.
const COLUMNS: [&str; 9] =
    ["start", "box", "title", "class", "section", "seconds_played", "seconds_due", "outcome", "reason"];

/// Prints plays as CSV (RFC 4180).
fn print_csv(plays: &[Value], with_head: bool) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(std::io::stdout().lock());
    if with_head {
        writer.write_record(COLUMNS).map_err(|error| foreign(&error))?;
    }
    for play in plays {
        writer.write_record(record(play)).map_err(|error| foreign(&error))?;
    }
    Ok(writer.flush()?)
}

fn record(play: &Value) -> [String; COLUMNS.len()] {
    let number = |frames: &Value| seconds(frames).map_or_else(String::new, |s| format!("{s:.3}"));
    [
        text(start(play)),
        text(&play["box"]),
        text(&play["title"]),
        text(class(play)),
        text(&play["section"]),
        number(&play["frames_played"]),
        number(&play["frames_due"]),
        text(&play["outcome"]),
        text(&play["reason"]),
    ]
    .map(|cell| no_formula(&cell))
}

/// Prints each play once it has ended.
fn follow_plays(client: &Client, query: &[(&str, String)], format: Format) -> Result<(), Failure> {
    let mut query = query.to_vec();
    query.push(("limit", FOLLOW_ROWS.to_string()));
    let mut printed = BTreeSet::new();
    let mut is_told = false;
    loop {
        let mut ended = plays(client, &query)?;
        // Where nothing that was printed is among the newest, others may have come and gone between two looks.
        let is_cut = ended.len() == FOLLOW_ROWS
            && !printed.is_empty()
            && !ended.iter().any(|play| printed.contains(&play["cursor"].as_i64()));
        if is_cut && !is_told {
            complain!("logs.follow_more", shown = FOLLOW_ROWS);
        }
        is_told = is_cut;
        ended.retain(|play| !play["outcome"].is_null() && !printed.contains(&play["cursor"].as_i64()));
        ended.reverse();
        printed.extend(ended.iter().map(|play| play["cursor"].as_i64()));
        while printed.len() > FOLLOW_ROWS_KEPT {
            printed.pop_first();
        }
        if format == Format::Csv {
            print_csv(&ended, false)?;
        } else {
            ended.iter().for_each(|play| println!("{}", visible(&cells(play).join("  "))));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Cursors remembered while following; older ones have left the rows that are looked at.
const FOLLOW_ROWS_KEPT: usize = 10_000;

/// Prints the exact entries, page by page.
fn export(client: &Client, query: &[(&str, String)], follow: bool) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let mut query = query.to_vec();
        query.push(("after", after.to_string()));
        let (lines, next) = client.get_text("export", &query)?;
        print_json(&lines);
        match next {
            Some(next) => after = next,
            None if follow => std::thread::sleep(LOOK_EVERY),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_safe_in_a_spreadsheet() {
        let check = |cell: &str, expected: &str| assert_eq!(no_formula(cell), expected);
        check("Bão số 5", "Bão số 5");
        check("a, \"b\"", "a, \"b\"");
        check("=HYPERLINK(1)", "'=HYPERLINK(1)");
        check("\r=1", "'\r=1");
        check("＝1", "'＝1");
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(record(&serde_json::json!({ "title": "a,\n\"b\"", "box": "@x" }))).unwrap();
        let written = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        assert_eq!(written, ",'@x,\"a,\\n\"\"b\"\"\",,,,,,\n");
    }
}
