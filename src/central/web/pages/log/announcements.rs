//! Announcements that were sent, with how far each has come on each box, and what a box tells that can't be true.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::app::App;
use crate::foreseen::Foreseen;
use crate::orders::outlook;
use crate::store::{BoxRow, CommandRow, DeliveryRow, Ended, LogFilter, PlayRow, StoreError};
use crate::web::frame::{Frame, PageError, cut};
use crate::web::pages::class::class_tag;
use crate::web::words::{self, code_of};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::{Lang, Texts};

/// The fragment that is drawn anew when something changes.
pub const FRAGMENT: &str = "/fragments/nhat-ky";

/// Events at which the page asks for the fragment; `live.js` makes them.
pub const EVENTS: &str = "announcements from:body, shown from:body";

/// Announcements with their chain.
const ANNOUNCEMENTS_SHOWN: u32 = 6;
/// Boxes in the chain of one announcement.
const CHAIN_SHOWN: usize = 12;
/// Plays that can't be true.
const TROUBLE_SHOWN: u32 = 8;

/// Draws the announcements anew.
pub async fn fragment(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    Ok(content(&app, frame.lang).await?)
}

/// Draws everything below the title.
pub async fn content(app: &App, lang: Lang) -> Result<Markup, StoreError> {
    let boxes = app.store.boxes().await?;
    let odd = LogFilter { limit: TROUBLE_SHOWN + 1, implausible: true, ..LogFilter::default() };
    let mut implausible = app.store.plays(odd).await?;
    let more_odd = cut(&mut implausible, TROUBLE_SHOWN as usize, lang);
    let mut announcements = Vec::new();
    let mut rows = app.store.announcements(None, ANNOUNCEMENTS_SHOWN + 1).await?;
    let more = cut(&mut rows, ANNOUNCEMENTS_SHOWN as usize, lang);
    for row in rows {
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
        (more)
        (view.implausible(&implausible))
        (more_odd)
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
}
