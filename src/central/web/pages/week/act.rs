//! The steps of a draft: submitted, given up, its last change taken back; and a place's first programme.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::address::Address;
use super::refusals::{self, Wanted};
use crate::app::App;
use crate::people::Who;
use crate::programmes::{NotProposal, proposals};
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::domain::ids::{ContentHash, ProposalId};
use loaxa_heart::texts::Say;

/// Most letters of a programme's title.
const TITLE_CHARS_MAX: usize = 120;

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let (id, seen) = (sent.get("id").parse::<ProposalId>(), sent.get("ban").parse::<ContentHash>());
    let done = match (id, seen, sent.get("viec")) {
        (Ok(id), Ok(seen), "gui") => proposals::submit(&app, &who, &id, seen).await,
        (Ok(id), Ok(seen), "rut") => proposals::withdraw(&app, &who, &id, seen).await,
        (Ok(id), Ok(seen), "hoan-tac") => proposals::undo(&app, &who, &id, seen).await,
        _ => Err(NotProposal::NoSuch),
    };
    answer(&app, &frame, &address, done).await
}

pub async fn begin(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let title: String = sent.get("ten").trim().chars().take(TITLE_CHARS_MAX).collect();
    if title.is_empty() {
        return Ok(Redirect::to(&address.week()).into_response());
    }
    let done = proposals::begin(&app, &who, &title, address.group.clone()).await.map(drop);
    answer(&app, &frame, &address, done).await
}

async fn answer(
    app: &Arc<App>,
    frame: &Frame,
    address: &Address,
    done: Result<(), NotProposal>,
) -> Result<Response, PageError> {
    let again = address.week();
    let Err(not) = done else { return Ok(Redirect::to(&again).into_response()) };
    let wanted = Wanted { seen: None, before: None, after: None, title: "", again: &again };
    match refusals::answer(app, frame, not, wanted).await? {
        Ok(answered) => Ok(answered),
        Err(not) => Ok(refusal(app, frame, StatusCode::BAD_REQUEST, &not.say())),
    }
}
