//! The form on which villagers say what they heard, and the page on which they read the answer by a code. Neither asks who
//! they are, and nothing of it is kept.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::now::Asked;
use super::seen::{Seen, Shared, Village};
use super::village::{for_everybody, nowhere};
use crate::app::App;
use crate::changes::Changed;
use crate::store::{Broadcast, FeedbackKind, FeedbackRow};
use crate::web::access::client;
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, World, moment};
use crate::web::parts::{Kind, state};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::steers;

/// Longest words of a villager, in characters.
const WORDS_MAX: usize = 500;
/// Broadcasts to choose from.
const BROADCASTS_SHOWN: usize = 30;
/// Seconds after which somebody who wrote too much may try again.
const AGAIN_S: &str = "60";
/// Characters of a code; none of them is taken for another.
const CODE_CHARS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
const CODE_LENGTH: usize = 10;

/// The form as it was filled in.
#[derive(Default)]
pub struct Written {
    kind: Option<FeedbackKind>,
    about: String,
    words: String,
    faults: Faults,
}

/// Draws the form about a village.
pub fn form(frame: &Frame, seen: &Seen, village: &Village, written: &Written) -> Markup {
    let broadcasts = seen.broadcasts(&village.group);
    let kind = |it: FeedbackKind| match it {
        FeedbackKind::Clear => Kind::Good,
        FeedbackKind::NotHeard => Kind::Unknown,
        _ => Kind::Look,
    };
    html! {
        (written.faults.summary(frame))
        form.stack method="post" action="/gop-y" {
            input type="hidden" name="thon" value=(village.group);
            fieldset.field.bad[written.faults.has("loai")] {
                legend.lab-l #loai { (frame.say("feedback.how")) }
                (written.faults.beside(frame, "loai"))
                div.picks.boxed.grid {
                    @for it in FeedbackKind::ALL {
                        @let id = format!("loai-{}", it.code());
                        div.pick.(kind(it).class()) {
                            input type="radio" name="loai" value=(it.code()) id=(id) required checked[written.kind == Some(it)];
                            label for=(id) { (frame.texts.code("feedback_kind", it.code())) }
                        }
                    }
                }
            }
            div.field {
                label for="ve" { (frame.say("feedback.about")) }
                select #ve name="ve" {
                    option value="" { (frame.say("feedback.about_none")) }
                    @for it in broadcasts.iter().take(BROADCASTS_SHOWN) {
                        option value=(it.id) selected[it.id == written.about] { (it.at.local().format("%H:%M %d/%m")) ", " (it.title) }
                    }
                }
            }
            div.field.bad[written.faults.has("loi")] {
                label for="loi" { (frame.say("feedback.words")) }
                p.hint #loi-h { (frame.say("feedback.words_hint")) }
                (written.faults.beside(frame, "loi"))
                textarea #loi name="loi" rows="3" maxlength=(WORDS_MAX) aria-describedby="loi-h" { (written.words) }
            }
            div.btns { button.btn { (frame.say("feedback.send")) } }
            p.mute { (frame.say("feedback.nobody_asks")) " " a href="/gop-y/tra-loi" { (frame.say("feedback.see_answer")) } }
        }
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let frame = for_everybody(&frame);
    let seen = shared.seen(&app).await?;
    Ok(match seen.village(&asked.thon) {
        Some(village) => draw(&app, &frame, &seen, village, &Written::default()).into_response(),
        None => nowhere(&app, &frame, &seen),
    })
}

fn draw(app: &App, frame: &Frame, seen: &Seen, village: &Village, written: &Written) -> Markup {
    let title = frame.say("feedback.title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p.lead { (village.title) }
            form.field action="/gop-y" {
                label for="thon" { (frame.say("public.other_village")) }
                div.row {
                    select #thon name="thon" { @for it in &seen.villages {
                        option value=(it.group) selected[it.group == village.group] { (it.title) }
                    } }
                    div.btns { button.btn.sec { (frame.say("public.look")) } }
                }
            }
            (form(frame, seen, village, written))
        }
    };
    frame.draw_in(app, World::Public, title, &[], content)
}

pub async fn send(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    frame: Frame,
    sent: Sent,
) -> Result<Response, PageError> {
    let frame = for_everybody(&frame);
    let seen = shared.seen(&app).await?;
    let village = Some(sent.get("thon")).filter(|thon| !thon.is_empty()).and_then(|thon| seen.village(thon));
    let Some(village) = village else { return Ok(nowhere(&app, &frame, &seen)) };
    let (written, about) = read(&seen, village, &sent);
    let Some(kind) = written.kind.filter(|_| written.faults.is_empty()) else {
        return Ok((StatusCode::BAD_REQUEST, draw(&app, &frame, &seen, village, &written)).into_response());
    };
    let now = app.now();
    if !shared.writers.may_write(client(&app, from, &headers), now.date(), monotonic()) {
        return Ok(too_many(&app, &frame, &seen, village, written));
    }
    let within = Span::secs(u64::from(app.store.keeping_rule().await?.answer_days) * 86_400);
    let code = new_code();
    let row = FeedbackRow {
        id: 0,
        code: code.clone(),
        village: village.group.clone(),
        kind,
        words: written.words.clone(),
        about,
        made: now,
        due: (kind != FeedbackKind::Clear).then(|| now.plus(within)),
        answer: None,
    };
    if !app.store.add_feedback(row, app.title_of(&village.group)).await? {
        return Ok(too_many(&app, &frame, &seen, village, written));
    }
    app.changes.tell(Changed::Notices);
    Ok(Redirect::to(&format!("/gop-y/tra-loi?ma={code}")).into_response())
}

fn too_many(app: &App, frame: &Frame, seen: &Seen, village: &Village, mut written: Written) -> Response {
    written.faults.add("loai", said!("feedback.too_many"));
    let page = draw(app, frame, seen, village, &written);
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, AGAIN_S)], page).into_response()
}

/// Reads the form. A broadcast counts only where the village could have heard it.
fn read(seen: &Seen, village: &Village, sent: &Sent) -> (Written, Option<Broadcast>) {
    let mut faults = Faults::default();
    let words = sent.get("loi").replace("\r\n", "\n");
    let words: String = words.chars().filter(|c| *c == '\n' || !steers(*c)).take(WORDS_MAX).collect();
    let words = words.trim().to_owned();
    let kind = FeedbackKind::of(sent.get("loai"));
    if kind.is_none() {
        faults.add("loai", said!("feedback.no_kind"));
    }
    if kind == Some(FeedbackKind::Other) && words.is_empty() {
        faults.add("loi", said!("feedback.no_words"));
    }
    let about = seen.broadcasts(&village.group).into_iter().find(|it| it.id == sent.get("ve"));
    let id = about.as_ref().map(|it| it.id.clone()).unwrap_or_default();
    (Written { kind, about: id, words, faults }, about)
}

fn new_code() -> String {
    let mut random = [0; CODE_LENGTH];
    getrandom::fill(&mut random).expect("the system gives randomness");
    random.iter().map(|byte| char::from(CODE_CHARS[usize::from(byte % 32)])).collect()
}

/// The code under which somebody asks for an answer.
#[derive(Deserialize)]
pub struct Code {
    #[serde(default)]
    ma: String,
}

pub async fn answer(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(Code { ma }): Query<Code>,
) -> Result<Response, PageError> {
    let frame = for_everybody(&frame);
    let code: String = ma.chars().filter(|c| c.is_ascii_alphanumeric()).take(2 * CODE_LENGTH).collect();
    let code = code.to_lowercase();
    let found = match code.len() {
        CODE_LENGTH => app.store.feedback_by_code(code.clone()).await?,
        _ => None,
    };
    let title = frame.say("feedback.your_words");
    let (status, content) = match found {
        Some(row) => (StatusCode::OK, told(&app, &frame, &row)),
        None if ma.is_empty() => (StatusCode::OK, ask(&frame, "", false)),
        None => (StatusCode::NOT_FOUND, ask(&frame, &code, true)),
    };
    let content = html! { div.narrow.stack { h1 { (title) } (content) } };
    let page = frame.draw_in(&app, World::Public, title, &[], content);
    Ok((status, [(header::CACHE_CONTROL, "no-store")], page).into_response())
}

fn ask(frame: &Frame, code: &str, is_unknown: bool) -> Markup {
    html! {
        @if is_unknown { p role="alert" { (frame.say("feedback.no_such_code")) } }
        form.stack action="/gop-y/tra-loi" {
            div.field { label for="ma" { (frame.say("feedback.code")) } input #ma name="ma" value=(code) maxlength="20" autocomplete="off"; }
            div.btns { button.btn { (frame.say("public.look")) } }
        }
        p { a href="/gop-y" { (frame.say("feedback.title")) } }
    }
}

fn told(app: &App, frame: &Frame, row: &FeedbackRow) -> Markup {
    let pair = |key: &'static str, value: Markup| html! { div { dt { (frame.say(key)) } dd { (value) } } };
    html! {
        @match (&row.answer, row.due) {
            (Some(answer), _) => {
                section.card.pad.tight.k-ok {
                    p { (state(Kind::Good, frame.say("feedback.answered"))) }
                    p.lead.words { (answer.words) }
                    p.mute { (moment(answer.at)) }
                }
            },
            (None, Some(due)) => {
                p { (state(Kind::Quiet, frame.say("feedback.waits"))) }
                p { (frame.tell(&said!("feedback.answer_by", date = due.local().format("%d/%m/%Y")))) }
            },
            (None, None) => p { (state(Kind::Good, frame.say("feedback.thanks"))) },
        }
        dl.kv.card {
            (pair("feedback.code", html! { b.num { (row.code) } }))
            (pair("feedback.village", html! { (app.title_of(&row.village)) }))
            (pair("feedback.said", html! { (frame.texts.code("feedback_kind", row.kind.code())) }))
            @if let Some(about) = &row.about { (pair("feedback.about", html! { (about.title) ", " (moment(about.at)) })) }
            @if !row.words.is_empty() { (pair("feedback.words", html! { span.words { (row.words) } })) }
            (pair("feedback.made", html! { (moment(row.made)) }))
        }
        @if row.due.is_some() { p { (frame.say("feedback.keep_code")) } }
        p { a href="/chuong-trinh" { (frame.say("public.programme")) } }
    }
}
