//! A report as a workbook, a sheet for each table. Cells are words or numbers, never formulas.

use chrono::Datelike;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, XlsxError};

use super::grid::{Cell, Grid, grids};
use super::report::Report;
use crate::web::texts::TEXTS;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, visible};

/// Longest name of a sheet that programs take.
const SHEET_NAME_MAX: usize = 31;

/// Widths of the columns, in characters.
const WIDTHS: (f64, f64) = (36.0, 14.0);

/// Writes a workbook. Each line goes to disk before the next, so that its length needs no memory.
///
/// # Errors
/// Fails when the disk takes no temporary file.
pub fn xlsx(report: &Report, lang: Lang) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&of_its_end(report)?));
    let formats = Formats {
        title: Format::new().set_bold().set_font_size(13),
        head: Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Center),
        number: Format::new().set_num_format("#,##0"),
        total: Format::new().set_bold().set_num_format("#,##0"),
    };
    let named = report.period.named().to(lang);
    let title = said!("report.title_of", period = named).to(lang);
    for grid in grids(report, lang) {
        sheet(&mut workbook, &grid, &format!("{title}, {}", report.commune), &formats)?;
    }
    reasons(&mut workbook, report, &formats, lang)?;
    workbook.save_to_buffer()
}

/// The time that stands in the file: the end of what was counted, so that the same report is the same file whenever it is made.
fn of_its_end(report: &Report) -> Result<ExcelDateTime, XlsxError> {
    let day = report.counted_until;
    ExcelDateTime::from_ymd(u16::try_from(day.year()).unwrap_or_default(), day.month() as u8, day.day() as u8)
}

struct Formats {
    title: Format,
    head: Format,
    number: Format,
    total: Format,
}

fn sheet(workbook: &mut Workbook, grid: &Grid, title: &str, formats: &Formats) -> Result<(), XlsxError> {
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_name(grid.name.chars().take(SHEET_NAME_MAX).collect::<String>())?;
    sheet.set_column_width(0, WIDTHS.0)?;
    for column in 1..grid.head.len() {
        sheet.set_column_width(column as u16, WIDTHS.1)?;
    }
    sheet.set_freeze_panes(2, 1)?;
    sheet.write_string_with_format(0, 0, visible(title), &formats.title)?;
    for (column, words) in grid.head.iter().enumerate() {
        sheet.write_string_with_format(1, column as u16, words.as_str(), &formats.head)?;
    }
    for (row, line) in grid.lines.iter().chain([&grid.total]).enumerate() {
        let row = row as u32 + 2;
        let is_total = row as usize == grid.lines.len() + 2;
        let format = if is_total { &formats.total } else { &formats.number };
        for (column, cell) in line.iter().enumerate() {
            match cell {
                Cell::Words(words) if is_total => {
                    sheet.write_string_with_format(row, column as u16, visible(words), &formats.total)?;
                }
                Cell::Words(words) => {
                    sheet.write_string(row, column as u16, visible(words))?;
                }
                Cell::Number(number) => {
                    sheet.write_number_with_format(row, column as u16, *number as f64, format)?;
                }
                Cell::Unknown => {}
            }
        }
    }
    Ok(())
}

fn reasons(workbook: &mut Workbook, report: &Report, formats: &Formats, lang: Lang) -> Result<(), XlsxError> {
    let texts = TEXTS.of(lang);
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_name(texts.say("report.reasons"))?;
    sheet.set_column_width(0, WIDTHS.0)?;
    sheet.write_string_with_format(0, 0, texts.say("report.reasons"), &formats.head)?;
    sheet.write_string_with_format(0, 1, texts.say("report.minutes"), &formats.head)?;
    for (row, (code, minutes)) in report.missed.iter().enumerate() {
        let row = row as u32 + 1;
        sheet.write_string(row, 0, texts.code("missed_because", code))?;
        sheet.write_number_with_format(row, 1, *minutes as f64, &formats.number)?;
    }
    Ok(())
}
