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
use crate::vietnamese::order;
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, state};
use crate::web::words;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Villages that are found without a list of them.
const VILLAGES_ON_A_SCREEN: usize = 8;

/// A village with its boxes, those that need a person first.
struct Village<'r> {
    group: Option<&'r GroupId>,
    title: String,
    rows: Vec<&'r BoxRow>,
}

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
    let mut found: BTreeMap<Option<&GroupId>, Vec<&BoxRow>> = BTreeMap::new();
    for row in &boxes {
        found.entry(village_of(&row.groups, &parents)).or_default().push(row);
    }
    let mut villages: Vec<_> = found
        .into_iter()
        .map(|(group, mut rows)| {
            rows.sort_by_cached_key(|row| (BoxState::of(row, now), order(&row.title)));
            let title =
                group.map_or_else(|| frame.say("overview.nowhere").to_owned(), |group| app.title_of(group));
            Village { group, title, rows }
        })
        .collect();
    villages.sort_by_cached_key(|village| {
        (village.rows.first().map(|row| BoxState::of(row, now)), order(&village.title))
    });
    Ok(html! {
        @if boxes.is_empty() { p.mute { (frame.say("box_page.none")) } }
        @if villages.len() > VILLAGES_ON_A_SCREEN { (ways(frame, &villages)) }
        div.villages { @for village in &villages {
            section.stack id=[village.group.map(GroupId::as_str)] {
                h2 { (village.title) }
                ul.list { @for row in &village.rows { (line(frame, row, now)) } }
            }
        } }
    })
}

/// Links to the villages, for a commune that has many.
fn ways(frame: &Frame, villages: &[Village<'_>]) -> Markup {
    let mut villages: Vec<_> =
        villages.iter().filter_map(|village| Some((village.group?, &village.title))).collect();
    villages.sort_by_cached_key(|(_, title)| order(title));
    html! {
        details #den-thon { summary { (frame.say("box_page.to_village")) }
            ul.ways { @for (group, title) in villages { li { a href={ "#" (group) } { (title) } } } } }
    }
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
            state(Kind::Bad, words::fault(frame.texts, fault))
        }
        (BoxState::OnAir, _) => state(Kind::OnAir, frame.say("overview.tile_on_air")),
        (BoxState::Quiet, _) => state(Kind::Quiet, frame.say("box_page.quiet")),
    }
}
