//! `POST /announcements`: makes, signs and sends an announcement.

use loaxa_heart::said;
use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::audio;
use super::foreseen::{self, Expected};
use crate::app::App;
use crate::media::MediaRefusal;
use crate::orders::announce::{self, Asked};
use crate::orders::outlook;
use crate::store::{MediaRow, at_once, to_the_end};
use crate::web::problem::Problem;
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::CommandId;

/// Room that an emergency's own audio needs at most.
const URGENT_AUDIO_BYTES: u64 = 16 << 20;

/// An announcement that was sent, or would be, and what will become of it.
#[derive(Serialize)]
pub struct Announced {
    /// `None` where nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<CommandId>,
    #[serde(flatten)]
    expected: Option<Expected>,
}

/// The question of somebody who wants to know beforehand.
#[derive(Deserialize)]
pub struct Asks {
    #[serde(default)]
    foresee: bool,
}

/// Takes `fields` as JSON, then `audio` as a file where there is any. With `foresee`, it only says what would become of it.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(Asks { foresee }): Query<Asks>,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Announced>), Problem> {
    let mut asked: Option<Asked> = None;
    let mut audio: Option<MediaRow> = None;
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("fields") => {
                let text = field.text().await?;
                let unreadable = |error: serde_json::Error| Problem::bad(said!("api.fields", error));
                asked = Some(serde_json::from_str(&text).map_err(unreadable)?);
            }
            Some("audio") => {
                let is_urgent = asked.as_ref().is_some_and(|asked| asked.class == BulletinClass::Emergency);
                audio = Some(take_audio(&app, field, is_urgent).await?);
            }
            other => {
                let name = other.unwrap_or_default();
                return Err(Problem::bad(said!("api.no_such_field", name = name.escape_debug())));
            }
        }
    }
    let asked = asked.ok_or_else(|| Problem::bad(said!("api.no_fields")))?;
    if foresee {
        let draft = announce::draft(&app, asked, audio).await?;
        let expected = outlook::foresee_draft(&app, &draft).await?;
        let expected = expected.as_ref().map(foreseen::of);
        return Ok((StatusCode::OK, Json(Announced { id: None, expected })));
    }
    let is_urgent = asked.class == BulletinClass::Emergency;
    let announced = async move {
        let id = announce::announce(&app, asked, audio).await?;
        let expected = foreseen::expected(&app, &id).await;
        Ok((StatusCode::CREATED, Json(Announced { id: Some(id), expected })))
    };
    // Who waits too long for the answer hangs up and asks again; the emergency goes out all the same.
    if is_urgent { to_the_end(at_once(announced)).await } else { announced.await }
}

async fn take_audio(app: &Arc<App>, mut field: Field<'_>, is_urgent: bool) -> Result<MediaRow, Problem> {
    let name = field.file_name().unwrap_or("audio").to_owned();
    if is_urgent {
        app.disk.make_room(URGENT_AUDIO_BYTES);
    }
    let incoming = if is_urgent { app.media.begin_anyhow() } else { app.media.begin() };
    let mut incoming = incoming.map_err(MediaRefusal::from)?;
    while let Some(chunk) = field.chunk().await? {
        incoming.write(&chunk)?;
    }
    audio::finish(app, incoming, name).await
}
