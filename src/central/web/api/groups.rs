//! `POST /groups`: sends which box is in which group.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, GroupsAsked};

/// Sends which box is in which group.
pub async fn handle(State(app): State<Arc<App>>, Json(asked): Json<GroupsAsked>) -> Answer {
    Ok(sent(documents::send_groups(&app, asked).await?))
}
