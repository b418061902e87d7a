//! A report as tables of words and numbers, the same for every form in which it goes out.

use super::report::{By, Line, Minutes, Report};
use super::voices::{VoiceCount, VoiceLine};
use crate::web::texts::TEXTS;
use loaxa_heart::texts::{Lang, Texts};

/// The content of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Words(String),
    Number(u64),
    /// Nobody has told.
    Unknown,
}

/// A table with its head, its lines and its total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// A word for addresses in the page.
    pub code: &'static str,
    /// A name that no other table of the report has.
    pub name: String,
    pub title: String,
    /// The first of the four columns planned, aired, missed, unknown, where the table has them.
    pub bars: Option<usize>,
    pub head: Vec<String>,
    pub lines: Vec<Vec<Cell>>,
    pub total: Vec<Cell>,
}

/// The columns of numbers, in their order.
const COLUMNS: [&str; 5] = ["planned", "aired", "missed", "unknown", "extra"];

/// The columns of what villagers said.
const VOICE_COLUMNS: [&str; 5] = ["said", "asked", "in_time", "late", "waiting"];

/// Puts a report into tables. The column of what sounded beside the plan stands only where there is any.
pub fn grids(report: &Report, lang: Lang) -> Vec<Grid> {
    let texts = TEXTS.of(lang);
    report
        .tables
        .iter()
        .map(|table| {
            let with_places = table.by == By::Village;
            let with_extra = report.total.extra > 0;
            let mut head = vec![texts.code("sum_by", table.by.code())];
            if with_places {
                head.extend([texts.say("report.boxes"), texts.say("report.households")].map(str::to_owned));
            }
            let columns = COLUMNS.iter().filter(|code| with_extra || **code != "extra");
            head.extend(columns.map(|code| texts.code("sum_column", code)));
            let lines = table.lines.iter().map(|line| {
                let mut cells = vec![Cell::Words(title(table.by, line, texts))];
                if with_places {
                    cells.push(line.boxes.map_or(Cell::Unknown, Cell::Number));
                    cells.push(line.households.map_or(Cell::Unknown, |count| Cell::Number(count.into())));
                }
                cells.extend(numbers(&line.minutes, with_extra));
                cells
            });
            let mut total = vec![Cell::Words(texts.say("report.sum").to_owned())];
            if with_places {
                total.push(Cell::Number(report.boxes));
                total.push(Cell::Number(report.reach.households));
            }
            total.extend(numbers(&report.total, with_extra));
            Grid {
                code: table.by.code(),
                name: head[0].clone(),
                title: texts.code("sum_title", table.by.code()),
                bars: Some(head.len() - COLUMNS.len() + usize::from(!with_extra)),
                head,
                lines: lines.collect(),
                total,
            }
        })
        .chain(voices(report, texts))
        .collect()
}

/// The tables of what villagers said, where they said anything.
fn voices(report: &Report, texts: &Texts) -> Vec<Grid> {
    let cells = |first: String, count: &VoiceCount| {
        let VoiceCount { said, asked, in_time, late, waiting } = *count;
        let numbers = [said, asked, in_time, late, waiting].map(Cell::Number);
        [Cell::Words(first)].into_iter().chain(numbers).collect::<Vec<_>>()
    };
    let table = |code: &'static str, first: String, lines: Vec<Vec<Cell>>| Grid {
        code,
        name: texts.code("voice_name", code),
        title: texts.code("voice_title", code),
        bars: None,
        head: [first].into_iter().chain(VOICE_COLUMNS.map(|code| texts.code("voice_column", code))).collect(),
        lines,
        total: cells(texts.say("report.sum").to_owned(), &report.voices.total),
    };
    if report.voices.total.said == 0 {
        return Vec::new();
    }
    let by_village = report.voices.by_village.iter().map(|line| cells(line.title.clone(), &line.count));
    let kind = |line: &VoiceLine| cells(texts.code("feedback_kind", &line.id), &line.count);
    vec![
        table("said_by_village", texts.code("sum_by", By::Village.code()), by_village.collect()),
        table(
            "said_by_kind",
            texts.say("feedback.said").to_owned(),
            report.voices.by_kind.iter().map(kind).collect(),
        ),
    ]
}

fn numbers(minutes: &Minutes, with_extra: bool) -> Vec<Cell> {
    let Minutes { planned, aired, missed, unknown, extra } = *minutes;
    let mut cells = [planned, aired, missed, unknown].map(Cell::Number).to_vec();
    cells.extend(with_extra.then_some(Cell::Number(extra)));
    cells
}

/// The name of a line, or the words for none.
fn title(by: By, line: &Line, texts: &Texts) -> String {
    match by {
        By::Class => texts.code("sum_class", &line.id),
        By::Month => match line.id.split_once('-') {
            Some((year, month)) => format!("{month}/{year}"),
            None => line.id.clone(),
        },
        _ if line.id.is_empty() => texts.code("sum_none", by.code()),
        _ => line.title.clone(),
    }
}
