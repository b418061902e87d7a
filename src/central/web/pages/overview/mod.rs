//! The overview: what needs a person, what sounds, how the villages are, and what comes next. Nothing on it starts or
//! stops sound.

mod draw;
mod gather;
mod map;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError};

/// The fragment that is drawn anew when something changes.
const FRAGMENT: &str = "/fragments/tong-quan";

/// Events at which the page asks for the fragment; `live.js` makes them.
const EVENTS: &str = "boxes from:body, alarms from:body, announcements from:body, minute from:body, shown from:body, signed-out from:body";

/// Adds the page, and what it draws anew.
pub fn add(pages: Pages) -> Pages {
    pages.page("/", Needs::Person, get(page)).page(FRAGMENT, Needs::Person, get(fragment))
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let seen = gather::gather(&app).await?;
    let content = html! {
        p.note.k-look data-live-lost hidden role="status" { (frame.say("overview.cut_off")) }
        div.live #tong-quan hx-get=(FRAGMENT) hx-trigger=(EVENTS) hx-swap="innerHTML" {
            (draw::overview(&app, &frame, &who, &seen))
        }
    };
    Ok(frame.draw_with(&app, frame.say("page.home"), &["/assets/live.js"], content))
}

async fn fragment(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let seen = gather::gather(&app).await?;
    Ok(draw::overview(&app, &frame, &who, &seen))
}
