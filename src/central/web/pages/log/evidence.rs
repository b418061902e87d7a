//! Evidence to take along: the log with the boxes' signatures and keys in one file, a page that checks it without this
//! server, and the day's hash of all logs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body::{Body as HttpBody, Frame as DataFrame};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::app::App;
use crate::store::{AnchorPage, LogFilter, PrunedLog, ROWS_MAX, SharedStore, StoreError};
use crate::web::frame::{Frame, PageError, moment};
use crate::web::parts::icon;

/// Anchors on the page.
const SHOWN: u32 = 60;
/// Pages of the log that wait for a slow reader.
const PAGES_AHEAD: usize = 2;

/// The checker: a page without a server, with the signature's arithmetic in it.
const CHECKER: &str = include_str!("../../assets/kiem-tra.html");
const NOBLE: &str = include_str!("../../assets/noble/ed25519.js");
const NOBLE_MARK: &str = "/*NOBLE*/";

/// A page of anchors; a day that is not understood chooses the first.
#[derive(Deserialize)]
pub struct Chosen {
    #[serde(default)]
    truoc: String,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(chosen): Query<Chosen>,
    frame: Frame,
) -> Result<Markup, PageError> {
    let now = app.now();
    let today = app.store.keep_anchor(now.date(), now).await?;
    let AnchorPage { anchors, next } = app.store.anchors(chosen.truoc.parse().ok(), false, SHOWN).await?;
    let title = frame.say("evidence.title");
    let content = html! {
        h1 { (title) }
        p.narrow { (frame.say("evidence.what")) }
        div.btns {
            a.btn href="/bang-chung/nhat-ky.jsonl" { (icon("down")) (frame.say("evidence.export")) }
            a.btn.sec href="/bang-chung/kiem-tra.html" { (icon("down")) (frame.say("evidence.checker")) }
        }
        section.stack aria-labelledby="ha" {
            h2 #ha { (frame.say("evidence.anchors")) }
            p.narrow { (frame.say("evidence.anchors_what")) }
            p.card { b { (today.day.format("%d/%m/%Y")) } br; span.num.breaks { (today.hash) } }
            table.t role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (frame.say("evidence.day")) }
                    th role="columnheader" scope="col" { (frame.say("evidence.made")) }
                    th role="columnheader" scope="col" { (frame.say("evidence.hash")) }
                } }
                tbody role="rowgroup" { @for anchor in &anchors { tr role="row" {
                    td role="cell" data-l=(frame.say("evidence.day")) { (anchor.day.format("%d/%m/%Y")) }
                    td role="cell" data-l=(frame.say("evidence.made")) { (moment(anchor.made)) }
                    td.breaks role="cell" data-l=(frame.say("evidence.hash")) { (anchor.hash) }
                } } }
            }
            @if let Some(day) = next {
                p { a href={ "/bang-chung?truoc=" (day) } { (frame.say("log_page.more")) } }
            }
        }
    };
    Ok(frame.draw(&app, title, content))
}

/// Sends everything, page by page: keys, anchors and what was deleted first, then every log.
pub async fn export(State(app): State<Arc<App>>) -> Result<Response, PageError> {
    let keys = app.store.boxes().await?.into_iter().filter_map(|row| Some((row.id, row.key?)));
    let keys =
        keys.map(|(id, key)| format!("{}\n", json!({ "key": { "box": id, "public": key } }))).collect();
    let (send, receive) = mpsc::channel::<Result<Bytes, std::io::Error>>(PAGES_AHEAD);
    let store = Arc::clone(&app.store);
    tokio::spawn(async move {
        if let Err(error) = send_all(&store, keys, &send).await {
            // An export that breaks off must not look whole.
            drop(send.send(Err(std::io::Error::other(error))).await);
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"nhat-ky.jsonl\""),
    ];
    Ok((headers, Body::new(Parts(receive))).into_response())
}

/// Sends the pages of an export for as long as somebody takes them.
async fn send_all(
    store: &SharedStore,
    keys: String,
    send: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> Result<(), StoreError> {
    let mut page = keys;
    let mut before = None;
    loop {
        let anchors = store.anchors(before, true, ROWS_MAX).await?;
        page.extend(anchors.anchors.into_iter().map(|anchor| {
            let (day, hash, heads) = (anchor.day, anchor.hash, anchor.heads);
            format!("{}\n", json!({ "anchor": { "day": day, "hash": hash, "heads": heads } }))
        }));
        before = anchors.next;
        if before.is_none() {
            break;
        }
        if send.send(Ok(Bytes::from(std::mem::take(&mut page)))).await.is_err() {
            return Ok(());
        }
    }
    page.extend(store.pruned_logs().await?.iter().map(PrunedLog::lines));
    let mut after = 0;
    while send.send(Ok(Bytes::from(std::mem::take(&mut page)))).await.is_ok() {
        let filter = LogFilter { after: Some(after), limit: ROWS_MAX, ..LogFilter::default() };
        let rows = store.log(filter).await?;
        let Some(last) = rows.last() else { break };
        after = last.cursor;
        for row in rows {
            page.push_str(&row.body);
            page.push('\n');
            if let Some(head) = row.head {
                page.push_str(&format!("{{\"head\":{head}}}\n"));
            }
        }
    }
    Ok(())
}

/// The parts of a file as they come; an error breaks it off.
struct Parts(mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<DataFrame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(DataFrame::data)))
    }
}

pub async fn checker() -> impl IntoResponse {
    // In one script nothing is imported.
    let arithmetic = NOBLE.split("\nexport {").next().unwrap_or_default();
    let page = CHECKER.replace(NOBLE_MARK, arithmetic);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"kiem-tra-nhat-ky.html\""),
    ];
    (headers, Body::from(page))
}
