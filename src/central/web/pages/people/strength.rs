//! The strength of a password while it is typed: the very check that decides when it is sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::app::App;
use crate::people::Who;
use crate::people::accounts;
use crate::people::passwords;
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// The address that grades one's own next password.
pub const OWN: &str = "/tai-khoan/do-manh";

/// Draws the meter below the field `mat-khau`; without a script there is none.
pub fn meter(frame: &Frame, asked: &str) -> Markup {
    html! {
        p.strength data-do-manh="mat-khau" data-hoi=(asked) hidden {
            meter #do-manh min="0" max="4" low="3" high="3" optimum="4" aria-label=(frame.say("people.strength")) {}
            " " span role="status" {}
        }
    }
}

/// Grades a password from 0 to 4 and says what is wrong with it; below 3 it is not taken.
fn grade(app: &App, frame: &Frame, password: &str, person: (&str, &str)) -> Json<Value> {
    let about = [person.0, person.1, &app.settings.commune];
    let grade = passwords::grade(password, &about);
    let (shown, said) = match passwords::check(password, &about) {
        Err(bad) => (grade.min(2), bad.say()),
        Ok(()) if grade >= 4 => (grade, said!("people.strength_very_good")),
        Ok(()) => (grade, said!("people.strength_good")),
    };
    Json(json!({ "muc": shown, "noi": frame.tell(&said) }))
}

pub async fn of_own(State(app): State<Arc<App>>, frame: Frame, who: Who, sent: Sent) -> Json<Value> {
    grade(&app, &frame, sent.get("mat-khau"), (who.person.id.as_str(), &who.person.name))
}

/// Grades for whoever has a link that is good.
pub async fn of_newcomer(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
    frame: Frame,
    sent: Sent,
) -> Result<Response, PageError> {
    let Some(link) = app.store.link(accounts::hash_of(&code), app.now()).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let account = link.person.as_ref().map_or_else(|| sent.get("ten").to_owned(), ToString::to_string);
    Ok(grade(&app, &frame, sent.get("mat-khau"), (&account, sent.get("ho-ten"))).into_response())
}
