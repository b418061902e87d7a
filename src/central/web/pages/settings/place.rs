//! A group as staff describe it: its name, its households, and where it lies.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::merge_form;
use crate::app::App;
use crate::changes::Changed;
use crate::people::Who;
use crate::store::{NewAct, PlaceRow, Role};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use crate::web::pages::point::{point_fields, read_point};
use crate::web::parts::icon;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::said;

const TITLE_CHARS_MAX: usize = 120;
const HOUSEHOLDS_MAX: u32 = 100_000;

/// Finds a group that the person administers.
///
/// # Errors
/// Answers why not, where there is none or it is not theirs.
pub fn mine(app: &App, frame: &Frame, who: &Who, group: &str) -> Result<GroupId, PageError> {
    let no = |status, said| Err(refusal(app, frame, status, &said).into());
    match app.settings.groups.iter().find(|it| it.id.as_str() == group) {
        None => no(StatusCode::NOT_FOUND, said!("place.no_such")),
        Some(group) if !who.may(app, Role::Administrator, std::slice::from_ref(&group.id)) => {
            no(StatusCode::FORBIDDEN, said!("page.not_your_group"))
        }
        Some(group) => Ok(group.id.clone()),
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let group = mine(&app, &frame, &who, &group)?;
    draw(&app, &frame, &who, &group, &Faults::default(), None).await
}

pub async fn keep(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let group = mine(&app, &frame, &who, &group)?;
    let mut faults = Faults::default();
    let title = sent.get("ten").trim().to_owned();
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
        faults.add("ten", said!("place.bad_title", max = TITLE_CHARS_MAX));
    }
    let typed = sent.get("so-ho").trim();
    let households = typed.replace('.', "").parse::<u32>().ok().filter(|count| *count <= HOUSEHOLDS_MAX);
    if households.is_none() && !typed.is_empty() {
        faults.add("so-ho", said!("place.bad_households", max = HOUSEHOLDS_MAX));
    }
    let point = read_point(&sent).unwrap_or_else(|(field, said)| {
        faults.add(field, said);
        None
    });
    if !faults.is_empty() {
        return draw(&app, &frame, &who, &group, &faults, Some(&sent)).await;
    }
    let is_configured = app.settings.groups.iter().any(|it| it.id == group && it.title == title);
    let (before, after) = (Some(app.title_of(&group)), Some(title.clone()));
    let act = NewAct { before, after, ..who.act("place_changed", group.as_str()) };
    let title = (!is_configured).then_some(title);
    app.store.set_place(PlaceRow { group, title, households, point }, act).await?;
    app.read_places().await?;
    app.changes.tell(Changed::Boxes);
    Ok(Redirect::to("/cai-dat").into_response())
}

pub async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    group: &GroupId,
    faults: &Faults,
    sent: Option<&Sent>,
) -> Result<Response, PageError> {
    let place = app.store.places().await?.into_iter().find(|place| place.group == *group);
    let households = place.as_ref().and_then(|place| place.households);
    let typed = |name, kept: String| sent.map_or(kept, |sent| sent.get(name).to_owned());
    let (title, count) = (app.title_of(group), households.map(|count| count.to_string()));
    let (name, count) = (typed("ten", title.clone()), typed("so-ho", count.unwrap_or_default()));
    let nothing = Sent(Vec::new());
    let content = html! {
        div {
            a.back href="/cai-dat" { (icon("back")) (frame.say("place.title")) }
            h1 { (title) }
        }
        (faults.summary(frame))
        form.stack.narrow method="post" action={ "/cai-dat/noi/" (group) } {
            (Input::text("ten", frame.say("place.name"), &name).draw(frame, faults))
            (Input { required: false, ..Input::text("so-ho", frame.say("place.households"), &count) }.draw(frame, faults))
            (point_fields(frame, place.and_then(|place| place.point), faults, sent.unwrap_or(&nothing)))
            div.btns { button.btn { (frame.say("place.save")) } }
        }
        (merge_form::form(app, frame, who, group, faults))
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, frame.draw(app, &title, content)).into_response())
}
