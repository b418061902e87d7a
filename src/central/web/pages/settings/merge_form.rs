//! The form by which a village is merged into another, or stands for itself again.

use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::store::Role;
use crate::web::form::Faults;
use crate::web::frame::Frame;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::said;

/// The villages into which one may be merged: those beside it that the person administers.
pub fn others(app: &App, who: &Who, group: &GroupId) -> Vec<GroupId> {
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
