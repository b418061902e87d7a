//! The approver's queue, and the page on which one notice is approved or returned: exactly what was read there.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::super::own_key::words;
use super::changes;
use super::content::shown;
use super::refused::{refused, status_of};
use super::signing;
use super::steps::{Air, steps};
use crate::app::App;
use crate::orders::approval;
use crate::orders::notices::{self, NotNotice};
use crate::people::Who;
use crate::programmes::proposals;
use crate::store::{NoticeRow, NoticeState, NoticeVersion, Role, StoreError};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::local_time::{date_words, time_words};
use crate::web::pages::week;
use crate::web::parts::icon;
use loaxa_heart::domain::ids::{ContentHash, NoticeId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

pub async fn queue(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    let rows = notices::waiting(&app, &who).await?;
    if let Some(first) = rows.first() {
        return Ok(Redirect::to(&format!("/duyet-tin/{}", first.id)).into_response());
    }
    if let Some(first) = proposals::waiting(&app, &who).await?.first() {
        return Ok(Redirect::to(&format!("/duyet-lich/{}", first.id)).into_response());
    }
    let title = frame.say("review.title");
    let content = html! { h1 { (title) } p { (frame.say("review.nothing")) } };
    Ok(frame.draw(&app, title, content).into_response())
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = notices::read(&app, &id).await.map_err(|not| refused(&app, &frame, not))?;
    if !who.may(&app, Role::Approver, &row.content.groups) {
        return Err(refused(&app, &frame, NotNotice::NotYours));
    }
    if row.state_at(who.now) != NoticeState::Submitted {
        return Ok(Redirect::to(&format!("/tin/{id}")).into_response());
    }
    Ok(draw(&app, &frame, &who, &row, &Faults::default(), None).await?.into_response())
}

pub async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let Ok(digest) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&format!("/duyet-tin/{id}")).into_response());
    };
    let done = match sent.get("viec") {
        "duyet" => approval::approve(&app, &who, &id, digest).await.map(|_| format!("/tin/{id}")),
        _ => {
            let done = notices::send_back(&app, &who, &id, digest, sent.get("ly-do")).await;
            done.map(|()| "/duyet-tin".to_owned())
        }
    };
    match done {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(NotNotice::Changed(row)) => Ok(changed(&app, &frame, &who, &row, digest).await?),
        Err(not) if status_of(&not) != StatusCode::BAD_REQUEST => Err(refused(&app, &frame, not)),
        Err(not) => {
            let row = notices::read(&app, &id).await.map_err(|not| refused(&app, &frame, not))?;
            let field = if matches!(not, NotNotice::NoReason) { "ly-do" } else { "duyet" };
            let page = draw(&app, &frame, &who, &row, &Faults::one(field, not.say()), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

/// The answer to a decision on a version that is no more: nothing was sent, and both versions stand side by side.
async fn changed(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    row: &NoticeRow,
    digest: ContentHash,
) -> Result<Response, StoreError> {
    let versions = app.store.notice_versions(row.id.clone()).await?;
    let seen = versions.into_iter().find(|version| version.digest == digest);
    let page = draw(app, frame, who, row, &Faults::default(), Some(seen.as_ref())).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

/// `stale` is the version that the approver decided on, where it is not the latest; `Some(None)` where its text is not kept.
async fn draw(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    row: &NoticeRow,
    faults: &Faults,
    stale: Option<Option<&NoticeVersion>>,
) -> Result<Markup, StoreError> {
    let rows = notices::waiting(app, who).await?;
    let proposals = proposals::waiting(app, who).await?;
    let versions = app.store.notice_versions(row.id.clone()).await?;
    let wrote = versions.iter().any(|version| version.by == who.person.id);
    let shown = shown(app, frame, row, who.now).await?;
    let title = frame.say("review.title");
    let content = html! {
        h1 { (title) }
        (faults.summary(frame))
        @if let Some(seen) = stale { (changes::draw(frame, app, seen, row)) }
        div.cols.queue {
            section.stack aria-labelledby="hq" {
                h2 #hq { (frame.tell(&said!("review.waiting", count = rows.len() + proposals.len()))) }
                ul.tight { @for other in &rows { li { (in_queue(frame, other, other.id == row.id)) } }
                    @for other in &proposals { li { (week::review::in_queue(frame, other, false)) } } }
                p.mute { (frame.say("review.not_your_own")) }
            }
            section.stack aria-labelledby="ht" {
                h2 #ht { (row.content.title) }
                (steps(frame, row.state_at(who.now), Air::Waits))
                (shown)
                @if stale.is_none() { (decisions(app, frame, row, wrote, faults)) }
            }
        }
        @if signing::is_wanted(app) { (words(app, frame)) }
    };
    let scripts: &[&str] = if signing::is_wanted(app) { &[signing::SCRIPT] } else { &[] };
    Ok(frame.draw_with(app, title, scripts, content))
}

fn in_queue(frame: &Frame, row: &NoticeRow, is_this: bool) -> Markup {
    let when = row.content.at.map_or_else(|| said!("review.soon"), |at| said!("review.at", at = moment(at)));
    html! {
        a.box.k-normal href={ "/duyet-tin/" (row.id) } aria-current=[is_this.then_some("true")] {
            b { (row.content.title) } span.mute { (frame.tell(&when)) }
        }
    }
}

/// A time as staff say it: `17:10, 27/11/2026`.
fn moment(at: Wall) -> Sentence {
    Sentence::from_outside(format!("{}, {}", time_words(at), date_words(at)))
}

fn decisions(app: &App, frame: &Frame, row: &NoticeRow, wrote: bool, faults: &Faults) -> Markup {
    let button = match row.content.at {
        Some(at) => said!("review.approve_at", at = moment(at)),
        None => said!("review.approve_now"),
    };
    html! {
        @if wrote { p.note { (frame.say("review.you_wrote_it")) } } @else {
            p.mute { (frame.say("review.exactly_this")) }
            @if signing::is_wanted(app) { (signing::order(frame, row)) }
            form #form-duyet method="post" action={ "/duyet-tin/" (row.id) } {
                input type="hidden" name="ban" value=(row.digest);
                (faults.beside(frame, "duyet"))
                div.btns { button.btn #duyet name="viec" value="duyet" { (icon("ok")) (frame.tell(&button)) } }
            }
        }
        details open[faults.has("ly-do")] {
            summary { (frame.say("review.return")) }
            form.field.narrow.stack method="post" action={ "/duyet-tin/" (row.id) } {
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
