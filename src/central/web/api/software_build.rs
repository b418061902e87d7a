//! `POST /software/builds`: takes the program of a release in, for one architecture.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::media::MediaRefusal;
use crate::orders::refused::Refused;
use crate::orders::software::{self, TakenIn};
use crate::web::problem::Problem;
use loaxa_heart::said;
use loaxa_heart::wire::codec::SOFTWARE_BYTES_MAX;

/// Takes a program in, bounded as it is written.
pub async fn handle(State(app): State<Arc<App>>, body: Body) -> Result<(StatusCode, Json<Value>), Problem> {
    let mut incoming = app.media.begin().map_err(MediaRefusal::from)?;
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let broken = |error: axum::Error| Problem::bad(said!("api.upload_broken", error));
        if let Ok(chunk) = frame.map_err(broken)?.into_data() {
            incoming.write(&chunk)?;
        }
        if incoming.bytes() > SOFTWARE_BYTES_MAX {
            return Err(Refused::ProgramTooLarge { max: SOFTWARE_BYTES_MAX >> 20 }.into());
        }
    }
    let TakenIn { architecture, build } = software::take_in(&app, incoming)?;
    let told = json!({ "architecture": architecture, "sha256": build.sha256, "bytes": build.bytes });
    Ok((StatusCode::CREATED, Json(told)))
}
