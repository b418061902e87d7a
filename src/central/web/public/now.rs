//! The words that sound now, for bulletin boards and for people who can't hear: as JSON, and as a stream of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, Sender};

use super::answer::{allow_other_sites, cached};
use super::readers::Reader;
use super::seen::Shared;
use crate::app::App;
use crate::orders::sounding::Sounding;
use crate::store::StoreError;
use crate::web::access::client;
use crate::web::frame::PageError;
use crate::web::live_audio::Pieces;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::time::Wall;

/// Shortest time between two events of a stream.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// A stream with nothing new to tell looks again, and says that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// Lines that wait for a slow reader.
const LINES_MAX: usize = 4;
/// Seconds after which a reader that found no room asks again.
const NO_ROOM_AGAIN_S: &str = "30";

/// The village that somebody asks for; none means all.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub thon: String,
}

/// The sounds of now, for programs.
#[derive(Serialize)]
struct Told<'a> {
    commune: &'a str,
    sounding: Vec<ToldSounding<'a>>,
}

#[derive(Serialize)]
struct ToldSounding<'a> {
    class: Rung,
    title: Option<&'a str>,
    words: Option<&'a str>,
    villages: Vec<ToldVillage>,
    since: Wall,
    until: Option<Wall>,
}

#[derive(Serialize)]
struct ToldVillage {
    id: String,
    title: String,
}

/// Writes what sounds in a village, or everywhere.
pub fn told(app: &App, sounding: &[Sounding], thon: &str) -> String {
    let of_village =
        sounding.iter().filter(|it| thon.is_empty() || it.villages.iter().any(|id| id.as_str() == thon));
    let sounding = of_village.map(|it| ToldSounding {
        class: it.rung,
        title: it.title.as_deref(),
        words: it.words.as_deref(),
        villages: it
            .villages
            .iter()
            .map(|id| ToldVillage { id: id.to_string(), title: app.title_of(id) })
            .collect(),
        since: it.since,
        until: it.until,
    });
    let told = Told { commune: &app.settings.commune, sounding: sounding.collect() };
    serde_json::to_string(&told).expect("what sounds is JSON")
}

pub async fn json(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let body = told(&app, &shared.sounding(&app).await?, &asked.thon);
    let mut answer = cached(&headers, "application/json", 1, body);
    allow_other_sites(&mut answer);
    Ok(answer)
}

pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(reader) = shared.readers.enter(client(&app, from, &headers)) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, NO_ROOM_AGAIN_S)]).into_response();
    };
    let (lines, pieces) = mpsc::channel(LINES_MAX);
    tokio::spawn(async move {
        if let Err(error) = tell(&app, &shared, &asked.thon, &lines, reader).await {
            tracing::error!(%error, "a stream of what sounds has ended");
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    let mut answer = (kind, Body::new(Pieces(pieces))).into_response();
    allow_other_sites(&mut answer);
    answer
}

/// Tells a reader what sounds, each time that it has changed, until the reader is gone or this process ends.
async fn tell(
    app: &App,
    shared: &Shared,
    thon: &str,
    lines: &Sender<Bytes>,
    _reader: Reader,
) -> Result<(), StoreError> {
    let Some(mut changes) = app.changes.watch() else { return Ok(()) };
    let mut last = String::new();
    loop {
        let now = told(app, &shared.sounding(app).await?, thon);
        let line = if now == last {
            ": alive\n\n".to_owned()
        } else {
            format!("retry: 3000\nevent: now\ndata: {now}\n\n")
        };
        last = now;
        if lines.send(Bytes::from(line)).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::time::sleep(TOLD_EVERY).await;
            let told_of_change = tokio::select! {
                () = lines.closed() => return Ok(()),
                changed = changes.recv() => match changed {
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
                    _ => true,
                },
                () = tokio::time::sleep(ALIVE_EVERY) => false,
            };
            while changes.try_recv().is_ok() {}
            // What changed may be nothing that this reader hears of.
            if !told_of_change || told(app, &shared.sounding(app).await?, thon) != last {
                break;
            }
        }
    }
}
