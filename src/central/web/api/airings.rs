//! `GET /airings`: what was due on each box, and what became of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::range::ROWS;
use crate::app::App;
use crate::reports;
use crate::store::{AiringFilter, AiringRow, Fate, ROWS_MAX};
use crate::web::problem::Problem;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, CampaignId, GroupId, SectionId};
use loaxa_heart::domain::time::Wall;

/// Boxes' days that are reckoned before the answer.
const SETTLED: u32 = 60;

/// A choice of airings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    from: Option<Wall>,
    to: Option<Wall>,
    #[serde(rename = "box")]
    id: Option<BoxId>,
    village: Option<GroupId>,
    section: Option<SectionId>,
    class: Option<Rung>,
    campaign: Option<CampaignId>,
    person: Option<String>,
    outcome: Option<Fate>,
    /// The `next` of the answer before.
    before: Option<String>,
    limit: Option<u32>,
}

/// Airings, latest first, and where the next answer goes on.
#[derive(Serialize)]
pub struct Airings {
    airings: Vec<AiringRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists airings.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Airings>, Problem> {
    reports::settle(&app, SETTLED).await?;
    let limit = asked.limit.unwrap_or(ROWS).clamp(1, ROWS_MAX);
    let before = asked.before.as_deref().and_then(|text| text.split_once('-'));
    let filter = AiringFilter {
        from: asked.from,
        to: asked.to,
        id: asked.id,
        villages: asked.village.map(|group| reports::below(&app, &group)).unwrap_or_default(),
        class: asked.class,
        campaign: asked.campaign,
        section: asked.section,
        person: asked.person.filter(|name| !name.is_empty()),
        fate: asked.outcome,
        before: before.and_then(|(at, id)| Some((Wall(at.parse().ok()?), id.parse().ok()?))),
        limit,
    };
    let airings = app.store.airings(filter).await?;
    let next = airings.last().filter(|_| airings.len() == limit as usize);
    let next = next.map(|last| format!("{}-{}", last.airing.due.0, last.id));
    Ok(Json(Airings { airings, next }))
}
