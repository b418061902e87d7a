//! Answers where a change of a programme is not kept: why, and what stands there now.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::difference;
use crate::app::App;
use crate::programmes::NotProposal;
use crate::store::ProposalRow;
use crate::web::frame::{Frame, PageError, refusal};
use crate::web::parts::icon;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::texts::Say;

/// The change of somebody who was overtaken.
pub struct Wanted<'a> {
    pub seen: Option<ContentHash>,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
    pub title: &'a str,
    /// The page on which they see how it stands now.
    pub again: &'a str,
}

/// Answers what has a page of its own; gives the others back, to be shown beside a form.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn answer(
    app: &Arc<App>,
    frame: &Frame,
    not: NotProposal,
    wanted: Wanted<'_>,
) -> Result<Result<Response, NotProposal>, PageError> {
    Ok(Ok(match not {
        NotProposal::Store(error) => return Err(error.into()),
        NotProposal::NotYours | NotProposal::Own => refusal(app, frame, StatusCode::FORBIDDEN, &not.say()),
        NotProposal::NoSuch => refusal(app, frame, StatusCode::NOT_FOUND, &not.say()),
        NotProposal::Changed(row) => overtaken(app, frame, row.as_deref(), wanted).await?,
        other => return Ok(Err(other)),
    }))
}

/// The answer to who changed something that another person changed since: both stand side by side.
async fn overtaken(
    app: &Arc<App>,
    frame: &Frame,
    row: Option<&ProposalRow>,
    wanted: Wanted<'_>,
) -> Result<Response, PageError> {
    let mut since = None;
    if let Some(row) = row {
        let changes = app.store.proposal_changes(row.id.clone()).await?;
        let seen = match wanted.seen {
            Some(seen) => app.store.proposal_content(row.id.clone(), seen).await?,
            None => None,
        };
        let differences = match &seen {
            Some(seen) => difference::between(app, Some(seen), &row.content).await?,
            None => Vec::new(),
        };
        since = Some((changes, differences));
    }
    let title = frame.say("week.overtaken");
    let content = html! {
        h1 { (icon("fix")) " " (title) }
        p.alarm.k-look role="alert" { (frame.say("week.nothing_kept")) }
        div.two {
            section.card.tight { h2 { (frame.say("week.you_wanted")) }
                p { b { (wanted.title) } }
                p { @if let Some(before) = wanted.before { del { (before) } " " } @if let Some(after) = wanted.after { ins { (after) } } } }
            section.card.tight { h2 { (frame.say("week.stands_now")) }
                @if let Some((changes, differences)) = &since {
                    (difference::history(app, frame, changes, 3).await?)
                    (difference::draw(frame, differences))
                } @else { p { (frame.say("week.decided_meanwhile")) } } }
        }
        div.btns { a.btn href=(wanted.again) { (frame.say("week.look_again")) } }
    };
    Ok((StatusCode::CONFLICT, frame.draw(app, title, content)).into_response())
}
