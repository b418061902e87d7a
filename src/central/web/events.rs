//! The stream of what changed, one for an open page: `assets/live.js` opens it, and closes it while the page is hidden.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, Sender};

use super::doors::{EVENTS, Needs, Pages};
use super::live_audio::Pieces;
use crate::app::App;
use crate::changes::{Changed, Listener};
use crate::people::{Who, sign_in};

/// A page is told at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// A stream with nothing to tell says so, and looks whether its session goes on.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Lines that wait for a slow browser.
const LINES_MAX: usize = 4;
/// Seconds after which a browser that found no room asks again.
const NO_ROOM_AGAIN_S: &str = "60";

/// Adds the stream.
pub fn add(pages: Pages) -> Pages {
    pages.page(EVENTS, Needs::Person, get(stream))
}

async fn stream(State(app): State<Arc<App>>, who: Who) -> Response {
    // Where the database does not say it, there is nothing to tell either, and the browser asks again.
    if sign_in::is_still_in(&app, &who).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Some(listener) = app.changes.listen(&who.person.id) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, NO_ROOM_AGAIN_S)]).into_response();
    };
    let (lines, pieces) = mpsc::channel(LINES_MAX);
    tokio::spawn(tell(app, who, listener, lines));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::new(Pieces(pieces))).into_response()
}

/// Tells a page what changed until it is closed, its session ends, or this process does.
async fn tell(app: Arc<App>, who: Who, mut listener: Listener, lines: Sender<Bytes>) {
    let mut line = ": open\n\n".to_owned();
    loop {
        if lines.send(Bytes::from(line)).await.is_err() {
            return;
        }
        tokio::time::sleep(TOLD_EVERY).await;
        line = tokio::select! {
            () = lines.closed() => return,
            changed = next(&mut listener) => match changed {
                Some(names) => format!("event: changed\ndata: {names}\n\n"),
                None => return,
            },
            () = tokio::time::sleep(ALIVE_EVERY) => ": alive\n\n".to_owned(),
        };
        match sign_in::is_still_in(&app, &who).await {
            Ok(true) => {}
            Ok(false) => {
                // The browser is told, or it is gone.
                let _ = lines.send(Bytes::from_static(b"event: changed\ndata: signed-out\n\n")).await;
                return;
            }
            // The stream ends, so that the page says it is told nothing, and asks again.
            Err(error) => return tracing::debug!(%error, "a page is not told what changes"),
        }
    }
}

/// Waits for a change, and names all that have come by then; `None` at the end of this process.
async fn next(listener: &mut Listener) -> Option<String> {
    let mut names = BTreeSet::new();
    match listener.changes.recv().await {
        Ok(changed) => drop(names.insert(changed)),
        Err(RecvError::Lagged(_)) => names.extend(Changed::ALL),
        Err(RecvError::Closed) => return None,
    }
    while let Ok(changed) = listener.changes.try_recv() {
        names.insert(changed);
    }
    Some(names.into_iter().map(Changed::name).collect::<Vec<_>>().join(" "))
}
