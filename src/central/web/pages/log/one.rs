//! One line of the log: on whose authority, how it came to the box, what sounded, and the very audio to listen to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::list::{place, title};
use super::signs;
use crate::app::App;
use crate::people::Who;
use crate::store::{
    ActFilter, AiringRow, Announced, DeliveryRow, Fate, LogFilter, PlayRow, Role, StoreError,
};
use crate::web::frame::{Frame, PageError, moment, refusal};
use crate::web::pages::class::class_tag;
use crate::web::parts::{Kind, icon};
use crate::web::words;
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::ids::{ContentHash, PlayId};
use loaxa_heart::domain::playback::{Entry, Event, PlayOutcome, Subject};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Texts;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Acts of a notice in its chain.
const ACTS_SHOWN: u32 = 20;
/// Plays of one line.
const PLAYS_MAX: u32 = 500;
/// Time around a day in which its plays are looked for.
const AROUND: Span = Span::secs(36 * 3_600);

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = match id.parse::<i64>() {
        Ok(id) => app.store.airing(id).await?,
        Err(_) => None,
    };
    let Some(row) = row else {
        return Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &said!("log_page.no_such")));
    };
    let heard = Heard::read(&app, &row).await?;
    let chain = match &row.airing.subject {
        Subject::Announcement { command } => match app.store.announcement(command.clone()).await? {
            Some(announced) => Some(Chain::read(&app, &row, announced).await?),
            None => None,
        },
        Subject::Slot(_) | Subject::Live { .. } => None,
    };
    let name = title(&frame, &row);
    let is_missing = matches!(row.airing.fate, Fate::Missed | Fate::Partly | Fate::Unknown);
    let content = html! {
        p { a href="/nhat-ky" { (icon("back")) (frame.say("log.title")) } }
        h1 { (name) }
        p { (class_tag(frame.texts, row.airing.class, None)) " " (signs::fate(&frame, &row)) }
        dl.kv.card {
            div { dt { (frame.say("log_page.due_at")) } dd { (moment(row.airing.due)) } }
            div { dt { (frame.say("log_page.place")) } dd { (place(&row)) } }
            div { dt { (frame.say("log_page.aired_column")) } dd { (signs::aired(&frame, &row)) } }
        }
        @if is_missing { (why(&frame, &row, who.has(Role::Writer))) }
        @if let Some(chain) = &chain { (chain.draw(&frame)) }
        (heard.draw(&frame))
    };
    Ok(frame.draw(&app, name, content).into_response())
}

/// Says why something is missing, and what can be done.
fn why(frame: &Frame, row: &AiringRow, writes: bool) -> Markup {
    let kind = signs::kind(row.airing.fate);
    let reason = match row.airing.fate {
        Fate::Unknown => frame.say("log_page.why_unknown").to_owned(),
        _ => signs::reason(frame, row),
    };
    html! {
        section.card.band.tight.(kind.class()) aria-labelledby="hw" {
            h2 #hw { (frame.say("log_page.why")) }
            p { (words::sentences(&reason)) }
            @if row.airing.fate != Fate::Unknown {
                p { b { (frame.say("log_page.can_do")) } " " (frame.texts.code("log_remedy", &row.airing.reason)) }
            }
            div.btns {
                a.btn.sec href={ "/cum-loa/" (row.box_id) } { (frame.say("log_page.to_box")) }
                @if writes && row.airing.fate != Fate::Unknown { a.btn.sec href="/soan-tin" { (frame.say("log_page.again")) } }
            }
        }
    }
}

/// The way of an announcement from who wrote it to who heard it.
struct Chain {
    announced: Announced,
    delivery: Option<DeliveryRow>,
    /// Boxes that it went to, and those that have received and finished it.
    counts: [usize; 4],
    /// Acts of people on its notice: when, who, what.
    acts: Vec<(Wall, String, String)>,
    /// There are older acts than those.
    are_cut: bool,
    words: Option<String>,
    media: Option<ContentHash>,
}

impl Chain {
    async fn read(app: &App, row: &AiringRow, announced: Announced) -> Result<Self, StoreError> {
        let deliveries = app.store.deliveries(announced.row.id.clone()).await?;
        let count = |is: fn(&DeliveryRow) -> bool| deliveries.iter().filter(|it| is(it)).count();
        let counts = [
            deliveries.len(),
            count(|it| it.received.is_some()),
            count(|it| it.started.is_some()),
            count(|it| it.step == Step::Finished),
        ];
        let (mut acts, mut are_cut) = (Vec::new(), false);
        if let Some(notice) = &announced.notice {
            let people: BTreeMap<String, String> =
                app.store.people().await?.into_iter().map(|it| (it.id.to_string(), it.name)).collect();
            let filter = ActFilter {
                actor: None,
                act: None,
                subject: Some(notice.to_string()),
                from: None,
                until: None,
                before: None,
                limit: ACTS_SHOWN + 1,
            };
            let mut rows = app.store.acts(filter).await?;
            are_cut = rows.len() > ACTS_SHOWN as usize;
            rows.truncate(ACTS_SHOWN as usize);
            for act in rows.into_iter().rev() {
                let name = people.get(&act.actor).cloned().unwrap_or_else(|| act.actor.clone());
                acts.push((act.at, name, act.act));
            }
        }
        let command = codec::decode::<Command>(announced.row.payload.as_bytes()).ok();
        let (mut words, mut media) = (None, None);
        if let Some(Body::Announce { media: sent, words: said, .. }) = command.map(|command| command.body) {
            media = sent.map(|media| media.sha256);
            words = said.map(|words| words.text);
        }
        let delivery = deliveries.into_iter().find(|delivery| delivery.id == row.box_id);
        Ok(Self { announced, delivery, counts, acts, are_cut, words, media })
    }

    fn draw(&self, frame: &Frame) -> Markup {
        let row = &self.announced.row;
        let [all, received, started, finished] = self.counts;
        let delivery = self.delivery.as_ref();
        let step = |at: Option<Wall>, said: loaxa_heart::texts::Sentence| {
            html! { @if let Some(at) = at { (link(Kind::Good, "ok", &moment(at), &frame.tell(&said))) } }
        };
        html! {
            section.stack aria-labelledby="hc" {
                h2 #hc { (frame.say("log_page.chain")) }
                @if let Some(words) = &self.words { p.words.card { (words) } }
                @if let Some(media) = &self.media { audio controls preload="none" src={ "/media/" (media) } {} }
                @if self.are_cut { p.mute { (frame.tell(&said!("page.newest", shown = ACTS_SHOWN))) } }
                ol.chain {
                    @for (at, name, act) in &self.acts {
                        (link(Kind::Good, "ok", &moment(*at), &format!("{name}: {}", frame.texts.code("act", act))))
                    }
                    @if self.acts.is_empty() {
                        (link(Kind::Quiet, "person", &moment(row.issued_at), &frame.tell(&said!("log_page.ordered_by", author = row.author))))
                        @if let Some(approver) = &row.approver {
                            (link(Kind::Quiet, "person", &moment(row.issued_at), &frame.tell(&said!("log_page.approved_by", approver))))
                        }
                    }
                    (step(Some(row.issued_at), said!("log_page.signed_and_sent", boxes = all)))
                    (step(delivery.and_then(|it| it.received), said!("log_page.received", count = received, boxes = all)))
                    (step(delivery.and_then(|it| it.staged), said!("log_page.staged")))
                    (step(delivery.and_then(|it| it.started), said!("log_page.started", count = started, boxes = all)))
                    @if let Some(delivery) = delivery {
                        @if let (Some(at), true) = (delivery.over, delivery.step.is_over()) {
                            @let is_good = delivery.step == Step::Finished;
                            @let why = delivery.reason.as_ref().map(|reason| words::not_heard(reason, frame.texts));
                            @let said = match why {
                                Some(why) => format!("{}: {why}", frame.texts.code("step", delivery.step.code())),
                                None if is_good => frame.tell(&said!("log_page.finished", count = finished, boxes = all)),
                                None => frame.texts.code("step", delivery.step.code()),
                            };
                            (link(if is_good { Kind::Good } else { Kind::Bad }, if is_good { "ok" } else { "fix" }, &moment(at), &said))
                        }
                    }
                }
            }
        }
    }
}

fn link(kind: Kind, drawing: &str, at: &str, words: &str) -> Markup {
    html! { li.(kind.class()) { (icon(drawing)) b { (at) } " " (words) } }
}

/// Says how long a play sounded; of one that a power cut ended only bounds are known.
fn played(frames: u64, play: &PlayRow, texts: &Texts) -> String {
    let is_cut = matches!(play.outcome, Some(PlayOutcome::PowerLost));
    if is_cut { words::length_of_cut(frames, texts) } else { words::length(frames, texts) }
}

/// The plays of a line, with the audio of each.
struct Heard {
    plays: Vec<PlayRow>,
    /// There are older plays than those.
    are_cut: bool,
    audio: BTreeMap<PlayId, ContentHash>,
}

impl Heard {
    async fn read(app: &App, row: &AiringRow) -> Result<Self, StoreError> {
        let begin = Wall::from_local(row.day.and_time(chrono::NaiveTime::MIN));
        let is_announcement = matches!(row.airing.subject, Subject::Announcement { .. });
        let filter = LogFilter {
            id: Some(row.box_id.clone()),
            from: (!is_announcement).then_some(begin),
            to: (!is_announcement).then(|| begin.plus(AROUND)),
            command: match &row.airing.subject {
                Subject::Announcement { command } => Some(command.clone()),
                _ => None,
            },
            limit: PLAYS_MAX,
            ..LogFilter::default()
        };
        let mut plays = app.store.plays(filter).await?;
        let are_cut = plays.len() == PLAYS_MAX as usize;
        plays.retain(|play| play.subject == row.airing.subject);
        plays.reverse();
        let mut audio = BTreeMap::new();
        if let (Some(first), Some(last)) = (plays.first(), plays.last()) {
            let filter = LogFilter {
                id: Some(row.box_id.clone()),
                from: Some(first.opened),
                to: Some(last.opened.plus(Span(1))),
                event: Some("play_started".to_owned()),
                command: match &row.airing.subject {
                    Subject::Announcement { command } => Some(command.clone()),
                    _ => None,
                },
                limit: PLAYS_MAX,
                ..LogFilter::default()
            };
            for entry in app.store.log(filter).await? {
                let Ok(Entry { event: Event::PlayStarted(start), .. }) = serde_json::from_str(&entry.body)
                else {
                    continue;
                };
                if let Some(hash) = start.content
                    && app.store.media(hash).await?.is_some()
                {
                    audio.insert(start.play, hash);
                }
            }
        }
        Ok(Self { plays, are_cut, audio })
    }

    fn draw(&self, frame: &Frame) -> Markup {
        const HEAD: [&str; 5] = ["log.start", "log.what", "log.length", "log.outcome", "log_page.listen"];
        let length = |frames: Option<u64>| frames.map(|frames| words::length(frames, frame.texts));
        html! {
            section.stack aria-labelledby="hp" {
                h2 #hp { (frame.say("log_page.plays")) }
                @if self.are_cut { p.mute { (frame.tell(&said!("page.newest", shown = self.plays.len()))) } }
                @if self.plays.is_empty() { p.mute { (frame.say("log_page.no_plays")) } } @else {
                    table.t role="table" {
                        thead role="rowgroup" { tr role="row" {
                            @for key in HEAD { th role="columnheader" scope="col" { (frame.say(key)) } }
                        } }
                        tbody role="rowgroup" { @for play in &self.plays { tr role="row" {
                            td role="cell" data-l=(frame.say(HEAD[0])) { (moment(play.started.unwrap_or(play.opened))) }
                            td role="cell" data-l=(frame.say(HEAD[1])) {
                                b { (play.title) } @if play.repetition > 1 { " (" (play.repetition) ")" }
                            }
                            td role="cell" data-l=(frame.say(HEAD[2])) {
                                @if let Some(frames) = play.frames_played { (played(frames, play, frame.texts)) }
                                @if let Some(due) = length(play.frames_due) { " / " (due) }
                            }
                            td role="cell" data-l=(frame.say(HEAD[3])) {
                                (words::outcome(play.outcome.as_ref(), frame.texts))
                                @match play.heard {
                                    Some(true) => { ", " (frame.say("log.heard")) }
                                    Some(false) => { ", " (frame.say("log.not_heard")) }
                                    None => {}
                                }
                            }
                            td role="cell" data-l=(frame.say(HEAD[4])) {
                                @match self.audio.get(&play.play) {
                                    Some(hash) => { audio controls preload="none" src={ "/media/" (hash) } aria-label=(play.title) {} }
                                    None => { span.mute { (frame.say("log_page.no_audio")) } }
                                }
                            }
                        } } }
                    }
                }
            }
        }
    }
}
