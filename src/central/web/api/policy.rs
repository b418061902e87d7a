//! `POST /policies`: sends limits to the guards of boxes.

use std::sync::Arc;

use axum::extract::State;

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, PolicyAsked};

/// Sends limits to the guards of boxes.
pub async fn handle(State(app): State<Arc<App>>, JsonBody(asked): JsonBody<PolicyAsked>) -> Answer {
    Ok(sent(documents::send_policy(&app, asked).await?))
}
