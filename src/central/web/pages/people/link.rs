//! The page of a one-time link: the first administrator, an invited person, or somebody who lost password or telephone.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::sign_in::{go_on, place};
use crate::app::App;
use crate::people::accounts::{self, Newcomer, NotDone};
use crate::people::passwords::CHARS_MIN;
use crate::people::sign_in;
use crate::store::{LinkFor, LinkRow, StoreError};
use crate::web::access::{client, may_try, note_wrong_token};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

async fn good(app: &App, code: &str) -> Result<Option<LinkRow>, StoreError> {
    app.store.link(accounts::hash_of(code), app.now()).await
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
    frame: Frame,
) -> Result<Response, PageError> {
    match good(&app, &code).await? {
        Some(link) => {
            Ok(draw(&app, &frame, (&code, &link), &Faults::default(), &Sent(Vec::new())).into_response())
        }
        None => Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &NotDone::Link.say())),
    }
}

pub async fn take(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(code): Path<String>,
    frame: Frame,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, PageError> {
    let from = client(&app, from, &headers);
    if let Err(refusal) = may_try(&app, from) {
        return Ok(refusal.into_response());
    }
    let Some(link) = good(&app, &code).await? else {
        note_wrong_token(&app, from, "link").await;
        return Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &NotDone::Link.say()));
    };
    let address = from.to_string();
    let (password, again) = (sent.get("mat-khau"), sent.get("nhac-lai"));
    let taken = match link.purpose {
        _ if password != again => {
            let faults = Faults::one("nhac-lai", said!("people.not_the_same"));
            let page = draw(&app, &frame, (&code, &link), &faults, &sent);
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
        LinkFor::First => {
            let text = |name| sent.get(name).to_owned();
            let newcomer = Newcomer { account: text("ten"), name: text("ho-ten"), reach: text("lien-he") };
            accounts::first(&app, &code, newcomer, password, &address).await
        }
        LinkFor::Invitation | LinkFor::Recovery | LinkFor::NewPhone => {
            accounts::take_link(&app, &code, password, &address).await
        }
    };
    match taken {
        Ok(person) => {
            let begun = sign_in::begin(&app, &person, place(address, &headers)).await?;
            Ok(go_on(&app, &begun, None))
        }
        Err(NotDone::Store(error)) => Err(error.into()),
        Err(NotDone::Link) => Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &NotDone::Link.say())),
        Err(not) => {
            let field = match not {
                NotDone::Password(_) => "mat-khau",
                NotDone::Name => "ho-ten",
                _ => "ten",
            };
            let page = draw(&app, &frame, (&code, &link), &Faults::one(field, not.say()), &sent);
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

fn draw(app: &App, frame: &Frame, (code, link): (&str, &LinkRow), faults: &Faults, sent: &Sent) -> Markup {
    let title = match link.purpose {
        LinkFor::First => frame.say("people.first_title"),
        LinkFor::Invitation => frame.say("people.invited_title"),
        LinkFor::Recovery | LinkFor::NewPhone => frame.say("people.recovery_title"),
    };
    let hint = frame.tell(&said!("people.password_hint", min = CHARS_MIN));
    let content = html! {
        div.narrow.form {
            h1 { (title) }
            @match (&link.person, link.purpose) {
                (Some(id), _) => p { (frame.say("sign_in.account")) ": " b { (id) } },
                (None, _) => p { (frame.say("people.first_why")) },
            }
            (faults.summary(frame))
            form.stack method="post" {
                @if link.purpose == LinkFor::First { (newcomer_fields(frame, faults, sent)) }
                (Input {
                    hint: Some(&hint),
                    ..Input::password("mat-khau", frame.say("people.new_password"), "new-password")
                }.draw(frame, faults))
                (super::strength::meter(frame, &format!("/moi/{code}/do-manh")))
                (Input::password("nhac-lai", frame.say("people.again"), "new-password").draw(frame, faults))
                details { summary { (frame.say("account.data")) }
                    p { (frame.say("account.data_what")) } p { (frame.say("account.data_how_long")) } }
                p { (frame.say("account.agrees")) }
                div.btns { button.btn { (frame.say("people.go_on")) } }
            }
        }
    };
    frame.draw_with(app, title, &[super::script::PATH], content)
}

/// The fields that describe a new person.
pub fn newcomer_fields(frame: &Frame, faults: &Faults, sent: &Sent) -> Markup {
    html! {
        (Input::text("ho-ten", frame.say("people.name"), sent.get("ho-ten")).draw(frame, faults))
        (Input {
            hint: Some(frame.say("people.account_hint")),
            autocomplete: Some("off"),
            ..Input::text("ten", frame.say("sign_in.account"), sent.get("ten"))
        }.draw(frame, faults))
        (Input {
            hint: Some(frame.say("people.reach_hint")),
            required: false,
            ..Input::text("lien-he", frame.say("people.reach"), sent.get("lien-he"))
        }.draw(frame, faults))
    }
}
