//! The programme of a village: what sounds now, today and in the days after, what can be heard again, and the form for
//! feedback.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{Days, NaiveDate};
use maud::{Markup, html};

use super::again::{address, minutes};
use super::answer::cached;
use super::feedback;
use super::now::Asked;
use super::seen::{Seen, Shared, Village};
use super::village::{choice, for_everybody, nowhere};
use crate::app::App;
use crate::foreseen::PlannedSlot;
use crate::orders::sounding::Sounding;
use crate::web::frame::{Frame, PageError, World};
use crate::web::parts::{Kind, icon, state, tag};
use crate::web::words;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Days of the programme.
const DAYS: u64 = 7;
/// Items that can be heard again, on this page.
const AGAIN_SHOWN: usize = 10;
/// Time for which caches may keep the page, in seconds.
const GOOD_FOR_S: u32 = 15;

pub async fn page(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    frame: Frame,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let frame = for_everybody(&frame);
    let seen = shared.seen(&app).await?;
    let Some(village) = seen.village(&asked.thon) else {
        return Ok(nowhere(&app, &frame, &seen));
    };
    let sounding = shared.sounding(&app).await?;
    let title = frame.tell(&said!("public.today_in", place = village.title));
    let content = html! {
        div.cols.wide-l {
            div.tight { h1 { (title) } p.mute { (words::day(frame.lang, seen.now.date())) } }
            (choice(&frame, &seen, Some(village)))
        }
        (now(&frame, &sounding, village))
        div.cols.wide-l {
            section.stack aria-labelledby="chuong-trinh" {
                h2 #chuong-trinh { (frame.say("public.programme")) }
                (day(&frame, &seen, village, seen.now.date()))
                p { a href={ "/chuong-trinh/" (village.group) ".ics" } { (frame.say("public.calendar")) } }
                @for n in 1..DAYS {
                    @let date = seen.now.date() + Days::new(n);
                    details { summary { (words::day(frame.lang, date)) } (day(&frame, &seen, village, date)) }
                }
            }
            (again(&frame, &seen, village))
        }
        section.card.pad.stack aria-labelledby="gop-y" {
            h2 #gop-y { (frame.say("feedback.title")) }
            (feedback::form(&frame, &seen, village, &feedback::Written::default()))
        }
    };
    let page = frame.draw_in(&app, World::Public, &title, &[], content).into_string();
    Ok(cached(&headers, "text/html; charset=utf-8", GOOD_FOR_S, page))
}

/// The title of what sounds, for people.
pub fn title_of(frame: &Frame, it: &Sounding) -> String {
    let unnamed = match it.rung {
        Rung::Live => "public.live",
        Rung::Programme => "public.of_programme",
        _ => "public.announcement",
    };
    it.title.clone().unwrap_or_else(|| frame.say(unnamed).to_owned())
}

/// The kind of a rung, and the words of its class.
pub fn class_of(rung: Rung) -> (Kind, &'static str) {
    match rung {
        Rung::Emergency => (Kind::Emergency, "class.emergency"),
        Rung::Exercise => (Kind::Exercise, "public.exercise"),
        Rung::Live | Rung::Priority => (Kind::Priority, "class.priority"),
        Rung::Normal => (Kind::Normal, "class.normal"),
        Rung::Programme => (Kind::Programme, "public.programme"),
    }
}

fn now(frame: &Frame, sounding: &[Sounding], village: &Village) -> Markup {
    let here: Vec<_> = sounding.iter().filter(|it| it.villages.contains(&village.group)).collect();
    html! {
        @for it in here {
            @let (kind, class) = class_of(it.rung);
            section.now.tight.(kind.class()) {
                p.row { (state(Kind::OnAir, frame.say("public.on_air"))) (tag(kind, frame.say(class))) }
                h2 { (title_of(frame, it)) }
                @if let Some(words) = &it.words { p.lead.words { (words) } }
            }
        }
    }
}

fn day(frame: &Frame, seen: &Seen, village: &Village, date: NaiveDate) -> Markup {
    let slots: Vec<_> = seen.slots_of(&village.group).filter(|slot| slot.start.date() == date).collect();
    html! {
        @if slots.is_empty() { p.mute { (frame.say("public.nothing")) } } @else {
            ul.list { @for slot in slots { (line(frame, slot, seen.now)) } }
        }
    }
}

fn line(frame: &Frame, slot: &PlannedSlot, now: Wall) -> Markup {
    let hour = |at: Wall| at.local().format("%H:%M").to_string();
    let is_over = slot.end <= now;
    let is_on = slot.start <= now && !is_over;
    html! {
        li.row.apart {
            span { b.num { (hour(slot.start)) } " " (slot.title) br;
                span.mute { (frame.tell(&said!("public.until", at = hour(slot.end)))) } }
            @if is_on { (state(Kind::OnAir, frame.say("public.planned_now"))) }
            @else if is_over { span.mute { (frame.say("public.over")) } }
        }
    }
}

fn again(frame: &Frame, seen: &Seen, village: &Village) -> Markup {
    html! {
        section.stack aria-labelledby="nghe-lai" {
            h2 #nghe-lai { (frame.say("public.again")) }
            @let rows: Vec<_> = seen.again_in(&village.group).take(AGAIN_SHOWN).collect();
            @if rows.is_empty() { p.mute { (frame.say("public.nothing_again")) } } @else {
                ul.stack { @for row in rows {
                    li.tight {
                        h3 { (row.content.title) }
                        p.mute { (row.aired.local().format("%H:%M, %d/%m/%Y")) " · " (minutes(frame, row.media.ms)) }
                        audio controls preload="none" src=(address(row)) aria-label=(row.content.title) {}
                    }
                } }
            }
            p { a href={ "/nghe-lai.xml?thon=" (village.group) } { (icon("ear")) " " (frame.say("public.podcast")) } }
        }
    }
}
