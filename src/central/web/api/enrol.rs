//! `POST /enrol`: takes a box in by its one-time code.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::body::JsonBody;
use crate::app::App;
use crate::boxes::enrolment;
use crate::web::problem::Problem;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled};

/// Gives a box its certificate; the code shows who asks.
pub async fn handle(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<EnrolRequest>,
) -> Result<Json<Enrolled>, Problem> {
    Ok(Json(enrolment::enrol(&app, request).await?))
}
