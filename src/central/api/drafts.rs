//! Drafts that people sign in their browser, with keys that never leave it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FIELDS_BYTES_MAX, Problem, has_token};
use crate::app::App;
use crate::drafts::{self, DraftAsked, NotTaken, SignedRequest, Waiting};
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::request::{KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Largest request that carries a signature.
const SIGNATURE_REQUEST_BYTES_MAX: usize = 4 * 1024;

/// The routes of this module: who asks shows it by a signature.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/drafts", get(waiting).post(make).layer(DefaultBodyLimit::max(FIELDS_BYTES_MAX)))
        .route(
            "/drafts/{id}/signatures",
            post(sign).layer(DefaultBodyLimit::max(SIGNATURE_REQUEST_BYTES_MAX)),
        )
}

impl From<NotTaken> for Problem {
    fn from(not: NotTaken) -> Self {
        let status = match not {
            NotTaken::Refused(refused) => return refused.into(),
            NotTaken::Store(error) => return error.into(),
            NotTaken::NoSuchDraft(_) => StatusCode::NOT_FOUND,
            NotTaken::TooMany | NotTaken::Full => StatusCode::CONFLICT,
            NotTaken::BadSignature(_) | NotTaken::Stranger(_) | NotTaken::Clock(_) => {
                StatusCode::UNAUTHORIZED
            }
            NotTaken::NotAllowed(_) => StatusCode::FORBIDDEN,
        };
        Self { status, said: not.say() }
    }
}

/// What a request says of itself.
struct Asking {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asking {
    /// Whose request it is.
    fn who(&self, app: &App) -> Result<KeyId, Problem> {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let key = header(KEY_HEADER).and_then(|text| text.parse().ok());
        let at = header(TIME_HEADER).and_then(|text| text.parse().ok());
        let signature = header(SIGNATURE_HEADER).and_then(signature_of);
        let (Some(key), Some(at), Some(signature)) = (key, at, signature) else {
            return Err(Problem {
                status: StatusCode::UNAUTHORIZED,
                said: said!(
                    "api.unsigned",
                    key = KEY_HEADER,
                    time = TIME_HEADER,
                    signature = SIGNATURE_HEADER
                ),
            });
        };
        let (method, path, body) = (self.method.as_str(), self.path.as_str(), &self.body[..]);
        Ok(SignedRequest { key, at, signature, method, path, body }.check(app)?)
    }
}

fn signature_of(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

fn state(Waiting { row, needed }: &Waiting) -> Value {
    let signatures = row.signatures.iter().map(|signed| json!({ "key": signed.key, "at": signed.at }));
    json!({
        "id": row.draft.id, "made": row.draft.made, "expires": row.draft.expires,
        "payload": BASE64.encode(&row.draft.payload), "signatures": signatures.collect::<Vec<_>>(),
        "needed": needed, "sent": row.sent,
    })
}

/// What waits, and what a page needs to show it: the groups and the people.
async fn waiting(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    if !has_token(&app, &headers) {
        Asking { method, path: uri.path().to_owned(), headers, body: Bytes::new() }.who(&app)?;
    }
    let drafts = drafts::waiting(&app).await?;
    let groups = app.settings.groups.iter().map(|group| json!({ "id": group.id, "title": group.title }));
    let people = app.authority.trust().grants.iter().map(
        |grant| json!({ "key": grant.key, "holder": grant.holder, "powers": grant.powers, "groups": grant.groups }),
    );
    Ok(Json(json!({
        "drafts": drafts.iter().map(state).collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(), "people": people.collect::<Vec<_>>(),
    })))
}

async fn make(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let asking = Asking { method, path: uri.path().to_owned(), headers, body };
    let issuer = asking.who(&app)?;
    let unreadable = |error: serde_json::Error| Problem::bad(said!("api.draft", error));
    let asked: DraftAsked = serde_json::from_slice(&asking.body).map_err(unreadable)?;
    let id = drafts::make(&app, issuer, asked).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    key: KeyId,
    /// Base64.
    signature: String,
}

/// The signature itself shows who asks.
async fn sign(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    Json(Signed { key, signature }): Json<Signed>,
) -> Result<Json<Value>, Problem> {
    let signature = signature_of(&signature).ok_or_else(|| NotTaken::BadSignature(key.clone()))?;
    Ok(Json(json!({ "sent": drafts::sign(&app, id, key, signature).await? })))
}
