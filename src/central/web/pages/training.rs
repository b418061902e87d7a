//! Training: in a real commune the way there; in the training commune its rules, one's key, and beginning anew.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::html;

use super::own_key::words;
use crate::app::App;
use crate::people::Who;
use crate::settings::{Training, TrainingWish};
use crate::web::doors::{Needs, Pages};
use crate::web::form::Sent;
use crate::web::frame::{Frame, refusal};
use loaxa_heart::said;
use loaxa_heart::wire::signing::PublicKey;

const PATH: &str = "/tap-huan";

/// Adds the page.
pub fn add(pages: Pages) -> Pages {
    pages.page(PATH, Needs::Person, get(page).post(act))
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Response {
    let Training::Here(_) = app.settings.training else {
        return match app.training_url() {
            Some(url) => Redirect::to(&url).into_response(),
            None => refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("training.nowhere")),
        };
    };
    let title = frame.say("training.title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p.lead { (frame.say("training.nothing_sounds")) }
            ul.stack {
                li { (frame.say("training.everybody_may_all")) }
                li { (frame.say("training.colleague")) }
                li { (frame.say("training.boxes")) }
            }
        }
        div.cols {
            section.stack aria-labelledby="h-khoa" {
                h2 #h-khoa { (frame.say("training.key")) }
                p { (frame.say("training.key_why")) }
                p #chua-co-khoa { a.btn.sec href="/sign" { (frame.say("emergency.make_key")) } }
                form.stack #tin-khoa method="post" hidden {
                    input type="hidden" name="khoa";
                    div.btns { button.btn name="viec" value="tin" { (frame.say("training.trust")) } }
                }
            }
            section.stack aria-labelledby="h-lai" {
                h2 #h-lai { (frame.say("training.anew")) }
                p { (frame.say("training.anew_what")) }
                form method="post" { button.btn.c-line.k-bad name="viec" value="lai" { (frame.say("training.begin_anew")) } }
            }
        }
        (words(&app, &frame))
    };
    frame.draw_with(&app, title, &["/assets/sign/training.js"], content).into_response()
}

async fn act(State(app): State<Arc<App>>, frame: Frame, who: Who, sent: Sent) -> Response {
    let Training::Here(wishes) = &app.settings.training else {
        return refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("training.nowhere"));
    };
    let wish = match sent.get("viec") {
        "lai" => TrainingWish::BeginAnew,
        _ => match sent.get("khoa").parse::<PublicKey>() {
            Ok(public) => {
                let holder = who.person.name.clone();
                TrainingWish::Trust { holder, account: who.person.id.clone(), public }
            }
            Err(_) => return Redirect::to(PATH).into_response(),
        },
    };
    if wishes.try_send(wish).is_err() {
        return refusal(&app, &frame, StatusCode::CONFLICT, &said!("training.busy"));
    }
    let title = frame.say("training.title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p role="status" { (frame.say("training.in_a_moment")) }
            p { a.btn href="/" { (frame.say("training.go_on")) } }
        }
    };
    frame.draw(&app, title, content).into_response()
}
