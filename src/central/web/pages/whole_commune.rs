//! The guard of pages that belong to the whole commune.

use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::people::Who;
use crate::store::Role;
use crate::web::frame::{Frame, refusal};
use loaxa_heart::said;

/// Answers a person who does not administer the whole commune; `None` for one who does. An administrator of one village
/// changes nothing that all share.
pub fn refused_to_village(app: &App, frame: &Frame, who: &Who) -> Option<Response> {
    let may = who.may(app, Role::Administrator, &app.settings.top_groups());
    (!may).then(|| refusal(app, frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")))
}
