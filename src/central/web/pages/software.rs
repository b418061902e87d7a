//! The rollout of a release: its waves, what became of each box, and the buttons that pause it and let it go on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::boxes::keepers::{KEEPERS, may_keep};
use crate::app::App;
use crate::orders::refused::Refused;
use crate::orders::software::{self, Place, Standing};
use crate::people::Who;
use crate::store::{RolloutRow, RolloutState};
use crate::web::api::software::code;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::parts::{Kind, state};
use loaxa_heart::decide::rollout::Fate;
use loaxa_heart::domain::software::Hours;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

const SEES: Needs = Needs::Role(KEEPERS);

/// The address of the page.
const PAGE: &str = "/phan-mem";

/// Adds the page.
pub fn add(pages: Pages) -> Pages {
    pages
        .page(PAGE, SEES, get(page))
        .page("/phan-mem/tam-dung", SEES, post(pause))
        .page("/phan-mem/tiep-tuc", SEES, post(go_on))
        .page("/phan-mem/dot-sau", SEES, post(hurry))
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    let standing = software::standing(&app).await?;
    let title = frame.say("rollout.title");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p { (frame.say("rollout.what")) }
            @match &standing {
                None => p.mute { (frame.say("rollout.none")) },
                Some(standing) => (head(&frame, standing)),
            }
        }
        @if let Some(standing) = &standing { (waves(&app, &frame, standing)) }
    };
    Ok(frame.draw(&app, title, content))
}

async fn pause(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    if let Some(no) = not_all(&app, &frame, &who) {
        return Ok(no);
    }
    answer(&app, &frame, software::pause(&app, &who).await)
}

async fn go_on(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    if let Some(no) = not_all(&app, &frame, &who) {
        return Ok(no);
    }
    answer(&app, &frame, software::go_on(&app, &who).await)
}

async fn hurry(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    if let Some(no) = not_all(&app, &frame, &who) {
        return Ok(no);
    }
    answer(&app, &frame, software::hurry(&app, &who).await)
}

/// A rollout is the whole commune's: who keeps one village alone neither pauses it nor lets it go on.
fn not_all(app: &App, frame: &Frame, who: &Who) -> Option<Response> {
    let may = may_keep(app, who, &app.settings.top_groups());
    (!may).then(|| refusal(app, frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")))
}

fn answer(app: &App, frame: &Frame, done: Result<(), Refused>) -> Result<Response, PageError> {
    match done {
        Ok(()) => Ok(Redirect::to(PAGE).into_response()),
        Err(Refused::Store(error)) => Err(error.into()),
        Err(not) => Ok(refusal(app, frame, StatusCode::CONFLICT, &not.say())),
    }
}

fn head(frame: &Frame, standing: &Standing) -> Markup {
    let RolloutRow { plan, stage, begun, author, .. } = &standing.rollout;
    let count = |is: fn(Fate) -> bool| standing.places.iter().filter(|place| is(place.fate)).count();
    let (all, done) = (standing.places.len(), count(|fate| fate == Fate::Done));
    let failed = count(Fate::is_failure);
    let (kind, words) = match stage.state {
        RolloutState::Runs => (Kind::Normal, "rollout.runs"),
        RolloutState::Paused => (Kind::Look, "rollout.paused"),
        RolloutState::Stopped => (Kind::Bad, "rollout.stopped"),
        RolloutState::Finished => (Kind::Good, "rollout.finished"),
    };
    let more = (stage.ordered as usize) < plan.waves.len();
    html! {
        section.card.pad.stack {
            h2 { (frame.tell(&said!("rollout.release", release = plan.release))) }
            p { (state(kind, frame.say(words))) }
            p { (frame.tell(&said!("rollout.count", done, all, failed))) }
            @let max = plan.failures_max;
            @match stage.state {
                RolloutState::Finished => {},
                RolloutState::Stopped => p { (frame.tell(&said!("rollout.stopped_why", max))) },
                _ if failed > 0 => p { (frame.tell(&said!("rollout.stops_again_at", max))) },
                _ => p { (frame.tell(&said!("rollout.stops_at", max))) },
            }
            p.mute {
                @if author.is_empty() { (frame.tell(&said!("rollout.begun", at = moment(*begun)))) }
                @else { (frame.tell(&said!("rollout.begun_by", at = moment(*begun), author))) }
                " " (window(frame, plan.window))
            }
            @if plan.allow_downgrade { p { (state(Kind::Look, frame.say("rollout.downgrade"))) } }
            div.btns {
                @match stage.state {
                    RolloutState::Runs => {
                        form method="post" action="/phan-mem/tam-dung" { button.btn { (frame.say("rollout.pause")) } }
                        @if more {
                            form method="post" action="/phan-mem/dot-sau" { button.btn.sec { (frame.say("rollout.hurry")) } }
                        }
                    }
                    RolloutState::Paused | RolloutState::Stopped => {
                        form method="post" action="/phan-mem/tiep-tuc" { button.btn { (frame.say("rollout.go_on")) } }
                    }
                    RolloutState::Finished => {}
                }
            }
        }
    }
}

fn window(frame: &Frame, window: Option<Hours>) -> String {
    match window {
        Some(Hours { from, until }) => {
            let (from, until) = (from.format("%H:%M"), until.format("%H:%M"));
            frame.tell(&said!("rollout.window", from, until))
        }
        None => frame.say("rollout.any_hour").to_owned(),
    }
}

fn waves(app: &App, frame: &Frame, standing: &Standing) -> Markup {
    let RolloutRow { plan, stage, .. } = &standing.rollout;
    html! {
        @for (nth, groups) in plan.waves.iter().enumerate() {
            @let titles = groups.iter().map(|group| app.title_of(group)).collect::<Vec<_>>().join(", ");
            section.stack {
                h2 { (frame.tell(&said!("rollout.wave", number = nth + 1, groups = titles))) }
                @let is_begun = nth < stage.ordered as usize;
                @if !is_begun { p.mute { (frame.say("rollout.not_yet")) } }
                @let places: Vec<_> = standing.places.iter().filter(|place| place.wave == nth).collect();
                @if places.is_empty() { p.mute { (frame.say("page.nothing")) } } @else {
                    ul.list { @for place in places { li.row.apart { (one(frame, place, is_begun)) } } }
                }
            }
        }
    }
}

/// Draws a box, and what became of it where its wave has begun.
fn one(frame: &Frame, place: &Place, is_begun: bool) -> Markup {
    let kind = match place.fate {
        Fate::Done => Kind::Good,
        Fate::Failed | Fate::Silent => Kind::Bad,
        Fate::Refused => Kind::Look,
        Fate::Ordered => Kind::Unknown,
        Fate::Underway(_) => Kind::Normal,
    };
    let fate = frame.texts.code("rollout_fate", code(place.fate));
    let why = place.why.as_ref().map(|why| frame.texts.code("rollout_why", why));
    html! {
        span {
            a href={ "/cum-loa/" (place.row.id) } { b { (place.row.title) } }
            @if let Some(software) = &place.row.software {
                br; span.mute { (frame.tell(&said!("rollout.runs_now", software))) }
            }
        }
        @if is_begun { span {
            (state(kind, fate))
            @if let Some(why) = why { br; span.mute { (why) } }
        } }
    }
}
