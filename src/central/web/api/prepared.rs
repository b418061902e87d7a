//! `POST /prepared`: sends boxes the list of prepared messages.

use std::sync::Arc;

use axum::extract::State;

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, PreparedAsked};

/// Sends boxes the list of messages that they keep ready.
pub async fn handle(State(app): State<Arc<App>>, JsonBody(asked): JsonBody<PreparedAsked>) -> Answer {
    Ok(sent(documents::send_prepared(&app, asked).await?))
}
