//! The first page: what sounds now, what is wrong, what was sent, what sounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use crate::app::{App, Counts};
use crate::foreseen::Foreseen;
use crate::orders::outlook;
use crate::store::{
    AlarmRow, BoxRow, CommandRow, DeliveryRow, Ended, LogFilter, NotPlayedRow, PlayRow, StoreError,
};
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, PageError};
use crate::web::words::{self, code_of};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::playback::PlayOutcome;
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::texts::{Lang, Texts};

/// Plays in the table.
const PLAYS_SHOWN: u32 = 40;
/// Announcements with their chain.
const ANNOUNCEMENTS_SHOWN: u32 = 6;
/// Boxes in the chain of one announcement.
const CHAIN_SHOWN: usize = 12;
/// Alarms and missed plays shown.
const TROUBLE_SHOWN: u32 = 8;

/// Adds the page, and what it draws anew every few seconds.
pub fn add(pages: Pages) -> Pages {
    pages.page("/", Needs::Person, get(page)).page("/fragments/home", Needs::Person, get(fragment))
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    let body = content(&app, frame.lang).await?;
    let content = html! {
        div #content hx-get="/fragments/home" hx-trigger="every 2s" hx-swap="innerHTML" { (body) }
    };
    Ok(frame.draw(&app, frame.say("page.home"), content))
}

async fn fragment(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, PageError> {
    Ok(content(&app, frame.lang).await?)
}

/// Draws everything below the header.
async fn content(app: &App, lang: Lang) -> Result<Markup, StoreError> {
    let boxes = app.store.boxes().await?;
    let alarms = app.store.alarms(TROUBLE_SHOWN).await?;
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
    let titles = app.settings.groups.iter().map(|group| (&group.id, group.title.as_str())).collect();
    let view = View { lang, texts: crate::web::texts::TEXTS.of(lang), now: app.now(), groups: titles };
    Ok(html! {
        p.clock { (view.texts.say("page.now")) ": " strong { (view.now.local().format("%H:%M:%S · %d/%m/%Y")) } }
        @if !app.outbound.is_connected() { p.alarm role="alert" { (view.texts.say("page.not_connected")) } }
        (view.alarms(&alarms))
        (view.on_air(&boxes, &plays))
        (view.boxes(&boxes))
        (view.announcements(&boxes, &announcements))
        (view.plays(&plays))
        (view.missed(&missed))
        (view.implausible(&implausible))
        (view.counted(&app.counts()))
    })
}

/// An announcement with its chain, and its outlook as long as it has not begun anywhere.
struct Announcement {
    row: CommandRow,
    chain: Vec<DeliveryRow>,
    foreseen: Option<Arc<Foreseen>>,
}

struct View<'a> {
    lang: Lang,
    texts: &'static Texts,
    now: Wall,
    groups: BTreeMap<&'a GroupId, &'a str>,
}

impl View<'_> {
    fn time(&self, at: Wall) -> Markup {
        html! { time datetime=(at) { (words::time(at, self.now)) } }
    }

    fn nothing(&self) -> Markup {
        html! { p.nothing { (self.texts.say("page.nothing")) } }
    }

    fn alarms(&self, alarms: &[AlarmRow]) -> Markup {
        html! {
            @if !alarms.is_empty() {
                section.alarm role="alert" {
                    h2 { (self.texts.say("alarms.title")) }
                    ul {
                        @for alarm in alarms {
                            li {
                                strong { (alarm.subject) } ": " (self.texts.code("alarms", alarm.kind.code()))
                                small { " (" (alarm.count) " " (self.texts.say("alarms.times")) ", "
                                    (self.texts.say("alarms.last")) " " (self.time(alarm.last)) "; " (alarm.detail) ")" }
                            }
                        }
                    }
                }
            }
        }
    }

    fn on_air(&self, boxes: &[BoxRow], plays: &[PlayRow]) -> Markup {
        let is_emergency = |row: &BoxRow| {
            let sounding = row.on_air.as_ref().map(|on_air| on_air.play);
            let of_box = plays.iter().find(|play| play.id == row.id && Some(play.play) == sounding);
            row.is_online(self.now) && of_box.is_some_and(|play| play.rung == Rung::Emergency)
        };
        let mut sounding: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in boxes.iter().filter(|row| row.is_online(self.now)) {
            if let Some(on_air) = &row.on_air {
                sounding.entry(&on_air.title).or_default().push(&row.title);
            }
        }
        html! {
            section.on-air.emergency[boxes.iter().any(is_emergency)] {
                h2 { (self.texts.say("on_air.title")) }
                @if sounding.is_empty() { p.nothing { (self.texts.say("on_air.silence")) } }
                ul {
                    @for (title, where_) in &sounding {
                        li { strong { (title) } span { (where_.join(" · ")) } }
                    }
                }
            }
        }
    }

    fn boxes(&self, boxes: &[BoxRow]) -> Markup {
        let mut sorted: Vec<_> = boxes.iter().collect();
        sorted.sort_by_key(|row| (row.is_online(self.now) && row.faults.is_empty(), &row.title));
        html! {
            section {
                h2 { (self.texts.say("boxes.title")) }
                @if boxes.is_empty() { (self.nothing()) }
                div.boxes { @for row in sorted { (self.one_box(row)) } }
            }
        }
    }

    fn one_box(&self, row: &BoxRow) -> Markup {
        let online = row.is_online(self.now);
        let (class, state) = match &row.on_air {
            _ if row.last_seen.is_none() => ("lost", self.texts.say("boxes.never")),
            _ if !online => ("lost", self.texts.say("boxes.lost")),
            Some(_) => ("sounding", self.texts.say("boxes.on_air")),
            None => ("silent", self.texts.say("boxes.silent")),
        };
        html! {
            article.box.(class).faulty[!row.faults.is_empty()] {
                h3 { (row.title) }
                p.state { (state) @if let (true, Some(on_air)) = (online, &row.on_air) { ": " b { (on_air.title) } } }
                @if let Some(at) = row.last_seen {
                    p.small { (self.texts.say("boxes.last_seen")) " " (self.time(at)) }
                }
                @if !row.faults.is_empty() {
                    p.fault { (self.texts.say("boxes.faults")) ": "
                        (row.faults.iter().map(|code| self.texts.code("fault", code)).collect::<Vec<_>>().join(", ")) }
                }
                @match row.clock {
                    Some(ClockQuality::None) => p.fault { (self.texts.say("boxes.clock_none")) },
                    Some(ClockQuality::Floor) => p.small { (self.texts.say("boxes.clock_floor")) },
                    Some(ClockQuality::Synced) | None => {},
                }
                @if row.backlog > 0 { p.small { (self.texts.say("boxes.backlog")) ": " (row.backlog) } }
            }
        }
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
        let class = row.class.as_ref().map(code_of).unwrap_or_default();
        let groups = row.groups.iter().map(|id| self.groups.get(id).copied().unwrap_or(id.as_str()));
        let groups = groups.collect::<Vec<_>>().join(", ");
        let finished = chain.iter().filter(|delivery| delivery.step == Step::Finished).count();
        let mut rest: Vec<_> = chain.iter().collect();
        rest.sort_by_key(|delivery| (delivery.step == Step::Finished, &delivery.title));
        html! {
            article.announcement.(class) {
                h3 { (row.title) }
                p {
                    span.badge.(class) { (self.texts.code("class", &class)) }
                    @if let Some(mode @ (Mode::Exercise | Mode::Test)) = &row.mode {
                        " " span.badge.exercise { (self.texts.code("mode", &code_of(mode))) }
                    }
                    " " (self.time(row.issued_at)) " · " (self.texts.say("announcements.to")) " " b { (groups) }
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
                h2 { (self.texts.say("log.title")) }
                @if plays.is_empty() { (self.nothing()) } @else {
                    table {
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
        let class = play.class.as_ref().map_or_else(|| code_of(&play.rung), code_of);
        let bad = matches!(
            play.outcome,
            Some(PlayOutcome::Failed { .. } | PlayOutcome::PowerLost | PlayOutcome::Guarded { .. })
        );
        let played = play.frames_played.map(|frames| words::length(frames, self.texts));
        let due = play.frames_due.map(|frames| words::length(frames, self.texts));
        html! {
            tr.bad[bad] {
                td data-label=(self.texts.say("log.start")) { (self.time(play.started.unwrap_or(play.opened))) }
                td data-label=(self.texts.say("log.box")) { (play.box_title) }
                td data-label=(self.texts.say("log.what")) {
                    b { (play.title) }
                    @if play.repetition > 1 { " (" (play.repetition) ")" }
                }
                td data-label=(self.texts.say("log.class")) {
                    span.badge.(class) { (self.texts.code("class", &class)) }
                    @if let Some(mode @ (Mode::Exercise | Mode::Test)) = &play.mode {
                        " " span.badge.exercise { (self.texts.code("mode", &code_of(mode))) }
                    }
                }
                td data-label=(self.texts.say("log.length")) {
                    @if let Some(played) = played { (played) @if let Some(due) = due { " / " (due) } }
                }
                td data-label=(self.texts.say("log.outcome")) {
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

    fn counted(&self, counts: &Counts) -> Markup {
        let counts = [
            ("counted.entries_added", counts.entries_added),
            ("counted.messages_refused", counts.messages_refused),
            ("counted.batches_put_off", counts.batches_put_off),
            ("counted.messages_unsent", counts.messages_unsent),
            ("counted.voice_pieces_dropped", counts.voice_pieces_dropped),
            ("counted.listeners_refused", counts.listeners_refused),
        ];
        html! {
            section.small {
                h2 { (self.texts.say("counted.title")) }
                ul { @for (key, count) in counts { li { (count) " " (self.texts.say(key)) } } }
            }
        }
    }

    /// Plays that can't be true, by their arrival and with what they say of themselves.
    fn implausible(&self, plays: &[PlayRow]) -> Markup {
        html! {
            @if !plays.is_empty() {
                section {
                    h2 { (self.texts.say("implausible.title")) }
                    table {
                        thead { tr {
                            @for key in ["log.start", "log.box", "log.what", "implausible.why"] { th { (self.texts.say(key)) } }
                        } }
                        tbody {
                            @for play in plays {
                                tr.bad {
                                    td data-label=(self.texts.say("log.start")) {
                                        (play.opened.local().format("%H:%M:%S %d/%m/%Y"))
                                    }
                                    td data-label=(self.texts.say("log.box")) { (play.box_title) }
                                    td data-label=(self.texts.say("log.what")) { b { (play.title) } }
                                    td data-label=(self.texts.say("implausible.why")) {
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
                    table {
                        thead { tr {
                            @for key in ["missed.when", "log.box", "log.what", "missed.why"] { th { (self.texts.say(key)) } }
                        } }
                        tbody {
                            @for row in missed {
                                tr.bad {
                                    td data-label=(self.texts.say("missed.when")) { (self.time(row.at)) }
                                    td data-label=(self.texts.say("log.box")) { (row.box_title) }
                                    td data-label=(self.texts.say("log.what")) { b { (row.title) } }
                                    td data-label=(self.texts.say("missed.why")) {
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
