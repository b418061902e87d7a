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
    Announced, Audience, BoxRow, DayBox, DayFacts, DayPlan, DuePart, DueSession, NamedCampaign, Names,
    Reckoned, SharedStore, StoreError, ToSettle,
};
use loaxa_heart::decide::preview::PlannedSession;
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::playback::Subject;
use loaxa_heart::domain::time::{Span, Wall};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Boxes' days that are reckoned in one look.
const AT_ONCE: u32 = 2_000;
/// Boxes whose day is read, reckoned and written together.
const TOGETHER: usize = 100;
/// Days without central that are planned and closed afterwards, with the documents of now.
const BACK_MAX: u64 = 60;
/// Time after an emergency was ordered in which days wait: boxes tell of it, and people look.
const EMERGENCY_FIRST: Span = Span::secs(15);
/// Latest announcements among which an emergency is looked for.
const LATEST: u32 = 20;
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
    /// The time up to which everything that ended was marked.
    looked: Option<Wall>,
}

impl Keeper {
    async fn look(&mut self, app: &App) -> Result<(), StoreError> {
        let now = app.now();
        self.look_back(&app.store, now).await?;
        self.plan_days(app, now).await?;
        self.mark_what_ended(&app.store, now).await?;
        while settle_some(app, AT_ONCE, Haste::CanWait).await? == AT_ONCE as usize {}
        Ok(())
    }

    /// Goes back to the day before the last one that was kept, at the start and where the clock was set back: what it was ahead of
    /// counted as looked at. Comes before today has its plan.
    async fn look_back(&mut self, store: &SharedStore, now: Wall) -> Result<(), StoreError> {
        if self.looked.is_some_and(|looked| looked <= now) {
            return Ok(());
        }
        let last = store.last_day_kept(now.date()).await?.unwrap_or(now.date());
        let begin = last.pred_opt().unwrap_or(last).max(back_to(now));
        self.looked = Some(Wall::from_local(begin.and_time(NaiveTime::MIN)));
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
        let next = app.store.last_day_kept(today).await?.map_or(today, |last| last + Days::new(1));
        let missing = next.max(back_to(now)).iter_days().take_while(|day| *day < today);
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
        let mut kept = by_id(before.iter().flat_map(|plan| &plan.boxes));
        for place in &mut plan.boxes {
            if let Some(kept) = kept.remove(&place.id) {
                place.sessions = begun_and_to_come(&kept.sessions, Arc::clone(&place.sessions), now);
            }
        }
        // A box that was shut out meanwhile keeps the day that it had.
        plan.boxes.extend(kept.into_values().cloned());
        let is_same = |kept: &DayPlan| kept.boxes == plan.boxes && kept.names == plan.names;
        if before.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        app.store.keep_day(plan).await
    }

    /// Has boxes reckoned whose sessions and announcements began, ended or expired since the last look.
    async fn mark_what_ended(&mut self, store: &SharedStore, now: Wall) -> Result<(), StoreError> {
        let Some(looked) = self.looked else { return Ok(()) };
        let is_new = |at: Wall| at > looked && at <= now;
        let passed = |at: Wall| is_new(at) || is_new(at.plus(AGAIN_AFTER));
        // The end of a session may be passed on the day after.
        let first = looked.date().pred_opt().unwrap_or_default().max(back_to(now));
        for date in first.iter_days().take_while(|date| *date <= now.date()) {
            let Some(plan) = store.day_plan(date).await? else { continue };
            let changed = |place: &&DayBox| {
                let mut sessions = place.sessions.iter();
                sessions.any(|it| passed(it.end) || is_new(it.start.plus(Span::secs(31))))
            };
            let boxes: Vec<_> = plan.boxes.iter().filter(changed).map(|place| place.id.clone()).collect();
            if !boxes.is_empty() {
                store.mark_to_settle(date, boxes).await?;
            }
        }
        for before in [Span(0), AGAIN_AFTER] {
            let announced = store.announced_within(looked.minus(before), now.minus(before)).await?;
            for (date, commands) in announced {
                store.mark_announced(date, commands).await?;
            }
        }
        self.looked = Some(now);
        Ok(())
    }
}

/// The first day that is planned or closed afterwards.
fn back_to(now: Wall) -> NaiveDate {
    now.date().checked_sub_days(Days::new(BACK_MAX)).unwrap_or(now.date())
}

fn by_id<'p>(places: impl IntoIterator<Item = &'p DayBox>) -> BTreeMap<&'p BoxId, &'p DayBox> {
    places.into_iter().map(|place| (&place.id, place)).collect()
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
    settle_some(app, limit, Haste::SomebodyWaits).await
}

/// The haste with which days are reckoned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Somebody waits for a page or a report.
    SomebodyWaits,
    /// An emergency goes before.
    CanWait,
}

async fn settle_some(app: &App, limit: u32, haste: Haste) -> Result<usize, StoreError> {
    let waiting = app.store.to_settle(limit).await?;
    let mut by_day: BTreeMap<NaiveDate, Vec<ToSettle>> = BTreeMap::new();
    for of in waiting {
        by_day.entry(of.day).or_default().push(of);
    }
    let mut count = 0;
    for (date, boxes) in by_day {
        let settled = settle_day(app, date, &boxes, haste).await?;
        count += settled;
        if settled < boxes.len() {
            break;
        }
    }
    Ok(count)
}

/// Reckons a day of boxes, and says of how many it did.
async fn settle_day(
    app: &App,
    date: NaiveDate,
    boxes: &[ToSettle],
    haste: Haste,
) -> Result<usize, StoreError> {
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
    let announced = app.store.due_on(date).await?;
    let commands: Vec<CommandId> = announced.iter().map(|it| it.row.id.clone()).collect();
    let (rows, places) = (app.store.boxes().await?, app.store.places().await?);
    let planned = by_id(&plan.boxes);
    let known: BTreeMap<&BoxId, &BoxRow> = rows.iter().map(|row| (&row.id, row)).collect();
    let place = |id: &BoxId| match (planned.get(id), known.get(id)) {
        (Some(place), _) => (*place).clone(),
        (None, Some(row)) => place_of(app, row, &places),
        (None, None) => stranger(id),
    };
    let mut settled = 0;
    for some in boxes.chunks(TOGETHER) {
        if haste == Haste::CanWait && is_emergency_new(&app.store, app.now()).await? {
            break;
        }
        let ids = some.iter().map(|of| of.id.clone()).collect();
        let mut facts = app.store.day_facts(date, ids, commands.clone()).await?;
        let some_reckoned = some.iter().filter_map(|of| {
            let facts = facts.remove(&of.id)?;
            Some(reckoned(now, of, place(&of.id), &plan.names, &announced, facts))
        });
        app.store.settle(some_reckoned.collect(), now.date()).await?;
        settled += some.len();
    }
    Ok(settled)
}

/// Tells whether an emergency was ordered a moment ago.
async fn is_emergency_new(store: &SharedStore, now: Wall) -> Result<bool, StoreError> {
    let is_new = |at: Wall| at <= now.plus(EMERGENCY_FIRST) && now.since(at) < EMERGENCY_FIRST;
    let latest = store.announcements(None, LATEST).await?;
    Ok(latest.iter().any(|row| row.class == Some(BulletinClass::Emergency) && is_new(row.issued_at)))
}

fn reckoned(
    now: Wall,
    of: &ToSettle,
    place: DayBox,
    names: &Names,
    announced: &[Announced],
    mut facts: DayFacts,
) -> Reckoned {
    facts.plays.retain(|play| belongs_to(&play.subject, facts.day, play.opened));
    let due = announced.iter().filter_map(|announced| {
        let delivery = facts.deliveries.get(&announced.row.id)?;
        Some(Due { announced, delivery })
    });
    let settled = Day { now, place: &place, names, facts: &facts, due: due.collect() }.settle();
    Reckoned { of: of.clone(), place, settled }
}

/// Tells whether a play is of a date: by its slot's, or by its own. Announcements were chosen by the day on which they were due.
fn belongs_to(subject: &Subject, date: NaiveDate, opened: Wall) -> bool {
    match subject {
        Subject::Slot(key) => key.date == date,
        Subject::Announcement { .. } => true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::SqlStore;
    use crate::store::{NewCommand, Settled};
    use loaxa_heart::decide::delivery::CommandKind;
    use loaxa_heart::domain::announcement::Mode;
    use loaxa_heart::domain::playback::SlotKey;

    fn open() -> (SharedStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store: SharedStore = Arc::new(SqlStore::open(&dir.path().join("central.db")).unwrap());
        (store, dir)
    }

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn at(date: NaiveDate, hour: u32) -> Wall {
        Wall::from_local(date.and_hms_opt(hour, 0, 0).unwrap())
    }

    /// Plans a session at seven in the evening.
    async fn plan(store: &SharedStore, day: NaiveDate) {
        let session = DueSession {
            key: SlotKey { slot: "toi".parse().unwrap(), date: day },
            title: "Buổi tối".to_owned(),
            start: at(day, 19),
            end: at(day, 20),
            parts: Vec::new(),
        };
        let place = DayBox { sessions: Arc::new(vec![session]), ..stranger(&"loa-1".parse().unwrap()) };
        let (made, names) = (at(day, 0), Names::default());
        store.keep_day(DayPlan { day, made, names, boxes: vec![place] }).await.unwrap();
        waiting(store).await;
    }

    /// Gives the days that wait, and takes them off the list.
    async fn waiting(store: &SharedStore) -> Vec<NaiveDate> {
        let mut days = Vec::new();
        for of in store.to_settle(99).await.unwrap() {
            days.insert(0, of.day);
            let (place, settled) = (stranger(&of.id), Settled::default());
            store.settle(vec![Reckoned { of, place, settled }], date(30)).await.unwrap();
        }
        days
    }

    async fn look(keeper: &mut Keeper, store: &SharedStore, now: Wall) -> Vec<NaiveDate> {
        keeper.look_back(store, now).await.unwrap();
        keeper.mark_what_ended(store, now).await.unwrap();
        waiting(store).await
    }

    #[tokio::test]
    async fn a_clock_that_was_ahead_keeps_no_day_from_being_closed() {
        let (store, _dir) = open();
        let (mut keeper, ahead) = (Keeper::default(), NaiveDate::from_ymd_opt(2099, 1, 1).unwrap());
        plan(&store, ahead).await;
        look(&mut keeper, &store, at(ahead, 12)).await;
        plan(&store, date(20)).await;
        assert_eq!(look(&mut keeper, &store, at(date(20), 12)).await, [], "nothing has begun");
        assert_eq!(look(&mut keeper, &store, at(date(20), 20)).await, [date(20)]);
        assert_eq!(look(&mut keeper, &store, at(date(20), 21)).await, [date(20)], "a box may tell late");
        assert_eq!(look(&mut keeper, &store, at(date(20), 22)).await, [], "it is closed");
        // What ended while the clock was ahead counted as looked at.
        look(&mut keeper, &store, at(ahead, 12)).await;
        assert_eq!(look(&mut keeper, &store, at(date(20), 23)).await, [date(20)]);
    }

    #[tokio::test]
    async fn the_day_on_which_the_centre_went_is_closed_however_long_it_was_away() {
        let (store, _dir) = open();
        plan(&store, date(20)).await;
        let mut keeper = Keeper::default();
        keeper.look_back(&store, at(date(24), 8)).await.unwrap();
        plan(&store, date(24)).await;
        assert_eq!(look(&mut keeper, &store, at(date(24), 8)).await, [date(20)], "it starts again");
        let mut keeper = Keeper { looked: Some(at(date(20), 18)), ..Keeper::default() };
        assert_eq!(look(&mut keeper, &store, at(date(24), 8)).await, [date(20)], "its database was away");
        let mut keeper = Keeper { looked: Some(at(date(20), 18)), ..Keeper::default() };
        let late = date(20) + Days::new(BACK_MAX + 1);
        assert_eq!(
            look(&mut keeper, &store, at(late, 8)).await,
            [date(24)],
            "as far back as days are planned"
        );
    }

    #[tokio::test]
    async fn days_wait_for_an_emergency_of_a_moment_ago() {
        let (store, _dir) = open();
        let order = |id: &str, serial, class, issued_at| NewCommand {
            id: id.parse().unwrap(),
            kind: CommandKind::Announce,
            issuer: "an".parse().unwrap(),
            serial,
            issued_at,
            expires: issued_at.plus(Span::secs(3_600)),
            groups: Vec::new(),
            title: String::new(),
            class: Some(class),
            mode: Some(Mode::Actual),
            author: "An".to_owned(),
            approver: None,
            payload: "{}".to_owned(),
            envelope: Vec::new(),
            ends: Vec::new(),
            document: None,
            moves: Vec::new(),
            boxes: Vec::new(),
            basis: None,
        };
        let pressed = at(date(20), 12);
        let after = |seconds| pressed.plus(Span::secs(seconds));
        store.add_command(order("lu", 1, BulletinClass::Emergency, pressed)).await.unwrap();
        store.add_command(order("tin", 2, BulletinClass::Normal, after(5))).await.unwrap();
        let is_new = async |now| is_emergency_new(&store, now).await.unwrap();
        assert!(is_new(after(0)).await && is_new(after(14)).await);
        assert!(!is_new(after(15)).await);
        assert!(!is_new(at(date(19), 12)).await, "the clock was a day ahead when it was ordered");
    }
}
