use std::process::ExitCode;

use serde_json::Value;

use super::Outcome;
use super::client::{CentralArgs, Lang, local, print_table, text};

#[derive(clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let boxes = client.get("boxes", &[])?;
    if args.json {
        println!("{boxes:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let lang = client.lang;
    let head = match lang {
        Lang::Vi => ["CỤM LOA", "TÊN", "TRẠNG THÁI", "LIÊN LẠC LẦN CUỐI", "CHỜ GỬI", "LỖI"],
        Lang::En => ["BOX", "NAME", "STATE", "LAST CONTACT", "WAITING", "FAULTS"],
    };
    let rows: Vec<_> = boxes.as_array().into_iter().flatten().map(|row| cells(row, lang)).collect();
    print_table(&head, &rows);
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &Value, lang: Lang) -> Vec<String> {
    let faults = row["faults"].as_array().into_iter().flatten().map(text);
    vec![
        text(&row["id"]),
        text(&row["title"]),
        state(row, lang),
        local(&row["last_seen"]),
        text(&row["backlog"]),
        faults.collect::<Vec<_>>().join(", "),
    ]
}

fn state(row: &Value, lang: Lang) -> String {
    if row["last_seen"].is_null() {
        return lang.pick("chưa liên lạc", "never seen").to_owned();
    }
    if row["online"] != true {
        return lang.pick("mất liên lạc", "no contact").to_owned();
    }
    match row["on_air"]["title"].as_str() {
        Some(title) => format!("{}: {title}", lang.pick("đang phát", "on the air")),
        None => lang.pick("im lặng", "silent").to_owned(),
    }
}
