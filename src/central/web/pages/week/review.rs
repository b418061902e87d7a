//! The page on which a change of what stays in force is approved or returned: exactly what was read there.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::difference;
use crate::app::App;
use crate::orders::notices;
use crate::people::Who;
use crate::programmes::{NotProposal, basis, proposals};
use crate::store::{ProposalContent, ProposalKind, ProposalRow, ProposalState, Role};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::parts::icon;
use loaxa_heart::config::programme_edit::ProgrammeText;
use loaxa_heart::domain::ids::{ContentHash, GroupId, ProposalId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Changes that are listed.
const CHANGES_MAX: usize = 30;
/// Boxes that are named.
const NAMED_MAX: usize = 12;

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<ProposalId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    match proposals::read(&app, &id).await {
        Ok(row) if !who.may(&app, Role::Approver, &row.content.groups) => {
            Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &NotProposal::NotYours.say()))
        }
        Ok(row) if row.state != ProposalState::Submitted => Ok(decided(&app, &frame, &row).await?),
        Ok(row) => draw(&app, &frame, &who, &row, &Faults::default(), None).await,
        Err(NotProposal::Store(error)) => Err(error.into()),
        Err(not) => Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &not.say())),
    }
}

pub async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<ProposalId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let here = format!("/duyet-lich/{id}");
    let Ok(seen) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&here).into_response());
    };
    let done = match sent.get("viec") {
        "duyet" => proposals::approve(&app, &who, &id, seen).await.map(|_| here),
        _ => {
            let done = proposals::send_back(&app, &who, &id, seen, sent.get("ly-do")).await;
            done.map(|()| "/duyet-tin".to_owned())
        }
    };
    match done {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(NotProposal::Store(error)) => Err(error.into()),
        Err(NotProposal::Changed(Some(row))) => {
            Ok((StatusCode::CONFLICT, draw(&app, &frame, &who, &row, &Faults::default(), Some(seen)).await?)
                .into_response())
        }
        Err(not @ (NotProposal::NotYours | NotProposal::Own)) => {
            Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &not.say()))
        }
        Err(not @ NotProposal::NoSuch) => Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &not.say())),
        Err(not) => {
            let Ok(row) = proposals::read(&app, &id).await else {
                return Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &not.say()));
            };
            let field = if matches!(not, NotProposal::NoReason) { "ly-do" } else { "duyet" };
            let page = draw(&app, &frame, &who, &row, &Faults::one(field, not.say()), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

fn title(frame: &Frame, row: &ProposalRow) -> String {
    match row.content.kind {
        ProposalKind::Programme => frame.tell(&said!("week.review_programme", title = written_title(row))),
        ProposalKind::Policy => frame.say("week.review_policy").to_owned(),
        ProposalKind::Groups => frame.say("week.review_groups").to_owned(),
    }
}

/// The title that stands in a programme's text, or its id where there is none.
fn written_title(row: &ProposalRow) -> String {
    let title = ProgrammeText::open(&row.content.text).ok().and_then(|text| text.title());
    title.unwrap_or_else(|| row.content.subject.clone())
}

/// A change that was decided, or is a draft again: its way so far.
async fn decided(app: &Arc<App>, frame: &Frame, row: &ProposalRow) -> Result<Response, PageError> {
    let changes = app.store.proposal_changes(row.id.clone()).await?;
    let title = title(frame, row);
    let content = html! {
        h1 { (title) }
        p { b { (frame.texts.code("notice_state", row.state.code())) } ", " (moment(row.changed)) }
        @if let Some(reason) = &row.reason { p { (reason) } }
        section.stack aria-labelledby="h-sua" { h2 #h-sua { (frame.say("week.changes")) }
            (difference::history(app, frame, &changes, CHANGES_MAX).await?) }
        div.btns { a.btn href="/duyet-tin" { (frame.say("review.title")) } a.btn.sec href="/tuan" { (frame.say("week.title")) } }
    };
    Ok(frame.draw(app, &title, content).into_response())
}

/// `seen` is the version that the approver decided on, where it is not the latest.
async fn draw(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    row: &ProposalRow,
    faults: &Faults,
    seen: Option<ContentHash>,
) -> Result<Response, PageError> {
    let changes = app.store.proposal_changes(row.id.clone()).await?;
    let wrote = changes.iter().any(|change| change.by == who.person.id);
    let author = app.store.person(row.author.clone()).await?;
    let author = author.map_or_else(|| row.author.to_string(), |person| person.name);
    let now = basis::find(app, row.content.kind, &row.content.subject).await?;
    let in_force = now.and_then(|basis| basis.in_force).map(|(content, _)| content);
    let differences = difference::between(app, in_force.as_ref(), &row.content).await?;
    let stale = match seen {
        Some(seen) => Some(stale(app, frame, row, seen, in_force.as_ref()).await?),
        None => None,
    };
    let title = title(frame, row);
    let content = html! {
        h1 { (title) }
        (faults.summary(frame))
        @if let Some(stale) = &stale { (stale) }
        div.cols.queue {
            (queue(app, frame, who, Some(&row.id)).await?)
            section.stack aria-labelledby="h-lich" {
                h2 #h-lich { (frame.say("week.what_changes")) }
                dl.kv.card {
                    div { dt { (frame.say("review.writer")) } dd { (author) ", " (moment(row.changed)) } }
                    div { dt { (frame.say("week.who_hears")) } dd { (hearing(app, frame, &row.content.groups).await?) } }
                }
                (difference::draw(frame, &differences))
                @if let Some(group) = row.content.groups.first() {
                    @if row.content.kind == ProposalKind::Programme { p { a href={ "/tuan?noi=" (group) } { (frame.say("week.see_week")) } } }
                }
                (new_audio(frame, row, in_force.as_ref()))
                details { summary { (frame.say("week.whole_text")) } pre.code tabindex="0" { (row.content.text) } }
                details { summary { (frame.say("week.changes")) } (difference::history(app, frame, &changes, CHANGES_MAX).await?) }
                @if stale.is_none() { (decisions(frame, row, wrote, faults)) }
            }
        }
    };
    Ok(frame.draw(app, &title, content).into_response())
}

/// Lets the approver hear the audio that is new.
fn new_audio(frame: &Frame, row: &ProposalRow, in_force: Option<&ProposalContent>) -> Markup {
    let known = |hash: &ContentHash| in_force.is_some_and(|old| old.media.values().any(|it| it == hash));
    let new: Vec<_> = row.content.media.iter().filter(|(_, hash)| !known(hash)).collect();
    html! {
        @if !new.is_empty() {
            h3 { (frame.say("week.new_audio")) }
            ul.list { @for (path, hash) in new { li { (path) br; audio controls preload="none" src={ "/media/" (hash) } aria-label=(path) {} } } }
        }
    }
}

/// Draws what the approver read beside what stands there now.
async fn stale(
    app: &Arc<App>,
    frame: &Frame,
    row: &ProposalRow,
    seen: ContentHash,
    in_force: Option<&ProposalContent>,
) -> Result<Markup, PageError> {
    let read = app.store.proposal_content(row.id.clone(), seen).await?;
    let then = match &read {
        Some(read) => difference::between(app, in_force, read).await?,
        None => Vec::new(),
    };
    let since = difference::between(app, read.as_ref(), &row.content).await?;
    Ok(html! {
        section.alarm.k-look.stack role="alert" aria-labelledby="h-doi" {
            h2 #h-doi { (icon("fix")) " " (frame.say("week.overtaken")) }
            p { (frame.say("review.nothing_was_sent")) }
            div.two {
                div.card.tight { h3 { (frame.say("review.you_read")) } (difference::draw(frame, &then)) }
                div.card.tight { h3 { (frame.say("week.changed_since")) } (difference::draw(frame, &since)) }
            }
            div.btns { a.btn href={ "/duyet-lich/" (row.id) } { (frame.say("review.read_now")) } }
        }
    })
}

/// Everything that waits for the approver: notices and changes of programmes.
async fn queue(app: &App, frame: &Frame, who: &Who, now: Option<&ProposalId>) -> Result<Markup, PageError> {
    let (rows, others) = (proposals::waiting(app, who).await?, notices::waiting(app, who).await?);
    Ok(html! {
        section.stack aria-labelledby="hq" {
            h2 #hq { (frame.tell(&said!("review.waiting", count = rows.len() + others.len()))) }
            ul.tight {
                @for other in &others { li { a.box.k-normal href={ "/duyet-tin/" (other.id) } { b { (other.content.title) } } } }
                @for other in &rows { li { (in_queue(frame, other, now == Some(&other.id))) } }
            }
            p.mute { (frame.say("review.not_your_own")) }
        }
    })
}

/// A change in the queue of an approver.
pub fn in_queue(frame: &Frame, row: &ProposalRow, is_this: bool) -> Markup {
    html! {
        a.box.k-prog href={ "/duyet-lich/" (row.id) } aria-current=[is_this.then_some("true")] {
            b { (title(frame, row)) } span.mute { (super::draft::changed(frame, row)) }
        }
    }
}

async fn hearing(app: &App, frame: &Frame, groups: &[GroupId]) -> Result<Markup, PageError> {
    let boxes = app.store.boxes().await?;
    let inside: Vec<_> = boxes
        .iter()
        .filter(|row| app.groups_of(&row.groups).iter().any(|group| groups.contains(group)))
        .collect();
    let titles: Vec<_> = groups.iter().map(|group| app.title_of(group)).collect();
    let names: Vec<_> = inside.iter().take(NAMED_MAX).map(|row| row.title.as_str()).collect();
    Ok(html! {
        (titles.join(", ")) br; (frame.tell(&said!("compose.boxes", count = inside.len()))) ": " (names.join(", "))
        @if inside.len() > NAMED_MAX { " …" }
    })
}

fn decisions(frame: &Frame, row: &ProposalRow, wrote: bool, faults: &Faults) -> Markup {
    html! {
        @if wrote { p.note { (frame.say("review.you_wrote_it")) } } @else {
            p.mute { (frame.say("review.exactly_this")) }
            form method="post" action={ "/duyet-lich/" (row.id) } {
                input type="hidden" name="ban" value=(row.digest);
                (faults.beside(frame, "duyet"))
                div.btns { button.btn #duyet name="viec" value="duyet" { (icon("ok")) (frame.say("week.approve")) } }
            }
        }
        details open[faults.has("ly-do")] {
            summary { (frame.say("review.return")) }
            form.field.narrow.stack method="post" action={ "/duyet-lich/" (row.id) } {
                input type="hidden" name="ban" value=(row.digest);
                div.field.bad[faults.has("ly-do")] {
                    label for="ly-do" { (frame.say("review.what_to_mend")) }
                    p.hint #ldh { (frame.say("review.writer_reads_it")) }
                    (faults.beside(frame, "ly-do"))
                    textarea #ly-do name="ly-do" aria-describedby="ldh" {}
                }
                button.btn.sec name="viec" value="tra-lai" { (frame.say("review.return_it")) }
            }
        }
    }
}
