//! Intake of the boxes' logs: signature, chain and sequence are checked, then everything is committed, then acknowledged.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::app::{App, Counters};
use crate::changes::Changed;
use crate::log_quota::Place;
use crate::store::{AlarmKind, Answer, Batch, Ingested, Reader, Record, StoreError, reading_as};
use loaxa_heart::decide::plausible;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{LogAck, LogBatch, LogHead, VERSION};
use loaxa_heart::wire::signing::PublicKey;
use loaxa_heart::wire::topics::Down;

/// Batches that wait, and bytes of those that wait or are under way; a box whose batch finds no room sends it again after tens of
/// seconds. Room for one batch of an hour from each of 5,000 boxes.
pub const WAITING_MAX: usize = 16_384;
pub const BYTES_MAX: usize = 32 << 20;

/// Batches that are checked at the same time.
const CHECKING_MAX: usize = 32;

/// Largest number of a record: exact in every program that reads JSON, and as far from a wrap as the end of the world.
const SEQ_MAX: u64 = 1 << 53;

/// Batches that wait for their commit.
const COMMITTING_MAX: usize = 512;

/// A reason for which a batch is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
enum BadBatch {
    Unknown,
    NoKey,
    Refused(String),
    Store(#[from] StoreError),
}

impl Say for BadBatch {
    fn say(&self) -> Sentence {
        match self {
            BadBatch::Unknown => said!("batch.unknown"),
            BadBatch::NoKey => said!("batch.no_key"),
            BadBatch::Refused(detail) => said!("batch.refused", detail),
            BadBatch::Store(error) => error.say(),
        }
    }
}

/// A batch as it came, with its place among those of its box, and its room among all.
pub struct Waiting {
    pub id: BoxId,
    pub bytes: Vec<u8>,
    pub place: Place,
    pub room: OwnedSemaphorePermit,
}

/// A batch that is being checked.
struct Checking {
    id: BoxId,
    checked: JoinHandle<Result<Batch, BadBatch>>,
    held: (Place, OwnedSemaphorePermit),
}

/// Takes batches in until the channel closes: many are checked at the same time, and kept in the order in which they came.
pub async fn run(app: Arc<App>, mut batches: mpsc::Receiver<Waiting>) {
    let (sender, checking) = mpsc::channel(CHECKING_MAX);
    let check = async {
        // It goes when no batch will come any more.
        let sender = sender;
        while let Some(Waiting { id, bytes, place, room }) = batches.recv().await {
            let (app, of) = (Arc::clone(&app), id.clone());
            let check = async move { check_of_enrolled(&app, &of, &bytes).await };
            let checked = tokio::spawn(reading_as(Reader::Wire, check));
            if sender.send(Checking { id, checked, held: (place, room) }).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(check, keep(&app, checking));
}

async fn keep(app: &Arc<App>, mut checking: mpsc::Receiver<Checking>) {
    let committing = Arc::new(Semaphore::new(COMMITTING_MAX));
    while let Some(Checking { id, checked, held }) = checking.recv().await {
        let Ok(checked) = checked.await else { continue };
        match enqueue(app, checked).await {
            Ok((epoch, committed)) => {
                let permit = Arc::clone(&committing).acquire_owned().await.expect("it is never closed");
                let app = Arc::clone(app);
                tokio::spawn(async move {
                    acknowledge(&app, id, epoch, committed).await;
                    drop((permit, held));
                });
            }
            Err(BadBatch::Store(error)) if error.may_pass() => {
                Counters::more(&app.counters.batches_put_off, 1)
            }
            Err(BadBatch::Store(error)) => tracing::error!(%id, %error, "a batch could not be kept"),
            Err(bad @ (BadBatch::Unknown | BadBatch::NoKey)) => {
                app.refuse(AlarmKind::UnknownBox, &id, bad.to_string()).await;
            }
            Err(bad) => app.refuse(AlarmKind::BadLog, &id, bad.to_string()).await,
        }
    }
}

type Committed = Answer<'static, Ingested>;

async fn check_of_enrolled(app: &App, id: &BoxId, bytes: &[u8]) -> Result<Batch, BadBatch> {
    let enrolled = app.store.enrolled(id.clone()).await?.ok_or(BadBatch::Unknown)?;
    let key: PublicKey = enrolled.key.and_then(|key| key.parse().ok()).ok_or(BadBatch::NoKey)?;
    check(id, key, bytes, app.now())
}

async fn enqueue(app: &App, checked: Result<Batch, BadBatch>) -> Result<(Epoch, Committed), BadBatch> {
    let batch = checked?;
    app.log_quotas.spend(&batch.id, batch.records.len());
    Ok((batch.epoch, app.store.ingest(batch).await?))
}

fn check(
    id: &BoxId,
    key: PublicKey,
    bytes: &[u8],
    arrived: loaxa_heart::domain::time::Wall,
) -> Result<Batch, BadBatch> {
    let refused = |reason: String| BadBatch::Refused(reason);
    let signed =
        codec::open::<LogBatch>(bytes, &|_| Some(key)).map_err(|refusal| refused(refusal.to_string()))?;
    let LogBatch { box_id, epoch, oldest, records, head, .. } = signed.payload;
    if box_id != *id {
        return Err(refused(format!("it is a log of {box_id}")));
    }
    let Some(first) = records.first() else { return Err(refused("it is empty".to_owned())) };
    let begins: Begins = serde_json::from_str(&first.body).map_err(|error| refused(error.to_string()))?;
    if !(1..=SEQ_MAX).contains(&first.seq) || oldest > SEQ_MAX {
        return Err(refused(format!("its numbers are not from 1 to {SEQ_MAX}")));
    }
    let mut link = Link { seq: first.seq, prev: begins.prev };
    let mut checked = Vec::with_capacity(records.len());
    for record in records {
        if record.body.contains('\n') {
            return Err(refused(format!("record {} is not one line", record.seq)));
        }
        let (next, body) = chain::verify_record(id, epoch, link, &record)
            .map_err(|broken| refused(format!("epoch {epoch}: {broken}")))?;
        checked.push(Record {
            seq: record.seq,
            hash: next.prev,
            prev: link.prev,
            body: record.body,
            implausible: plausible::judge(&body.entry, arrived),
            entry: body.entry,
        });
        link = next;
    }
    if let Some(head) = &head {
        check_head(id, epoch, key, link, head).map_err(refused)?;
    }
    Ok(Batch { id: id.clone(), epoch, arrived, oldest, records: checked, head })
}

/// Checks that a head is the box's signature over its last record, so that others can check the log by it.
fn check_head(id: &BoxId, epoch: Epoch, key: PublicKey, end: Link, head: &str) -> Result<(), String> {
    let signed = codec::open::<LogHead>(head.as_bytes(), &|_| Some(key)).map_err(|why| why.to_string())?;
    let LogHead { box_id, epoch: of, seq, hash, .. } = signed.payload;
    if box_id == *id && of == epoch && Link::at(seq, hash) == end {
        Ok(())
    } else {
        Err("its head is not that of its last record".to_owned())
    }
}

/// The hash of the record before the first one of a batch, as that record says; the store judges whether it fits.
#[derive(Deserialize)]
struct Begins {
    prev: ContentHash,
}

async fn acknowledge(app: &App, id: BoxId, epoch: Epoch, committed: Committed) {
    match committed.await {
        Ok(taken) => {
            Counters::more(&app.counters.entries_added, taken.added);
            app.changes.tell(Changed::Boxes);
            app.changes.tell(Changed::Announcements);
            let Ingested { contiguous_upto, forked, .. } = taken;
            if forked {
                tracing::warn!(%id, %epoch, contiguous_upto, "the log of this box has forked");
            }
            let ack = LogAck { v: VERSION, epoch, contiguous_upto, forked };
            app.outbound.to_box(&id, Down::LogAck, app.keyring.seal(&ack));
        }
        // The box sends it again, and the disk or the server was told of once.
        Err(error) if error.may_pass() => Counters::more(&app.counters.batches_put_off, 1),
        Err(error) => tracing::error!(%id, %error, "a batch could not be kept; the box sends it again"),
    }
}
