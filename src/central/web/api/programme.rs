//! `POST /programmes`: sends the weekly plan of a group, and says what the guards of its boxes will refuse of it.

use std::sync::Arc;

use axum::extract::{Query, State};

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, ProgrammeAsked};
use crate::orders::warnings;
use loaxa_heart::decide::preview::Warning;
use loaxa_heart::texts::Say;

/// The question of somebody who wants to know beforehand.
#[derive(Deserialize)]
pub struct Asks {
    #[serde(default)]
    foresee: bool,
}

/// Sends the weekly plan of a group. With `foresee`, it only says what would be refused.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(Asks { foresee }): Query<Asks>,
    JsonBody(asked): JsonBody<ProgrammeAsked>,
) -> Answer {
    let programme = documents::check_programme(&app, &asked).await?.programme;
    let warnings = warnings::of_programme(&app, &programme).await?;
    let warnings: Vec<_> = warnings.iter().map(shown).collect();
    if foresee {
        return Ok((StatusCode::OK, Json(json!({ "warnings": warnings }))));
    }
    let (status, Json(mut answer)) = sent(documents::send_programme(&app, asked).await?);
    answer["warnings"] = Value::Array(warnings);
    Ok((status, Json(answer)))
}

fn shown(warning: &Warning) -> Value {
    let (said, said_vi) = warning.say().in_both();
    let mut shown = json!(warning);
    (shown["said"], shown["said_vi"]) = (said.into(), said_vi.into());
    shown
}
