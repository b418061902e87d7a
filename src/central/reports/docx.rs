//! A report as a text document, in the form of Decree 30/2020/NĐ-CP: A4, margins, Times New Roman, page numbers above.

use docx_rs::{
    AlignmentType, BorderType, Docx, Header, LineSpacing, PageMargin, PageNum, Paragraph, Run, RunFonts,
    SpecialIndentType, Table, TableAlignmentType, TableCell, TableCellBorder, TableCellBorderPosition,
    TableRow, WidthType,
};

use super::decree::Decree;
use super::grid::{Cell, Grid};
use super::report::number;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, visible};

const FONT: &str = "Times New Roman";
/// Twentieths of a point in a millimetre.
const A_MM: f64 = 1_440.0 / 25.4;
/// Half points: 13 and 12.
const SIZE: usize = 26;
const SIZE_SMALL: usize = 24;
/// Width of the text on A4 between margins of 32 and 18 mm, in twentieths of a point.
const WIDTH: usize = 9_071;

fn mm(length: f64) -> i32 {
    (length * A_MM).round() as i32
}

fn words(text: &str) -> Run {
    Run::new().add_text(visible(text))
}

fn line(run: Run, align: AlignmentType) -> Paragraph {
    Paragraph::new().align(align).line_spacing(LineSpacing::new().before(0).after(0)).add_run(run)
}

/// The short rule under a heading.
fn rule() -> Paragraph {
    line(Run::new().add_text("―――――――").size(16), AlignmentType::Center)
}

/// Writes the document.
///
/// # Errors
/// Says what could not be written.
pub fn docx(decree: &Decree) -> Result<Vec<u8>, String> {
    let fonts = RunFonts::new().ascii(FONT).hi_ansi(FONT).cs(FONT).east_asia(FONT);
    let margin = PageMargin::new()
        .top(mm(22.0))
        .bottom(mm(22.0))
        .left(mm(32.0))
        .right(mm(18.0))
        .header(mm(10.0))
        .footer(mm(10.0));
    let page_number = Paragraph::new().align(AlignmentType::Center).add_page_num(PageNum::new());
    let mut document = Docx::new()
        .page_size(11_906, 16_838)
        .page_margin(margin)
        .default_fonts(fonts)
        .default_size(SIZE)
        .first_header(Header::new().add_paragraph(Paragraph::new()))
        .header(Header::new().add_paragraph(page_number))
        .add_table(heading(decree));
    let title = said!("decree.title").to(Lang::Vi);
    document = document
        .add_paragraph(line(Run::new(), AlignmentType::Center))
        .add_paragraph(line(words(&title).bold().size(28), AlignmentType::Center))
        .add_paragraph(line(words(&decree.subject).bold().size(28), AlignmentType::Center))
        .add_paragraph(rule());
    if let Some(addressee) = &decree.addressee {
        let to = said!("decree.to", addressee).to(Lang::Vi);
        document = document.add_paragraph(line(words(&to), AlignmentType::Center));
    }
    for text in &decree.paragraphs {
        document = document.add_paragraph(paragraph(text));
    }
    for grid in &decree.grids {
        let title = line(words(&grid.title).bold(), AlignmentType::Left);
        document = document.add_paragraph(title.keep_next(true)).add_table(table(grid));
    }
    document = document.add_paragraph(paragraph(&decree.proposals)).add_table(signature(decree));
    let mut bytes = std::io::Cursor::new(Vec::new());
    document.build().pack(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

fn paragraph(text: &str) -> Paragraph {
    Paragraph::new()
        .align(AlignmentType::Both)
        .indent(None, Some(SpecialIndentType::FirstLine(mm(10.0))), None, None)
        .line_spacing(LineSpacing::new().before(120))
        .add_run(words(text))
}

/// The two columns at the top: the office with its number, the country with its motto, place and date.
fn heading(decree: &Decree) -> Table {
    let centre = |run| line(run, AlignmentType::Center);
    let nation = said!("decree.nation").to(Lang::Vi);
    let motto = said!("decree.motto").to(Lang::Vi);
    let left = TableCell::new()
        .add_paragraph(centre(words(&decree.office[0]).size(SIZE_SMALL)))
        .add_paragraph(centre(words(&decree.office[1]).bold().size(SIZE_SMALL)))
        .add_paragraph(rule())
        .add_paragraph(centre(words(&decree.number)));
    let right = TableCell::new()
        .add_paragraph(centre(words(&nation).bold().size(SIZE_SMALL)))
        .add_paragraph(centre(words(&motto).bold().underline("single")))
        .add_paragraph(centre(Run::new().size(16)))
        .add_paragraph(centre(words(&decree.place_and_date).italic()));
    Table::without_borders(vec![TableRow::new(vec![
        left.width(WIDTH * 2 / 5, WidthType::Dxa),
        right.width(WIDTH * 3 / 5, WidthType::Dxa),
    ])])
    .set_grid(vec![WIDTH * 2 / 5, WIDTH * 3 / 5])
    .width(WIDTH, WidthType::Dxa)
}

fn table(grid: &Grid) -> Table {
    let numbers = grid.head.len() - 1;
    let (name, narrow) = (WIDTH - numbers * 1_150, 1_150);
    let bordered = |cell: TableCell| {
        use TableCellBorderPosition::{Bottom, Left, Right, Top};
        [Top, Bottom, Left, Right].into_iter().fold(cell, |cell, side| {
            cell.set_border(
                TableCellBorder::new(side).border_type(BorderType::Single).size(4).color("000000"),
            )
        })
    };
    let cell = |column: usize, run: Run, align| {
        let width = if column == 0 { name } else { narrow };
        bordered(TableCell::new().add_paragraph(line(run, align)).width(width, WidthType::Dxa))
    };
    let head = grid.head.iter().enumerate();
    let head =
        head.map(|(at, text)| cell(at, words(text).bold().size(SIZE_SMALL), AlignmentType::Center)).collect();
    let mut rows = vec![TableRow::new(head)];
    for (index, cells) in grid.lines.iter().chain([&grid.total]).enumerate() {
        let row = cells.iter().enumerate().map(|(at, content)| {
            let (run, align) = match content {
                Cell::Words(text) => (words(text), AlignmentType::Left),
                Cell::Number(n) => (words(&number(*n)), AlignmentType::Right),
                Cell::Unknown => (Run::new(), AlignmentType::Right),
            };
            let run = run.size(SIZE_SMALL);
            cell(at, if index == grid.lines.len() { run.bold() } else { run }, align)
        });
        rows.push(TableRow::new(row.collect()).cant_split());
    }
    let mut widths = vec![narrow; grid.head.len()];
    widths[0] = name;
    Table::new(rows).set_grid(widths).width(WIDTH, WidthType::Dxa).align(TableAlignmentType::Center)
}

/// The two columns at the end: who gets the document, and who signs it.
fn signature(decree: &Decree) -> Table {
    let small = |text: &str| line(words(text).size(22), AlignmentType::Left);
    let receivers = said!("decree.receivers").to(Lang::Vi);
    let mut left = TableCell::new()
        .add_paragraph(line(words(&receivers).bold().italic().size(SIZE_SMALL), AlignmentType::Left));
    for receiver in &decree.receivers {
        left = left.add_paragraph(small(receiver));
    }
    let right = TableCell::new()
        .add_paragraph(line(words(&said!("decree.on_behalf").to(Lang::Vi)).bold(), AlignmentType::Center))
        .add_paragraph(line(words(&said!("decree.signer").to(Lang::Vi)).bold(), AlignmentType::Center));
    Table::without_borders(vec![TableRow::new(vec![
        left.width(WIDTH / 2, WidthType::Dxa),
        right.width(WIDTH / 2, WidthType::Dxa),
    ])])
    .set_grid(vec![WIDTH / 2, WIDTH / 2])
    .width(WIDTH, WidthType::Dxa)
}
