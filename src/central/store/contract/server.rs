//! Promises that only a server can break: it goes away, keeps an answer back, or is asked too often.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cluster as postgres;
use super::cluster::Cluster;
use super::*;
use crate::store::sql::{Beside, SqlStore};

#[allow(dead_code, reason = "tests of the whole have slow commits too")]
#[path = "../../../../tests/support/postgres_way.rs"]
mod way;

/// Boxes of a large commune, or of a small province.
const BOXES: usize = 1_000;

fn open(cluster: &Cluster) -> Arc<SqlStore> {
    cluster.create("xa");
    Arc::new(SqlStore::open_at(&cluster.database("xa"), None).unwrap())
}

/// A server that writes down every statement.
struct Counted(Cluster);

impl Counted {
    fn start() -> Self {
        let cluster = Cluster::start();
        cluster.sql("postgres", "ALTER SYSTEM SET log_statement = 'all'");
        cluster.sql("postgres", "SELECT pg_reload_conf()");
        while cluster.sql("postgres", "SHOW log_statement") != "all" {}
        Self(cluster)
    }

    /// Counts the statements that were executed so far.
    fn statements(&self) -> usize {
        let log = std::fs::read_to_string(self.0.socket().join("log")).unwrap();
        log.lines()
            .filter(|line| line.contains("LOG:  statement: ") || line.contains("LOG:  execute "))
            .count()
    }

    /// Checks that something takes no more statements than this.
    async fn takes_at_most<T>(&self, most: usize, what: &str, something: impl Future<Output = T>) -> T {
        let before = self.statements();
        let done = something.await;
        let taken = self.statements() - before;
        println!("{what}: {taken} statements");
        assert!(taken <= most, "{what}: {taken} statements");
        done
    }
}

fn loa(n: usize) -> BoxId {
    id(&format!("loa-{n:04}"))
}

fn declared_all() -> Vec<BoxDeclared> {
    let one = |n| BoxDeclared { id: loa(n), ..declared("loa", &["xa"]) };
    (0..BOXES).map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_thousand_boxes_is_kept_by_a_few_statements() {
    let server = Counted::start();
    let store = open(&server.0);
    let session = |village: usize| DueSession {
        key: SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() },
        title: format!("Thôn {village}"),
        start: at(0),
        end: at(900),
        parts: Vec::new(),
    };
    let plans: Vec<_> = (0..20).map(|village| Arc::new(vec![session(village)])).collect();
    let place = |n: usize| DayBox {
        id: loa(n),
        title: format!("Cụm {n}"),
        village: format!("thon-{}", n % 20),
        village_title: format!("Thôn {}", n % 20),
        households: Some(90),
        sessions: Arc::clone(&plans[n % 20]),
    };
    let boxes: Vec<_> = (0..BOXES).map(place).collect();
    let mut plan = DayPlan { day: NOW.date(), made: NOW, names: Names::default(), boxes };
    server.takes_at_most(30, "a day", store.keep_day(plan.clone())).await.unwrap();
    assert_eq!(store.day_plan(NOW.date()).await.unwrap().unwrap(), plan);
    // It is planned anew, and the last word on a box counts.
    plan.boxes[7].title = "Cụm bảy".to_owned();
    plan.made = at(60);
    server.takes_at_most(30, "the day again", store.keep_day(plan.clone())).await.unwrap();
    assert_eq!(store.day_plan(NOW.date()).await.unwrap().unwrap(), plan);
    assert_eq!(server.0.sql("xa", "SELECT count(*) FROM day_plans"), "20");
    let marks = "SELECT count(*), count(DISTINCT mark) FROM days_to_settle";
    assert_eq!(server.0.sql("xa", marks), "1000|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_thousand_boxes_is_reckoned_by_a_few_statements() {
    let server = Counted::start();
    let store = open(&server.0);
    store
        .add_command(NewCommand { boxes: (0..BOXES).map(loa).collect(), ..command("mot", 1) })
        .await
        .unwrap();
    server.0.sql(
        "xa",
        &format!(
            "INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, rung, source, language, repetition,
                                volume_percent, opened, frames_played, outcome)
                 SELECT 'loa-' || to_char(n, 'FM0000'), '0000000000000007', to_hex(k), 1,
                        (ARRAY['announcement', 'slot'])[k], (ARRAY['mot', 'sang/{day}'])[k], 'Tin', 'normal', 'a', 'vi', 1,
                        100, {now}, 48000, 'finished'
                 FROM generate_series(0, 999) AS n, generate_series(1, 2) AS k",
            day = NOW.date(),
            now = NOW.0
        ),
    );
    let boxes = (0..BOXES).map(loa).collect();
    server.takes_at_most(20, "the marks", store.mark_to_settle(NOW.date(), boxes)).await.unwrap();
    let waiting = store.to_settle(9_999).await.unwrap();
    let key_of = |n: u64| SumKey {
        section: format!("muc-{n}"),
        section_title: String::new(),
        campaign: String::new(),
        campaign_title: String::new(),
        class: Rung::Normal,
        responsible: String::new(),
        reason: String::new(),
    };
    let airing = |subject: Subject| Airing {
        subject,
        due: NOW,
        title: "Tin".to_owned(),
        class: Rung::Normal,
        campaign: None,
        fate: Fate::Aired,
        reason: String::new(),
        planned_ms: 1_000,
        aired_ms: 1_000,
        sections: vec!["thoi-su".parse().unwrap(), "y-te".parse().unwrap()],
        people: vec!["An".to_owned()],
    };
    let sums = Sums { planned_ms: 1_000, aired_ms: 1_000, ..Sums::default() };
    let reckoned = |of: &ToSettle, facts: &DayFacts| {
        let airings = facts.plays.iter().map(|play| airing(play.subject.clone())).collect();
        let settled = Settled { airings, sums: (0..9).map(|n| (key_of(n), sums)).collect() };
        let (title, village) = ("Loa".to_owned(), "dong".to_owned());
        let village_title = "Đông".to_owned();
        let (id, sessions) = (of.id.clone(), Arc::default());
        let place = DayBox { id, title, village, village_title, households: None, sessions };
        Reckoned { of: of.clone(), place, settled }
    };
    let all = async {
        for some in waiting.chunks(100) {
            let boxes = some.iter().map(|of| of.id.clone()).collect();
            let facts = store.day_facts(NOW.date(), boxes, vec!["mot".parse().unwrap()]).await.unwrap();
            assert!(facts.values().all(|facts| facts.plays.len() == 2 && facts.deliveries.len() == 1));
            let some = some.iter().map(|of| reckoned(of, &facts[&of.id])).collect();
            store.settle(some, NOW.date()).await.unwrap();
        }
    };
    server.takes_at_most(350, "the day", all).await;
    let kept = "SELECT (SELECT count(*) FROM airings), (SELECT count(*) FROM airing_tags), (SELECT count(*) FROM day_sums),
                       (SELECT count(*) FROM day_boxes), (SELECT count(*) FROM days_to_settle)";
    assert_eq!(server.0.sql("xa", kept), "2000|6000|9000|1000|0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_announcements_is_looked_through_by_a_few_statements() {
    let server = Counted::start();
    let store = open(&server.0);
    server.0.sql(
        "xa",
        &format!(
            "INSERT INTO commands (id, kind, issuer, serial, issued_at, expires, groups, title, class, author, payload, envelope)
                 SELECT 'lenh-' || n, 'announce', 'an', n, {now} + n, {now} + 3600000000, '[]', 'Tin', 'normal', 'An', '{{}}', ''
                 FROM generate_series(1, 5001) AS n",
            now = NOW.0
        ),
    );
    let due = server.takes_at_most(6, "a day's announcements", store.due_on(NOW.date())).await.unwrap();
    assert_eq!(due.len(), 5_001, "none is left out");
    let new = server.takes_at_most(3, "the new ones", store.announced_within(NOW, at(9))).await.unwrap();
    assert_eq!(new[&NOW.date()].len(), 5_001);
    let over = server.takes_at_most(3, "those that are over", store.announced_within(at(10), at(9_999)));
    assert_eq!(over.await.unwrap()[&NOW.date()].len(), 5_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_of_a_thousand_boxes_are_kept_by_a_few_statements() {
    let server = Counted::start();
    let store = open(&server.0);
    store.declare_boxes(declared_all()).await.unwrap();
    let beat = |n: usize, seconds| {
        let usage = Some(Usage { disk_free_mib: 900, month_mib: n as u64 });
        let kind = SignKind::Heartbeat { backlog: n as u64, faults: vec!["disk_full".to_owned()], usage };
        let holds = n.is_multiple_of(2).then(|| holds(1));
        SignOfLife { id: loa(n), at: at(seconds), clock: ClockQuality::Synced, holds, kind }
    };
    for n in 0..BOXES {
        store.note_sign_of_life(beat(n, 10)).await.unwrap();
    }
    // A box that was seen later by another central.
    server
        .0
        .sql("xa", &format!("UPDATE boxes SET last_seen = {}, backlog = 77 WHERE id = 'loa-0003'", at(20).0));
    server.0.sql("xa", &format!("UPDATE boxes SET lost = {} WHERE id = 'loa-0004'", at(12).0));
    server.0.sql("xa", "UPDATE boxes SET software = '1.2.3'");
    // One that was, too, and that says hello here.
    let kind = SignKind::Hello { software: "1.3.0".to_owned(), languages: Vec::new(), epoch: Epoch(9) };
    server
        .0
        .sql("xa", &format!("UPDATE boxes SET last_seen = {}, backlog = 78 WHERE id = 'loa-0005'", at(20).0));
    let hello = SignOfLife { id: loa(5), at: at(11), clock: ClockQuality::Synced, holds: None, kind };
    store.note_sign_of_life(hello).await.unwrap();
    let end = tokio::task::spawn_blocking(move || drop(store));
    server.takes_at_most(40, "signs of life", end).await.unwrap();
    let of = |id: &str| {
        let row = format!(
            "SELECT last_seen - {}, lost - {}, backlog, faults, clock FROM boxes WHERE id = '{id}'",
            NOW.0, NOW.0
        );
        server.0.sql("xa", &row)
    };
    assert_eq!(of("loa-0002"), format!("10000000|-{}|2|[\"disk_full\"]|synced", NOW.0));
    assert!(of("loa-0003").starts_with("20000000|") && of("loa-0003").contains("|77|"), "a later sign stays");
    assert!(of("loa-0005").starts_with("20000000|") && of("loa-0005").contains("|78|"));
    assert_eq!(
        server.0.sql("xa", "SELECT software, epoch FROM boxes WHERE id = 'loa-0005'"),
        "1.3.0|0000000000000009"
    );
    assert!(of("loa-0004").starts_with("10000000|12000000|4|"), "its connection broke off since");
    let hours = "SELECT count(*), sum(signs), sum(faulty), max(backlog_max), min(software), max(month_mib) FROM health";
    assert_eq!(server.0.sql("xa", hours), "1000|1001|1000|999|1.2.3|999");
    assert_eq!(server.0.sql("xa", "SELECT count(*) FROM boxes WHERE holds IS NOT NULL"), "500");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_of_a_thousand_boxes_are_cut_by_a_few_statements() {
    let server = Counted::start();
    let store = open(&server.0);
    let mut written = Written::new();
    ingest(&store_of(&store), written.batch([Event::DeviceBack])).await;
    // Three entries of each box, two of which arrived on the day before; the box signed the second, or none of them.
    let day = 86_400_000_000;
    let (first, second) = (NOW.0 - 2 * day, NOW.0 - 2 * day + 1);
    server.0.sql(
        "xa",
        &format!(
            "INSERT INTO log (box, epoch, seq, hash, arrived, wall, event, body)
                 SELECT 'loa-' || to_char(n, 'FM0000'), '0000000000000007', seq, decode(repeat('0' || seq, 32), 'hex'),
                        CASE seq WHEN 1 THEN {first} WHEN 2 THEN {second} ELSE {now} END, {first}, 'device_back', '{{}}'
                 FROM generate_series(0, 999) AS n, generate_series(1, 3) AS seq;
             INSERT INTO heads SELECT box, epoch, max(seq), '', 0 FROM log WHERE box <> 'loa-1' GROUP BY box, epoch;
             INSERT INTO signed_heads SELECT box, epoch, arrived / {day}, seq, '{{}}' FROM log WHERE seq = 2 AND box < 'loa-0990';
             INSERT INTO signed_heads SELECT box, epoch, arrived / {day}, seq, '{{}}' FROM log WHERE seq = 3 AND box >= 'loa-0995'",
            now = NOW.0
        ),
    );
    let (before, now) = (Wall(NOW.0 - day), at(9));
    let mut steps = 0;
    let all = async {
        let mut all = 0;
        loop {
            match store.prune(Perishable::Log, before, now).await.unwrap() {
                0 => return all,
                gone => (all, steps) = (all + gone, steps + 1),
            }
        }
    };
    let gone = server.takes_at_most(400, "the logs", all).await;
    println!("{gone} entries went in {steps} steps");
    assert_eq!(gone, 2 * 995, "a log whose box signed later waits for that signature");
    let left = "SELECT count(*), min(seq), (SELECT count(*) FROM pruned_logs WHERE upto = 2) FROM log WHERE box <> 'loa-1'";
    assert_eq!(server.0.sql("xa", left), "1010|1|995");
    let waiting =
        server.takes_at_most(20, "logs with nothing to cut", store.prune(Perishable::Log, before, now));
    assert_eq!(waiting.await.unwrap(), 0);
}

fn store_of(store: &Arc<SqlStore>) -> SharedStore {
    Arc::<SqlStore>::clone(store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stolen_key_tells_of_unknown_orders_costs_a_few_statements_and_goes() {
    let server = Counted::start();
    let store = open(&server.0);
    store.add_command(command("mot", 1)).await.unwrap();
    let mut written = Written::new();
    let told =
        |command: &str| Event::Delivery { command: command.parse().unwrap(), step: DeliveryStep::Finished };
    let batch = written.batch((0..150).map(|n| told(&format!("la-{n}"))).chain([told("mot")]));
    let taken = server.takes_at_most(60, "orders that nobody gave", ingest(&store_of(&store), batch)).await;
    assert_eq!(taken.added, 151);
    let counts = || server.0.sql("xa", "SELECT count(*) FROM deliveries");
    assert_eq!(counts(), "152", "an order may be kept later than a box tells of it");
    let days = "SELECT count(*) FROM days_to_settle";
    assert_eq!(server.0.sql("xa", days), "1", "the day of the order that is known");
    server.0.sql("xa", "DELETE FROM days_to_settle");
    let mut gone = 0;
    let prune = async || store.prune(Perishable::Orders, at(1), at(9)).await.unwrap();
    loop {
        match prune().await {
            0 => break,
            some => gone += some,
        }
    }
    assert_eq!((gone, counts().as_str()), (150, "2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_comes_twice_however_long_the_server_is_away() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let database = cluster.database("xa");
    let issuer: KeyId = "trung-tam".parse().unwrap();
    let mut given: Vec<Vec<u64>> = Vec::new();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let mut store = SqlStore::open_at(&database, None).unwrap();
        let news = tokio::task::block_in_place(|| store.begin_to_work(&database, Beside::Others)).unwrap();
        given.push(vec![store.next_serial(issuer.clone()).await.unwrap()]);
        stores.push((store, news));
    }
    cluster.stop();
    for ((store, _), given) in stores.iter().zip(&mut given) {
        for _ in 0..200 {
            given.push(urgently(store.next_serial(issuer.clone())).await.unwrap());
        }
    }
    let mut aside = BTreeSet::new();
    for (n, given) in given.iter().enumerate() {
        let own: BTreeSet<_> = given.iter().collect();
        assert_eq!(own.len(), given.len(), "central {n}: {given:?}");
        let is_new = given[1..=128].iter().all(|number| aside.insert(*number));
        assert!(is_new, "{n}: 128 numbers are its own alone");
    }
    cluster.start_again();
    for ((store, _), given) in stores.iter().zip(&given) {
        let next = until_kept(async || store.next_serial(issuer.clone()).await).await;
        assert!(given.iter().all(|number| *number < next), "it goes on behind its own: {next}");
    }
}

fn person() -> PersonRow {
    PersonRow {
        id: "an".parse().unwrap(),
        name: "An".to_owned(),
        reach: String::new(),
        password: None,
        totp: None,
        recovery_left: 0,
        made: NOW,
        left: None,
        roles: Vec::new(),
    }
}

/// Asks again and again until a server is back.
async fn until_kept<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    for _ in 0..100 {
        match ask().await {
            Ok(answer) => return answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("the server does not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_changes_without_a_server_ends_neither_signing_in_nor_emergencies() {
    let cluster = Cluster::start();
    let store = open(&cluster);
    store.add_person(person(), act()).await.unwrap();
    let draft = NewDraft {
        id: "khan-cap".parse().unwrap(),
        made: loaxa_adapters::clock::wall(),
        expires: loaxa_adapters::clock::wall().plus(Span::secs(900)),
        payload: "{}".to_owned(),
        drafter: "an".to_owned(),
        is_emergency: true,
    };
    let session = |n: u32| SessionRow {
        secret: ContentHash::of(&n.to_be_bytes()),
        person: "an".parse().unwrap(),
        stage: Stage::Full,
        made: loaxa_adapters::clock::wall(),
        seen: loaxa_adapters::clock::wall(),
        from: String::new(),
        browser: String::new(),
    };
    store.add_session(session(0)).await.unwrap();
    store.keep_ready().await.unwrap();
    cluster.stop();
    let seen = |n| urgently(store.touch_session(session(0).secret, at(n)));
    for n in 0..5_000 {
        seen(n).await.unwrap();
    }
    for _ in 0..5_000 {
        urgently(store.note_act(act())).await.unwrap();
    }
    urgently(store.add_session(session(1))).await.unwrap();
    let known = urgently(store.session(session(1).secret)).await.unwrap();
    assert!(known.is_some(), "whoever signs in is in");
    let room = DraftRoom { open_max: 9, lesser_max: 9, own_max: 9 };
    assert_eq!(urgently(store.add_draft(draft.clone(), room)).await.unwrap(), DraftKept::Kept);
    let signed = DraftSignature { key: "an".parse().unwrap(), signature: [1; SIGNATURE_BYTES], at: NOW };
    assert!(urgently(store.add_signature(draft.id.clone(), signed, 9)).await.unwrap());
    let sent = NewCommand { issued_at: draft.made, expires: draft.expires, ..command("khan-cap", 1) };
    assert_eq!(urgently(store.add_command(sent)).await.unwrap(), Kept::Now);
    cluster.start_again();
    until_kept(async || store.keep_ready().await).await;
    let kept = "SELECT (SELECT count(*) FROM commands), (SELECT count(*) FROM draft_signatures), (SELECT count(*) FROM acts) > 3000";
    assert_eq!(cluster.sql("xa", kept), "1|1|t");
    assert!(!store.is_away(), "the server is asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_commit_was_not_answered_is_sent_to_boxes_that_come_later() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = way::Way::to(&cluster);
    let store = Arc::new(SqlStore::open_at(&way.database("xa"), None).unwrap());
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let standing = async || store.standing(id("loa-1"), vec![group("xa")], at(10)).await;
    assert_eq!(standing().await.unwrap(), []);
    way.delay_answers(Duration::from_millis(400));
    let asked = Arc::clone(&store);
    let adding = tokio::spawn(async move { asked.add_command(command("mot", 1)).await });
    let is_kept = || cluster.sql("xa", "SELECT count(*) FROM commands") == "1";
    while !tokio::task::block_in_place(is_kept) {
        assert!(!adding.is_finished(), "the answer came before it could be lost");
    }
    way.cut(true);
    assert_eq!(adding.await.unwrap(), Err(StoreError::Away));
    way.delay_answers(Duration::ZERO);
    way.cut(false);
    let found = until_kept(standing).await;
    assert_eq!(found.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["mot"]);
    // Where even that reading came before the commit, whoever brings it again has it read once more.
    let before = store.version(&id("loa-1"));
    assert_eq!(until_kept(async || store.add_command(command("mot", 1)).await).await, Kept::Before);
    assert_ne!(store.version(&id("loa-1")), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_that_the_database_refuses_is_written_later() {
    let cluster = Cluster::start();
    let store = open(&cluster);
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    cluster.sql("xa", "ALTER TABLE boxes ADD CONSTRAINT refuses CHECK (backlog < 5)");
    let kind = SignKind::Heartbeat { backlog: 7, faults: Vec::new(), usage: None };
    let sign = SignOfLife { id: id("loa-1"), at: at(10), clock: ClockQuality::Synced, holds: None, kind };
    store.note_sign_of_life(sign).await.unwrap();
    // What is asked about health is written first.
    let written = async || {
        store.health(id("loa-1"), Wall(0)).await.unwrap();
        cluster.sql("xa", "SELECT backlog, (SELECT sum(signs) FROM health) FROM boxes")
    };
    assert_eq!(written().await, "0|");
    cluster.sql("xa", "ALTER TABLE boxes DROP CONSTRAINT refuses");
    assert_eq!(written().await, "7|1");
}

#[test]
fn an_earlier_program_leaves_alone_what_a_later_one_made() {
    let cluster = Cluster::start();
    drop(open(&cluster));
    let of_now = "SELECT digest FROM schema_made";
    let own = cluster.sql("xa", of_now);
    let change = |made: &str| {
        let later = "CREATE OR REPLACE FUNCTION instr(text, text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                     AS 'SELECT strpos($1, $2)::bigint /* later */'";
        cluster.sql("xa", &format!("{later}; UPDATE schema_made SET digest = '{made}'"));
        drop(SqlStore::open_at(&cluster.database("xa"), None).unwrap());
        let is_later = cluster.sql("xa", "SELECT prosrc LIKE '%later%' FROM pg_proc WHERE proname = 'instr'");
        (is_later == "t", cluster.sql("xa", of_now))
    };
    assert_eq!(change("1000000 ab"), (true, "1000000 ab".to_owned()));
    assert_eq!(change("0 ab"), (false, own.clone()), "an earlier one is brought to this version");
    assert_eq!(change("ab"), (false, own), "so is one from before there were revisions");
}
