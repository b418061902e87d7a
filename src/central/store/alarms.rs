//! Alarms: what staff must look at.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use loaxa_heart::domain::time::Wall;

/// Most alarms that are kept: a stranger who sends under ever new names must not fill the disk.
pub const ALARMS_MAX: u32 = 10_000;

/// Something that staff must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub kind: AlarmKind,
    pub subject: String,
    pub detail: String,
    pub at: Wall,
    /// Times that it happened since it was raised last.
    pub times: u64,
}

/// The kinds of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// Two different entries under one number: a copied or manipulated box.
    Forked,
    /// Two machines bear one name and say hello in turn.
    Twins,
    /// A batch whose signature or chain is wrong.
    BadLog,
    /// A box speaks that nobody enrolled.
    UnknownBox,
    /// Entries that the box no longer holds never arrived.
    Gap,
    /// A box has begun a log anew.
    NewEpoch,
    /// Entries that can't be true.
    Implausible,
    /// A box sends more than any box has to say; what is above its quota waits.
    TooMuch,
    /// Commands that a box refused because nobody who may had signed them.
    Forged,
    /// Requests with a token that is none, or no longer good.
    WrongToken,
    /// A feed of alerts can't be read, or something in it was passed over.
    AlertPassedOver,
    /// A box came in with a certificate that is out of its time.
    ExpiredCertificate,
}

impl AlarmKind {
    /// The word in the database and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            AlarmKind::Forked => "forked",
            AlarmKind::Twins => "twins",
            AlarmKind::BadLog => "bad_log",
            AlarmKind::UnknownBox => "unknown_box",
            AlarmKind::Gap => "gap",
            AlarmKind::NewEpoch => "new_epoch",
            AlarmKind::Implausible => "implausible",
            AlarmKind::TooMuch => "too_much",
            AlarmKind::Forged => "forged",
            AlarmKind::WrongToken => "wrong_token",
            AlarmKind::AlertPassedOver => "alert_passed_over",
            AlarmKind::ExpiredCertificate => "expired_certificate",
        }
    }
}

/// An alarm as it is kept: one row for a kind and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmRow {
    pub kind: AlarmKind,
    pub subject: String,
    pub detail: String,
    pub first: Wall,
    pub last: Wall,
    pub count: u64,
}

/// The alarms that were raised.
pub trait Alarms: Send + Sync {
    /// Raises an alarm, or counts it again where it stands already; beyond [`ALARMS_MAX`] the oldest go.
    fn raise_alarm(&self, alarm: Alarm) -> Answer<'_, ()>;

    /// Alarms, newest first.
    fn alarms(&self, limit: u32) -> Answer<'_, Vec<AlarmRow>>;
}
