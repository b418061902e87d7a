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
use crate::store::MediaRow;
use crate::uploads::{Announced, NotUploaded};
use crate::web::frame::Frame;
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
    let found = on_disk(move || app.uploads.find(&part.ma, &who.person.id)).await;
    let (announced, come) = found.map_err(|not| refuse(&frame, &not))?;
    Ok(Json(json!({ "den": come, "co": announced.size })))
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
    let store = Arc::clone(&app.store);
    let taken = on_disk(move || {
        let come = app.uploads.add(&part.ma, &who.person.id, part.tu, &body)?;
        let (announced, _) = app.uploads.find(&part.ma, &who.person.id)?;
        let whole = come == announced.size;
        let media = whole.then(|| {
            app.uploads.finish(&part.ma, &who.person.id, &app.media, (who.now, AUDIO_MS_MAX.into()))
        });
        Ok((come, media.transpose()?))
    });
    let (come, media): (u64, Option<MediaRow>) = taken.await.map_err(|not| refuse(&frame, &not))?;
    if let Some(row) = &media
        && let Err(error) = store.add_media(row.clone()).await
    {
        return Err(crate::web::frame::PageError::from(error).into_response());
    }
    let media =
        media.map(|row| json!({ "tep": row.sha256, "ten": row.name, "giay": row.ms.div_ceil(1_000) }));
    Ok(Json(json!({ "den": come, "xong": media })))
}
