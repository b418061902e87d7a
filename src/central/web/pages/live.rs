//! The page on which somebody speaks to villages as long as they hold a button.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use crate::app::App;
use crate::media::MediaRefusal;
use crate::mouths::Taken;
use crate::orders::live::{self, NotLive, VoiceSource};
use crate::people::Who;
use crate::store::{ActFilter, ActRow, BoxRow, MediaRow, NewAct, Role, or_nothing};
use crate::web::doors::{Needs, Pages};
use crate::web::elsewhere::{self, Asked};
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError, asset, moment};
use crate::web::parts::icon;
use loaxa_heart::domain::ids::{ContentHash, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::voice::{VOICE_HZ, wav_header};

const SCRIPT: &str = include_str!("../assets/live_voice.js");
const WORKLET: &str = include_str!("../assets/voice_worklet.js");

/// Those who may be heard without somebody else's approval.
const SPEAKS: Needs = Needs::Role(&[Role::Approver, Role::Duty]);
/// Largest piece of a voice, in bytes: four seconds, after a network that hesitated.
const PIECE_BYTES_MAX: usize = 4 * 2 * VOICE_HZ as usize;
/// Voices that are listed.
const LISTED: u32 = 10;
/// Boxes that are named as silent.
const SILENT_MAX: usize = 8;

/// Adds the page, and what its script asks.
pub fn add(pages: Pages) -> Pages {
    let pieces = put(piece).layer(DefaultBodyLimit::max(PIECE_BYTES_MAX));
    pages
        .page("/noi-truc-tiep", SPEAKS, get(page).post(begin))
        .page("/noi-truc-tiep/{id}", SPEAKS, pieces)
        .page("/noi-truc-tiep/{id}/het", SPEAKS, post(end))
}

/// The scripts of the page.
pub fn assets() -> Router<Arc<App>> {
    Router::new()
        .route("/assets/live_voice.js", get(|| async { asset("text/javascript", SCRIPT) }))
        .route("/assets/voice_worklet.js", get(|| async { asset("text/javascript", WORKLET) }))
}

/// The groups to which somebody may speak.
fn groups(app: &App, who: &Who, boxes: &[BoxRow]) -> Vec<GroupId> {
    let mut groups = who.groups(app, Role::Duty);
    groups.extend(who.groups(app, Role::Approver));
    groups.sort();
    groups.dedup();
    groups.retain(|group| app.stands(group, boxes));
    let known = &app.settings.groups;
    groups.sort_by_key(|group| known.iter().position(|it| it.id == *group).unwrap_or(usize::MAX));
    groups
}

/// Boxes that would refuse a voice now, by their limits, with the reason; the first few.
async fn who_will_not_sound(app: &App, groups: &[GroupId]) -> Vec<(String, Sentence)> {
    let foreseen = live::foresee(app, groups, None).await.ok().flatten();
    let boxes = foreseen.into_iter().flat_map(|foreseen| foreseen.boxes);
    let refused = boxes.filter_map(|it| it.refusal.map(|reason| (it.title, reason.say())));
    refused.take(SILENT_MAX).collect()
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    let filter = ActFilter { act: Some("live_ended".to_owned()), limit: LISTED + 1, ..Default::default() };
    let mut spoken = or_nothing(app.store.acts(filter).await)?;
    let older = frame.cut(&mut spoken, LISTED as usize);
    let boxes = app.store.boxes().await?;
    let groups = groups(&app, &who, &boxes);
    let silent = who_will_not_sound(&app, &groups).await;
    let title = frame.say("voice.title");
    let content = html! {
        h1 { (title) }
        p.narrow { (frame.say("voice.how")) }
        noscript { p.alarm.k-bad { (frame.say("voice.needs_script")) } }
        @if !silent.is_empty() {
            div.alarm.k-look.tight #gio-nay {
                p { b { (frame.say("voice.not_now")) } }
                ul { @for (title, why) in &silent { li { (title) ": " (frame.tell(why)) } } }
            }
        }
        p.err #loi role="alert" hidden {}
        form #noi.form.narrow data-mat=(frame.say("voice.lost")) data-mic=(frame.say("compose.no_microphone"))
            data-noi=(frame.say("voice.speaking")) data-im=(frame.say("voice.quiet")) data-noi-nao=(frame.say("compose.no_place")) data-loa=(frame.say("voice.no_output")) {
            fieldset.field {
                legend.lab-l { (frame.say("review.places")) }
                div.picks.two {
                    @for group in groups {
                        @let id = format!("noi-{group}");
                        @let inside = boxes.iter().filter(|row| app.groups_of(&row.groups).contains(&group)).count();
                        div.pick { input type="checkbox" name="noi" value=(group) id=(id);
                            label for=(id) { (app.title_of(&group)) " "
                                span.mute.nowrap { (frame.tell(&said!("compose.boxes", count = inside))) } } }
                    }
                }
            }
            div.stack {
                svg.meter viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(frame.say("compose.level")) {
                    rect #muc.fc.k-ok width="0" height="10" {} }
                button.talk #giu type="button" { (icon("mic")) " " (frame.say("voice.hold")) }
                p #tinh-trang role="status" { (frame.say("voice.quiet")) }
                p.mute { (frame.say("voice.delay")) " " b.num #tre { "–" } }
            }
        }
        section.stack aria-labelledby="h-dn" { h2 #h-dn { (frame.say("voice.spoken")) }
            @if spoken.is_empty() { p.mute { (frame.say("page.nothing")) } }
            ul.list { @for act in &spoken { (one(act)) } } (older) }
    };
    Ok(frame.draw_with(&app, title, &["/assets/live_voice.js"], content))
}

/// A voice that was heard, with its recording.
fn one(act: &ActRow) -> Markup {
    let recording = act.subject.parse::<ContentHash>().ok();
    html! {
        li { b { (moment(act.at)) } " · " (act.actor)
            @if let Some(after) = &act.after { br; (after) }
            @if let Some(hash) = recording { audio controls preload="none" src={ "/media/" (hash) } {} } }
    }
}

fn refuse(frame: &Frame, status: StatusCode, said: &Sentence) -> Response {
    (status, Json(json!({ "loi": frame.tell(said) }))).into_response()
}

/// Opens a voice. The boxes are told when its first piece comes.
async fn begin(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let to: Vec<GroupId> = sent.all("noi").filter_map(|id| id.parse().ok()).collect();
    let may = groups(&app, &who, &app.store.boxes().await?);
    if to.is_empty() {
        return Ok(refuse(&frame, StatusCode::BAD_REQUEST, &said!("compose.no_place")));
    }
    if !to.iter().all(|group| may.contains(group)) {
        return Ok(refuse(&frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    let places = to.iter().map(|group| app.title_of(group)).collect::<Vec<_>>().join(", ");
    let act = NewAct { after: Some(places.clone()), ..who.act("live_began", places.clone()) };
    app.store.note_act(act).await?;
    let (name, pieces) = app.mouths.open(&who.person.id);
    app.note_voice(&name).await;
    let (speaking, name_kept) = (Arc::clone(&app), name.clone());
    tokio::spawn(async move {
        speak(&speaking, &who, &name_kept, to, places, pieces).await;
        speaking.mouths.close(&name_kept, &who.person.id);
        speaking.forget_voice(&name_kept).await;
    });
    Ok(Json(json!({ "phien": name })).into_response())
}

/// The pieces of a page as a voice, which are written down as they are passed on.
struct PageVoice<'r> {
    pieces: Receiver<Bytes>,
    recording: &'r mut Option<Recording>,
}

impl VoiceSource for PageVoice<'_> {
    async fn next(&mut self) -> Option<Bytes> {
        let piece = self.pieces.recv().await?;
        if let Some(Err(error)) = self.recording.as_mut().map(|recording| recording.add(&piece)) {
            tracing::error!(%error, "a live voice is not recorded any more");
            *self.recording = None;
        }
        Some(piece)
    }
}

/// Everything that was said so far, in a file that goes when the recording is kept or given up.
struct Recording {
    path: PathBuf,
    file: File,
    bytes: u32,
}

impl Recording {
    fn begin(app: &App, name: &str) -> std::io::Result<Self> {
        let path = app.uploads.scratch(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, bytes: 0 })
    }

    fn add(&mut self, piece: &Bytes) -> std::io::Result<()> {
        self.file.write_all(piece)?;
        self.bytes += piece.len() as u32;
        Ok(())
    }

    /// Moves the recording into the media folder, as a WAV.
    fn keep(mut self, app: &App) -> Result<MediaRow, MediaRefusal> {
        let mut incoming = app.media.begin()?;
        incoming.write(&wav_header(VOICE_HZ, Some(self.bytes)))?;
        self.file.seek(SeekFrom::Start(0))?;
        incoming.write_all_of(&mut self.file)?;
        app.media.finish(incoming, "noi-truc-tiep.wav", app.now())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // A file that is gone needs no deleting.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Passes a voice on to its end, and keeps what was said as evidence.
async fn speak(
    app: &Arc<App>,
    who: &Who,
    name: &str,
    to: Vec<GroupId>,
    places: String,
    pieces: Receiver<Bytes>,
) {
    let begun = Recording::begin(app, name);
    let mut recording =
        begun.inspect_err(|error| tracing::error!(%error, "a live voice is not recorded")).ok();
    let voice = PageVoice { pieces, recording: &mut recording };
    let spoken = match live::speak(Arc::clone(app), to, Some(who.person.name.clone()), voice).await {
        Ok(spoken) => spoken,
        Err(NotLive::NoVoice) => return,
        Err(error) => return tracing::warn!(%error, "a live voice was not heard"),
    };
    let kept = match recording {
        Some(recording) => keep(app, recording).await,
        None => None,
    };
    let subject = kept.map_or_else(|| spoken.id.to_string(), |row| row.sha256.to_string());
    let after = Some(format!("{places} · {:.1} s · {}", spoken.seconds, spoken.id));
    let act = NewAct { at: app.now(), after, ..who.act("live_ended", subject) };
    if let Err(error) = app.store.note_act(act).await {
        tracing::error!(%error, "the end of a live voice is not in the audit trail");
    }
}

/// Keeps a recording; `None` where the disk or the store does not take it.
async fn keep(app: &Arc<App>, recording: Recording) -> Option<MediaRow> {
    let there = Arc::clone(app);
    let kept = tokio::task::spawn_blocking(move || recording.keep(&there)).await.ok()?;
    let row = kept
        .inspect_err(|error| tracing::error!(%error, "the recording of a live voice is not kept"))
        .ok()?;
    if let Err(error) = app.store.add_media(row.clone()).await {
        tracing::error!(%error, "the recording of a live voice is in no list");
    }
    Some(row)
}

/// The number of a piece.
#[derive(Deserialize)]
struct Piece {
    so: u64,
}

async fn piece(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(Piece { so }): Query<Piece>,
    who: Who,
    asked: Asked,
    body: Bytes,
) -> StatusCode {
    match app.mouths.take(&name, &who.person.id, so, body.clone()) {
        Taken::New | Taken::Again => StatusCode::NO_CONTENT,
        Taken::Over => match elsewhere::place_of(&app, &name, &asked.headers).await {
            Some(place) => elsewhere::pass_on(&app, place, asked, body).await,
            None => StatusCode::GONE,
        },
    }
}

async fn end(State(app): State<Arc<App>>, Path(name): Path<String>, who: Who, asked: Asked) -> StatusCode {
    app.mouths.close(&name, &who.person.id);
    match elsewhere::place_of(&app, &name, &asked.headers).await {
        Some(place) => elsewhere::pass_on(&app, place, asked, Bytes::new()).await,
        None => StatusCode::NO_CONTENT,
    }
}
