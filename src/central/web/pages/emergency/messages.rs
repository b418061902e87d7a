//! The prepared messages: all that can be aired in an emergency, written and heard long before.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::message_form::{self, draw as fields};
use super::parts::how;
use crate::app::App;
use crate::orders::prepared::{self, NotPrepared, Written};
use crate::people::Who;
use crate::store::{MediaRow, MessageRow, MessageUse};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, tag};
use loaxa_heart::domain::ids::PreparedId;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// The form as it is drawn.
struct Draft<'a> {
    written: &'a Written,
    heard: Option<&'a MediaRow>,
    replaces: Option<&'a PreparedId>,
    faults: &'a Faults,
}

pub async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    let (written, faults) = (message_form::empty(), Faults::default());
    draw(&app, &frame, Draft { written: &written, heard: None, replaces: None, faults: &faults }).await
}

/// The form with the words of a message that a better one is to replace.
pub async fn change(
    State(app): State<Arc<App>>,
    Path(id): Path<PreparedId>,
    frame: Frame,
) -> Result<Response, PageError> {
    let Some(row) = app.store.message(id.clone()).await?.filter(|row| row.ended.is_none()) else {
        return Ok(Redirect::to("/tin-soan-san").into_response());
    };
    let (written, faults) = (message_form::of(&row), Faults::default());
    let heard = app.store.media(row.media).await?;
    let draft = Draft { written: &written, heard: heard.as_ref(), replaces: Some(&id), faults: &faults };
    Ok(draw(&app, &frame, draft).await?.into_response())
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let written = message_form::read(&sent);
    let replaces: Option<PreparedId> = sent.get("thay").parse().ok();
    let done = match sent.get("viec") {
        "nghe" => prepared::hear(&app, &written).await.map(Some),
        _ => {
            let heard = sent.get("da-nghe").parse().ok();
            prepared::keep(&app, &who, written.clone(), heard, replaces.clone()).await.map(|()| None)
        }
    };
    let (heard, fault) = match done {
        Ok(None) => return staged(&app, &frame, &who).await,
        Ok(heard) => (heard, None),
        Err(NotPrepared::Store(error)) => return Err(error.into()),
        Err(not) => (None, Some(not)),
    };
    let faults = match &fault {
        None => Faults::default(),
        Some(not @ (NotPrepared::NoTitle | NotPrepared::TooMany | NotPrepared::Gone)) => {
            Faults::one("ten", not.say())
        }
        Some(not) => Faults::one("loi", not.say()),
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let draft =
        Draft { written: &written, heard: heard.as_ref(), replaces: replaces.as_ref(), faults: &faults };
    Ok((status, draw(&app, &frame, draft).await?).into_response())
}

/// Takes a message off the list.
pub async fn end(
    State(app): State<Arc<App>>,
    Path(id): Path<PreparedId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    if let Some(row) = app.store.message(id.clone()).await? {
        let act = crate::store::NewAct { before: Some(row.title), ..who.act("message_ended", id.as_str()) };
        app.store.end_message(id, who.now, act).await?;
    }
    staged(&app, &frame, &who).await
}

/// Tells the boxes of the list as it is now, and shows it; what keeps them from having it is said.
async fn staged(app: &Arc<App>, frame: &Frame, who: &Who) -> Result<Response, PageError> {
    match prepared::stage(app, who).await {
        Ok(()) => Ok(Redirect::to("/tin-soan-san").into_response()),
        Err(NotPrepared::Store(error)) => Err(error.into()),
        Err(not) => {
            let faults = Faults::one("tin-moi", said!("message.not_staged", why = not.say()));
            let written = message_form::empty();
            let draft = Draft { written: &written, heard: None, replaces: None, faults: &faults };
            Ok(draw(app, frame, draft).await?.into_response())
        }
    }
}

async fn draw(app: &Arc<App>, frame: &Frame, draft: Draft<'_>) -> Result<Markup, PageError> {
    let messages = app.store.messages().await?;
    let title = frame.say("message.title");
    let Draft { written, heard, replaces, faults } = draft;
    let content = html! {
        div.narrow.stack { h1 { (title) } p { (frame.say("message.what")) } }
        div.cols.wide-l {
            section.stack aria-labelledby="h-ds" {
                h2 #h-ds { (frame.say("message.list")) }
                @for purpose in MessageUse::ALL { (of_purpose(frame, purpose, &messages)) }
            }
            form.form #tin-moi method="post" action="/tin-soan-san" {
                h2 { (frame.say(if replaces.is_some() { "message.change" } else { "message.new" })) }
                (faults.summary(frame))
                input type="hidden" name="thay" value=[replaces];
                (fields(frame, written, heard, faults))
                div.btns { button.btn name="viec" value="luu" { (frame.say("message.keep")) }
                    @if replaces.is_some() { a.btn.sec href="/tin-soan-san" { (frame.say("message.leave_it")) } } }
                p.mute { (frame.say("message.heard_first")) }
            }
        }
    };
    Ok(frame.draw(app, title, content))
}

fn of_purpose(frame: &Frame, purpose: MessageUse, messages: &[MessageRow]) -> Markup {
    let rows: Vec<_> = messages.iter().filter(|row| row.purpose == purpose).collect();
    html! {
        div.stack {
            h3 { (frame.texts.code("message_use", purpose.code())) }
            @if rows.is_empty() { p.mute { (frame.say("message.none")) } }
            ul.list {
                @for row in rows {
                    li.tight {
                        div.row.apart { b { (row.title) }
                            @if purpose == MessageUse::Alarm { (tag(Kind::Emergency, &frame.texts.code("danger", row.danger.code()))) } }
                        p { (row.text) }
                        p.mute { (how(frame, row)) }
                        audio controls preload="none" src={ "/media/" (row.media) } {}
                        div.btns {
                            a.btn.sec href={ "/tin-soan-san/" (row.id) } { (frame.say("message.change")) }
                            form method="post" action={ "/tin-soan-san/" (row.id) "/bo" } {
                                button.btn.c-line.k-bad { (frame.say("message.end")) } }
                        }
                    }
                }
            }
        }
    }
}
