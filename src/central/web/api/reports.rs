//! `GET /reports`: the report of a period, as JSON or as a file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::App;
use crate::reports;
use crate::web::problem::Problem;
use crate::web::report_file::{Form, made};
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say};

/// Boxes' days that are reckoned before a report is made.
const SETTLED: u32 = 400;

/// A period or a campaign, and the form of the report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    period: String,
    #[serde(default)]
    campaign: String,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    lang: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Xlsx,
    Csv,
    Docx,
}

/// Makes a report.
pub async fn handle(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    reports::settle(&app, SETTLED).await?;
    let refused = |bad: reports::BadPeriod| {
        let is_unknown = matches!(bad, reports::BadPeriod::NoCampaign(_));
        let status = if is_unknown { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        Problem { status, said: bad.say() }
    };
    let period = reports::period_of(&app, &asked.period, &asked.campaign).await?.map_err(refused)?;
    let report = reports::report(&app, period).await?.map_err(refused)?;
    let form = match asked.format {
        Format::Json => return Ok(Json(report).into_response()),
        Format::Xlsx => Form::Xlsx,
        Format::Csv => Form::Csv,
        Format::Docx => Form::Docx,
    };
    let lang = asked.lang.as_deref().map_or(Lang::Vi, Lang::of);
    made(&app, report, form, lang).await.map_err(|fault| {
        tracing::error!(fault, "a report can't be written");
        Problem { status: StatusCode::INTERNAL_SERVER_ERROR, said: said!("report.not_written") }
    })
}
