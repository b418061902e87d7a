//! The box that a centre under test is asked by.

use rustls::pki_types::CertificateDer;

use super::check::Check;
use super::wire::{SOON, Wire, unit_key};
use loaxa_adapters::clock::{monotonic, wall};
use loaxa_heart::domain::authority::{Power, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch, KeyId};
use loaxa_heart::domain::playback::{Entry, Event, Stamp};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::chain::Link;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{
    Hello, Holds, LogAck, LogBatch, LogHead, LogRecord, TrustMessage, VERSION, Welcome,
};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{Down, Topic, Up};

pub const CHECKS: &[Check<Unit>] = &[
    Check("conform_check.trust", "3", trust),
    Check("conform_check.welcome", "3", welcome),
    Check("conform_check.batch", "8", |unit| unit.uploads(1, 10, 10)),
    Check("conform_check.batch_again", "8", |unit| unit.uploads(1, 10, 10)),
    Check("conform_check.gap", "8", |unit| unit.uploads(21, 30, 10)),
    Check("conform_check.gap_filled", "8", |unit| unit.uploads(6, 20, 20)),
    Check("conform_check.after_gap", "8", |unit| unit.uploads(21, 30, 30)),
    Check("conform_check.foreign_batch", "8", foreign_batch),
    Check("conform_check.foreign_head", "8", foreign_head),
    Check("conform_check.fork", "8", fork),
];

/// The box.
pub struct Unit {
    pub(super) wire: Wire,
    pub(super) id: BoxId,
    root: PublicKey,
    /// The certificate that the box shows to the broker.
    pub(super) shows: Option<CertificateDer<'static>>,
    trust: Option<Trust>,
    epoch: Epoch,
    records: Vec<LogRecord>,
    nonces: u32,
}

impl Unit {
    pub fn new(wire: Wire, id: BoxId, root: PublicKey) -> Self {
        // Each run is a store of its own.
        let epoch = Epoch(u64::try_from(wall().0).unwrap_or_default());
        let mut link = Link::FIRST;
        let mut next = |n| {
            let at = Stamp {
                start: 1,
                mono_us: n,
                wall: wall(),
                quality: ClockQuality::Synced,
                uncertainty_ms: 5,
            };
            let entry = Entry { at, event: Event::EntriesLost { count: n } };
            let record = link.record(&id, epoch, entry).expect("it is short");
            link = Link::after(record.seq, &record.body);
            record
        };
        let records = (1..=40).map(&mut next).collect();
        Self { wire, id, root, shows: None, trust: None, epoch, records, nonces: 0 }
    }

    pub fn await_connection(&mut self) -> Result<(), Sentence> {
        let deadline = monotonic() + SOON;
        while !self.wire.is_connected() && monotonic() < deadline {
            self.wire.next(monotonic() + Span::millis(50));
        }
        if self.wire.is_connected() { Ok(()) } else { Err(said!("conform.not_connected")) }
    }

    fn hello(&mut self, trust: u32) -> Result<String, Sentence> {
        self.nonces += 1;
        let nonce = format!("conform-{}-{}", self.epoch, self.nonces);
        let hello = Hello {
            v: VERSION,
            box_id: self.id.clone(),
            software: "loaxa conform".to_owned(),
            languages: vec!["vi".to_owned()],
            key: Some(unit_key().public().to_string()),
            epoch: self.epoch,
            nonce: nonce.clone(),
            clock: ClockQuality::None,
            wall: Wall(0),
            holds: Holds { trust, ..Holds::default() },
            upgrade: None,
        };
        self.wire.say(&Topic::Up(self.id.clone(), Up::Hello), codec::encode(&hello))?;
        Ok(nonce)
    }

    /// The next message on this topic that `read` understands.
    pub(super) fn next<T>(
        &mut self,
        down: Down,
        wait: Span,
        read: impl Fn(&[u8]) -> Result<T, Sentence>,
    ) -> Result<T, Sentence> {
        let deadline = monotonic() + wait;
        let mut last = said!("conform.nothing_came", kind = down.level(), seconds = wait.0 / 1_000_000);
        while let Some((topic, bytes)) = self.wire.next(deadline) {
            if topic != Topic::Down(self.id.clone(), down) {
                continue;
            }
            match read(&bytes) {
                Ok(found) => return Ok(found),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    pub(super) fn trust(&self) -> Result<Trust, Sentence> {
        self.trust.clone().ok_or_else(|| said!("conform.no_trust"))
    }

    /// Opens a message, and refuses one that the centre's own key did not sign.
    pub(super) fn from_centre<M: codec::Sealed>(trust: &Trust, bytes: &[u8]) -> Result<M, Sentence> {
        let key = |id: &KeyId| trust.grants.iter().find(|grant| grant.key == *id)?.public.parse().ok();
        let signed = codec::open::<M>(bytes, &key).map_err(|refusal| refusal.say())?;
        trust.permits(&signed.signers, Power::Central, &[], None::<Wall>).map_err(|refusal| refusal.say())?;
        Ok(signed.payload)
    }

    fn batch(&self, from: u64, to: u64) -> LogBatch {
        let records = self.records[from as usize - 1..to as usize].to_vec();
        let (box_id, epoch) = (self.id.clone(), self.epoch);
        let mut batch = LogBatch { v: VERSION, box_id, epoch, oldest: 1, records, head: None };
        batch.head = Some(self.head(&batch));
        batch
    }

    fn head(&self, batch: &LogBatch) -> String {
        let last = batch.records.last().expect("a batch has records");
        let head = LogHead {
            v: VERSION,
            box_id: self.id.clone(),
            epoch: self.epoch,
            seq: last.seq,
            hash: ContentHash::of(last.body.as_bytes()),
        };
        String::from_utf8(codec::seal(&head, &[&unit_key()])).expect("envelopes are JSON")
    }

    fn send(&self, batch: &LogBatch, key: &SecretKey) -> Result<(), Sentence> {
        self.wire.say(&Topic::Up(self.id.clone(), Up::Log), codec::seal(batch, &[key]))
    }

    fn ack(&mut self, wait: Span) -> Result<LogAck, Sentence> {
        let (trust, epoch) = (self.trust()?, self.epoch);
        self.next(Down::LogAck, wait, |bytes| {
            let ack: LogAck = Self::from_centre(&trust, bytes)?;
            if ack.epoch == epoch { Ok(ack) } else { Err(said!("conform.other_epoch")) }
        })
    }

    fn uploads(&mut self, from: u64, to: u64, upto: u64) -> Result<(), Sentence> {
        self.send(&self.batch(from, to), &unit_key())?;
        let ack = self.ack(SOON)?;
        if (ack.contiguous_upto, ack.forked) == (upto, false) {
            Ok(())
        } else {
            Err(said!("conform.upto", upto = ack.contiguous_upto, forked = ack.forked))
        }
    }

    /// Checks that the last message was refused without an answer.
    fn stays_unanswered(&mut self) -> Result<(), Sentence> {
        self.trust()?;
        match self.ack(Span::secs(3)) {
            Err(_) => Ok(()),
            Ok(ack) => Err(said!("conform.was_acknowledged", upto = ack.contiguous_upto)),
        }
    }
}

fn trust(unit: &mut Unit) -> Result<(), Sentence> {
    unit.hello(0)?;
    let root = unit.root;
    let read = |bytes: &[u8]| {
        let pinned = |id: &KeyId| Some(root).filter(|root| root.key_id() == *id);
        codec::open::<TrustMessage>(bytes, &pinned).map_err(|refusal| refusal.say())
    };
    unit.trust = Some(unit.next(Down::Trust, SOON, read)?.payload.trust);
    Ok(())
}

fn welcome(unit: &mut Unit) -> Result<(), Sentence> {
    let nonce = unit.hello(u32::MAX)?;
    let (trust, id) = (unit.trust()?, unit.id.clone());
    let welcome = unit.next(Down::Welcome, SOON, |bytes| {
        let welcome: Welcome = Unit::from_centre(&trust, bytes)?;
        if welcome.nonce == nonce && welcome.box_id == id {
            Ok(welcome)
        } else {
            Err(said!("conform.other_welcome"))
        }
    })?;
    let off_s = (welcome.time.0 - wall().0) / 1_000_000;
    if off_s.abs() <= 60 { Ok(()) } else { Err(said!("conform.off", seconds = off_s)) }
}

fn foreign_batch(unit: &mut Unit) -> Result<(), Sentence> {
    unit.send(&unit.batch(31, 40), &SecretKey::from_seed(&[9; 32]))?;
    unit.stays_unanswered()
}

fn foreign_head(unit: &mut Unit) -> Result<(), Sentence> {
    let mut batch = unit.batch(31, 40);
    batch.head = unit.batch(31, 39).head;
    unit.send(&batch, &unit_key())?;
    unit.stays_unanswered()
}

fn fork(unit: &mut Unit) -> Result<(), Sentence> {
    let before = &unit.records[28];
    let at = Stamp { start: 2, mono_us: 1, wall: wall(), quality: ClockQuality::Synced, uncertainty_ms: 5 };
    let entry = Entry { at, event: Event::EntriesLost { count: 99 } };
    let record =
        Link::after(before.seq, &before.body).record(&unit.id, unit.epoch, entry).expect("it is short");
    let mut batch = unit.batch(30, 30);
    batch.records = vec![record];
    batch.head = Some(unit.head(&batch));
    unit.send(&batch, &unit_key())?;
    let ack = unit.ack(SOON)?;
    if ack.forked { Ok(()) } else { Err(said!("conform.no_fork")) }
}
