//! One person: their roles, and what an administrator does when they lose a telephone or leave.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::list::{role_words, show_link, waiting_role};
use crate::app::App;
use crate::people::Who;
use crate::people::accounts::{self, NotDone};
use crate::store::{LinkRow, PersonRow, Role, RoleRow};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::parts::{Kind, state};
use loaxa_heart::domain::ids::{AccountId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// An administrator at the page of a person.
struct Asked<'a> {
    app: &'a Arc<App>,
    frame: &'a Frame,
    who: &'a Who,
    id: &'a AccountId,
}

impl Asked<'_> {
    /// Goes back to the person, or says on their page why something was not done.
    async fn answer(&self, done: Result<(), NotDone>) -> Result<Response, PageError> {
        match done {
            Ok(()) => Ok(Redirect::to(&format!("/nguoi/{}", self.id)).into_response()),
            Err(not) => Err(self.why(not).await?.into()),
        }
    }

    /// Answers that something was not done, on the page of the person.
    async fn why(&self, not: NotDone) -> Result<Response, PageError> {
        if let NotDone::Store(error) = not {
            return Err(error.into());
        }
        let page = self.draw(&Faults::one("vai-tro", not.say())).await?;
        let missing = || refusal(self.app, self.frame, StatusCode::NOT_FOUND, &not.say());
        Ok(page.map_or_else(missing, |page| (StatusCode::CONFLICT, page).into_response()))
    }

    /// Draws the page; `None` where there is no such person.
    async fn draw(&self, faults: &Faults) -> Result<Option<Markup>, PageError> {
        let Some(person) = self.app.store.person(self.id.clone()).await? else { return Ok(None) };
        let link = self.app.store.waiting_link(self.id.clone(), self.who.now).await?;
        Ok(Some(draw(self.app, self.frame, self.who, &person, link.as_ref(), faults)))
    }

    /// Checks that the administrator administers a group.
    fn administers(&self, group: &GroupId) -> Result<(), PageError> {
        if administers(self.app, self.who, group) { Ok(()) } else { Err(self.not_yours()) }
    }

    fn not_yours(&self) -> PageError {
        refusal(self.app, self.frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")).into()
    }

    /// Reads a person who is wholly in the administrator's care.
    async fn person(&self) -> Result<PersonRow, PageError> {
        match accounts::read(self.app, self.id).await {
            Ok(person) if administers_all(self.app, self.who, &person) => Ok(person),
            Ok(_) => Err(self.not_yours()),
            Err(not) => Err(self.why(not).await?.into()),
        }
    }

    /// Finds a role of the person for a group in the administrator's care.
    async fn role(&self, role: i64) -> Result<RoleRow, PageError> {
        let person = self.app.store.person(self.id.clone()).await?;
        let Some(row) = person.and_then(|person| person.roles.into_iter().find(|row| row.id == role)) else {
            return Err(self.why(NotDone::Unchanged).await?.into());
        };
        self.administers(&row.group)?;
        Ok(row)
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    match asked.draw(&Faults::default()).await? {
        Some(page) => Ok(page.into_response()),
        None => asked.why(NotDone::NoSuchPerson(id.clone())).await,
    }
}

/// Tells whether an administrator administers a group.
fn administers(app: &App, who: &Who, group: &GroupId) -> bool {
    who.may(app, Role::Administrator, std::slice::from_ref(group))
}

/// Tells whether an administrator administers every group for which a person has a role.
fn administers_all(app: &App, who: &Who, person: &PersonRow) -> bool {
    let mut roles = person.roles.iter().filter(|row| row.ended.is_none()).peekable();
    if roles.peek().is_none() {
        // Nobody's yet: somebody may be about to give them a role of the whole commune.
        return who.may(app, Role::Administrator, &app.settings.top_groups());
    }
    roles.map(|row| &row.group).all(|group| administers(app, who, group))
}

pub async fn give_role(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    let role = Role::ALL.into_iter().find(|role| role.code() == sent.get("vai-tro"));
    let group = sent.get("nhom").parse::<GroupId>().ok();
    let known = group.filter(|group| app.settings.groups.iter().any(|it| it.id == *group));
    let (Some(role), Some(group)) = (role, known) else {
        return Ok(refusal(&app, &frame, StatusCode::BAD_REQUEST, &said!("people.choose_role")));
    };
    asked.administers(&group)?;
    asked.answer(accounts::give_role(&app, &who, &id, role, group).await).await
}

pub async fn confirm_role(
    State(app): State<Arc<App>>,
    Path((id, role)): Path<(AccountId, i64)>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    let row = asked.role(role).await?;
    asked.answer(accounts::confirm_role(&app, &who, &row).await).await
}

pub async fn end_role(
    State(app): State<Arc<App>>,
    Path((id, role)): Path<(AccountId, i64)>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    let row = asked.role(role).await?;
    asked.answer(accounts::end_role(&app, &who, &row).await).await
}

pub async fn recover(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    let person = asked.person().await?;
    match accounts::recover(&app, &who, &id, sent.get("viec") == "dien-thoai").await {
        Ok((link, from)) => {
            let waits = (from > who.now).then_some(from);
            Ok(show_link(&app, &frame, &person.name, id.as_str(), &link, waits).into_response())
        }
        Err(not) => asked.why(not).await,
    }
}

/// Decides on a link that waits: another administrator lets it work at once, or anybody who administers takes it back.
pub async fn decide_link(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    asked.person().await?;
    let done = match sent.get("viec") {
        "dong-y" => {
            let act = who.act("link_confirmed", id.as_str());
            app.store.confirm_link(id.clone(), who.person.id.clone(), who.now, act).await?
        }
        _ => app.store.drop_link(id.clone(), who.act("link_dropped", id.as_str())).await?,
    };
    asked.answer(if done { Ok(()) } else { Err(NotDone::Unchanged) }).await
}

pub async fn end_sessions(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    asked.person().await?;
    app.store.end_sessions(id.clone(), None).await?;
    app.store.note_act(who.act("sessions_ended", id.as_str())).await?;
    asked.answer(Ok(())).await
}

pub async fn leave(
    State(app): State<Arc<App>>,
    Path(id): Path<AccountId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let asked = Asked { app: &app, frame: &frame, who: &who, id: &id };
    asked.person().await?;
    asked.answer(accounts::leave(&app, &who, &id).await).await
}

fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    person: &PersonRow,
    link: Option<&LinkRow>,
    faults: &Faults,
) -> Markup {
    let waiting = person.roles.iter().filter(|row| row.waits(who.now));
    let content = html! {
        div { a.back href="/nguoi" { (frame.say("people.title")) } h1 { (person.name) }
            p.mute { (person.id) @if !person.reach.is_empty() && (administers_all(app, who, person) || person.id == who.person.id) { " · " (person.reach) } } }
        (faults.summary(frame))
        @if let Some(at) = person.left {
            p { (state(Kind::Unknown, frame.tell(&said!("people.left_at", at = moment(at))))) }
        }
        @if let Some(link) = link { (waiting_link(frame, who, person, link)) }
        @for row in waiting { (waiting_role(app, frame, who, person, row)) }
        section.stack aria-labelledby="h-vt" {
            h2 #h-vt { (frame.say("people.roles")) }
            @if !person.roles.iter().any(|row| row.holds(who.now)) { p.mute { (frame.say("people.no_role")) } }
            ul.list { @for row in &person.roles { @if !row.waits(who.now) { (one_role(app, frame, who, row)) } } }
        }
        @if person.left.is_none() && person.id != who.person.id {
            (give_form(app, frame, who, person))
            (loss_forms(frame, person))
        }
    };
    frame.draw(app, &person.name, content)
}

/// A link that works later, in plain sight.
fn waiting_link(frame: &Frame, who: &Who, person: &PersonRow, link: &LinkRow) -> Markup {
    let asked_by = link.asked_by.as_ref().map(ToString::to_string).unwrap_or_default();
    let may_confirm = link.asked_by.as_ref() != Some(&who.person.id) && person.id != who.person.id;
    html! {
        section.alarm.k-look.stack aria-label=(frame.say("people.link_waits")) {
            h2 { (frame.say("people.link_waits")) }
            p { (frame.tell(&said!("people.link_asked", name = asked_by, at = moment(link.good_from)))) }
            form.btns method="post" action={ "/nguoi/" (person.id) "/lien-ket/quyet" } {
                @if may_confirm { button.btn name="viec" value="dong-y" { (frame.say("people.confirm")) } }
                button.btn.sec name="viec" value="bo" { (frame.say("people.refuse")) }
            }
        }
    }
}

fn one_role(app: &App, frame: &Frame, who: &Who, row: &RoleRow) -> Markup {
    html! {
        li.row.apart {
            span { (role_words(app, frame, row)) br;
                span.mute {
                    (frame.say("people.since")) " " (moment(row.good_from.unwrap_or(row.asked)))
                    @if let Some(at) = row.ended { " " (frame.say("people.until")) " " (moment(at)) }
                }
            }
            @if row.holds(who.now) && row.person != who.person.id {
                form method="post" action={ "/nguoi/" (row.person) "/vai-tro/" (row.id) "/thoi" } {
                    button.btn.sec { (frame.say("people.end_role")) }
                }
            }
        }
    }
}

fn give_form(app: &App, frame: &Frame, who: &Who, person: &PersonRow) -> Markup {
    html! {
        section.stack aria-labelledby="h-gv" {
            h2 #h-gv { (frame.say("people.give")) }
            form.stack.narrow method="post" action={ "/nguoi/" (person.id) "/vai-tro" } {
                div.field {
                    label for="vai-tro" { (frame.say("people.role")) }
                    select #vai-tro name="vai-tro" required {
                        @for role in Role::ALL { option value=(role.code()) { (frame.texts.code("role_does", role.code())) } }
                    }
                }
                div.field {
                    label for="nhom" { (frame.say("people.where")) }
                    select #nhom name="nhom" required {
                        @for group in who.groups(app, Role::Administrator) {
                            option value=(group) { (app.title_of(&group)) }
                        }
                    }
                }
                p.hint { (frame.say("people.give_hint")) }
                div.btns { button.btn { (frame.say("people.give_it")) } }
            }
        }
    }
}

fn loss_forms(frame: &Frame, person: &PersonRow) -> Markup {
    let path = format!("/nguoi/{}", person.id);
    html! {
        section.stack aria-labelledby="h-kh" {
            h2 #h-kh { (frame.say("people.when")) }
            div.card.stack {
                h3 { (frame.say("people.lost")) }
                p { (frame.say("people.lost_how")) }
                form.btns method="post" action={ (path) "/lien-ket" } {
                    button.btn.sec name="viec" value="mat-khau" { (frame.say("people.lost_password")) }
                    button.btn.sec name="viec" value="dien-thoai" { (frame.say("people.lost_phone")) }
                }
            }
            div.card.stack {
                h3 { (frame.say("people.somewhere_else")) }
                form method="post" action={ (path) "/phien" } { button.btn.sec { (frame.say("people.end_sessions")) } }
            }
            div.card.stack {
                h3 { (frame.say("people.leaves")) }
                p { (frame.say("people.leaves_how")) }
                form method="post" action={ (path) "/nghi" } { button.btn.c-line.k-bad { (frame.say("people.leave_now")) } }
            }
        }
    }
}
