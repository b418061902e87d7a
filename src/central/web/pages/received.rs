//! Alerts that other authorities sent: what came, what became of it, and why something was passed over.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use crate::alerts::cap;
use crate::alerts::record::State as Stage;
use crate::app::App;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::{Kind, state};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::{Lang, visible};

/// Rows that are shown, the newest.
const SHOWN_MAX: usize = 200;

/// Adds the page.
pub fn add(pages: Pages) -> Pages {
    pages.page("/canh-bao/da-nhan", Needs::Person, get(page))
}

/// An alert that was taken, or a thing that was not.
struct Row {
    at: Wall,
    title: String,
    kind: Kind,
    stage: &'static str,
    why: Option<String>,
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    let mut rows = rows(&app, frame.lang).await?;
    let older = frame.cut(&mut rows, SHOWN_MAX);
    let columns = ["received.at", "received.what", "received.state", "received.why"];
    let content = html! {
        h1 { (frame.say("received.title")) }
        p { (frame.say("received.about")) }
        @if app.settings.cap.is_none() {
            p { (state(Kind::Unknown, frame.say("received.off"))) }
        } @else if rows.is_empty() {
            p { (state(Kind::Good, frame.say("received.nothing"))) }
        }
        @if !rows.is_empty() {
            table.t role="table" {
                thead role="rowgroup" { tr role="row" {
                    @for key in columns { th role="columnheader" scope="col" { (frame.say(key)) } }
                } }
                tbody role="rowgroup" {
                    @for row in &rows {
                        tr role="row" {
                            td role="cell" data-l=(frame.say(columns[0])) {
                                (row.at.local().format("%H:%M %d/%m/%Y"))
                            }
                            td role="cell" data-l=(frame.say(columns[1])) { (row.title) }
                            td role="cell" data-l=(frame.say(columns[2])) { (state(row.kind, frame.say(row.stage))) }
                            td role="cell" data-l=(frame.say(columns[3])) { (row.why.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        (older)
        p { a href="/canh-bao" { (frame.say("alarm_page.title")) } }
    };
    Ok(frame.draw(&app, frame.say("received.title"), content))
}

async fn rows(app: &App, lang: Lang) -> Result<Vec<Row>, PageError> {
    let of_language = |vi: &Option<String>, en: &Option<String>| match lang {
        Lang::Vi => vi.clone().or_else(|| en.clone()),
        Lang::En => en.clone(),
    };
    let taken = cap::list(app, None, SHOWN_MAX as u32 + 1).await?.alerts.into_iter().map(|(row, alert)| {
        let title = if alert.title.is_empty() { row.reference } else { alert.title };
        let (kind, stage) = shown(alert.state);
        let why = of_language(&alert.why_vi, &alert.why);
        Row { at: row.received, title: visible(&title).into_owned(), kind, stage, why }
    });
    let passed = cap::passed_over(app).await?.into_iter().map(|passed| Row {
        at: passed.last,
        title: visible(&passed.what).into_owned(),
        kind: Kind::Look,
        stage: "received.passed_over",
        why: of_language(&Some(passed.why_vi), &Some(passed.why)),
    });
    let mut rows: Vec<_> = taken.chain(passed).collect();
    rows.sort_by_key(|row| Reverse(row.at));
    Ok(rows)
}

/// The words for a state of an alert, and how it is to be looked at.
fn shown(stage: Stage) -> (Kind, &'static str) {
    match stage {
        Stage::Draft => (Kind::Look, "received.draft"),
        Stage::Sending => (Kind::Look, "received.sending"),
        Stage::Signing => (Kind::Look, "received.signing"),
        Stage::Sent => (Kind::Good, "received.sent"),
        Stage::Ended => (Kind::Unknown, "received.ended"),
        Stage::Ignored => (Kind::Unknown, "received.ignored"),
    }
}
