//! The playback log: what was sent and who heard it, what sounded, and what did not.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use crate::app::App;
use crate::foreseen::Foreseen;
use crate::orders::outlook;
use crate::store::{BoxRow, CommandRow, DeliveryRow, Ended, LogFilter, NotPlayedRow, PlayRow, StoreError};
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError};
use crate::web::pages::class::class_tag;
use crate::web::words::{self, code_of};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::playback::PlayOutcome;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::{Lang, Texts};

const FRAGMENT: &str = "/fragments/nhat-ky";

/// Plays in the table.
const PLAYS_SHOWN: u32 = 40;
/// Announcements with their chain.
const ANNOUNCEMENTS_SHOWN: u32 = 6;
/// Boxes in the chain of one announcement.
const CHAIN_SHOWN: usize = 12;
/// Missed plays shown.
const TROUBLE_SHOWN: u32 = 8;

/// Adds the page, and what it draws anew.
pub fn add(pages: Pages) -> Pages {
    pages.page("/nhat-ky", Needs::Person, get(page)).page(FRAGMENT, Needs::Person, get(fragment))
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    let title = frame.say("log.title");
    let content = html! {
        h1 { (title) }
        div.live hx-get=(FRAGMENT) hx-trigger="announcements from:body, shown from:body, signed-out from:body" hx-swap="innerHTML" {
            (content(&app, frame.lang).await?)
        }
    };
    Ok(frame.draw_with(&app, title, &["/assets/live.js"], content))
}

async fn fragment(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    Ok(content(&app, frame.lang).await?)
}

/// Draws everything below the title.
async fn content(app: &App, lang: Lang) -> Result<Markup, StoreError> {
    let boxes = app.store.boxes().await?;
    let missed = app.store.not_played(TROUBLE_SHOWN).await?;
    let plays = app.store.plays(LogFilter { limit: PLAYS_SHOWN, ..LogFilter::default() }).await?;
    let odd = LogFilter { limit: TROUBLE_SHOWN, implausible: true, ..LogFilter::default() };
    let implausible = app.store.plays(odd).await?;
    let mut announcements = Vec::new();
    for row in app.store.announcements(ANNOUNCEMENTS_SHOWN).await? {
        let chain = app.store.deliveries(row.id.clone()).await?;
        let waits =
            row.ended.is_none() && row.expires > app.now() && chain.iter().all(|it| it.started.is_none());
        let foreseen = if waits { outlook::foresee(app, &row.id).await? } else { None };
        announcements.push(Announcement { row, chain, foreseen });
    }
    let groups = app.groups().into_iter().map(|group| (group.id, group.title)).collect();
    let view = View { lang, texts: crate::web::texts::TEXTS.of(lang), now: app.now(), groups };
    Ok(html! {
        (view.announcements(&boxes, &announcements))
        (view.plays(&plays))
        (view.missed(&missed))
        (view.implausible(&implausible))
    })
}

/// An announcement with its chain, and its outlook as long as it has not begun anywhere.
struct Announcement {
    row: CommandRow,
    chain: Vec<DeliveryRow>,
    foreseen: Option<Arc<Foreseen>>,
}

struct View {
    lang: Lang,
    texts: &'static Texts,
    now: Wall,
    groups: BTreeMap<GroupId, String>,
}

impl View {
    fn time(&self, at: Wall) -> Markup {
        html! { time datetime=(at) { (words::time(at, self.now)) } }
    }

    fn nothing(&self) -> Markup {
        html! { p.nothing { (self.texts.say("page.nothing")) } }
    }

    fn announcements(&self, boxes: &[BoxRow], announcements: &[Announcement]) -> Markup {
        html! {
            section {
                h2 { (self.texts.say("announcements.title")) }
                @if announcements.is_empty() { (self.nothing()) }
                @for announcement in announcements { (self.announcement(announcement, boxes)) }
            }
        }
    }

    fn announcement(&self, announcement: &Announcement, boxes: &[BoxRow]) -> Markup {
        let Announcement { row, chain, foreseen } = announcement;
        let rung = row.class.zip(row.mode).map(|(class, mode)| Rung::of(class, mode));
        let groups = row.groups.iter().map(|id| self.groups.get(id).map_or(id.as_str(), String::as_str));
        let groups = groups.collect::<Vec<_>>().join(", ");
        let finished = chain.iter().filter(|delivery| delivery.step == Step::Finished).count();
        let mut rest: Vec<_> = chain.iter().collect();
        rest.sort_by_key(|delivery| (delivery.step == Step::Finished, &delivery.title));
        html! {
            article.announcement.card.tight {
                h3 { (row.title) }
                p {
                    @if let Some(rung) = rung { (class_tag(self.texts, rung, row.mode)) " " }
                    @if row.mode == Some(Mode::Test) { (self.texts.say("mode.test")) " " }
                    (self.time(row.issued_at)) " · " (self.texts.say("announcements.to")) " " b { (groups) }
                    @if !row.author.is_empty() { " · " (self.texts.say("announcements.by")) " " (row.author) }
                    @if let Some(approver) = &row.approver { " · " (self.texts.say("announcements.approved_by")) " " (approver) }
                    @match row.ended {
                        Some(Ended::Cancelled) => { " · " b { (self.texts.say("announcements.ended_cancelled")) } }
                        Some(Ended::Superseded) => { " · " b { (self.texts.say("announcements.ended_superseded")) } }
                        None if row.expires <= self.now => { " · " (self.texts.say("announcements.expired")) }
                        None => {}
                    }
                }
                @if chain.is_empty() { p.outlook.nobody { (self.texts.say("announcements.nobody")) } } @else {
                    p { (self.texts.say("announcements.heard_by")) ": " strong { (finished) } " "
                        (self.texts.say("announcements.of")) " " (chain.len()) }
                }
                @if let (Some(foreseen), false) = (foreseen, chain.is_empty()) {
                    @for line in foreseen.said.to(self.lang).lines() { p.outlook { (line) } }
                }
                ul.chain {
                    @for delivery in rest.iter().take(CHAIN_SHOWN) { (self.delivery(delivery, boxes)) }
                    @if rest.len() > CHAIN_SHOWN {
                        li { "+ " (rest.len() - CHAIN_SHOWN) " " (self.texts.say("announcements.more")) }
                    }
                }
            }
        }
    }

    fn delivery(&self, delivery: &DeliveryRow, boxes: &[BoxRow]) -> Markup {
        let step = delivery.step.code();
        let unheard = delivery.step == Step::Sent;
        let lost = unheard && boxes.iter().any(|row| row.id == delivery.id && !row.is_online(self.now));
        let why = delivery.reason.as_ref().map(|reason| words::not_heard(reason, self.texts));
        let times = [delivery.over, delivery.started, delivery.staged, delivery.received, delivery.sent];
        html! {
            li.{ "step-" (step) }.silent[lost] {
                b { (delivery.title) } ": " (self.texts.code("step", step))
                @if lost { ", " (self.texts.say("boxes.lost")) }
                @if let Some(why) = why { " (" (why) ")" }
                @if let Some(at) = times.into_iter().flatten().next() { " " (self.time(at)) }
            }
        }
    }

    fn plays(&self, plays: &[PlayRow]) -> Markup {
        html! {
            section {
                h2 { (self.texts.say("log.played")) }
                @if plays.is_empty() { (self.nothing()) } @else {
                    table.t {
                        thead { tr {
                            @for key in ["log.start", "log.box", "log.what", "log.class", "log.length", "log.outcome"] {
                                th { (self.texts.say(key)) }
                            }
                        } }
                        tbody { @for play in plays { (self.play(play)) } }
                    }
                }
            }
        }
    }

    fn play(&self, play: &PlayRow) -> Markup {
        let bad = matches!(
            play.outcome,
            Some(PlayOutcome::Failed { .. } | PlayOutcome::PowerLost | PlayOutcome::Guarded { .. })
        );
        let is_cut = matches!(play.outcome, Some(PlayOutcome::PowerLost));
        let length = if is_cut { words::length_of_cut } else { words::length };
        let played = play.frames_played.map(|frames| length(frames, self.texts));
        let due = play.frames_due.map(|frames| words::length(frames, self.texts));
        html! {
            tr.bad[bad] {
                td data-l=(self.texts.say("log.start")) { (self.time(play.started.unwrap_or(play.opened))) }
                td data-l=(self.texts.say("log.box")) { (play.box_title) }
                td data-l=(self.texts.say("log.what")) {
                    b { (play.title) }
                    @if play.repetition > 1 { " (" (play.repetition) ")" }
                }
                td data-l=(self.texts.say("log.class")) {
                    (class_tag(self.texts, play.rung, play.mode))
                }
                td data-l=(self.texts.say("log.length")) {
                    @if let Some(played) = played { (played) @if let Some(due) = due { " / " (due) } }
                }
                td data-l=(self.texts.say("log.outcome")) {
                    (words::outcome(play.outcome.as_ref(), self.texts))
                    @match play.heard {
                        Some(true) => { " · " (self.texts.say("log.heard")) }
                        Some(false) => { " · " (self.texts.say("log.not_heard")) }
                        None => {}
                    }
                }
            }
        }
    }

    /// Plays that can't be true, by their arrival and with what they say of themselves.
    fn implausible(&self, plays: &[PlayRow]) -> Markup {
        html! {
            @if !plays.is_empty() {
                section {
                    h2 { (self.texts.say("implausible.title")) }
                    table.t {
                        thead { tr {
                            @for key in ["log.start", "log.box", "log.what", "implausible.why"] { th { (self.texts.say(key)) } }
                        } }
                        tbody {
                            @for play in plays {
                                tr.bad {
                                    td data-l=(self.texts.say("log.start")) {
                                        (play.opened.local().format("%H:%M:%S %d/%m/%Y"))
                                    }
                                    td data-l=(self.texts.say("log.box")) { (play.box_title) }
                                    td data-l=(self.texts.say("log.what")) { b { (play.title) } }
                                    td data-l=(self.texts.say("implausible.why")) {
                                        (self.texts.code("implausible", &play.implausible.map(|why| code_of(&why)).unwrap_or_default()))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn missed(&self, missed: &[NotPlayedRow]) -> Markup {
        html! {
            @if !missed.is_empty() {
                section {
                    h2 { (self.texts.say("missed.title")) }
                    table.t {
                        thead { tr {
                            @for key in ["missed.when", "log.box", "log.what", "missed.why"] { th { (self.texts.say(key)) } }
                        } }
                        tbody {
                            @for row in missed {
                                tr.bad {
                                    td data-l=(self.texts.say("missed.when")) { (self.time(row.at)) }
                                    td data-l=(self.texts.say("log.box")) { (row.box_title) }
                                    td data-l=(self.texts.say("log.what")) { b { (row.title) } }
                                    td data-l=(self.texts.say("missed.why")) {
                                        (words::not_played(&row.reason, self.texts))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
