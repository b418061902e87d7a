//! All boxes by village, those that need a person first.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::keepers::KEEPERS;
use crate::app::App;
use crate::boxes::state::BoxState;
use crate::people::Who;
use crate::settings::village_of;
use crate::store::BoxRow;
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, state};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let title = frame.say("box_page.title");
    let content = html! {
        div.row.apart { h1 { (title) }
            @if KEEPERS.iter().any(|role| who.has(*role)) {
                a.btn.sec href="/cum-loa/moi" { (frame.say("enrol.title")) }
            } }
        div.live hx-get="/fragments/cum-loa" hx-trigger="boxes from:body throttle:5s, shown from:body, signed-out from:body" hx-swap="innerHTML" {
            (content(&app, &frame).await?)
        }
    };
    Ok(frame.draw_with(&app, title, &["/assets/live.js"], content))
}

pub async fn fragment(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    content(&app, &frame).await
}

async fn content(app: &App, frame: &Frame) -> Result<Markup, PageError> {
    let (boxes, now, parents) = (app.store.boxes().await?, app.now(), app.settings.parents());
    let mut villages: BTreeMap<(String, Option<&GroupId>), Vec<&BoxRow>> = BTreeMap::new();
    for row in &boxes {
        let group = village_of(&row.groups, &parents);
        let title = group.map(|group| app.title_of(group)).unwrap_or_default();
        villages.entry((title, group)).or_default().push(row);
    }
    Ok(html! {
        @if boxes.is_empty() { p.mute { (frame.say("box_page.none")) } }
        @for ((title, group), mut rows) in villages {
            @let () = rows.sort_by_key(|row| (BoxState::of(row, now), &row.title));
            section.stack id=[group.map(GroupId::as_str)] {
                h2 { @if title.is_empty() { (frame.say("overview.nowhere")) } @else { (title) } }
                ul.list { @for row in rows { (line(frame, row, now)) } }
            }
        }
    })
}

fn line(frame: &Frame, row: &BoxRow, now: Wall) -> Markup {
    html! {
        li.row.apart {
            span { a href={ "/cum-loa/" (row.id) } { b { (row.title) } }
                @if let Some(on_air) = row.on_air.as_ref().filter(|_| row.is_online(now)) { br; span.mute { (on_air.title) } } }
            (state_of(frame, row, now))
        }
    }
}

/// The state of a box in words, with since when it is silent or what is wrong.
pub fn state_of(frame: &Frame, row: &BoxRow, now: Wall) -> Markup {
    let at = |at: Wall| {
        let local = at.local();
        let format = if local.date() == now.date() { "%H:%M" } else { "%H:%M, %d/%m/%Y" };
        local.format(format).to_string()
    };
    match (BoxState::of(row, now), row.last_seen) {
        (BoxState::OutOfContact, None) => state(Kind::Unknown, frame.say("box_page.never")),
        (BoxState::OutOfContact, Some(seen)) => {
            state(Kind::Unknown, frame.tell(&said!("box_page.lost_since", at = at(seen))))
        }
        (BoxState::Faulty, _) => {
            let fault = row.faults.first().map_or(crate::boxes::watch::NO_CLOCK, String::as_str);
            state(Kind::Bad, frame.texts.code("fault", fault))
        }
        (BoxState::OnAir, _) => state(Kind::OnAir, frame.say("overview.tile_on_air")),
        (BoxState::Quiet, _) => state(Kind::Quiet, frame.say("overview.quiet")),
    }
}
