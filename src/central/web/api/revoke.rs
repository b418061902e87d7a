//! `POST /boxes/{id}/revoke`: shuts a box out.

use loaxa_heart::said;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::app::App;
use crate::boxes::enrolment;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::BoxId;

/// Revokes the certificates of a box, and forgets its key.
pub async fn handle(State(app): State<Arc<App>>, Path(id): Path<BoxId>) -> Result<StatusCode, Problem> {
    match enrolment::revoke(&app, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem { status: StatusCode::NOT_FOUND, said: said!("api.no_such_box", id) }),
    }
}
