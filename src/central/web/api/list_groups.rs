//! `GET /groups`: the groups, and the boxes in each.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;
use crate::store::BoxRow;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::{BoxId, GroupId};

/// A group with the boxes that hear what is sent to it.
#[derive(Serialize)]
pub struct GroupState {
    id: GroupId,
    title: String,
    parent: Option<GroupId>,
    boxes: Vec<Member>,
}

/// A box in a group, or in one below it.
#[derive(Serialize)]
struct Member {
    #[serde(rename = "box")]
    id: BoxId,
    title: String,
    online: bool,
}

/// Lists the groups in the order of the configuration.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<GroupState>>, Problem> {
    let (boxes, now) = (app.store.boxes().await?, app.now());
    let groups = app.groups().into_iter().map(|group| {
        let here = boxes.iter().filter(|row| app.groups_of(&row.groups).contains(&group.id));
        let member = |row: &BoxRow| Member {
            id: row.id.clone(),
            title: row.title.clone(),
            online: row.is_online(now),
        };
        GroupState {
            id: group.id.clone(),
            title: group.title,
            parent: group.parent,
            boxes: here.map(member).collect(),
        }
    });
    Ok(Json(groups.collect()))
}
