//! Several centrals on one database: what each tells the others, and the duties that one of them has for all.

use super::answer::Answer;
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::domain::time::{Span, Wall};

/// Something that another central changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Commands or documents were added, or ended.
    Commands,
    Boxes,
    Alarms,
    Announcements,
    Notices,
    Calls,
    /// Everything was stopped: voices that are live end.
    Silence,
}

impl News {
    pub const ALL: [News; 7] = [
        News::Commands,
        News::Boxes,
        News::Alarms,
        News::Announcements,
        News::Notices,
        News::Calls,
        News::Silence,
    ];

    /// The word for it in the database.
    pub const fn code(self) -> &'static str {
        match self {
            News::Commands => "commands",
            News::Boxes => "boxes",
            News::Alarms => "alarms",
            News::Announcements => "announcements",
            News::Notices => "notices",
            News::Calls => "calls",
            News::Silence => "silence",
        }
    }

    /// Finds the news of a word; `None` for one that a later version says.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|news| news.code() == code)
    }
}

/// A signed request that came to one of the centrals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    pub key: KeyId,
    pub nonce: String,
    pub at: Wall,
    pub now: Wall,
    /// Requests that were signed before are forgotten.
    pub forget_before: Wall,
    /// Most requests of one key that are remembered.
    pub of_key_max: u32,
}

/// The fate of a signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestTaken {
    Now,
    Before,
    /// The request was signed before others that are forgotten: the clock was set back.
    Forgotten,
    /// The key signs more than is remembered.
    TooMany,
}

/// The centrals that share a database.
pub trait Peers: Send + Sync {
    /// Tells whether other centrals may work on this database.
    fn has_peers(&self) -> bool;

    /// The name of this central, which no other has, and no later start of this one.
    fn own_name(&self) -> &str;

    /// The names of the centrals that are there, or were this long before now at the latest.
    fn are_there(&self, within: Span) -> Answer<'_, Vec<String>>;

    /// Tells the others what changed here.
    fn tell_peers(&self, news: Vec<News>) -> Answer<'_, ()>;

    /// Tells the others which urgent orders the broker has; what is said while one does not listen, it does not hear.
    fn tell_sent(&self, ids: Vec<CommandId>) -> Answer<'_, ()>;

    /// Tells whether another central said of an urgent order that the broker has it.
    fn is_sent_elsewhere(&self, id: &CommandId) -> bool;

    /// Takes those of these duties that nobody has, and keeps those that this central has, for a time by the database's
    /// clock. Returns what this central has now; without peers, everything.
    fn take_duties(&self, duties: Vec<&'static str>, term: Span) -> Answer<'_, Vec<String>>;

    /// Gives up all duties: this central ends.
    fn leave_duties(&self) -> Answer<'_, ()>;

    /// Takes a signed request whose signature was verified, once for all centrals.
    fn take_request(&self, request: NewRequest) -> Answer<'_, RequestTaken>;

    /// Counts of wrong tries for these names since `since`, in the order asked.
    fn wrong_tries(&self, names: Vec<String>, since: Wall) -> Answer<'_, Vec<u32>>;

    /// Counts a wrong try for each of these names; counts that began before `since` begin anew.
    fn note_wrong_tries(&self, names: Vec<String>, since: Wall, now: Wall) -> Answer<'_, ()>;

    /// Forgets the wrong tries of a name.
    fn forget_wrong_tries(&self, name: String) -> Answer<'_, ()>;

    /// Tells the others at which address a live voice is taken.
    fn note_voice(&self, name: String, url: String, now: Wall) -> Answer<'_, ()>;

    /// The address of the central that takes a live voice.
    fn voice_at(&self, name: String) -> Answer<'_, Option<String>>;

    /// Forgets a live voice that is over.
    fn forget_voice(&self, name: String) -> Answer<'_, ()>;

    /// Sets numbers aside for these issuers, which this central gives to urgent orders while the database is away.
    fn set_serials_aside(&self, issuers: Vec<KeyId>) -> Answer<'_, ()>;
}
