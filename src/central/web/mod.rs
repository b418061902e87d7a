//! Pages and API over HTTP, and who may ask for what.

mod access;
mod api;
mod live_audio;
mod pages;
mod problem;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app::App;

/// Answers requests until `stopped` resolves, and those that are open by then to their end.
pub async fn serve(listener: TcpListener, app: Arc<App>, stopped: oneshot::Receiver<()>) {
    let service = routes(app).into_make_service_with_connect_info::<SocketAddr>();
    let shutdown = async {
        // A sender that is gone means the same.
        let _ = stopped.await;
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(shutdown).await {
        tracing::error!(%error, "the pages ended");
    }
}

fn routes(app: Arc<App>) -> Router {
    pages::routes(Arc::clone(&app)).merge(live_audio::routes(Arc::clone(&app))).merge(api::routes(app))
}
