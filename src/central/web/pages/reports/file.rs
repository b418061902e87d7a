//! The report as a file: a workbook, a table, a text.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use crate::app::App;
use crate::web::frame::{Frame, PageError, refusal};
use crate::web::report_file::{Form, made};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn workbook(
    app: State<Arc<App>>,
    asked: Query<Asked>,
    frame: Frame,
) -> Result<Response, PageError> {
    file(app, asked, frame, Form::Xlsx).await
}

pub async fn table(app: State<Arc<App>>, asked: Query<Asked>, frame: Frame) -> Result<Response, PageError> {
    file(app, asked, frame, Form::Csv).await
}

pub async fn text(app: State<Arc<App>>, asked: Query<Asked>, frame: Frame) -> Result<Response, PageError> {
    file(app, asked, frame, Form::Docx).await
}

async fn file(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    frame: Frame,
    form: Form,
) -> Result<Response, PageError> {
    let report = match asked.report(&app).await? {
        Ok(report) => report,
        Err(bad) => return Ok(refusal(&app, &frame, StatusCode::BAD_REQUEST, &bad.say())),
    };
    match made(&app, report, form, frame.lang).await {
        Ok(answer) => Ok(answer),
        Err(fault) => {
            tracing::error!(fault, "a report can't be written");
            Ok(refusal(&app, &frame, StatusCode::INTERNAL_SERVER_ERROR, &said!("report.not_written")))
        }
    }
}
