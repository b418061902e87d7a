//! `POST /groups`: sends which box is in which group.

use std::sync::Arc;

use axum::extract::State;

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, GroupsAsked};

/// Sends which box is in which group.
pub async fn handle(State(app): State<Arc<App>>, JsonBody(asked): JsonBody<GroupsAsked>) -> Answer {
    Ok(sent(documents::send_groups(&app, asked).await?))
}
