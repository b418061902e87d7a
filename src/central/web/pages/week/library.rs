//! The library of audio: found by name, heard, and with all that uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::app::App;
use crate::programmes::{NotProposal, basis};
use crate::store::{MediaRow, NoticeFilter, ProposalKind, StoreError};
use crate::web::form::Query;
use crate::web::frame::{Frame, PageError, moment};
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::programme::{Content, Item};
use loaxa_heart::said;

/// Files on the page.
const SHOWN: u32 = 100;
/// Notices that are looked through.
const NOTICES_MAX: u32 = 500;
/// Most letters of a search.
const WORDS_CHARS_MAX: usize = 100;

/// The use that something makes of a file.
#[derive(Default)]
struct Uses {
    titles: Vec<String>,
    licences: Vec<String>,
    /// The last day on which an item with it sounds.
    until: Vec<String>,
}

pub async fn page(State(app): State<Arc<App>>, query: Query, frame: Frame) -> Result<Markup, PageError> {
    let words: String = query
        .get("tim")
        .map(String::as_str)
        .unwrap_or_default()
        .trim()
        .chars()
        .take(WORDS_CHARS_MAX)
        .collect();
    let mut files = app.store.media_files(words.clone(), SHOWN + 1).await?;
    let older = frame.cut(&mut files, SHOWN as usize);
    let uses = uses(&app, &frame, &files).await?;
    let title = frame.say("library.title");
    let nothing = Uses::default();
    let content = html! {
        h1 { (title) }
        form.row method="get" action="/kho-am-thanh" role="search" {
            div.field { label for="tim" { (frame.say("library.search")) } input #tim name="tim" type="search" value=(words); }
            button.btn.sec { (frame.say("library.find")) }
        }
        p.mute { (frame.tell(&said!("library.found", count = files.len()))) }
        ul.list { @for file in &files { li { (one(&frame, file, uses.get(&file.sha256).unwrap_or(&nothing))) } } }
        (older)
    };
    Ok(frame.draw(&app, title, content))
}

fn one(frame: &Frame, file: &MediaRow, uses: &Uses) -> Markup {
    let joined = |all: &[String]| all.join(", ");
    html! {
        b { (file.name) } br;
        span.mute { (frame.tell(&said!("compose.lasts", seconds = file.ms.div_ceil(1_000)))) " · " (moment(file.added)) }
        br; audio controls preload="none" src={ "/media/" (file.sha256) } aria-label=(file.name) {}
        dl.kv {
            div { dt { (frame.say("library.used")) } dd { @if uses.titles.is_empty() { (frame.say("library.unused")) } @else { (joined(&uses.titles)) } } }
            div { dt { (frame.say("week.licence")) } dd { @if uses.licences.is_empty() { (frame.say("library.no_licence")) } @else { (joined(&uses.licences)) } } }
            @if !uses.until.is_empty() { div { dt { (frame.say("library.valid")) } dd { (joined(&uses.until)) } } }
        }
    }
}

/// Finds who uses which of these files: programmes in force and drafts of them, and notices.
async fn uses(
    app: &App,
    frame: &Frame,
    files: &[MediaRow],
) -> Result<BTreeMap<ContentHash, Uses>, StoreError> {
    let mut uses: BTreeMap<ContentHash, Uses> = BTreeMap::new();
    let mut ids = std::collections::BTreeSet::new();
    for document in app.store.documents(app.now()).await? {
        if let DocumentName::Programme(id) = document.name {
            ids.insert(id.to_string());
        }
    }
    for row in app.store.open_proposals().await? {
        if row.content.kind == ProposalKind::Programme {
            ids.insert(row.content.subject);
        }
    }
    for id in ids {
        let Some(basis) = basis::find(app, ProposalKind::Programme, &id).await? else { continue };
        let programme = match basis::read(app, &basis.content).await {
            Ok(programme) => programme,
            Err(NotProposal::Store(error)) => return Err(error),
            Err(_) => continue,
        };
        for (list, item) in
            programme.playlists.values().flat_map(|list| list.items.iter().map(move |item| (list, item)))
        {
            for path in paths(item) {
                let Some(hash) = basis.content.media.get(&path) else { continue };
                let of = uses.entry(*hash).or_default();
                add(&mut of.titles, format!("{}: {}", programme.title, list.title));
                item.licence.iter().for_each(|licence| add(&mut of.licences, licence.clone()));
                item.valid_until.iter().for_each(|day| {
                    add(&mut of.until, frame.tell(&said!("week.valid_until", day = day.format("%d/%m/%Y"))))
                });
            }
        }
    }
    let media = files.iter().map(|file| file.sha256).collect();
    let filter = NoticeFilter { media, limit: NOTICES_MAX, ..Default::default() };
    for row in app.store.notices(filter).await? {
        if let Some(hash) = row.content.media {
            add(&mut uses.entry(hash).or_default().titles, row.content.title);
        }
    }
    Ok(uses)
}

fn add(list: &mut Vec<String>, text: String) {
    if !text.is_empty() && !list.contains(&text) {
        list.push(text);
    }
}

/// The paths of the files of an item, in all its languages.
fn paths(item: &Item) -> Vec<String> {
    let all = std::iter::once(&item.content).chain(item.translations.values());
    let path = |content: &Content| match content {
        Content::File { path, .. } => Some(path.strip_prefix("sent").unwrap_or(path).display().to_string()),
        _ => None,
    };
    all.filter_map(path).collect()
}
