//! One of two centrals hangs, and wakes up later: it answers nothing and breaks no connection meanwhile, and knows nothing of
//! what the other did.
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::several::{Ground, Process};
use crate::support::broker::Broker;
use crate::support::commune::*;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Welcome};
use loaxa_heart::wire::topics::{Down, Topic, Up};

/// The time for which one hangs: the broker gives it up after some 23 s, and an order of its own is no minute old when it
/// wakes up.
const HANGS_FOR: Duration = Duration::from_secs(35);
/// Time in which one that woke up has connected anew and said what it would.
const AWAKE_FOR: Duration = Duration::from_secs(12);

fn announced(title: &'static str) -> impl Fn(&Topic, &[u8]) -> Option<()> {
    move |_, bytes| {
        let command = codec::open_command(bytes, &known_keys).ok()?.payload;
        matches!(&command.body, Body::Announce { title: it, .. } if it == title).then_some(())
    }
}

fn stop(_: &Topic, bytes: &[u8]) -> Option<()> {
    let command: Command = codec::open_command(bytes, &known_keys).ok()?.payload;
    matches!(command.body, Body::Cancel { of: None }).then_some(())
}

fn welcome(topic: &Topic, bytes: &[u8]) -> Option<String> {
    matches!(topic, Topic::Down(_, Down::Welcome))
        .then(|| codec::open::<Welcome>(bytes, &known_keys).unwrap().payload.nonce)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_central_that_hangs_holds_nothing_up_and_sends_nothing_that_ended_when_it_wakes() {
    let ground = Ground::lay();
    let config = ground.write(2);
    let holders = || ground.sql("SELECT DISTINCT holder FROM leases WHERE duty NOT LIKE 'central %'");
    let one = Process::start(&config);
    let first = until("the first has every duty", async || Some(holders()).filter(|it| !it.is_empty())).await;
    let other = Process::start(&config);
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    loa.hello("n", loa.holds(&[]));
    loa.append(Event::DeviceBack);
    loa.upload(1, 1).await;
    assert_eq!(one.announce("Vỡ đê", "emergency"), 201);
    loa.next("the emergency", announced("Vỡ đê")).await;

    one.hold(true);
    let hung = Instant::now();
    assert_eq!(other.announce("Bão về", "emergency"), 201);
    loa.next("the emergency of the other", announced("Bão về")).await;
    println!("while one hangs, an emergency is at the box after {:.1?}", hung.elapsed());
    assert_eq!(other.stop(), 200);
    loa.next("the stop", stop).await;
    until("the other has every duty", async || {
        (holders() != first && !holders().contains('\n')).then_some(())
    })
    .await;
    println!("its duties are the other's after {:.1?}", hung.elapsed());
    // Half of what boxes say still goes to the one that hangs, until the broker gives it up; boxes say it again.
    let holds = loa.holds(&[]);
    for round in 0.. {
        let mut left: BTreeSet<_> = (0..8).map(|n| format!("once-{round}-{n}")).collect();
        left.iter().for_each(|nonce| loa.hello(nonce, holds.clone()));
        let deadline = Instant::now() + Duration::from_secs(2);
        while !left.is_empty()
            && let Ok(nonce) = tokio::time::timeout_at(deadline.into(), loa.next("a welcome", welcome)).await
        {
            left.remove(&nonce);
        }
        if left.is_empty() {
            break;
        }
        assert!(hung.elapsed() < HANGS_FOR, "the broker still gives it half of all");
    }
    println!("every hello is answered after {:.1?}", hung.elapsed());
    loa.append(Event::DeviceBack);
    let kept = async {
        loop {
            loa.say(Up::Log, loa.batch(2, 2));
            if tokio::time::timeout(Duration::from_secs(2), loa.next("an ack", ack)).await.is_ok() {
                break;
            }
        }
    };
    kept.await;
    println!("a log is acknowledged after {:.1?}", hung.elapsed());

    // A box that was away all the while hears of no emergency that is over.
    let mut late = ScriptedBox::connect(2, ground.broker.port()).await;
    late.hello("late", late.holds(&[]));
    assert_eq!(late.next("a welcome", welcome).await, "late");
    tokio::time::sleep(HANGS_FOR.saturating_sub(hung.elapsed())).await;
    one.hold(false);
    let sounds = late.next("an emergency", |topic, bytes| {
        announced("Vỡ đê")(topic, bytes).or_else(|| announced("Bão về")(topic, bytes))
    });
    assert!(tokio::time::timeout(AWAKE_FOR, sounds).await.is_err(), "it was stopped long ago");
    // It works again, and nothing stands twice.
    assert_eq!(one.announce("Lũ lên", "emergency"), 201);
    late.next("an emergency of the one that woke up", announced("Lũ lên")).await;
    assert_eq!(
        ground.sql("SELECT count(*), count(DISTINCT (box, epoch, seq)) FROM log WHERE box = 'loa-1'"),
        "2|2"
    );
    assert_eq!(ground.sql("SELECT count(*), count(DISTINCT (issuer, serial)) FROM commands"), "4|4");
    until("each duty has one holder", async || (!holders().contains('\n')).then_some(())).await;
}
