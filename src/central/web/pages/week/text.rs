//! A document as text: seen, written, and judged line by line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::address::Address;
use super::refusals::{self, Wanted};
use crate::app::App;
use crate::people::Who;
use crate::programmes::basis::{self, Basis};
use crate::programmes::proposals::{self, NewText, editor_of};
use crate::programmes::{NotProposal, week};
use crate::store::{Change, ChangeKind, ProposalKind, StoreError};
use crate::web::form::{Faults, Query, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use crate::web::parts::icon;
use loaxa_heart::config::problem::Problem;
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::programme::Content;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Files of the library among which a name is sought.
const FILES_MAX: u32 = 1_000;

struct Asked {
    address: Address,
    kind: ProposalKind,
    basis: Basis,
}

impl Asked {
    fn query(&self) -> String {
        format!("{}&loai={}&ct={}", self.address.query(), self.kind.code(), self.basis.content.subject)
    }

    fn back(&self) -> String {
        if self.kind == ProposalKind::Programme {
            self.address.week()
        } else {
            format!("/tuan/van-ban?{}", self.query())
        }
    }
}

async fn asked(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    address: Address,
    kind: &str,
    subject: &str,
) -> Result<Asked, PageError> {
    let kinds = [ProposalKind::Policy, ProposalKind::Groups];
    let kind = kinds.into_iter().find(|it| it.code() == kind).unwrap_or(ProposalKind::Programme);
    if !who.has(editor_of(kind)) {
        return Err(refusal(app, frame, StatusCode::NOT_FOUND, &said!("proposal.no_such")).into());
    }
    let subject = match (kind, subject) {
        (ProposalKind::Programme, "") => first(app, &address).await?.unwrap_or_default(),
        (ProposalKind::Programme, subject) => subject.to_owned(),
        (kind, _) => kind.code().to_owned(),
    };
    match basis::find(app, kind, &subject).await? {
        Some(basis) => Ok(Asked { address, kind, basis }),
        None => Err(refusal(app, frame, StatusCode::NOT_FOUND, &said!("proposal.no_such")).into()),
    }
}

/// The first programme of a place.
async fn first(app: &App, address: &Address) -> Result<Option<String>, StoreError> {
    match week::scene(app, &address.group, true).await {
        Ok(scene) => Ok(scene.shown.first().map(|shown| shown.id.to_string())),
        Err(NotProposal::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let address = Address::of_query(&app, &who, &query);
    let asked = asked(&app, &frame, &who, address, get("loai"), get("ct")).await?;
    let text = asked.basis.content.text.clone();
    Ok(draw(&app, &frame, &who, &asked, &text, None))
}

pub async fn keep(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let asked = asked(&app, &frame, &who, address, sent.get("loai"), sent.get("ct")).await?;
    let Ok(seen) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&format!("/tuan/van-ban?{}", asked.query())).into_response());
    };
    // Browsers send the ends of lines as of old.
    let text = sent.get("van-ban").replace("\r\n", "\n");
    let media = match asked.kind {
        ProposalKind::Programme => with_named(&app, &text, asked.basis.content.media.clone()).await?,
        _ => BTreeMap::new(),
    };
    let change = Change {
        kind: ChangeKind::TextWritten,
        title: asked.basis.content.subject.clone(),
        day: None,
        before: None,
        after: None,
        boxes: 0,
    };
    let again = asked.back();
    let new = NewText { seen, text: text.clone(), media, change };
    let Err(not) = proposals::change(&app, &who, &asked.basis, new).await else {
        return Ok(Redirect::to(&again).into_response());
    };
    let title = frame.say("week.text");
    let wanted = Wanted { seen: Some(seen), before: None, after: None, title, again: &again };
    match refusals::answer(&app, &frame, not, wanted).await? {
        Ok(answered) => Ok(answered),
        Err(not) => Ok(draw(&app, &frame, &who, &asked, &text, Some(&not))),
    }
}

/// Adds the files of the library that a text names and the document does not have yet, by their names.
async fn with_named(
    app: &App,
    text: &str,
    mut media: BTreeMap<String, ContentHash>,
) -> Result<BTreeMap<String, ContentHash>, StoreError> {
    let Ok(programme) = programme_file::parse(text, "programme", Path::new(""), Audio::Unseen) else {
        return Ok(media);
    };
    let mut named = std::collections::BTreeSet::new();
    for item in programme.playlists.values().flat_map(|list| &list.items) {
        for content in std::iter::once(&item.content).chain(item.translations.values()) {
            if let Content::File { path, .. } = content {
                named.insert(path.display().to_string());
            }
        }
    }
    media.retain(|path, _| named.contains(path));
    let missing: Vec<_> = named.into_iter().filter(|path| !media.contains_key(path)).collect();
    for path in missing {
        let name = path.rsplit('/').next().unwrap_or(&path);
        let files = app.store.media_files(name.to_owned(), FILES_MAX).await?;
        if let Some(file) = files.iter().find(|file| file.name == path || file.name == name) {
            media.insert(path, file.sha256);
        }
    }
    Ok(media)
}

fn draw(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    asked: &Asked,
    text: &str,
    fault: Option<&NotProposal>,
) -> Response {
    let title = match asked.kind {
        ProposalKind::Programme => frame.say("week.text"),
        ProposalKind::Policy => frame.say("week.limits"),
        ProposalKind::Groups => frame.say("week.groups"),
    };
    let problems: Vec<Sentence> = match fault {
        Some(NotProposal::Problems(problems)) => problems.0.iter().map(by_line).collect(),
        Some(other) => vec![other.say()],
        None => Vec::new(),
    };
    let faults =
        Faults(problems.into_iter().map(|said| crate::web::form::Fault { field: "van-ban", said }).collect());
    let content = html! {
        div { a.back href=(asked.address.week()) { (icon("back")) (frame.say("week.title")) } h1 { (title) }
            p.mute { (asked.basis.content.subject) @if let Some((_, version)) = &asked.basis.in_force { " · " (frame.tell(&said!("week.version", version))) } } }
        (faults.summary(frame))
        @if let Some(row) = &asked.basis.proposal { (state_of(frame, asked, row, who)) }
        form.stack method="post" action="/tuan/van-ban" {
            input type="hidden" name="noi" value=(asked.address.group);
            input type="hidden" name="ngay" value=(asked.address.day);
            input type="hidden" name="loai" value=(asked.kind.code());
            input type="hidden" name="ct" value=(asked.basis.content.subject);
            input type="hidden" name="ban" value=(asked.basis.digest);
            div.field.bad[!faults.is_empty()] {
                label for="van-ban" { (frame.say("week.text_label")) }
                p.hint #vbh { (frame.say("week.text_hint")) }
                // The line that HTML leaves out after the opening tag.
                textarea.code #van-ban name="van-ban" rows="24" spellcheck="false" aria-describedby="vbh" aria-invalid=[(!faults.is_empty()).then_some("true")] { "\n" (text) }
            }
            div.btns { button.btn { (frame.say("week.keep")) } }
            p.mute { (frame.say("week.not_before_approval")) }
        }
        @if who.has(crate::store::Role::Administrator) {
            ul { li { a href={ "/tuan/van-ban?" (asked.address.query()) "&loai=policy" } { (frame.say("week.limits")) } }
                li { a href={ "/tuan/van-ban?" (asked.address.query()) "&loai=groups" } { (frame.say("week.groups")) } } }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, frame.draw(app, title, content)).into_response()
}

/// The draft that is open, with the steps that it can take; a programme has them on the page of its week.
fn state_of(frame: &Frame, asked: &Asked, row: &crate::store::ProposalRow, who: &Who) -> Markup {
    let button = |value: &str, words: &str, class: &str| {
        html! {
            form method="post" action="/tuan/nhap" {
                input type="hidden" name="noi" value=(asked.address.group);
                input type="hidden" name="ngay" value=(asked.address.day);
                input type="hidden" name="id" value=(row.id);
                input type="hidden" name="ban" value=(row.digest);
                button class=(class) name="viec" value=(value) { (words) }
            }
        }
    };
    html! {
        div.card.stack {
            p { b { (frame.texts.code("notice_state", row.state.code())) } ", " (super::draft::changed(frame, row)) }
            @if let Some(reason) = &row.reason { p.alarm.k-look { b { (frame.say("week.returned_because")) } " " (reason) } }
            @if asked.kind != ProposalKind::Programme && who.has(editor_of(asked.kind)) {
                div.btns { (button("gui", frame.say("week.submit"), "btn sec")) (button("rut", frame.say("week.give_up"), "btn sec")) }
            }
        }
    }
}

/// A problem with its line before it.
fn by_line(problem: &Problem) -> Sentence {
    match (problem.line, problem.key.as_str()) {
        (0, _) => problem.said.clone(),
        (line, "") => said!("week.in_line", line, said = problem.said),
        (line, key) => said!("week.in_line_key", line, key, said = problem.said),
    }
}
