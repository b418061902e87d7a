//! A programme of a place and one of its slots, as an address or a form names them.

use std::sync::Arc;

use axum::http::StatusCode;

use super::address::Address;
use crate::app::App;
use crate::programmes::NotProposal;
use crate::programmes::week::{self, Scene, Shown};
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::domain::programme::{DayRule, Slot};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// A programme of a place, and one of its slots; `None` for a slot that is to be added.
pub struct Asked {
    pub address: Address,
    pub scene: Scene,
    pub shown: Shown,
    pub slot: Option<Slot>,
}

/// Finds what a page or a form is about.
///
/// # Errors
/// Answers why there is nothing.
pub async fn asked(
    app: &Arc<App>,
    frame: &Frame,
    address: Address,
    programme: &str,
    slot: &str,
) -> Result<Asked, PageError> {
    let gone = |said: Sentence| refusal(app, frame, StatusCode::NOT_FOUND, &said);
    let scene = match week::scene(app, &address.group, true).await {
        Ok(scene) => scene,
        Err(NotProposal::Store(error)) => return Err(error.into()),
        Err(not) => return Err(gone(not.say()).into()),
    };
    let found = programme.parse().ok().and_then(|id| scene.programme(&id)).or(scene.shown.first()).cloned();
    let Some(shown) = found else { return Err(gone(said!("proposal.no_such")).into()) };
    let slot = match slot {
        "" => None,
        id => match shown.programme.slots.iter().find(|it| it.id.as_str() == id) {
            Some(slot) => Some(slot.clone()),
            None => return Err(gone(said!("week.no_slot")).into()),
        },
    };
    Ok(Asked { address, scene, shown, slot })
}

/// Tells whether a slot is one of a single day.
pub fn is_single(slot: &Slot) -> bool {
    matches!(slot.days.rules[..], [DayRule::Date(_)])
}
