//! All boxes by village, those that need a person first.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};

use super::keepers::KEEPERS;
use crate::app::App;
use crate::boxes::state::BoxState;
use crate::people::Who;
use crate::settings::village_of;
use crate::store::BoxRow;
use crate::vietnamese::{order, without_marks};
use crate::web::form::Query;
use crate::web::frame::{Frame, LIVE, PageError};
use crate::web::parts::{Kind, state};
use crate::web::shared::Shared;
use crate::web::words;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Villages that are found without a list of them.
const VILLAGES_ON_A_SCREEN: usize = 8;

/// Boxes from which on a page ends with its village, and up to which everything is on one page.
const BOXES_ON_A_PAGE: usize = 100;

/// A village with its boxes, those that need a person first.
struct Village<'r> {
    group: Option<&'r GroupId>,
    title: String,
    rows: Vec<&'r BoxRow>,
}

/// The part of the boxes that is asked for.
struct Asked {
    /// Words that are in the name of a village or of a box, with or without marks.
    words: String,
    /// The id of the only village; empty for all.
    village: String,
    /// From 1.
    page: usize,
}

impl Asked {
    fn of(query: &Query) -> Self {
        let text = |name| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        Self { words: text("tim"), village: text("thon"), page: text("trang").parse().unwrap_or(1) }
    }

    /// The address of a page of what is asked for.
    fn address(&self, path: &str, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, asked) in [("tim", &self.words), ("thon", &self.village)] {
            if !asked.is_empty() {
                query.append_pair(name, asked);
            }
        }
        if page > 1 {
            query.append_pair("trang", &page.to_string());
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// The address of a village among so many boxes.
pub fn address_of(village: Option<&GroupId>, boxes: usize) -> String {
    match village {
        Some(village) if boxes <= BOXES_ON_A_PAGE => format!("/cum-loa#{village}"),
        Some(village) => format!("/cum-loa?thon={village}"),
        None => "/cum-loa".to_owned(),
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let asked = Asked::of(&query);
    let title = frame.say("box_page.title");
    let content = html! {
        div.row.apart { h1 { (title) }
            @if KEEPERS.iter().any(|role| who.has(*role)) {
                a.btn.sec href="/cum-loa/moi" { (frame.say("enrol.title")) }
            } }
        div.live hx-get=(asked.address("/fragments/cum-loa", asked.page)) hx-trigger="boxes from:body throttle:5s, shown from:body" {
            (content(&app, &frame, &asked, &app.store.boxes().await?))
        }
    };
    Ok(frame.draw_with(&app, title, &[LIVE], content))
}

pub async fn fragment(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared<Vec<BoxRow>>>>,
    query: Query,
    frame: Frame,
) -> Result<Markup, PageError> {
    let boxes = shared.get(&app.changes, app.store.boxes()).await?;
    Ok(content(&app, &frame, &Asked::of(&query), &boxes))
}

fn content(app: &App, frame: &Frame, asked: &Asked, boxes: &[BoxRow]) -> Markup {
    let now = app.now();
    let villages = villages(app, frame, boxes, now);
    let is_large = boxes.len() > BOXES_ON_A_PAGE;
    let found = if is_large { find(villages, asked) } else { villages };
    let pages = pages(found);
    let at = asked.page.clamp(1, pages.len().max(1));
    let shown = pages.get(at - 1).map_or(&[][..], Vec::as_slice);
    html! {
        @if boxes.is_empty() { p.mute { (frame.say("box_page.none")) } }
        @if is_large { (search(frame, asked)) }
        @else if shown.len() > VILLAGES_ON_A_SCREEN { (ways(frame, shown)) }
        @if is_large && shown.is_empty() { p.mute { (frame.say("box_page.none_found")) } }
        div.villages { @for village in shown {
            section.stack id=[village.group.map(GroupId::as_str)] {
                h2 { (village.title) }
                ul.list { @for row in &village.rows { (line(frame, row, now)) } }
            }
        } }
        @if pages.len() > 1 {
            nav.row.apart aria-label=(frame.say("box_page.pages")) {
                span { @if at > 1 { a href=(asked.address("/cum-loa", at - 1)) { (frame.say("box_page.page_before")) } } }
                span { (frame.tell(&said!("box_page.page_of", page = at, pages = pages.len()))) }
                span { @if at < pages.len() { a href=(asked.address("/cum-loa", at + 1)) { (frame.say("box_page.page_after")) } } }
            }
        }
    }
}

/// Puts boxes together by village, those first that need a person.
fn villages<'r>(app: &'r App, frame: &Frame, boxes: &'r [BoxRow], now: Wall) -> Vec<Village<'r>> {
    let parents = app.settings.parents();
    let mut found: BTreeMap<Option<&GroupId>, Vec<&BoxRow>> = BTreeMap::new();
    for row in boxes {
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
    villages
}

/// Leaves what is asked for: a village whose name fits with all its boxes, and of others the boxes whose names fit.
fn find<'r>(villages: Vec<Village<'r>>, asked: &Asked) -> Vec<Village<'r>> {
    let words = without_marks(&asked.words);
    let has_words = |name: &str| words.is_empty() || without_marks(name).contains(&words);
    let mut found = Vec::new();
    for mut village in villages {
        if !asked.village.is_empty() && village.group.is_none_or(|group| group.as_str() != asked.village) {
            continue;
        }
        if !has_words(&village.title) {
            village.rows.retain(|row| has_words(&row.title));
        }
        if !village.rows.is_empty() {
            found.push(village);
        }
    }
    found
}

/// Cuts villages into pages: a page ends with the village that fills it, and a village that is larger is cut.
fn pages(villages: Vec<Village<'_>>) -> Vec<Vec<Village<'_>>> {
    let (mut pages, mut on_last) = (Vec::<Vec<_>>::new(), BOXES_ON_A_PAGE);
    for Village { group, title, rows } in villages {
        for rows in rows.chunks(BOXES_ON_A_PAGE) {
            if on_last >= BOXES_ON_A_PAGE {
                pages.push(Vec::new());
                on_last = 0;
            }
            on_last += rows.len();
            let part = Village { group, title: title.clone(), rows: rows.to_vec() };
            pages.last_mut().expect("there is one").push(part);
        }
    }
    pages
}

fn search(frame: &Frame, asked: &Asked) -> Markup {
    html! {
        form.row method="get" action="/cum-loa" role="search" {
            div.field { label for="tim" { (frame.say("box_page.search")) } input #tim name="tim" type="search" value=(asked.words); }
            button.btn.sec { (frame.say("library.find")) }
            @if !asked.village.is_empty() || !asked.words.is_empty() { a href="/cum-loa" { (frame.say("box_page.all")) } }
        }
    }
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
