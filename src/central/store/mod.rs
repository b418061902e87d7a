//! What central keeps, behind one trait: SQLite for a commune, a server database for a province.

mod rows;
pub mod sqlite;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::certificates::Serial;
use loaxa_heart::decide::delivery::{Document, Standing};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::Holds;

pub use rows::*;

/// What a store operation resolves to; boxed, so that the store is chosen when the program starts.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that any part of central holds.
pub type SharedStore = Arc<dyn Store>;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum StoreError {
    Sql(String),
    Closed,
    CantOpen { path: String, detail: String },
}

impl Say for StoreError {
    fn say(&self) -> Sentence {
        match self {
            StoreError::Sql(detail) => said!("store.sql", detail),
            StoreError::Closed => said!("store.closed"),
            StoreError::CantOpen { path, detail } => said!("store.cant_open", path, detail),
        }
    }
}

/// What central keeps. Every write is on disk when its answer resolves.
pub trait Store: Send + Sync + 'static {
    /// Takes the boxes of the configuration over; those that it does not name stay as they are. A box that was revoked
    /// stays without a key until it is enrolled anew; once groups were sent, they are not the configuration's any more.
    fn declare_boxes(&self, boxes: Vec<BoxDeclared>) -> Answer<'_, ()>;

    /// Remembers the key of a box that has none yet; says whether it was taken.
    fn trust_box_key(&self, id: BoxId, title: String, key: String) -> Answer<'_, bool>;

    /// Keeps a one-time code (its hash) with which a box may enrol until `expires`.
    fn add_enrolment(&self, code: ContentHash, declared: BoxDeclared, expires: Wall) -> Answer<'_, ()>;

    /// Uses a code up: the box is known by this key from now on. `None` where it is unknown, used or expired at `now`.
    fn use_enrolment(&self, code: ContentHash, key: String, now: Wall) -> Answer<'_, Option<BoxDeclared>>;

    /// Remembers whose a certificate is, by its fingerprint and its serial number.
    fn add_certificate(
        &self,
        fingerprint: ContentHash,
        serial: Serial,
        id: BoxId,
        issued: Wall,
    ) -> Answer<'_, ()>;

    /// The serial numbers of revoked certificates, and when they were revoked, oldest first.
    fn revoked_certificates(&self) -> Answer<'_, Vec<(Serial, Wall)>>;

    /// Whose certificate it is, unless it was revoked.
    fn certified(&self, fingerprint: ContentHash) -> Answer<'_, Option<BoxId>>;

    /// Revokes a box's certificates, and forgets its key: its log is not believed any more. Says whether there is such
    /// a box.
    fn revoke_box(&self, id: BoxId, now: Wall) -> Answer<'_, bool>;

    /// What is enrolled of one box.
    fn enrolled(&self, id: BoxId) -> Answer<'_, Option<BoxDeclared>>;

    /// What a box said last that it holds.
    fn holds(&self, id: BoxId) -> Answer<'_, Option<Holds>>;

    /// All boxes with what is known of them, by id.
    fn boxes(&self) -> Answer<'_, Vec<BoxRow>>;

    /// Remembers a sign of life.
    fn note_sign_of_life(&self, sign: SignOfLife) -> Answer<'_, ()>;

    /// Remembers that a box's connection broke off.
    fn note_lost(&self, id: BoxId, at: Wall) -> Answer<'_, ()>;

    /// Takes a checked batch in. The outer answer resolves when the store has it in its queue, in the order of the
    /// calls; the inner one when it is on disk.
    fn ingest(&self, batch: Batch) -> Answer<'_, Answer<'static, Ingested>>;

    /// The number for the issuer's next command, never given twice.
    fn next_serial(&self, issuer: KeyId) -> Answer<'_, u64>;

    /// Keeps a sealed command and the boxes that it is meant for, before anything of it is sent.
    fn add_command(&self, command: NewCommand) -> Answer<'_, ()>;

    /// One command.
    fn command(&self, id: CommandId) -> Answer<'_, Option<CommandRow>>;

    /// Announcements, newest first.
    fn announcements(&self, limit: u32) -> Answer<'_, Vec<CommandRow>>;

    /// Commands that a box may hold at `now`, oldest first, with the step that it has reached.
    fn standing(&self, id: BoxId, now: Wall) -> Answer<'_, Vec<Standing>>;

    /// Programmes, policies and groups that were sent and have not expired at `now`.
    fn documents(&self, now: Wall) -> Answer<'_, Vec<Document>>;

    /// Puts boxes into these groups.
    fn move_boxes(&self, groups: Vec<(BoxId, Vec<GroupId>)>) -> Answer<'_, ()>;

    /// Keeps a CAP alert and the references of those that it names; `false` where one of its reference is there already.
    fn add_cap(&self, alert: CapRow, names: Vec<String>) -> Answer<'_, bool>;

    /// Changes what became of an alert; `false` where that is no more what it was when it was read.
    fn change_cap(&self, id: String, from: String, to: String) -> Answer<'_, bool>;

    /// Alerts, newest first.
    fn caps(&self) -> Answer<'_, Vec<CapRow>>;

    /// Alerts whose state is this word, oldest first.
    fn caps_in_state(&self, word: &'static str) -> Answer<'_, Vec<CapRow>>;

    /// An alert by its short id.
    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>>;

    /// Alerts by what others name them with: more than one where different vouchers use the same name.
    fn caps_referred(&self, reference: String) -> Answer<'_, Vec<CapRow>>;

    /// Alerts that name this reference.
    fn caps_naming(&self, reference: String) -> Answer<'_, Vec<CapRow>>;

    /// Keeps what a feed brought and was not taken; says how often that was so, for the same reason.
    fn pass_over_cap(&self, passed: PassedOver) -> Answer<'_, u32>;

    /// Forgets what was passed over and was taken since.
    fn cap_passed_over_no_more(&self, what: String) -> Answer<'_, ()>;

    /// Lists what was passed over, latest first.
    fn caps_passed_over(&self) -> Answer<'_, Vec<PassedOver>>;

    /// Takes a draft back, unless it was sent.
    fn withdraw_draft(&self, id: CommandId) -> Answer<'_, ()>;

    /// Keeps what people are to sign.
    fn add_draft(&self, draft: NewDraft) -> Answer<'_, ()>;

    /// What people may sign at `now`, newest first, and what became of it.
    fn drafts(&self, now: Wall) -> Answer<'_, Vec<DraftRow>>;

    /// Keeps a signature that was verified; one of the same key is kept once.
    fn add_signature(&self, draft: CommandId, signature: DraftSignature) -> Answer<'_, ()>;

    /// The envelopes of these commands, in the order asked.
    fn envelopes(&self, ids: Vec<CommandId>) -> Answer<'_, Vec<Vec<u8>>>;

    /// The chain of an announcement, one row a box.
    fn deliveries(&self, command: CommandId) -> Answer<'_, Vec<DeliveryRow>>;

    /// Plays as joined from start and end, newest first.
    fn plays(&self, filter: LogFilter) -> Answer<'_, Vec<PlayRow>>;

    /// Log entries in the order of arrival.
    fn log(&self, filter: LogFilter) -> Answer<'_, Vec<LogRow>>;

    /// What did not sound although it was due, latest first.
    fn not_played(&self, limit: u32) -> Answer<'_, Vec<NotPlayedRow>>;

    /// Minutes and counts of plays.
    fn report(&self, from: Wall, to: Wall) -> Answer<'_, Vec<ReportRow>>;

    /// Keeps what a media file is; the file itself lies in the media folder.
    fn add_media(&self, media: MediaRow) -> Answer<'_, ()>;

    /// One media file.
    fn media(&self, hash: ContentHash) -> Answer<'_, Option<MediaRow>>;

    /// Raises an alarm, or counts it again where it stands already.
    fn raise_alarm(&self, alarm: Alarm) -> Answer<'_, ()>;

    /// Alarms, newest first.
    fn alarms(&self, limit: u32) -> Answer<'_, Vec<AlarmRow>>;

    /// How far the log of an epoch has arrived without a gap.
    fn contiguous_upto(&self, id: BoxId, epoch: Epoch) -> Answer<'_, u64>;
}
