//! Everybody with an account, the roles that wait for a second administrator, and the invitation of somebody new.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::link::newcomer_fields;
use crate::app::App;
use crate::people::Who;
use crate::people::accounts::{self, Newcomer, NotDone};
use crate::store::{PersonRow, RoleRow};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, moment};
use crate::web::parts::{Kind, state};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let people = app.store.people().await?;
    Ok(draw(&app, &frame, &who, &people, &Faults::default(), &Sent(Vec::new())))
}

pub async fn invite(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let text = |name| sent.get(name).to_owned();
    let newcomer = Newcomer { account: text("ten"), name: text("ho-ten"), reach: text("lien-he") };
    let name = newcomer.name.clone();
    match accounts::invite(&app, &who, newcomer).await {
        Ok((id, link)) => Ok(show_link(&app, &frame, &name, id.as_str(), &link, None).into_response()),
        Err(NotDone::Store(error)) => Err(error.into()),
        Err(not) => {
            let field = if matches!(not, NotDone::Name) { "ho-ten" } else { "ten" };
            let people = app.store.people().await?;
            let page = draw(&app, &frame, &who, &people, &Faults::one(field, not.say()), &sent);
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

/// The page with a link that somebody hands to a person; it is shown once.
pub fn show_link(app: &App, frame: &Frame, name: &str, id: &str, link: &str, waits: Option<Wall>) -> Markup {
    let title = frame.say("people.link_title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p { (frame.tell(&said!("people.link_for", name))) }
            p.card.num #lien-ket { (link) }
            @if let Some(from) = waits { p.note.k-look { (frame.tell(&said!("people.link_works_from", at = moment(from)))) } }
            p.mute { (frame.say("people.link_once")) }
            div.btns { a.btn href={ "/nguoi/" (id) } { (frame.say("people.then_roles")) } }
        }
    };
    frame.draw(app, title, content)
}

/// A role in words: what, and for where.
pub fn role_words(app: &App, frame: &Frame, row: &RoleRow) -> String {
    format!("{}, {}", frame.texts.code("role", row.role.code()), app.title_of(&row.group))
}

fn draw(app: &App, frame: &Frame, who: &Who, people: &[PersonRow], faults: &Faults, sent: &Sent) -> Markup {
    let title = frame.say("people.title");
    let waiting: Vec<_> = people
        .iter()
        .flat_map(|person| person.roles.iter().filter(|row| row.waits(who.now)).map(move |row| (person, row)))
        .collect();
    let content = html! {
        h1 { (title) }
        (faults.summary(frame))
        @for (person, row) in &waiting { (waiting_role(app, frame, who, person, row)) }
        section.stack aria-labelledby="h-ds" {
            h2 #h-ds { (frame.tell(&said!("people.count", count = people.iter().filter(|it| it.left.is_none()).count()))) }
            ul.list { @for person in people { (one_person(app, frame, who, person)) } }
        }
        section.stack aria-labelledby="h-moi" {
            h2 #h-moi { (frame.say("people.invite")) }
            p { (frame.say("people.invite_how")) }
            form.stack.narrow method="post" action="/nguoi" {
                (newcomer_fields(frame, faults, sent))
                div.btns { button.btn { (frame.say("people.make_link")) } }
            }
        }
    };
    frame.draw(app, title, content)
}

/// A role that waits, as a banner, so that everybody who administers sees it.
pub fn waiting_role(app: &App, frame: &Frame, who: &Who, person: &PersonRow, row: &RoleRow) -> Markup {
    let words = role_words(app, frame, row);
    let asked_by = row.asked_by.as_ref().map(ToString::to_string).unwrap_or_default();
    let may_confirm = row.asked_by.as_ref() != Some(&who.person.id) && row.person != who.person.id;
    let path = format!("/nguoi/{}/vai-tro/{}", row.person, row.id);
    html! {
        section.alarm.k-look.stack aria-label=(frame.say("people.waits_for_second")) {
            h2 { (frame.tell(&said!("people.to_get", name = person.name, role = words))) }
            p { (frame.tell(&said!("people.asked_by", name = asked_by, at = moment(row.asked)))) " "
                @match row.good_from {
                    Some(at) => (frame.tell(&said!("people.holds_from", at = moment(at)))),
                    None => (frame.say("people.needs_second")),
                }
            }
            div.btns {
                @if may_confirm {
                    form method="post" action={ (path) "/xac-nhan" } { button.btn { (frame.say("people.confirm")) } }
                }
                form method="post" action={ (path) "/thoi" } { button.btn.sec { (frame.say("people.refuse")) } }
            }
        }
    }
}

fn one_person(app: &App, frame: &Frame, who: &Who, person: &PersonRow) -> Markup {
    let roles = person.roles.iter().filter(|row| row.holds(who.now)).map(|row| role_words(app, frame, row));
    let roles = roles.collect::<Vec<_>>().join(" · ");
    html! {
        li.row.apart {
            span {
                a href={ "/nguoi/" (person.id) } { b { (person.name) } } " " span.mute { (person.id) }
                br; @if roles.is_empty() { span.mute { (frame.say("people.no_role")) } } @else { (roles) }
            }
            @if person.left.is_some() { (state(Kind::Unknown, frame.say("people.has_left"))) }
            @else if person.password.is_none() { (state(Kind::Look, frame.say("people.not_come_yet"))) }
            @else if person.totp.is_none() && person.needs_second_factor(who.now) {
                (state(Kind::Look, frame.say("people.no_phone_yet")))
            } @else { (state(Kind::Good, frame.say("people.in_order"))) }
        }
    }
}
