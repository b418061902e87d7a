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
use tokio::sync::Mutex;

use self::draw::overview;
use self::gather::{Seen, gather};
use crate::app::App;
use crate::people::Who;
use crate::store::StoreError;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError};
use crate::web::pages::people::changed_keys::lately;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// The fragment that is drawn anew when something changes.
const FRAGMENT: &str = "/fragments/tong-quan";

/// Events at which the page asks for the fragment; `live.js` makes them.
const EVENTS: &str = "boxes from:body, alarms from:body, announcements from:body, minute from:body, shown from:body, signed-out from:body";

/// Time for which all who ask share what was read, as long as no change was told.
const GOOD_FOR: Span = Span::secs(1);

/// The overview's content, as it was read last. Many pages ask in the moment in which something changes.
#[derive(Default)]
struct Shared(Mutex<Option<(u64, Moment, Arc<Seen>)>>);

impl Shared {
    async fn gather(&self, app: &App) -> Result<Arc<Seen>, StoreError> {
        let mut kept = self.0.lock().await;
        let (told, now) = (app.changes.told(), monotonic());
        if let Some((at, made, seen)) = &*kept
            && *at == told
            && now.since(*made) < GOOD_FOR
        {
            return Ok(Arc::clone(seen));
        }
        let seen = Arc::new(gather(app).await?);
        *kept = Some((told, now, Arc::clone(&seen)));
        Ok(seen)
    }
}

/// Adds the page, and what it draws anew.
pub fn add(pages: Pages) -> Pages {
    let shared = Extension(Arc::<Shared>::default());
    pages.page("/", Needs::Person, get(page).layer(shared.clone())).page(
        FRAGMENT,
        Needs::Person,
        get(fragment).layer(shared),
    )
}

async fn page(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let seen = shared.gather(&app).await?;
    let content = html! {
        (lately(&app, &frame, &who).await?)
        p.note.k-look data-live-lost hidden role="status" { (frame.say("overview.cut_off")) }
        div.live #tong-quan hx-get=(FRAGMENT) hx-trigger=(EVENTS) {
            (overview(&app, &frame, &who, &seen))
        }
    };
    Ok(frame.draw_with(&app, frame.say("page.home"), &["/assets/live.js"], content))
}

async fn fragment(
    State(app): State<Arc<App>>,
    Extension(shared): Extension<Arc<Shared>>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let seen = shared.gather(&app).await?;
    Ok(overview(&app, &frame, &who, &seen))
}
