//! The API for programs and for the command line; `assets/openapi.json` describes it.

mod cap;
mod drafts;
mod orders;

use std::sync::Arc;

use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::announce::{self, Asked, Refused};
use super::app::App;
use super::enrol::{self, NotEnrolled};
use super::live::{self, NotLive};
use super::media::{Incoming, MediaRefusal};
use super::pages::is_online;
use super::store::{
    BoxRow, CommandRow, DeliveryRow, LogFilter, LogRow, MediaRow, PlayRow, ROWS_MAX, ReportRow, StoreError,
};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled};

/// Room for the fields beside the audio.
const FIELDS_BYTES_MAX: usize = 256 * 1024;
/// Largest request of a box that enrols.
const ENROL_BYTES_MAX: usize = 4 * 1024;
/// Rows of an answer where none are asked for.
const ROWS: u32 = 100;
/// The cursor of the next page of an export.
const NEXT_CURSOR: &str = "x-next-cursor";

/// The routes under `/api/v1`.
pub fn routes(app: Arc<App>) -> Router {
    let body_max = MEDIA_BYTES_MAX as usize + FIELDS_BYTES_MAX;
    let guarded = Router::new()
        .route("/announcements", get(announcements).post(announce).layer(DefaultBodyLimit::max(body_max)))
        .route("/announcements/{id}", get(announcement))
        .route("/announcements/{id}/cancel", post(cancel))
        .route("/stop", post(stop))
        .route("/live", post(speak).layer(DefaultBodyLimit::disable()))
        .merge(orders::routes())
        .merge(cap::routes())
        .route("/enrolments", post(invite))
        .route("/boxes/{id}/revoke", post(revoke))
        .route("/boxes", get(boxes))
        .route("/on-air", get(on_air))
        .route("/plays", get(plays))
        .route("/log", get(log))
        .route("/export", get(export))
        .route("/report", get(report))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), let_token_in));
    let open = Router::new()
        .merge(drafts::routes())
        .merge(cap::open_routes())
        .route("/openapi.json", get(openapi))
        .route("/enrol", post(take_in).layer(DefaultBodyLimit::max(ENROL_BYTES_MAX)));
    Router::new().nest("/api/v1", guarded.merge(open)).with_state(app)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("assets/openapi.json"))
}

/// Whether the request carries the token; compared in constant time.
pub fn has_token(app: &App, headers: &HeaderMap) -> bool {
    bears(&app.settings.token, headers)
}

fn bears(token: &str, headers: &HeaderMap) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(sent) = sent.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let (sent, token) = (sent.trim().as_bytes(), token.as_bytes());
    let same_bytes = sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    !token.is_empty() && sent.len() == token.len() && same_bytes
}

async fn let_token_in(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if has_token(&app, request.headers()) {
        return next.run(request).await;
    }
    let refusal = Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.token") };
    refusal.into_response()
}

/// What the API answers when it does not do what was asked.
struct Problem {
    status: StatusCode,
    said: Sentence,
}

impl Problem {
    fn bad(said: Sentence) -> Self {
        Self { status: StatusCode::BAD_REQUEST, said }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (en, vi) = (self.said.to(Lang::En), self.said.to(Lang::Vi));
        (self.status, Json(json!({ "error": en, "error_vi": vi }))).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the API has no answer from the store");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, said: said!("api.no_database") }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Store(error) => return error.clone().into(),
            Refused::NoSuchAnnouncement(_) | Refused::NoSuchMedia(_) => StatusCode::NOT_FOUND,
            Refused::Authority(_) => StatusCode::FORBIDDEN,
            Refused::NotNewer { .. } => StatusCode::CONFLICT,
            Refused::TooLarge | Refused::Media(MediaRefusal::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Media(MediaRefusal::Disk(_)) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, said: refused.say() }
    }
}

impl From<NotEnrolled> for Problem {
    fn from(not: NotEnrolled) -> Self {
        let status = match &not {
            NotEnrolled::Store(error) => return error.clone().into(),
            NotEnrolled::Code => StatusCode::FORBIDDEN,
            NotEnrolled::Off => StatusCode::NOT_FOUND,
            NotEnrolled::Random(_) | NotEnrolled::RevocationList { .. } | NotEnrolled::Certificate(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, said: not.say() }
    }
}

impl From<NotLive> for Problem {
    fn from(not: NotLive) -> Self {
        match not {
            NotLive::Refused(refused) => refused.into(),
            NotLive::TooMany => Self { status: StatusCode::TOO_MANY_REQUESTS, said: not.say() },
            NotLive::NoVoice => Problem::bad(not.say()),
        }
    }
}

impl From<MediaRefusal> for Problem {
    fn from(refusal: MediaRefusal) -> Self {
        Refused::from(refusal).into()
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        Self { status: error.status(), said: said!("api.upload", detail = error.body_text()) }
    }
}

#[derive(Serialize)]
struct Issued {
    id: CommandId,
}

/// `fields` as JSON, then `audio` as a file where there is any.
async fn announce(
    State(app): State<Arc<App>>,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Issued>), Problem> {
    let mut asked: Option<Asked> = None;
    let mut audio: Option<MediaRow> = None;
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("fields") => {
                let text = field.text().await?;
                let unreadable = |error: serde_json::Error| Problem::bad(said!("api.fields", error));
                asked = Some(serde_json::from_str(&text).map_err(unreadable)?);
            }
            Some("audio") => audio = Some(take_audio(&app, field).await?),
            other => {
                let name = other.unwrap_or_default();
                return Err(Problem::bad(said!("api.no_such_field", name = name.escape_debug())));
            }
        }
    }
    let asked = asked.ok_or_else(|| Problem::bad(said!("api.no_fields")))?;
    let id = announce::announce(&app, asked, audio).await?;
    Ok((StatusCode::CREATED, Json(Issued { id })))
}

async fn take_audio(
    app: &Arc<App>,
    mut field: axum::extract::multipart::Field<'_>,
) -> Result<MediaRow, Problem> {
    let name = field.file_name().unwrap_or("audio").to_owned();
    let mut incoming = app.media.begin().map_err(MediaRefusal::from)?;
    while let Some(chunk) = field.chunk().await? {
        incoming.write(&chunk)?;
    }
    finish_audio(app, incoming, name).await
}

/// Checks audio on a thread of its own, as probing takes its time.
async fn finish_audio(app: &Arc<App>, incoming: Incoming, name: String) -> Result<MediaRow, Problem> {
    let app = Arc::clone(app);
    let finish = tokio::task::spawn_blocking(move || app.media.finish(incoming, &name, app.now()));
    let finished = finish.await.map_err(|panic| {
        tracing::error!(%panic, "audio could not be probed");
        Problem::bad(said!("api.audio"))
    })?;
    Ok(finished?)
}

#[derive(Deserialize)]
struct By {
    #[serde(default)]
    author: Option<String>,
}

async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    Query(by): Query<By>,
) -> Result<Json<Issued>, Problem> {
    Ok(Json(Issued { id: announce::cancel(&app, id, by.author).await? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invited {
    #[serde(rename = "box")]
    id: BoxId,
    title: String,
    groups: Vec<GroupId>,
}

async fn invite(
    State(app): State<Arc<App>>,
    Json(Invited { id, title, groups }): Json<Invited>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (code, expires) = enrol::invite(&app, id, title, groups).await?;
    let command = enrol::command(&app, &code);
    let qr = enrol::qr(&command);
    let said = json!({ "code": code.to_string(), "expires": expires, "command": command, "qr": qr });
    Ok((StatusCode::CREATED, Json(said)))
}

async fn take_in(
    State(app): State<Arc<App>>,
    Json(request): Json<EnrolRequest>,
) -> Result<Json<Enrolled>, Problem> {
    Ok(Json(enrol::enrol(&app, request).await?))
}

async fn revoke(State(app): State<Arc<App>>, Path(id): Path<BoxId>) -> Result<StatusCode, Problem> {
    match enrol::revoke(&app, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem { status: StatusCode::NOT_FOUND, said: said!("api.no_such_box", id) }),
    }
}

async fn stop(State(app): State<Arc<App>>, Query(by): Query<By>) -> Result<Json<Issued>, Problem> {
    app.voices.close_all();
    Ok(Json(Issued { id: announce::stop_all(&app, by.author).await? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Speaking {
    /// Names of groups, parted by commas.
    to: String,
    #[serde(default)]
    author: Option<String>,
}

/// The body is the voice as it is spoken: 16-bit PCM of one channel at 16 kHz. The answer comes when it is over.
async fn speak(
    State(app): State<Arc<App>>,
    Query(speaking): Query<Speaking>,
    voice: axum::body::Body,
) -> Result<Json<Value>, Problem> {
    let to: Result<Vec<GroupId>, _> = speaking.to.split(',').map(GroupId::new).collect();
    let to = to.map_err(|error| Problem::bad(said!("api.to", error)))?;
    // Apart, so that a caller who hangs up does not leave the session open.
    let spoken = tokio::spawn(live::speak(app, to, speaking.author, voice)).await;
    let spoken = spoken.map_err(|panic| {
        tracing::error!(%panic, "a live voice ended in a panic");
        Problem::bad(said!("api.voice"))
    })??;
    Ok(Json(json!({ "id": spoken.id, "session": spoken.session, "seconds": spoken.seconds })))
}

#[derive(Serialize)]
struct BoxState {
    #[serde(flatten)]
    row: BoxRow,
    /// Whether it has spoken lately.
    online: bool,
}

async fn box_states(app: &App) -> Result<Vec<BoxState>, StoreError> {
    let now = app.now();
    let rows = app.store.boxes().await?.into_iter();
    Ok(rows.map(|row| BoxState { online: is_online(&row, now), row }).collect())
}

async fn boxes(State(app): State<Arc<App>>) -> Result<Json<Vec<BoxState>>, Problem> {
    Ok(Json(box_states(&app).await?))
}

async fn on_air(State(app): State<Arc<App>>) -> Result<Json<Vec<Value>>, Problem> {
    let sounding = box_states(&app).await?.into_iter().filter_map(|BoxState { row, online }| {
        let on_air = row.on_air.filter(|_| online)?;
        Some(json!({ "box": row.id, "box_title": row.title, "play": on_air.play, "title": on_air.title }))
    });
    Ok(Json(sounding.collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    #[serde(rename = "box")]
    id: Option<BoxId>,
    from: Option<Wall>,
    to: Option<Wall>,
    event: Option<String>,
    announcement: Option<CommandId>,
    after: Option<i64>,
    limit: Option<u32>,
}

impl From<Range> for LogFilter {
    fn from(range: Range) -> Self {
        LogFilter {
            id: range.id,
            from: range.from,
            to: range.to,
            event: range.event,
            command: range.announcement,
            after: range.after,
            newest_first: false,
            limit: range.limit.unwrap_or(ROWS).min(ROWS_MAX),
        }
    }
}

async fn plays(
    State(app): State<Arc<App>>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<PlayRow>>, Problem> {
    Ok(Json(app.store.plays(range.into()).await?))
}

#[derive(Serialize)]
struct LogPage {
    entries: Vec<LogRow>,
    /// The `after` of the next question.
    next: Option<i64>,
}

async fn log(State(app): State<Arc<App>>, Query(range): Query<Range>) -> Result<Json<LogPage>, Problem> {
    let entries = app.store.log(range.into()).await?;
    Ok(Json(LogPage { next: entries.last().map(|row| row.cursor), entries }))
}

/// The exact bodies, one a line, and behind them what the box signed of its log; the header says where the next page
/// begins.
async fn export(State(app): State<Arc<App>>, Query(range): Query<Range>) -> Result<Response, Problem> {
    let filter = LogFilter { limit: range.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX), ..range.into() };
    let rows = app.store.log(filter).await?;
    let next = rows.last().map(|row| HeaderValue::from(row.cursor));
    let head = |head: String| format!("{{\"head\":{head}}}\n");
    let line = |row: LogRow| row.body + "\n" + &row.head.map(head).unwrap_or_default();
    let lines: String = rows.into_iter().map(line).collect();
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Period {
    from: Wall,
    to: Wall,
}

async fn report(
    State(app): State<Arc<App>>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<ReportRow>>, Problem> {
    Ok(Json(app.store.report(period.from, period.to).await?))
}

async fn announcements(State(app): State<Arc<App>>) -> Result<Json<Vec<CommandRow>>, Problem> {
    Ok(Json(app.store.announcements(ROWS).await?))
}

#[derive(Serialize)]
struct Announced {
    #[serde(flatten)]
    row: CommandRow,
    /// One row a box.
    delivery: Vec<DeliveryRow>,
    /// What was signed.
    command: Value,
}

async fn announcement(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
) -> Result<Json<Announced>, Problem> {
    let row = app.store.command(id.clone()).await?.ok_or(Refused::NoSuchAnnouncement(id.clone()))?;
    let delivery = app.store.deliveries(id).await?;
    let command = serde_json::from_str(&row.payload).unwrap_or_default();
    Ok(Json(Announced { row, delivery, command }))
}
