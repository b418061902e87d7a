//! A one-time code for a new box, to be typed or scanned by whoever installs it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, PreEscaped, html};
use url::{Host, Url};

use super::keepers::{kept_groups, may_keep};
use crate::app::App;
use crate::boxes::enrolment::{self, NotEnrolled};
use crate::people::Who;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::parts::icon;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Markup {
    draw(&app, &frame, &who, &Faults::default(), &Sent(Vec::new()))
}

pub async fn invite(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let mut faults = Faults::default();
    let id = sent.get("ma").trim().parse::<BoxId>();
    let title = sent.get("ten").trim().to_owned();
    let groups: Vec<GroupId> = sent.all("nhom").filter_map(|group| group.parse().ok()).collect();
    if id.is_err() {
        faults.add("ma", said!("enrol.bad_box"));
    }
    if title.is_empty() {
        faults.add("ten", NotEnrolled::Title.say());
    }
    if groups.is_empty() {
        faults.add("nhom", NotEnrolled::NoGroup.say());
    }
    let Some(id) = id.ok().filter(|_| faults.is_empty()) else {
        return Ok((StatusCode::BAD_REQUEST, draw(&app, &frame, &who, &faults, &sent)).into_response());
    };
    // Whoever takes the place of a box that is there already shuts that one out.
    let present = app.store.enrolled(id.clone()).await?.map(|declared| declared.groups).unwrap_or_default();
    let all: Vec<_> = groups.iter().chain(&present).cloned().collect();
    if !may_keep(&app, &who, &all) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    match enrolment::invite(&app, id.clone(), &title, groups).await {
        Ok((code, expires)) => {
            app.store.note_act(who.act("enrolment_code", id.as_str())).await?;
            let command = enrolment::command(&app, &code);
            let content = html! {
                div.narrow.stack {
                    a.back href="/cum-loa" { (icon("back")) (frame.say("box_page.title")) }
                    h1 { (title) }
                    p.mute { (frame.say("enrol.code")) }
                    p.card.num.lead #code { (code.to_string()) }
                    figure.qr role="img" aria-label=(frame.say("enrol.qr")) { (PreEscaped(enrolment::qr(&command))) }
                    p { (frame.say("enrol.how")) }
                    p.card.num #command { (command) }
                    p.mute { (frame.say("enrol.until")) " " (moment(expires)) ". " (frame.say("enrol.once")) }
                }
            };
            Ok(frame.draw(&app, frame.say("enrol.title"), content).into_response())
        }
        Err(NotEnrolled::Store(error)) => Err(error.into()),
        Err(not) => {
            let field = if matches!(not, NotEnrolled::Title) { "ten" } else { "ma" };
            let faults = Faults::one(field, not.say());
            Ok((StatusCode::BAD_REQUEST, draw(&app, &frame, &who, &faults, &sent)).into_response())
        }
    }
}

/// Tells whether only this machine finds an address.
fn is_only_here(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn draw(app: &App, frame: &Frame, who: &Who, faults: &Faults, sent: &Sent) -> Markup {
    let title = frame.say("enrol.title");
    let hint = Some(frame.say("enrol.box_hint"));
    let name_hint = Some(frame.say("enrol.name_example"));
    let content = html! {
        div {
            a.back href="/cum-loa" { (icon("back")) (frame.say("box_page.title")) }
            h1 { (title) }
        }
        (faults.summary(frame))
        @if app.settings.enrolment.is_none() { p.note.k-look { (frame.say("enrol.off")) } }
        @if is_only_here(&app.public_url) { p.note.k-look { (frame.say("enrol.only_here")) } }
        @if app.settings.enrolment.is_some() || !faults.is_empty() { form.stack.narrow method="post" action="/cum-loa/moi" {
            (Input { hint: name_hint, ..Input::text("ten", frame.say("enrol.name"), sent.get("ten")) }.draw(frame, faults))
            (Input { hint, autocomplete: Some("off"), ..Input::text("ma", frame.say("enrol.box"), sent.get("ma")) }.draw(frame, faults))
            fieldset.field.bad[faults.has("nhom")] {
                legend { (frame.say("enrol.groups")) }
                (faults.beside(frame, "nhom"))
                div.picks.two #nhom tabindex="-1" {
                    @for group in kept_groups(app, who) {
                        @let (field, is_chosen) = (format!("nhom-{group}"), sent.all("nhom").any(|it| it == group.as_str()));
                        div.pick { input id=(field) type="checkbox" name="nhom" value=(group) checked[is_chosen];
                            label for=(field) { (app.title_of(&group)) } }
                    }
                }
            }
            div.btns { button.btn { (frame.say("enrol.make")) } }
        } }
    };
    frame.draw(app, title, content)
}
