//! A programme beside its week: the draft that is open, how far it is, and which boxes have which version.

use std::sync::Arc;

use maud::{Markup, html};

use super::address::Address;
use super::difference;
use crate::app::App;
use crate::people::Who;
use crate::programmes::proposals;
use crate::programmes::week::{Scene, Shown};
use crate::store::{BoxRow, ProposalRow, ProposalState, Role, StoreError};
use crate::web::frame::{Frame, moment};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::said;
use loaxa_heart::wire::messages::Holds;

/// Boxes that are named because they hold another version.
const NAMED_MAX: usize = 8;
/// Changes that are listed on the page of the week.
const CHANGES_MAX: usize = 5;

/// The last change of the reader, with the button that takes it back while there is time.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn undo(
    app: &App,
    frame: &Frame,
    who: &Who,
    address: &Address,
    row: &ProposalRow,
) -> Result<Markup, StoreError> {
    let Some(change) = proposals::last_change(app, who, row).await? else { return Ok(html! {}) };
    Ok(html! {
        div.card.band role="status" #vua-sua {
            p { (icon("ok")) " " (difference::change(frame, &change)) }
            form method="post" action="/tuan/nhap" {
                (hidden(address, row))
                button.btn.sec name="viec" value="hoan-tac" { (frame.tell(&said!("week.undo", seconds = proposals::UNDO.as_secs_f64() as u64))) }
            }
        }
    })
}

/// Names the draft, and what of it the reader saw.
fn hidden(address: &Address, row: &ProposalRow) -> Markup {
    html! {
        input type="hidden" name="noi" value=(address.group);
        input type="hidden" name="ngay" value=(address.day);
        input type="hidden" name="id" value=(row.id);
        input type="hidden" name="ban" value=(row.digest);
    }
}

/// The draft of a programme: what it changes, and the steps that its writers can take.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn card(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    address: &Address,
    shown: &Shown,
) -> Result<Markup, StoreError> {
    let Some(row) = &shown.basis.proposal else { return Ok(html! {}) };
    let writes = who.may(app, Role::Writer, &row.content.groups);
    let approves = who.may(app, Role::Approver, &row.content.groups);
    let in_force = shown.basis.in_force.as_ref().map(|(content, _)| content);
    let differences = difference::between(app, in_force, &row.content).await?;
    let changes = app.store.proposal_changes(row.id.clone()).await?;
    let (kind, code) = match row.state {
        ProposalState::Submitted => (Kind::Look, "submitted"),
        ProposalState::Returned => (Kind::Look, "returned"),
        _ => (Kind::Quiet, "draft"),
    };
    let heading = format!("nhap-{}", shown.id);
    Ok(html! {
        section.card.stack aria-labelledby=(heading) {
            h2 id=(heading) { (frame.tell(&said!("week.draft_of", title = shown.programme.title))) }
            p { (state(kind, frame.texts.code("notice_state", code))) }
            @if let (ProposalState::Returned, Some(reason)) = (row.state, &row.reason) {
                p.alarm.k-look { b { (frame.say("week.returned_because")) } " " (reason) }
            }
            p { (frame.say("week.draft_shown")) }
            details { summary { (frame.tell(&said!("week.differences", count = differences.len()))) } (difference::draw(frame, &differences)) }
            details { summary { (frame.say("week.changes")) } (difference::history(app, frame, &changes, CHANGES_MAX).await?) }
            div.btns {
                @if writes && row.state != ProposalState::Submitted {
                    form method="post" action="/tuan/nhap" { (hidden(address, row))
                        button.btn name="viec" value="gui" { (frame.say("week.submit")) } }
                }
                @if approves && row.state == ProposalState::Submitted {
                    a.btn href={ "/duyet-lich/" (row.id) } { (frame.say("week.to_review")) }
                }
                @if writes {
                    form method="post" action="/tuan/nhap" { (hidden(address, row))
                        button.btn.sec name="viec" value="rut" { (frame.say("week.give_up")) } }
                }
                a.btn.sec href={ (address.week()) "&ban=phat" } { (frame.say("week.see_in_force")) }
            }
        }
    })
}

/// The versions of the programmes on the boxes of the place.
pub fn versions(app: &App, frame: &Frame, scene: &Scene) -> Markup {
    html! {
        ul.list {
            @for shown in &scene.shown {
                @if let Some((_, version)) = &shown.basis.in_force { li { (one_version(app, frame, scene, shown, *version)) } }
                @else { li { b { (shown.programme.title) } br; (state(Kind::Unknown, frame.say("week.never_sent"))) } }
            }
        }
    }
}

fn one_version(app: &App, frame: &Frame, scene: &Scene, shown: &Shown, version: u32) -> Markup {
    let name = DocumentName::Programme(shown.id.clone());
    let boxes = scene.hearing(app, &shown.programme.group, &[]);
    let held = |holds: &Option<Holds>| holds.as_ref().map_or(0, |holds| name.held(holds));
    let (with, without): (Vec<&BoxRow>, Vec<&BoxRow>) =
        boxes.iter().copied().partition(|row| held(&row.holds) >= version);
    let names: Vec<&str> = without.iter().take(NAMED_MAX).map(|row| row.title.as_str()).collect();
    let said = said!("week.version_on", version, held = with.len(), all = boxes.len());
    html! {
        b { (shown.programme.title) } br;
        @if without.is_empty() { (state(Kind::Good, frame.tell(&said))) } @else {
            (state(Kind::Look, frame.tell(&said)))
            br; span.mute { (frame.tell(&said!("week.not_yet_on", names = names.join(", ")))) @if without.len() > NAMED_MAX { " …" } }
        }
    }
}

/// The moment at which a proposal was changed last, for lists.
pub fn changed(frame: &Frame, row: &ProposalRow) -> String {
    frame.tell(&said!("notice.changed_at", at = moment(row.changed)))
}
