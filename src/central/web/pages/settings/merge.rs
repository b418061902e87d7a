//! Two villages that become one: the boxes of one move into the other, and its old name leads there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::place::{draw, mine};
use crate::app::App;
use crate::changes::Changed;
use crate::orders::documents::{self, GroupsAsked};
use crate::orders::refused::Refused;
use crate::people::Who;
use crate::store::{NewAct, Role};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// The villages into which one may be merged: those beside it that the person administers.
fn others(app: &App, who: &Who, group: &GroupId) -> Vec<GroupId> {
    let (parents, merged) = (app.settings.parents(), app.merged());
    let Some(above) = parents.get(group) else { return Vec::new() };
    let beside = who.groups(app, Role::Administrator).into_iter();
    beside.filter(|it| it != group && parents.get(it) == Some(above) && !merged.contains_key(it)).collect()
}

/// The form on the page of a village.
pub fn form(app: &App, frame: &Frame, who: &Who, group: &GroupId, faults: &Faults) -> Markup {
    let path = format!("/cai-dat/noi/{group}/gop");
    let others = others(app, who, group);
    html! {
        @if let Some(becomes) = app.merged().get(group) {
            form.card.pad.stack.narrow method="post" action=(path) {
                p { (frame.tell(&said!("place.is_merged", title = app.title_of(becomes)))) }
                p.hint { (frame.say("place.part_hint")) }
                input type="hidden" name="vao" value="";
                div.btns { button.btn.sec { (frame.say("place.part")) } }
            }
        } @else if !others.is_empty() {
            details open[faults.has("vao")] {
                summary { (frame.say("place.merge")) }
                form.stack.narrow method="post" action=(path) {
                    p.hint { (frame.say("place.merge_hint")) }
                    div.field.bad[faults.has("vao")] { label for="vao" { (frame.say("place.merge_into")) }
                        (faults.beside(frame, "vao"))
                        select #vao name="vao" { @for other in &others { option value=(other) { (app.title_of(other)) } } } }
                    div.btns { button.btn.sec { (frame.say("place.merge_now")) } }
                }
            }
        }
    }
}

/// Moves the boxes, then has the old name lead to the other village. An empty target undoes the name alone.
pub async fn act(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let group = match mine(&app, &frame, &who, &group) {
        Ok(group) => group,
        Err(no) => return Ok(*no),
    };
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
