//! Troubles: what is wrong now and was wrong before, who has taken it on, and until when it is silent.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::{Span, Wall};

/// Most troubles that are kept after their end; the oldest go first.
pub const PAST_TROUBLES_MAX: u32 = 20_000;

/// A box that is well for less than this and then fails again has the same trouble, with whoever has taken it on.
pub const SAME_TROUBLE_WITHIN: Span = Span::secs(600);

/// The kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A box that was heard before is silent.
    OutOfContact,
    /// A box says that something of it does not work.
    Fault,
    /// People of a village wait too long for an answer to what they said.
    Feedback,
    /// Something that [`super::AlarmKind`] names; people end it.
    Security,
}

impl TroubleKind {
    /// Those that are over once nobody finds them any more.
    pub const LOOKED_FOR: [TroubleKind; 3] =
        [TroubleKind::OutOfContact, TroubleKind::Fault, TroubleKind::Feedback];
}

/// A trouble as somebody looked and found it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub kind: TroubleKind,
    /// The code of the fault, or of the alarm; empty for a silent box.
    pub what: String,
    /// The box, the village, or the address of a stranger.
    pub subject: String,
    pub detail: String,
    pub since: Wall,
    /// The last time that it was seen.
    pub last: Wall,
}

/// A trouble as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleRow {
    pub id: i64,
    pub kind: TroubleKind,
    pub what: String,
    pub subject: String,
    pub detail: String,
    pub since: Wall,
    pub ended: Option<Wall>,
    /// The person who has taken it on, with the time.
    pub taken: Option<(AccountId, Wall)>,
    /// Nobody is told of it before then.
    pub silent_until: Option<Wall>,
}

/// Troubles of boxes, and those that strangers make.
pub trait Troubles: Send + Sync {
    /// Opens what was found and is not open, and ends what is open and was not found, except what people end. Says
    /// whether anything changed.
    fn note_troubles(&self, found: Vec<Found>, now: Wall) -> Answer<'_, bool>;

    /// Lists open troubles, the longest first.
    fn open_troubles(&self) -> Answer<'_, Vec<TroubleRow>>;

    /// Lists troubles that have ended, the latest first; of one subject, or of all.
    fn past_troubles(&self, subject: Option<String>, limit: u32) -> Answer<'_, Vec<TroubleRow>>;

    /// Gives troubles to who takes them on; false where none of them is open and free any more.
    fn take_troubles(&self, ids: Vec<i64>, by: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Silences open troubles; false where none of them is open any more.
    fn silence_troubles(&self, ids: Vec<i64>, until: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Ends troubles that only people end; false where none of them is open any more.
    fn end_troubles(&self, ids: Vec<i64>, at: Wall, act: NewAct) -> Answer<'_, bool>;
}
