//! Promises about what is deleted when its time is over, and what is not.

use super::*;

/// Batches that arrived day after day, each with the box's signature behind it.
async fn days(store: &SharedStore, written: &mut Written, days: std::ops::Range<u64>) {
    for day in days {
        let batch = written.batch([Event::DeviceBack, Event::BoxStopped]);
        let head = Some(format!("{{\"seq\":{}}}", 2 * day + 2));
        let batch = Batch { arrived: at(day * 86_400), head, ..batch };
        assert_eq!(ingest(store, batch).await.contiguous_upto, 2 * day + 2);
    }
}

async fn entries(store: &SharedStore) -> Vec<u64> {
    let rows = store.log(LogFilter { limit: 100, ..LogFilter::default() }).await.unwrap();
    rows.iter().map(|row| row.seq).collect()
}

async fn prune_all(store: &SharedStore, kept: Perishable, before: Wall, now: Wall) -> u64 {
    let mut all = 0;
    loop {
        match store.prune(kept, before, now).await.unwrap() {
            0 => return all,
            gone => all += gone,
        }
    }
}

pub(super) async fn a_log_loses_its_beginning_and_goes_on(store: SharedStore) {
    let mut written = Written::new();
    days(&store, &mut written, 0..4).await;
    let (before, now) = (at(2 * 86_400), at(5 * 86_400));
    let waits = before.date().pred_opt().unwrap();
    let loa = id("loa-1");
    store.mark_to_settle(waits, vec![loa.clone()]).await.unwrap();
    assert_eq!(store.prune(Perishable::Log, before, now).await.unwrap(), 0, "a day waits to be reckoned");
    let place = DayBox {
        id: loa.clone(),
        title: "Loa".to_owned(),
        village: "dong".to_owned(),
        village_title: "Đông".to_owned(),
        households: None,
        sessions: Arc::default(),
    };
    let of = store.to_settle(1).await.unwrap().remove(0);
    store.settle(vec![nothing(of, place)], now.date()).await.unwrap();
    let log = store.log(LogFilter { limit: 100, ..LogFilter::default() }).await.unwrap();
    assert_eq!(prune_all(&store, Perishable::Log, before, now).await, 4);
    assert_eq!(entries(&store).await, [5, 6, 7, 8]);
    let pruned = store.pruned_logs().await.unwrap();
    assert_eq!((pruned[0].upto, pruned[0].hash, pruned[0].at), (4, log[3].hash, now));
    assert_eq!(pruned[0].head.as_deref(), Some("{\"seq\":4}"), "cut where the box signed");
    // What was sent before is no fork when it comes again; another entry in its last place is.
    let mut again = Written::new();
    let first = again.batch([Event::DeviceBack, Event::BoxStopped]);
    assert_eq!((ingest(&store, first).await.known, store.alarms(9).await.unwrap().len()), (2, 0));
    days(&store, &mut written, 4..5).await;
    assert_eq!(store.contiguous_upto(loa.clone(), EPOCH).await.unwrap(), 10);
    store.mark_to_settle(waits, vec![loa.clone()]).await.unwrap();
    assert!(store.to_settle(1).await.unwrap().is_empty(), "a day without its log stays as it was reckoned");
    store.mark_to_settle(before.date(), vec![loa.clone()]).await.unwrap();
    let facts = store.day_facts(before.date(), vec![loa.clone()], Vec::new()).await.unwrap();
    let known = &facts[&loa].known;
    assert_eq!(known[0].0, NOW, "the log began when it began");
    let row = store.pruned().await.unwrap();
    assert_eq!((row[0].kept, row[0].rows, row[0].before), (Perishable::Log, 4, before));
}

fn nothing(of: ToSettle, place: DayBox) -> Reckoned {
    Reckoned { of, place, settled: Settled::default() }
}

/// Has every day reckoned that waits to be.
async fn reckon(store: &SharedStore, on: Wall) {
    while let Some(of) = store.to_settle(1).await.unwrap().pop() {
        let place = DayBox {
            id: of.id.clone(),
            title: "Loa".to_owned(),
            village: "dong".to_owned(),
            village_title: "Đông".to_owned(),
            households: None,
            sessions: Arc::default(),
        };
        store.settle(vec![nothing(of, place)], on.date()).await.unwrap();
    }
}

pub(super) async fn months_go_up_to_what_boxes_signed(store: SharedStore) {
    // Midnights of the ends of October, November, December and January, as UTC counts.
    const ENDS: [i64; 4] =
        [1_793_491_200_000_000, 1_796_083_200_000_000, 1_798_761_600_000_000, 1_801_440_000_000_000];
    const DAY: i64 = 86_400_000_000;
    let mut written = Written::new();
    let mut n = 0;
    let mut take = async |arrived: i64, signed: bool| {
        n += 1;
        let live = Subject::Live { voice: "v".to_owned() };
        let batch = written.batch_at(Wall(arrived), [started(n, live), Event::DeviceBack]);
        let head = signed.then(|| "{}".to_owned());
        let taken = ingest(&store, Batch { arrived: Wall(arrived), head, ..batch }).await;
        assert_eq!((taken.added, taken.contiguous_upto), (2, u64::from(n) * 2));
    };
    take(ENDS[0] - 9 * DAY, true).await;
    take(ENDS[0] - DAY, true).await;
    take(ENDS[1] - 9 * DAY, true).await;
    take(ENDS[1] - DAY, false).await;
    take(ENDS[2] - 9 * DAY, true).await;
    // Under a clock that was ahead, and under the right one again.
    take(ENDS[3] + DAY, true).await;
    take(ENDS[2] + 9 * DAY, true).await;
    let plays = async || {
        let mut all = 0;
        for implausible in [false, true] {
            let filter = LogFilter { implausible, limit: 100, ..LogFilter::default() };
            all += store.plays(filter).await.unwrap().len();
        }
        all
    };
    let upto = async || store.pruned_logs().await.unwrap()[0].upto;
    let now = Wall(ENDS[3] + 5 * DAY);
    reckon(&store, now).await;
    let prune = async |before: i64| {
        prune_all(&store, Perishable::Log, Wall(before), now).await;
        entries(&store).await
    };
    assert_eq!(prune(ENDS[0]).await, (5..=14).collect::<Vec<_>>());
    assert_eq!((upto().await, plays().await), (4, 5));
    assert_eq!(prune(ENDS[1]).await, (7..=14).collect::<Vec<_>>(), "what was not signed waits");
    assert_eq!((upto().await, plays().await), (6, 4));
    assert_eq!(prune(ENDS[2]).await, (11..=14).collect::<Vec<_>>(), "it goes with the next that was signed");
    assert_eq!((upto().await, plays().await), (10, 2));
    assert_eq!(prune(ENDS[3]).await, (11..=14).collect::<Vec<_>>(), "what is before it stays still");
    assert_eq!(prune(ENDS[3] + 2 * DAY).await, Vec::<u64>::new());
    assert_eq!((upto().await, plays().await), (14, 1), "a play that arrived later than the last entry waits");
}

pub(super) async fn what_arrived_under_a_clock_that_began_anew_is_as_old_as_what_came_next(
    store: SharedStore,
) {
    const DAY: u64 = 86_400;
    let mut written = Written::new();
    for (n, arrived) in (1..).zip([at(0), Wall(0), at(11 * DAY), at(30 * DAY)]) {
        let live = Subject::Live { voice: "v".to_owned() };
        let batch = written.batch([started(n, live), Event::DeviceBack]);
        let batch = Batch { arrived, head: Some("{}".to_owned()), ..batch };
        assert_eq!(ingest(&store, batch).await.contiguous_upto, u64::from(n) * 2);
    }
    let now = at(40 * DAY);
    reckon(&store, now).await;
    let plays = async || store.plays(LogFilter { limit: 9, ..LogFilter::default() }).await.unwrap().len();
    assert_eq!(plays().await, 4);
    prune_all(&store, Perishable::Log, at(5 * DAY), now).await;
    assert_eq!(entries(&store).await, [3, 4, 5, 6, 7, 8], "what is dated 1970 came after the first day");
    assert_eq!(plays().await, 3);
    prune_all(&store, Perishable::Log, at(20 * DAY), now).await;
    assert_eq!(entries(&store).await, [7, 8]);
    assert_eq!(plays().await, 1);
}

pub(super) async fn the_audit_trail_goes_after_a_year_at_least(store: SharedStore) {
    const YEAR: u64 = 366 * 86_400;
    // The second under a clock that began anew.
    for at in [at(0), Wall(0), at(YEAR)] {
        store.note_act(NewAct { at, ..super::act() }).await.unwrap();
    }
    let now = at(2 * YEAR);
    assert!(store.prune(Perishable::Acts, at(2 * YEAR - 60), now).await.is_err(), "not yet a year");
    assert_eq!(prune_all(&store, Perishable::Acts, at(YEAR), now).await, 1);
    let left = store.acts(ActFilter { limit: 9, ..ActFilter::default() }).await.unwrap();
    assert_eq!(
        left.iter().map(|act| act.at).collect::<Vec<_>>(),
        [at(YEAR), Wall(0)],
        "nobody knows its age"
    );
    let gone = prune_all(&store, Perishable::Acts, at(YEAR + 1), at(3 * YEAR)).await;
    assert_eq!(gone, 2, "it is older than what came next");
}

pub(super) async fn words_go_after_their_answer_and_are_counted_still(store: SharedStore) {
    let said = |code: &str, due: Option<Wall>| FeedbackRow {
        id: 0,
        code: code.to_owned(),
        village: "dong".parse().unwrap(),
        kind: FeedbackKind::TooLoud,
        words: "0912 345 678".to_owned(),
        about: Some(Broadcast { id: "buoi/sang".to_owned(), title: "Bản tin".to_owned(), at: at(7) }),
        made: at(9),
        due,
        answer: None,
    };
    for (code, due) in [("a", Some(at(500))), ("b", Some(at(500))), ("c", None)] {
        assert!(store.add_feedback(said(code, due), "Đông".to_owned()).await.unwrap());
    }
    let sums = async || store.feedback_sums(NOW.date(), NOW.date()).await.unwrap();
    let by = "an".parse().unwrap();
    let answer = FeedbackAnswer { by, at: at(600), words: "Đã vặn nhỏ".to_owned() };
    let first = store.feedback_waiting(1).await.unwrap().remove(0);
    assert!(store.answer_feedback(first.id, answer, act()).await.unwrap());
    assert_eq!(store.complained_since().await.unwrap(), Some(at(7)));
    let counted = sums().await;
    assert_eq!((counted[0].said, counted[0].asked, counted[0].in_time, counted[0].late), (3, 2, 0, 1));
    assert_eq!(prune_all(&store, Perishable::Feedback, at(600), at(900)).await, 1, "answered a moment later");
    assert_eq!(prune_all(&store, Perishable::Feedback, at(601), at(900)).await, 1);
    assert!(store.feedback_by_code("a".to_owned()).await.unwrap().is_none());
    assert_eq!(store.feedback_waiting(9).await.unwrap().len(), 1, "who waits for an answer goes on waiting");
    assert_eq!(sums().await, counted);
}

pub(super) fn notice(media: Option<ContentHash>) -> NoticeContent {
    NoticeContent {
        title: "Tin".to_owned(),
        text: "Tin".to_owned(),
        language: "vi".to_owned(),
        voice: Voice::Audio,
        media,
        groups: vec![group("xa")],
        class: BulletinClass::Normal,
        at: None,
        repeat: 1,
        section: None,
        campaign: None,
        responsible: String::new(),
        supersedes: None,
        republish: false,
    }
}

pub(super) async fn audio_goes_when_nothing_names_it(store: SharedStore) {
    let audio = |name: &str, added: Wall| MediaRow {
        sha256: ContentHash::of(name.as_bytes()),
        bytes: 9,
        codec: "audio/wav".to_owned(),
        ms: 1_000,
        name: name.to_owned(),
        added,
    };
    let names = [
        "live",
        "aired",
        "in force",
        "programme",
        "old programme",
        "draft",
        "prepared",
        "proposed",
        "signing",
    ];
    for name in names {
        store.add_media(audio(name, at(0))).await.unwrap();
    }
    store.add_media(audio("new", at(5_000))).await.unwrap();
    let hash = |name: &str| ContentHash::of(name.as_bytes());
    let payload = |name: &str| format!("{{\"media\":\"{}\"}}", hash(name));
    let send = async |row: NewCommand, media: &str, expires: Wall| {
        store.add_command(NewCommand { payload: payload(media), expires, ..row }).await.unwrap();
    };
    send(command("mot", 1), "aired", at(2_000)).await;
    send(command("hai", 2), "in force", at(9_000)).await;
    send(document("ba", 3, 1), "old programme", at(2_000)).await;
    send(document("bon", 4, 2), "programme", at(2_000)).await;
    let content = notice(Some(hash("draft")));
    let edit = NoticeEdit {
        id: "tin".parse().unwrap(),
        base: None,
        content,
        state: NoticeState::Draft,
        by: "an".parse().unwrap(),
        at: at(1),
        act: None,
    };
    assert_eq!(store.edit_notice(edit, 9).await.unwrap(), NoticeKept::Kept);
    let proposal = ProposalEdit {
        id: "doi".parse().unwrap(),
        base: None,
        content: ProposalContent {
            kind: ProposalKind::Programme,
            subject: "xa".to_owned(),
            groups: vec![group("xa")],
            text: String::new(),
            media: [("a.mp3".to_owned(), hash("proposed"))].into(),
        },
        change: Change {
            kind: ChangeKind::SlotChanged,
            title: String::new(),
            day: None,
            before: None,
            after: None,
            boxes: 0,
        },
        by: "an".parse().unwrap(),
        at: at(1),
        act: act(),
    };
    store.edit_proposal(proposal, 4).await.unwrap();
    let (before, now) = (at(4_000), at(6_000));
    let unused = async || {
        let found = store.unused_media(before, now, 99).await.unwrap();
        let mut found: Vec<_> = names.into_iter().filter(|name| found.contains(&hash(name))).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(unused().await, ["aired", "live", "old programme", "prepared", "signing"]);
    // Somebody brings it again at the last moment.
    store.add_media(audio("live", at(5_000))).await.unwrap();
    assert!(!store.forget_media(hash("live"), before, now).await.unwrap());
    assert!(store.forget_media(hash("aired"), before, now).await.unwrap());
    assert_eq!(store.media(hash("aired")).await.unwrap(), None);
    assert!(!store.forget_media(hash("programme"), before, now).await.unwrap());
    // The draft is given up, and its audio with it.
    assert_eq!(prune_all(&store, Perishable::Drafts, at(1), now).await, 0);
    assert_eq!(prune_all(&store, Perishable::Drafts, at(2), now).await, 1);
    assert!(unused().await.contains(&"draft"));
}

pub(super) async fn a_rule_is_kept_and_the_room_is_measured(store: SharedStore) {
    assert_eq!(store.keeping_rule().await.unwrap(), KeepingRule::default());
    let rule = KeepingRule { log_months: 36, answer_days: 3, ..KeepingRule::default() };
    store.set_keeping_rule(rule, act()).await.unwrap();
    assert_eq!(store.keeping_rule().await.unwrap(), rule);
    store.measure_room(vec![("audio".to_owned(), 7)], NOW).await.unwrap();
    store.measure_room(vec![("audio".to_owned(), 8)], NOW).await.unwrap();
    let room = store.room().await.unwrap();
    let bytes = |what: &str| room.iter().find(|room| room.what == what).map(|room| room.bytes);
    assert_eq!(bytes("audio"), Some(8));
    assert!(
        ["log", "sums", "acts", "feedback", "other"].iter().all(|what| bytes(what).is_some_and(|it| it > 0))
    );
}

pub(super) async fn orders_go_when_they_are_over_and_nothing_names_them(store: SharedStore) {
    let send = async |row: NewCommand, expires: Wall| {
        store.add_command(NewCommand { expires, ..row }).await.unwrap();
    };
    send(command("over", 1), at(2_000)).await;
    send(command("in-force", 2), at(9_000)).await;
    send(document("document", 3, 1), at(2_000)).await;
    send(command("logged", 4), at(2_000)).await;
    send(NewCommand { issued_at: at(6_000), ..command("new", 5) }, at(2_000)).await;
    let edit = NoticeEdit {
        id: "tin".parse().unwrap(),
        base: None,
        content: notice(None),
        state: NoticeState::Submitted,
        by: "an".parse().unwrap(),
        at: at(1),
        act: None,
    };
    assert_eq!(store.edit_notice(edit, 9).await.unwrap(), NoticeKept::Kept);
    let digest = store.notice("tin".parse().unwrap()).await.unwrap().unwrap().digest;
    let by = "binh".parse().unwrap();
    let approval = Approval { of: Approved::Notice("tin".parse().unwrap()), digest, by, act: act() };
    let basis = Some(Basis::Approval(approval));
    send(NewCommand { basis, ..command("of-a-notice", 6) }, at(2_000)).await;
    let mut written = Written::new();
    let logged = Event::Delivery { command: "logged".parse().unwrap(), step: DeliveryStep::Received };
    ingest(&store, Batch { arrived: at(0), ..written.batch([logged]) }).await;
    let draft = |name: &str, expires: Wall| NewDraft {
        id: name.parse().unwrap(),
        made: at(0),
        expires,
        payload: "{}".to_owned(),
        drafter: "an".to_owned(),
        is_emergency: false,
    };
    let room = DraftRoom { open_max: 9, lesser_max: 9, own_max: 9 };
    for (name, expires) in [("unsigned", at(3_000)), ("waits", at(9_000))] {
        assert_eq!(store.add_draft(draft(name, expires), room).await.unwrap(), DraftKept::Kept);
    }
    let serial = store.next_serial("an".parse().unwrap()).await.unwrap();
    let (before, now) = (at(5_000), at(6_000));
    let waits = before.date().pred_opt().unwrap();
    store.mark_to_settle(waits, vec![id("loa-1")]).await.unwrap();
    assert_eq!(store.prune(Perishable::Orders, before, now).await.unwrap(), 0, "a day waits to be reckoned");
    let place = DayBox {
        id: id("loa-1"),
        title: "Loa".to_owned(),
        village: "dong".to_owned(),
        village_title: "Đông".to_owned(),
        households: None,
        sessions: Arc::default(),
    };
    while let Some(of) = store.to_settle(1).await.unwrap().pop() {
        store.settle(vec![nothing(of, place.clone())], now.date()).await.unwrap();
    }
    assert_eq!(prune_all(&store, Perishable::Orders, before, now).await, 3);
    let is_there = async |name: &str| store.command(name.parse().unwrap()).await.unwrap().is_some();
    assert!(!is_there("over").await && !is_there("of-a-notice").await);
    assert!(store.notice("tin".parse().unwrap()).await.unwrap().is_none(), "a notice goes with its order");
    assert!(store.deliveries("over".parse().unwrap()).await.unwrap().is_empty());
    for name in ["in-force", "document", "logged", "new"] {
        assert!(is_there(name).await, "{name}");
    }
    assert_eq!(store.deliveries("in-force".parse().unwrap()).await.unwrap().len(), 2);
    let drafts = store.drafts(at(0)).await.unwrap();
    assert_eq!(drafts.iter().map(|row| row.draft.id.as_str()).collect::<Vec<_>>(), ["waits"]);
    assert_eq!(store.next_serial("an".parse().unwrap()).await.unwrap(), serial + 1, "no number comes twice");
}

pub(super) async fn what_was_sent_out_goes_and_what_is_to_be_sent_stays(store: SharedStore) {
    let letter = |to: &str| NewLetter {
        channel: Channel::Email,
        to: to.to_owned(),
        subject: "Gọi".to_owned(),
        body: "Mở trang".to_owned(),
    };
    let call: CommandId = "goi".parse().unwrap();
    for (contact, seconds) in [("binh", 1), ("chi", 2), ("dung", 7_000)] {
        let called = CalledRow { contact: contact.to_owned(), name: contact.to_owned(), at: at(seconds) };
        assert!(store.note_called(call.clone(), called, vec![letter(contact)]).await.unwrap());
    }
    for letter in store.letters_due(at(9_000), 9).await.unwrap() {
        let tried = match &*letter.letter.to {
            "chi" => Tried::Again(at(9_999), "no route".to_owned()),
            _ => Tried::Sent(at(9_000)),
        };
        store.letter_tried(letter.id, tried).await.unwrap();
    }
    let receiver = ReceiverRow {
        id: 0,
        title: "Cổng".to_owned(),
        url: "https://portal.example/".to_owned(),
        secret: vec![1, 2],
        kinds: vec![EventKind::Test],
    };
    assert!(store.add_receiver(receiver, act()).await.unwrap());
    let receiver = store.receivers().await.unwrap()[0].id;
    for seconds in [1, 2] {
        assert!(store.try_receiver(receiver, at(seconds)).await.unwrap());
    }
    let due = store.events_due(at(9)).await.unwrap();
    store.event_tried(due[0].id, Tried::Sent(at(9))).await.unwrap();
    assert_eq!(prune_all(&store, Perishable::Outgoing, at(5_000), at(9_500)).await, 2);
    let left = store.letters(call).await.unwrap();
    assert_eq!(left.iter().map(|letter| &*letter.letter.to).collect::<Vec<_>>(), ["chi", "dung"]);
    let left = store.events(9).await.unwrap();
    assert!(left.len() == 1 && left[0].due.is_some(), "{left:?}");
}
