//! Parts of the pages of emergencies: steps and places.

use maud::{Markup, html};

use crate::app::App;
use crate::orders::emergency::NotEmergency;
use crate::store::{BoxRow, MessageRow, StoreError};
use crate::web::frame::Frame;
use crate::web::parts::icon;
use axum::http::StatusCode;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// The steps from choosing to the air, the present one marked.
pub fn steps(frame: &Frame, at: usize) -> Markup {
    let all = [
        ("menu", "emergency.step_choose"),
        ("person", "emergency.step_second"),
        ("wave", "emergency.step_air"),
    ];
    html! {
        ol.steps {
            @for (index, (drawing, words)) in all.into_iter().enumerate() {
                li.done[index < at] aria-current=[(index == at).then_some("step")] {
                    (icon(if index < at { "ok" } else { drawing })) span { (frame.say(words)) }
                }
            }
        }
    }
}

/// The title of a place.
pub fn title_of<'a>(app: &'a App, id: &'a GroupId) -> &'a str {
    let known = app.settings.groups.iter().find(|group| group.id == *id);
    known.map_or(id.as_str(), |group| group.title.as_str())
}

/// The titles of places, with commas.
pub fn titles(app: &App, groups: &[GroupId]) -> String {
    groups.iter().map(|id| title_of(app, id)).collect::<Vec<_>>().join(", ")
}

/// The boxes of these places.
pub fn boxes_in<'b>(app: &App, boxes: &'b [BoxRow], groups: &[GroupId]) -> Vec<&'b BoxRow> {
    let inside = |row: &&BoxRow| app.groups_of(&row.groups).iter().any(|group| groups.contains(group));
    boxes.iter().filter(inside).collect()
}

/// The way in which a message sounds, in words.
pub fn how(frame: &Frame, message: &MessageRow) -> String {
    let (seconds, times) = (message.ms.div_ceil(1_000), message.repeat);
    frame.tell(&match message.siren {
        true => said!("emergency.how_with_siren", seconds, times),
        false => said!("emergency.how_with_chime", seconds, times),
    })
}

/// A time of day to the second.
pub fn second(at: Wall) -> String {
    at.local().format("%H:%M:%S").to_string()
}

/// The status of a refusal.
pub fn status_of(not: &NotEmergency) -> StatusCode {
    match not {
        NotEmergency::NoSuchCall => StatusCode::NOT_FOUND,
        NotEmergency::NotYours | NotEmergency::NotYourKey | NotEmergency::Own => StatusCode::FORBIDDEN,
        NotEmergency::Past(_) => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Passes on what is the store's fault.
///
/// # Errors
/// Gives the store's error.
pub fn unless_store(not: NotEmergency) -> Result<NotEmergency, StoreError> {
    match not {
        NotEmergency::Store(error) => Err(error),
        not => Ok(not),
    }
}
