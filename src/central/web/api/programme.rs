//! `POST /programmes`: sends the weekly plan of a group.

use std::sync::Arc;

use axum::extract::State;

use super::body::JsonBody;
use super::sent::{Answer, sent};
use crate::app::App;
use crate::orders::documents::{self, ProgrammeAsked};

/// Sends the weekly plan of a group.
pub async fn handle(State(app): State<Arc<App>>, JsonBody(asked): JsonBody<ProgrammeAsked>) -> Answer {
    Ok(sent(documents::send_programme(&app, asked).await?))
}
