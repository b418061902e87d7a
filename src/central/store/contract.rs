//! The promises of the store, as tests that any implementation runs.

use super::*;
use crate::settings::BoxDeclared;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName, Step};
use loaxa_heart::decide::plausible;
use loaxa_heart::domain::announcement::{BulletinClass, Mode, Rung};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Entry, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Stamp,
    Subject,
};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain;
use loaxa_heart::wire::messages::{Holds, commands_digest};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Runs every promise against the stores that `$open` makes, each empty; what `$open` gives beside a store is kept until
/// the test ends.
macro_rules! contract {
    ($open:expr; $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (store, _kept) = $open;
                super::$promise(store).await;
            }
        )*
    };
}

mod sqlite {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    fn open() -> (SharedStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store: SharedStore = Arc::new(SqliteStore::open(&dir.path().join("central.db")).unwrap());
        (store, dir)
    }

    contract! {
        open();
        a_box_keeps_the_key_that_came_first
        signs_of_life_are_kept_in_their_order
        a_code_is_used_up_by_one_of_two
        who_is_shut_out_stays_out_until_enrolled_anew
        a_log_is_taken_once_in_turn
        a_fork_is_seen_and_a_gap_is_said
        a_play_ends_once_with_its_outcome
        plays_under_an_unknown_clock_are_dated_anew
        what_did_not_sound_has_its_reason
        a_slot_that_did_not_sound_is_shown_and_reported_until_it_sounds
        serials_are_given_once
        a_command_is_kept_once
        of_two_documents_of_one_version_one_is_kept
        boxes_move_with_the_document_that_moves_them
        deliveries_go_forward
        drafts_and_signatures_have_room_for_so_many
        an_alert_is_taken_once
        what_is_passed_over_is_counted_by_its_reason
        media_are_described_once
        alarms_are_counted_and_bounded
        a_token_is_good_until_it_is_revoked
        a_trouble_is_opened_once_taken_once_and_has_an_end
        a_strangers_trouble_comes_again_only_with_a_new_sight
        what_staff_say_of_places_is_kept
        hours_of_health_are_counted_and_forgotten
    }
}

const NOW: Wall = Wall(1_795_221_000_000_000);
const EPOCH: Epoch = Epoch(7);

fn at(seconds: u64) -> Wall {
    NOW.plus(Span::secs(seconds))
}

fn id(text: &str) -> BoxId {
    text.parse().unwrap()
}

fn group(text: &str) -> GroupId {
    text.parse().unwrap()
}

fn declared(text: &str, groups: &[&str]) -> BoxDeclared {
    let groups = groups.iter().map(|name| group(name)).collect();
    BoxDeclared { id: id(text), title: format!("Cụm {text}"), groups, key: None }
}

fn holds(version: u32) -> Holds {
    Holds {
        commands: commands_digest([]),
        programmes: Default::default(),
        trust: version,
        policy: 0,
        groups: 0,
    }
}

fn command(name: &str, serial: u64) -> NewCommand {
    NewCommand {
        id: name.parse().unwrap(),
        kind: CommandKind::Announce,
        issuer: "an".parse().unwrap(),
        serial,
        issued_at: at(serial),
        expires: at(3_600),
        groups: vec![group("xa")],
        title: name.to_owned(),
        class: Some(BulletinClass::Emergency),
        mode: Some(Mode::Exercise),
        author: "An".to_owned(),
        approver: None,
        payload: "{}".to_owned(),
        envelope: name.as_bytes().to_vec(),
        ends: Vec::new(),
        document: None,
        moves: Vec::new(),
        boxes: vec![id("loa-1"), id("loa-2")],
    }
}

fn document(name: &str, serial: u64, version: u32) -> NewCommand {
    let document = Some((DocumentName::Groups, version));
    NewCommand { kind: CommandKind::Other, class: None, mode: None, document, ..command(name, serial) }
}

/// A log as a box writes it.
struct Written(chain::Link);

impl Written {
    fn new() -> Self {
        Self(chain::Link::FIRST)
    }

    fn batch(&mut self, events: impl IntoIterator<Item = Event>) -> Batch {
        let records = events.into_iter().map(|event| {
            let stamp =
                Stamp { start: 1, mono_us: 1, wall: NOW, quality: ClockQuality::Synced, uncertainty_ms: 1 };
            let entry = Entry { at: stamp, event };
            let record = self.0.record(&id("loa-1"), EPOCH, entry.clone()).unwrap();
            let prev = self.0.prev;
            self.0 = chain::Link::after(record.seq, &record.body);
            {
                let implausible = plausible::judge(&entry, NOW);
                Record { seq: record.seq, hash: self.0.prev, prev, body: record.body, entry, implausible }
            }
        });
        let records = records.collect();
        Batch { id: id("loa-1"), epoch: EPOCH, arrived: NOW, oldest: 1, records, head: None }
    }
}

async fn ingest(store: &SharedStore, batch: Batch) -> Ingested {
    store.ingest(batch).await.unwrap().await.unwrap()
}

fn missed(title: &str, reason: NotPlayed) -> Event {
    let slot = SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() };
    Event::NotPlayed { subject: Subject::Slot(slot), title: title.to_owned(), reason }
}

fn started(n: u32, subject: Subject) -> Event {
    Event::PlayStarted(PlayStart {
        play: PlayId::new(1, n),
        subject,
        rung: Rung::Exercise,
        title: "Diễn tập".to_owned(),
        section: Some("phong-chong-thien-tai".parse().unwrap()),
        campaign: None,
        class: Some(BulletinClass::Emergency),
        mode: Some(Mode::Exercise),
        issuer: None,
        content: None,
        source: "speech".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 80,
        instead_of: None,
    })
}

fn ended(n: u32, subject: Subject, outcome: PlayOutcome) -> Event {
    Event::PlayEnded(PlayEnd {
        play: PlayId::new(1, n),
        subject,
        outcome,
        started_at: None,
        frames_played: 48_000,
        frames_due: Some(96_000),
        loudness_lufs: None,
        heard: None,
    })
}

async fn a_box_keeps_the_key_that_came_first(store: SharedStore) {
    let trust = |key: &str| store.trust_box_key(id("loa-1"), "Cụm 1".to_owned(), key.to_owned());
    let (a, b) = tokio::join!(trust("a"), trust("b"));
    assert!(a.unwrap() ^ b.unwrap(), "one of two racers");
    let first = store.enrolled(id("loa-1")).await.unwrap().unwrap().key;
    assert!(!trust("c").await.unwrap());
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let row = store.enrolled(id("loa-1")).await.unwrap().unwrap();
    assert_eq!((row.key, row.groups), (first, vec![group("xa")]), "a configuration without a key keeps it");
    assert_eq!(store.enrolled(id("loa-9")).await.unwrap(), None);
}

async fn signs_of_life_are_kept_in_their_order(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let heartbeat = |seconds, version: u32| {
        let kind = SignKind::Heartbeat { backlog: version.into(), faults: vec!["disk_full".to_owned()] };
        let holds = Some(holds(version));
        store.note_sign_of_life(SignOfLife {
            id: id("loa-1"),
            at: at(seconds),
            clock: ClockQuality::Floor,
            holds,
            kind,
        })
    };
    let row = async || store.boxes().await.unwrap().remove(0);
    assert!(heartbeat(100, 2).await.unwrap(), "it is heard for the first time");
    assert!(!heartbeat(99, 1).await.unwrap());
    assert!(!heartbeat(100, 2).await.unwrap(), "people see nothing new");
    assert_eq!(store.holds(id("loa-1")).await.unwrap(), Some(holds(2)), "an earlier one came late");
    assert_eq!((row().await.backlog, row().await.clock), (2, Some(ClockQuality::Floor)));
    store.note_lost(id("loa-1"), at(50)).await.unwrap();
    assert!(row().await.is_online(at(101)), "it has spoken since");
    store.note_lost(id("loa-1"), at(101)).await.unwrap();
    assert!(!row().await.is_online(at(101)));
    assert!(heartbeat(10, 3).await.unwrap(), "it is heard again");
    assert_eq!(row().await.last_seen, Some(at(10)), "the clock of this machine was set back");
    assert!(row().await.is_online(at(100)) && !row().await.is_online(at(10 + 150)));
}

async fn a_code_is_used_up_by_one_of_two(store: SharedStore) {
    let code = ContentHash::of(b"code");
    store.add_enrolment(code, declared("loa-1", &["thon-1"]), at(60)).await.unwrap();
    let use_it = |key: &str| store.use_enrolment(code, key.to_owned(), at(1));
    let (a, b) = tokio::join!(use_it("a"), use_it("b"));
    assert!(a.unwrap().is_some() ^ b.unwrap().is_some(), "one of two racers");
    let late = ContentHash::of(b"late");
    store.add_enrolment(late, declared("loa-2", &["thon-1"]), at(60)).await.unwrap();
    assert_eq!(store.use_enrolment(late, "c".to_owned(), at(60)).await.unwrap(), None);
}

async fn who_is_shut_out_stays_out_until_enrolled_anew(store: SharedStore) {
    let with_key = BoxDeclared { key: Some("k".to_owned()), ..declared("loa-1", &["xa"]) };
    store.declare_boxes(vec![with_key.clone()]).await.unwrap();
    let [first, second] = [b"first", b"other"].map(|bytes| ContentHash::of(bytes));
    store.add_certificate(first, [1; SERIAL_BYTES], id("loa-1"), at(1)).await.unwrap();
    store.add_certificate(second, [2; SERIAL_BYTES], id("loa-1"), at(2)).await.unwrap();
    assert_eq!(store.certified(first).await.unwrap(), None, "a box has one certificate");
    assert_eq!(store.certified(second).await.unwrap(), Some(id("loa-1")));
    assert!(store.revoke_box(id("loa-1"), at(3)).await.unwrap());
    assert!(!store.revoke_box(id("loa-9"), at(3)).await.unwrap());
    assert_eq!(store.certified(second).await.unwrap(), None);
    let key = async || store.enrolled(id("loa-1")).await.unwrap().unwrap().key;
    assert_eq!(key().await, None, "its log is believed no more");
    let revoked = store.revoked_certificates().await.unwrap();
    assert_eq!(revoked, [([1; SERIAL_BYTES], at(2)), ([2; SERIAL_BYTES], at(3))]);
    store.declare_boxes(vec![with_key]).await.unwrap();
    assert_eq!(key().await, None, "no configuration brings its key back");
    store.add_enrolment(first, declared("loa-1", &["xa"]), at(60)).await.unwrap();
    store.use_enrolment(first, "new".to_owned(), at(4)).await.unwrap();
    assert_eq!(key().await.as_deref(), Some("new"));
}

async fn a_log_is_taken_once_in_turn(store: SharedStore) {
    let mut written = Written::new();
    let (first, second) = (
        written.batch([missed("một", NotPlayed::Late), Event::DeviceBack]),
        written.batch([missed("hai", NotPlayed::Missed)]),
    );
    let after_gap = ingest(&store, second.clone()).await;
    assert_eq!((after_gap.contiguous_upto, after_gap.after_gap), (0, 1));
    let taken = ingest(&store, first.clone()).await;
    assert_eq!((taken.contiguous_upto, taken.added, taken.known), (2, 2, 0));
    let again = ingest(&store, first).await;
    assert_eq!((again.contiguous_upto, again.added, again.known), (2, 0, 2));
    assert_eq!(ingest(&store, second).await.contiguous_upto, 3);
    assert_eq!(store.contiguous_upto(id("loa-1"), EPOCH).await.unwrap(), 3);
    let log = store.log(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(log.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let filter = LogFilter { after: Some(log[0].cursor), limit: 1, ..LogFilter::default() };
    assert_eq!(store.log(filter).await.unwrap(), log[1..2]);
    let filter = LogFilter { event: Some("device_back".to_owned()), limit: 10, ..LogFilter::default() };
    assert_eq!(store.log(filter).await.unwrap(), log[1..2]);
}

async fn a_fork_is_seen_and_a_gap_is_said(store: SharedStore) {
    ingest(&store, Written::new().batch([Event::DeviceBack])).await;
    let forked = ingest(&store, Written::new().batch([Event::BoxStopped])).await;
    assert!(forked.forked);
    // A second batch that does not follow from the first, though its number does.
    let (mut one, mut other) = (Written::new(), Written::new());
    let of_epoch = |batch: Batch| Batch { epoch: Epoch(9), ..batch };
    ingest(&store, of_epoch(one.batch([Event::DeviceBack]))).await;
    other.batch([Event::BoxStopped]);
    let strange = ingest(&store, of_epoch(other.batch([Event::DeviceBack]))).await;
    assert_eq!((strange.forked, strange.contiguous_upto, strange.added), (true, 1, 0));
    let mut lost = Written::new();
    lost.batch([Event::DeviceBack, Event::DeviceBack]);
    let rest = Batch { epoch: Epoch(8), oldest: 3, ..lost.batch([Event::BoxStopped]) };
    assert_eq!(ingest(&store, rest).await.contiguous_upto, 3);
    let mut kinds: Vec<_> =
        store.alarms(10).await.unwrap().into_iter().map(|row| (row.kind, row.subject)).collect();
    kinds.sort();
    kinds.dedup();
    let expected = [AlarmKind::Forked, AlarmKind::Gap, AlarmKind::NewEpoch];
    assert_eq!(kinds, expected.map(|kind| (kind, "loa-1".to_owned())));
}

async fn a_play_ends_once_with_its_outcome(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let slot = || Subject::Slot(SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() });
    let order = || Subject::Announcement { command: "lenh-1".parse().unwrap() };
    let mut written = Written::new();
    let events = [started(1, slot()), started(2, order())];
    ingest(&store, written.batch(events)).await;
    let open = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(open.iter().map(|play| play.outcome.clone()).collect::<Vec<_>>(), [None, None]);
    let cut = PlayOutcome::Interrupted { by: Rung::Emergency };
    let events = [
        ended(1, slot(), cut.clone()),
        ended(2, order(), PlayOutcome::Finished),
        ended(1, slot(), PlayOutcome::Stopped),
    ];
    ingest(&store, written.batch(events)).await;
    let filter = LogFilter { command: Some("lenh-1".parse().unwrap()), limit: 10, ..LogFilter::default() };
    let of_command = store.plays(filter).await.unwrap().remove(0);
    assert_eq!((of_command.subject, of_command.outcome), (order(), Some(PlayOutcome::Finished)));
    let plays = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    let of_slot = plays.into_iter().find(|play| play.subject == slot()).unwrap();
    assert_eq!(of_slot.outcome, Some(cut), "its first end stays");
    assert_eq!((of_slot.rung, of_slot.mode), (Rung::Exercise, Some(Mode::Exercise)));
    let shown = serde_json::to_value(&of_slot).unwrap();
    assert_eq!(shown["subject"], "slot");
    assert_eq!(shown["subject_id"], format!("sang/{}", NOW.date()));
    assert_eq!(
        (&shown["outcome"], &shown["reason"]),
        (&"interrupted".into(), &"{\"by\":\"emergency\"}".into())
    );
    let report = store.report(at(0), at(1)).await.unwrap();
    assert_eq!((report.len(), report[0].plays, report[0].finished, report[0].seconds_played), (1, 2, 1, 2.0));
}

async fn plays_under_an_unknown_clock_are_dated_anew(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let order = || Subject::Announcement { command: "lenh-1".parse().unwrap() };
    let step_us = 86_400_000_000;
    let set = |before| Event::ClockSet { step_us, before };
    let mut written = Written::new();
    let opened = async || {
        let plays = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
        plays.into_iter().map(|play| (play.opened, play.ended)).next().unwrap()
    };
    ingest(&store, written.batch([started(1, order()), ended(1, order(), PlayOutcome::Finished)])).await;
    let (began, over) = opened().await;
    // A clock that was known is only corrected: what it dated stays.
    ingest(&store, written.batch([set(ClockQuality::Synced)])).await;
    assert_eq!(opened().await, (began, over));
    ingest(&store, written.batch([set(ClockQuality::None)])).await;
    let day_later = |at: Wall| Wall(at.0 + step_us);
    assert_eq!(opened().await, (day_later(began), over.map(day_later)));
}

async fn what_did_not_sound_has_its_reason(store: SharedStore) {
    let events = [missed("một", NotPlayed::Late), missed("hai", NotPlayed::PreEmpted { by: Rung::Live })];
    ingest(&store, Written::new().batch(events)).await;
    let rows = store.not_played(10).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| (row.title, row.reason)).collect();
    let expected =
        [("hai".to_owned(), NotPlayed::PreEmpted { by: Rung::Live }), ("một".to_owned(), NotPlayed::Late)];
    assert_eq!(rows, expected);
}

async fn a_slot_that_did_not_sound_is_shown_and_reported_until_it_sounds(store: SharedStore) {
    let ended = |outcome| {
        let key = SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() };
        Event::SlotEnded { key, title: "Buổi sáng".to_owned(), scheduled: NOW, outcome }
    };
    let mut written = Written::new();
    let missed = written.batch([ended(SlotOutcome::NotAired(NotPlayed::Missed))]);
    ingest(&store, missed).await;
    let rows = store.not_played(10).await.unwrap();
    assert_eq!((rows.len(), &*rows[0].title, rows[0].at), (1, "Buổi sáng", NOW));
    let report = store.report(at(0), at(1)).await.unwrap();
    assert_eq!((report.len(), report[0].plays, report[0].not_aired["missed"]), (1, 0, 1));
    assert!(store.report(at(1), at(2)).await.unwrap().is_empty());
    let aired = written.batch([ended(SlotOutcome::Aired { finished: 1, not_finished: 0 })]);
    ingest(&store, aired).await;
    assert!(store.not_played(10).await.unwrap().is_empty());
    assert!(store.report(at(0), at(1)).await.unwrap().is_empty());
}

async fn serials_are_given_once(store: SharedStore) {
    let key = |name: &str| name.parse::<KeyId>().unwrap();
    let (a, b) = tokio::join!(store.next_serial(key("an")), store.next_serial(key("an")));
    let mut given = [a.unwrap(), b.unwrap()];
    given.sort_unstable();
    assert_eq!(given, [1, 2]);
    assert_eq!(store.next_serial(key("binh")).await.unwrap(), 1);
}

async fn a_command_is_kept_once(store: SharedStore) {
    let (a, b) = tokio::join!(store.add_command(command("mot", 1)), store.add_command(command("mot", 1)));
    let mut kept = [a.unwrap(), b.unwrap()];
    kept.sort_by_key(|kept| *kept == Kept::Before);
    assert_eq!(kept, [Kept::Now, Kept::Before], "one of two racers");
    let other = NewCommand { payload: "{\"other\":1}".to_owned(), ..command("mot", 9) };
    assert!(store.add_command(other).await.is_err(), "another command under the same id");
    let ends = vec![("mot".parse().unwrap(), Ended::Superseded)];
    store.add_command(NewCommand { ends, ..command("hai", 2) }).await.unwrap();
    let ends = vec![("mot".parse().unwrap(), Ended::Cancelled)];
    let cancel = NewCommand { kind: CommandKind::Cancel, class: None, mode: None, ends, ..command("huy", 3) };
    store.add_command(cancel).await.unwrap();
    let row = store.command("mot".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((row.ended, row.mode), (Some(Ended::Superseded), Some(Mode::Exercise)), "what ended it first");
    let names = |rows: Vec<CommandRow>| rows.into_iter().map(|row| row.title).collect::<Vec<_>>();
    assert_eq!(names(store.announcements(10).await.unwrap()), ["hai", "mot"]);
    let ids = ["hai", "mot"].map(|name| name.parse::<CommandId>().unwrap()).to_vec();
    assert_eq!(store.envelopes(ids).await.unwrap(), [b"hai".to_vec(), b"mot".to_vec()]);
    let standing = store.standing(id("loa-1"), at(10)).await.unwrap();
    let orders: Vec<_> = standing.iter().map(|row| (row.kind, row.ended, row.step)).collect();
    let sent = Some(Step::Sent);
    let expected = [
        (CommandKind::Announce, true, sent),
        (CommandKind::Announce, false, sent),
        (CommandKind::Cancel, false, None),
    ];
    assert_eq!(orders, expected);
}

async fn of_two_documents_of_one_version_one_is_kept(store: SharedStore) {
    let (a, b) = tokio::join!(store.add_command(document("a", 1, 1)), store.add_command(document("b", 2, 1)));
    let kept = [a.unwrap(), b.unwrap()];
    assert!(kept.contains(&Kept::Now) && kept.contains(&Kept::Overtaken), "one of two racers: {kept:?}");
    assert_eq!(store.add_command(document("c", 3, 2)).await.unwrap(), Kept::Now);
    assert_eq!(store.add_command(document("d", 4, 1)).await.unwrap(), Kept::Overtaken);
    assert_eq!(store.command("d".parse().unwrap()).await.unwrap(), None, "nothing of it is kept");
    let documents = store.documents(at(10)).await.unwrap();
    assert_eq!(documents.iter().map(|document| document.version).collect::<Vec<_>>(), [2]);
}

async fn boxes_move_with_the_document_that_moves_them(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["thon-1"])]).await.unwrap();
    let to = |name: &str, serial, version, groups: &str| {
        let moves = vec![(id("loa-1"), vec![group(groups)])];
        store.add_command(NewCommand { moves, ..document(name, serial, version) })
    };
    let groups = async || store.enrolled(id("loa-1")).await.unwrap().unwrap().groups;
    assert_eq!(to("a", 1, 1, "thon-2").await.unwrap(), Kept::Now);
    assert_eq!(to("b", 2, 1, "thon-3").await.unwrap(), Kept::Overtaken);
    assert_eq!(groups().await, [group("thon-2")]);
    store.declare_boxes(vec![declared("loa-1", &["thon-1"])]).await.unwrap();
    assert_eq!(
        groups().await,
        [group("thon-2")],
        "groups that were sent are not the configuration's any more"
    );
}

async fn deliveries_go_forward(store: SharedStore) {
    store.add_command(command("mot", 1)).await.unwrap();
    let step = |step| Event::Delivery { command: "mot".parse().unwrap(), step };
    let not_played = DeliveryStep::NotPlayed { reason: NotPlayed::NoRoom };
    let mut written = Written::new();
    ingest(&store, written.batch([step(DeliveryStep::Staged), step(DeliveryStep::Received)])).await;
    let chain = async || store.deliveries("mot".parse().unwrap()).await.unwrap();
    let of_first = |rows: Vec<DeliveryRow>| rows.into_iter().find(|row| row.id == id("loa-1")).unwrap();
    assert_eq!(of_first(chain().await).step, Step::Staged);
    ingest(&store, written.batch([step(not_played), step(DeliveryStep::Started)])).await;
    let row = of_first(chain().await);
    assert_eq!((row.step, &row.reason), (Step::NotPlayed, &Some(NotHeard::NotPlayed(NotPlayed::NoRoom))));
    assert_eq!(serde_json::to_value(&row).unwrap()["reason"], "{\"because\":\"no_room\"}");
    assert_eq!(chain().await.len(), 2);
}

async fn drafts_and_signatures_have_room_for_so_many(store: SharedStore) {
    let draft = |name: &str, drafter: &str, is_emergency: bool| {
        let (payload, drafter) = ("{}".to_owned(), drafter.to_owned());
        let id = name.parse().unwrap();
        let room = DraftRoom { open_max: 3, lesser_max: 2, own_max: 1 };
        store.add_draft(NewDraft { id, made: at(1), expires: at(60), payload, drafter, is_emergency }, room)
    };
    let (a, b) = tokio::join!(draft("a", "an", false), draft("b", "an", false));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a == DraftKept::Kept) ^ (b == DraftKept::Kept), "one of two racers");
    assert!(a == DraftKept::NoOwnRoom || b == DraftKept::NoOwnRoom);
    assert_eq!(draft("c", "binh", false).await.unwrap(), DraftKept::Kept);
    assert_eq!(draft("d", "chi", false).await.unwrap(), DraftKept::NoRoom, "the rest is for emergencies");
    assert_eq!(draft("d", "chi", true).await.unwrap(), DraftKept::Kept);
    assert_eq!(draft("e", "dung", true).await.unwrap(), DraftKept::NoRoom);
    for lesser in ["c", "d"] {
        store.withdraw_draft(lesser.parse().unwrap()).await.unwrap();
    }
    let only = store.drafts(at(2)).await.unwrap().remove(0).draft.id;
    let sign = |key: &str, seconds| {
        let signed =
            DraftSignature { key: key.parse().unwrap(), signature: [1; SIGNATURE_BYTES], at: at(seconds) };
        store.add_signature(only.clone(), signed, 2)
    };
    assert!(sign("an", 3).await.unwrap() && sign("an", 4).await.unwrap(), "one of the same key is kept once");
    let (b, c) = tokio::join!(sign("binh", 5), sign("chi", 5));
    assert!(b.unwrap() ^ c.unwrap(), "one of two racers");
    assert_eq!(store.drafts(at(6)).await.unwrap()[0].signatures.len(), 2);
    assert!(!store.drafts(at(6)).await.unwrap()[0].sent);
    store.add_command(command(only.as_str(), 1)).await.unwrap();
    assert!(store.drafts(at(6)).await.unwrap()[0].sent);
    assert_eq!(draft("f", "an", false).await.unwrap(), DraftKept::Kept, "what was sent takes no room");
    store.withdraw_draft(only.clone()).await.unwrap();
    store.withdraw_draft("f".parse().unwrap()).await.unwrap();
    let left: Vec<_> = store.drafts(at(6)).await.unwrap().into_iter().map(|row| row.draft.id).collect();
    assert_eq!(left, [only], "what was sent is not taken back");
    assert_eq!(store.drafts(at(60)).await.unwrap(), []);
}

async fn an_alert_is_taken_once(store: SharedStore) {
    let alert = |reference: &str, short: &str, seconds| CapRow {
        reference: reference.to_owned(),
        id: short.to_owned(),
        received: at(seconds),
        state: "{\"state\":\"draft\"}".to_owned(),
    };
    let names = || vec!["a,0,x".to_owned()];
    assert!(store.add_cap(alert("a,1,x", "aaa", 1), names()).await.unwrap());
    assert!(!store.add_cap(alert("a,1,x", "bbb", 2), Vec::new()).await.unwrap());
    assert!(store.add_cap(alert("a,2,x", "ccc", 3), Vec::new()).await.unwrap());
    let ids: Vec<_> = store.caps().await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["ccc", "aaa"]);
    assert_eq!(store.cap("aaa".to_owned()).await.unwrap(), Some(alert("a,1,x", "aaa", 1)));
    assert_eq!(store.caps_referred("a,2,x".to_owned()).await.unwrap(), [alert("a,2,x", "ccc", 3)]);
    assert_eq!(store.caps_naming("a,0,x".to_owned()).await.unwrap(), [alert("a,1,x", "aaa", 1)]);
    assert_eq!(store.cap("bbb".to_owned()).await.unwrap(), None);
    let draft = alert("a,1,x", "aaa", 1).state;
    let to = |state: &str| {
        let state = format!("{{\"state\":\"{state}\"}}");
        store.change_cap("aaa".to_owned(), draft.clone(), state)
    };
    let (a, b) = tokio::join!(to("sending"), to("ended"));
    assert!(a.unwrap() ^ b.unwrap(), "one of two racers");
    assert_eq!(store.caps_in_state("draft").await.unwrap().len(), 1);
}

async fn what_is_passed_over_is_counted_by_its_reason(store: SharedStore) {
    let passed = |why: &str, seconds| PassedOver {
        what: "https://kttv.example.vn/1".to_owned(),
        why: why.to_owned(),
        why_vi: "không đọc được".to_owned(),
        last: at(seconds),
    };
    assert_eq!(store.pass_over_cap(passed("lost", 1)).await.unwrap(), 1);
    assert_eq!(store.pass_over_cap(passed("lost", 2)).await.unwrap(), 2);
    assert_eq!(store.pass_over_cap(passed("too large", 3)).await.unwrap(), 1, "another reason");
    assert_eq!(store.caps_passed_over().await.unwrap(), [passed("too large", 3)]);
    store.cap_passed_over_no_more(passed("lost", 1).what).await.unwrap();
    assert_eq!(store.caps_passed_over().await.unwrap(), []);
}

async fn media_are_described_once(store: SharedStore) {
    let media = |name: &str| MediaRow {
        sha256: ContentHash::of(b"audio"),
        bytes: 9,
        codec: "audio/wav".to_owned(),
        ms: 1_000,
        name: name.to_owned(),
        added: NOW,
    };
    store.add_media(media("a.wav")).await.unwrap();
    store.add_media(media("b.wav")).await.unwrap();
    assert_eq!(store.media(ContentHash::of(b"audio")).await.unwrap(), Some(media("a.wav")));
    assert_eq!(store.media(ContentHash::of(b"none")).await.unwrap(), None);
}

async fn alarms_are_counted_and_bounded(store: SharedStore) {
    let raise = |subject: String, seconds| {
        store.raise_alarm(Alarm {
            kind: AlarmKind::UnknownBox,
            subject,
            detail: "x".to_owned(),
            at: at(seconds),
            times: 1,
        })
    };
    for first in (0..=u64::from(ALARMS_MAX)).step_by(500) {
        let mut raised = tokio::task::JoinSet::new();
        for n in first..(first + 500).min(u64::from(ALARMS_MAX) + 1) {
            let (store, subject) = (Arc::clone(&store), format!("la-{n}"));
            let alarm =
                Alarm { kind: AlarmKind::UnknownBox, subject, detail: "x".to_owned(), at: at(n), times: 1 };
            raised.spawn(async move { store.raise_alarm(alarm).await.unwrap() });
        }
        raised.join_all().await;
    }
    raise("la-9".to_owned(), 20_000).await.unwrap();
    let newest = store.alarms(1).await.unwrap().remove(0);
    assert_eq!((newest.subject.as_str(), newest.count, newest.first), ("la-9", 2, at(9)));
    raise("la-0".to_owned(), 20_001).await.unwrap();
    assert_eq!(store.alarms(1).await.unwrap()[0].count, 1, "the oldest was forgotten");
}

async fn a_token_is_good_until_it_is_revoked(store: SharedStore) {
    let row = TokenRow {
        name: "bang-tin".to_owned(),
        hash: ContentHash::of(b"secret"),
        scope: Scope::Announce,
        made: at(0),
        expires: at(60),
        revoked: None,
    };
    assert!(store.add_token(row.clone()).await.unwrap());
    assert!(!store.add_token(row.clone()).await.unwrap(), "a name is given once");
    let kept = || async { store.token(ContentHash::of(b"secret")).await.unwrap().unwrap() };
    assert_eq!((kept().await, store.tokens().await.unwrap()), (row.clone(), vec![row.clone()]));
    assert!(row.is_good(at(59)) && !row.is_good(at(60)));
    assert!(store.revoke_token(row.name.clone(), at(5)).await.unwrap());
    assert!(!store.revoke_token(row.name, at(6)).await.unwrap());
    assert!(!kept().await.is_good(at(7)) && kept().await.revoked == Some(at(5)));
    assert_eq!(store.token(ContentHash::of(b"other")).await.unwrap(), None);
}

fn act() -> NewAct {
    let subject = "loa-1".to_owned();
    NewAct {
        at: NOW,
        actor: Actor::Central,
        act: "alarm_taken",
        subject,
        before: None,
        after: None,
        from: None,
    }
}

fn found(kind: TroubleKind, subject: &str, last: Wall) -> Found {
    let (what, detail) = ("disk_full".to_owned(), String::new());
    Found { kind, what, subject: subject.to_owned(), detail, since: last, last }
}

async fn a_trouble_is_opened_once_taken_once_and_has_an_end(store: SharedStore) {
    let fault = || vec![found(TroubleKind::Fault, "loa-1", NOW)];
    assert!(store.note_troubles(fault(), NOW).await.unwrap());
    assert!(!store.note_troubles(fault(), at(5)).await.unwrap(), "it is open");
    let id = store.open_troubles().await.unwrap()[0].id;
    let take = |name: &str| store.take_troubles(vec![id, 77], name.parse().unwrap(), at(6), act());
    let (an, binh) = tokio::join!(take("an"), take("binh"));
    assert_ne!(an.unwrap(), binh.unwrap(), "one of two");
    let by = store.open_troubles().await.unwrap()[0].taken.clone().unwrap().0;
    assert!(store.silence_troubles(vec![id], at(60), act()).await.unwrap());
    assert!(
        !store.end_troubles(vec![id], at(7), act()).await.unwrap(),
        "a box's trouble is no person's to end"
    );
    assert!(store.note_troubles(Vec::new(), at(10)).await.unwrap());
    assert_eq!(store.open_troubles().await.unwrap(), []);
    let past = store.past_troubles(Some("loa-1".to_owned()), 10).await.unwrap();
    assert_eq!((past.len(), past[0].ended), (1, Some(at(10))));
    assert!(!take("chi").await.unwrap(), "it is over");
    // Again within minutes: the same, with who had it.
    assert!(store.note_troubles(fault(), at(60)).await.unwrap());
    let open = store.open_troubles().await.unwrap();
    assert_eq!((open[0].id, open[0].taken.clone().map(|(by, _)| by)), (id, Some(by)));
    assert!(store.note_troubles(Vec::new(), at(70)).await.unwrap());
    assert!(store.note_troubles(fault(), at(3_600)).await.unwrap());
    let open = store.open_troubles().await.unwrap();
    assert!(open.len() == 1 && open[0].id != id && open[0].taken.is_none(), "an hour later it is another");
    assert_eq!(store.acts(ActFilter { limit: 10, ..ActFilter::default() }).await.unwrap().len(), 2);
}

async fn a_strangers_trouble_comes_again_only_with_a_new_sight(store: SharedStore) {
    let seen = |last| vec![found(TroubleKind::Security, "203.0.113.7", last)];
    assert!(store.note_troubles(seen(NOW), NOW).await.unwrap());
    let id = store.open_troubles().await.unwrap()[0].id;
    assert!(!store.note_troubles(Vec::new(), at(5)).await.unwrap(), "people end it");
    assert!(store.end_troubles(vec![id], at(10), act()).await.unwrap());
    assert!(!store.note_troubles(seen(NOW), at(20)).await.unwrap());
    assert!(store.note_troubles(seen(at(15)), at(20)).await.unwrap());
    assert_eq!(store.open_troubles().await.unwrap().len(), 1);
}

async fn what_staff_say_of_places_is_kept(store: SharedStore) {
    let point = Some(Point { latitude: 20.98, longitude: 105.74 });
    let place =
        PlaceRow {
            group: group("thon-1"), title: Some("Thôn Một".to_owned()), households: Some(90), point
        };
    store.set_place(PlaceRow { title: None, ..place.clone() }, act()).await.unwrap();
    store.set_place(place.clone(), act()).await.unwrap();
    assert_eq!(store.places().await.unwrap(), [place]);
    let work = Maintenance { by: "an".parse().unwrap(), note: "thay âm ly".to_owned(), until: at(60) };
    store.set_maintenance(id("loa-1"), Some(work.clone()), act()).await.unwrap();
    store.set_point(id("loa-1"), point, act()).await.unwrap();
    assert_eq!(store.sites().await.unwrap(), [SiteRow { id: id("loa-1"), point, maintenance: Some(work) }]);
    store.set_maintenance(id("loa-1"), None, act()).await.unwrap();
    assert_eq!(store.sites().await.unwrap(), [SiteRow { id: id("loa-1"), point, maintenance: None }]);
    let section = SectionRow { id: "y-te".parse().unwrap(), title: "Y tế".to_owned() };
    store.set_section(section.clone(), act()).await.unwrap();
    assert_eq!(store.sections().await.unwrap(), [section]);
    let (from, until) = (NOW.date(), at(86_400 * 30).date());
    let (id, title, responsible) = ("tiem".parse().unwrap(), "Tiêm phòng".to_owned(), "Trạm y tế".to_owned());
    let campaign = CampaignRow { id, title, from, until, responsible };
    store.set_campaign(campaign.clone(), act()).await.unwrap();
    assert_eq!(store.campaigns().await.unwrap(), [campaign]);
    assert_eq!(store.acts(ActFilter { limit: 10, ..ActFilter::default() }).await.unwrap().len(), 7);
}

async fn hours_of_health_are_counted_and_forgotten(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let hour = Wall(NOW.0 - NOW.0 % 3_600_000_000);
    let beat = |at, clock, faults: &[&str]| {
        let faults = faults.iter().map(|code| (*code).to_owned()).collect();
        let kind = SignKind::Heartbeat { backlog: 3, faults };
        store.note_sign_of_life(SignOfLife { id: id("loa-1"), at, clock, holds: None, kind })
    };
    beat(hour, ClockQuality::None, &[]).await.unwrap();
    beat(hour.plus(Span::secs(60)), ClockQuality::Synced, &["disk_full"]).await.unwrap();
    beat(hour.plus(Span::secs(3_600)), ClockQuality::Synced, &[]).await.unwrap();
    let rows = store.health(id("loa-1"), Wall(0)).await.unwrap();
    let counts: Vec<_> =
        rows.iter().map(|row| (row.signs, row.without_clock, row.faulty, row.backlog_max)).collect();
    assert_eq!(counts, [(2, 1, 1, 3), (1, 0, 0, 3)]);
    beat(hour.plus(SAMPLES_KEPT).plus(Span::secs(7_200)), ClockQuality::Synced, &[]).await.unwrap();
    assert_eq!(store.health(id("loa-1"), Wall(0)).await.unwrap().len(), 1, "old hours go");
}
