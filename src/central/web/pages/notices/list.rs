//! All notices: one's own drafts first, then what was submitted, approved and aired.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::content::{class_tag, places};
use super::one::air_of;
use super::steps::sign;
use crate::app::App;
use crate::people::Who;
use crate::store::{NoticeFilter, NoticeState, Role};
use crate::web::frame::{Frame, PageError, moment};
use loaxa_heart::said;

/// Notices on the page.
const SHOWN: u32 = 100;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let mut rows = app.store.notices(NoticeFilter { limit: SHOWN + 1, ..Default::default() }).await?;
    let older = frame.cut(&mut rows, SHOWN as usize);
    // A draft is its writer's own until they submit it.
    let rows = rows.into_iter().filter(|row| row.state != NoticeState::Draft || row.author == who.person.id);
    let mut shown = Vec::new();
    for row in rows {
        let air = air_of(&app, &row).await?;
        shown.push((row, air));
    }
    let title = frame.say("notice.list");
    let content = html! {
        div.row.apart { h1 { (title) }
            @if who.has(Role::Writer) { a.btn href="/soan-tin" { (frame.say("compose.new")) } } }
        @if shown.is_empty() { p.mute { (frame.say("page.nothing")) } }
        ul.list.tags {
            @for (row, air) in &shown {
                @let address = if row.state == NoticeState::Draft { "/soan-tin/" } else { "/tin/" };
                li.row.apart {
                    span { a href={ (address) (row.id) } { b { @if row.content.title.is_empty() { (frame.say("notice.untitled")) } (row.content.title) } }
                        br; span.mute { (places(&app, row)) }
                        br; span.mute { @match row.content.at {
                            Some(at) => (frame.tell(&said!("review.at", at = moment(at)))),
                            None => (frame.tell(&said!("notice.changed_at", at = moment(row.changed)))),
                        } } }
                    div.marks { (class_tag(&frame, row.content.class)) (sign(&frame, row.state_at(who.now), *air)) }
                }
            }
        }
        (older)
    };
    Ok(frame.draw(&app, title, content))
}
