//! `POST /live`: passes a live voice on to the boxes.

use loaxa_heart::said;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::foreseen;
use crate::app::App;
use crate::orders::live;
use crate::web::live_audio::RequestVoice;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::GroupId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speaking {
    /// Names of groups, parted by commas.
    to: String,
    #[serde(default)]
    author: Option<String>,
    /// Nothing is sent, and the answer says what would become of it.
    #[serde(default)]
    foresee: bool,
}

/// Takes the voice as it is spoken: 16-bit PCM of one channel at 16 kHz. The answer comes when it is over. With `foresee`, no
/// voice is taken, and the answer only says what would become of one that began now.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(speaking): Query<Speaking>,
    voice: Body,
) -> Result<Json<Value>, Problem> {
    let to: Result<Vec<GroupId>, _> = speaking.to.split(',').map(GroupId::new).collect();
    let to = to.map_err(|error| Problem::bad(said!("api.to", error)))?;
    if speaking.foresee {
        let expected = live::foresee(&app, &to, speaking.author).await?;
        return Ok(Json(json!({ "expected": expected.as_ref().map(foreseen::of) })));
    }
    // Apart, so that a caller who hangs up does not leave the session open.
    let spoken = tokio::spawn(live::speak(app, to, speaking.author, RequestVoice(voice))).await;
    let spoken = spoken.map_err(|panic| {
        tracing::error!(%panic, "a live voice ended in a panic");
        Problem::bad(said!("api.voice"))
    })??;
    Ok(Json(json!({ "id": spoken.id, "session": spoken.session, "seconds": spoken.seconds })))
}
