//! A report as a file to take along.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::reports::{self, Report};
use loaxa_heart::texts::Lang;

/// The forms of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Xlsx,
    Csv,
    Docx,
}

impl Form {
    const fn kind(self) -> (&'static str, &'static str) {
        match self {
            Form::Xlsx => ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            Form::Csv => ("csv", "text/csv; charset=utf-8"),
            Form::Docx => ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        }
    }
}

/// Makes a report's file on a thread of its own.
///
/// # Errors
/// Says what could not be written.
pub async fn made(app: &App, report: Report, form: Form, lang: Lang) -> Result<Response, String> {
    let name = format!("bao-cao-{}", report.period);
    let decree = reports::decree(&report, &app.settings.reporting);
    let write = move || match form {
        Form::Xlsx => reports::xlsx(&report, lang).map_err(|error| error.to_string()),
        Form::Csv => Ok(reports::csv(&report, lang)),
        Form::Docx => reports::docx(&decree),
    };
    let bytes = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())??;
    let (end, kind) = form.kind();
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{end}\"")),
    ];
    Ok((headers, bytes).into_response())
}
