//! `POST /software`, `GET /software`: publishes a release, and tells what became of it box by box.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::body::JsonBody;
use crate::app::App;
use crate::orders::software::{self, Place, ReleaseAsked, Standing};
use crate::store::{Actor, RolloutPlan};
use crate::web::problem::Problem;
use loaxa_heart::decide::rollout::Fate;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::Wall;

/// The newest rollout.
#[derive(Serialize)]
pub struct RolloutTold {
    state: &'static str,
    begun: Wall,
    author: String,
    /// Waves that have the order.
    ordered: u32,
    plan: RolloutPlan,
    boxes: Vec<BoxTold>,
}

/// A box in a rollout.
#[derive(Serialize)]
pub struct BoxTold {
    #[serde(rename = "box")]
    id: BoxId,
    /// From 1.
    wave: usize,
    /// The release that runs, as the box said last.
    software: Option<String>,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The word for a fate, as in the tables of texts.
pub const fn code(fate: Fate) -> &'static str {
    match fate {
        Fate::Failed => "failed",
        Fate::Silent => "silent",
        Fate::Refused => "refused",
        Fate::Ordered => "ordered",
        Fate::Underway(step) => step.code(),
        Fate::Done => "done",
    }
}

impl From<Standing> for RolloutTold {
    fn from(standing: Standing) -> Self {
        let Standing { rollout, places, .. } = standing;
        let told = |Place { row, wave, fate, why }| BoxTold {
            id: row.id,
            wave: wave + 1,
            software: row.software,
            fate: code(fate),
            why,
        };
        Self {
            state: rollout.stage.state.code(),
            begun: rollout.begun,
            author: rollout.author,
            ordered: rollout.stage.ordered,
            plan: rollout.plan,
            boxes: places.into_iter().map(told).collect(),
        }
    }
}

/// Begins the rollout of a release.
pub async fn publish(
    State(app): State<Arc<App>>,
    JsonBody(asked): JsonBody<ReleaseAsked>,
) -> Result<(StatusCode, Json<Option<RolloutTold>>), Problem> {
    let actor = Actor::Program { token: "api".to_owned() };
    software::publish(&app, asked, actor).await?;
    Ok((StatusCode::CREATED, Json(software::standing(&app).await?.map(Into::into))))
}

/// Tells what became of the newest release.
pub async fn show(State(app): State<Arc<App>>) -> Result<Json<Option<RolloutTold>>, Problem> {
    Ok(Json(software::standing(&app).await?.map(Into::into)))
}
