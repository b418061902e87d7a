//! The page on which a notice is written: saved as it grows, heard as it will sound, foreseen, and submitted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::json;

use super::fields::{self, Filled, Form, Subjects};
use super::refused::refused;
use super::steps::{Air, steps};
use super::{preview, script};
use crate::app::App;
use crate::foreseen::Foreseen;
use crate::orders::notices::{self, NotNotice};
use crate::orders::refused::Refused;
use crate::people::Who;
use crate::store::{MediaRow, NoticeContent, NoticeRow, NoticeState, Role, StoreError};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::icon;
use loaxa_heart::domain::ids::{ContentHash, NoticeId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Opens an empty page under an address of its own, so that what is saved and sent twice is one notice.
pub async fn start() -> Redirect {
    Redirect::to(&format!("/soan-tin/{}", notices::new_id()))
}

/// The page as it is drawn.
struct Draft<'a> {
    id: &'a NoticeId,
    content: &'a NoticeContent,
    base: Option<ContentHash>,
    faults: &'a Faults,
    typed: (&'a str, &'a str),
    reason: Option<&'a str>,
    preview: Option<&'a Result<Foreseen, NotNotice>>,
    /// The page saves by itself what is written. A notice that others may be reading is only changed by a press.
    saves_itself: bool,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = app.store.notice(id.clone()).await?;
    let row = match row {
        Some(row) if !row.state.can_change() => {
            return Ok(Redirect::to(&format!("/tin/{id}")).into_response());
        }
        Some(row) if !may_see(&app, &who, &row) => {
            return Err(refused(&app, &frame, NotNotice::NotYours));
        }
        row => row,
    };
    let content = row.as_ref().map_or_else(fields::empty, |row| row.content.clone());
    let draft = Draft {
        id: &id,
        content: &content,
        base: row.as_ref().map(|row| row.digest),
        faults: &Faults::default(),
        typed: ("", ""),
        reason: row.as_ref().and_then(|row| row.reason.as_deref()),
        preview: None,
        saves_itself: row.as_ref().is_none_or(|row| row.state == NoticeState::Draft),
    };
    Ok(draw(&app, &frame, &who, draft).await?.into_response())
}

/// Writers see what is for their own groups, and what they wrote themselves.
fn may_see(app: &App, who: &Who, row: &NoticeRow) -> bool {
    row.author == who.person.id || who.may(app, Role::Writer, &row.content.groups)
}

pub async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let Filled { content, mut faults, base } = fields::read(&app, &sent, who.now);
    let mut content = content;
    let wants = sent.get("viec");
    if wants == "tu-luu" {
        return save_by_itself(&app, &frame, &who, &id, base, content).await;
    }
    if wants == "xem-truoc" {
        return Ok(preview::draw(&frame, &foresee(&app, &who, &mut content).await).into_response());
    }
    let submits = wants == "gui";
    let done = match submits {
        true if faults.is_empty() => notices::submit(&app, &who, &id, base, content.clone()).await,
        true => Ok(()),
        false => {
            if wants == "nghe"
                && let Err(not) = notices::give_voice(&app, &who, &mut content).await
            {
                faults.add("loi", not.say());
            }
            notices::save(&app, &who, &id, base, content.clone(), false).await
        }
    };
    match done {
        Ok(()) if submits && faults.is_empty() => Ok(Redirect::to(&format!("/tin/{id}")).into_response()),
        Ok(()) if wants == "luu" && date_is_read(&faults) => {
            Ok(Redirect::to(&format!("/soan-tin/{id}")).into_response())
        }
        Ok(()) => {
            let shown =
                if submits || !date_is_read(&faults) { faults } else { only_of_hearing(wants, faults) };
            let base = if submits { base } else { Some(content.digest()) };
            let foreseen = match wants {
                "xem" => Some(foresee(&app, &who, &mut content).await),
                _ => None,
            };
            again(&app, &frame, &who, &id, &content, base, &shown, &sent, foreseen.as_ref()).await
        }
        Err(NotNotice::Changed(row)) => Ok(side_by_side(&app, &frame, &row, &content)),
        Err(not @ (NotNotice::Store(_) | NotNotice::NotYours)) => Err(refused(&app, &frame, not)),
        Err(not) => {
            faults.add(field_of(&not), not.say());
            again(&app, &frame, &who, &id, &content, base, &faults, &sent, None).await
        }
    }
}

fn date_is_read(faults: &Faults) -> bool {
    !faults.has("ngay") && !faults.has("gio")
}

/// Keeps the faults that matter to somebody who only wants to hear or to look.
fn only_of_hearing(wants: &str, faults: Faults) -> Faults {
    Faults(faults.0.into_iter().filter(|fault| wants == "nghe" && fault.field == "loi").collect())
}

/// The field that a refusal belongs to.
fn field_of(not: &NotNotice) -> &'static str {
    match not {
        NotNotice::NoAudio => "tep",
        NotNotice::Emergency => "loai-normal",
        NotNotice::Refused(Refused::NoGroup | Refused::NoSuchGroup(_)) => "noi",
        NotNotice::Refused(Refused::Past(_) | Refused::ExpiresBefore(_) | Refused::TooLong) => "gio",
        NotNotice::Refused(Refused::AudioTooLong { .. } | Refused::Media(_)) => "tep",
        _ => "loi",
    }
}

async fn foresee(app: &Arc<App>, who: &Who, content: &mut NoticeContent) -> Result<Foreseen, NotNotice> {
    notices::foresee(app, who, content).await
}

/// Saves what the page sends while somebody writes; the script takes the new base from the answer.
async fn save_by_itself(
    app: &App,
    frame: &Frame,
    who: &Who,
    id: &NoticeId,
    base: Option<ContentHash>,
    content: NoticeContent,
) -> Result<Response, PageError> {
    let digest = content.digest();
    match notices::save(app, who, id, base, content, true).await {
        Ok(()) => Ok(Json(json!({ "goc": digest, "loi": null })).into_response()),
        Err(NotNotice::Store(error)) => Err(error.into()),
        Err(not) => {
            Ok((StatusCode::CONFLICT, Json(json!({ "loi": frame.tell(&not.say()) }))).into_response())
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the page as it was, piece by piece")]
async fn again(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    id: &NoticeId,
    content: &NoticeContent,
    base: Option<ContentHash>,
    faults: &Faults,
    sent: &Sent,
    preview: Option<&Result<Foreseen, NotNotice>>,
) -> Result<Response, PageError> {
    let typed = (sent.get("ngay"), sent.get("gio"));
    let row = app.store.notice(id.clone()).await?;
    let saves_itself = row.is_none_or(|row| row.state == NoticeState::Draft);
    let draft = Draft { id, content, base, faults, typed, reason: None, preview, saves_itself };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, draw(app, frame, who, draft).await?).into_response())
}

async fn media_of(app: &App, content: &NoticeContent) -> Result<Option<MediaRow>, StoreError> {
    match content.media {
        Some(hash) => app.store.media(hash).await,
        None => Ok(None),
    }
}

async fn draw(app: &Arc<App>, frame: &Frame, who: &Who, draft: Draft<'_>) -> Result<Markup, StoreError> {
    let boxes = app.store.boxes().await?;
    let media = media_of(app, draft.content).await?;
    let subjects = Subjects::read(app).await?;
    let form = Form {
        app,
        frame,
        who,
        boxes: &boxes,
        content: draft.content,
        faults: draft.faults,
        subjects: &subjects,
        media: media.as_ref(),
        typed: draft.typed,
    };
    let title = frame.say("compose.page");
    let content = html! {
        div.narrow.stack { h1 { (title) } (steps(frame, NoticeState::Draft, Air::Waits)) }
        @if let Some(reason) = draft.reason {
            section.alarm.k-look.narrow { h2 { (frame.say("notice.was_returned")) } p { (reason) } }
        }
        (draft.faults.summary(frame))
        form #soan-tin method="post" action={ "/soan-tin/" (draft.id) }
            data-tu-luu[draft.saves_itself] data-luu=(frame.say("compose.saved_by_itself")) data-khong-luu=(frame.say("compose.not_saved"))
            data-mat-mang=(frame.say("compose.offline")) data-khong-mic=(frame.say("compose.no_microphone"))
            data-da-tai=(frame.say("compose.uploaded")) data-het-phien=(frame.say("compose.signed_out"))
            data-khong-tai=(frame.say("compose.not_taken")) data-qua-lon=(frame.say("compose.too_much_at_once")) {
            input type="hidden" name="goc" value=[draft.base];
            input type="hidden" name="thay" value=[draft.content.supersedes.as_ref()];
            div.cols.wide-l {
                div.form { (form.draw()) }
                div.side.stack {
                    @match draft.preview { Some(foreseen) => (preview::draw(frame, foreseen)), None => (preview::not_yet(frame)) }
                    div.btns { button.btn name="viec" value="gui" { (frame.say("compose.submit")) }
                        button.btn.sec name="viec" value="xem" { (frame.say("compose.look")) }
                        button.btn.sec name="viec" value="luu" { (frame.say("compose.save")) } }
                    p.mute { (frame.say("compose.not_before_approval")) }
                    p.mute #da-luu role="status" {}
                }
            }
        }
    };
    Ok(frame.draw_with(app, title, &[script::PATH], content))
}

/// The answer to who saved over somebody else's change: both contents, and nothing lost.
fn side_by_side(app: &App, frame: &Frame, row: &NoticeRow, mine: &NoticeContent) -> Response {
    let title = frame.say("notice.both");
    let content = html! {
        h1 { (title) }
        section.alarm.k-look.stack {
            h2 { (icon("fix")) " " (frame.tell(&said!("notice.changed"))) }
            p { (frame.say("notice.yours_is_below")) }
            div.two {
                div.card.tight { h3 { (frame.say("notice.yours")) } p { b { (mine.title) } } p { (mine.text) } }
                div.card.tight { h3 { (frame.say("notice.theirs")) } p { b { (row.content.title) } } p { (row.content.text) } }
            }
            div.btns { a.btn href={ "/soan-tin/" (row.id) } { (frame.say("notice.read_theirs")) } }
        }
    };
    (StatusCode::CONFLICT, frame.draw(app, title, content)).into_response()
}
