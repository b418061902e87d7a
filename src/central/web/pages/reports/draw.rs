//! Tables of a report, each under a chart of the same numbers.

use maud::{Markup, PreEscaped, html};

use crate::reports::{Cell, Grid, number};
use crate::web::frame::Frame;
use crate::web::parts::Kind;
use loaxa_heart::said;

/// Lines of a chart; the table has them all.
const BARS_MAX: usize = 40;

/// The number of a cell; 0 for words.
fn value(cell: Option<&Cell>) -> u64 {
    match cell {
        Some(Cell::Number(number)) => *number,
        Some(Cell::Words(_) | Cell::Unknown) | None => 0,
    }
}

/// Words of a cell.
pub fn words(cell: &Cell) -> String {
    match cell {
        Cell::Words(words) => words.clone(),
        Cell::Number(count) => number(*count),
        Cell::Unknown => "—".to_owned(),
    }
}

/// A table, under a chart where its numbers are parts of a whole.
pub fn section(frame: &Frame, grid: &Grid) -> Markup {
    let code = grid.code;
    html! {
        section.stack aria-labelledby={ "h-" (code) } {
            h2 id={ "h-" (code) } { (grid.title) }
            @match grid.bars {
                Some(first) => {
                    (key(frame))
                    ul.hb { @for line in grid.lines.iter().take(BARS_MAX) { (bar(frame, line, first)) } }
                    @if grid.lines.len() > BARS_MAX {
                        p.mute { (frame.tell(&said!("report.more_bars", more = grid.lines.len() - BARS_MAX))) }
                    }
                    details { summary { (frame.say("report.same_as_table")) } (table(grid, false)) }
                },
                // The heading right above says the same.
                None => (table(grid, true)),
            }
        }
    }
}

fn key(frame: &Frame) -> Markup {
    let part = |kind: Kind, fill: Option<&str>, words: &'static str| {
        html! {
            span.(kind.class()) {
                svg viewBox="0 0 14 11" aria-hidden="true" { rect.fc[fill.is_none()] fill=[fill] width="14" height="11" {} }
                (frame.say(words))
            }
        }
    };
    html! {
        p.key {
            (part(Kind::Good, None, "log_page.aired"))
            (part(Kind::Bad, None, "log_page.missed"))
            (part(Kind::Unknown, Some("url(#ruled)"), "log_page.unknown"))
        }
    }
}

/// One line: parts of a hundred, so that nothing but widths is drawn.
fn bar(frame: &Frame, line: &[Cell], first: usize) -> Markup {
    let [planned, aired, missed, unknown] = [0, 1, 2, 3].map(|at| value(line.get(first + at)));
    let whole = planned.max(1) as f64;
    let part = |from: u64, minutes: u64| {
        (format!("{:.2}", from as f64 * 100.0 / whole), format!("{:.2}", minutes as f64 * 100.0 / whole))
    };
    let (good, bad, unk) = (part(0, aired), part(aired, missed), part(aired + missed, unknown));
    html! {
        li {
            b { (line.first().map(words).unwrap_or_default()) }
            svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                rect.fc.k-ok width=(good.1) height="10" {}
                rect.fc.k-bad x=(bad.0) width=(bad.1) height="10" {}
                rect fill="url(#ruled)" x=(unk.0) width=(unk.1) height="10" {}
            }
            span.num { (number(aired)) " " (frame.say("report.of")) " " (number(planned)) " " (frame.say("report.minutes")) }
        }
    }
}

fn table(grid: &Grid, hides_caption: bool) -> Markup {
    let row = |cells: &[Cell]| {
        html! {
            tr role="row" {
                @for (at, cell) in cells.iter().enumerate() {
                    @if at == 0 { th role="rowheader" scope="row" { (words(cell)) } }
                    @else { td.r role="cell" data-l=(grid.head[at]) { (words(cell)) } }
                }
            }
        }
    };
    html! {
        table.t role="table" {
            caption.hide[hides_caption] { (grid.title) }
            thead role="rowgroup" { tr role="row" {
                @for (at, head) in grid.head.iter().enumerate() {
                    th.r[at > 0] role="columnheader" scope="col" { (head) }
                }
            } }
            tbody role="rowgroup" { @for line in &grid.lines { (row(line)) } }
            tfoot role="rowgroup" { (row(&grid.total)) }
        }
    }
}

/// Lists the reasons for which minutes were missed.
pub fn reasons(frame: &Frame, missed: &[(String, u64)]) -> Markup {
    html! {
        @if !missed.is_empty() {
            section.stack aria-labelledby="h-reasons" {
                h2 #h-reasons { (frame.say("report.reasons")) }
                table.t role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (frame.say("report.reason")) }
                        th.r role="columnheader" scope="col" { (frame.say("report.minutes")) }
                    } }
                    tbody role="rowgroup" { @for (code, minutes) in missed { tr role="row" {
                        th role="rowheader" scope="row" { (frame.texts.code("missed_because", code)) }
                        td.r role="cell" data-l=(frame.say("report.minutes")) { (number(*minutes)) }
                    } } }
                }
            }
        }
    }
}

/// A table for paper.
pub fn on_paper(grid: &Grid) -> Markup {
    html! {
        h2 { (grid.title) }
        table {
            thead { tr { @for head in &grid.head { th scope="col" { (head) } } } }
            tbody { @for (index, line) in grid.lines.iter().chain([&grid.total]).enumerate() { tr {
                @for (at, cell) in line.iter().enumerate() {
                    @let words = words(cell);
                    @let words = if index == grid.lines.len() { html! { b { (words) } } } else { html! { (words) } };
                    @if at == 0 { th scope="row" { (words) } } @else { td.r { (words) } }
                }
            } } }
        }
    }
}

/// The title of a document for paper, with its stylesheet and nothing else.
pub fn paper(title: &str, content: &Markup) -> Markup {
    html! {
        (PreEscaped("<!DOCTYPE html>"))
        html lang="vi" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/assets/cong-van.css";
            }
            body { (content) }
        }
    }
}
