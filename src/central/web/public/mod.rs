//! Pages for everybody, without sign-in: the programme, hearing again, feedback, and what sounds now. No names of people, no
//! telephone numbers and no faults of boxes. Whatever strangers ask for is drawn from what was read once for all of them.

mod again;
mod answer;
mod board;
mod calendar;
mod feedback;
mod now;
mod podcast;
mod programme;
mod readers;
mod seen;
mod village;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Extension, Router};

use self::seen::Shared;
use crate::app::App;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::asset;

/// Largest form of a stranger, in bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    let shared = Extension(Arc::<Shared>::default());
    let page = |handler: axum::routing::MethodRouter<Arc<App>>| handler.layer(shared.clone());
    pages
        .page("/chuong-trinh", Needs::Nobody, page(get(programme::page)))
        .page("/chuong-trinh/{file}", Needs::Nobody, page(get(calendar::file)))
        .page("/nghe-lai.xml", Needs::Nobody, page(get(podcast::feed)))
        .page("/nghe-lai/{file}", Needs::Nobody, page(get(again::file)))
        .page(
            "/gop-y",
            Needs::Nobody,
            page(get(feedback::page).post(feedback::send).layer(DefaultBodyLimit::max(FORM_BYTES_MAX))),
        )
        .page("/gop-y/tra-loi", Needs::Nobody, page(get(feedback::answer)))
        .page("/dang-phat.json", Needs::Nobody, page(get(now::json)))
        .page("/dang-phat/su-kien", Needs::Nobody, page(get(now::stream)))
        .page("/bang-dien-tu", Needs::Nobody, page(get(board::page)))
}

/// The script of the board.
pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/board.js", get(|| async { asset("text/javascript", board::SCRIPT) }))
}
