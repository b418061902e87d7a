//! Messages from boxes: signs of life are answered here, batches of logs go to `log_intake`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::enrolment::known_authorities;
use super::log_intake::{self, Waiting};
use super::renewal;
use super::twins::Twins;
use crate::app::{App, Counters};
use crate::changes::Changed;
use crate::settings::BoxDeclared;
use crate::store::{AlarmKind, Reader, SignKind, SignOfLife, StoreError, at_once, reading_as};
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::LinkEvent;
use loaxa_heart::decide::delivery;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::texts::Say;
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Heartbeat, Hello, Lost, VERSION, Welcome};
use loaxa_heart::wire::topics::{Down, Topic, Up};

/// Signs of life that are dealt with at the same time; further ones wait in the link.
const ANSWERING_MAX: usize = 256;

/// Time between two looks at what is to go out again.
const REPEAT_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Hellos within this time count as one mass reconnect.
const RECONNECT_WINDOW: Span = Span::secs(60);

/// Most hellos remembered for counting.
const HELLOS_MAX: usize = 65_536;

/// The reason for which orders are sent again.
#[derive(Clone, Copy, PartialEq)]
enum OnWhat {
    Time,
    Connection,
}

/// Sends again what may be lost, but for what another central ended meanwhile: this one may have slept.
fn say_again(app: &Arc<App>, on: OnWhat) {
    let send = move |app: &App| match on {
        OnWhat::Time => app.outbound.repeat_urgent(app.now()),
        OnWhat::Connection => app.outbound.say_again(app.now()),
    };
    let again = app.outbound.to_repeat(on == OnWhat::Connection);
    if again.is_empty() || !app.store.has_peers() {
        return send(app);
    }
    // Other messages do not wait for the database.
    let app = Arc::clone(app);
    tokio::spawn(at_once(async move {
        for id in again {
            // Where nobody can say, it goes out: what ended it goes out by the other.
            if app.store.command(id.clone()).await.is_ok_and(|row| row.is_some_and(|row| row.ended.is_some()))
            {
                app.outbound.forget(&id);
            }
        }
        send(&app);
    }));
}

/// Deals with messages until the link closes.
pub async fn run(app: Arc<App>, mut events: mpsc::Receiver<LinkEvent>, batches: mpsc::Sender<Waiting>) {
    let room = Arc::new(Semaphore::new(log_intake::BYTES_MAX));
    let answering = Arc::new(Semaphore::new(ANSWERING_MAX));
    let hellos = Arc::new(Hellos::default());
    let mut look_again = tokio::time::interval(REPEAT_LOOK_EVERY);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = look_again.tick() => {
                say_again(&app, OnWhat::Time);
                continue;
            }
        };
        let Some(event) = event else { return };
        let (id, up, bytes) = match event {
            LinkEvent::Message { topic: Topic::Up(id, up), bytes } => (id, up, bytes),
            LinkEvent::Message { topic, .. } => {
                tracing::debug!(%topic, "passed over");
                continue;
            }
            other => {
                tell_of_link(&other);
                if other == LinkEvent::Connected {
                    say_again(&app, OnWhat::Connection);
                }
                continue;
            }
        };
        if up == Up::Log {
            put_to_wait(&app, (id, bytes), &room, &batches).await;
            continue;
        }
        if let Err(over) = app.log_quotas.admit_sign(&id, monotonic()) {
            app.refuse(AlarmKind::TooMuch, &id, over.say().to_string()).await;
            continue;
        }
        let permit = Arc::clone(&answering).acquire_owned().await.expect("it is never closed");
        let (app, hellos) = (Arc::clone(&app), Arc::clone(&hellos));
        tokio::spawn(async move {
            reading_as(Reader::Wire, answer(&app, &hellos, id, up, &bytes)).await;
            drop(permit);
        });
    }
}

/// Lets a batch in within its box's quota and the room for all; the box sends again what is not acknowledged.
async fn put_to_wait(
    app: &App,
    (id, bytes): (BoxId, Vec<u8>),
    room: &Arc<Semaphore>,
    batches: &mpsc::Sender<Waiting>,
) {
    let has_room = match app.log_quotas.admit(&id, bytes.len(), monotonic()) {
        Ok(place) => Arc::clone(room)
            .try_acquire_many_owned(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .is_ok_and(|room| batches.try_send(Waiting { id, bytes, place, room }).is_ok()),
        Err(over) => {
            app.suspect(AlarmKind::TooMuch, id.as_str(), &over.say().to_string()).await;
            false
        }
    };
    if !has_room {
        Counters::more(&app.counters.batches_put_off, 1);
    }
}

fn tell_of_link(event: &LinkEvent) {
    match event {
        LinkEvent::Connected => tracing::info!("connected to the broker"),
        LinkEvent::Disconnected { reason } => tracing::warn!(reason, "no connection to the broker"),
        LinkEvent::Refused { reason } => tracing::error!(reason, "the broker refused what central asked"),
        LinkEvent::Message { .. } => {}
    }
}

async fn answer(app: &App, hellos: &Hellos, id: BoxId, up: Up, bytes: &[u8]) {
    let done = match up {
        Up::Hello => match read::<Hello>(app, &id, bytes).await {
            Some(hello) => greet(app, hellos, &id, hello).await,
            None => Ok(false),
        },
        Up::Heartbeat => match read::<Heartbeat>(app, &id, bytes).await {
            Some(heartbeat) => note(app, &id, heartbeat).await,
            None => Ok(false),
        },
        Up::Lost => match read::<Lost>(app, &id, bytes).await {
            Some(_) => app.store.note_lost(id.clone(), app.now()).await.map(|()| true),
            None => Ok(false),
        },
        Up::Renew => {
            if let Err(error) = renewal::renew(app, &id, bytes).await {
                tracing::error!(%id, %error, "a box gets no new certificate");
            }
            Ok(false)
        }
        Up::Log => Ok(false),
    };
    match done {
        Ok(true) => app.changes.tell(Changed::Boxes),
        Ok(false) => {}
        Err(error) if error.may_pass() => {
            tracing::debug!(%id, %error, "a sign of life is not kept");
        }
        Err(error) => tracing::error!(%id, %error, "a sign of life could not be kept"),
    }
}

async fn read<M: Message>(app: &App, id: &BoxId, bytes: &[u8]) -> Option<M> {
    match codec::decode(bytes) {
        Ok(message) => Some(message),
        Err(refusal) => {
            app.refuse(AlarmKind::BadLog, id, refusal.to_string()).await;
            None
        }
    }
}

/// Answers a hello with the time and the commands that the box lacks; says whether people see another state than before.
async fn greet(app: &App, hellos: &Hellos, id: &BoxId, hello: Hello) -> Result<bool, StoreError> {
    if hello.box_id != *id {
        app.refuse(AlarmKind::BadLog, id, format!("it says hello as {}", hello.box_id)).await;
        return Ok(false);
    }
    let Some(enrolled) = enrolled(app, id, &hello).await? else {
        app.refuse(AlarmKind::UnknownBox, id, "it said hello".to_owned()).await;
        return Ok(false);
    };
    let now = app.now();
    if let Some(pair) = hellos.twins.note(id, hello.epoch, now) {
        app.suspect(AlarmKind::Twins, id.as_str(), &pair.to_string()).await;
    }
    tell_time(app, id, hello.nonce, now, delivery::upload_after_s(id, hellos.count(now)));
    let groups = app.groups_of(&enrolled.groups);
    // A hello does not say how much of the log is still to come; the next heartbeat does.
    let hello_backlog = 1;
    app.outbound
        .reconcile(&app.store, &app.keyring, (id, &groups), (&hello.holds, hello_backlog), now)
        .await?;
    if let Some(told) = hello.upgrade {
        app.store.note_upgrade(id.clone(), told, now).await?;
    }
    let kind = SignKind::Hello { software: hello.software, languages: hello.languages, epoch: hello.epoch };
    app.store
        .note_sign_of_life(SignOfLife {
            id: id.clone(),
            at: now,
            clock: hello.clock,
            holds: Some(hello.holds),
            kind,
        })
        .await
}

/// Signs the time together with the nonce of a hello, or of a heartbeat that asks for the time.
fn tell_time(app: &App, id: &BoxId, nonce: String, now: Wall, upload_after_s: u32) {
    let media_base = format!("{}/media/", app.public_url);
    let authorities = known_authorities(app).map(|text| ContentHash::of(text.as_bytes()));
    let box_id = id.clone();
    let welcome = Welcome { v: VERSION, box_id, nonce, time: now, upload_after_s, media_base, authorities };
    app.outbound.to_box(id, Down::Welcome, app.keyring.seal(&welcome));
}

/// Reads what is enrolled of a box. Where the settings allow, the key that a box without one shows is taken first.
async fn enrolled(app: &App, id: &BoxId, hello: &Hello) -> Result<Option<BoxDeclared>, StoreError> {
    let enrolled = app.store.enrolled(id.clone()).await?;
    let has_key = enrolled.as_ref().is_some_and(|enrolled| enrolled.key.is_some());
    let Some(key) = hello.key.as_ref().filter(|_| app.settings.trust_first_use && !has_key) else {
        return Ok(enrolled);
    };
    if app.store.trust_box_key(id.clone(), id.to_string(), key.clone()).await? {
        tracing::warn!(%id, key, "took the key of this box at its first word");
    }
    app.store.enrolled(id.clone()).await
}

async fn note(app: &App, id: &BoxId, heartbeat: Heartbeat) -> Result<bool, StoreError> {
    let Some(enrolled) = app.store.enrolled(id.clone()).await? else {
        app.refuse(AlarmKind::UnknownBox, id, "it sent a heartbeat".to_owned()).await;
        return Ok(false);
    };
    let now = app.now();
    // A box that asks for the time has it from here.
    if heartbeat.clock == ClockQuality::Synced && heartbeat.nonce.is_none() {
        app.clock.note(id, heartbeat.wall, now, monotonic());
    }
    if let Some(nonce) = heartbeat.nonce {
        tell_time(app, id, nonce, now, 0);
    }
    let holds = match (heartbeat.holds, heartbeat.held) {
        (Some(holds), _) => Some(holds),
        // If the heartbeat that said more was lost, the box says it all again within ten heartbeats.
        (None, Some(held)) => app.store.holds(id.clone()).await?.filter(|holds| holds.digest() == held),
        (None, None) => None,
    };
    if let Some(holds) = &holds {
        let groups = app.groups_of(&enrolled.groups);
        app.outbound
            .reconcile(&app.store, &app.keyring, (id, &groups), (holds, heartbeat.backlog), now)
            .await?;
    }
    let Heartbeat { backlog, faults, usage, upgrade, .. } = heartbeat;
    if let Some(told) = upgrade {
        app.store.note_upgrade(id.clone(), told, now).await?;
    }
    let kind = SignKind::Heartbeat { backlog, faults, usage };
    let sign = SignOfLife { id: id.clone(), at: now, clock: heartbeat.clock, holds, kind };
    app.store.note_sign_of_life(sign).await
}

/// The times of the latest hellos, and the logs that they named.
#[derive(Default)]
struct Hellos {
    times: Mutex<VecDeque<Wall>>,
    twins: Twins,
}

impl Hellos {
    /// Counts one more at `now`, and returns how many came within the window.
    fn count(&self, now: Wall) -> u32 {
        let mut times = self.times.lock().expect("nothing panics while it holds the hellos");
        while times.len() >= HELLOS_MAX || times.front().is_some_and(|at| now.since(*at) > RECONNECT_WINDOW) {
            times.pop_front();
        }
        times.push_back(now);
        times.len() as u32
    }
}
