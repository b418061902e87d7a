//! `GET /announcements/{id}`: one announcement, and how far it has come with each box.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::orders::refused::Refused;
use crate::store::{CommandRow, DeliveryRow};
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::CommandId;

/// An announcement with its delivery chain.
#[derive(Serialize)]
pub struct Announced {
    #[serde(flatten)]
    row: CommandRow,
    /// One row a box.
    delivery: Vec<DeliveryRow>,
    /// The command as it was signed.
    command: Value,
}

/// Reads one announcement.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
) -> Result<Json<Announced>, Problem> {
    let row = app.store.command(id.clone()).await?.ok_or(Refused::NoSuchAnnouncement(id.clone()))?;
    let delivery = app.store.deliveries(id).await?;
    let command = serde_json::from_str(&row.payload).unwrap_or_default();
    Ok(Json(Announced { row, delivery, command }))
}
