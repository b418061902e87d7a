//! The emergency on the air, village by village; the boxes that have not confirmed the stop; the messages that may follow.

use std::sync::Arc;

use maud::{Markup, html};

use super::parts::{second, title_of};
use crate::app::App;
use crate::orders::outlook;
use crate::store::{BoxRow, CallRow, CallState, DeliveryRow, MessageRow, MessageUse, StoreError};
use crate::web::frame::Frame;
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Boxes that are named in one list.
const NAMED_MAX: usize = 60;

/// A box on its way through an emergency. What is not known is neither heard nor silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    Sounds,
    /// The box has said that its part is over.
    Done,
    /// The box can be reached and has not begun yet.
    Waits,
    /// The box can't be reached, and was not heard of since.
    Unknown,
    Failed,
}

fn hears(row: &DeliveryRow, is_online: bool) -> Hears {
    match row.step {
        Step::Started | Step::Interrupted if is_online => Hears::Sounds,
        Step::Finished | Step::Cancelled | Step::Superseded => Hears::Done,
        Step::NotPlayed | Step::Refused | Step::Expired => Hears::Failed,
        _ if is_online => Hears::Waits,
        _ => Hears::Unknown,
    }
}

/// Draws the state of all boxes.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn draw(app: &Arc<App>, frame: &Frame, row: &CallRow, now: Wall) -> Result<Markup, StoreError> {
    let chain = app.store.deliveries(row.id.clone()).await?;
    let boxes = app.store.boxes().await?;
    let agreed = match &row.agreed_by {
        Some(id) => app.store.person(id.clone()).await?.map(|person| person.name),
        None => None,
    };
    let stopped_by = match &row.ended_by {
        Some(id) => app.store.person(id.clone()).await?.map(|person| person.name),
        None => None,
    };
    let states: Vec<_> = chain
        .iter()
        .map(|row| {
            let known = boxes.iter().find(|it| it.id == row.id);
            (row, known, hears(row, known.is_some_and(|it| it.is_online(now))))
        })
        .collect();
    let count = |wanted: Hears| states.iter().filter(|(_, _, hears)| *hears == wanted).count();
    let open: Vec<_> = states.iter().filter(|(row, _, _)| !row.step.is_over()).collect();
    let is_stopped = row.state == CallState::Stopped;
    let is_done = !chain.is_empty() && open.is_empty();
    Ok(html! {
        @if is_stopped {
            section.card.band.stack.(if open.is_empty() { "k-ok" } else { "k-look" }) aria-labelledby="h-dung" {
                @if let (Some(name), Some(at)) = (&stopped_by, row.ended) { p { (frame.tell(&said!("emergency.stopped_by", name, at = second(at)))) } }
                @if open.is_empty() { h2 #h-dung { (icon("ok")) " " (frame.say("emergency.all_stopped")) } } @else {
                    h2 #h-dung { (frame.tell(&said!("emergency.not_stopped", count = open.len(), all = chain.len()))) }
                    p { (frame.say("emergency.sent_again")) }
                    ul.list #chua-dung { @for (row, known, hears) in open.iter().take(NAMED_MAX) { (one_open(app, frame, row, *known, *hears)) } }
                }
            }
        }
        div.cols.wide-l {
            section.stack aria-labelledby="h-phat" {
                h2 #h-phat { @if is_stopped || is_done { (frame.tell(&said!("emergency.done_of", done = chain.len() - open.len(), all = chain.len()))) }
                    @else { (frame.tell(&said!("emergency.sounding_of", sounding = count(Hears::Sounds), all = chain.len()))) } }
                ul.list { @for group in &row.groups { (village(app, frame, group, &states)) } }
                @if !is_stopped { @for group in &row.groups { (who_must_go(app, frame, group, &states)) } }
            }
            section.stack aria-labelledby="h-hai" {
                h2 #h-hai { (frame.say("emergency.step_second")) }
                div.card.tight {
                    @if let Some(name) = agreed { p { (state(Kind::Good, frame.tell(&said!("emergency.has_agreed", name)))) } }
                    @if let Some(at) = row.agreed {
                        p.mute { (frame.tell(&said!("emergency.agreed_after", at = second(at), seconds = at.since(row.began).as_millis() / 1_000))) } }
                }
            }
        }
    })
}

type State<'a> = (&'a DeliveryRow, Option<&'a BoxRow>, Hears);

fn is_in(app: &App, known: Option<&BoxRow>, group: &GroupId) -> bool {
    known.is_some_and(|row| app.groups_of(&row.groups).contains(group))
}

fn village(app: &App, frame: &Frame, group: &GroupId, states: &[State]) -> Markup {
    let inside: Vec<_> = states.iter().filter(|(_, known, _)| is_in(app, *known, group)).collect();
    let count = |wanted: Hears| inside.iter().filter(|(_, _, hears)| *hears == wanted).count();
    let all = inside.len().max(1);
    let (sounding, done) = (count(Hears::Sounds), count(Hears::Done));
    let parts = [
        (sounding, Kind::OnAir, "emergency.n_sounding"),
        (done, Kind::Good, "emergency.n_done"),
        (count(Hears::Waits), Kind::Quiet, "emergency.n_waiting"),
        (count(Hears::Unknown), Kind::Unknown, "emergency.n_unknown"),
        (count(Hears::Failed), Kind::Bad, "emergency.n_failed"),
    ];
    let named: Vec<String> = parts
        .iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, _, words)| frame.texts.say(words).replace("{count}", &count.to_string()))
        .collect();
    let kind = match () {
        () if inside.is_empty() || count(Hears::Failed) > 0 => Kind::Bad,
        () if count(Hears::Unknown) > 0 => Kind::Unknown,
        () if sounding > 0 => Kind::OnAir,
        () if done > 0 => Kind::Good,
        () => Kind::Quiet,
    };
    let words = if named.is_empty() { frame.say("emergency.no_box").to_owned() } else { named.join(", ") };
    let mut from = 0;
    html! {
        li.tight {
            div.row.apart { b { (title_of(app, group)) } (state(kind, words)) }
            svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                @for (count, kind, _) in parts.iter().filter(|(count, kind, _)| *count > 0 && *kind != Kind::Unknown) {
                    rect.fc.(kind.class()) x=(100 * from / all) width=(100 * count / all) height="10" {}
                    ({ from += count; "" })
                }
            }
        }
    }
}

/// Names a village to which somebody has to go, because boxes there do not answer or did not play.
fn who_must_go(app: &App, frame: &Frame, group: &GroupId, states: &[State]) -> Markup {
    let silent: Vec<_> = states
        .iter()
        .filter(|(_, known, hears)| {
            is_in(app, *known, group) && matches!(hears, Hears::Unknown | Hears::Failed)
        })
        .map(|(row, _, _)| row.title.as_str())
        .take(NAMED_MAX)
        .collect();
    html! {
        @if !silent.is_empty() {
            div.alarm.k-bad.tight {
                h3 { (frame.tell(&said!("emergency.must_go", place = title_of(app, group)))) }
                p { (frame.tell(&said!("emergency.do_not_answer", boxes = silent.join(", ")))) }
            }
        }
    }
}

fn one_open(app: &App, frame: &Frame, row: &DeliveryRow, known: Option<&BoxRow>, hears: Hears) -> Markup {
    let place = known.and_then(|row| row.groups.first()).map_or("", |group| title_of(app, group));
    let (kind, words) = match hears {
        Hears::Unknown => (Kind::Unknown, "emergency.out_of_contact"),
        Hears::Sounds => (Kind::OnAir, "emergency.still_sounds"),
        _ => (Kind::Look, "emergency.not_confirmed"),
    };
    html! { li.row.apart { span { b { (row.title) } " " span.mute { (place) } } (state(kind, frame.say(words))) } }
}

/// The messages that may follow an emergency that is over.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn after(
    app: &Arc<App>,
    frame: &Frame,
    row: &CallRow,
    is_over: bool,
) -> Result<Markup, StoreError> {
    if !matches!(row.state, CallState::OnAir | CallState::Stopped) {
        return Ok(html! {});
    }
    let messages = app.store.messages().await?;
    let followed = app.store.follow_ups(row.id.clone()).await?;
    let prepared: Vec<_> = messages.iter().filter(|message| message.purpose != MessageUse::Alarm).collect();
    let mut foreseen = Vec::new();
    for (_, command) in &followed {
        if let Some(command) = command
            && let Some(seen) = outlook::foresee(app, command).await?
        {
            foreseen.push(frame.tell(&seen.said));
        }
    }
    let is_followed = |message: &&&MessageRow| followed.iter().any(|(id, _)| *id == message.id);
    Ok(html! {
        section.stack.narrow aria-labelledby="h-sau" {
            h2 #h-sau { (frame.say("emergency.afterwards")) }
            @if !is_over { p.mute { (frame.say("emergency.after_stop_only")) } }
            @if prepared.is_empty() { p { (frame.say("emergency.nothing_for_after")) " " a href="/tin-soan-san" { (frame.say("message.title")) } } }
            @for message in prepared.iter().filter(|message| is_followed(message)) {
                p { (state(Kind::Good, frame.tell(&said!("emergency.was_followed", title = message.title)))) }
            }
            @for line in foreseen.iter().flat_map(|said| said.lines()) { p.mute { (line) } }
            div.btns {
                @for message in prepared.iter().filter(|message| !is_followed(message)) {
                    form method="post" action={ "/khan-cap/" (row.id) } {
                        input type="hidden" name="tin" value=(message.id);
                        button.btn.sec name="viec" value="tiep" disabled[!is_over] { (frame.tell(&said!("emergency.air_after", title = message.title))) }
                    }
                }
            }
            @if is_over && !prepared.is_empty() { p.mute { (frame.say("emergency.at_night")) " "
                a href={ "/khan-cap?sau=" (row.id) } { (frame.say("emergency.with_two")) } } }
        }
    })
}
