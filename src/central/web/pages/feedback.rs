//! The words of villagers, for staff: what waits for an answer and until when, and what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::store::{FeedbackAnswer, FeedbackKind, FeedbackRow, NewAct, Role};
use crate::web::doors::{Needs, Pages};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::steers;

/// Roles that answer.
const ANSWERERS: &[Role] = &[Role::Writer, Role::Approver, Role::Duty, Role::Technician, Role::Administrator];

/// Words that wait, and words of before, on the page.
const WAITING_SHOWN: u32 = 200;
const PAST_SHOWN: u32 = 50;
/// Days whose numbers stand on the page.
const COUNTED: Span = Span::secs(30 * 86_400);
/// Longest answer, in characters.
const ANSWER_MAX: usize = 1_000;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages.page("/gop-y-cua-dan", Needs::Person, get(page)).page(
        "/gop-y-cua-dan/{id}",
        Needs::Role(ANSWERERS),
        post(answer),
    )
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    draw(&app, &frame, &who, None).await
}

fn may_answer(app: &App, who: &Who, village: &GroupId) -> bool {
    ANSWERERS.iter().any(|role| who.has(*role) && who.may(app, *role, std::slice::from_ref(village)))
}

async fn answer(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let row = match id.parse() {
        Ok(id) => app.store.feedback(id).await?,
        Err(_) => None,
    };
    let Some(row) = row else {
        return Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("feedback.no_such")));
    };
    if !may_answer(&app, &who, &row.village) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    let words = sent.get("tra-loi").replace("\r\n", "\n");
    let words: String = words.chars().filter(|c| *c == '\n' || !steers(*c)).collect();
    let words = words.trim();
    if words.is_empty() || words.chars().count() > ANSWER_MAX {
        let faults = Faults::one("tra-loi", said!("feedback.no_answer", max = ANSWER_MAX));
        let page = draw(&app, &frame, &who, Some((row.id, words, &faults))).await?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    let answer = FeedbackAnswer { by: who.person.id.clone(), at: who.now, words: words.to_owned() };
    let act = NewAct { after: Some(words.to_owned()), ..who.act("feedback_answered", row.id.to_string()) };
    if !app.store.answer_feedback(row.id, answer, act).await? {
        return Ok(refusal(&app, &frame, StatusCode::CONFLICT, &said!("feedback.answered_before")));
    }
    Ok(Redirect::to("/gop-y-cua-dan").into_response())
}

async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    tried: Option<(i64, &str, &Faults)>,
) -> Result<Markup, PageError> {
    let mut waiting = app.store.feedback_waiting(WAITING_SHOWN + 1).await?;
    let is_cut = waiting.len() > WAITING_SHOWN as usize;
    waiting.truncate(WAITING_SHOWN as usize);
    let mut past = app.store.feedback_past(PAST_SHOWN + 1).await?;
    let older = frame.cut(&mut past, PAST_SHOWN as usize);
    let counts = app.store.feedback_counts(who.now.minus(COUNTED), who.now.plus(Span::secs(1))).await?;
    let title = frame.say("feedback.of_people");
    let content = html! {
        h1 { (title) }
        @if let Some((_, _, faults)) = tried { (faults.summary(frame)) }
        (numbers(frame, &counts))
        section.stack {
            h2 { (frame.say("feedback.to_answer")) }
            @if waiting.is_empty() { p.mute { (frame.say("feedback.nothing_waits")) } }
            ul.stack { @for row in &waiting { (waits(app, frame, who, row, tried)) } }
            @if is_cut { p.mute { (frame.tell(&said!("feedback.more_wait", shown = WAITING_SHOWN))) } }
        }
        section.stack {
            h2 { (frame.say("feedback.before")) }
            @if past.is_empty() { p.mute { (frame.say("page.nothing")) } }
            ul.stack { @for row in &past { li.card.pad.tight { (said(app, frame, row)) (answered(frame, row)) } } }
            (older)
        }
    };
    Ok(frame.draw(app, title, content))
}

/// The numbers of the last days by kind.
fn numbers(frame: &Frame, counts: &BTreeMap<(GroupId, FeedbackKind), u64>) -> Markup {
    let of =
        |kind: FeedbackKind| counts.iter().filter(|((_, it), _)| *it == kind).map(|(_, n)| n).sum::<u64>();
    html! {
        section.stack {
            h2 { (frame.say("feedback.last_days")) }
            ul.key { @for kind in FeedbackKind::ALL {
                li { (frame.texts.code("feedback_kind", kind.code())) ": " b.num { (of(kind)) } }
            } }
        }
    }
}

/// Draws the words of a villager, with the way to the log of that time and place.
fn said(app: &App, frame: &Frame, row: &FeedbackRow) -> Markup {
    let kind = match row.kind {
        FeedbackKind::Clear => Kind::Good,
        FeedbackKind::NotHeard => Kind::Unknown,
        _ => Kind::Look,
    };
    let day = row.about.as_ref().map_or(row.made, |about| about.at).date();
    html! {
        h3 { (state(kind, frame.texts.code("feedback_kind", row.kind.code()))) }
        p { (app.title_of(&row.village)) ", " (moment(row.made)) }
        @if let Some(about) = &row.about {
            p { (frame.say("feedback.about")) " " b { (about.title) } ", " (moment(about.at)) }
        }
        @if !row.words.is_empty() { p.words { (row.words) } }
        p { a href={ "/nhat-ky?tu=" (day) "&den=" (day) "&noi=" (row.village) } { (icon("next")) " " (frame.say("feedback.to_log")) } }
    }
}

fn answered(frame: &Frame, row: &FeedbackRow) -> Markup {
    html! {
        @if let Some(answer) = &row.answer {
            p { (state(Kind::Good, frame.say("feedback.answered"))) " " (moment(answer.at)) }
            p.words { (answer.words) }
        }
    }
}

fn deadline(frame: &Frame, due: Wall, now: Wall) -> Markup {
    let date = due.local().format("%d/%m/%Y");
    if due <= now {
        state(Kind::Bad, frame.tell(&said!("feedback.overdue", date)))
    } else {
        html! { span.mute { (frame.tell(&said!("feedback.due", date))) } }
    }
}

fn waits(
    app: &App,
    frame: &Frame,
    who: &Who,
    row: &FeedbackRow,
    tried: Option<(i64, &str, &Faults)>,
) -> Markup {
    let id = format!("tra-loi-{}", row.id);
    let tried = tried.filter(|(tried, ..)| *tried == row.id);
    html! {
        li.card.pad.tight {
            (said(app, frame, row))
            @if let Some(due) = row.due { p { (deadline(frame, due, who.now)) } }
            @if may_answer(app, who, &row.village) {
                form.stack method="post" action={ "/gop-y-cua-dan/" (row.id) } {
                    div.field.bad[tried.is_some()] {
                        label for=(id) { (frame.say("feedback.answer")) }
                        @if let Some((_, _, faults)) = tried { (faults.beside(frame, "tra-loi")) }
                        textarea id=(id) name="tra-loi" rows="2" maxlength=(ANSWER_MAX) required {
                            @if let Some((_, words, _)) = tried { (words) }
                        }
                    }
                    div.btns { button.btn.sec { (frame.say("feedback.send_answer")) } }
                }
            }
        }
    }
}
