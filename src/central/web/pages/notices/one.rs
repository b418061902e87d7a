//! One notice after it was submitted: how far it is, who heard it and who did not, and how to end or correct it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::content::shown;
use super::refused::refused;
use super::steps::{Air, sign, steps};
use crate::app::App;
use crate::orders::notices::{self, NotNotice};
use crate::orders::outlook;
use crate::people::Who;
use crate::store::{BoxRow, DeliveryRow, NoticeRow, NoticeState, Role, StoreError};
use crate::web::form::Sent;
use crate::web::frame::{Frame, LIVE, PageError, moment};
use crate::web::parts::{Kind, state};
use crate::web::words;
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::ids::NoticeId;
use loaxa_heart::said;

/// Boxes that are listed.
const BOXES_MAX: usize = 400;

/// Finds how far an approved notice has come on the boxes.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn air_of(app: &App, row: &NoticeRow) -> Result<Air, StoreError> {
    let Some(command) = &row.command else { return Ok(Air::Waits) };
    Ok(air(&app.store.deliveries(command.clone()).await?))
}

fn air(chain: &[DeliveryRow]) -> Air {
    match () {
        () if chain.iter().any(|row| matches!(row.step, Step::Started | Step::Interrupted)) => Air::Sounds,
        () if !chain.is_empty() && chain.iter().all(|row| row.step.is_over()) => Air::Over,
        () if chain.iter().any(|row| row.step == Step::Finished) => Air::Sounds,
        () => Air::Waits,
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = notices::read(&app, &id).await.map_err(|not| refused(&app, &frame, not))?;
    if row.state == NoticeState::Draft {
        return Ok(Redirect::to(&format!("/soan-tin/{id}")).into_response());
    }
    Ok(draw(&app, &frame, &who, &row).await?.into_response())
}

pub async fn fragment(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    match notices::read(&app, &id).await {
        Ok(row) => Ok(progress(&app, &frame, &who, &row).await?.into_response()),
        Err(NotNotice::Store(error)) => Err(error.into()),
        Err(_) => Ok(StatusCode::NOT_FOUND.into_response()),
    }
}

pub async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let done = match sent.get("viec") {
        "rut-lai" => notices::withdraw(&app, &who, &id).await,
        "huy" => notices::end(&app, &who, &id).await,
        _ => Ok(()),
    };
    match done {
        Ok(()) | Err(NotNotice::Changed(_)) => Ok(Redirect::to(&format!("/tin/{id}")).into_response()),
        Err(not) => Err(refused(&app, &frame, not)),
    }
}

/// Begins a notice that takes the place of this one: with all that it said, to be corrected.
pub async fn correct(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = notices::read(&app, &id).await.map_err(|not| refused(&app, &frame, not))?;
    let mut content = row.content;
    content.at = content.at.filter(|at| *at > who.now);
    content.supersedes = row.command.filter(|_| row.state == NoticeState::Approved);
    let new = notices::new_id();
    let saved = notices::save(&app, &who, &new, None, content, false).await;
    saved.map_err(|not| refused(&app, &frame, not))?;
    Ok(Redirect::to(&format!("/soan-tin/{new}")).into_response())
}

async fn draw(app: &Arc<App>, frame: &Frame, who: &Who, row: &NoticeRow) -> Result<Markup, StoreError> {
    let list = shown(app, frame, row, who.now).await?;
    let progress = progress(app, frame, who, row).await?;
    let content = html! {
        div { a.back href="/tin" { (frame.say("notice.list")) } h1 { (row.content.title) } }
        @if let (NoticeState::Returned, Some(reason)) = (row.state, &row.reason) {
            section.alarm.k-look.narrow { h2 { (frame.say("notice.was_returned")) } p { (reason) } }
        }
        div #tien-trinh.stack.live hx-get={ "/fragments/tin/" (row.id) }
            hx-trigger="announcements from:body, notices from:body, shown from:body" { (progress) }
        section.stack aria-labelledby="h-nd" { h2 #h-nd { (frame.say("notice.what")) } (list) }
    };
    Ok(frame.draw_with(app, &row.content.title, &[LIVE], content))
}

/// Draws what changes without anybody's doing: the steps, and who heard it.
async fn progress(app: &Arc<App>, frame: &Frame, who: &Who, row: &NoticeRow) -> Result<Markup, StoreError> {
    let chain = match &row.command {
        Some(command) => app.store.deliveries(command.clone()).await?,
        None => Vec::new(),
    };
    let air = air(&chain);
    let boxes = app.store.boxes().await?;
    let waits = row.state == NoticeState::Approved && air == Air::Waits;
    let foreseen = match &row.command {
        Some(command) if waits => outlook::foresee(app, command).await?,
        _ => None,
    };
    Ok(html! {
        (steps(frame, row.state_at(who.now), air))
        p { (sign(frame, row.state_at(who.now), air)) }
        @if let Some(foreseen) = foreseen { p { (words::sentences(&frame.tell(&foreseen.said))) } }
        @if row.command.is_some() { (heard(frame, who, &chain, &boxes)) }
        (buttons(app, frame, who, row))
    })
}

/// Draws who heard it and who did not, those who did not first.
fn heard(frame: &Frame, who: &Who, chain: &[DeliveryRow], boxes: &[BoxRow]) -> Markup {
    let is_online = |row: &DeliveryRow| boxes.iter().any(|it| it.id == row.id && it.is_online(who.now));
    let finished = chain.iter().filter(|row| row.step == Step::Finished).count();
    let mut rest: Vec<_> = chain.iter().filter(|row| row.step != Step::Finished).collect();
    rest.sort_by_key(|row| (is_online(row), &row.title));
    let done: Vec<_> =
        chain.iter().filter(|row| row.step == Step::Finished).map(|row| row.title.as_str()).collect();
    html! {
        section.stack aria-labelledby="h-ai" {
            h2 #h-ai { (frame.tell(&said!("notice.heard", finished, all = chain.len()))) }
            @if !rest.is_empty() {
                h3 { (frame.say("notice.not_heard")) }
                ul.list #chua-nghe {
                    @for row in rest.iter().take(BOXES_MAX) {
                        li.row.apart { b { (row.title) } (one_delivery(frame, row, is_online(row))) }
                    }
                    @if rest.len() > BOXES_MAX { li { (more_boxes(frame, rest.len())) } }
                }
            }
            @if !done.is_empty() {
                details { summary { (frame.say("notice.have_heard")) }
                    p { (done.iter().take(BOXES_MAX).copied().collect::<Vec<_>>().join(", "))
                        @if done.len() > BOXES_MAX { " " (more_boxes(frame, done.len())) } } }
            }
        }
    }
}

fn more_boxes(frame: &Frame, all: usize) -> String {
    frame.tell(&said!("alarm_page.more_boxes", more = all - BOXES_MAX))
}

fn one_delivery(frame: &Frame, row: &DeliveryRow, is_online: bool) -> Markup {
    let words = frame.texts.code("step", row.step.code());
    let why = row.reason.as_ref().map(|reason| words::not_heard(reason, frame.texts));
    let at = [row.over, row.started, row.staged, row.received].into_iter().flatten().next();
    let kind = match row.step {
        Step::Started | Step::Interrupted => Kind::OnAir,
        _ if !is_online && !row.step.is_over() => Kind::Unknown,
        Step::NotPlayed | Step::Refused | Step::Expired => Kind::Bad,
        Step::Cancelled | Step::Superseded => Kind::Unknown,
        _ => Kind::Quiet,
    };
    let words = if kind == Kind::Unknown && !row.step.is_over() {
        frame.say("compose.out_of_contact").to_owned()
    } else {
        words
    };
    html! {
        span { (state(kind, words)) @if let Some(why) = why { br; (why) }
            @if let Some(at) = at { br; span.mute { (moment(at)) } } }
    }
}

fn buttons(app: &App, frame: &Frame, who: &Who, row: &NoticeRow) -> Markup {
    let path = format!("/tin/{}", row.id);
    let groups = &row.content.groups;
    let writes = who.may(app, Role::Writer, groups);
    let ends = writes || who.may(app, Role::Approver, groups) || who.may(app, Role::Duty, groups);
    html! {
        div.btns {
            @if writes && row.state.can_change() {
                a.btn href={ "/soan-tin/" (row.id) } { (frame.say("notice.edit")) }
            }
            @if row.state == NoticeState::Submitted && who.may(app, Role::Approver, groups) {
                a.btn href={ "/duyet-tin/" (row.id) } { (frame.say("review.title")) }
            }
            @if row.author == who.person.id && row.state.can_change() {
                form method="post" action=(path) { button.btn.sec name="viec" value="rut-lai" { (frame.say("notice.withdraw")) } }
            }
            @if writes && !row.state.can_change() {
                form method="post" action={ (path) "/sua" } { button.btn.sec { (frame.say("notice.correct")) } }
            }
            @if ends && row.state == NoticeState::Approved {
                form method="post" action=(path) { button.btn.c-line.k-bad name="viec" value="huy" { (frame.say("notice.end")) } }
            }
        }
    }
}
