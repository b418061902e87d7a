//! `POST /local-emergencies`: sends the standing order for a local emergency to boxes, or takes it back.

use std::sync::Arc;

use axum::extract::State;

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::local_emergency::{self, LocalAsked};

/// Sends the standing order for a local emergency to boxes, or takes it back.
pub async fn handle(State(app): State<Arc<App>>, JsonBody(asked): JsonBody<LocalAsked>) -> Answer {
    Ok(sent(local_emergency::issue(&app, asked).await?))
}
