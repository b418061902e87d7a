//! The report on the screen: one answer, numbers that add up, charts each with its table.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, Months, NaiveDate};
use maud::{Markup, html};

use super::asked::Asked;
use super::draw;
use crate::app::App;
use crate::reports::{BadPeriod, Period, Report, grids, number, percent};
use crate::store::CampaignRow;
use crate::web::frame::{Frame, PageError, moment};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Months, quarters and years to choose from.
const MONTHS: u32 = 13;
const QUARTERS: usize = 6;
const YEARS: i32 = 3;

pub async fn page(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    frame: Frame,
) -> Result<Response, PageError> {
    let campaigns = app.store.campaigns().await?;
    let form = form(&frame, &asked, &campaigns, app.now().date());
    let mut made = app.store.made_reports().await?;
    let older = frame.cut(&mut made, MONTHS as usize);
    let made = html! {
        @if !made.is_empty() {
            section.stack aria-labelledby="h-made" {
                h2 #h-made { (frame.say("report.made")) }
                ul.list { @for (month, at) in &made {
                    li.row.apart {
                        a href={ "/bao-cao?ky=" (month) } { (named(&frame, month)) }
                        span.mute { (frame.tell(&said!("report.made_at", at = moment(*at)))) }
                    }
                } }
                (older)
            }
        }
    };
    let (status, title, content) = match asked.report(&app).await? {
        Ok(report) => {
            let title = frame.tell(&said!("report.title_of", period = report.period.named()));
            (
                StatusCode::OK,
                title.clone(),
                html! { (content(&frame, &asked, &report, &title, &form)) (made) },
            )
        }
        Err(bad) => {
            let title = frame.say("report.title").to_owned();
            let status = match bad {
                BadPeriod::NotBegun { .. } => StatusCode::OK,
                BadPeriod::Unreadable(_) | BadPeriod::NoCampaign(_) => StatusCode::BAD_REQUEST,
            };
            let said = html! { h1 { (title) } (form) p.note.k-look role="alert" { (frame.tell(&bad.say())) } (made) };
            (status, title, said)
        }
    };
    Ok((status, frame.draw(&app, &title, content)).into_response())
}

fn named(frame: &Frame, month: &str) -> String {
    Period::parse(month).map_or_else(|_| month.to_owned(), |period| frame.tell(&period.named()))
}

fn content(frame: &Frame, asked: &Asked, report: &Report, title: &str, form: &Markup) -> Markup {
    let total = &report.total;
    let places = said!(
        "report.places",
        commune = report.commune,
        villages = number(report.villages),
        boxes = number(report.boxes)
    );
    html! {
        div.row.apart {
            div { h1 { (title) } p.mute { (frame.tell(&places)) } }
            @if !report.is_empty() { div.btns {
                a.btn href=(asked.address("/bao-cao/in")) { (icon("print")) (frame.say("report.print")) }
                a.btn.sec href=(asked.address("/bao-cao.xlsx")) { (icon("down")) (frame.say("report.xlsx")) }
                a.btn.sec href=(asked.address("/bao-cao.docx")) { (icon("down")) (frame.say("report.docx")) }
                a.btn.sec href=(asked.address("/bao-cao.csv")) { (icon("down")) (frame.say("report.csv")) }
            } }
        }
        (form)
        @if report.is_empty() { p.note.k-unk { (frame.say("report.empty")) } } @else {
            @if total.planned == 0 { p.lead { (frame.say("report.nothing_planned")) } } @else { p.lead {
                b { (frame.tell(&said!("report.answer", share = percent(total.aired, total.planned)))) } " "
                (frame.tell(&said!("report.rest", missed = percent(total.missed, total.planned), unknown = percent(total.unknown, total.planned))))
            } }
            (sums(frame, report))
            (notes(frame, report))
            @for grid in grids(report, frame.lang) { (draw::section(frame, &grid)) }
            (draw::reasons(frame, &report.missed))
        }
    }
}

fn sums(frame: &Frame, report: &Report) -> Markup {
    let total = &report.total;
    let part = |kind: Kind, words: &'static str, minutes: u64| {
        html! { div.(kind.class()) { dt { (state(kind, frame.say(words))) } dd { (number(minutes)) } } }
    };
    let [aired, missed, unknown, planned] =
        [total.aired, total.missed, total.unknown, total.planned].map(number);
    html! {
        dl.sum {
            div { dt { (frame.say("report.planned")) } dd { (number(total.planned)) } }
            (part(Kind::Good, "report.aired", total.aired))
            (part(Kind::Bad, "report.missed", total.missed))
            (part(Kind::Unknown, "report.unknown", total.unknown))
        }
        p.mute { (frame.tell(&said!("report.adds_up", aired, missed, unknown, planned))) }
    }
}

/// Notes that a reader of the numbers must know.
fn notes(frame: &Frame, report: &Report) -> Markup {
    let reach = &report.reach;
    html! {
        @if report.counted_until < report.until {
            p.note { (frame.tell(&said!("report.until", date = report.counted_until.format("%d/%m/%Y")))) }
        }
        @if let Some(since) = report.kept_since {
            p.note { (frame.tell(&said!("report.kept_since", date = since.format("%d/%m/%Y")))) }
        }
        @if report.total.extra > 0 {
            p.note { (frame.tell(&said!("report.extra", minutes = number(report.total.extra)))) }
        }
        @for late in &report.supplements {
            p.note.k-look {
                (frame.tell(&said!("report.supplemented", date = late.on.format("%d/%m/%Y"), title = late.box_title, days = late.days)))
            }
        }
        @if reach.households > 0 {
            p {
                (frame.tell(&said!("report.reach", reached = number(reach.reached), households = number(reach.households), minutes = number(reach.minutes_each))))
                @if reach.villages_without > 0 {
                    " " (frame.tell(&said!("report.without_households", count = reach.villages_without)))
                }
            }
        } @else { p.mute { (frame.say("report.no_households")) } }
    }
}

fn form(frame: &Frame, asked: &Asked, campaigns: &[CampaignRow], today: NaiveDate) -> Markup {
    let months =
        (0..MONTHS).filter_map(|back| today.checked_sub_months(Months::new(back))).map(Period::month_of);
    let this = Period::Quarter { year: today.year(), quarter: today.month0() / 3 + 1 };
    let quarters = std::iter::successors(Some(this), Period::before).take(QUARTERS);
    let years = (0..YEARS).map(|back| Period::Year(today.year() - back));
    let choices: Vec<Period> = months.chain(quarters).chain(years).collect();
    let is_known = choices.iter().any(|period| period.to_string() == asked.ky);
    html! {
        form.card.stack method="get" action="/bao-cao" {
            div.row {
                div { label for="ky" { (frame.say("report.period")) }
                    select #ky name="ky" {
                        @if !asked.ky.is_empty() && !is_known { option value=(asked.ky) selected { (asked.ky) } }
                        @for period in &choices {
                            option value=(period) selected[period.to_string() == asked.ky] { (frame.tell(&period.named())) }
                        }
                    } }
                div { label for="dot" { (frame.say("report.or_campaign")) }
                    select #dot name="dot" {
                        option value="" { (frame.say("report.no_campaign")) }
                        @for row in campaigns { option value=(row.id) selected[row.id.as_str() == asked.dot] { (row.title) } }
                    } }
                div.btns.end { button.btn.sec { (frame.say("report.show")) } }
            }
        }
    }
}
