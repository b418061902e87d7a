//! Boxes whose keys were stolen: they are let in, and say what no box says.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::memory_box::random;
use super::session;
use super::site::{Network, Site};
use loaxa_adapters::mqtt::{Link, Qos};
use loaxa_heart::domain::ids::{BoxId, Epoch, PlayId};
use loaxa_heart::domain::playback::{Entry, Event, PlayEnd, PlayOutcome, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Wall};
use loaxa_heart::wire::chain;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Hello, Holds, LogBatch, VERSION};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::{Topic, Up};

/// Time between two messages of one hostile box.
const MESSAGE_EVERY: Duration = Duration::from_millis(20);

/// Bytes of a message without sense.
const RUBBISH_BYTES: usize = 40_000;

/// Seconds from 1970 to the year 2199.
const YEAR_2199_S: i64 = 7_226_582_400;

/// Hostile boxes; they end when this is dropped.
pub struct Mob {
    _boxes: JoinSet<()>,
}

impl Mob {
    /// Lets the boxes loose, in the current tokio runtime. Each names `victim` where it lies about its name.
    pub fn start(sites: impl IntoIterator<Item = Site>, victim: &BoxId, network: &Network) -> Self {
        let mut boxes = JoinSet::new();
        for site in sites {
            boxes.spawn(annoy(site, victim.clone(), network.clone()));
        }
        Self { _boxes: boxes }
    }
}

async fn annoy(site: Site, victim: BoxId, network: Network) {
    let Ok((link, mut events)) = session::connect(&site, &network, Epoch(random()), &site.groups) else {
        return;
    };
    let mut tick = interval(MESSAGE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0_u64.. {
        tokio::select! {
            event = events.recv() => if event.is_none() { return },
            _ = tick.tick() => say(&site, &victim, &link, turn),
        }
    }
}

/// Sends one message; the kinds take turns. What the link can't take is left out.
fn say(site: &Site, victim: &BoxId, link: &Link, turn: u64) {
    let (topic, bytes) = match turn % 5 {
        0 => (Up::Log, vec![turn as u8; RUBBISH_BYTES]),
        1 => (Up::Hello, codec::encode(&hello(victim))),
        2 => (Up::Log, codec::seal(&absurd(&site.id), &[&unknown_key()])),
        3 => (Up::Log, codec::seal(&absurd(&site.id), &[&site.key])),
        _ => (Up::Log, codec::seal(&absurd(victim), &[&site.key])),
    };
    let _ = link.publish(&Topic::Up(site.id.clone(), topic), bytes, Qos::AtMostOnce);
}

/// Draws a key that central has never seen.
fn unknown_key() -> SecretKey {
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random().to_le_bytes()));
    SecretKey::from_seed(&seed)
}

fn hello(id: &BoxId) -> Hello {
    Hello {
        v: VERSION,
        box_id: id.clone(),
        software: "\u{1b}[31m99.0".to_owned(),
        languages: vec!["\u{1b}[31m".to_owned()],
        key: None,
        epoch: Epoch(random()),
        nonce: format!("{:016x}", random()),
        clock: ClockQuality::Synced,
        wall: Wall(YEAR_2199_S * 1_000_000),
        holds: Holds::default(),
        upgrade: None,
    }
}

/// A log that begins anew each time, with a play of endless length in the year 2199.
fn absurd(of: &BoxId) -> LogBatch {
    let now = Reading {
        mono: Moment(1),
        wall: Wall(YEAR_2199_S * 1_000_000),
        quality: ClockQuality::Synced,
        uncertainty_ms: 0,
    };
    let play = PlayEnd {
        play: PlayId::new(1, 1),
        subject: Subject::Live { voice: "hostile".to_owned() },
        outcome: PlayOutcome::Finished,
        started_at: None,
        frames_played: i64::MAX as u64,
        frames_due: None,
        loudness_lufs: None,
        heard: None,
    };
    let entry = Entry { at: Stamp::of(1, &now), event: Event::PlayEnded(play) };
    let epoch = Epoch(random());
    let records = chain::Link::FIRST.record(of, epoch, entry).into_iter().collect();
    LogBatch { v: VERSION, box_id: of.clone(), epoch, oldest: 1, records, head: None }
}
