//! Making, showing and taking away passkeys. The questions and answers are between script and browser; what they lead to is a
//! form like others.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;

use super::sign_in::{Back, come_in};
use super::{account, second_step};
use crate::app::App;
use crate::people::Who;
use crate::people::passkeys::{self, NoPasskey};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::texts::Say;

pub async fn begin_making(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Response {
    question(&frame, passkeys::begin_making(&app, &who).await)
}

pub async fn begin_showing(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Response {
    question(&frame, passkeys::begin_showing(&app, &who).await)
}

fn question(frame: &Frame, question: Result<impl Serialize, NoPasskey>) -> Response {
    match question {
        Ok(question) => Json(question).into_response(),
        Err(not) => (StatusCode::CONFLICT, frame.tell(&not.say()).to_string()).into_response(),
    }
}

pub async fn make(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    match passkeys::finish_making(&app, &who, sent.get("ten-may"), sent.get("tra-loi")).await {
        Ok(()) => Ok(Redirect::to(account::PATH).into_response()),
        Err(NoPasskey::Store(error)) => Err(error.into()),
        Err(not) => account::refuse(&app, &frame, &who, &Faults::one("ten-may", not.say())).await,
    }
}

pub async fn remove(State(app): State<Arc<App>>, who: Who, sent: Sent) -> Result<Redirect, PageError> {
    if let Ok(id) = sent.get("khoa").parse::<ContentHash>() {
        passkeys::remove(&app, &who, id).await?;
    }
    Ok(Redirect::to(account::PATH))
}

pub async fn show(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    match passkeys::finish_showing(&app, &who, sent.get("tra-loi")).await {
        Ok(secret) => Ok(come_in(&app, &secret, &who, &back)),
        Err(NoPasskey::Store(error)) => Err(error.into()),
        Err(not) => second_step::refuse(&app, &frame, &who, &back, &Faults::one("ma", not.say())).await,
    }
}
