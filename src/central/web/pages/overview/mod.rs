//! The overview: what needs a person, what sounds, how the villages are, and what comes next. Nothing on it starts or
//! stops sound.

mod draw;
mod gather;
mod map;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use self::draw::overview;
use self::gather::{Seen, gather};
use crate::app::App;
use crate::people::Who;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, LIVE, PageError};
use crate::web::pages::people::changed_keys::lately;
use crate::web::shared::Shared;

/// The fragment that is drawn anew when something changes.
const FRAGMENT: &str = "/fragments/tong-quan";

/// Events at which the page asks for the fragment; `live.js` makes them.
const EVENTS: &str =
    "boxes from:body, alarms from:body, announcements from:body, minute from:body, shown from:body";

/// Adds the page, and what it draws anew.
pub fn add(pages: Pages) -> Pages {
    let shared = Extension(Arc::<Shared<Seen>>::default());
    pages.page("/", Needs::Person, get(page).layer(shared.clone())).page(
        FRAGMENT,
        Needs::Person,
        get(fragment).layer(shared),
    )
}

async fn page(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared<Seen>>>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let seen = shared.get(&app.changes, gather(&app)).await?;
    let content = html! {
        (lately(&app, &frame, &who).await?)
        div.live #tong-quan hx-get=(FRAGMENT) hx-trigger=(EVENTS) {
            (overview(&app, &frame, &who, &seen))
        }
    };
    Ok(frame.draw_with(&app, frame.say("page.home"), &[LIVE], content))
}

async fn fragment(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared<Seen>>>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let seen = shared.get(&app.changes, gather(&app)).await?;
    Ok(overview(&app, &frame, &who, &seen))
}
