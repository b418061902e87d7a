//! The part of an answer that says what will become of an announcement.

use serde::Serialize;

use crate::app::App;
use crate::foreseen::{BoxForeseen, Foreseen};
use crate::orders::outlook;
use crate::store::Errand;
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::policy::GuardRefusal;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::Lang;

/// The expected fate of an announcement.
#[derive(Serialize)]
pub struct Expected {
    /// Boxes that it is meant for.
    boxes: usize,
    /// Boxes among them that are out of contact.
    silent: Vec<BoxId>,
    /// One row a box.
    outlook: Vec<ExpectedOnBox>,
    /// A few lines for the person who sent it, in English and in Vietnamese.
    said: String,
    said_vi: String,
}

/// The expected fate on one box.
#[derive(Serialize)]
struct ExpectedOnBox {
    #[serde(rename = "box")]
    id: BoxId,
    title: String,
    online: bool,
    last_seen: Option<Wall>,
    /// `None` where it will not sound.
    sounds_at: Option<Wall>,
    /// The guard's rule that refuses it, or stops it before its end.
    refusal: Option<GuardRefusal>,
    said: String,
    said_vi: String,
}

/// Most boxes of a centre whose answer to an emergency also says what becomes of it on each. To reckon that takes about as long for a box
/// as to take in its word, and the words of all boxes come in the same moment.
const SAID_AT_ONCE_MAX: usize = 500;

/// Foresees an announcement. It is sent by then: a store that does not answer now only leaves the answer short, and so does an
/// emergency to very many boxes.
pub async fn expected(app: &App, id: &CommandId) -> Option<Expected> {
    if Errand::of_now().is_urgent && app.store.count_boxes().await.is_ok_and(|count| count > SAID_AT_ONCE_MAX)
    {
        return None;
    }
    let foreseen = outlook::foresee(app, id).await.unwrap_or_else(|error| {
        tracing::warn!(%id, %error, "nothing can be foreseen of an announcement");
        None
    });
    foreseen.map(|foreseen| of(&foreseen))
}

/// Writes an outlook for programs.
pub fn of(foreseen: &Foreseen) -> Expected {
    let row = |it: &BoxForeseen| ExpectedOnBox {
        id: it.id.clone(),
        title: it.title.clone(),
        online: it.online,
        last_seen: it.last_seen,
        sounds_at: it.sounds_at,
        refusal: it.refusal.clone(),
        said: it.said.to(Lang::En),
        said_vi: it.said.to(Lang::Vi),
    };
    Expected {
        boxes: foreseen.boxes.len(),
        silent: foreseen.boxes.iter().filter(|it| !it.online).map(|it| it.id.clone()).collect(),
        outlook: foreseen.boxes.iter().map(row).collect(),
        said: foreseen.said.to(Lang::En),
        said_vi: foreseen.said.to(Lang::Vi),
    }
}
