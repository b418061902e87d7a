//! The answers to what a notice does not allow.

use axum::http::StatusCode;

use crate::app::App;
use crate::orders::notices::NotNotice;
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::texts::Say;

/// The status of a refusal.
pub fn status_of(not: &NotNotice) -> StatusCode {
    match not {
        NotNotice::NoSuch(_) => StatusCode::NOT_FOUND,
        NotNotice::NotYours | NotNotice::Own => StatusCode::FORBIDDEN,
        NotNotice::Changed(_) => StatusCode::CONFLICT,
        NotNotice::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The page that says why, in place of the one that was asked for.
pub fn refused(app: &App, frame: &Frame, not: NotNotice) -> PageError {
    match not {
        NotNotice::Store(error) => error.into(),
        not => refusal(app, frame, status_of(&not), &not.say()).into(),
    }
}
