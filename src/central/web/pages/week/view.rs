//! The week in a place: what sounds each day, whether it is enough, and what is in force where.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{Days, NaiveDate, NaiveTime};
use maud::{Markup, html};

use super::address::Address;
use super::{days, draft};
use crate::app::App;
use crate::foreseen::Week;
use crate::people::Who;
use crate::programmes::NotProposal;
use crate::programmes::week::{self, Scene};
use crate::store::{NoticeFilter, NoticeRow, NoticeState, ROWS_MAX, Role, StoreError};
use crate::web::form::Query;
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let address = Address::of_query(&app, &who, &query);
    let drafts = query.get("ban").map(String::as_str) != Some("phat");
    let scene = match week::scene(&app, &address.group, drafts).await {
        Ok(scene) => scene,
        Err(NotProposal::Store(error)) => return Err(error.into()),
        Err(not) => {
            return Ok(frame
                .draw(&app, frame.say("week.title"), html! { p role="alert" { (frame.tell(&not.say())) } })
                .into_response());
        }
    };
    let (week, fault) = match scene.plan(&app, address.monday()).await {
        Ok(week) => (week, None),
        Err(not) => (Arc::new(Week::default()), Some(not.say())),
    };
    let notices = notices(&app, &address).await?;
    let writes = who.has(Role::Writer)
        && scene
            .shown
            .iter()
            .any(|it| who.may(&app, Role::Writer, std::slice::from_ref(&it.programme.group)));
    let mut cards = Vec::new();
    for shown in &scene.shown {
        if let Some(row) = &shown.basis.proposal {
            cards.push(draft::undo(&app, &frame, &who, &address, row).await?);
        }
    }
    let mut drafts_open = Vec::new();
    for shown in &scene.shown {
        drafts_open.push(draft::card(&app, &frame, &who, &address, shown).await?);
    }
    let drawn = days::Drawn {
        frame: &frame,
        app: &app,
        address: &address,
        scene: &scene,
        week: &week,
        notices: &notices,
        villages: days::villages(&week),
        today: who.now.date(),
        writes: writes && drafts,
    };
    let title = frame.say("week.title");
    let content = html! {
        (heading(&app, &frame, &address, drafts))
        @for card in &cards { (card) }
        @if let Some(fault) = &fault { p.alarm.k-bad role="alert" { (frame.tell(fault)) } }
        @if !drafts { p.card.band { (frame.say("week.only_in_force")) " " a href=(address.week()) { (frame.say("week.with_drafts")) } } }
        @if scene.shown.is_empty() { (nothing(&app, &frame, &who, &address)) } @else {
            (days::draw(&drawn))
            (key(&frame))
            @if writes && drafts { p.mute { (frame.say("week.keys")) } (tools(&frame, &address, &scene)) }
            @for card in &drafts_open { (card) }
            div.cols { (enough(&frame, &week)) (in_force(&app, &frame, &scene)) }
            (campaigns(&frame, &address, &scene))
        }
    };
    Ok(frame.draw_with(&app, title, &["/assets/week.js"], content).into_response())
}

/// The notices with a time of their own that the place hears in the week.
async fn notices(app: &App, address: &Address) -> Result<Vec<NoticeRow>, StoreError> {
    let states = vec![NoticeState::Submitted, NoticeState::Approved];
    let (from, until) = (address.monday(), address.monday() + Days::new(6));
    let begins = |day: NaiveDate| Wall::from_local(day.and_time(NaiveTime::MIN));
    let due = Some((begins(from), begins(until + Days::new(1))));
    let filter = NoticeFilter { states, due, limit: ROWS_MAX, ..Default::default() };
    let mut rows = app.store.notices(filter).await?;
    let meets = |group: &GroupId| {
        app.groups_of(std::slice::from_ref(&address.group)).contains(group)
            || app.groups_of(std::slice::from_ref(group)).contains(&address.group)
    };
    rows.retain(|row| {
        row.content.at.is_some_and(|at| (from..=until).contains(&at.date()))
            && row.content.groups.iter().any(meets)
    });
    Ok(rows)
}

fn heading(app: &App, frame: &Frame, address: &Address, drafts: bool) -> Markup {
    let (from, until) = (address.monday(), address.monday() + Days::new(6));
    let days = said!(
        "week.days",
        from = from.format("%d/%m"),
        until = until.format("%d/%m/%Y"),
        place = app.title_of(&address.group)
    );
    let more = if drafts { "" } else { "&ban=phat" };
    let (groups, merged) = (app.groups(), app.merged());
    html! {
        div.row.apart {
            div { h1 { (frame.say("week.title")) } p.mute { (frame.tell(&days)) } }
            div.btns.pair {
                a.btn.sec href={ (address.later(-7).week()) (more) } { (icon("back")) (frame.say("week.before")) }
                a.btn.sec href={ (address.later(7).week()) (more) } { (frame.say("week.after")) (icon("next")) }
            }
        }
        form.row method="get" action="/tuan" {
            div.field { label for="noi" { (frame.say("week.place")) }
                select #noi name="noi" { @for group in groups.iter().filter(|group| group.id == address.group || !merged.contains_key(&group.id)) { option value=(group.id) selected[group.id == address.group] { (group.title) } } } }
            div.field { label for="ngay" { (frame.say("week.day")) }
                input.w-date #ngay name="ngay" value=(address.day.format("%d/%m/%Y")); }
            button.btn.sec { (frame.say("week.show")) }
        }
    }
}

fn key(frame: &Frame) -> Markup {
    let sample = |class: &str, words: &str| {
        html! {
            span.(class) { svg viewBox="0 0 14 11" aria-hidden="true" { rect.fc width="14" height="11" {} } (words) }
        }
    };
    html! { div.key { (sample("k-prog", frame.say("week.key_programme"))) (sample("k-normal", frame.say("week.key_notice"))) span { (frame.say("week.key_off")) } } }
}

/// The page of a place that has no programme.
fn nothing(app: &App, frame: &Frame, who: &Who, address: &Address) -> Markup {
    let may = who.may(app, Role::Writer, std::slice::from_ref(&address.group));
    let title = said!("week.first_title", place = app.title_of(&address.group));
    html! {
        p { (frame.say("week.no_programme")) }
        @if may {
            form.narrow.stack method="post" action="/tuan/chuong-trinh" {
                input type="hidden" name="noi" value=(address.group);
                input type="hidden" name="ngay" value=(address.day);
                div.field { label for="ten" { (frame.say("week.programme_title")) } input #ten name="ten" required value=(frame.tell(&title)); }
                div.btns { button.btn { (frame.say("week.begin")) } }
            }
        }
    }
}

fn tools(frame: &Frame, address: &Address, scene: &Scene) -> Markup {
    let has_draft = scene.shown.iter().any(|shown| shown.basis.proposal.is_some());
    html! {
        @if let Some(first) = scene.shown.first() {
            div.btns {
                a.btn.sec[has_draft] href={ "/tuan/khung?" (address.query()) "&ct=" (first.id) } { (frame.say("week.add")) }
                a.btn.sec href={ "/tuan/chep?" (address.query()) "&ct=" (first.id) } { (frame.say("week.copy")) }
                a.btn.sec href={ "/tuan/danh-sach?" (address.query()) "&ct=" (first.id) } { (frame.say("week.lists")) }
                a.btn.sec href={ "/tuan/van-ban?" (address.query()) "&ct=" (first.id) } { (frame.say("week.text")) }
            }
            @if scene.shown.len() > 1 {
                ul { @for other in &scene.shown[1..] { li { (other.programme.title) ": "
                    a href={ "/tuan/khung?" (address.query()) "&ct=" (other.id) } { (frame.say("week.add")) } " · "
                    a href={ "/tuan/chep?" (address.query()) "&ct=" (other.id) } { (frame.say("week.copy")) } " · "
                    a href={ "/tuan/danh-sach?" (address.query()) "&ct=" (other.id) } { (frame.say("week.lists")) } " · "
                    a href={ "/tuan/van-ban?" (address.query()) "&ct=" (other.id) } { (frame.say("week.text")) } } } }
            }
        }
    }
}

/// Shows for each section whether it has the minutes that its programme asks for.
fn enough(frame: &Frame, week: &Week) -> Markup {
    let most = week
        .sums
        .iter()
        .map(|sum| sum.sounds_s.max(60 * u64::from(sum.minutes_min.unwrap_or(0))))
        .max()
        .unwrap_or(1)
        .max(1);
    let width = |seconds: u64| seconds as f64 * 100.0 / most as f64;
    html! {
        section.stack aria-labelledby="h-du" {
            h2 #h-du { (frame.say("week.enough")) }
            @if week.sums.is_empty() { p.mute { (frame.say("week.no_sections")) } } @else { p.mute { (frame.say("week.bar")) } }
            ul.hb.one { @for sum in &week.sums {
                @let (minutes, short) = (sum.sounds_s / 60, sum.is_short());
                li { b { (sum.title) }
                    svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                        rect.fc.(if short { "k-look" } else { "k-ok" }) width=(format!("{:.1}", width(sum.sounds_s))) height="10" {}
                        @if let Some(min) = sum.minutes_min { rect.fc.k-quiet x=(format!("{:.1}", width(60 * u64::from(min)))) width=".7" height="10" {} }
                    }
                    @match sum.minutes_min {
                        Some(min) if short => (state(Kind::Look, frame.tell(&said!("week.short", minutes, min)))),
                        Some(min) => (state(Kind::Good, frame.tell(&said!("week.is_enough", minutes, min)))),
                        None => (state(Kind::Quiet, frame.tell(&said!("week.minutes", minutes)))),
                    }
                }
            } }
        }
    }
}

fn in_force(app: &App, frame: &Frame, scene: &Scene) -> Markup {
    html! {
        section.stack aria-labelledby="h-hl" {
            h2 #h-hl { (frame.say("week.in_force")) }
            (draft::versions(app, frame, scene))
        }
    }
}

fn campaigns(frame: &Frame, address: &Address, scene: &Scene) -> Markup {
    let (from, until) = (address.monday(), address.monday() + Days::new(6));
    let all = scene.shown.iter().flat_map(|shown| shown.programme.campaigns.values());
    let now: Vec<_> = all.filter(|it| it.from <= until && it.until >= from).collect();
    html! {
        @if !now.is_empty() {
            section.stack aria-labelledby="h-dot" {
                h2 #h-dot { (frame.say("week.campaigns")) }
                ul.list { @for it in now {
                    li { b { (it.title) } br; span.mute { (frame.tell(&said!("week.campaign", from = it.from.format("%d/%m/%Y"), until = it.until.format("%d/%m/%Y"), responsible = it.responsible))) } }
                } }
            }
        }
    }
}
