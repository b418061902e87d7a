//! Exactly what a notice says, where, when and how: the list that an approver answers for.

use maud::{Markup, html};

use super::fields::{Subjects, in_any};
use crate::app::App;
use crate::store::{BoxRow, MediaRow, NoticeRow, PersonRow, StoreError};
use crate::web::frame::{Frame, moment};
use crate::web::local_time::{date_words, time_words};
use crate::web::parts::{Kind, state, tag};
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// A notice with everything around it.
struct Shown<'a> {
    row: &'a NoticeRow,
    subjects: Subjects,
    /// The notice in whose place it comes.
    replaces: Option<NoticeRow>,
    media: Option<MediaRow>,
    author: Option<PersonRow>,
    boxes: Vec<BoxRow>,
    now: Wall,
}

/// Reads what belongs to a notice, and draws the list.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn shown(app: &App, frame: &Frame, row: &NoticeRow, now: Wall) -> Result<Markup, StoreError> {
    let replaces = match &row.content.supersedes {
        Some(command) => app.store.notice_of(command.clone()).await?,
        None => None,
    };
    let media = match row.content.media {
        Some(hash) => app.store.media(hash).await?,
        None => None,
    };
    let author = app.store.person(row.author.clone()).await?;
    let (subjects, boxes) = (Subjects::read(app).await?, app.store.boxes().await?);
    Ok(draw(app, frame, Shown { row, subjects, replaces, media, author, boxes, now }))
}

/// The sign of a class.
pub fn class_tag(frame: &Frame, class: BulletinClass) -> Markup {
    match class {
        BulletinClass::Normal => tag(Kind::Normal, frame.say("class.normal")),
        BulletinClass::Priority => tag(Kind::Priority, frame.say("class.priority")),
        BulletinClass::Emergency => tag(Kind::Emergency, frame.say("class.emergency")),
    }
}

/// The titles of the places of a notice.
pub fn places(app: &App, row: &NoticeRow) -> String {
    row.content.groups.iter().map(|id| app.title_of(id)).collect::<Vec<_>>().join(", ")
}

fn draw(app: &App, frame: &Frame, shown: Shown<'_>) -> Markup {
    let Shown { row, subjects, replaces, media, author, boxes, now } = shown;
    let content = &row.content;
    let inside: Vec<_> = boxes.iter().filter(|it| in_any(app, it, &content.groups)).collect();
    let silent = inside.iter().filter(|it| !it.is_online(now)).count();
    let pair = |key: &'static str, value: Markup| html! { div { dt { (frame.say(key)) } dd { (value) } } };
    let author = author.as_ref().map_or(row.author.as_str(), |person| person.name.as_str());
    let when = match content.at {
        Some(at) => said!("review.when", time = time_words(at), date = date_words(at)),
        None => said!("compose.soon"),
    };
    html! {
        dl.kv.card {
            (pair("review.writer", html! { (author) ", " (moment(row.changed)) }))
            @let subjects = subjects.of(content);
            @if !subjects.is_empty() { (pair("review.subjects", html! { (subjects.join(" · ")) })) }
            @if !content.responsible.is_empty() { (pair("compose.responsible", html! { (content.responsible) })) }
            @if let Some(old) = &replaces {
                (pair("review.replaces", html! { a href={ "/tin/" (old.id) } { (old.content.title) } br; (places(app, old)) }))
            }
            (pair("compose.class", class_tag(frame, content.class)))
            (pair("review.places", html! {
                (places(app, row)) br; (frame.tell(&said!("compose.boxes", count = inside.len())))
                @if silent > 0 { br; (state(Kind::Unknown, frame.tell(&said!("review.silent_now", count = silent)))) }
            }))
            (pair("compose.when", html! { (frame.tell(&when)) br; (frame.tell(&said!("review.times", count = content.repeat))) }))
            (pair("review.sound", html! {
                @if let Some(media) = &media {
                    audio controls preload="metadata" src={ "/media/" (media.sha256) } {}
                    p { (frame.tell(&said!("compose.lasts", seconds = media.ms.div_ceil(1_000)))) }
                } @else { (state(Kind::Bad, frame.say("notice.no_audio"))) }
            }))
            (pair("compose.republish", html! {
                (frame.say(if content.republish { "compose.republish_yes" } else { "compose.republish_no" }))
            }))
            @if !content.text.trim().is_empty() {
                (pair("compose.words", html! { span.words { (content.text) } }))
            }
        }
    }
}
