//! The centre that a box under test is asked by.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::super::language::{Failure, foreign};
use super::check::Check;
use super::wire::{Authority, SOON, Wire};
use loaxa_adapters::clock::{monotonic, wall};
use loaxa_heart::domain::announcement::{BulletinClass, Mode, PlayPlan, Repeats};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId};
use loaxa_heart::domain::playback::{CommandRefusal, DeliveryStep, Event};
use loaxa_heart::domain::sound::{Pattern, Tone};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::envelope::{self, Kind};
use loaxa_heart::wire::messages::{
    Body, Command, Heartbeat, Hello, LogAck, LogBatch, LogBody, LogHead, LogRecord, MESSAGE_BYTES_MAX,
    VERSION, Welcome, commands_digest,
};
use loaxa_heart::wire::renewal::Renewal;
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{Down, Topic, Up};

pub const CHECKS: &[Check<Centre>] = &[
    Check("conform_check.hello", "3", |centre| {
        centre.hello.clone().map(|_| ()).ok_or_else(|| said!("conform.no_hello", box_id = centre.id))
    }),
    Check("conform_check.again", "8", again),
    Check("conform_check.chain_holds", "8", chain_holds),
    Check("conform_check.obeys_one", "5", |centre| centre.obeys("test", |_| {})),
    Check("conform_check.once", "5.2", once),
    Check("conform_check.other_content", "5.2", other_content),
    Check("conform_check.used_serial", "5.6", used_serial),
    Check("conform_check.unknown_field", "1", unknown_field),
    Check("conform_check.critical", "5", |centre| {
        centre.refuses("critical", |command| command.critical.push("wave_length".to_owned()))
    }),
    Check("conform_check.expired", "5.5", |centre| {
        centre.refuses("expired", |command| {
            command.not_before = command.not_before.minus(Span::secs(600));
            command.issued_at = command.not_before;
            command.expires = command.issued_at.plus(Span::secs(60));
        })
    }),
    Check("conform_check.future", "5.5", |centre| {
        centre.refuses("future", |command| command.issued_at = command.issued_at.plus(Span::secs(1_200)))
    }),
    Check("conform_check.other_group", "5.4", |centre| {
        centre.refuses("group", |command| command.groups = vec!["elsewhere".parse().expect("it is a name")])
    }),
    Check("conform_check.stranger", "5.1", stranger),
    Check("conform_check.other_kind", "4", other_kind),
    Check("conform_check.other_version", "1", |centre| centre.refuses("version", |command| command.v = 2)),
    Check("conform_check.junk", "1", junk),
    Check("conform_check.emergency_of_one", "6", |centre| centre.refuses_emergency()),
    Check("conform_check.emergency", "5", emergency),
    Check("conform_check.overtaken", "5", overtaken),
    Check("conform_check.replaced", "6.1", replaced),
    Check("conform_check.foreign_cancel", "6.1", foreign_cancel),
    Check("conform_check.far_serial", "5.6", far_serial),
    Check("conform_check.squatted", "5.2", squatted),
    Check("conform_check.old_trust", "6", trust),
    Check("conform_check.holds", "3", holds),
];

/// A centre of the prepared authority.
pub struct Centre {
    wire: Wire,
    pub(super) authority: Authority,
    pub(super) id: BoxId,
    pub(super) group: GroupId,
    key: Option<PublicKey>,
    pub(super) hello: Option<Hello>,
    /// Bodies by epoch and number.
    log: BTreeMap<(Epoch, u64), String>,
    /// Batches that came: epoch, first and last number.
    batches: Vec<(Epoch, u64, u64)>,
    pub(super) heartbeats: Vec<Heartbeat>,
    acknowledges: bool,
    /// Each welcome names authorities that no box has.
    pub(super) tells_of_authorities: bool,
    pub(super) renewals: Vec<Renewal>,
    /// Messages of the box that break the protocol.
    wrong: Vec<Sentence>,
    serial: u64,
}

impl Centre {
    pub fn new(wire: Wire, id: BoxId, group: GroupId, key: Option<&str>) -> Result<Self, Failure> {
        let key = key.map(str::parse).transpose()?;
        // Serials go on growing from one run to the next.
        let serial = u64::try_from(wall().0 / 1_000).unwrap_or_default();
        Ok(Self {
            wire,
            authority: Authority::default(),
            id,
            group,
            key,
            hello: None,
            log: BTreeMap::new(),
            batches: Vec::new(),
            heartbeats: Vec::new(),
            acknowledges: false,
            tells_of_authorities: false,
            renewals: Vec::new(),
            wrong: Vec::new(),
            serial,
        })
    }

    pub fn await_hello(&mut self, wait: Duration) -> Result<(), Sentence> {
        let wait = Span(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        self.until(wait, |centre| centre.hello.is_some().then_some(()))
            .ok_or_else(|| said!("conform.no_hello", box_id = self.id))?;
        if self.key.is_none() {
            return Err(said!("conform.no_key"));
        }
        Ok(())
    }

    /// Hears what comes until `found` has an answer.
    pub(super) fn until<T>(&mut self, wait: Span, found: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let deadline = monotonic() + wait;
        loop {
            if let Some(found) = found(self) {
                return Some(found);
            }
            let (topic, bytes) = self.wire.next(deadline)?;
            if let Topic::Up(id, up) = topic
                && id == self.id
            {
                self.hear(up, &bytes);
            }
        }
    }

    fn hear(&mut self, up: Up, bytes: &[u8]) {
        let heard = match up {
            Up::Hello => codec::decode::<Hello>(bytes).map(|hello| self.welcome(hello)),
            Up::Heartbeat => codec::decode(bytes).map(|heartbeat| self.heartbeats.push(heartbeat)),
            Up::Log => self.take_log(bytes),
            Up::Renew => {
                let key = self.key;
                codec::open::<Renewal>(bytes, &|_| key).map(|asked| self.renewals.push(asked.payload))
            }
            Up::Lost => Ok(()),
        };
        if let Err(refusal) = heard {
            self.wrong.push(said!("conform.in_message", kind = up.level(), reason = refusal));
        }
    }

    fn welcome(&mut self, hello: Hello) {
        if hello.box_id != self.id {
            self.wrong.push(said!("conform.other_name", name = hello.box_id));
        }
        if let Some(key) = hello.key.as_deref().and_then(|key| key.parse().ok()) {
            self.key = Some(key);
        }
        let welcome = Welcome {
            v: VERSION,
            box_id: self.id.clone(),
            nonce: hello.nonce.clone(),
            time: wall(),
            upload_after_s: 0,
            media_base: "http://127.0.0.1:9/media/".to_owned(),
            authorities: self.tells_of_authorities.then(|| ContentHash::of(b"loaxa conform")),
        };
        self.hello = Some(hello);
        self.answer(Down::Welcome, codec::seal(&welcome, &[&self.authority.central]));
    }

    fn take_log(&mut self, bytes: &[u8]) -> Result<(), CommandRefusal> {
        let key = self.key;
        let batch = codec::open::<LogBatch>(bytes, &|_| key)?.payload;
        let first = batch.records.first().map_or(0, |first| first.seq);
        let last = batch.records.last().map_or(0, |last| last.seq);
        if let Some(head) = &batch.head {
            let head = codec::open::<LogHead>(head.as_bytes(), &|_| key)?.payload;
            let body = batch.records.last().map(|last| Link::after(last.seq, &last.body));
            if body != Some(Link::at(head.seq, head.hash)) {
                self.wrong.push(said!("conform.head_of_other"));
            }
        }
        for LogRecord { seq, body } in batch.records {
            let kept = self.log.entry((batch.epoch, seq)).or_insert_with(|| body.clone());
            if *kept != body {
                self.wrong.push(said!("conform.two_bodies", seq));
            }
        }
        self.batches.push((batch.epoch, first, last));
        if self.acknowledges {
            self.acknowledge(batch.epoch, last, &self.authority.central);
        }
        Ok(())
    }

    fn acknowledge(&self, epoch: Epoch, upto: u64, key: &SecretKey) {
        let ack = LogAck { v: VERSION, epoch, contiguous_upto: upto, forked: false };
        self.answer(Down::LogAck, codec::seal(&ack, &[key]));
    }

    /// Sends an answer to the box. One that is lost on the way is not sent again, because the box asks again.
    fn answer(&self, down: Down, bytes: Vec<u8>) {
        let _ = self.wire.say(&Topic::Down(self.id.clone(), down), bytes);
    }

    pub(super) fn order(&self, bytes: Vec<u8>) -> Result<(), Sentence> {
        self.wire.say(&Topic::Group(self.group.clone()), bytes)
    }

    /// A command of the first person, in force for ten minutes.
    pub(super) fn command(&mut self, name: &str, body: Body) -> Command {
        self.serial += 1;
        let now = wall();
        Command {
            v: VERSION,
            id: CommandId::new(format!("conform-{name}-{}", self.serial)).expect("it is a name"),
            issuer: self.authority.duty[0].key_id(),
            serial: self.serial,
            issued_at: now,
            groups: vec![self.group.clone()],
            not_before: now.minus(Span::secs(1)),
            expires: now.plus(Span::secs(600)),
            author: "An".to_owned(),
            approver: None,
            critical: Vec::new(),
            body,
        }
    }

    fn emergency_command(&mut self, name: &str) -> Command {
        let opening = Pattern {
            tones: vec![Tone { from_hz: 1_000.0, to_hz: 1_000.0, ms: 300, gap_ms: 0 }],
            repeats: 1,
        };
        let plan = PlayPlan {
            repeats: Repeats::Times(1),
            opening: Some(opening),
            volume_percent: 10,
            ..PlayPlan::default()
        };
        let body = Body::Announce {
            title: "Kiểm tra hợp chuẩn".to_owned(),
            class: BulletinClass::Emergency,
            mode: Mode::Actual,
            plan,
            media: None,
            words: None,
            supersedes: None,
            cap: None,
        };
        self.command(name, body)
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        self.log.values().filter_map(|body| Some(serde_json::from_str::<LogBody>(body).ok()?.entry.event))
    }

    fn steps(&self, id: &CommandId) -> Vec<DeliveryStep> {
        let step = |event| match event {
            Event::Delivery { command, step } if command == *id => Some(step),
            _ => None,
        };
        self.events().filter_map(step).collect()
    }

    fn await_step(&mut self, id: &CommandId, step: &DeliveryStep) -> Result<(), Sentence> {
        self.until(SOON, |centre| centre.steps(id).contains(step).then_some(())).ok_or_else(|| {
            let seconds = SOON.0 / 1_000_000;
            said!("conform.no_step", command = id, step = format!("{step:?}"), seconds)
        })?;
        self.nothing_wrong()
    }

    pub(super) fn nothing_wrong(&mut self) -> Result<(), Sentence> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Sentence::Lines(std::mem::take(&mut self.wrong))) }
    }

    /// A test order of one person, as `change` made it, arrives.
    pub(super) fn obeys(&mut self, name: &str, change: impl FnOnce(&mut Command)) -> Result<(), Sentence> {
        let mut command = self.command(name, Body::Test);
        change(&mut command);
        self.order(codec::seal(&command, &[&self.authority.duty[0]]))?;
        self.await_step(&command.id, &DeliveryStep::Received)
    }

    /// A test order of one person, as `change` made it, is not obeyed.
    pub(super) fn refuses(&mut self, name: &str, change: impl FnOnce(&mut Command)) -> Result<(), Sentence> {
        let mut command = self.command(name, Body::Test);
        change(&mut command);
        self.is_refused(&command.id, codec::seal(&command, &[&self.authority.duty[0].clone()]))
    }

    /// Sends the command, then one that must be obeyed, and checks that only the second had an effect.
    fn is_refused(&mut self, id: &CommandId, bytes: Vec<u8>) -> Result<(), Sentence> {
        self.order(bytes)?;
        self.obeys("sentinel", |_| {})?;
        match self.steps(id).as_slice() {
            [] => Ok(()),
            steps => Err(said!("conform.was_obeyed", command = id, steps = format!("{steps:?}"))),
        }
    }

    fn refuses_emergency(&mut self) -> Result<(), Sentence> {
        let command = self.emergency_command("one");
        self.is_refused(&command.id, codec::seal(&command, &[&self.authority.duty[0].clone()]))
    }
}

/// Longest wait of a box before it sends a batch again, and room for slow networks.
const AGAIN: Span = Span::secs(40);

fn again(centre: &mut Centre) -> Result<(), Sentence> {
    let came = centre.until(SOON, |centre| centre.batches.first().copied());
    let (epoch, first, last) = came.ok_or_else(|| said!("conform.no_batch"))?;
    centre.acknowledge(epoch, last, &centre.authority.stranger);
    let again = |batch: &&(Epoch, u64, u64)| (batch.0, batch.1) == (epoch, first);
    let came_again = centre.until(AGAIN, |centre| centre.batches.iter().filter(again).nth(1).copied());
    centre.acknowledges = true;
    let (_, _, last) = came_again.ok_or_else(|| said!("conform.not_again"))?;
    centre.acknowledge(epoch, last, &centre.authority.central);
    centre.nothing_wrong()
}

fn chain_holds(centre: &mut Centre) -> Result<(), Sentence> {
    let Some((epoch, from)) = centre.log.keys().next().copied() else { return Err(said!("conform.no_log")) };
    let records: Vec<LogRecord> = centre
        .log
        .range((epoch, 0)..=(epoch, u64::MAX))
        .map(|((_, seq), body)| LogRecord { seq: *seq, body: body.clone() })
        .collect();
    let first = &records[0];
    let prev = serde_json::from_str::<LogBody>(&first.body).map_err(|error| foreign(&error))?.prev;
    let begin = if from == 1 { Link::FIRST } else { Link { seq: first.seq, prev } };
    chain::verify_chain(&centre.id, epoch, begin, &records).map(|_| ()).map_err(|broken| broken.say())
}

fn once(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.command("again", Body::Test);
    let sealed = codec::seal(&command, &[&centre.authority.duty[0]]);
    centre.order(sealed.clone())?;
    centre.await_step(&command.id, &DeliveryStep::Received)?;
    centre.order(sealed)?;
    centre.obeys("sentinel", |_| {})?;
    let refused = centre
        .events()
        .any(|event| matches!(event, Event::CommandRefused { command: Some(id), .. } if id == command.id));
    if refused { Err(said!("conform.refused_again")) } else { Ok(()) }
}

fn other_content(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.command("forged", Body::Test);
    centre.order(codec::seal(&command, &[&centre.authority.duty[0]]))?;
    centre.await_step(&command.id, &DeliveryStep::Received)?;
    let before = centre.steps(&command.id).len();
    let mut other = centre.command("forged", Body::Test);
    other.id = command.id.clone();
    centre.order(codec::seal(&other, &[&centre.authority.duty[0]]))?;
    centre.obeys("sentinel", |_| {})?;
    if centre.steps(&command.id).len() == before { Ok(()) } else { Err(said!("conform.other_obeyed")) }
}

fn used_serial(centre: &mut Centre) -> Result<(), Sentence> {
    let used = centre.serial;
    centre.refuses("serial", |command| command.serial = used)
}

fn unknown_field(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.command("unknown", Body::Test);
    let mut value = serde_json::to_value(&command).map_err(|error| foreign(&error))?;
    value["wave_length"] = Value::from(3);
    value["body"]["more"] = Value::from("more");
    let payload = value.to_string();
    let sealed = envelope::seal(Kind::Command, payload.as_bytes(), &[&centre.authority.duty[0]]);
    centre.order(sealed)?;
    centre.await_step(&command.id, &DeliveryStep::Received)
}

fn stranger(centre: &mut Centre) -> Result<(), Sentence> {
    let mut command = centre.command("stranger", Body::Test);
    let stranger = centre.authority.stranger.clone();
    command.issuer = stranger.key_id();
    centre.is_refused(&command.id, codec::seal(&command, &[&stranger]))?;
    // Its own signature under the name of somebody who may.
    let command = centre.command("stranger", Body::Test);
    let text = String::from_utf8(codec::seal(&command, &[&stranger])).map_err(|error| foreign(&error))?;
    let (own, other): (KeyId, KeyId) = (stranger.key_id(), command.issuer.clone());
    let forged = text.replace(own.as_str(), other.as_str());
    centre.is_refused(&command.id, forged.into_bytes())
}

fn other_kind(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.command("kind", Body::Test);
    let sealed = envelope::seal(Kind::LogAck, &codec::encode(&command), &[&centre.authority.duty[0]]);
    let text = String::from_utf8(sealed).map_err(|error| foreign(&error))?;
    let forged = text.replace(Kind::LogAck.payload_type(), Kind::Command.payload_type());
    centre.is_refused(&command.id, text.into_bytes())?;
    centre.is_refused(&command.id, forged.into_bytes())
}

fn junk(centre: &mut Centre) -> Result<(), Sentence> {
    let deep = "[".repeat(100_000);
    for bytes in [&b""[..], b"{", b"\xff\xfe", deep.as_bytes(), &[b' '; MESSAGE_BYTES_MAX]] {
        for down in Down::ALL {
            centre.wire.say(&Topic::Down(centre.id.clone(), down), bytes.to_vec())?;
        }
        centre.obeys("sentinel", |_| {})?;
    }
    Ok(())
}

fn emergency(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.emergency_command("two");
    let [one, two] = &centre.authority.duty;
    centre.order(codec::seal(&command, &[one, two]))?;
    centre.await_step(&command.id, &DeliveryStep::Finished)?;
    let steps = centre.steps(&command.id);
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for event in centre.events() {
        match event {
            Event::PlayStarted(start) if names(&start.subject, &command.id) => begun.push(start.play),
            Event::PlayEnded(end) if names(&end.subject, &command.id) => ended.push(end.play),
            _ => {}
        }
    }
    let in_turn = [DeliveryStep::Received, DeliveryStep::Started, DeliveryStep::Finished];
    if steps.iter().filter(|step| in_turn.contains(step)).ne(in_turn.iter()) {
        return Err(said!("conform.steps", steps = format!("{steps:?}")));
    }
    if begun.len() == 1 && begun == ended {
        return Ok(());
    }
    let (begun, ended) = (format!("{begun:?}"), format!("{ended:?}"));
    Err(said!("conform.plays", begun, ended))
}

fn names(subject: &loaxa_heart::domain::playback::Subject, id: &CommandId) -> bool {
    matches!(subject, loaxa_heart::domain::playback::Subject::Announcement { command } if command == id)
}

fn overtaken(centre: &mut Centre) -> Result<(), Sentence> {
    let announced = centre.emergency_command("overtaken");
    let cancel = centre.command("cancel", Body::Cancel { of: Some(announced.id.clone()) });
    let [one, two] = centre.authority.duty.clone();
    centre.order(codec::seal(&cancel, &[&one]))?;
    centre.order(codec::seal(&announced, &[&one, &two]))?;
    centre.obeys("sentinel", |_| {})?;
    // It would have begun long before.
    centre.until(Span::secs(3), |_| None::<()>);
    if centre.steps(&announced.id).contains(&DeliveryStep::Started) {
        Err(said!("conform.sounded"))
    } else {
        Ok(())
    }
}

/// An emergency that goes on until it is cancelled, on the air.
fn standing_emergency(centre: &mut Centre, name: &str) -> Result<CommandId, Sentence> {
    let mut command = centre.emergency_command(name);
    if let Body::Announce { plan, .. } = &mut command.body {
        plan.repeats = Repeats::UntilCancelled;
        plan.gap_s = 1;
    }
    let [one, two] = centre.authority.duty.clone();
    centre.order(codec::seal(&command, &[&one, &two]))?;
    centre.await_step(&command.id, &DeliveryStep::Started)?;
    Ok(command.id)
}

/// Ends it as those may who began it, and checks that it had gone on until then.
fn end_standing(centre: &mut Centre, id: &CommandId) -> Result<(), Sentence> {
    centre.obeys("sentinel", |_| {})?;
    let over = [DeliveryStep::Superseded, DeliveryStep::Cancelled, DeliveryStep::Interrupted];
    let ended = centre.steps(id).into_iter().find(|step| over.contains(step));
    let cancel = centre.command("cancel", Body::Cancel { of: Some(id.clone()) });
    centre.order(codec::seal(&cancel, &[&centre.authority.duty[0]]))?;
    match ended {
        Some(step) => Err(said!("conform.ended", command = id, step = format!("{step:?}"))),
        None => centre.await_step(id, &DeliveryStep::Cancelled),
    }
}

fn replaced(centre: &mut Centre) -> Result<(), Sentence> {
    let id = standing_emergency(centre, "replaced")?;
    let lesser = [
        (BulletinClass::Normal, Mode::Test),
        (BulletinClass::Emergency, Mode::Exercise),
        (BulletinClass::Normal, Mode::Actual),
    ];
    let mut instead = Vec::new();
    for (class_of, mode_of) in lesser {
        let mut command = centre.emergency_command("instead");
        if let Body::Announce { class, mode, plan, supersedes, .. } = &mut command.body {
            (*class, *mode, *supersedes) = (class_of, mode_of, Some(id.clone()));
            plan.at = Some(command.not_before.plus(Span::secs(500)));
        }
        command.issuer = centre.authority.clerk.key_id();
        centre.order(codec::seal(&command, &[&centre.authority.clerk]))?;
        instead.push(command.id);
    }
    let went_on = end_standing(centre, &id);
    for id in instead {
        let cancel = centre.command("cancel", Body::Cancel { of: Some(id) });
        centre.order(codec::seal(&cancel, &[&centre.authority.duty[0]]))?;
    }
    went_on
}

fn foreign_cancel(centre: &mut Centre) -> Result<(), Sentence> {
    let id = standing_emergency(centre, "foreign")?;
    for of in [Some(id.clone()), None] {
        let mut cancel = centre.command("foreign-cancel", Body::Cancel { of });
        cancel.issuer = centre.authority.neighbour.key_id();
        cancel.groups.push("conform-elsewhere".parse().expect("it is a name"));
        centre.order(codec::seal(&cancel, &[&centre.authority.neighbour]))?;
    }
    end_standing(centre, &id)
}

fn far_serial(centre: &mut Centre) -> Result<(), Sentence> {
    centre.refuses("far", |command| command.serial = u64::MAX)?;
    centre.refuses("far", |command| command.serial = u64::MAX / 2)
}

fn squatted(centre: &mut Centre) -> Result<(), Sentence> {
    let command = centre.emergency_command("squatted");
    let mut lesser = centre.command("lesser", Body::Test);
    (lesser.id, lesser.serial) = (command.id.clone(), command.serial);
    let [one, two] = centre.authority.duty.clone();
    centre.order(codec::seal(&lesser, &[&one]))?;
    centre.order(codec::seal(&command, &[&one, &two]))?;
    centre.await_step(&command.id, &DeliveryStep::Finished)
}

fn trust(centre: &mut Centre) -> Result<(), Sentence> {
    let old = codec::seal(&centre.authority.trust(0), &[&centre.authority.root]);
    let stranger = centre.authority.stranger.clone();
    let mut usurped = centre.authority.trust(u32::MAX);
    usurped.trust.grants.iter_mut().for_each(|grant| {
        (grant.key, grant.public) = (stranger.key_id(), stranger.public().to_string());
    });
    usurped.trust.grants.truncate(1);
    usurped.trust.thresholds.clear();
    centre.answer(Down::Trust, old);
    centre.answer(Down::Trust, codec::seal(&usurped, &[&stranger]));
    centre.obeys("sentinel", |_| {})
}

/// A heartbeat comes each minute.
pub(super) const HEARTBEAT: Span = Span::secs(90);

fn holds(centre: &mut Centre) -> Result<(), Sentence> {
    let mut command = centre.emergency_command("held");
    if let Body::Announce { plan, class, .. } = &mut command.body {
        plan.at = Some(wall().plus(Span::secs(500)));
        *class = BulletinClass::Priority;
    }
    centre.order(codec::seal(&command, &[&centre.authority.duty[0]]))?;
    centre.await_step(&command.id, &DeliveryStep::Received)?;
    let digest = commands_digest([&command.id]);
    let told = |heartbeat: &Heartbeat| heartbeat.holds.as_ref().is_some_and(|holds| holds.commands == digest);
    centre
        .until(HEARTBEAT, |centre| centre.heartbeats.iter().any(told).then_some(()))
        .ok_or_else(|| said!("conform.no_digest", digest))?;
    let cancel = centre.command("cancel", Body::Cancel { of: Some(command.id.clone()) });
    centre.order(codec::seal(&cancel, &[&centre.authority.duty[0]]))?;
    centre.await_step(&command.id, &DeliveryStep::Cancelled)
}
