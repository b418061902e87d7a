//! The electronic board: what is being said now, on a whole screen, a few lines at a time. Nothing on it scrolls.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::now::{Asked, told};
use super::programme::{class_of, title_of};
use super::seen::{Seen, Shared};
use super::village::{for_everybody, nowhere};
use crate::app::App;
use crate::foreseen::PlannedSlot;
use crate::orders::sounding::Sounding;
use crate::web::frame::{Frame, ICONS, PageError};
use crate::web::parts::shape;
use crate::web::words;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::said;

/// The script that keeps the board up to date, and turns its pages.
pub const SCRIPT: &str = include_str!("../assets/board.js");

/// Characters that surely fit into the lines of one page; the script measures instead.
const PAGE_CHARS: usize = 80;
/// Time for which a page stands, in seconds.
const PAGE_S: i64 = 8;
/// Time after which a browser without scripts asks again, in seconds.
const AGAIN_S: i64 = 8;

/// The words of the board that its script needs.
struct Words<'a> {
    frame: &'a Frame,
    place: String,
    next: Option<String>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let frame = for_everybody(&frame);
    let seen = shared.seen(&app).await?;
    let village = if asked.thon.is_empty() { None } else { seen.village(&asked.thon) };
    if village.is_none() && !asked.thon.is_empty() {
        return Ok(nowhere(&app, &frame, &seen));
    }
    let sounding = shared.sounding(&app).await?;
    let place = match village {
        Some(village) => format!("{}, {}", village.title, app.settings.commune),
        None => app.settings.commune.clone(),
    };
    let next = next(&seen, &asked.thon).map(|slot| {
        let at = slot.start.local().format("%H:%M");
        frame.tell(&said!("board.next", at, title = slot.title))
    });
    let words = Words { frame: &frame, place, next };
    let here = sounding
        .iter()
        .find(|it| asked.thon.is_empty() || it.villages.iter().any(|id| id.as_str() == asked.thon));
    let page = draw(&app, &words, &seen, here, &asked.thon, &told(&app, &sounding, &asked.thon));
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// Finds the slot that begins next today.
fn next<'s>(seen: &'s Seen, thon: &str) -> Option<&'s PlannedSlot> {
    let is_here = |slot: &&PlannedSlot| thon.is_empty() || slot.villages.iter().any(|id| id.as_str() == thon);
    let today = seen.now.date();
    seen.slots.iter().filter(is_here).find(|slot| slot.start > seen.now && slot.start.date() == today)
}

/// Cuts a text into pages that surely fit, at spaces.
fn pages(text: &str) -> Vec<String> {
    let mut pages = vec![String::new()];
    for word in text.split_whitespace() {
        let last = pages.last().map_or(0, |page| page.chars().count());
        if last > 0 && last + 1 + word.chars().count() > PAGE_CHARS {
            pages.push(String::new());
        }
        if let Some(page) = pages.last_mut() {
            if !page.is_empty() {
                page.push(' ');
            }
            page.push_str(word);
        }
    }
    pages
}

fn draw(app: &App, words: &Words, seen: &Seen, here: Option<&Sounding>, thon: &str, told: &str) -> Markup {
    let frame = words.frame;
    let class = here.map_or("", |it| match it.rung {
        Rung::Emergency => "emer",
        Rung::Exercise => "drill",
        _ => "",
    });
    let title = format!("{} · {}", frame.say("board.title"), frame.say("page.title"));
    let rungs = ["emergency", "exercise", "live", "priority", "normal", "programme"];
    html! {
        (DOCTYPE)
        html lang=(frame.lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/assets/loaxa.css";
                noscript { meta http-equiv="refresh" content=(AGAIN_S); }
                script src="/assets/board.js" type="module" {}
            }
            body {
                (PreEscaped(ICONS))
                main.board.(class) #bang data-thon=(thon) data-told=(told) data-now=(seen.now.0 / 1_000)
                    data-trang=(frame.say("board.page_of")) data-mat=(frame.say("board.lost_since"))
                    data-loai-live=(frame.say("public.live")) data-loai-other=(frame.say("public.announcement"))
                    data-loai-programme=(frame.say("public.of_programme"))
                    data-im=(frame.say("board.silence")) data-tiep=(words.next.as_deref().unwrap_or("")) {
                    @for rung in rungs { span hidden data-hang=(rung) { (frame.texts.code("board_class", rung)) } }
                    div.hd { span { (words.place) } span { span #gio { (seen.now.local().format("%H:%M")) } " " (words::day(frame.lang, seen.now.date())) } }
                    div.say aria-live="polite" { (say(words, seen, here)) }
                    div.hd { span { (frame.tell(&said!("board.by", commune = app.settings.commune))) } span #trang {} }
                }
            }
        }
    }
}

fn say(words: &Words, seen: &Seen, here: Option<&Sounding>) -> Markup {
    let frame = words.frame;
    html! {
        @match here {
            Some(it) => {
                @let text = it.words.clone().unwrap_or_else(|| title_of(frame, it));
                @let pages = pages(&text);
                @let page = (seen.now.0 / 1_000_000 / PAGE_S).unsigned_abs() as usize % pages.len().max(1);
                h1.cls { (shape(class_of(it.rung).0.drawing())) span #ten {
                    @if matches!(it.rung, Rung::Emergency | Rung::Exercise) {
                        (frame.texts.code("board_class", words::code_of(&it.rung).as_str())) ": " }
                    (title_of(frame, it)) } }
                p #loi { (pages.get(page).map_or("", String::as_str)) }
            },
            None => {
                h1.cls.quiet { span #ten { (frame.say("board.silence")) } }
                p #loi { (words.next.as_deref().unwrap_or("")) }
            },
        }
    }
}
