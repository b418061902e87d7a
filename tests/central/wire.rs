//! Central, a real broker and a scripted box: what is said is heard, once, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::broker::{Broker, Mosquitto};
use crate::support::commune::*;
use loaxa_central::Central;
use loaxa_central::store::LogFilter;
use loaxa_heart::domain::announcement::{BulletinClass, Rung};
use loaxa_heart::domain::ids::{CommandId, ContentHash, Epoch, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, Subject,
};
use loaxa_heart::wire::messages::{Body, Command, Holds, LogHead, Welcome};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::{Down, Topic, Up};
use loaxa_heart::wire::{chain, codec};
use serde_json::{Value, json};
use tokio::sync::watch;

/// A central with its broker, either kind.
async fn both(test: impl AsyncFn(&Central, u16)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    test(&central, central.broker_addr().unwrap().port()).await;
    central.stop().await;

    let mosquitto = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), outside(&mosquitto))).await;
    test(&central, mosquitto.port()).await;
    central.stop().await;
}

fn command(topic: &Topic, bytes: &[u8]) -> Option<(bool, Command, usize)> {
    let to_group = match topic {
        Topic::Group(_) => true,
        Topic::Down(_, Down::Command) => false,
        _ => return None,
    };
    let signed = codec::open_command(bytes, &known_keys).expect("signed by people");
    Some((to_group, signed.payload, signed.signers.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_is_welcomed_with_signed_time_and_what_the_box_lacks() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        let mut holds = loa.holds(&[]);
        holds.trust = 1;
        loa.hello("n-1", holds);
        let welcome = loa
            .next("a welcome", |topic, bytes| {
                matches!(topic, Topic::Down(_, Down::Welcome))
                    .then(|| codec::open::<Welcome>(bytes, &known_keys).unwrap().payload)
            })
            .await;
        assert_eq!(welcome.nonce, "n-1");
        assert_eq!(welcome.upload_after_s, 0);
        assert_eq!(welcome.media_base, format!("http://{}/media/", central.http_addr()));
        let document = loa
            .next("the trust document", |topic, bytes| {
                matches!(topic, Topic::Down(_, Down::Trust)).then(|| bytes.to_vec())
            })
            .await;
        assert_eq!(document, trust());
        loa.heartbeat(loa.holds(&[]));
        let row = until("the heartbeat is kept", async || {
            let boxes = get_api(central, "/api/v1/boxes").await.json();
            (boxes[0]["faults"] == json!(["device_lost"])).then(|| boxes[0].clone())
        })
        .await;
        assert_eq!((&row["online"], &row["software"]), (&json!(true), &json!("scripted")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_arrives_signed_and_its_chain_comes_back() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        let fields =
            json!({ "to": ["xa"], "class": "emergency", "title": "Bão số 5", "text": "Bão", "author": "An" });
        let answer = announce(central, &fields, Some(&tone())).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let (to_group, announced, signers) = loa.next("the announcement", command).await;
        assert!(to_group);
        assert_eq!((announced.id.as_str(), signers), (id.as_str(), 2));
        // One of several centrals has the first numbers set aside.
        assert!([1, 129].contains(&announced.serial), "{}", announced.serial);
        let Body::Announce { class, media, words, .. } = &announced.body else { panic!("{announced:?}") };
        assert_eq!(*class, BulletinClass::Emergency);
        assert_eq!(words.as_ref().unwrap().text, "Bão");
        let media = media.clone().unwrap();
        assert_eq!((media.ms, media.bytes), (1_000, tone().len() as u64));
        let heard = get(central, &format!("/media/{}", media.path), &[]).await;
        assert_eq!(heard.body, tone());

        play(&mut loa, &announced.id);
        let last = loa.records.len() as u64;
        assert_eq!(loa.upload(1, last).await.contiguous_upto, last);
        let path = format!("/api/v1/announcements/{id}");
        let chain = get_api(central, &path).await.json();
        let of = |n: usize| {
            (chain["delivery"][n]["box"].as_str().unwrap(), chain["delivery"][n]["step"].as_str().unwrap())
        };
        assert_eq!((of(0), of(1)), (("loa-1", "finished"), ("loa-2", "sent")));
        assert!(chain["delivery"][0]["started"].is_string());

        let plays = get_api(central, "/api/v1/plays").await.json();
        assert_eq!(plays.as_array().unwrap().len(), 1);
        assert_eq!((&plays[0]["title"], &plays[0]["outcome"]), (&json!("Bão số 5"), &json!("finished")));
        assert_eq!(
            (&plays[0]["frames_played"], &plays[0]["box_title"]),
            (&json!(48_000), &json!("Cụm loa 1"))
        );
    })
    .await;
}

/// Writes the log of a box that took an announcement and played it.
fn play(loa: &mut ScriptedBox, id: &CommandId) {
    let subject = || Subject::Announcement { command: id.clone() };
    let delivery = |step| Event::Delivery { command: id.clone(), step };
    loa.append(delivery(DeliveryStep::Received));
    loa.append(delivery(DeliveryStep::Staged));
    loa.append(delivery(DeliveryStep::Started));
    let play = PlayId::new(1, 1);
    loa.append(Event::PlayStarted(PlayStart {
        play,
        subject: subject(),
        rung: Rung::Emergency,
        title: "Bão số 5".to_owned(),
        section: None,
        campaign: None,
        class: Some(BulletinClass::Emergency),
        mode: None,
        issuer: None,
        content: None,
        source: "x".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 100,
        instead_of: None,
    }));
    loa.append(Event::PlayEnded(PlayEnd {
        play,
        subject: subject(),
        outcome: PlayOutcome::Finished,
        started_at: None,
        frames_played: 48_000,
        frames_due: Some(48_000),
        loudness_lufs: None,
        heard: None,
    }));
    loa.append(delivery(DeliveryStep::Finished));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_was_off_gets_what_still_stands_and_no_more() {
    both(async |central, port| {
        let to = |title: &str| json!({ "to": ["thon-1"], "class": "normal", "title": title });
        let first =
            announce(central, &to("một"), Some(&tone())).await.json()["id"].as_str().unwrap().to_owned();
        let second =
            announce(central, &to("hai"), Some(&tone())).await.json()["id"].as_str().unwrap().to_owned();
        let cancel = format!("/api/v1/announcements/{first}/cancel");
        assert_eq!(post(central, &cancel, "text/plain", Vec::new()).await.status, 200);

        let mut loa = ScriptedBox::connect(1, port).await;
        loa.hello("n", loa.holds(&[&first]));
        // What was sent to its group before it came may still be on its way through the broker.
        let to_itself =
            |topic: &Topic, bytes: &[u8]| command(topic, bytes).filter(|(to_group, ..)| !to_group);
        let (_, cancelled, _) = loa.next("the cancel", to_itself).await;
        assert_eq!(cancelled.body, Body::Cancel { of: Some(first.parse().unwrap()) });
        let (_, announced, _) = loa.next("what still stands", command).await;
        assert_eq!(announced.id.as_str(), second);

        // A box of the other village holds nothing and lacks nothing: the first that it hears is what is new.
        let mut other = ScriptedBox::connect(2, port).await;
        other.hello("n", other.holds(&[]));
        loa.heartbeat(loa.holds(&[&second]));
        let new =
            announce(central, &json!({ "to": ["xa"], "class": "priority", "title": "ba" }), Some(&tone()))
                .await;
        for loa in [&mut loa, &mut other] {
            let (_, announced, _) = loa.next("the new one", command).await;
            assert_eq!(json!(announced.id), new.json()["id"]);
        }
        let stop = post(central, "/api/v1/stop", "text/plain", Vec::new()).await;
        assert_eq!(stop.status, 200, "{}", stop.text());
        let stops = |topic: &Topic, bytes: &[u8]| {
            command(topic, bytes).filter(|(_, command, _)| command.body == Body::Cancel { of: None })
        };
        let (to_group, _, _) = other.next("the stop", stops).await;
        assert!(to_group);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_in_a_heartbeat_stands_for_what_the_box_said_before() {
    both(async |central, port| {
        let fields = json!({ "to": ["thon-2"], "class": "priority", "title": "hai" });
        let loa = ScriptedBox::connect(2, port).await;
        let holds = loa.holds(&[]);
        loa.heartbeat(holds.clone());
        until("the heartbeat is kept", async || {
            central.store().holds(loa.id.clone()).await.unwrap().filter(|kept| *kept == holds)
        })
        .await;
        // The announcement passes by while it is away.
        drop(loa);
        let id = announce(central, &fields, Some(&tone())).await.json()["id"].as_str().unwrap().to_owned();
        let mut loa = ScriptedBox::connect(2, port).await;
        loa.heartbeat_held(&Holds { trust: 99, ..holds.clone() });
        loa.heartbeat_held(&holds);
        let (to_group, announced, _) = loa.next("what the box lacks", command).await;
        assert!(!to_group);
        assert_eq!(announced.id.as_str(), id);
    })
    .await;
}

async fn stored(central: &Central) -> Vec<(String, u64)> {
    let rows = central.store().log(LogFilter { limit: 1_000, ..LogFilter::default() }).await.unwrap();
    rows.into_iter().map(|row| (row.id.to_string(), row.seq)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_taken_once_in_turn_and_without_gaps() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        for n in 0..30 {
            loa.append(Event::NotPlayed {
                subject: Subject::Live { voice: n.to_string() },
                title: format!("tin {n}"),
                reason: NotPlayed::Late,
            });
        }
        assert_eq!(loa.upload(1, 10).await.contiguous_upto, 10);
        assert_eq!(loa.upload(1, 10).await.contiguous_upto, 10, "the same batch again");
        assert_eq!(loa.upload(21, 30).await.contiguous_upto, 10, "after a gap");
        assert_eq!(loa.upload(6, 20).await.contiguous_upto, 20, "overlapping");
        let last = loa.upload(21, 30).await;
        assert_eq!((last.contiguous_upto, last.forked), (30, false));
        let expected: Vec<_> = (1..=30).map(|seq| ("loa-1".to_owned(), seq)).collect();
        assert_eq!(stored(central).await, expected);

        let lines = get_api(central, "/api/v1/export?box=loa-1").await;
        let text = lines.text();
        let (heads, exported): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with("{\"head\""));
        // One head a day is kept: that of the last record.
        let head: Value = serde_json::from_str(heads[heads.len() - 1]).unwrap();
        let head = codec::open::<LogHead>(head["head"].to_string().as_bytes(), &|_| Some(loa.key.public()))
            .unwrap()
            .payload;
        let last = loa.records.last().unwrap();
        assert_eq!((head.seq, head.hash), (last.seq, ContentHash::of(last.body.as_bytes())));
        assert_eq!(exported, loa.records.iter().map(|record| record.body.as_str()).collect::<Vec<_>>());
        chain::verify_chain(&loa.id, loa.epoch, chain::Link::FIRST, &loa.records).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_box_lost_for_ever_is_said_and_does_not_stop_the_rest() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        (0..10).for_each(|_| loa.append(Event::DeviceBack));
        assert_eq!(loa.upload(1, 2).await.contiguous_upto, 2);
        loa.oldest = 6;
        assert_eq!(loa.upload(7, 8).await.contiguous_upto, 2, "6 is still to come");
        let ack = loa.upload(6, 10).await;
        assert_eq!((ack.contiguous_upto, ack.forked), (10, false));
        let alarms = central.store().alarms(10).await.unwrap();
        let said: Vec<_> =
            alarms.iter().map(|alarm| (alarm.kind.code(), alarm.detail.contains("seq 3 to 5"))).collect();
        assert_eq!(said, [("gap", true)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_box_and_a_false_signature_raise_alarms() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        loa.append(Event::DeviceBack);
        loa.append(Event::BoxStopped);
        assert_eq!(loa.upload(1, 2).await.contiguous_upto, 2);
        let stands_at = chain::Link::after(1, &loa.records[0].body);
        let entry =
            serde_json::from_str::<loaxa_heart::wire::messages::LogBody>(&loa.records[0].body).unwrap().entry;
        loa.records[1] = stands_at.record(&loa.id, loa.epoch, entry).unwrap();
        let ack = loa.upload(2, 2).await;
        assert_eq!((ack.contiguous_upto, ack.forked), (2, true));

        loa.key = SecretKey::from_seed(&[99; 32]);
        loa.say(Up::Log, loa.batch(1, 2));
        let kinds = until("both alarms", async || {
            let alarms = central.store().alarms(10).await.unwrap();
            let mut kinds: Vec<_> =
                alarms.into_iter().map(|alarm| (alarm.kind.code().to_owned(), alarm.subject)).collect();
            kinds.sort();
            (kinds.len() == 2).then_some(kinds)
        })
        .await;
        let of = |kind: &str| (kind.to_owned(), "loa-1".to_owned());
        assert_eq!(kinds, [of("bad_log"), of("forked")]);
        assert_eq!(stored(central).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_of_one_name_are_told_apart_by_their_logs() {
    both(async |central, port| {
        let mut loa = ScriptedBox::connect(1, port).await;
        let twins = async || {
            let alarms = central.store().alarms(10).await.unwrap();
            alarms.into_iter().find(|alarm| alarm.kind.code() == "twins")
        };
        let say = async |loa: &mut ScriptedBox, epoch: u64| {
            loa.epoch = Epoch(epoch);
            loa.hello(&format!("twin-{epoch}"), Holds::default());
            let welcome =
                |topic: &Topic, _: &[u8]| matches!(topic, Topic::Down(_, Down::Welcome)).then_some(());
            loa.next("the welcome", welcome).await;
        };
        say(&mut loa, 7).await;
        say(&mut loa, 9).await;
        assert!(twins().await.is_none(), "a log that was begun anew is no second machine");
        say(&mut loa, 7).await;
        let alarm = until("the alarm", async || twins().await).await;
        assert_eq!(alarm.subject, "loa-1");
        let (older, newer) = (Epoch(7).to_string(), Epoch(9).to_string());
        let told = alarm.detail.contains(&format!("older has log {older}"));
        assert!(told && alarm.detail.contains(&format!("newer log {newer}")), "{}", alarm.detail);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_twice_when_the_broker_restarts_in_the_middle() {
    const RECORDS: u64 = 400;
    let mut mosquitto = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), outside(&mosquitto))).await;
    let mut loa = ScriptedBox::connect(1, mosquitto.port()).await;
    (0..RECORDS).for_each(|_| loa.append(Event::DeviceBack));
    let mut acknowledged = 0;
    let mut restarts = 0;
    while acknowledged < RECORDS {
        if acknowledged >= 100 * (restarts + 1) {
            // What is on its way now is lost with the broker.
            loa.say(Up::Log, loa.batch(acknowledged + 1, (acknowledged + 10).min(RECORDS)));
            mosquitto.restart();
            restarts += 1;
        }
        loa.connected().await;
        let upto = (acknowledged + 10).min(RECORDS);
        if !loa.try_to_say(Up::Log, loa.batch(acknowledged + 1, upto)) {
            continue;
        }
        let answered =
            tokio::time::timeout(std::time::Duration::from_millis(500), loa.next("an ack", ack)).await;
        if let Ok(ack) = answered {
            assert!(!ack.forked);
            acknowledged = ack.contiguous_upto;
        }
    }
    assert!(restarts >= 3);
    let rows = central.store().contiguous_upto(loa.id.clone(), loa.epoch).await.unwrap();
    assert_eq!(rows, RECORDS);
    let expected: Vec<_> = (1..=RECORDS).map(|seq| ("loa-1".to_owned(), seq)).collect();
    assert_eq!(stored(&central).await, expected);
    central.stop().await;
}

/// Less than any order has, more than what else central says meanwhile.
const AN_ORDER_BYTES: usize = 500;

/// Passes connections on to a broker, until it is told to swallow what comes, and to cut them.
struct Swallower {
    address: std::net::SocketAddr,
    swallows: watch::Sender<bool>,
    /// Bytes that are gone.
    swallowed: Arc<AtomicUsize>,
    cut: watch::Sender<u32>,
}

impl Swallower {
    async fn before(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (swallows, is_swallowed) = watch::channel(false);
        let (cut, is_cut) = watch::channel(0);
        let swallowed = Arc::<AtomicUsize>::default();
        let gone = swallowed.clone();
        tokio::spawn(async move {
            while let Ok((central, _)) = listener.accept().await {
                let broker = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (is_swallowed, mut is_cut, gone) = (is_swallowed.clone(), is_cut.clone(), gone.clone());
                is_cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(central, broker, is_swallowed, &gone) => {}
                        _ = is_cut.changed() => {}
                    }
                });
            }
        });
        Self { address, swallows, swallowed, cut }
    }
}

/// Carries bytes both ways; those to the broker are gone while they are to be swallowed.
async fn pass(
    mut central: tokio::net::TcpStream,
    mut broker: tokio::net::TcpStream,
    swallows: watch::Receiver<bool>,
    swallowed: &AtomicUsize,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut from_central, mut to_central) = central.split();
    let (mut from_broker, mut to_broker) = broker.split();
    let up = async {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = from_central.read(&mut bytes).await {
            if *swallows.borrow() {
                swallowed.fetch_add(read, Ordering::Relaxed);
            } else if to_broker.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        _ = tokio::io::copy(&mut from_broker, &mut to_central) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_broker_took_and_lost_goes_out_again_with_the_next_connection() {
    let mosquitto = Mosquitto::start();
    let between = Swallower::before(mosquitto.port()).await;
    let dir = tempfile::tempdir().unwrap();
    let address = format!("mqtt://{}", between.address).parse().unwrap();
    let choice = loaxa_central::settings::BrokerChoice::Url { address, ca: None, identity: None };
    let central = start(settings(dir.path(), choice)).await;
    // The box stays connected all the while and says nothing, so nothing else brings it what it lacks.
    let mut loa = ScriptedBox::connect(1, mosquitto.port()).await;
    between.swallows.send_replace(true);
    let fields = json!({ "to": ["xa"], "class": "emergency", "title": "Bão", "author": "An" });
    let lost = announce(&central, &fields, Some(&tone())).await;
    assert_eq!(lost.status, 201, "{}", lost.text());
    let is_lost = || between.swallowed.load(Ordering::Relaxed) > AN_ORDER_BYTES;
    until("the order is lost", async || is_lost().then_some(())).await;
    between.swallows.send_replace(false);
    between.cut.send_modify(|cuts| *cuts += 1);
    let (_, announced, _) = loa.next("the emergency", command).await;
    assert_eq!(json!(announced.id), lost.json()["id"]);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_subscriptions_and_sessions_costs_no_order_and_no_record() {
    let mut mosquitto = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), outside(&mosquitto))).await;
    let mut loa = ScriptedBox::connect(1, mosquitto.port()).await;
    (0..20).for_each(|_| loa.append(Event::DeviceBack));
    assert_eq!(loa.upload(1, 10).await.contiguous_upto, 10);
    let fields = |title: &str| json!({ "to": ["xa"], "class": "normal", "title": title });
    for wiped in 1..=3 {
        // Sent in the moment in which all of it goes: neither side knows what arrived.
        let before = announce(&central, &fields(&format!("trước {wiped}")), Some(&tone())).await;
        loa.say(Up::Log, loa.batch(11, 20));
        tokio::task::block_in_place(|| mosquitto.restart());
        loa.reconnected().await;
        until("central is back", async || central.is_connected().then_some(())).await;
        loa.hello("n", loa.holds(&[]));
        let wanted = before.json()["id"].clone();
        let is_it = |topic: &Topic, bytes: &[u8]| {
            command(topic, bytes).filter(|(_, command, _)| json!(command.id) == wanted)
        };
        loa.next("what was sent before", is_it).await;
        let after =
            announce(&central, &fields(&format!("sau {wiped}")), Some(&tone())).await.json()["id"].clone();
        let to_the_group = |topic: &Topic, bytes: &[u8]| {
            command(topic, bytes).filter(|(to_group, command, _)| *to_group && json!(command.id) == after)
        };
        loa.next("an order to the group of the new subscription", to_the_group).await;
        assert_eq!(loa.upload(11, 20).await.contiguous_upto, 20);
    }
    let expected: Vec<_> = (1..=20).map(|seq| ("loa-1".to_owned(), seq)).collect();
    assert_eq!(stored(&central).await, expected);
    central.stop().await;
}
