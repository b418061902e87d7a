//! Times for which things are kept, the room that they take, and what goes when.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::reports::due;
use crate::store::{KeepingRule, NewAct, Perishable, PrunedRow};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment};
use crate::web::pages::whole_commune::refused_to_village;
use loaxa_heart::said;

/// A number of the rule: its field, the words beside it, and its bounds.
struct Term {
    field: &'static str,
    label: &'static str,
    hint: &'static str,
    bounds: (u32, u32),
    of: fn(&mut KeepingRule) -> &mut u32,
}

/// A log is kept until the last late log of its days can have come, which is 400 days, and the audit trail a year.
const TERMS: [Term; 8] = [
    Term {
        field: "nhat-ky",
        label: "keeping.log",
        hint: "keeping.log_why",
        bounds: (14, 240),
        of: |rule| &mut rule.log_months,
    },
    Term {
        field: "am-thanh",
        label: "keeping.audio",
        hint: "keeping.audio_why",
        bounds: (1, 240),
        of: |rule| &mut rule.audio_months,
    },
    Term {
        field: "nhap",
        label: "keeping.drafts",
        hint: "keeping.drafts_why",
        bounds: (1, 60),
        of: |rule| &mut rule.draft_months,
    },
    Term {
        field: "gop-y",
        label: "keeping.feedback",
        hint: "keeping.feedback_why",
        bounds: (7, 730),
        of: |rule| &mut rule.feedback_days,
    },
    Term {
        field: "viec-lam",
        label: "keeping.acts",
        hint: "keeping.acts_why",
        bounds: (13, 240),
        of: |rule| &mut rule.act_months,
    },
    Term {
        field: "lenh",
        label: "keeping.orders",
        hint: "keeping.orders_why",
        bounds: (14, 240),
        of: |rule| &mut rule.order_months,
    },
    Term {
        field: "thu",
        label: "keeping.outgoing",
        hint: "keeping.outgoing_why",
        bounds: (1, 60),
        of: |rule| &mut rule.outgoing_months,
    },
    Term {
        field: "tra-loi",
        label: "keeping.answer",
        hint: "keeping.answer_why",
        bounds: (1, 30),
        of: |rule| &mut rule.answer_days,
    },
];

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    draw(&app, &frame, &who, &Faults::default(), None).await
}

pub async fn keep(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if let Some(no) = refused_to_village(&app, &frame, &who) {
        return Ok(no);
    }
    let mut faults = Faults::default();
    let before = app.store.keeping_rule().await?;
    let mut rule = before;
    for term in &TERMS {
        let (least, most) = term.bounds;
        match sent.get(term.field).trim().parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => *(term.of)(&mut rule) = number,
            _ => faults.add(term.field, said!("keeping.bad_number", least, most)),
        }
    }
    if !faults.is_empty() {
        return draw(&app, &frame, &who, &faults, Some(&sent)).await;
    }
    if rule != before {
        let act = NewAct {
            before: Some(in_words(&frame, before)),
            after: Some(in_words(&frame, rule)),
            ..who.act("keeping_set", "")
        };
        app.store.set_keeping_rule(rule, act).await?;
    }
    Ok(Redirect::to("/cai-dat/luu-giu").into_response())
}

fn in_words(frame: &Frame, mut rule: KeepingRule) -> String {
    let term = |term: &Term| format!("{}: {}", frame.say(term.label), (term.of)(&mut rule));
    TERMS.iter().map(term).collect::<Vec<_>>().join("; ")
}

async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    faults: &Faults,
    sent: Option<&Sent>,
) -> Result<Response, PageError> {
    let mut rule = app.store.keeping_rule().await?;
    let complained = app.store.complained_since().await?;
    let goes = due(&rule, who.now, complained);
    let pruned = app.store.pruned().await?;
    let title = frame.say("keeping.title");
    let fields = TERMS.iter().map(|term| {
        let kept = (term.of)(&mut rule).to_string();
        let value = sent.map_or(kept, |sent| sent.get(term.field).to_owned());
        let input = Input {
            hint: Some(frame.say(term.hint)),
            class: Some("w-time"),
            ..Input::text(term.field, frame.say(term.label), &value)
        };
        input.draw(frame, faults)
    });
    let fields: Vec<Markup> = fields.collect();
    let content = html! {
        div.narrow.stack { h1 { (title) } p { (frame.say("keeping.what")) } (faults.summary(frame)) }
        (room(app, frame).await?)
        section.stack aria-labelledby="h-xoa" {
            h2 #h-xoa { (frame.say("keeping.goes")) }
            ul.list { @for (kept, before) in goes { (one_kind(frame, kept, before.date().format("%d/%m/%Y").to_string(), &pruned)) } }
            @if complained.is_some_and(|about| about.date() < goes[0].1.date().succ_opt().unwrap_or_default().succ_opt().unwrap_or_default()) {
                p.note.k-look { (frame.say("keeping.held")) }
            }
            p.mute.narrow { (frame.say("keeping.for_ever")) }
        }
        section.stack.narrow aria-labelledby="h-han" {
            h2 #h-han { (frame.say("keeping.terms")) }
            form.stack method="post" action="/cai-dat/luu-giu" {
                @for field in &fields { (field) }
                div.btns { button.btn { (frame.say("keeping.save")) } }
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, frame.draw(app, title, content)).into_response())
}

fn one_kind(frame: &Frame, kept: Perishable, date: String, pruned: &[PrunedRow]) -> Markup {
    let gone = pruned.iter().find(|row| row.kept == kept);
    html! {
        li.row.apart {
            span { b { (frame.texts.code("kept", kept.code())) } br; (frame.tell(&said!("keeping.older_than", date))) }
            span.mute {
                @match gone {
                    Some(row) => (frame.tell(&said!("keeping.gone", count = row.rows, at = moment(row.at)))),
                    None => (frame.say("keeping.nothing_gone")),
                }
            }
        }
    }
}

/// Tells what takes how much of the disk.
async fn room(app: &App, frame: &Frame) -> Result<Markup, PageError> {
    let rooms = app.store.room().await?;
    let all: u64 = rooms.iter().map(|room| room.bytes).sum();
    Ok(html! {
        section.stack aria-labelledby="h-cho" {
            h2 #h-cho { (frame.say("keeping.room")) }
            @match rooms.first() {
                None => p.mute { (frame.say("keeping.not_measured")) },
                Some(first) => {
                    p.lead { (frame.tell(&said!("keeping.in_all", mb = megabytes(all)))) }
                    table.t role="table" {
                        thead role="rowgroup" { tr role="row" {
                            th role="columnheader" scope="col" { (frame.say("keeping.thing")) }
                            th.r role="columnheader" scope="col" { "MB" }
                        } }
                        tbody role="rowgroup" { @for room in &rooms { tr role="row" {
                            th role="rowheader" scope="row" { (frame.texts.code("room", &room.what)) }
                            td.r role="cell" data-l="MB" { (megabytes(room.bytes)) }
                        } } }
                    }
                    p.mute { (frame.tell(&said!("keeping.measured", at = moment(first.measured)))) }
                },
            }
        }
    })
}

/// Megabytes with one decimal, as they are written here.
fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{},{}", crate::reports::number(tenths / 10), tenths % 10)
}
