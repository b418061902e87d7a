//! The audit trail: who did what, with filters, page by page, and as a table for a spreadsheet.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::people::Who;
use crate::reports::defused;
use crate::store::{ActFilter, ActRow, Actor, PersonRow};
use crate::web::frame::{Frame, PageError, moment};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::visible;

/// Acts on a page.
const SHOWN: u32 = 50;
/// Acts in one exported file.
const EXPORTED: u32 = 100_000;
/// Acts that are read at once.
const CHUNK: u32 = 1_000;

/// A choice of acts, as the form sends it.
#[derive(Debug, Default, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    ai: String,
    #[serde(default)]
    viec: String,
    /// Days as browsers send them: `2026-11-26`.
    #[serde(default)]
    tu: String,
    #[serde(default)]
    den: String,
    truoc: Option<i64>,
}

impl Chosen {
    fn filter(&self, limit: u32) -> ActFilter {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let day = |text: &str| {
            text.parse::<NaiveDate>().ok().map(|day| Wall::from_local(day.and_time(chrono::NaiveTime::MIN)))
        };
        ActFilter {
            actor: given(&self.ai),
            act: given(&self.viec),
            subject: None,
            from: day(&self.tu),
            until: day(&self.den).map(|at| at.plus(Span::secs(86_400))),
            before: self.truoc,
            limit,
        }
    }

    /// The address of the same choice, under another path.
    fn address(&self, path: &str, before: Option<i64>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("ai", &self.ai), ("viec", &self.viec), ("tu", &self.tu), ("den", &self.den)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(before) = before {
            query.append_pair("truoc", &before.to_string());
        }
        format!("{path}?{}", query.finish())
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(chosen): Query<Chosen>,
    frame: Frame,
    _who: Who,
) -> Result<Markup, PageError> {
    let acts = app.store.acts(chosen.filter(SHOWN)).await?;
    let people = app.store.people().await?;
    let title = frame.say("audit.title");
    let content = html! {
        h1 { (title) }
        p { (frame.say("audit.what")) }
        (filters(&frame, &chosen, &people))
        @if acts.is_empty() { p.mute { (frame.say("page.nothing")) } } @else { (table(&frame, &people, &acts)) }
        div.btns {
            @if let (Some(last), true) = (acts.last(), acts.len() == SHOWN as usize) {
                a.btn.sec href=(chosen.address("/ai-da-lam-gi", Some(last.id))) { (frame.say("audit.older")) }
            }
            a.btn.sec href=(chosen.address("/ai-da-lam-gi.csv", None)) { (frame.say("audit.export")) }
        }
    };
    Ok(frame.draw(&app, title, content))
}

fn filters(frame: &Frame, chosen: &Chosen, people: &[PersonRow]) -> Markup {
    let acts = frame.texts.section("act");
    html! {
        form.row method="get" action="/ai-da-lam-gi" {
            div { label for="ai" { (frame.say("audit.who")) }
                select #ai name="ai" {
                    option value="" { (frame.say("audit.everybody")) }
                    @for person in people {
                        option value=(person.id) selected[chosen.ai == person.id.as_str()] { (person.name) }
                    }
                } }
            div { label for="viec" { (frame.say("audit.act")) }
                select #viec name="viec" {
                    option value="" { (frame.say("audit.everything")) }
                    @for (code, words) in &acts { option value=(code) selected[chosen.viec == *code] { (words) } }
                } }
            div { label for="tu" { (frame.say("audit.from")) } input #tu name="tu" type="date" value=(chosen.tu); }
            div { label for="den" { (frame.say("audit.until")) } input #den name="den" type="date" value=(chosen.den); }
            div.btns.end { button.btn.sec { (frame.say("audit.show")) } }
        }
    }
}

/// Names a person by what others call them.
fn named<'a>(people: &'a [PersonRow], id: &'a str) -> &'a str {
    people.iter().find(|person| person.id.as_str() == id).map_or(id, |person| &person.name)
}

/// Names whoever acted: a person, or whoever sits at the machine itself.
fn actor<'a>(frame: &Frame, people: &'a [PersonRow], actor: &'a str) -> &'a str {
    if actor == Actor::Console.to_string() { frame.say("audit.console") } else { named(people, actor) }
}

fn table(frame: &Frame, people: &[PersonRow], acts: &[ActRow]) -> Markup {
    html! {
        table.t role="table" {
            thead role="rowgroup" { tr role="row" {
                @for key in ["audit.when", "audit.who", "audit.act", "audit.subject", "audit.change"] {
                    th role="columnheader" { (frame.say(key)) }
                }
            } }
            tbody role="rowgroup" {
                @for act in acts {
                    tr role="row" {
                        td role="cell" data-l=(frame.say("audit.when")) { (moment(act.at)) }
                        td role="cell" data-l=(frame.say("audit.who")) { (visible(actor(frame, people, &act.actor))) }
                        td role="cell" data-l=(frame.say("audit.act")) { (frame.texts.code("act", &act.act)) }
                        td role="cell" data-l=(frame.say("audit.subject")) {
                            @if act.act.starts_with("notice_") { a href={ "/tin/" (act.subject) } { (frame.say("audit.notice")) } }
                            @else { (visible(named(people, &act.subject))) } }
                        td role="cell" data-l=(frame.say("audit.change")) {
                            @if let Some(before) = &act.before { del { (visible(before)) } " " }
                            @if let Some(after) = &act.after { @if act.before.is_some() { ins { (visible(after)) } } @else { (visible(after)) } }
                        }
                    }
                }
            }
        }
    }
}

pub async fn export(
    State(app): State<Arc<App>>,
    Query(mut chosen): Query<Chosen>,
    frame: Frame,
    _who: Who,
) -> Result<Response, PageError> {
    let mut rows = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    let mut write = |row: [&str; 8]| rows.write_record(row.map(defused)).expect("a list of bytes takes all");
    write(["id", "at", "actor", "act", "subject", "before", "after", "from"]);
    let mut is_cut = true;
    for _ in 0..EXPORTED / CHUNK {
        let acts = app.store.acts(chosen.filter(CHUNK)).await?;
        for act in &acts {
            let (id, at) = (act.id.to_string(), act.at.to_string());
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (before, after, from) = (text(&act.before), text(&act.after), text(&act.from));
            write([&id, &at, &act.actor, &act.act, &act.subject, &before, &after, &from]);
        }
        chosen.truoc = acts.last().map(|act| act.id);
        if acts.len() < CHUNK as usize {
            is_cut = false;
            break;
        }
    }
    if is_cut {
        let said = frame.tell(&said!("audit.export_is_cut", max = EXPORTED));
        write(["", "", "", &said, "", "", "", ""]);
    }
    let body = rows.into_inner().expect("a list of bytes takes all");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ai-da-lam-gi.csv\""),
    ];
    Ok((headers, body).into_response())
}
