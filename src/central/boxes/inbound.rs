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
use crate::orders::unsent;
use crate::settings::BoxDeclared;
use crate::store::{AlarmKind, Reader, SignKind, SignOfLife, StoreError, at_once, reading_as};
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::LinkEvent;
use loaxa_heart::decide::delivery;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::{ClockQuality, Moment, Span, Wall};
use loaxa_heart::texts::Say;
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Heartbeat, Hello, Lost, VERSION, Welcome};
use loaxa_heart::wire::topics::{Down, Topic, Up};

/// Signs of life that are dealt with at the same time; further ones wait.
const ANSWERING_MAX: usize = 256;

/// Most signs of life that wait, and the bytes of all of them: a hello of each box of two provinces. Further ones are dropped and
/// counted; boxes say them again.
const WAITING_MAX: usize = 16_384;
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Longest time in which a sign of life is dealt with: a database that hangs holds up no later ones for longer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

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
    let mut signs = Signs::default();
    let mut look_again = tokio::time::interval(REPEAT_LOOK_EVERY);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            permit = Arc::clone(&answering).acquire_owned(), if !signs.waiting.is_empty() => {
                let permit = permit.expect("it is never closed");
                let Some(sign) = signs.take() else { continue };
                let (app, hellos) = (Arc::clone(&app), Arc::clone(&hellos));
                tokio::spawn(async move {
                    deal_with(&app, &hellos, sign).await;
                    drop(permit);
                });
                continue;
            }
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
                take_note_of_link(&app, &other);
                continue;
            }
        };
        if up == Up::Log {
            put_to_wait(&app, (id, bytes), &room, &batches);
            continue;
        }
        if let Err(over) = app.log_quotas.admit_sign(&id, monotonic()) {
            app.refuse_later(AlarmKind::TooMuch, &id, &over.say().to_string());
            continue;
        }
        if !signs.put(Sign { id, up, bytes, came: (app.now(), monotonic()) }) {
            Counters::more(&app.counters.signs_dropped, 1);
        }
    }
}

/// A sign of life as it came.
struct Sign {
    id: BoxId,
    up: Up,
    bytes: Vec<u8>,
    came: (Wall, Moment),
}

/// Signs of life that wait to be dealt with.
#[derive(Default)]
struct Signs {
    waiting: VecDeque<Sign>,
    bytes: usize,
}

impl Signs {
    /// Lets one wait; false where there is no room.
    fn put(&mut self, sign: Sign) -> bool {
        let bytes = self.bytes + sign.bytes.len();
        let has_room = self.waiting.len() < WAITING_MAX && bytes <= WAITING_BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.waiting.push_back(sign);
        }
        has_room
    }

    /// The one that has waited longest.
    fn take(&mut self) -> Option<Sign> {
        let sign = self.waiting.pop_front()?;
        self.bytes -= sign.bytes.len();
        Some(sign)
    }
}

async fn deal_with(app: &App, hellos: &Hellos, Sign { id, up, bytes, came }: Sign) {
    let answer = reading_as(Reader::Wire, answer(app, hellos, (id.clone(), up), &bytes, came));
    if tokio::time::timeout(ANSWER_MAX, answer).await.is_err() {
        Counters::more(&app.counters.signs_dropped, 1);
        tracing::debug!(%id, ?up, "a sign of life is given up: the database does not answer");
    }
}

/// Lets a batch in within its box's quota and the room for all; the box sends again what is not acknowledged.
fn put_to_wait(
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
            app.suspect_later(AlarmKind::TooMuch, id.as_str(), &over.say().to_string());
            false
        }
    };
    if !has_room {
        Counters::more(&app.counters.batches_put_off, 1);
    }
}

/// Tells the log; over a new connection, what may be lost goes out again, and what this process never sent.
fn take_note_of_link(app: &Arc<App>, event: &LinkEvent) {
    match event {
        LinkEvent::Connected => {
            tracing::info!("connected to the broker");
            app.outbound.note_link(true, monotonic());
            say_again(app, OnWhat::Connection);
            tokio::spawn(at_once(unsent::send_on_connection(Arc::clone(app))));
        }
        LinkEvent::Disconnected { reason } => {
            tracing::warn!(reason, "no connection to the broker");
            app.outbound.note_link(false, monotonic());
        }
        LinkEvent::Refused { reason } => tracing::error!(reason, "the broker refused what central asked"),
        LinkEvent::Message { .. } => {}
    }
}

async fn answer(app: &App, hellos: &Hellos, (id, up): (BoxId, Up), bytes: &[u8], came: (Wall, Moment)) {
    let done = match up {
        Up::Hello => match read::<Hello>(app, &id, bytes).await {
            Some(hello) => greet(app, hellos, &id, hello).await,
            None => Ok(false),
        },
        Up::Heartbeat => match read::<Heartbeat>(app, &id, bytes).await {
            Some(heartbeat) => note(app, &id, heartbeat, came).await,
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
    tell_time(app, id, hello.nonce, now, delivery::upload_after_s(id, hellos.count(monotonic())));
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

async fn note(app: &App, id: &BoxId, heartbeat: Heartbeat, came: (Wall, Moment)) -> Result<bool, StoreError> {
    let Some(enrolled) = app.store.enrolled(id.clone()).await? else {
        app.refuse(AlarmKind::UnknownBox, id, "it sent a heartbeat".to_owned()).await;
        return Ok(false);
    };
    let now = app.now();
    // A box that asks for the time has it from here.
    if heartbeat.clock == ClockQuality::Synced && heartbeat.nonce.is_none() {
        app.clock.note(id, heartbeat.wall, came.0, came.1);
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
    times: Mutex<VecDeque<Moment>>,
    twins: Twins,
}

impl Hellos {
    /// Counts one more at `now`, and returns how many came within the window.
    fn count(&self, now: Moment) -> u32 {
        let mut times = self.times.lock().expect("nothing panics while it holds the hellos");
        while times.len() >= HELLOS_MAX || times.front().is_some_and(|at| now.since(*at) > RECONNECT_WINDOW) {
            times.pop_front();
        }
        times.push_back(now);
        times.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_wait_in_order_and_within_their_room() {
        let sign = |bytes: usize| Sign {
            id: "loa-1".parse().unwrap(),
            up: Up::Heartbeat,
            bytes: vec![0; bytes],
            came: (Wall(0), Moment(0)),
        };
        let mut signs = Signs::default();
        assert!((0..WAITING_MAX).all(|n| signs.put(sign(n % 7))));
        assert!(!signs.put(sign(0)), "there is room for so many");
        assert_eq!(signs.take().map(|sign| sign.bytes.len()), Some(0));
        assert!(!signs.put(sign(WAITING_BYTES_MAX)), "and for so many bytes");
        assert!(signs.put(sign(3)));
        while signs.take().is_some() {}
        assert_eq!(signs.bytes, 0);
    }

    #[test]
    fn hellos_of_a_minute_count_and_those_before_do_not() {
        let hellos = Hellos::default();
        let at = |seconds: u64| Moment(seconds * 1_000_000);
        let counted: Vec<_> = [100, 110, 150, 165, 400].map(|seconds| hellos.count(at(seconds))).into();
        assert_eq!(counted, [1, 2, 3, 3, 1]);
    }
}
