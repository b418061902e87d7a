//! Audio that everybody may hear again, under an address that says of what kind it is.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::allow_other_sites;
use super::seen::Shared;
use crate::app::App;
use crate::store::PublishedRow;
use crate::web::frame::{Frame, PageError};
use loaxa_heart::said;

/// Kinds of audio with the endings of their files, as the centre knows them when they come in.
const KINDS: [(&str, &str); 5] = [
    ("audio/mpeg", "mp3"),
    ("audio/aac", "aac"),
    ("audio/flac", "flac"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
];

/// The MIME type of an item's audio, and the ending of its file.
pub fn kind(row: &PublishedRow) -> (&'static str, &'static str) {
    KINDS.into_iter().find(|(kind, _)| *kind == row.media.codec).unwrap_or(("audio/wav", "wav"))
}

/// The path of an item's audio.
pub fn address(row: &PublishedRow) -> String {
    format!("/nghe-lai/{}.{}", row.id, kind(row).1)
}

/// A length in minutes, or in seconds where it is less than one.
pub fn minutes(frame: &Frame, ms: u32) -> String {
    let seconds = ms.div_ceil(1_000);
    frame.tell(&if seconds < 60 {
        said!("public.seconds", seconds)
    } else {
        said!("public.minutes", minutes = (seconds + 30) / 60)
    })
}

/// Sends audio, or the part of it that was asked for. What was cancelled is not there any more.
pub async fn file(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    Path(file): Path<String>,
    request: Request,
) -> Result<Response, PageError> {
    let seen = shared.seen(&app).await?;
    let found = seen.again.iter().find(|row| {
        let rest = file.strip_prefix(row.id.as_str()).and_then(|rest| rest.strip_prefix('.'));
        rest == Some(kind(row).1)
    });
    let Some(row) = found else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    let mut answer = app.media.serve(&row.media.sha256.to_string(), request).await;
    let headers = answer.headers_mut();
    // Not for longer: it may be cancelled.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    if answer.status().is_success() {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(row).0));
    }
    allow_other_sites(&mut answer);
    Ok(answer)
}
