//! The record of an alert: its state, what it says, and the changes of both.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::alert_quota::{ALERTS_MAX, BYTES_MAX};
use crate::app::App;
use crate::orders::cosigning::NotTaken;
use crate::orders::refused::Refused;
use crate::settings::CapSettings;
use crate::store::{CapRow, StoreError};
use crate::told_once::ToldOnce;
use loaxa_adapters::xml_signature::SignatureError;
use loaxa_heart::config::cap::CapError;
use loaxa_heart::decide::cap_intake::{self, Reach, Said, Standing, Voucher};
use loaxa_heart::domain::announcement::Mode;
use loaxa_heart::domain::ids::{CommandId, ContentHash};

/// Most alerts that one alert ends, with those that they would have ended.
const TARGETS_MAX: usize = 1_024;

/// A state of an alert on its way from its arrival to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the duty officer.
    Draft,
    /// Is being signed and sent by this server; after a restart, it goes on.
    Sending,
    /// Waits for people's signatures.
    Signing,
    /// The announcements of the alert, or its cancels, went out.
    Sent,
    /// Another alert ended or replaced it.
    Ended,
    /// The alert says nothing to anybody.
    Ignored,
}

/// An alert as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    pub state: State,
    /// The reason in English why the alert says nothing, or did not go out by itself.
    pub why: Option<String>,
    /// The reason in Vietnamese.
    #[serde(default)]
    pub why_vi: Option<String>,
    pub title: String,
    pub said: Vec<Said>,
    /// Marks an alert that ends what it refers to, and says nothing itself.
    pub ends: bool,
    /// Other alerts that it updates or cancels.
    pub refers_to: Vec<String>,
    /// Commands that say it, in the order of `said`.
    pub commands: Vec<CommandId>,
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub voucher: Option<Voucher>,
    /// Hash of what it holds, however it was written.
    #[serde(default)]
    pub content: Option<ContentHash>,
    /// A person decides, whatever else goes straight to the air.
    #[serde(default)]
    pub asks: bool,
    /// Another alert ended it while it was being sent: whoever sends it takes it back.
    #[serde(default)]
    pub doomed: bool,
    /// The central that sends it, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_central: Option<String>,
    /// Fields that a later version keeps beside these.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Taken {
    pub(super) fn standing(&self) -> Standing<'_> {
        let mode = self.mode.or_else(|| self.said.first().map(|said| said.mode));
        Standing { voucher: self.voucher.as_ref(), mode: mode.unwrap_or(Mode::Actual), said: &self.said }
    }

    pub(super) fn because(&mut self, why: &Sentence) {
        let (en, vi) = why.in_both();
        (self.why, self.why_vi) = (Some(en), Some(vi));
    }
}

/// An alert with the row that it was read from.
#[derive(Debug, Clone)]
pub struct KeptAlert {
    pub row: CapRow,
    pub taken: Taken,
}

impl KeptAlert {
    fn read(row: CapRow) -> Result<Self, StoreError> {
        let taken = serde_json::from_str(&row.state).map_err(|error| StoreError::Sql(error.to_string()))?;
        Ok(Self { row, taken })
    }
}

/// A reason for which an alert is not taken, or not sent.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotAlert {
    Off,
    Bad(#[from] CapError),
    Unsigned(#[from] SignatureError),
    TooMany,
    NoSuch(String),
    NotADraft,
    Over,
    CancelByKey,
    Refused(#[from] Refused),
    NotTaken(#[from] NotTaken),
    Store(#[from] StoreError),
}

impl Say for NotAlert {
    fn say(&self) -> Sentence {
        match self {
            NotAlert::Off => said!("alert.off"),
            NotAlert::Bad(error) => said!("alert.bad", error),
            NotAlert::Unsigned(error) => said!("alert.unsigned", error),
            NotAlert::TooMany => said!("alert.too_many", alerts = ALERTS_MAX, mb = BYTES_MAX >> 20),
            NotAlert::NoSuch(id) => said!("alert.no_such", id),
            NotAlert::NotADraft => said!("alert.not_a_draft"),
            NotAlert::Over => said!("alert.over"),
            NotAlert::CancelByKey => said!("alert.cancel_by_key"),
            NotAlert::Refused(error) => error.say(),
            NotAlert::NotTaken(error) => error.say(),
            NotAlert::Store(error) => error.say(),
        }
    }
}

pub(super) fn as_text(taken: &Taken) -> String {
    serde_json::to_string(taken).expect("what was taken is JSON")
}

pub(super) fn settings(app: &App) -> Result<&CapSettings, NotAlert> {
    app.settings.cap.as_ref().ok_or(NotAlert::Off)
}

/// The alerts that this version can not read.
static UNREADABLE: ToldOnce = ToldOnce::new();

/// Reads alerts, without those that hold something this version does not know: they are a later version's to handle.
pub(super) fn all_read(rows: Vec<CapRow>) -> Vec<KeptAlert> {
    let read = |row: CapRow| {
        let id = row.id.clone();
        let tell = |error: &StoreError| {
            if UNREADABLE.is_due(&id) {
                tracing::warn!(%error, id, "an alert that this version can not read is left out");
            }
        };
        KeptAlert::read(row).inspect_err(tell).ok()
    };
    rows.into_iter().filter_map(read).collect()
}

pub(super) async fn find(app: &App, id: &str) -> Result<KeptAlert, NotAlert> {
    let row = app.store.cap(id.to_owned()).await?.ok_or_else(|| NotAlert::NoSuch(id.to_owned()))?;
    Ok(KeptAlert::read(row)?)
}

/// Changes an alert, as often as somebody else does so in the same moment. `change` says whether there is anything to do.
pub(super) async fn change(
    app: &App,
    id: &str,
    change: impl Fn(&mut Taken) -> bool,
) -> Result<(KeptAlert, bool), NotAlert> {
    loop {
        let mut kept = find(app, id).await?;
        if !change(&mut kept.taken) {
            return Ok((kept, false));
        }
        let state = as_text(&kept.taken);
        if app.store.change_cap(id.to_owned(), kept.row.state, state.clone()).await? {
            kept.row.state = state;
            return Ok((kept, true));
        }
    }
}

/// Finds alerts that may still sound and are named by one, or by those that this one names: who cancels an update means
/// all of the chain.
pub(super) async fn targets(app: &App, kept: &KeptAlert) -> Result<Vec<KeptAlert>, NotAlert> {
    let mut names: VecDeque<_> = kept.taken.refers_to.iter().cloned().collect();
    let mut seen = BTreeSet::from([kept.row.id.clone()]);
    let mut found = Vec::new();
    while let Some(name) = names.pop_front() {
        for other in all_read(app.store.caps_referred(name).await?) {
            if seen.len() > TARGETS_MAX || !seen.insert(other.row.id.clone()) {
                continue;
            }
            if cap_intake::reach(kept.taken.standing(), other.taken.standing()) != Reach::Never {
                names.extend(other.taken.refers_to.iter().cloned());
            }
            if !matches!(other.taken.state, State::Ended | State::Ignored) {
                found.push(other);
            }
        }
    }
    Ok(found)
}
