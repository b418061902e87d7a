//! A report as CSV for a spreadsheet: UTF-8 with its mark, and no cell that a spreadsheet takes for a formula.

use super::grid::{Cell, grids};
use super::report::Report;
use crate::web::texts::TEXTS;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, visible};

/// By it spreadsheets know the file for UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Makes a cell that no spreadsheet takes for a formula, as OWASP advises.
pub fn defused(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let cell = visible(cell);
    if is_formula { format!("'{cell}") } else { cell.into_owned() }
}

/// Writes all tables, one under the other, each under its title.
pub fn csv(report: &Report, lang: Lang) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(MARK.to_vec());
    let mut write = |cells: Vec<String>| {
        let cells = cells.iter().map(|cell| defused(cell));
        writer.write_record(cells).expect("a list of bytes takes all");
    };
    let texts = TEXTS.of(lang);
    let named = report.period.named().to(lang);
    write(vec![said!("report.title_of", period = named).to(lang), report.commune.clone()]);
    for grid in grids(report, lang) {
        write(vec![grid.title]);
        write(grid.head);
        let text = |cell: &Cell| match cell {
            Cell::Words(words) => words.clone(),
            Cell::Number(number) => number.to_string(),
            Cell::Unknown => String::new(),
        };
        for line in grid.lines.iter().chain([&grid.total]) {
            write(line.iter().map(text).collect());
        }
    }
    write(vec![texts.say("report.reasons").to_owned(), texts.say("report.minutes").to_owned()]);
    for (code, minutes) in &report.missed {
        write(vec![texts.code("missed_because", code), minutes.to_string()]);
    }
    writer.into_inner().expect("a list of bytes takes all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let check = |cell: &str, expected: &str| assert_eq!(defused(cell), expected);
        check("Thôn Hạ", "Thôn Hạ");
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check("＝1", "'＝1");
        check("@x", "'@x");
    }
}
