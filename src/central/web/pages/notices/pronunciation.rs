//! The list of words that the machine would say wrongly.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::store::{NewAct, PronunciationRow};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::said;

/// Words on the list.
const WORDS_MAX: u32 = 500;
/// Longest word and longest way to say it, in characters.
const CHARS_MAX: usize = 100;

pub async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    draw(&app, &frame, &Faults::default(), ("", "")).await
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let (word, say) = (sent.get("tu").trim(), sent.get("doc").trim());
    if sent.get("viec") == "bo" {
        app.store.drop_pronunciation(word.to_owned(), who.act("pronunciation_dropped", word)).await?;
        return Ok(Redirect::to("/phat-am").into_response());
    }
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= CHARS_MAX;
    let fault = if fits(word) && fits(say) {
        let act = NewAct { after: Some(say.to_owned()), ..who.act("pronunciation_set", word) };
        let (word, say, by) = (word.to_owned(), say.to_owned(), who.person.id.clone());
        let row = PronunciationRow { word, say, by, at: who.now };
        if app.store.set_pronunciation(row, WORDS_MAX, act).await? {
            return Ok(Redirect::to("/phat-am").into_response());
        }
        said!("pronounce.full", max = WORDS_MAX)
    } else {
        said!("pronounce.bad", max = CHARS_MAX)
    };
    let page = draw(&app, &frame, &Faults::one("tu", fault), (word, say)).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

async fn draw(app: &App, frame: &Frame, faults: &Faults, typed: (&str, &str)) -> Result<Markup, PageError> {
    let list = app.store.pronunciations().await?;
    let title = frame.say("pronounce.title");
    let content = html! {
        h1 { (title) }
        p.narrow { (frame.say("pronounce.how")) }
        (faults.summary(frame))
        form.stack.narrow method="post" action="/phat-am" {
            (Input { hint: Some(frame.say("pronounce.word_hint")), ..Input::text("tu", frame.say("pronounce.word"), typed.0) }
                .draw(frame, faults))
            (Input { hint: Some(frame.say("pronounce.say_hint")), ..Input::text("doc", frame.say("pronounce.say"), typed.1) }
                .draw(frame, faults))
            div.btns { button.btn name="viec" value="them" { (frame.say("pronounce.add")) } }
        }
        @if list.is_empty() { p.mute { (frame.say("page.nothing")) } }
        ul.list {
            @for row in &list {
                li.row.apart {
                    span { b { (row.word) } " → " (row.say) }
                    form method="post" action="/phat-am" {
                        input type="hidden" name="tu" value=(row.word);
                        button.btn.sec name="viec" value="bo" aria-label={ (frame.say("pronounce.drop")) " " (row.word) } { (frame.say("pronounce.drop")) }
                    }
                }
            }
        }
    };
    Ok(frame.draw(app, title, content))
}
