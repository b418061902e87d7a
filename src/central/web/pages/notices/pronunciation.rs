//! The list of words that the machine would say wrongly.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::store::{NewAct, PronunciationRow, Role};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::domain::text::clean;
use loaxa_heart::said;

/// Words on the list.
const WORDS_MAX: u32 = 500;
/// Longest word and longest way to say it, in characters.
const CHARS_MAX: usize = 100;

/// The list is the whole commune's: whoever writes or approves for all of it changes it.
fn may_change(app: &App, who: &Who) -> bool {
    let all = app.settings.top_groups();
    who.may(app, Role::Writer, &all) || who.may(app, Role::Approver, &all)
}

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    draw(&app, &frame, &who, &Faults::default(), ("", "")).await
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if !may_change(&app, &who) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("pronounce.not_yours")));
    }
    let (word, say) = (sent.get("tu").trim(), sent.get("doc").trim());
    if sent.get("viec") == "bo" {
        app.store.drop_pronunciation(word.to_owned(), who.act("pronunciation_dropped", word)).await?;
        return Ok(Redirect::to("/phat-am").into_response());
    }
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= CHARS_MAX;
    let fault = if fits(word) && fits(say) {
        let act = NewAct { after: Some(say.to_owned()), ..who.act("pronunciation_set", word) };
        let (word, say, by) = (clean(word), clean(say), who.person.id.clone());
        let row = PronunciationRow { word, say, by, at: who.now };
        if app.store.set_pronunciation(row, WORDS_MAX, act).await? {
            return Ok(Redirect::to("/phat-am").into_response());
        }
        said!("pronounce.full", max = WORDS_MAX)
    } else {
        said!("pronounce.bad", max = CHARS_MAX)
    };
    let page = draw(&app, &frame, &who, &Faults::one("tu", fault), (word, say)).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    faults: &Faults,
    typed: (&str, &str),
) -> Result<Markup, PageError> {
    let changes = may_change(app, who);
    let list = app.store.pronunciations().await?;
    let title = frame.say("pronounce.title");
    let content = html! {
        h1 { (title) }
        p.narrow { (frame.say("pronounce.how")) }
        (faults.summary(frame))
        @if changes {
        form.stack.narrow method="post" action="/phat-am" {
            (Input { hint: Some(frame.say("pronounce.word_hint")), ..Input::text("tu", frame.say("pronounce.word"), typed.0) }
                .draw(frame, faults))
            (Input { hint: Some(frame.say("pronounce.say_hint")), ..Input::text("doc", frame.say("pronounce.say"), typed.1) }
                .draw(frame, faults))
            div.btns { button.btn name="viec" value="them" { (frame.say("pronounce.add")) } }
        }
        } @else { p.note { (frame.say("pronounce.not_yours")) } }
        @if list.is_empty() { p.mute { (frame.say("page.nothing")) } }
        ul.list {
            @for row in &list {
                li.row.apart {
                    span { b { (row.word) } " → " (row.say) }
                    @if changes {
                    form method="post" action="/phat-am" {
                        input type="hidden" name="tu" value=(row.word);
                        button.btn.sec name="viec" value="bo" aria-label={ (frame.say("pronounce.drop")) " " (row.word) } { (frame.say("pronounce.drop")) }
                    }
                    }
                }
            }
        }
    };
    Ok(frame.draw(app, title, content))
}
