//! One box: what is wrong here and what to do, how it was over seven days, what it is, and where it belongs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::health;
use super::keepers::{kept_groups, may_keep};
use super::list::state_of;
use super::volume;
use crate::app::App;
use crate::boxes::alarms::{self, AlarmGroup, Standing};
use crate::people::Who;
use crate::settings::village_of;
use crate::store::{BoxRow, HealthRow, LogFilter, Maintenance, PersonRow, PlayRow, SiteRow, TroubleRow};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::pages::alarms::{history, remedy};
use crate::web::pages::point::point_fields;
use crate::web::pages::trouble::{self, Names, care_line, silence_form, take_button};
use crate::web::parts::{Kind, icon, state};
use crate::web::words;
use loaxa_heart::decide::delivery::documents_to_send;
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::said;

/// Plays and past troubles that are shown.
const PLAYS_SHOWN: u32 = 8;
const PAST_SHOWN: u32 = 8;

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    draw(&app, &frame, &who, &id, &Faults::default(), &Sent(Vec::new())).await
}

/// Everything that the page shows.
struct Seen {
    row: BoxRow,
    boxes: Vec<BoxRow>,
    site: Option<SiteRow>,
    alarms: Vec<AlarmGroup>,
    past: Vec<TroubleRow>,
    hours: Vec<HealthRow>,
    plays: Vec<PlayRow>,
    people: Vec<PersonRow>,
    /// The newest documents are on the box; `None` where it has not said what it holds.
    is_newest: Option<bool>,
}

async fn read(app: &App, who: &Who, id: &str) -> Result<Option<Seen>, PageError> {
    let boxes = app.store.boxes().await?;
    let Some(row) = boxes.iter().find(|row| row.id.as_str() == id).cloned() else { return Ok(None) };
    let sites = app.store.sites().await?;
    let mut alarms = alarms::of_now(app, std::slice::from_ref(&row), &sites).await?;
    alarms.retain(|alarm| alarm.rows.iter().any(|trouble| trouble.subject == id));
    let documents = app.store.documents(who.now).await?;
    let is_newest = row.holds.as_ref().map(|holds| {
        let groups = app.groups_of(&row.groups);
        documents_to_send(holds, 0, &groups, &documents).commands.is_empty()
    });
    let filter = LogFilter { id: Some(row.id.clone()), limit: PLAYS_SHOWN, ..LogFilter::default() };
    Ok(Some(Seen {
        site: sites.into_iter().find(|site| site.id == row.id),
        alarms,
        past: app.store.past_troubles(Some(id.to_owned()), PAST_SHOWN + 1).await?,
        hours: app.store.health(row.id.clone(), health::begin(who.now)).await?,
        plays: app.store.plays(filter).await?,
        people: app.store.people().await?,
        is_newest,
        row,
        boxes,
    }))
}

/// Draws the page, with the faults of a form that was sent from it.
pub async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    id: &str,
    faults: &Faults,
    sent: &Sent,
) -> Result<Response, PageError> {
    let Some(seen) = read(app, who, id).await? else {
        return Ok(refusal(app, frame, StatusCode::NOT_FOUND, &said!("box_page.no_such")));
    };
    let row = &seen.row;
    let names = Names::new(app, std::slice::from_ref(row), &seen.people, who.now);
    let parents = app.settings.parents();
    let village = village_of(&row.groups, &parents).map(|group| app.title_of(group)).unwrap_or_default();
    let may_keep = may_keep(app, who, &row.groups);
    let volume = volume::form(app, frame, who, (row, &seen.boxes), faults).await?;
    let content = html! {
        div {
            a.back href="/cum-loa" { (icon("back")) (frame.say("box_page.title")) }
            div.row.apart { div { h1 { (row.title) } p.mute { (village) @if !village.is_empty() { ", " } (row.id) } }
                (state_of(frame, row, who.now)) }
        }
        (faults.summary(frame))
        @if let Some(work) = current_work(&seen, who) { (maintained(frame, &names, work)) }
        @for alarm in &seen.alarms { (alarm_of(app, frame, who, &names, alarm, id)) }
        section.stack aria-labelledby="h-7" { h2 #h-7 { (frame.say("health.title")) } (health::draw(frame, &seen.hours, who.now)) }
        div.cols {
            (this_machine(frame, &seen))
            section.stack aria-labelledby="h-phat" { h2 #h-phat { (frame.say("box_page.last_plays")) } (plays(frame, &seen.plays)) }
        }
        section.stack { h2 { (frame.say("alarm_page.past")) }
            (history(frame, &names, seen.past.get(..PAST_SHOWN as usize).unwrap_or(&seen.past)))
            @if seen.past.len() > PAST_SHOWN as usize { p.mute { (frame.tell(&said!("page.newest", shown = PAST_SHOWN))) } }
        }
        @if may_keep {
            section.stack aria-labelledby="h-lam" {
                h2 #h-lam { (frame.say("box_page.work")) }
                (test_form(frame, row, faults))
                (volume)
                (maintenance_form(frame, &seen, who, faults, sent))
                (move_form(app, frame, who, row, faults))
                (point_form(frame, &seen, faults, sent))
                (revoke_form(frame, row, faults))
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, frame.draw(app, &row.title, content)).into_response())
}

fn current_work<'s>(seen: &'s Seen, who: &Who) -> Option<&'s Maintenance> {
    let work = seen.site.as_ref()?.maintenance.as_ref()?;
    (work.until > who.now).then_some(work)
}

fn maintained(frame: &Frame, names: &Names, work: &Maintenance) -> Markup {
    let (name, until) = (names.person(&work.by).to_owned(), names.time(work.until));
    html! {
        section.card.band.k-look.tight {
            h2 { (frame.say("box_page.maintained")) }
            p { (frame.tell(&said!("box_page.maintained_by", name, until))) }
            @if !work.note.is_empty() { p { (work.note) } }
        }
    }
}

fn alarm_of(app: &App, frame: &Frame, who: &Who, names: &Names, alarm: &AlarmGroup, id: &str) -> Markup {
    let back = format!("/cum-loa/{id}");
    let groups = trouble::groups_of(&names.boxes, alarm.rows.iter().map(|row| row.subject.as_str()));
    let may = trouble::may_care(app, who, &groups) && alarm.standing != Standing::Maintained;
    let (class, kind) = match alarm.standing {
        Standing::Waits => ("alarm", Kind::Bad),
        Standing::Taken => ("card band", Kind::Look),
        Standing::Silent | Standing::Maintained => ("card band", Kind::Unknown),
    };
    html! {
        section.(class).(kind.class()).stack {
            h2 { (icon("bell")) " " (names.title(frame, alarm)) }
            p { (care_line(frame, names, alarm)) }
            h3 { (frame.say("box_page.what_to_do_now")) }
            (remedy(frame, alarm.kind, &alarm.what))
            @if may {
                div.row.apart {
                    div.btns { @if alarm.taken.is_none() { (take_button(frame, alarm, &back, true)) } }
                    (silence_form(frame, alarm, &back, who.now))
                }
            }
        }
    }
}

fn this_machine(frame: &Frame, seen: &Seen) -> Markup {
    let row = &seen.row;
    let good = |key: &'static str| state(Kind::Good, frame.say(key));
    let look = |key: &'static str| state(Kind::Look, frame.say(key));
    let unknown = || state(Kind::Unknown, frame.say("health.unknown"));
    html! {
        section.stack aria-labelledby="h-may" {
            h2 #h-may { (frame.say("box_page.this_machine")) }
            dl.kv.card {
                div { dt { (frame.say("box_page.plan")) } dd { @match seen.is_newest {
                    Some(true) => (good("box_page.plan_newest")),
                    Some(false) => (look("box_page.plan_old")),
                    None => (unknown()),
                } } }
                div { dt { (frame.say("health.clock")) } dd { @match row.clock {
                    Some(ClockQuality::Synced) => (good("box_page.clock_right")),
                    Some(ClockQuality::Floor) => (look("box_page.clock_floor")),
                    Some(ClockQuality::None) => (look("box_page.clock_none")),
                    None => (unknown()),
                } } }
                div { dt { (frame.say("box_page.trusted")) } dd {
                    @if row.key.is_some() { (good("box_page.enrolled")) } @else { (look("box_page.not_enrolled")) }
                } }
                @if let Some(usage) = seen.hours.iter().rev().find_map(|hour| hour.usage) {
                    div { dt { (frame.say("health.disk")) } dd { (health::size(frame, usage.disk_free_mib)) } }
                    div { dt { (frame.say("health.data")) } dd { (health::size(frame, usage.month_mib)) } }
                }
                div { dt { (frame.say("health.backlog")) } dd { (row.backlog) } }
                div { dt { (frame.say("health.software")) } dd { (row.software.as_deref().unwrap_or_default()) } }
                @if !row.languages.is_empty() { div { dt { (frame.say("box_page.languages")) } dd {
                    (row.languages.iter().map(|tag| frame.texts.code("language", tag)).collect::<Vec<_>>().join(", "))
                } } }
                @if let Some(at) = row.last_seen { div { dt { (frame.say("box_page.last_seen")) } dd { (moment(at)) } } }
            }
        }
    }
}

fn plays(frame: &Frame, plays: &[PlayRow]) -> Markup {
    html! {
        @if plays.is_empty() { p.mute { (frame.say("page.nothing")) } }
        ul.list {
            @for play in plays {
                li { b.num { (play.started.unwrap_or(play.opened).local().format("%H:%M %d/%m")) } " \u{a0}" (play.title) br;
                    span.mute { (words::outcome(play.outcome.as_ref(), frame.texts)) }
                    @match play.heard {
                        Some(true) => { br; (state(Kind::Good, frame.say("box_page.heard"))) },
                        Some(false) => { br; (state(Kind::Bad, frame.say("box_page.not_heard"))) },
                        None => {},
                    }
                }
            }
        }
    }
}

fn test_form(frame: &Frame, row: &BoxRow, faults: &Faults) -> Markup {
    html! {
        details open[faults.has("phat-thu")] {
            summary { (frame.say("box_page.test")) }
            form.stack.narrow method="post" action={ "/cum-loa/" (row.id) "/phat-thu" } {
                p.hint { (frame.say("box_page.test_hint")) }
                (faults.beside(frame, "phat-thu"))
                div.btns { button.btn.sec #phat-thu { (frame.say("box_page.test_now")) } }
            }
        }
    }
}

fn maintenance_form(frame: &Frame, seen: &Seen, who: &Who, faults: &Faults, sent: &Sent) -> Markup {
    let path = format!("/cum-loa/{}/bao-tri", seen.row.id);
    let choices = [("box_page.two_hours", "2"), ("box_page.a_day", "24"), ("box_page.a_week", "168")];
    html! {
        details open[faults.has("ghi-chu")] {
            summary { (frame.say("box_page.maintenance")) }
            @if current_work(seen, who).is_some() {
                form.stack.narrow method="post" action=(path) {
                    input type="hidden" name="gio" value="0";
                    div.btns { button.btn.sec { (frame.say("box_page.maintenance_over")) } }
                }
            } @else {
                form.stack.narrow method="post" action=(path) {
                    p.hint { (frame.say("box_page.maintenance_hint")) }
                    (Input::text("ghi-chu", frame.say("box_page.note"), sent.get("ghi-chu")).draw(frame, faults))
                    div.field { label for="gio" { (frame.say("box_page.until")) }
                        select #gio name="gio" { @for (key, hours) in choices { option value=(hours) { (frame.say(key)) } } } }
                    div.btns { button.btn.sec { (frame.say("box_page.maintain")) } }
                }
            }
        }
    }
}

fn move_form(app: &App, frame: &Frame, who: &Who, row: &BoxRow, faults: &Faults) -> Markup {
    let others: Vec<_> =
        kept_groups(app, who).into_iter().filter(|group| row.groups.first() != Some(group)).collect();
    html! {
        @if !others.is_empty() {
            details open[faults.has("nhom")] {
                summary { (frame.say("box_page.move")) }
                form.stack.narrow method="post" action={ "/cum-loa/" (row.id) "/chuyen" } {
                    p.hint { (frame.say("box_page.move_hint")) }
                    div.field.bad[faults.has("nhom")] { label for="nhom" { (frame.say("box_page.to")) }
                        (faults.beside(frame, "nhom"))
                        select #nhom name="nhom" { @for group in others { option value=(group) { (app.title_of(&group)) } } } }
                    div.btns { button.btn.sec { (frame.say("box_page.move_now")) } }
                }
            }
        }
    }
}

fn point_form(frame: &Frame, seen: &Seen, faults: &Faults, sent: &Sent) -> Markup {
    let point = seen.site.as_ref().and_then(|site| site.point);
    html! {
        details open[faults.has("vi-do") || faults.has("kinh-do")] {
            summary { (frame.say("place.on_the_map")) }
            form.stack.narrow method="post" action={ "/cum-loa/" (seen.row.id) "/vi-tri" } {
                (point_fields(frame, point, faults, sent))
                div.btns { button.btn.sec { (frame.say("place.save")) } }
            }
        }
    }
}

fn revoke_form(frame: &Frame, row: &BoxRow, faults: &Faults) -> Markup {
    html! {
        details open[faults.has("chac-chan")] {
            summary { (frame.say("box_page.revoke")) }
            form.stack.narrow method="post" action={ "/cum-loa/" (row.id) "/thu-hoi" } {
                p { (frame.say("box_page.revoke_hint")) }
                (faults.beside(frame, "chac-chan"))
                div.pick { input #chac-chan type="checkbox" name="chac-chan" value="co";
                    label for="chac-chan" { (frame.say("box_page.revoke_sure")) } }
                div.btns { button.btn.c-line.k-bad { (frame.say("box_page.revoke_now")) } }
            }
        }
    }
}
