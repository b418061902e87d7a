//! The keeping of days: each is planned by the heart while it is today, and reckoned anew whenever a box tells more of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate, NaiveTime};

use super::settle::{Day, Due};
use crate::app::App;
use crate::duties::Duty;
use crate::orders::day;
use crate::settings::village_of;
use crate::store::{
    Announced, Audience, BoxRow, DayBox, DayPlan, DeliveryRow, DuePart, DueSession, NamedCampaign, Names,
    StoreError, ToSettle,
};
use loaxa_heart::decide::preview::PlannedSession;
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::playback::Subject;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Boxes' days that are reckoned in one look.
const AT_ONCE: u32 = 2_000;
/// Days without central that are planned afterwards, with the documents of now.
const BACK_MAX: u64 = 60;
/// Longest time for which an announcement is in force.
const IN_FORCE_MAX: Span = Span::secs(31 * 86_400);
/// A box that is alive is asked again so long after the end of what it was to air: its entries may be on their way.
const AGAIN_AFTER: Span = Span::secs(180);

/// Keeps days for as long as central runs.
pub async fn run(app: Arc<App>) {
    let mut keeper = Keeper::default();
    if let Err(error) = app.store.mark_history().await {
        tracing::error!(%error, "days before this version are not reckoned");
    }
    loop {
        if app.has_duty(Duty::Days)
            && let Err(error) = keeper.look(&app).await
        {
            tracing::error!(%error, "days are not reckoned");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Plans the days from the first one to today, with the documents of now, and keeps none of them: for a commune that begins
/// with a past.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn plans_since(app: &App, first: NaiveDate) -> Result<Vec<DayPlan>, StoreError> {
    let (now, boxes, names) = (app.now(), app.store.boxes().await?, names(app).await?);
    let mut plans = Vec::new();
    for date in first.iter_days().take_while(|day| *day <= now.date()) {
        plans.push(rehearsed(app, date, now, &boxes, &names).await?);
    }
    Ok(plans)
}

/// Plans a day as if nobody had planned it before.
async fn rehearsed(
    app: &App,
    date: NaiveDate,
    now: Wall,
    boxes: &[BoxRow],
    names: &Names,
) -> Result<DayPlan, StoreError> {
    let sent = app.store.documents(Wall::from_local(date.and_time(NaiveTime::MIN)).max(now)).await?;
    let audiences: BTreeSet<Audience> = boxes.iter().map(BoxRow::audience).collect();
    let sessions = day::rehearse(app, &audiences, &sent, (date, date)).await?;
    let shared: BTreeMap<&Audience, Arc<Vec<DueSession>>> = sessions
        .iter()
        .map(|(audience, sessions)| (audience, Arc::new(sessions.iter().map(due_session).collect())))
        .collect();
    let places = app.store.places().await?;
    let of_box = |row: &BoxRow| {
        let sessions = shared.get(&row.audience()).cloned().unwrap_or_default();
        DayBox { sessions, ..place_of(app, row, &places) }
    };
    Ok(DayPlan { day: date, made: now, names: names.clone(), boxes: boxes.iter().map(of_box).collect() })
}

/// Everything that a plan of today follows from.
type From = (NaiveDate, Vec<CommandId>, Vec<(BoxId, String, Audience)>, Names);

#[derive(Default)]
struct Keeper {
    planned_from: Option<From>,
    looked: Wall,
}

impl Keeper {
    async fn look(&mut self, app: &App) -> Result<(), StoreError> {
        let now = app.now();
        self.plan_days(app, now).await?;
        self.mark_what_ended(app, now).await?;
        self.looked = now;
        while settle(app, AT_ONCE).await? == AT_ONCE as usize {}
        Ok(())
    }

    /// Plans today where it is not planned yet or its documents changed, and days that nobody planned meanwhile.
    async fn plan_days(&mut self, app: &App, now: Wall) -> Result<(), StoreError> {
        let today = now.date();
        let (boxes, sent) = (app.store.boxes().await?, app.store.documents(now).await?);
        let names = names(app).await?;
        let rows = boxes.iter().map(|row| (row.id.clone(), row.title.clone(), row.audience())).collect();
        let documents = sent.iter().map(|document| document.command.clone()).collect();
        let from: From = (today, documents, rows, names);
        if self.planned_from.as_ref() == Some(&from) {
            return Ok(());
        }
        let last = app.store.days_kept().await?.map_or(today, |(_, last)| last + Days::new(1));
        let earliest = today.checked_sub_days(Days::new(BACK_MAX)).unwrap_or(today);
        let missing = last.max(earliest).iter_days().take_while(|day| *day < today);
        for date in missing.chain([today]) {
            self.plan_day(app, date, now, &boxes, &from.3).await?;
        }
        self.planned_from = Some(from);
        Ok(())
    }

    async fn plan_day(
        &self,
        app: &App,
        date: NaiveDate,
        now: Wall,
        boxes: &[BoxRow],
        names: &Names,
    ) -> Result<(), StoreError> {
        let mut plan = rehearsed(app, date, now, boxes, names).await?;
        let before = app.store.day_plan(date).await?;
        for place in &mut plan.boxes {
            let kept = before.as_ref().and_then(|plan| plan.boxes.iter().find(|kept| kept.id == place.id));
            if let Some(kept) = kept {
                place.sessions = begun_and_to_come(&kept.sessions, Arc::clone(&place.sessions), now);
            }
        }
        // A box that was shut out meanwhile keeps the day that it had.
        let gone = before.iter().flat_map(|plan| &plan.boxes);
        plan.boxes.extend(gone.filter(|kept| boxes.iter().all(|row| row.id != kept.id)).cloned());
        let is_same = |kept: &DayPlan| kept.boxes == plan.boxes && kept.names == plan.names;
        if before.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        app.store.keep_day(plan).await
    }

    /// Has boxes reckoned whose sessions and announcements began, ended or expired since the last look.
    async fn mark_what_ended(&self, app: &App, now: Wall) -> Result<(), StoreError> {
        let is_new = |at: Wall| at > self.looked && at <= now;
        let passed = |at: Wall| is_new(at) || is_new(at.plus(AGAIN_AFTER));
        for date in [now.date().pred_opt().unwrap_or_default(), now.date()] {
            let Some(plan) = app.store.day_plan(date).await? else { continue };
            let changed = |place: &&DayBox| {
                let mut sessions = place.sessions.iter();
                sessions.any(|it| passed(it.end) || is_new(it.start.plus(Span::secs(31))))
            };
            let boxes: Vec<_> = plan.boxes.iter().filter(changed).map(|place| place.id.clone()).collect();
            if !boxes.is_empty() {
                app.store.mark_to_settle(date, boxes).await?;
            }
        }
        for announced in app.store.announced(now.minus(IN_FORCE_MAX), now.plus(Span::secs(1))).await? {
            let due = due_at(&announced);
            if passed(announced.row.issued_at) || passed(due) || passed(announced.row.expires) {
                let boxes = app.store.deliveries(announced.row.id.clone()).await?;
                let boxes: Vec<_> = boxes.into_iter().map(|row| row.id).collect();
                if !boxes.is_empty() {
                    app.store.mark_to_settle(due.date(), boxes).await?;
                }
            }
        }
        Ok(())
    }
}

/// Keeps what has begun as it was planned, and takes what is to come from the documents in force now.
fn begun_and_to_come(
    kept: &Arc<Vec<DueSession>>,
    new: Arc<Vec<DueSession>>,
    now: Wall,
) -> Arc<Vec<DueSession>> {
    let begun = kept.iter().filter(|session| session.start <= now).cloned();
    let mut sessions: Vec<_> = begun.collect();
    let to_come = new.iter().filter(|session| session.start > now);
    let to_come: Vec<_> =
        to_come.filter(|session| sessions.iter().all(|known| known.key != session.key)).cloned().collect();
    sessions.extend(to_come);
    sessions.sort_by(|a, b| (a.start, &a.key).cmp(&(b.start, &b.key)));
    Arc::new(sessions)
}

fn due_session(session: &PlannedSession) -> DueSession {
    let part = |play: &loaxa_heart::decide::preview::Planned| {
        let ms = play.sounds().as_millis();
        let (section, campaign) = (play.section.clone(), play.campaign.clone());
        DuePart { title: play.title.clone(), section, campaign, responsible: play.responsible.clone(), ms }
    };
    DueSession {
        key: session.key.clone(),
        title: session.title.clone(),
        start: session.start,
        end: session.end,
        parts: session.plays.iter().map(part).filter(|part| part.ms > 0).collect(),
    }
}

fn place_of(app: &App, row: &BoxRow, places: &[crate::store::PlaceRow]) -> DayBox {
    let parents = app.settings.parents();
    let village = village_of(&row.groups, &parents);
    let place = village.and_then(|village| places.iter().find(|place| place.group == *village));
    DayBox {
        id: row.id.clone(),
        title: row.title.clone(),
        village: village.map(ToString::to_string).unwrap_or_default(),
        village_title: village.map(|village| app.title_of(village)).unwrap_or_default(),
        households: place.and_then(|place| place.households),
        sessions: Arc::default(),
    }
}

async fn names(app: &App) -> Result<Names, StoreError> {
    let sections = app.store.sections().await?.into_iter().map(|row| (row.id, row.title)).collect();
    let campaigns = app.store.campaigns().await?.into_iter().map(|row| {
        let named = NamedCampaign { title: row.title, responsible: row.responsible };
        (row.id, named)
    });
    Ok(Names { sections, campaigns: campaigns.collect() })
}

/// Reckons boxes' days that wait for it, and says how many there were.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn settle(app: &App, limit: u32) -> Result<usize, StoreError> {
    let waiting = app.store.to_settle(limit).await?;
    let count = waiting.len();
    let mut by_day: BTreeMap<NaiveDate, Vec<ToSettle>> = BTreeMap::new();
    for of in waiting {
        by_day.entry(of.day).or_default().push(of);
    }
    for (date, boxes) in by_day {
        settle_day(app, date, boxes).await?;
    }
    Ok(count)
}

async fn settle_day(app: &App, date: NaiveDate, boxes: Vec<ToSettle>) -> Result<(), StoreError> {
    let now = app.now();
    let plan = match app.store.day_plan(date).await? {
        Some(plan) => plan,
        None => {
            // Nobody planned it: from now on at least its names stay.
            let plan = DayPlan { day: date, made: now, names: names(app).await?, boxes: Vec::new() };
            app.store.keep_day(plan.clone()).await?;
            plan
        }
    };
    let announced = due_on(app, date).await?;
    let (rows, places) = (app.store.boxes().await?, app.store.places().await?);
    for of in boxes {
        let place = plan.boxes.iter().find(|place| place.id == of.id).cloned();
        let row = || rows.iter().find(|row| row.id == of.id).map(|row| place_of(app, row, &places));
        let place = place.or_else(row).unwrap_or_else(|| stranger(&of.id));
        let mut facts = app.store.day_facts(date, of.id.clone()).await?;
        facts.plays.retain(|play| belongs_to(&play.subject, date, &announced, play.opened));
        let due = announced.iter().filter_map(|(announced, deliveries)| {
            let delivery = deliveries.iter().find(|row| row.id == of.id)?;
            Some(Due { announced, delivery })
        });
        let day = Day { now, place: &place, names: &plan.names, facts: &facts, due: due.collect() };
        let settled = day.settle();
        app.store.settle(of, place, settled, now.date()).await?;
    }
    Ok(())
}

/// Tells whether a play is of a date: by its slot's, by its announcement's, by its own.
fn belongs_to(
    subject: &Subject,
    date: NaiveDate,
    announced: &[(Announced, Vec<DeliveryRow>)],
    opened: Wall,
) -> bool {
    match subject {
        Subject::Slot(key) => key.date == date,
        Subject::Announcement { command } => announced.iter().any(|(it, _)| it.row.id == *command),
        Subject::Live { .. } => opened.date() == date,
    }
}

/// A box that is gone, whose log tells of a day.
fn stranger(id: &BoxId) -> DayBox {
    let (village, village_title) = (String::new(), String::new());
    DayBox {
        id: id.clone(),
        title: id.to_string(),
        village,
        village_title,
        households: None,
        sessions: Arc::default(),
    }
}

/// The announcements that were due on a date, with their deliveries.
async fn due_on(app: &App, date: NaiveDate) -> Result<Vec<(Announced, Vec<DeliveryRow>)>, StoreError> {
    let begin = Wall::from_local(date.and_time(NaiveTime::MIN));
    let found = app.store.announced(begin.minus(IN_FORCE_MAX), begin.plus(Span::secs(86_400))).await?;
    let mut due = Vec::new();
    for announced in found.into_iter().filter(|announced| due_at(announced).date() == date) {
        let deliveries = app.store.deliveries(announced.row.id.clone()).await?;
        due.push((announced, deliveries));
    }
    Ok(due)
}

/// The time at which an announcement is due: its hour, or that of its issue.
fn due_at(announced: &Announced) -> Wall {
    let command = codec::decode::<Command>(announced.row.payload.as_bytes()).ok();
    let at = command.and_then(|command| match command.body {
        Body::Announce { plan, .. } => plan.at,
        _ => None,
    });
    at.unwrap_or(announced.row.issued_at)
}
