//! `POST /enrolments`: makes a one-time code for a new box.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use crate::app::App;
use crate::boxes::enrolment;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::{BoxId, GroupId};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    #[serde(rename = "box")]
    id: BoxId,
    title: String,
    groups: Vec<GroupId>,
}

/// Makes a code, with the command that the installer types and a QR code of it.
pub async fn handle(
    State(app): State<Arc<App>>,
    JsonBody(Invited { id, title, groups }): JsonBody<Invited>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (code, expires) = enrolment::invite(&app, id, &title, groups).await?;
    let command = enrolment::command(&app, &code);
    let qr = enrolment::qr(&command);
    let said = json!({ "code": code.to_string(), "expires": expires, "command": command, "qr": qr });
    Ok((StatusCode::CREATED, Json(said)))
}
