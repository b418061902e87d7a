//! The list of what was due: filters, numbers that add up, lines by cursor, and the same as a file.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::announcements;
use super::chosen::{CLASSES, Chosen, code};
use super::signs;
use crate::app::App;
use crate::people::Who;
use crate::reports::{self, defused, number};
use crate::store::{AiringRow, CampaignRow, Fate, FateCounts, Role, SectionRow, StoreError};
use crate::web::frame::{Frame, LIVE, PageError, moment};
use crate::web::pages::class::class_tag;
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Lines on a page.
const SHOWN: u32 = 50;
/// Lines in a file.
const EXPORTED: usize = 100_000;
/// Lines that are read at once for a file.
const CHUNK: u32 = 1_000;
/// Boxes' days that are reckoned before the page is drawn; the rest follows by itself.
const SETTLED: u32 = 60;

pub async fn page(
    State(app): State<Arc<App>>,
    Query(chosen): Query<Chosen>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    reports::settle(&app, SETTLED).await?;
    let now = app.now();
    let chosen = chosen.or_today(now.date());
    let filter = chosen.filter(&app, SHOWN);
    let counts = app.store.count_airings(filter.clone()).await?;
    let rows = app.store.airings(filter).await?;
    let choices = Choices::read(&app).await?;
    let title = frame.say("log.title");
    let sees_evidence = who.has(Role::Reviewer) || who.has(Role::Administrator);
    let content = html! {
        h1 { (title) }
        (form(&app, &frame, &chosen, &choices))
        (sums(&frame, &counts))
        section.stack aria-labelledby="hl" {
            h2 #hl .hide { (frame.say("log_page.lines")) }
            @if rows.is_empty() { p.mute { (frame.say("log_page.nothing")) } } @else { (table(&frame, &rows, now)) }
            @if let (Some(last), true) = (rows.last(), rows.len() == SHOWN as usize) {
                p { a href=(chosen.address("/nhat-ky", Some(last))) { (frame.say("log_page.more")) } }
            }
        }
        div.btns {
            a.btn.sec href=(chosen.address("/nhat-ky.csv", None)) { (icon("down")) (frame.say("log_page.export")) }
            @if sees_evidence { a.btn.sec href="/bang-chung" { (icon("key")) (frame.say("evidence.title")) } }
        }
        div.live hx-get=(announcements::FRAGMENT) hx-trigger=(announcements::EVENTS) {
            (announcements::content(&app, frame.lang).await?)
        }
    };
    Ok(frame.draw_with(&app, title, &[LIVE], content))
}

/// Everything that a reader can choose from.
struct Choices {
    sections: Vec<SectionRow>,
    campaigns: Vec<CampaignRow>,
    boxes: Vec<(String, String)>,
}

impl Choices {
    async fn read(app: &App) -> Result<Self, StoreError> {
        let boxes = app.store.boxes().await?.into_iter().map(|row| (format!("box/{}", row.id), row.title));
        let boxes = boxes.collect();
        Ok(Self { sections: app.store.sections().await?, campaigns: app.store.campaigns().await?, boxes })
    }
}

fn form(app: &App, frame: &Frame, chosen: &Chosen, choices: &Choices) -> Markup {
    let select = |id: &str,
                  label: &'static str,
                  all: &'static str,
                  value: &str,
                  options: Vec<(String, String)>| {
        html! {
            div { label for=(id) { (frame.say(label)) }
                select id=(id) name=(id) {
                    option value="" { (frame.say(all)) }
                    @for (code, words) in &options { option value=(code) selected[value == code] { (words) } }
                } }
        }
    };
    let places = app.groups().into_iter().map(|group| (group.id.to_string(), group.title));
    let places = places.chain(choices.boxes.iter().cloned()).collect();
    let fates = Fate::ALL.map(|fate| (fate.code().to_owned(), frame.texts.code("fate", fate.code())));
    let classes = CLASSES.map(|class| (code(class), frame.texts.code("sum_class", &code(class))));
    let sections = choices.sections.iter().map(|row| (row.id.to_string(), row.title.clone())).collect();
    let campaigns = choices.campaigns.iter().map(|row| (row.id.to_string(), row.title.clone())).collect();
    html! {
        form.card.stack method="get" action="/nhat-ky" {
            div.row {
                div { label for="tu" { (frame.say("audit.from")) }
                    input.w-date #tu name="tu" type="date" value=(chosen.tu); }
                div { label for="den" { (frame.say("audit.until")) }
                    input.w-date #den name="den" type="date" value=(chosen.den); }
                (select("noi", "log_page.place", "log_page.everywhere", &chosen.noi, places))
                (select("kq", "log_page.fate", "log_page.all", &chosen.kq, fates.to_vec()))
            }
            details open[!(chosen.muc.is_empty() && chosen.loai.is_empty() && chosen.dot.is_empty() && chosen.nguoi.is_empty())] {
                summary { (frame.say("log_page.further")) }
                div.row {
                    (select("loai", "log_page.class", "log_page.all", &chosen.loai, classes.to_vec()))
                    (select("muc", "log_page.section", "log_page.all", &chosen.muc, sections))
                    (select("dot", "log_page.campaign", "log_page.all", &chosen.dot, campaigns))
                    div { label for="nguoi" { (frame.say("log_page.person")) }
                        input #nguoi name="nguoi" value=(chosen.nguoi) aria-describedby="nguoi-h";
                        p.hint #nguoi-h { (frame.say("log_page.person_hint")) } }
                }
            }
            div.btns { button.btn { (frame.say("log_page.show")) } }
        }
    }
}

/// The numbers of lines, and that they add up.
fn sums(frame: &Frame, counts: &FateCounts) -> Markup {
    let of = |fate: Fate| counts.get(&fate).copied().unwrap_or(0);
    let (partly, missed, unknown, now) =
        (of(Fate::Partly), of(Fate::Missed), of(Fate::Unknown), of(Fate::OnAir));
    let aired = of(Fate::Aired) + partly;
    let planned = aired + missed + unknown;
    let part = |kind: Kind, words: &'static str, count: u64| {
        html! { div.(kind.class()) { dt { (state(kind, frame.say(words))) } dd { (number(count)) } } }
    };
    let values = (number(aired), number(missed), number(unknown), number(planned));
    html! {
        dl.sum {
            div { dt { (frame.say("log_page.planned")) } dd { (number(planned)) } }
            (part(Kind::Good, "log_page.aired", aired))
            (part(Kind::Bad, "log_page.missed", missed))
            (part(Kind::Unknown, "log_page.unknown", unknown))
        }
        p.mute {
            (frame.tell(&said!("log_page.adds_up", aired = values.0, missed = values.1, unknown = values.2, planned = values.3)))
            @if partly > 0 { " " (frame.tell(&said!("log_page.partly_of_them", count = number(partly)))) }
            @if now > 0 { " " (frame.tell(&said!("log_page.on_air_beside", count = number(now)))) }
        }
    }
}

fn table(frame: &Frame, rows: &[AiringRow], now: Wall) -> Markup {
    const HEAD: [&str; 5] = [
        "log_page.time_and_title",
        "log_page.class",
        "log_page.place",
        "log_page.aired_column",
        "log_page.fate",
    ];
    html! {
        table.t role="table" {
            caption { (frame.say("log_page.newest_first")) }
            thead role="rowgroup" { tr role="row" {
                @for key in HEAD { th role="columnheader" scope="col" { (frame.say(key)) } }
            } }
            tbody role="rowgroup" { @for row in rows { tr role="row" {
                th role="rowheader" scope="row" {
                    (time(row.airing.due, now)) ", "
                    a href={ "/nhat-ky/luot/" (row.id) } { (title(frame, row)) }
                }
                td role="cell" data-l=(frame.say(HEAD[1])) { (class_tag(frame.texts, row.airing.class, None)) }
                td role="cell" data-l=(frame.say(HEAD[2])) { (place(row)) }
                td role="cell" data-l=(frame.say(HEAD[3])) { (signs::aired(frame, row)) }
                td role="cell" data-l=(frame.say(HEAD[4])) { (signs::fate(frame, row)) }
            } } }
        }
    }
}

/// The name of what was due; never nothing, so that its link can be found.
pub fn title<'r>(frame: &Frame, row: &'r AiringRow) -> &'r str {
    let named = row.airing.title.trim();
    if named.is_empty() { frame.say("log_page.no_title") } else { named }
}

/// Village and box.
pub fn place(row: &AiringRow) -> String {
    match row.village_title.as_str() {
        "" => row.box_title.clone(),
        village => format!("{village}, {}", row.box_title),
    }
}

fn time(at: Wall, now: Wall) -> String {
    let local = at.local();
    local.format(if local.date() == now.date() { "%H:%M" } else { "%H:%M %d/%m/%Y" }).to_string()
}

pub async fn export(
    State(app): State<Arc<App>>,
    Query(chosen): Query<Chosen>,
    frame: Frame,
) -> Result<Response, PageError> {
    reports::settle(&app, SETTLED).await?;
    let chosen = chosen.or_today(app.now().date());
    let mut rows = csv::WriterBuilder::new().flexible(true).from_writer("\u{feff}".as_bytes().to_vec());
    let mut write = |cells: Vec<String>| {
        rows.write_record(cells.iter().map(|cell| defused(cell))).expect("a list of bytes takes all");
    };
    let head = ["when", "what", "class", "village", "box", "due", "aired", "fate", "reason"];
    write(head.map(|code| frame.texts.code("log_column", code)).to_vec());
    let mut filter = chosen.filter(&app, CHUNK);
    let mut more = false;
    for _ in 0..EXPORTED / CHUNK as usize {
        let found = app.store.airings(filter.clone()).await?;
        for row in &found {
            let seconds = |ms: u64| ((ms + 500) / 1_000).to_string();
            write(vec![
                moment(row.airing.due),
                row.airing.title.clone(),
                frame.texts.code("sum_class", &code(row.airing.class)),
                row.village_title.clone(),
                row.box_title.clone(),
                seconds(row.airing.planned_ms),
                seconds(row.airing.aired_ms),
                frame.texts.code("fate", row.airing.fate.code()),
                signs::reason(&frame, row),
            ]);
        }
        filter.before = found.last().map(|row| (row.airing.due, row.id));
        more = found.len() == CHUNK as usize;
        if !more {
            break;
        }
    }
    // A file that ends early says so.
    if more {
        write(vec![frame.tell(&said!("log_page.cut_off", count = number(EXPORTED as u64)))]);
    }
    let body = rows.into_inner().expect("a list of bytes takes all");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"nhat-ky.csv\""),
    ];
    Ok((headers, body).into_response())
}
