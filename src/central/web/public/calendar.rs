//! A village's programme for calendars of telephones: the next days as iCalendar.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use icalendar::{Calendar, Component, Event, EventLike, Property};

use super::answer::{allow_other_sites, cached};
use super::seen::{Seen, Shared, Village};
use crate::app::App;
use crate::web::frame::PageError;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, steers};

/// Time for which caches may keep the calendar, in seconds.
const GOOD_FOR_S: u32 = 300;

pub async fn file(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let seen = shared.seen(&app).await?;
    let village =
        file.strip_suffix(".ics").filter(|name| !name.is_empty()).and_then(|name| seen.village(name));
    let Some(village) = village else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    let mut answer = cached(&headers, "text/calendar; charset=utf-8", GOOD_FOR_S, draw(&app, &seen, village));
    if let Ok(name) = HeaderValue::from_str(&format!("inline; filename=\"{}.ics\"", village.group)) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    allow_other_sites(&mut answer);
    Ok(answer)
}

/// Leaves out what steers: a text of iCalendar has no control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !steers(*c)).collect()
}

/// A time in the form that needs no description of a time zone.
fn time(at: Wall) -> String {
    at.utc().format("%Y%m%dT%H%M%SZ").to_string()
}

fn draw(app: &App, seen: &Seen, village: &Village) -> String {
    let name = said!("public.calendar_of", place = village.title).to(Lang::Vi);
    let host = url::Url::parse(&app.public_url).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or("loaxa").to_owned();
    let today = Wall::from_local(seen.now.date().and_time(chrono::NaiveTime::MIN));
    let mut calendar = Calendar::new();
    calendar.name(&plain(&name)).append_property(Property::new("METHOD", "PUBLISH"));
    for slot in seen.slots_of(&village.group).filter(|slot| slot.start >= today) {
        let mut event = Event::new();
        event
            .uid(&format!("{}-{}-{}@{host}", slot.key.slot, slot.key.date, village.group))
            .summary(&plain(&slot.title))
            .location(&plain(&village.title))
            .add_property("DTSTART", time(slot.start))
            .add_property("DTEND", time(slot.end))
            // Of the day, so that the same programme is the same file.
            .add_property("DTSTAMP", time(today));
        calendar.push(event.done());
    }
    calendar.to_string()
}
