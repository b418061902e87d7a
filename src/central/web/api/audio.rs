//! Audio that was uploaded.

use loaxa_heart::said;
use std::sync::Arc;

use crate::app::App;
use crate::media::{Incoming, converted_from};
use crate::store::MediaRow;
use crate::web::problem::Problem;
use serde::Serialize;

/// Checks audio on a thread of its own, as probing takes its time.
///
/// # Errors
/// Fails when the boxes can't play it, or the disk refuses.
pub async fn finish(app: &Arc<App>, incoming: Incoming, name: String) -> Result<MediaRow, Problem> {
    let app = Arc::clone(app);
    let finish = tokio::task::spawn_blocking(move || {
        app.media.scan(&incoming)?;
        app.media.finish(incoming, &name, app.now())
    });
    let finished = finish.await.map_err(|panic| {
        tracing::error!(%panic, "audio could not be probed");
        Problem::bad(said!("api.audio"))
    })?;
    Ok(finished?)
}

/// Audio as it is told to programs.
#[derive(Serialize)]
pub struct Told {
    #[serde(flatten)]
    row: MediaRow,
    /// The form in which it came, where boxes can't play that.
    #[serde(skip_serializing_if = "Option::is_none")]
    converted_from: Option<String>,
}

impl From<MediaRow> for Told {
    fn from(row: MediaRow) -> Self {
        let converted_from = converted_from(&row).map(str::to_owned);
        Self { row, converted_from }
    }
}
