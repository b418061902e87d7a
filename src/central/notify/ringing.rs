//! Calling: looks at the calls that wait, notes who is called now, and writes the letters to them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::plan::{Contact, Times, called_by, order, plan};
use crate::app::App;
use crate::people::may;
use crate::store::{CallFor, CallRow, CallState, CalledRow, Channel, NewLetter, Role, StoreError};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Lang;

/// Time between two looks: small beside the seconds in which the second officer has to be called.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Calls that are looked at: a call is over after an hour.
const LOOK_BACK: Span = Span::secs(3_600);

/// Calls people for as long as central runs.
pub async fn call_people(app: Arc<App>) {
    loop {
        if let Err(error) = look(&app).await {
            tracing::error!(%error, "nobody can be called");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let calls = app.store.calls(now.minus(LOOK_BACK)).await?;
    for call in calls.iter().filter(|call| call.state_at(now) == CallState::Calling) {
        let planned = planned(app, call).await?;
        let replies = app.store.replies(call.id.clone()).await?;
        for (contact, _) in called_by(&planned, &replies, now) {
            let called = CalledRow { contact: contact.key(), name: contact.name.clone(), at: now };
            let letters = letters(app, call, &contact, now);
            if app.store.note_called(call.id.clone(), called, letters).await? {
                tracing::info!(call = %call.id, contact = contact.key(), "a person is called");
            }
        }
    }
    Ok(())
}

/// Lists who is called for a call, each with the time, if nobody answers.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn planned(app: &App, call: &CallRow) -> Result<Vec<(Contact, Wall)>, StoreError> {
    let shifts = app.store.shifts().await?;
    let officers = contacts(app, &call.groups, call.began).await?;
    let ordered = order(&shifts, &officers, &call.by, call.began.local());
    let times = Times { next: app.settings.calling.next_after, above: app.settings.calling.above_after };
    Ok(plan(&ordered, call.began, times))
}

/// Lists the duty officers of these places.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn contacts(app: &App, groups: &[GroupId], now: Wall) -> Result<Vec<Contact>, StoreError> {
    let people = app.store.people().await?.into_iter();
    let officers = people.filter(|person| person.left.is_none() && may(app, person, Role::Duty, groups, now));
    let contact = officers.map(|person| Contact {
        email: Some(person.reach.trim().to_owned()).filter(|reach| reach.contains('@')),
        account: Some(person.id),
        name: person.name,
        above: false,
    });
    Ok(contact.collect())
}

fn letters(app: &App, call: &CallRow, contact: &Contact, now: Wall) -> Vec<NewLetter> {
    let link = format!("{}/khan-cap/{}", app.public_url, call.id);
    let mut letters = Vec::new();
    let title_of = |id: &GroupId| app.settings.groups.iter().find(|group| group.id == *id);
    let places: Vec<_> =
        call.groups.iter().map(|id| title_of(id).map_or(id.as_str(), |group| group.title.as_str())).collect();
    if let (Some(to), true) = (&contact.email, app.settings.calling.email.is_some()) {
        let commune = &app.settings.commune;
        let (title, places) = (&call.title, places.join(", "));
        let (subject, body) = match call.purpose {
            CallFor::Emergency => {
                (said!("letter.subject", commune), said!("letter.body", commune, title, places, link))
            }
            CallFor::Drill => {
                (said!("letter.drill_subject", commune), said!("letter.drill_body", commune, link))
            }
        };
        letters.push(NewLetter {
            channel: Channel::Email,
            to: to.clone(),
            subject: subject.to(Lang::Vi),
            body: body.to(Lang::Vi),
        });
    }
    if app.settings.calling.webhook.is_some() {
        let kind = match call.purpose {
            CallFor::Emergency => "call.emergency",
            CallFor::Drill => "call.drill",
        };
        let data = json!({
            "call": call.id, "name": contact.name, "email": contact.email, "above": contact.above,
            "title": call.title, "places": places, "link": link,
        });
        let body = json!({ "type": kind, "timestamp": now, "data": data }).to_string();
        letters.push(NewLetter {
            channel: Channel::Webhook,
            to: String::new(),
            subject: kind.to_owned(),
            body,
        });
    }
    letters
}
