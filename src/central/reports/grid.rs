//! A report as tables of words and numbers, the same for every form in which it goes out.

use super::report::{By, Line, Minutes, Report};
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
    pub by: By,
    pub title: String,
    pub head: Vec<String>,
    pub lines: Vec<Vec<Cell>>,
    pub total: Vec<Cell>,
}

/// The columns of numbers, in their order.
const COLUMNS: [&str; 5] = ["planned", "aired", "missed", "unknown", "extra"];

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
                by: table.by,
                title: texts.code("sum_title", table.by.code()),
                head,
                lines: lines.collect(),
                total,
            }
        })
        .collect()
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
