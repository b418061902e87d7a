//! Promises about days: what is marked is reckoned, what is older changes nothing, and the facts are of their day.

use super::*;
use chrono::{Days, NaiveDate};

const MINUTE: u64 = 60_000;

/// A day that was over three days ago.
fn long_over() -> NaiveDate {
    NOW.date() - Days::new(3)
}

/// A time on a day, or hours after it.
fn hour(day: NaiveDate, hours: u64, minutes: u64) -> Wall {
    Wall::from_local(day.and_hms_opt(0, 0, 0).unwrap()).plus(Span::secs(hours * 3_600 + minutes * 60))
}

fn place(name: &str, village_title: &str, households: Option<u32>) -> DayBox {
    DayBox {
        id: id(name),
        title: "Loa".to_owned(),
        village: "dong".to_owned(),
        village_title: village_title.to_owned(),
        households,
        sessions: Arc::default(),
    }
}

fn key(day: NaiveDate) -> SlotKey {
    SlotKey { slot: "sang".parse().unwrap(), date: day }
}

/// A day of a box of which some is unknown, and the rest sounded.
fn reckoned(of: ToSettle, aired: u64, unknown: u64) -> Reckoned {
    let key_of = SumKey {
        section: String::new(),
        section_title: String::new(),
        campaign: String::new(),
        campaign_title: String::new(),
        class: Rung::Programme,
        responsible: String::new(),
        reason: String::new(),
    };
    let (aired_ms, unknown_ms) = (aired * MINUTE, unknown * MINUTE);
    let sums = Sums { planned_ms: aired_ms + unknown_ms, aired_ms, unknown_ms, ..Sums::default() };
    let airing = Airing {
        subject: Subject::Slot(key(of.day)),
        due: hour(of.day, 5, 0),
        title: format!("{aired} phút"),
        class: Rung::Programme,
        campaign: None,
        fate: Fate::Partly,
        reason: String::new(),
        planned_ms: sums.planned_ms,
        aired_ms,
        sections: vec!["thoi-su".parse().unwrap()],
        people: Vec::new(),
    };
    let settled = Settled { airings: vec![airing], sums: [(key_of, sums)].into() };
    Reckoned { place: place(of.id.as_str(), "Đông", None), of, settled }
}

/// The box and day that wait, of which there is one.
async fn waits(store: &SharedStore) -> ToSettle {
    let mut waiting = store.to_settle(9).await.unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    waiting.remove(0)
}

async fn waiting_days(store: &SharedStore) -> Vec<NaiveDate> {
    let mut days: Vec<_> = store.to_settle(99).await.unwrap().into_iter().map(|of| of.day).collect();
    days.sort_unstable();
    days
}

/// Takes everything off the list.
async fn empty(store: &SharedStore) {
    for of in store.to_settle(999).await.unwrap() {
        store.settle(vec![reckoned(of, 0, 0)], NOW.date()).await.unwrap();
    }
    assert_eq!(waiting_days(store).await, []);
}

async fn minutes(store: &SharedStore) -> (u64, u64) {
    let filter = SumFilter { from: long_over(), until: NOW.date(), campaign: None };
    let rows = store.sums(filter).await.unwrap();
    let sum = |of: fn(&Sums) -> u64| rows.iter().map(|row| of(&row.sums)).sum::<u64>() / MINUTE;
    (sum(|sums| sums.aired_ms), sum(|sums| sums.unknown_ms))
}

pub(super) async fn what_was_read_before_the_last_reason_changes_nothing(store: SharedStore) {
    let day = long_over();
    let mark = async || store.mark_to_settle(day, vec![id("loa-1")]).await.unwrap();
    mark().await;
    let first = waits(&store).await;
    store.settle(vec![reckoned(first.clone(), 9, 1)], NOW.date()).await.unwrap();
    assert_eq!(minutes(&store).await, (9, 1));
    mark().await;
    let second = waits(&store).await;
    assert_ne!(second.mark, first.mark, "no mark comes again");
    // Somebody who read the log under the first mark is late.
    store.settle(vec![reckoned(first, 3, 7)], NOW.date()).await.unwrap();
    assert_eq!((minutes(&store).await, waits(&store).await), ((9, 1), second.clone()));
    mark().await;
    let third = waits(&store).await;
    assert_ne!(third.mark, second.mark);
    store.settle(vec![reckoned(second, 4, 6)], NOW.date()).await.unwrap();
    assert_eq!((minutes(&store).await, waits(&store).await), ((9, 1), third.clone()));
    let listed = async || {
        let filter =
            AiringFilter { limit: 9, section: Some("thoi-su".parse().unwrap()), ..AiringFilter::default() };
        let rows = store.airings(filter).await.unwrap();
        rows.into_iter().map(|row| (row.id, row.airing.title)).collect::<Vec<_>>()
    };
    let before = listed().await;
    assert_eq!(before[0].1, "9 phút");
    store.settle(vec![reckoned(third, 10, 0)], NOW.date()).await.unwrap();
    assert_eq!((minutes(&store).await, waiting_days(&store).await), ((10, 0), vec![]));
    assert_eq!(listed().await, [(before[0].0, "10 phút".to_owned())], "an airing keeps its number");
    // What was not due after all goes, with its tags.
    mark().await;
    let mut of = reckoned(waits(&store).await, 10, 0);
    of.settled.airings.clear();
    store.settle(vec![of], NOW.date()).await.unwrap();
    assert_eq!(listed().await, []);
}

pub(super) async fn a_day_that_is_over_is_supplemented_by_a_late_log(store: SharedStore) {
    let day = long_over();
    let settle = async |aired, unknown, on| {
        store.mark_to_settle(day, vec![id("loa-1")]).await.unwrap();
        store.settle(vec![reckoned(waits(&store).await, aired, unknown)], on).await.unwrap();
        store.supplements(day, day).await.unwrap()
    };
    assert_eq!(settle(0, 10, day).await, []);
    assert_eq!(settle(5, 5, day).await, [], "the day goes on");
    let next = day + Days::new(1);
    assert_eq!(settle(4, 6, next).await, [], "it says less");
    let told = settle(9, 1, next).await;
    assert_eq!((told.len(), told[0].on, told[0].days), (1, next, 1));
}

pub(super) async fn the_last_day_kept_is_none_of_a_clock_that_was_ahead(store: SharedStore) {
    let plan = |day| DayPlan { day, made: NOW, names: Names::default(), boxes: Vec::new() };
    assert_eq!(store.last_day_kept(NOW.date()).await.unwrap(), None);
    for day in [long_over(), NOW.date() + Days::new(9_000)] {
        store.keep_day(plan(day)).await.unwrap();
    }
    assert_eq!(store.last_day_kept(NOW.date()).await.unwrap(), Some(long_over()));
    assert_eq!(store.last_day_kept(long_over()).await.unwrap(), Some(long_over()));
}

pub(super) async fn what_sounds_late_is_of_the_day_on_which_it_was_due(store: SharedStore) {
    let day = long_over();
    let order: CommandId = "lenh".parse().unwrap();
    let ordered = || Subject::Announcement { command: order.clone() };
    let issued = NewCommand { issued_at: hour(day, 20, 0), expires: hour(day, 44, 0), ..command("lenh", 1) };
    store.add_command(issued).await.unwrap();
    let mut written = Written::new();
    let live = Subject::Live { voice: "mic".to_owned() };
    let told = [
        (1, hour(day, 35, 59), Subject::Slot(key(day))),
        (2, hour(day, 36, 1), Subject::Slot(key(day))),
        (3, hour(day, 37, 0), ordered()),
        (4, hour(day, 12, 0), live),
        (5, hour(day, 12, 1), Subject::Announcement { command: "khac".parse().unwrap() }),
    ];
    for (n, wall, subject) in told {
        ingest(&store, written.batch_at(wall, [started(n, subject)])).await;
    }
    let facts = async |due: Vec<CommandId>| {
        let boxes = vec![id("loa-1"), id("loa-9")];
        let mut facts = store.day_facts(day, boxes, due).await.unwrap();
        assert!(facts[&id("loa-9")].plays.is_empty(), "a box that told nothing is in the answer");
        facts.remove(&id("loa-1")).unwrap()
    };
    let numbers = |facts: &DayFacts| {
        let mut plays: Vec<_> = facts.plays.iter().map(|play| play.play).collect();
        plays.sort_unstable();
        plays
    };
    let due = store.due_on(day).await.unwrap();
    assert_eq!(due.iter().map(|it| it.row.id.as_str()).collect::<Vec<_>>(), ["lenh"]);
    let all = facts(vec![order.clone()]).await;
    assert_eq!(numbers(&all), [1, 3, 4].map(|n| PlayId::new(1, n)));
    assert_eq!(all.deliveries[&order].id, id("loa-1"));
    assert_eq!(numbers(&facts(Vec::new()).await), [1, 4].map(|n| PlayId::new(1, n)));
    assert!(store.due_on(day + Days::new(1)).await.unwrap().is_empty());
    // The entry has the day reckoned on which the order was due, not the one on which it was heard.
    assert_eq!(waiting_days(&store).await, [day], "a slot and a live voice are of the same day here");
}

pub(super) async fn the_last_word_on_a_slot_counts(store: SharedStore) {
    let day = long_over();
    let ended = |outcome| Event::SlotEnded {
        key: key(day),
        title: "Buổi sáng".to_owned(),
        scheduled: hour(day, 5, 0),
        outcome,
    };
    let mut written = Written::new();
    let missed = written.batch_at(hour(day, 9, 0), [ended(SlotOutcome::NotAired(NotPlayed::Missed))]);
    ingest(&store, missed).await;
    // Under a clock that goes right by now.
    let aired = SlotOutcome::Aired { finished: 1, not_finished: 0 };
    ingest(&store, written.batch_at(hour(day, 6, 0), [ended(aired.clone())])).await;
    let facts = store.day_facts(day, vec![id("loa-1")], Vec::new()).await.unwrap();
    let ends = &facts[&id("loa-1")].ends;
    assert_eq!(ends[&key(day).slot].outcome, aired);
    let other = store.day_facts(NOW.date(), vec![id("loa-1")], Vec::new()).await.unwrap();
    assert!(other[&id("loa-1")].ends.is_empty());
}

pub(super) async fn silence_is_known_up_to_the_last_word_of_a_box_that_keeps_nothing_back(
    store: SharedStore,
) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    ingest(&store, Written::new().batch([Event::DeviceBack])).await;
    let sign = async |seconds, kind| {
        let sign =
            SignOfLife { id: id("loa-1"), at: at(seconds), clock: ClockQuality::Synced, holds: None, kind };
        store.note_sign_of_life(sign).await.unwrap();
        // Whoever asks for counts has everything written before.
        store.health(id("loa-1"), at(0)).await.unwrap();
        store.day_facts(NOW.date(), vec![id("loa-1")], Vec::new()).await.unwrap()[&id("loa-1")].known.clone()
    };
    let hello = |epoch| SignKind::Hello { software: "1".to_owned(), languages: Vec::new(), epoch };
    let beat = |backlog| SignKind::Heartbeat { backlog, faults: Vec::new(), usage: None };
    assert_eq!(sign(100, hello(EPOCH)).await, [(at(0), at(0))], "nobody knows yet what waits on it");
    assert_eq!(sign(160, beat(0)).await, [(at(0), at(160))]);
    assert_eq!(sign(220, beat(2)).await, [(at(0), at(0))], "the rest of its log is on its way");
    assert_eq!(sign(280, beat(0)).await, [(at(0), at(280))]);
    assert_eq!(sign(900, hello(EPOCH)).await, [(at(0), at(0))], "it was away, and has not told of it");
    assert_eq!(sign(960, beat(0)).await, [(at(0), at(960))]);
    sign(1_000, hello(Epoch(8))).await;
    assert_eq!(sign(1_060, beat(0)).await, [(at(0), at(0))], "it writes another log now");
}

pub(super) async fn what_a_box_lost_of_its_log_is_no_silence(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let known = async || {
        let facts = store.day_facts(NOW.date(), vec![id("loa-1")], Vec::new()).await.unwrap();
        facts[&id("loa-1")].known.clone()
    };
    let mut written = Written::new();
    let first = written.batch_at(at(100), [Event::DeviceBack, Event::BoxStopped]);
    assert_eq!(ingest(&store, Batch { arrived: at(50_000), ..first }).await.contiguous_upto, 2);
    assert_eq!(known().await, [(at(100), at(100))]);
    // Two entries never arrive: the box deleted them.
    let lost = written.batch_at(at(10_000), [Event::DeviceBack, Event::BoxStopped]);
    let mut tell = async |seconds: u64, oldest: u64| {
        let batch = written.batch_at(at(seconds), [Event::DeviceBack, Event::BoxStopped]);
        ingest(&store, Batch { arrived: at(50_000), oldest, ..batch }).await.contiguous_upto
    };
    assert_eq!(tell(20_000, 5).await, 6);
    assert_eq!(tell(30_000, 5).await, 8);
    assert_eq!(known().await, [(at(100), at(100)), (at(20_000), at(30_000))]);
    // They come all the same: nobody has them, and they contradict nothing.
    let taken = ingest(&store, Batch { arrived: at(50_000), ..lost }).await;
    assert_eq!((taken.known, taken.added, taken.after_gap, taken.forked), (0, 0, 2, false));
    assert_eq!(taken.contiguous_upto, 8);
}

pub(super) async fn entries_have_the_days_reckoned_that_they_tell_of(store: SharedStore) {
    let day = long_over();
    let mut written = Written::new();
    let mut tell = async |wall, event| {
        empty(&store).await;
        ingest(&store, written.batch_at(wall, [event])).await;
        waiting_days(&store).await
    };
    let started_up = Event::BoxStarted { version: "1".to_owned() };
    assert_eq!(tell(hour(day, 8, 0), started_up).await, [day]);
    let set = Event::ClockSet { step_us: 86_400_000_000, before: ClockQuality::None };
    assert_eq!(tell(hour(day, 8, 0), set).await, [day, day + Days::new(1)], "before and after it was set");
    assert_eq!(tell(hour(day, 9, 0), Event::DeviceBack).await, []);
    // Nothing was planned yet: the history is reckoned by the days of the place.
    let live = Subject::Live { voice: "mic".to_owned() };
    tell(hour(day, 1, 0), started(1, live)).await;
    empty(&store).await;
    store.mark_history().await.unwrap();
    assert_eq!(waiting_days(&store).await, [day], "one in the morning is of the day before in London");
}

pub(super) async fn announcements_have_their_boxes_reckoned_when_they_are_due_and_over(store: SharedStore) {
    let due = hour(NOW.date(), 30, 0);
    let at_hour = format!("{{\"body\":{{\"plan\":{{\"at\":{}}}}}}}", serde_json::to_string(&due).unwrap());
    let planned = NewCommand { expires: hour(NOW.date(), 40, 0), payload: at_hour, ..command("hen", 2) };
    store.add_command(command("ngay", 1)).await.unwrap();
    store.add_command(planned).await.unwrap();
    store.add_command(NewCommand { mode: Some(Mode::Test), ..command("thu", 3) }).await.unwrap();
    let within = async |from: Wall, to: Wall| {
        let found = store.announced_within(from, to).await.unwrap();
        let found = found.into_iter().flat_map(|(day, ids)| ids.into_iter().map(move |id| (day, id)));
        found.map(|(day, id)| (day, id.to_string())).collect::<Vec<_>>()
    };
    let (today, tomorrow) = (NOW.date(), NOW.date() + Days::new(1));
    let (now, planned) = ((today, "ngay".to_owned()), (tomorrow, "hen".to_owned()));
    let second = |at: Wall| (at.minus(Span::secs(1)), at);
    let check = async |(from, to): (Wall, Wall), expected: &[(NaiveDate, String)]| {
        assert_eq!(within(from, to).await, expected, "{from:?}");
    };
    check(second(at(1)), std::slice::from_ref(&now)).await;
    check((at(1), at(1)), &[]).await;
    check(second(at(2)), std::slice::from_ref(&planned)).await;
    check(second(at(3)), &[]).await;
    check(second(at(3_600)), std::slice::from_ref(&now)).await;
    check(second(due), std::slice::from_ref(&planned)).await;
    check((due, hour(NOW.date(), 39, 0)), &[]).await;
    check(second(hour(NOW.date(), 40, 0)), std::slice::from_ref(&planned)).await;
    check((at(0), due), &[now, planned]).await;
    assert_eq!(store.due_on(tomorrow).await.unwrap().len(), 1);
    store.mark_announced(tomorrow, ["hen".parse().unwrap(), "ngay".parse().unwrap()].into()).await.unwrap();
    let waiting: Vec<_> =
        store.to_settle(9).await.unwrap().into_iter().map(|of| (of.day, of.id.to_string())).collect();
    assert_eq!(waiting, [(tomorrow, "loa-1".to_owned()), (tomorrow, "loa-2".to_owned())]);
}

pub(super) async fn a_village_is_called_as_it_was_last(store: SharedStore) {
    let keep = async |days: u64, village_title, households| {
        let boxes = vec![place("loa-1", village_title, households)];
        let plan = DayPlan { day: long_over() + Days::new(days), made: NOW, names: Names::default(), boxes };
        store.keep_day(plan).await.unwrap();
    };
    keep(0, "Xóm Cũ", Some(100)).await;
    keep(1, "Ấp Mới", None).await;
    let villages = store.villages_of(long_over(), NOW.date()).await.unwrap();
    assert_eq!(villages.len(), 1);
    let village = &villages[0];
    assert_eq!((&*village.title, village.households, village.boxes), ("Ấp Mới", Some(100), 1));
}
