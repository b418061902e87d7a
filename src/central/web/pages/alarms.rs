//! Alarms: what is wrong, who has taken it on, what is silent, and what was wrong before.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::trouble::{self, CARERS, Names, care_line, silence_form, take_button, what_words};
use crate::app::App;
use crate::boxes::alarms::{self, AlarmGroup, Standing};
use crate::changes::Changed;
use crate::people::Who;
use crate::store::{Role, TroubleKind, TroubleRow};
use crate::web::doors::{Needs, Pages};
use crate::web::form::Sent;
use crate::web::frame::{Frame, LIVE, PageError, refusal};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;

/// Ended alarms that are shown.
const PAST_SHOWN: u32 = 50;
/// Longest silence of an alarm.
const SILENCE_MAX: Span = Span::secs(7 * 86_400);
/// Boxes of an alarm that are named.
const NAMED_MAX: usize = 12;

const FRAGMENT: &str = "/fragments/canh-bao";

/// Adds the page, what it draws anew, and the acts on it.
pub fn add(pages: Pages) -> Pages {
    pages
        .page("/canh-bao", Needs::Person, get(page))
        .page(FRAGMENT, Needs::Person, get(fragment))
        .page("/canh-bao/nhan", Needs::Role(CARERS), post(take))
        .page("/canh-bao/im", Needs::Role(CARERS), post(silence))
        .page("/canh-bao/xong", Needs::Role(CARERS), post(end))
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let title = frame.say("alarm_page.title");
    let content = html! {
        h1 { (title) }
        div.live hx-get=(FRAGMENT) hx-trigger="alarms from:body, shown from:body" {
            (content(&app, &frame, &who).await?)
        }
    };
    Ok(frame.draw_with(&app, title, &[LIVE], content))
}

async fn fragment(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    content(&app, &frame, &who).await
}

async fn content(app: &App, frame: &Frame, who: &Who) -> Result<Markup, PageError> {
    let (boxes, sites) = (app.store.boxes().await?, app.store.sites().await?);
    let people = app.store.people().await?;
    let alarms = alarms::of_now(app, &boxes, &sites).await?;
    let mut past = app.store.past_troubles(None, PAST_SHOWN + 1).await?;
    let older = frame.cut(&mut past, PAST_SHOWN as usize);
    let names = Names::new(app, &boxes, &people, who.now);
    let of = |standing| alarms.iter().filter(move |alarm| alarm.standing == standing).collect::<Vec<_>>();
    let quiet: Vec<_> = of(Standing::Silent).into_iter().chain(of(Standing::Maintained)).collect();
    let sections = [
        ("alarm_page.waits", of(Standing::Waits)),
        ("alarm_page.taken", of(Standing::Taken)),
        ("alarm_page.silent", quiet),
    ];
    Ok(html! {
        @if alarms.is_empty() { p { (state(Kind::Good, frame.say("alarm_page.all_well"))) } }
        @for (key, alarms) in sections {
            @if !alarms.is_empty() {
                section.stack {
                    h2 { (frame.say(key)) }
                    @for (n, alarm) in alarms.into_iter().enumerate() { (one(app, frame, who, &names, alarm, n == 0)) }
                }
            }
        }
        p { a href="/canh-bao/da-nhan" { (frame.say("received.title")) } }
        section.stack { h2 { (frame.say("alarm_page.past")) } (history(frame, &names, &past)) (older) }
        @if who.has(Role::Technician) || who.has(Role::Administrator) { (counted(app, frame)) }
    })
}

fn one(app: &App, frame: &Frame, who: &Who, names: &Names, alarm: &AlarmGroup, is_main: bool) -> Markup {
    let groups = trouble::groups_of(&names.boxes, alarm.rows.iter().map(|row| row.subject.as_str()));
    let may = trouble::may_care(app, who, &groups);
    let (frame_class, kind) = match alarm.standing {
        Standing::Waits => ("alarm", Kind::Bad),
        Standing::Taken => ("card band", Kind::Look),
        Standing::Silent | Standing::Maintained => ("card band", Kind::Unknown),
    };
    html! {
        article.(frame_class).(kind.class()).stack id={ "viec-" (alarm.rows[0].id) } {
            h3 { (icon("bell")) " " (names.title(frame, alarm)) }
            p { (care_line(frame, names, alarm)) }
            (subjects(frame, names, alarm))
            details open[alarm.standing == Standing::Waits] {
                summary { (frame.say("trouble.what_to_do")) }
                (remedy(frame, alarm.kind, &alarm.what))
            }
            @if may {
                div.row.apart {
                    div.btns {
                        @if alarm.taken.is_none() { (take_button(frame, alarm, "/canh-bao", is_main)) }
                        @if alarm.kind == TroubleKind::Security { (end_button(frame, alarm)) }
                    }
                    @if alarm.standing != Standing::Maintained { (silence_form(frame, alarm, "/canh-bao", who.now)) }
                }
            }
        }
    }
}

/// The boxes of an alarm, each with a way to its page, and what was seen of a stranger.
fn subjects(frame: &Frame, names: &Names, alarm: &AlarmGroup) -> Markup {
    let known = alarm.rows.iter().filter(|row| names.boxes.contains_key(row.subject.as_str()));
    let known: Vec<_> = known.collect();
    let more = known.len().saturating_sub(NAMED_MAX);
    html! {
        @if !known.is_empty() {
            p {
                @for (n, row) in known.iter().take(NAMED_MAX).enumerate() {
                    @if n > 0 { " · " }
                    a href={ "/cum-loa/" (row.subject) } { (names.subject(&row.subject)) }
                }
                @if more > 0 { " " (frame.tell(&said!("alarm_page.more_boxes", more))) }
            }
        }
        @if alarm.kind == TroubleKind::Security && !alarm.rows[0].detail.is_empty() {
            p.mute { (alarm.rows[0].detail) }
        }
    }
}

/// The steps of a remedy.
pub fn remedy(frame: &Frame, kind: TroubleKind, what: &str) -> Markup {
    let steps = trouble::steps(frame, kind, what);
    html! { ol.numbered.tight { @for step in steps { li { (step) } } } }
}

fn end_button(frame: &Frame, alarm: &AlarmGroup) -> Markup {
    html! {
        form method="post" action="/canh-bao/xong" {
            input type="hidden" name="viec" value=(alarm.ids());
            button.btn.sec { (frame.say("trouble.done")) }
        }
    }
}

/// Troubles that have ended, the latest first.
pub fn history(frame: &Frame, names: &Names, past: &[TroubleRow]) -> Markup {
    if past.is_empty() {
        return html! { p.mute { (frame.say("alarm_page.no_past")) } };
    }
    let columns =
        ["alarm_page.where", "alarm_page.what", "alarm_page.from", "alarm_page.until", "alarm_page.who"];
    html! {
        table.t role="table" {
            thead role="rowgroup" { tr role="row" {
                @for key in columns { th role="columnheader" scope="col" { (frame.say(key)) } }
            } }
            tbody role="rowgroup" {
                @for row in past {
                    tr role="row" {
                        td role="cell" data-l=(frame.say(columns[0])) { (names.subject(&row.subject)) }
                        td role="cell" data-l=(frame.say(columns[1])) { (what_words(frame, row.kind, &row.what)) }
                        td role="cell" data-l=(frame.say(columns[2])) { (names.time(row.since)) }
                        td role="cell" data-l=(frame.say(columns[3])) { @if let Some(at) = row.ended { (names.time(at)) } }
                        td role="cell" data-l=(frame.say(columns[4])) {
                            @match &row.taken { Some((by, _)) => (names.person(by)), None => (frame.say("alarm_page.nobody")) }
                        }
                    }
                }
            }
        }
    }
}

/// Counts since the start, for who looks after the machines.
fn counted(app: &App, frame: &Frame) -> Markup {
    let counts = app.counts();
    let counts = [
        ("counted.entries_added", counts.entries_added),
        ("counted.messages_refused", counts.messages_refused),
        ("counted.batches_put_off", counts.batches_put_off),
        ("counted.signs_dropped", counts.signs_dropped),
        ("counted.messages_unsent", counts.messages_unsent),
        ("counted.voice_pieces_dropped", counts.voice_pieces_dropped),
        ("counted.listeners_refused", counts.listeners_refused),
        ("counted.methods_refused", counts.methods_refused),
    ];
    html! {
        details {
            summary { (frame.say("counted.title")) }
            ul { @for (key, count) in counts { li { (count) " " (frame.say(key)) } } }
        }
    }
}

/// The troubles that a form names, as far as they are open.
async fn chosen(app: &App, sent: &Sent) -> Result<Vec<TroubleRow>, PageError> {
    let ids: Vec<i64> = sent.get("viec").split(',').filter_map(|id| id.parse().ok()).collect();
    let open = app.store.open_troubles().await?;
    Ok(open.into_iter().filter(|row| ids.contains(&row.id)).collect())
}

/// The page to go back to: one of those that show alarms.
fn back(sent: &Sent) -> String {
    let asked = sent.get("ve");
    let is_page = asked == "/" || asked.strip_prefix("/cum-loa/").is_some_and(|id| !id.contains('/'));
    if is_page { asked.to_owned() } else { "/canh-bao".to_owned() }
}

/// The answer to who acts on what somebody else has ended.
fn not_there(app: &App, frame: &Frame) -> Response {
    refusal(app, frame, StatusCode::CONFLICT, &said!("alarm_page.changed"))
}

/// Finds the troubles that a form names, if the person may take care of them: their ids and a line for the trail.
///
/// # Errors
/// Gives the answer for whoever may not, or comes too late.
async fn may_act(app: &App, frame: &Frame, who: &Who, sent: &Sent) -> Result<(Vec<i64>, String), PageError> {
    let rows = chosen(app, sent).await?;
    if rows.is_empty() {
        return Err(not_there(app, frame).into());
    }
    let boxes = app.store.boxes().await?;
    let boxes = boxes.iter().map(|row| (row.id.as_str(), row)).collect();
    let groups = trouble::groups_of(&boxes, rows.iter().map(|row| row.subject.as_str()));
    if !trouble::may_care(app, who, &groups) {
        let not_yours = said!("page.not_your_group");
        return Err(refusal(app, frame, StatusCode::FORBIDDEN, &not_yours).into());
    }
    let subjects: Vec<_> = rows.iter().take(NAMED_MAX).map(|row| row.subject.as_str()).collect();
    Ok((rows.iter().map(|row| row.id).collect(), subjects.join(", ")))
}

/// Ends an act: goes back where something was done, and says that somebody was faster where nothing was.
fn done(app: &App, frame: &Frame, sent: &Sent, changed: bool) -> Response {
    if !changed {
        return not_there(app, frame);
    }
    app.changes.tell(Changed::Alarms);
    Redirect::to(&back(sent)).into_response()
}

async fn take(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let (ids, subject) = may_act(&app, &frame, &who, &sent).await?;
    let act = who.act("alarm_taken", subject);
    let taken = app.store.take_troubles(ids, who.person.id.clone(), who.now, act).await?;
    Ok(done(&app, &frame, &sent, taken))
}

async fn silence(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let (ids, subject) = may_act(&app, &frame, &who, &sent).await?;
    let until = sent.get("den").parse().map(Wall).unwrap_or(who.now);
    if until <= who.now || until > who.now.plus(SILENCE_MAX) {
        return Ok(refusal(&app, &frame, StatusCode::BAD_REQUEST, &said!("alarm_page.no_such_time")));
    }
    let mut act = who.act("alarm_silenced", subject);
    act.after = Some(until.to_string());
    let silenced = app.store.silence_troubles(ids, until, act).await?;
    Ok(done(&app, &frame, &sent, silenced))
}

async fn end(State(app): State<Arc<App>>, frame: Frame, who: Who, sent: Sent) -> Result<Response, PageError> {
    let (ids, subject) = may_act(&app, &frame, &who, &sent).await?;
    let ended = app.store.end_troubles(ids, who.now, who.act("alarm_ended", subject)).await?;
    Ok(done(&app, &frame, &sent, ended))
}
