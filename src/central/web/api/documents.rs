//! `GET /documents`: programmes, limits and groups that were sent, and which box holds them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;
use crate::web::problem::Problem;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// A document that was sent.
#[derive(Serialize)]
pub struct DocumentState {
    document: String,
    version: u32,
    id: String,
    title: String,
    groups: Vec<GroupId>,
    issued_at: Wall,
    author: String,
    /// Boxes believe it still; where its signers may not sign it any more, it must be sent anew.
    believed: bool,
    /// The limits themselves, of a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
    /// One row a box that it is meant for.
    boxes: Vec<Held>,
}

/// The version that one box holds.
#[derive(Serialize)]
pub struct Held {
    #[serde(rename = "box")]
    id: BoxId,
    /// The version that it said it holds; `None` where it never spoke.
    holds: Option<u32>,
    /// Prepared messages whose audio it said is not on its disk yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u32>,
}

/// Lists what was sent, and who has it.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<DocumentState>>, Problem> {
    let boxes = app.store.boxes().await?;
    let mut states = Vec::new();
    for document in app.store.documents(app.now()).await? {
        let Some(row) = app.store.command(document.command.clone()).await? else { continue };
        let envelopes = app.store.envelopes(vec![document.command.clone()]).await?;
        let is_meant =
            |own: &[GroupId]| app.groups_of(own).iter().any(|group| document.groups.contains(group));
        let meant = boxes.iter().filter(|row| is_meant(&row.groups));
        let is_prepared = document.name == DocumentName::Prepared;
        let policy = match codec::decode(row.payload.as_bytes()) {
            Ok(Command { body: Body::Policy(policy), .. }) => Some(policy),
            _ => None,
        };
        states.push(DocumentState {
            policy,
            document: document.name.to_string(),
            version: document.version,
            id: row.id.to_string(),
            title: row.title,
            issued_at: row.issued_at,
            author: row.author,
            believed: envelopes.iter().all(|envelope| app.keyring.believes(envelope, app.now())),
            boxes: meant
                .map(|row| Held {
                    id: row.id.clone(),
                    holds: row.holds.as_ref().map(|holds| document.name.held(holds)),
                    missing: row.holds.as_ref().filter(|_| is_prepared).map(|holds| holds.prepared_missing),
                })
                .collect(),
            groups: document.groups,
        });
    }
    Ok(Json(states))
}
