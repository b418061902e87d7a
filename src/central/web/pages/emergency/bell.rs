//! The bell on every page of a duty officer: the calls that wait for them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use maud::{Markup, html};

use super::parts::{second, titles};
use crate::app::App;
use crate::people::Who;
use crate::store::{CallFor, CallRow, CallState, Reply, Role};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, icon};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// Calls that are looked at: a call is over after an hour.
const LOOK_BACK: Span = Span::secs(3_600);

/// The address of the page that asks.
const PAGE: &str = "hx-current-url";

pub async fn fragment(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let here = headers.get(PAGE).and_then(|page| page.to_str().ok()).unwrap_or_default();
    let calls = app.store.calls(who.now.minus(LOOK_BACK)).await?;
    let mut shown = Vec::new();
    for call in calls {
        let is_mine = call.by == who.person.id || !who.may(&app, Role::Duty, &call.groups);
        if is_mine || call.state_at(who.now) != CallState::Calling || here.contains(call.id.as_str()) {
            continue;
        }
        // A press on another page may have sent it a moment ago.
        if call.purpose == CallFor::Emergency && app.store.command(call.id.clone()).await?.is_some() {
            continue;
        }
        let replies = app.store.replies(call.id.clone()).await?;
        let own = replies.iter().find(|row| row.person == who.person.id).map(|row| row.reply);
        if own != Some(Reply::Declined) {
            let caller = app.store.person(call.by.clone()).await?;
            shown.push((caller.map_or_else(|| call.by.to_string(), |person| person.name), own, call));
        }
    }
    Ok(html! { @for (caller, own, call) in &shown { (one(&app, &frame, caller, *own, call)) } })
}

/// One call. Only an emergency that the reader has not answered makes a sound.
fn one(app: &App, frame: &Frame, caller: &str, own: Option<Reply>, call: &CallRow) -> Markup {
    let is_drill = call.purpose == CallFor::Drill;
    let kind = if is_drill { Kind::Exercise } else { Kind::Emergency };
    let path = format!("/khan-cap/{}", call.id);
    let title = match is_drill {
        true => said!("bell.drill", name = caller),
        false => said!("bell.emergency", name = caller),
    };
    html! {
        section.alarm.goi.(kind.class()) data-tieng[own.is_none() && !is_drill] data-ten=(frame.tell(&title)) role="alert" {
            div.wrap.row.apart {
                div.tight {
                    h2 { (icon("bell")) " " (frame.tell(&title)) }
                    @if is_drill { p { (frame.say("bell.drill_how")) } } @else {
                        p { b { (call.title) } ": " (titles(app, &call.groups)) ". " (frame.tell(&said!("bell.since", at = second(call.began)))) } }
                }
                div.btns {
                    @if !is_drill { a.btn.c.k-emer href={ (path) "/dong-y" } { (frame.say("bell.open")) } }
                    @if own.is_none() { form method="post" action=(path) { button.btn.sec name="viec" value="nghe" { (frame.say("emergency.i_listen")) } } }
                }
            }
        }
    }
}
