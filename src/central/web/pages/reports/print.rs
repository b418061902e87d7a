//! The report on paper, in the form of Decree 30/2020/NĐ-CP.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::asked::Asked;
use super::draw;
use crate::app::App;
use crate::reports::{Decree, decree};
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say};

pub async fn page(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    frame: Frame,
) -> Result<Response, PageError> {
    let report = match asked.report(&app).await? {
        Ok(report) if report.is_empty() => {
            return Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("report.empty")));
        }
        Ok(report) => report,
        Err(bad) => return Ok(refusal(&app, &frame, StatusCode::BAD_REQUEST, &bad.say())),
    };
    let decree = decree(&report, &app.settings.reporting);
    let back = html! {
        nav.tools {
            a href=(asked.address("/bao-cao")) { (frame.say("report.back")) }
            span { (frame.say("report.how_to_print")) }
        }
    };
    Ok(draw::paper(&decree.subject, &html! { (back) (sheet(&decree)) }).into_response())
}

fn sheet(decree: &Decree) -> Markup {
    let vi = |said: loaxa_heart::texts::Sentence| said.to(Lang::Vi);
    html! {
        main.sheet {
            div.nat {
                div {
                    p.office { (decree.office[0]) }
                    p.office.rule { b { (decree.office[1]) } }
                    p { (decree.number) }
                }
                div {
                    p.nation { (vi(said!("decree.nation"))) }
                    p { span.motto { (vi(said!("decree.motto"))) } }
                    p.dated { (decree.place_and_date) }
                }
            }
            h1 { (vi(said!("decree.title"))) }
            p.subject.rule { (decree.subject) }
            @if let Some(addressee) = &decree.addressee { p.to { (vi(said!("decree.to", addressee))) } }
            @for text in &decree.paragraphs { p.text { (text) } }
            @for grid in &decree.grids { (draw::on_paper(grid)) }
            p.text { (decree.proposals) }
            div.sig {
                div {
                    p.np { (vi(said!("decree.receivers"))) }
                    ul { @for receiver in &decree.receivers { li { (receiver) } } }
                }
                div.signer {
                    p { (vi(said!("decree.on_behalf"))) }
                    p { (vi(said!("decree.signer"))) }
                    p.space {}
                }
            }
        }
    }
}
