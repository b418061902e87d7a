//! Live voices over HTTP: staff's on its way in, and the boxes' on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::Receiver;

use super::elsewhere;
use crate::app::App;
use crate::link::crowd::Seat;
use crate::orders::live::VoiceSource;

/// The address at which boxes listen.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/live/{session}", get(listen)).with_state(app)
}

async fn listen(
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
    headers: HeaderMap,
    seat: Option<Extension<Arc<Seat>>>,
) -> Response {
    let pieces = match app.voices.listen(&session) {
        Some(pieces) => Some(pieces),
        None => elsewhere::listen(&app, &session, &headers).await,
    };
    match pieces {
        Some(pieces) => {
            // The name of the session is its secret: only a box that was told of it has it.
            if let Some(Extension(seat)) = seat {
                seat.keep();
            }
            let headers = [(header::CONTENT_TYPE, "audio/wav"), (header::CACHE_CONTROL, "no-store")];
            (headers, Body::new(Pieces(pieces))).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A response that goes on until its sender is closed.
pub struct Pieces(pub Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// The body of a request as a voice.
pub struct RequestVoice(pub Body);

impl VoiceSource for RequestVoice {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let body = &mut self.0;
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) if !data.is_empty() => return Some(data),
                Ok(_) => {}
                // The speaker is gone.
                Err(_) => return None,
            }
        }
    }
}
