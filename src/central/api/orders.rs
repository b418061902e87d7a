//! Programmes, limits and groups over the API, and the audio that programmes name.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FIELDS_BYTES_MAX, Problem};
use crate::announce::Refused;
use crate::app::App;
use crate::media::MediaRefusal;
use crate::orders::{self, GroupsAsked, PolicyAsked, ProgrammeAsked, Sent};
use crate::store::MediaRow;
use loaxa_heart::domain::ids::{BoxId, ContentHash, GroupId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// The routes of this module. An upload is bounded as it is written.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/media", post(upload))
        .route("/media/{hash}", get(media))
        .route("/programmes", post(programme).layer(DefaultBodyLimit::max(FIELDS_BYTES_MAX)))
        .route("/policies", post(policy))
        .route("/groups", post(groups))
        .route("/documents", get(documents))
}

fn sent(Sent { id, name, version }: Sent) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "id": id, "document": name.to_string(), "version": version })))
}

type Answer = Result<(StatusCode, Json<Value>), Problem>;

async fn programme(State(app): State<Arc<App>>, Json(asked): Json<ProgrammeAsked>) -> Answer {
    Ok(sent(orders::send_programme(&app, asked).await?))
}

async fn policy(State(app): State<Arc<App>>, Json(asked): Json<PolicyAsked>) -> Answer {
    Ok(sent(orders::send_policy(&app, asked).await?))
}

async fn groups(State(app): State<Arc<App>>, Json(asked): Json<GroupsAsked>) -> Answer {
    Ok(sent(orders::send_groups(&app, asked).await?))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Takes audio in; what is there already is only named again.
async fn upload(
    State(app): State<Arc<App>>,
    Query(Named { name }): Query<Named>,
    body: Body,
) -> Result<(StatusCode, Json<MediaRow>), Problem> {
    use axum::body::HttpBody;
    let mut incoming = app.media.begin().map_err(MediaRefusal::from)?;
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let broken = |error: axum::Error| Problem::bad(said!("api.upload_broken", error));
        if let Ok(chunk) = frame.map_err(broken)?.into_data() {
            incoming.write(&chunk)?;
        }
    }
    let row = super::finish_audio(&app, incoming, name).await?;
    app.store.add_media(row.clone()).await?;
    Ok((StatusCode::CREATED, Json(row)))
}

async fn media(
    State(app): State<Arc<App>>,
    Path(hash): Path<ContentHash>,
) -> Result<Json<MediaRow>, Problem> {
    let row = app.store.media(hash).await?;
    Ok(Json(row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?))
}

#[derive(Serialize)]
struct DocumentState {
    document: String,
    version: u32,
    id: String,
    title: String,
    groups: Vec<GroupId>,
    issued_at: Wall,
    author: String,
    /// Whether boxes believe it still: where its signers may not sign it any more, it must be sent anew.
    believed: bool,
    /// One row a box that it is meant for.
    boxes: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    #[serde(rename = "box")]
    id: BoxId,
    /// The version that it said it holds; `None` where it never spoke.
    holds: Option<u32>,
}

/// What was sent, and who has it.
async fn documents(State(app): State<Arc<App>>) -> Result<Json<Vec<DocumentState>>, Problem> {
    let boxes = app.store.boxes().await?;
    let mut states = Vec::new();
    for document in app.store.documents(app.now()).await? {
        let Some(row) = app.store.command(document.command.clone()).await? else { continue };
        let envelopes = app.store.envelopes(vec![document.command.clone()]).await?;
        let is_meant =
            |own: &[GroupId]| app.groups_of(own).iter().any(|group| document.groups.contains(group));
        let meant = boxes.iter().filter(|row| is_meant(&row.groups));
        states.push(DocumentState {
            document: document.name.to_string(),
            version: document.version,
            id: row.id.to_string(),
            title: row.title,
            issued_at: row.issued_at,
            author: row.author,
            believed: envelopes.iter().all(|envelope| app.authority.believes(envelope, app.now())),
            boxes: meant
                .map(|row| Held {
                    id: row.id.clone(),
                    holds: row.holds.as_ref().map(|holds| document.name.held(holds)),
                })
                .collect(),
            groups: document.groups,
        });
    }
    Ok(Json(states))
}
