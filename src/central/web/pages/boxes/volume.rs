//! The highest volume of a box's village: seen, and changed within the limits by a proposal that somebody else approves.

use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::programmes::{NotProposal, volume};
use crate::settings::village_of;
use crate::store::{BoxRow, ProposalState, Role, StoreError};
use crate::web::form::Faults;
use crate::web::frame::Frame;
use crate::web::pages::trouble::boxes_in_village;
use crate::web::parts::{Kind, state};
use loaxa_heart::said;

/// Draws the volume of the box's village, with the form to change it.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn form(
    app: &App,
    frame: &Frame,
    who: &Who,
    (row, boxes): (&BoxRow, &[BoxRow]),
    faults: &Faults,
) -> Result<Markup, StoreError> {
    let parents = app.settings.parents();
    let Some(village) = village_of(&row.groups, &parents).cloned() else { return Ok(html! {}) };
    let volume = match volume::of(app, &village).await {
        Ok(volume) => volume,
        Err(NotProposal::Store(error)) => return Err(error),
        Err(_) => None,
    };
    let count = boxes_in_village(app, boxes, &village);
    let title = app.title_of(&village);
    Ok(html! {
        details open[faults.has("am-luong") || volume.as_ref().is_some_and(|volume| volume.open.is_some())] {
            summary { (frame.say("box_page.set_volume")) }
            @match &volume {
                None => p.narrow { (frame.say("box_page.no_limits")) },
                Some(volume) => div.stack {
                    p.narrow { (frame.tell(&said!("box_page.volume_now", village = title, count, now = volume.now, max = volume.max))) }
                    @match &volume.open {
                        Some(open) => {
                            p { (state(Kind::Look, frame.say(if open.state == ProposalState::Submitted { "box_page.volume_waits" } else { "box_page.volume_returned" }))) }
                            @if who.may(app, Role::Approver, &open.content.groups) && open.state == ProposalState::Submitted {
                                p { a href={ "/duyet-lich/" (open.id) } { (frame.say("review.title")) } }
                            }
                        },
                        None => form.stack.narrow method="post" action={ "/cum-loa/" (row.id) "/am-luong" } {
                            div.field.bad[faults.has("am-luong")] {
                                label for="am-luong" { (frame.say("box_page.volume_max")) }
                                p.hint #am-luong-h { (frame.tell(&said!("box_page.volume_holds", count, village = title))) }
                                (faults.beside(frame, "am-luong"))
                                select #am-luong name="am-luong" aria-describedby="am-luong-h" { @for percent in volume.choices() {
                                    option value=(percent) selected[percent == volume.now] { (percent) " %" } } }
                            }
                            div.btns { button.btn.sec { (frame.say("box_page.volume_ask")) } }
                        },
                    }
                },
            }
            @if who.has(Role::Administrator) {
                p { a href="/tuan/van-ban?loai=policy" { (frame.say("box_page.volume")) } }
            }
        }
    })
}
