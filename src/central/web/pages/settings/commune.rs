//! The commune's villages, sections and campaigns, on one page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::NaiveDate;
use maud::{Markup, html};
use unicode_normalization::UnicodeNormalization;

use crate::app::App;
use crate::people::Who;
use crate::store::{CampaignRow, NewAct, PlaceRow, Role, SectionRow};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use loaxa_heart::domain::ids::{CampaignId, GroupId, SectionId};
use loaxa_heart::said;

const TITLE_CHARS_MAX: usize = 120;
/// Characters of an id that is made of a title.
const ID_CHARS_MAX: usize = 40;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Response, PageError> {
    draw(&app, &frame, &who, &Faults::default(), &Sent(Vec::new())).await
}

/// Makes an id of a title: `Y tế xã` becomes `y-te-xa`.
fn slug(title: &str) -> String {
    let plain = title.to_lowercase().replace('đ', "d");
    let plain: String = plain.nfd().filter(char::is_ascii).collect();
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    joined.chars().take(ID_CHARS_MAX).collect::<String>().trim_end_matches('-').to_owned()
}

/// Tells whether a person administers the whole commune: sections and campaigns are everybody's.
fn administers_all(app: &App, who: &Who) -> bool {
    who.may(app, Role::Administrator, &app.settings.top_groups())
}

pub async fn set_section(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if !administers_all(&app, &who) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    let title = sent.get("chuyen-muc").trim().to_owned();
    let id = SectionId::new(slug(&title)).ok().filter(|_| title.chars().count() <= TITLE_CHARS_MAX);
    let Some(id) = id else {
        let faults = Faults::one("chuyen-muc", said!("place.bad_title", max = TITLE_CHARS_MAX));
        return draw(&app, &frame, &who, &faults, &sent).await;
    };
    let act = NewAct { after: Some(title.clone()), ..who.act("section_set", id.as_str()) };
    app.store.set_section(SectionRow { id, title }, act).await?;
    Ok(Redirect::to("/cai-dat").into_response())
}

pub async fn set_campaign(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    if !administers_all(&app, &who) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    let mut faults = Faults::default();
    let title = sent.get("chien-dich").trim().to_owned();
    let id = CampaignId::new(slug(&title));
    if id.is_err() || title.chars().count() > TITLE_CHARS_MAX {
        faults.add("chien-dich", said!("place.bad_title", max = TITLE_CHARS_MAX));
    }
    let day = |name| sent.get(name).parse::<NaiveDate>().ok();
    let (from, until) = (day("tu"), day("den"));
    if from.is_none() || from > until {
        faults.add("den", said!("place.bad_days"));
    }
    let responsible = sent.get("phu-trach").trim().to_owned();
    if responsible.is_empty() || responsible.chars().count() > TITLE_CHARS_MAX {
        faults.add("phu-trach", said!("place.bad_responsible", max = TITLE_CHARS_MAX));
    }
    let (Ok(id), Some(from), Some(until), true) = (id, from, until, faults.is_empty()) else {
        return draw(&app, &frame, &who, &faults, &sent).await;
    };
    let act = NewAct { after: Some(title.clone()), ..who.act("campaign_set", id.as_str()) };
    app.store.set_campaign(CampaignRow { id, title, from, until, responsible }, act).await?;
    Ok(Redirect::to("/cai-dat").into_response())
}

async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    faults: &Faults,
    sent: &Sent,
) -> Result<Response, PageError> {
    let title = frame.say("place.title");
    let places: BTreeMap<_, _> =
        app.store.places().await?.into_iter().map(|place| (place.group.clone(), place)).collect();
    let (sections, campaigns) = (app.store.sections().await?, app.store.campaigns().await?);
    let mine = who.groups(app, Role::Administrator);
    let content = html! {
        h1 { (title) }
        (faults.summary(frame))
        section.stack aria-labelledby="h-noi" {
            h2 #h-noi { (frame.say("place.villages")) }
            p.mute.narrow { (frame.say("place.villages_hint")) }
            ul.list { @for group in &mine { (village(app, frame, group, places.get(group))) } }
        }
        @if administers_all(app, who) {
            div.cols {
                section.stack aria-labelledby="h-cm" {
                    h2 #h-cm { (frame.say("place.sections")) }
                    @if sections.is_empty() { p.mute { (frame.say("page.nothing")) } }
                    @else { ul.list { @for section in &sections { li { (section.title) } } } }
                    (section_form(frame, faults, sent))
                }
                section.stack aria-labelledby="h-cd" {
                    h2 #h-cd { (frame.say("place.campaigns")) }
                    @if campaigns.is_empty() { p.mute { (frame.say("page.nothing")) } }
                    @else { ul.list { @for campaign in &campaigns { li { (one_campaign(frame, campaign)) } } } }
                    (campaign_form(frame, faults, sent))
                }
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, frame.draw(app, title, content)).into_response())
}

fn village(app: &App, frame: &Frame, group: &GroupId, place: Option<&PlaceRow>) -> Markup {
    let households = place.and_then(|place| place.households);
    html! {
        li.row.apart {
            a href={ "/cai-dat/noi/" (group) } { b { (app.title_of(group)) } }
            span.mute {
                @if let Some(becomes) = app.merged().get(group) { (frame.tell(&said!("place.is_merged", title = app.title_of(becomes)))) " " }
                @match households {
                    Some(count) => (frame.tell(&said!("place.households_are", count))),
                    None => (frame.say("place.no_households")),
                }
                @if place.is_some_and(|place| place.point.is_some()) { ", " (frame.say("place.is_on_the_map")) }
            }
        }
    }
}

fn section_form(frame: &Frame, faults: &Faults, sent: &Sent) -> Markup {
    html! {
        form.stack.narrow method="post" action="/cai-dat/chuyen-muc" {
            (Input::text("chuyen-muc", frame.say("place.new_section"), sent.get("chuyen-muc")).draw(frame, faults))
            div.btns { button.btn.sec { (frame.say("place.add_section")) } }
        }
    }
}

fn campaign_form(frame: &Frame, faults: &Faults, sent: &Sent) -> Markup {
    let date = |id, key| {
        Input { kind: "date", class: Some("w-date"), ..Input::text(id, frame.say(key), sent.get(id)) }
            .draw(frame, faults)
    };
    html! {
        form.stack.narrow method="post" action="/cai-dat/chien-dich" {
            (Input::text("chien-dich", frame.say("place.new_campaign"), sent.get("chien-dich")).draw(frame, faults))
            div.row { (date("tu", "place.from")) (date("den", "place.until")) }
            (Input::text("phu-trach", frame.say("place.responsible"), sent.get("phu-trach")).draw(frame, faults))
            div.btns { button.btn.sec { (frame.say("place.add_campaign")) } }
        }
    }
}

fn one_campaign(frame: &Frame, campaign: &CampaignRow) -> Markup {
    let day = |day: NaiveDate| day.format("%d/%m/%Y").to_string();
    let (from, until) = (day(campaign.from), day(campaign.until));
    html! {
        b { (campaign.title) } br;
        span.mute { (frame.tell(&said!("place.campaign_days", from, until))) " · " (campaign.responsible) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_makes_an_id() {
        let check = |title: &str, expected: &str| assert_eq!(slug(title), expected);
        check("Y tế, dân số", "y-te-dan-so");
        check("Đường làng  ngõ xóm", "duong-lang-ngo-xom");
        check("!!!", "");
    }
}
