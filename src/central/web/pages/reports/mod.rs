//! Reports: a period on the screen, as a spreadsheet, as a text, and on paper.

mod asked;
mod draw;
mod file;
mod print;
mod screen;

use axum::Router;
use axum::routing::get;
use std::sync::Arc;

use crate::app::App;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::asset;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages
        .page("/bao-cao", Needs::Person, get(screen::page))
        .page("/bao-cao/in", Needs::Person, get(print::page))
        .page("/bao-cao.xlsx", Needs::Person, get(file::workbook))
        .page("/bao-cao.csv", Needs::Person, get(file::table))
        .page("/bao-cao.docx", Needs::Person, get(file::text))
}

/// The stylesheet of what is printed.
pub fn assets() -> Router<Arc<App>> {
    const PAPER: &str = include_str!("../../assets/cong-van.css");
    Router::new().route("/assets/cong-van.css", get(|| async { asset("text/css", PAPER) }))
}
