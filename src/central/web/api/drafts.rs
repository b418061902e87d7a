//! `GET /drafts`: what waits for people's signatures.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::foreseen;
use crate::app::App;
use crate::orders::cosigning::{self, Waiting};
use crate::web::access::{self, CameFrom, SignedParts};
use crate::web::problem::Problem;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

fn state(Waiting { row, needed }: &Waiting) -> Value {
    let signatures = row.signatures.iter().map(|signed| json!({ "key": signed.key, "at": signed.at }));
    json!({
        "id": row.draft.id, "made": row.draft.made, "expires": row.draft.expires,
        "payload": BASE64.encode(&row.draft.payload), "signatures": signatures.collect::<Vec<_>>(),
        "needed": needed, "sent": row.sent,
    })
}

/// The question of somebody who is about to sign.
#[derive(Deserialize)]
pub struct Asks {
    /// The draft of which is asked what will become of it.
    foresee: Option<CommandId>,
}

/// Lists what waits, with what a page needs to show it: the groups and the people.
pub async fn handle(
    State(app): State<Arc<App>>,
    from: CameFrom,
    OriginalUri(uri): OriginalUri,
    Query(Asks { foresee }): Query<Asks>,
    method: Method,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    if access::scope_of(&app, &headers, from).await?.is_none() {
        SignedParts { method, path: access::signed_path(&uri), headers, body: Bytes::new() }
            .signer(&app)
            .await?;
    }
    let expected = match foresee {
        Some(id) => cosigning::foresee_waiting(&app, &id).await?,
        None => None,
    };
    let drafts = cosigning::waiting(&app).await?;
    let groups = app.groups().into_iter().map(|group| json!({ "id": group.id, "title": group.title }));
    let people = app.keyring.trust().grants.iter().map(
        |grant| json!({ "key": grant.key, "holder": grant.holder, "powers": grant.powers, "groups": grant.groups }),
    );
    Ok(Json(json!({
        "drafts": drafts.iter().map(state).collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(), "people": people.collect::<Vec<_>>(),
        "expected": expected.as_ref().map(foreseen::of),
        "local_emergency": standing_order(&app).await?,
    })))
}

/// The standing order for a local emergency; nothing where none was sent, or it was taken back.
async fn standing_order(app: &App) -> Result<Option<Value>, Problem> {
    let documents = app.store.documents(app.now()).await?;
    let Some(document) = documents.into_iter().find(|it| it.name == DocumentName::LocalEmergency) else {
        return Ok(None);
    };
    let row = app.store.command(document.command).await?;
    let order = row.and_then(|row| {
        let command = codec::decode::<Command>(row.payload.as_bytes()).ok()?;
        let Body::LocalEmergency { order: Some(order), .. } = command.body else { return None };
        Some(json!({ "title": order.title, "groups": row.groups, "expires": row.expires }))
    });
    Ok(order)
}
