//! Changes of what somebody signs in with, told to that person: on the first page for a week, and on the page of the account.

use maud::{Markup, html};

use crate::app::App;
use crate::people::Who;
use crate::store::{ActFilter, ActRow, StoreError};
use crate::web::frame::{Frame, moment};
use crate::web::parts::icon;
use loaxa_heart::domain::time::Span;

/// Acts that change what somebody signs in with, by their code.
const ACTS: [&str; 6] = [
    "password_set",
    "second_factor_set",
    "passkey_added",
    "passkey_removed",
    "recovery_link",
    "invitation_link",
];
/// Time for which the first page tells of them.
const TOLD_FOR: Span = Span::secs(7 * 86_400);
/// Changes that are listed, and acts among which they are sought.
const SHOWN: usize = 8;
const READ: u32 = 200;

async fn read(app: &App, who: &Who) -> Result<Vec<ActRow>, StoreError> {
    let subject = Some(who.person.id.to_string());
    let acts = app.store.acts(ActFilter { subject, limit: READ, ..ActFilter::default() }).await?;
    Ok(acts.into_iter().filter(|row| ACTS.contains(&row.act.as_str())).collect())
}

fn list<'a>(frame: &Frame, acts: impl IntoIterator<Item = &'a ActRow>) -> Markup {
    let mut acts: Vec<_> = acts.into_iter().collect();
    let older = frame.cut(&mut acts, SHOWN);
    html! {
        ul.list { @for row in acts {
            li { b { (frame.texts.code("act", &row.act)) } ", " (moment(row.at))
                @if let Some(from) = &row.from { br; span.mute { (from) } } }
        } }
        (older)
    }
}

/// Draws the changes of the last days, except those of this very session; nothing where there are none.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn lately(app: &App, frame: &Frame, who: &Who) -> Result<Markup, StoreError> {
    let acts = read(app, who).await?;
    // The first password and the first telephone are no change.
    let first = |code: &str| acts.iter().rposition(|row| row.act == code);
    let first = ["password_set", "second_factor_set"].map(first);
    let is_told = |row: &ActRow| row.at > who.now.minus(TOLD_FOR) && row.at < who.session.made;
    let acts = acts.iter().enumerate().filter(|(nth, row)| is_told(row) && !first.contains(&Some(*nth)));
    let acts: Vec<_> = acts.map(|(_, row)| row).filter(|row| row.act != "invitation_link").collect();
    if acts.is_empty() {
        return Ok(html! {});
    }
    Ok(html! {
        section.card.band.k-look.tight role="status" {
            h2 { (icon("bell")) " " (frame.say("account.changed_lately")) }
            (list(frame, acts))
            p { (frame.say("account.was_it_you")) " " a href="/tai-khoan" { (frame.say("account.title")) } }
        }
    })
}

/// Draws the latest changes of the account, and what is kept of its person.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn of_account(app: &App, frame: &Frame, who: &Who) -> Result<Markup, StoreError> {
    let acts = read(app, who).await?;
    Ok(html! {
        section.stack aria-labelledby="h-doi" {
            h2 #h-doi { (frame.say("account.changes")) }
            @if acts.is_empty() { p.mute { (frame.say("page.nothing")) } } @else { (list(frame, &acts)) }
            p.mute.narrow { (frame.say("account.was_it_you")) }
        }
    })
}
