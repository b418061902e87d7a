//! Other systems that are told of what happens here: added, tried and removed, with the log of what they got.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};
use url::Url;

use crate::app::App;
use crate::notify::may_be_private;
use crate::people::Who;
use crate::store::{EventKind, EventRow, NewAct, RECEIVERS_MAX, ReceiverRow};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::pages::whole_commune::refused_to_village;
use crate::web::parts::{Kind, state};
use loaxa_heart::said;
use loaxa_heart::texts::steers;

const TITLE_CHARS_MAX: usize = 120;
const URL_BYTES_MAX: usize = 500;
/// Bytes of a secret, as the convention advises.
const SECRET_BYTES: usize = 32;
/// Events in the log of the page.
const EVENTS_SHOWN: u32 = 50;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    Ok(draw(&app, &frame, &Faults::default(), &Sent(Vec::new()), None).await?.into_response())
}

pub async fn add(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    let mut faults = Faults::default();
    let title: String =
        sent.get("ten").trim().chars().filter(|c| !steers(*c)).take(TITLE_CHARS_MAX).collect();
    if title.is_empty() {
        faults.add("ten", said!("receiver.no_title"));
    }
    let url = address(sent.get("dia-chi"), may_be_private(&app));
    if url.is_none() {
        faults.add("dia-chi", said!("receiver.bad_address"));
    }
    let is_chosen = |kind: &EventKind| sent.all("loai").any(|code| code == kind.code());
    let kinds: Vec<_> = EventKind::CHOICES.into_iter().filter(is_chosen).collect();
    if kinds.is_empty() {
        faults.add("loai", said!("receiver.no_kind"));
    }
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).expect("the system gives randomness");
    if let (Some(url), true) = (url, faults.is_empty()) {
        let row =
            ReceiverRow { id: 0, title: title.clone(), url: url.to_string(), secret: secret.clone(), kinds };
        let act = NewAct { after: Some(url.to_string()), ..who.act("receiver_added", title) };
        if app.store.add_receiver(row, act).await? {
            let shown = format!("whsec_{}", BASE64.encode(secret));
            let page = draw(&app, &frame, &faults, &Sent(Vec::new()), Some(&shown)).await?;
            return Ok(([(axum::http::header::CACHE_CONTROL, "no-store")], page).into_response());
        }
        faults.add("ten", said!("receiver.full", max = RECEIVERS_MAX));
    }
    let page = draw(&app, &frame, &faults, &sent, None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

/// Reads an address: what is told of is nobody's business on the way, so it begins with https.
fn address(text: &str, private: bool) -> Option<Url> {
    let url = Some(text.trim())
        .filter(|text| text.len() <= URL_BYTES_MAX)
        .and_then(|text| Url::parse(text).ok())?;
    let is_open = url.scheme() == "https" || url.scheme() == "http" && private;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
    (is_open && is_plain).then_some(url)
}

pub async fn try_it(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    let is_there = match id.parse() {
        Ok(id) => app.store.try_receiver(id, who.now).await?,
        Err(_) => false,
    };
    Ok(match is_there {
        true => Redirect::to("/cai-dat/noi-nhan").into_response(),
        false => refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("receiver.no_such")),
    })
}

pub async fn end(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    if let Ok(id) = id.parse() {
        app.store.end_receiver(id, who.act("receiver_ended", id.to_string())).await?;
    }
    Ok(Redirect::to("/cai-dat/noi-nhan").into_response())
}

async fn draw(
    app: &App,
    frame: &Frame,
    faults: &Faults,
    sent: &Sent,
    secret: Option<&str>,
) -> Result<Markup, PageError> {
    let receivers = app.store.receivers().await?;
    let mut events = app.store.events(EVENTS_SHOWN + 1).await?;
    let older = frame.cut(&mut events, EVENTS_SHOWN as usize);
    let title = frame.say("receiver.title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p { (frame.say("receiver.what")) }
            @if let Some(secret) = secret {
                section.alarm.k-look.tight role="status" {
                    h2 { (frame.say("receiver.secret")) }
                    p { (frame.say("receiver.secret_once")) }
                    p { code { (secret) } }
                }
            }
            (faults.summary(frame))
            ul.stack { @for it in &receivers { li.card.pad.tight { (receiver(frame, it)) } } }
            (form(frame, faults, sent))
        }
        section.stack { h2 { (frame.say("receiver.log")) } (log(frame, &receivers, &events)) (older) }
    };
    Ok(frame.draw(app, title, content))
}

fn receiver(frame: &Frame, it: &ReceiverRow) -> Markup {
    let kinds: Vec<_> = it.kinds.iter().map(|kind| name(frame, *kind)).collect();
    html! {
        h2 { (it.title) }
        p.words { (it.url) }
        p.mute { (kinds.join(", ")) }
        div.btns {
            form method="post" action={ "/cai-dat/noi-nhan/" (it.id) "/thu" } { button.btn.sec { (frame.say("receiver.try")) } }
            form method="post" action={ "/cai-dat/noi-nhan/" (it.id) "/bo" } { button.btn.sec { (frame.say("receiver.end")) } }
        }
    }
}

/// The words for a kind of event.
fn name(frame: &Frame, kind: EventKind) -> String {
    frame.texts.code("event_kind", &kind.code().replace('.', "_"))
}

fn form(frame: &Frame, faults: &Faults, sent: &Sent) -> Markup {
    html! {
        form.stack method="post" action="/cai-dat/noi-nhan" {
            h2 { (frame.say("receiver.new")) }
            (Input::text("ten", frame.say("receiver.name"), sent.get("ten")).draw(frame, faults))
            (Input { hint: Some(frame.say("receiver.address_hint")), ..Input::text("dia-chi", frame.say("receiver.address"), sent.get("dia-chi")) }
                .draw(frame, faults))
            fieldset.field.bad[faults.has("loai")] {
                legend.lab-l #loai { (frame.say("receiver.kinds")) }
                (faults.beside(frame, "loai"))
                div { @for kind in EventKind::CHOICES {
                    @let id = format!("loai-{}", kind.code().replace('.', "-"));
                    div.pick {
                        input type="checkbox" name="loai" value=(kind.code()) id=(id) checked[sent.all("loai").any(|code| code == kind.code())];
                        label for=(id) { (name(frame, kind)) }
                    }
                } }
            }
            div.btns { button.btn { (frame.say("receiver.add")) } }
        }
    }
}

fn log(frame: &Frame, receivers: &[ReceiverRow], events: &[EventRow]) -> Markup {
    let title = |id: i64| receivers.iter().find(|it| it.id == id).map_or("", |it| it.title.as_str());
    html! {
        @if events.is_empty() { p.mute { (frame.say("page.nothing")) } } @else {
            ul.list { @for event in events {
                li.row.apart {
                    span { b { (name(frame, event.kind)) } ", " (title(event.receiver)) br; span.mute { (moment(event.made)) } }
                    span {
                        @match (event.sent, event.due) {
                            (Some(at), _) => (state(Kind::Good, frame.tell(&said!("receiver.sent", at = moment(at))))),
                            (None, Some(_)) if event.tries == 0 => (state(Kind::Quiet, frame.say("receiver.waits"))),
                            (None, Some(at)) => (state(Kind::Look, frame.tell(&said!("receiver.again", tries = event.tries, at = moment(at))))),
                            (None, None) => (state(Kind::Bad, frame.tell(&said!("receiver.given_up", tries = event.tries)))),
                        }
                        @if let Some(fault) = &event.fault { br; span.mute { (fault) } }
                    }
                }
            } }
        }
    }
}
