//! The roster: who is on duty when, in which order people are called, and the monthly drill of that chain.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::Timelike;
use maud::{Markup, html};

use crate::app::App;
use crate::notify::{self, plan::Contact};
use crate::orders::emergency::{self, NotEmergency};
use crate::people::Who;
use crate::store::{CallRow, CallState, CalledRow, NewAct, ReplyRow, Role, ShiftRow, StoreError};
use crate::web::doors::{Needs, Pages};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::local_time::time;
use crate::web::pages::whole_commune::refused_to_village;
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

const SEES: Needs = Needs::Role(&[Role::Administrator, Role::Duty]);
const EDITS: Needs = Needs::Role(&[Role::Administrator]);
const DUTY: Needs = Needs::Role(&[Role::Duty]);

/// Turns on the roster at most.
const SHIFTS_MAX: usize = 100;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 80;
/// Drills that are listed.
const DRILLS: u32 = 12;
/// Time after which the chain of calling should be tried again.
const DRILL_EVERY: Span = Span::secs(31 * 86_400);

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages
        .page("/truc-ban", SEES, get(page))
        .page("/truc-ban/ca", EDITS, post(add_shift))
        .page("/truc-ban/ca/{id}/bo", EDITS, post(end_shift))
        .page("/truc-ban/tap", DUTY, post(drill))
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    draw(&app, &frame, &who, &Faults::default(), &Sent(Vec::new())).await
}

async fn add_shift(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if let Some(refused) = refused_to_village(&app, &frame, &who) {
        return Ok(refused);
    }
    let officers = officers(&app, who.now).await?;
    let shift = read(&officers, &sent);
    let shifts = app.store.shifts().await?;
    match shift {
        Ok(shift) if shifts.len() < SHIFTS_MAX => {
            let act =
                NewAct { after: Some(shift.name.clone()), ..who.act("shift_added", shift.name.clone()) };
            app.store.add_shift(shift, act).await?;
            Ok(Redirect::to("/truc-ban").into_response())
        }
        shift => {
            let faults = shift
                .err()
                .unwrap_or_else(|| Faults::one("nguoi", said!("roster.too_many", max = SHIFTS_MAX)));
            let page = draw(&app, &frame, &who, &faults, &sent).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

async fn end_shift(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    if let Some(refused) = refused_to_village(&app, &frame, &who) {
        return Ok(refused);
    }
    let shifts = app.store.shifts().await?;
    if let Some(shift) = id.parse().ok().and_then(|id: i64| shifts.into_iter().find(|shift| shift.id == id)) {
        let act = NewAct { before: Some(shift.name.clone()), ..who.act("shift_ended", shift.name.clone()) };
        app.store.end_shift(shift.id, act).await?;
    }
    Ok(Redirect::to("/truc-ban").into_response())
}

async fn drill(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    match emergency::begin_drill(&app, &who).await {
        Ok(()) | Err(NotEmergency::Past(_)) => Ok(Redirect::to("/truc-ban").into_response()),
        Err(NotEmergency::Store(error)) => Err(error.into()),
        Err(not) => Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &not.say())),
    }
}

async fn officers(app: &App, now: Wall) -> Result<Vec<Contact>, StoreError> {
    notify::contacts(app, &app.settings.top_groups(), now).await
}

/// Reads the form of a turn.
fn read(officers: &[Contact], sent: &Sent) -> Result<ShiftRow, Faults> {
    let mut faults = Faults::default();
    let above = sent.get("nguoi") == "cap-tren";
    let officer =
        officers.iter().find(|it| it.account.as_ref().is_some_and(|id| id.as_str() == sent.get("nguoi")));
    let typed: String = sent.get("ten").trim().chars().take(NAME_CHARS_MAX).collect();
    let email = Some(sent.get("thu").trim().to_owned()).filter(|email| !email.is_empty());
    if officer.is_none() && !above {
        faults.add("nguoi", said!("roster.nobody"));
    }
    if above && typed.is_empty() {
        faults.add("ten", said!("roster.no_name"));
    }
    if email.as_ref().is_some_and(|email| !is_address(email)) {
        faults.add("thu", said!("roster.bad_email"));
    }
    let days: Vec<u8> =
        (0..7).filter(|day: &u8| sent.all("thu-may").any(|sent| sent == day.to_string())).collect();
    if days.is_empty() {
        faults.add("thu-may", said!("roster.no_day"));
    }
    let minute = |name: &str| time(sent.get(name)).map(|time| (time.hour() * 60 + time.minute()) as u16);
    let (from, until) = (minute("tu"), minute("den"));
    for (field, read) in [("tu", from), ("den", until)] {
        if read.is_none() {
            faults.add(field, said!("compose.bad_time"));
        }
    }
    let (Some(from), Some(until), true) = (from, until, faults.is_empty()) else { return Err(faults) };
    Ok(ShiftRow {
        id: 0,
        name: officer.map_or(typed, |officer| officer.name.clone()),
        account: officer.and_then(|officer| officer.account.clone()),
        email: email.or_else(|| officer.and_then(|officer| officer.email.clone())),
        days,
        from,
        until,
        place: sent.get("thu-tu").parse().unwrap_or(1),
        above,
    })
}

/// Tells whether a text can be an address: one name, one host, nothing that could end a line of a letter.
fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    text.len() <= 200
        && text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && name.chars().all(plain) && host.contains('.') && host.chars().all(plain)
        })
}

/// A drill with who was called and who answered.
struct Drilled {
    call: CallRow,
    called: Vec<CalledRow>,
    replies: Vec<ReplyRow>,
    answered_by: Option<String>,
}

async fn drills(app: &App) -> Result<Vec<Drilled>, StoreError> {
    let mut drills = Vec::new();
    for call in app.store.drills(DRILLS).await? {
        let called = app.store.called(call.id.clone()).await?;
        let replies = app.store.replies(call.id.clone()).await?;
        let answered_by = match &call.agreed_by {
            Some(id) => app.store.person(id.clone()).await?.map(|person| person.name),
            None => None,
        };
        drills.push(Drilled { call, called, replies, answered_by });
    }
    Ok(drills)
}

async fn draw(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    faults: &Faults,
    sent: &Sent,
) -> Result<Markup, PageError> {
    let shifts = app.store.shifts().await?;
    let drills = drills(app).await?;
    let officers = officers(app, who.now).await?;
    let edits = who.may(app, Role::Administrator, &app.settings.top_groups());
    let title = frame.say("roster.title");
    let (next, above) = (app.settings.calling.next_after, app.settings.calling.above_after);
    let (next, above) = (next.as_millis() / 1_000, above.as_millis() / 1_000);
    let content = html! {
        div.narrow.stack { h1 { (title) } p { (frame.tell(&said!("roster.how", next, above))) } }
        div.cols.wide-l {
            div.stack {
                (list(frame, &shifts, who.now, edits))
                (drill_record(frame, &drills, who))
            }
            @if edits { (form(frame, &officers, faults, sent)) }
        }
    };
    Ok(frame.draw(app, title, content))
}

/// The word of a day in the tables of texts; 0 is Monday.
fn weekday(day: u8) -> &'static str {
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::from(day % 7)]
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn list(frame: &Frame, shifts: &[ShiftRow], now: Wall, edits: bool) -> Markup {
    let days = |shift: &ShiftRow| {
        let names = shift.days.iter().map(|day| frame.texts.code("weekday", weekday(*day)));
        if shift.days.len() == 7 {
            frame.say("roster.every_day").to_owned()
        } else {
            names.collect::<Vec<_>>().join(", ")
        }
    };
    html! {
        section.stack aria-labelledby="h-ca" {
            h2 #h-ca { (frame.say("roster.turns")) }
            @if shifts.is_empty() { p.note { (frame.say("roster.empty")) } }
            ol.list {
                @for shift in shifts {
                    li.row.apart {
                        span { b { (shift.name) } @if shift.above { " " span.mute { (frame.say("roster.above")) } } br;
                            (days(shift)) ", " (clock(shift.from)) "–" (clock(shift.until)) br;
                            span.mute { (shift.email.as_deref().unwrap_or(frame.say("roster.no_email"))) } }
                        span.row {
                            @if shift.is_on(now.local()) { (state(Kind::Good, frame.say("roster.on_now"))) }
                            @if edits { form method="post" action={ "/truc-ban/ca/" (shift.id) "/bo" } {
                                button.btn.sec { (frame.say("roster.end")) } } }
                        }
                    }
                }
            }
        }
    }
}

fn drill_record(frame: &Frame, drills: &[Drilled], who: &Who) -> Markup {
    let last = drills.first().map(|drill| drill.call.began);
    let is_due = last.is_none_or(|last| who.now.since(last) > DRILL_EVERY);
    html! {
        section.stack #tap-goi aria-labelledby="h-tap" {
            h2 #h-tap { (frame.say("roster.drill")) }
            p { (frame.say("roster.drill_how")) }
            p { @if is_due { (state(Kind::Look, frame.say("roster.drill_due"))) } @else { (state(Kind::Good, frame.say("roster.drill_done"))) } }
            @if who.has(Role::Duty) {
                form method="post" action="/truc-ban/tap" { button.btn.c-line.k-exer { (icon("bell")) (frame.say("roster.drill_begin")) } }
            }
            ul.list {
                @for drill in drills {
                    li.tight {
                        b { (moment(drill.call.began)) } " "
                        (result(frame, drill, who.now))
                        p.mute { @for (index, person) in drill.called.iter().enumerate() {
                            @if index > 0 { ", " } (person.name)
                            @if drill.replies.iter().any(|reply| reply.person.as_str() == person.contact) { " (" (frame.say("roster.answered")) ")" }
                        } }
                    }
                }
            }
        }
    }
}

fn result(frame: &Frame, drill: &Drilled, now: Wall) -> Markup {
    match (drill.call.state_at(now), &drill.answered_by, drill.call.agreed) {
        (CallState::Answered, Some(name), Some(at)) => {
            let seconds = at.since(drill.call.began).as_millis() / 1_000;
            state(Kind::Good, frame.tell(&said!("roster.drill_answered", name, seconds)))
        }
        (CallState::Calling, _, _) => state(Kind::Look, frame.say("roster.drill_calls")),
        _ => state(Kind::Bad, frame.say("roster.drill_unanswered")),
    }
}

fn form(frame: &Frame, officers: &[Contact], faults: &Faults, sent: &Sent) -> Markup {
    let chosen = sent.get("nguoi");
    html! {
        form.form.side #ca-moi method="post" action="/truc-ban/ca" {
            h2 { (frame.say("roster.add")) }
            (faults.summary(frame))
            div.field.bad[faults.has("nguoi")] {
                label for="nguoi" { (frame.say("roster.who")) }
                (faults.beside(frame, "nguoi"))
                select #nguoi name="nguoi" {
                    @for officer in officers {
                        @if let Some(id) = &officer.account { option value=(id) selected[chosen == id.as_str()] { (officer.name) } }
                    }
                    option value="cap-tren" selected[chosen == "cap-tren"] { (frame.say("roster.somebody_above")) }
                }
            }
            (Input { hint: Some(frame.say("roster.name_hint")), required: false, ..Input::text("ten", frame.say("roster.name"), sent.get("ten")) }.draw(frame, faults))
            (Input { required: false, ..Input::text("thu", frame.say("roster.email"), sent.get("thu")) }.draw(frame, faults))
            fieldset.field.bad[faults.has("thu-may")] {
                legend #thu-may { (frame.say("roster.days")) }
                (faults.beside(frame, "thu-may"))
                div.picks.two { @for day in 0..7 {
                    @let (id, value) = (format!("thu-{day}"), day.to_string());
                    div.pick { input type="checkbox" name="thu-may" value=(value) id=(id) checked[sent.0.is_empty() || sent.all("thu-may").any(|sent| sent == value)];
                        label for=(id) { (frame.texts.code("weekday", weekday(day))) } }
                } }
            }
            div.row {
                (Input { class: Some("w-time"), ..Input::text("tu", frame.say("roster.from"), if sent.get("tu").is_empty() { "07:00" } else { sent.get("tu") }) }.draw(frame, faults))
                (Input { class: Some("w-time"), ..Input::text("den", frame.say("roster.until"), if sent.get("den").is_empty() { "17:00" } else { sent.get("den") }) }.draw(frame, faults))
                (Input { class: Some("w-time"), ..Input::text("thu-tu", frame.say("roster.place"), if sent.get("thu-tu").is_empty() { "1" } else { sent.get("thu-tu") }) }.draw(frame, faults))
            }
            div.btns { button.btn { (frame.say("roster.keep")) } }
        }
    }
}
