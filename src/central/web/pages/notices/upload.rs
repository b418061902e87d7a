//! A file of a notice, in parts: announced, taken part by part, and checked when it is whole. For `assets/compose.js`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::orders::announce::AUDIO_MS_MAX;
use crate::people::Who;
use crate::store::{MediaRow, StoreError};
use crate::uploads::{Announced, NotUploaded};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::texts::Say;

/// The file that is to come.
#[derive(Deserialize)]
pub struct File {
    ten: String,
    /// Bytes of the whole file.
    co: u64,
}

/// The part of an upload that a request is about.
#[derive(Deserialize)]
pub struct Part {
    ma: String,
    #[serde(default)]
    tu: u64,
}

/// A refusal in the reader's language, for the script to show.
fn refuse(frame: &Frame, not: &NotUploaded) -> Response {
    let status = match not {
        NotUploaded::NoSuch => StatusCode::NOT_FOUND,
        NotUploaded::Elsewhere(_) => StatusCode::CONFLICT,
        NotUploaded::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        NotUploaded::DiskFull { .. } | NotUploaded::Disk(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::BAD_REQUEST,
    };
    let come = if let NotUploaded::Elsewhere(come) = not { Some(*come) } else { None };
    (status, Json(json!({ "loi": frame.tell(&not.say()), "den": come }))).into_response()
}

/// Runs what touches the disk on a thread of its own.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotUploaded> + Send + 'static,
) -> Result<T, NotUploaded> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(NotUploaded::Disk(std::io::Error::other(panic))))
}

pub async fn begin(
    State(app): State<Arc<App>>,
    Query(file): Query<File>,
    frame: Frame,
    who: Who,
) -> Result<Json<Value>, Response> {
    let announced = Announced { name: file.ten, size: file.co, person: who.person.id };
    let id =
        on_disk(move || app.uploads.begin(&announced, who.now)).await.map_err(|not| refuse(&frame, &not))?;
    Ok(Json(json!({ "ma": id })))
}

pub async fn how_far(
    State(app): State<Arc<App>>,
    Query(part): Query<Part>,
    frame: Frame,
    who: Who,
) -> Result<Json<Value>, Response> {
    let uploads = app.uploads.clone();
    let found = on_disk(move || uploads.how_far(&part.ma, &who.person.id));
    let (come, size, row) = found.await.map_err(|not| refuse(&frame, &not))?;
    // Until its description is kept as well, the page asks again, by the last part.
    let kept = match row {
        Some(row) => {
            app.store.media(row.sha256).await.map_err(|error| PageError::from(error).into_response())?
        }
        None => None,
    };
    Ok(Json(json!({ "den": come, "co": size, "xong": kept.as_ref().map(told) })))
}

/// A file that came whole, for the script.
fn told(row: &MediaRow) -> Value {
    json!({ "tep": row.sha256, "ten": row.name, "giay": row.ms.div_ceil(1_000) })
}

/// Deletes what came of an upload that its page gives up.
pub async fn give_up(
    State(app): State<Arc<App>>,
    Query(part): Query<Part>,
    frame: Frame,
    who: Who,
) -> Result<StatusCode, Response> {
    let found = on_disk(move || {
        app.uploads.find(&part.ma, &who.person.id)?;
        app.uploads.forget(&part.ma);
        Ok(())
    });
    found.await.map_err(|not| refuse(&frame, &not))?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn take(
    State(app): State<Arc<App>>,
    Query(part): Query<Part>,
    frame: Frame,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, Response> {
    // A connection that breaks while the whole file is checked ends neither the check nor what is kept of the file.
    let under_way = tokio::spawn(async move {
        let (uploads, media) = (app.uploads.clone(), app.media.clone());
        let add = move || {
            let whose = (part.ma.as_str(), &who.person.id);
            uploads.take(whose, (part.tu, &body), &media, (who.now, AUDIO_MS_MAX.into()))
        };
        let taken = on_disk(add).await;
        if let Ok((_, Some(row))) = &taken {
            app.store.add_media(row.clone()).await?;
        }
        Ok::<_, StoreError>(taken)
    });
    let taken =
        under_way.await.unwrap_or_else(|panic| Ok(Err(NotUploaded::Disk(std::io::Error::other(panic)))));
    let taken = taken.map_err(|error| PageError::from(error).into_response())?;
    let (come, row) = taken.map_err(|not| refuse(&frame, &not))?;
    Ok(Json(json!({ "den": come, "xong": row.as_ref().map(told) })))
}
