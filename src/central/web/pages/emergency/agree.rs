//! The page on which the second officer reads, hears and agrees. What is shown comes from the very bytes that are signed;
//! there is no way to change anything.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde_json::json;

use super::super::own_key::{data, key, words};
use super::parts::{boxes_in, how, second, status_of, titles, unless_store};
use crate::app::App;
use crate::orders::emergency::{self, NotEmergency};
use crate::people::Who;
use crate::store::{CallFor, CallState, Reply};
use crate::web::frame::{Frame, PageError, World, refusal};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = match emergency::read(&app, &id).await {
        Ok(row) => row,
        Err(not) => {
            let not = unless_store(not)?;
            return Ok(refusal(&app, &frame, status_of(&not), &not.say()));
        }
    };
    if row.purpose == CallFor::Drill || row.state != CallState::Calling || row.by == who.person.id {
        return Ok(Redirect::to(&format!("/khan-cap/{id}")).into_response());
    }
    let draft = app.store.drafts(who.now).await?.into_iter().find(|draft| draft.draft.id == id);
    let Some(message) = &row.message else {
        return Ok(refusal(
            &app,
            &frame,
            status_of(&NotEmergency::NoSuchCall),
            &NotEmergency::NoSuchCall.say(),
        ));
    };
    let message = app.store.message(message.clone()).await?;
    let caller =
        app.store.person(row.by.clone()).await?.map_or_else(|| row.by.to_string(), |person| person.name);
    let boxes = app.store.boxes().await?;
    let count = boxes_in(&app, &boxes, &row.groups).len();
    let replies = app.store.replies(id.clone()).await?;
    let listens = replies.iter().any(|row| row.person == who.person.id && row.reply == Reply::Listening);
    let seconds = who.now.since(row.began).as_millis() / 1_000;
    let payload = draft.map(|draft| draft.draft.payload);
    let path = format!("/khan-cap/{id}");
    let title = frame.say("emergency.really");
    let content = html! {
        div.row.apart { h1 { (title) }
            p { (state(Kind::Look, frame.tell(&said!("emergency.called_you", name = caller, seconds)))) } }
        div.cols #dong-y data-ma=(id) {
            section.stack aria-labelledby="h-nghe" {
                h2 #h-nghe { (frame.say("emergency.people_will_hear")) }
                div.card.band.k-emer.tight {
                    p { b #tin-ten { (row.title) } }
                    p.lead #tin-loi { (message.as_ref().map_or("", |message| message.text.as_str())) }
                    button.btn.sec #nghe-rieng type="button" hidden { (icon("ear")) (frame.say("emergency.listen")) }
                }
                dl.kv.card {
                    div { dt { (frame.say("emergency.where")) } dd { span #tin-noi { (titles(&app, &row.groups)) } br;
                        (frame.tell(&said!("compose.boxes", count))) } }
                    @if let Some(message) = &message {
                        div { dt { (frame.say("emergency.how")) } dd { (how(&frame, message)) } }
                    }
                    div { dt { (frame.say("emergency.caller")) } dd { (caller) ", " (second(row.began)) } }
                }
                details { summary { (frame.say("emergency.all_that_is_signed")) } dl.kv #tin-het {} }
            }
            section.stack aria-labelledby="h-ban" {
                h2 #h-ban { (frame.say("emergency.you_decide")) }
                @if listens { p { (state(Kind::Good, frame.say("emergency.you_listen"))) } } @else {
                    form method="post" action=(path) { button.btn.sec name="viec" value="nghe" { (icon("ok")) (frame.say("emergency.i_listen")) } }
                }
                (key(&frame, frame.say("emergency.passphrase")))
                p.err #loi-phat role="alert" tabindex="-1" hidden {}
                button.hold.k-emer #giu type="button" disabled { (frame.say("emergency.hold")) " "
                    span.nowrap { (frame.say("emergency.hold_agree")) } small { (frame.say("emergency.sounds_at_once")) } }
                form method="post" action=(path) { button.btn.sec name="viec" value="khong" { (frame.say("emergency.decline")) } }
                p { (frame.say("emergency.not_sure")) }
            }
        }
        @if let Some(payload) = payload { (data("lenh", &json!({ "ma": id, "ban-ky": payload }))) }
        (words(&app, &frame))
    };
    Ok(frame.draw_in(&app, World::Actual, title, &["/assets/sign/emergency.js"], content).into_response())
}
