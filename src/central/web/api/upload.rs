//! `POST /media`: takes audio in, for programmes and drafts that name it.

use loaxa_heart::said;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::audio::{self, Told};
use crate::app::App;
use crate::media::MediaRefusal;
use crate::web::problem::Problem;

/// The name of a file, for people.
#[derive(Deserialize)]
pub struct Named {
    name: String,
}

/// Takes audio in, bounded as it is written; what is there already is only named again.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(Named { name }): Query<Named>,
    body: Body,
) -> Result<(StatusCode, Json<Told>), Problem> {
    let mut incoming = app.media.begin().map_err(MediaRefusal::from)?;
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let broken = |error: axum::Error| Problem::bad(said!("api.upload_broken", error));
        if let Ok(chunk) = frame.map_err(broken)?.into_data() {
            incoming.write(&chunk)?;
        }
    }
    let row = audio::finish(&app, incoming, name).await?;
    app.store.add_media(row.clone()).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}
