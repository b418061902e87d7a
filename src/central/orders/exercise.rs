//! Exercises: a prepared message as an exercise at a chosen time, with notices before. Nothing here can be real.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Days, NaiveDateTime, NaiveTime, Timelike};

use super::announce::{self, Asked, Opening};
use super::cancel;
use super::emergency::places;
use super::refused::Refused;
use crate::app::App;
use crate::people::Who;
use crate::store::{MessageUse, NewAct, Role, StoreError, urgently};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::{CommandId, GroupId, PreparedId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence};

/// Hours in which an exercise may begin.
pub const FROM_HOUR: u32 = 7;
pub const UNTIL_HOUR: u32 = 18;

/// Hours of the notices, on the day before and on the day itself.
pub const EVE_HOUR: u32 = 17;
pub const MORNING_HOUR: u32 = 6;

/// Days until an exercise at most: a command lives for thirty.
const DAYS_MAX: u64 = 28;

/// A reason for which an exercise is not scheduled.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotExercise {
    NotPrepared,
    NoPlace,
    NotYours,
    /// Outside of the hours for exercises.
    Hour,
    /// Villages could not be told before.
    TooSoon,
    TooFar,
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotExercise {
    fn say(&self) -> Sentence {
        match self {
            NotExercise::NotPrepared => said!("exercise.not_prepared"),
            NotExercise::NoPlace => said!("compose.no_place"),
            NotExercise::NotYours => said!("emergency.not_yours"),
            NotExercise::Hour => said!("exercise.bad_hour", from = FROM_HOUR, until = UNTIL_HOUR),
            NotExercise::TooSoon => said!("exercise.too_soon"),
            NotExercise::TooFar => said!("exercise.too_far", days = DAYS_MAX),
            NotExercise::Refused(refused) => refused.say(),
            NotExercise::Store(error) => error.say(),
        }
    }
}

/// Gives the times of the two notices before an exercise.
pub fn told_at(at: NaiveDateTime) -> [NaiveDateTime; 2] {
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).expect("an hour of the day");
    let eve = at.date().checked_sub_days(Days::new(1)).unwrap_or(at.date());
    [eve.and_time(hour(EVE_HOUR)), at.date().and_time(hour(MORNING_HOUR))]
}

/// Schedules an exercise with its notices.
///
/// # Errors
/// Says what is wrong; nothing is scheduled then.
pub async fn schedule(
    app: &Arc<App>,
    who: &Who,
    message: PreparedId,
    groups: Vec<GroupId>,
    at: NaiveDateTime,
) -> Result<(), NotExercise> {
    let offered = places(app);
    let groups: Vec<_> = groups.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if groups.is_empty() || groups.iter().any(|group| !offered.contains(group)) {
        return Err(NotExercise::NoPlace);
    }
    if !who.may(app, Role::Duty, &groups) {
        return Err(NotExercise::NotYours);
    }
    if at.hour() < FROM_HOUR || at.time() > NaiveTime::from_hms_opt(UNTIL_HOUR, 0, 0).expect("an hour") {
        return Err(NotExercise::Hour);
    }
    let told = told_at(at).map(Wall::from_local);
    if told[0] <= who.now {
        return Err(NotExercise::TooSoon);
    }
    if Wall::from_local(at).since(who.now) > Span::secs(DAYS_MAX * 86_400) {
        return Err(NotExercise::TooFar);
    }
    let message = app.store.message(message).await?;
    let message = message.filter(|it| it.ended.is_none() && it.purpose == MessageUse::Alarm);
    let message = message.ok_or(NotExercise::NotPrepared)?;
    let lang = Lang::of(&message.language);
    let title = said!("exercise.title_of", title = message.title).to(lang);
    let exercise = Asked {
        class: BulletinClass::Emergency,
        mode: Mode::Exercise,
        text: Some(said!("exercise.spoken", text = message.text).to(lang)),
        ..asked(who, &groups, title.clone(), message.language.clone(), Wall::from_local(at))
    };
    let sent = announce::announce(app, exercise, None).await?;
    let (hour, date) = (at.format("%H:%M").to_string(), at.format("%d/%m/%Y").to_string());
    let mut all = Vec::new();
    for time in told {
        let notice = Asked {
            text: Some(said!("exercise.notice", hour, date).to(lang)),
            ..asked(
                who,
                &groups,
                said!("exercise.notice_title", hour, date).to(lang),
                message.language.clone(),
                time,
            )
        };
        match announce::announce(app, notice, None).await {
            Ok(id) => all.push(id),
            Err(refused) => {
                // Nobody is surprised by an exercise that was not told of.
                for id in all.into_iter().chain([sent]) {
                    cancel::cancel(app, id, Some(who.person.name.clone())).await?;
                }
                return Err(refused.into());
            }
        }
    }
    let act = NewAct {
        after: Some(format!("{title}, {hour} {date}")),
        ..who.act("exercise_scheduled", sent.as_str())
    };
    app.store.add_exercise(sent, all, act).await?;
    Ok(())
}

/// Takes an exercise back, with the notices that tell of it.
///
/// # Errors
/// Fails for who is no duty officer of its places, and for everything that is no exercise of this page.
pub async fn call_off(app: &App, who: &Who, id: &CommandId) -> Result<(), NotExercise> {
    let row = app.store.command(id.clone()).await?.filter(|row| row.mode == Some(Mode::Exercise));
    let row = row.ok_or(NotExercise::NotPrepared)?;
    if !who.may(app, Role::Duty, &row.groups) {
        return Err(NotExercise::NotYours);
    }
    let notices = app.store.exercise_notices(id.clone()).await?;
    for notice in notices.into_iter().chain([id.clone()]) {
        let standing = app.store.command(notice.clone()).await?.filter(|row| row.ended.is_none());
        if standing.is_some() {
            cancel::cancel(app, notice, Some(who.person.name.clone())).await?;
        }
    }
    let act = NewAct { before: Some(row.title), ..who.act("exercise_called_off", id.as_str()) };
    urgently(app.store.note_act(act)).await?;
    Ok(())
}

/// A notice to these places; what makes it an exercise is set by who asks.
fn asked(who: &Who, groups: &[GroupId], title: String, language: String, at: Wall) -> Asked {
    Asked {
        to: groups.to_vec(),
        class: BulletinClass::Normal,
        mode: Mode::Actual,
        title: Some(title),
        text: None,
        language,
        at: Some(at),
        repeat: 1,
        until_cancelled: false,
        gap_s: 5,
        opening: Opening::Chime,
        volume_percent: 100,
        expires_in_s: None,
        supersedes: None,
        author: Some(who.person.name.clone()),
        approver: None,
    }
}
