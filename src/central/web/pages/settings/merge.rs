//! Two villages that become one: the boxes of one move into the other, and its old name leads there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::merge_form::others;
use super::place::{draw, mine};
use crate::app::App;
use crate::changes::Changed;
use crate::orders::documents::{self, GroupsAsked};
use crate::orders::refused::Refused;
use crate::people::Who;
use crate::store::NewAct;
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Moves the boxes, then has the old name lead to the other village. An empty target undoes the name alone.
pub async fn act(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let group = mine(&app, &frame, &who, &group)?;
    let done = || Redirect::to(&format!("/cai-dat/noi/{group}")).into_response();
    if sent.get("vao").is_empty() && app.merged().contains_key(&group) {
        app.store.part(group.clone(), who.act("village_parted", group.as_str())).await?;
        app.read_places().await?;
        return Ok(done());
    }
    let target = others(&app, &who, &group).into_iter().find(|other| other.as_str() == sent.get("vao"));
    let Some(target) = target else {
        let faults = Faults::one("vao", said!("place.choose_other"));
        return draw(&app, &frame, &who, &group, &faults, None).await;
    };
    let members = moves(&app, &group, &target).await?;
    if !members.is_empty() {
        let order = GroupsAsked { members, author: Some(who.person.name.clone()), approver: None };
        match documents::send_groups(&app, order).await {
            Ok(_) => {}
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(refused) => {
                return draw(&app, &frame, &who, &group, &Faults::one("vao", refused.say()), None).await;
            }
        }
    }
    let act = NewAct { after: Some(target.to_string()), ..who.act("village_merged", group.as_str()) };
    if !app.store.merge(group.clone(), target, act).await? {
        let faults = Faults::one("vao", said!("place.choose_other"));
        return draw(&app, &frame, &who, &group, &faults, None).await;
    }
    app.read_places().await?;
    app.changes.tell(Changed::Boxes);
    Ok(done())
}

/// The boxes of a village with the groups that they are in afterwards.
async fn moves(app: &App, from: &GroupId, to: &GroupId) -> Result<BTreeMap<BoxId, Vec<GroupId>>, PageError> {
    let boxes = app.store.boxes().await?.into_iter().filter(|row| row.groups.contains(from));
    let moved = boxes.map(|row| {
        let mut groups: Vec<GroupId> = Vec::new();
        for group in row.groups {
            let group = if group == *from { to.clone() } else { group };
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        (row.id, groups)
    });
    Ok(moved.collect())
}
