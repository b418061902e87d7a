//! The reasons for which a proposal does not take the step that somebody asked for.

use crate::orders::refused::Refused;
use crate::store::{ProposalRow, StoreError};
use loaxa_heart::config::problem::Problems;
use loaxa_heart::config::programme_edit::NotEdited;
use loaxa_heart::decide::schedule::SlotClash;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Longest reason for a return, in characters.
pub(super) const REASON_CHARS_MAX: usize = 1_000;

/// A reason for which a proposal does not take the step that somebody asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotProposal {
    NoSuch,
    /// Somebody else changed or decided it since; the row is what stands there now, where one is open.
    Changed(Option<Box<ProposalRow>>),
    /// A group is outside of the person's care.
    NotYours,
    /// Whoever wrote a version of it does not approve it.
    Own,
    NoReason,
    TooMany,
    /// The time to take the last change back is over, or there is none.
    TooLate,
    /// The text names another programme than the one that is changed.
    OtherProgramme,
    Problems(#[from] Problems),
    Clash(#[from] SlotClash),
    /// Limits or groups that can't be read.
    Unreadable(String),
    Edit(#[from] NotEdited),
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotProposal {
    fn say(&self) -> Sentence {
        match self {
            NotProposal::NoSuch => said!("proposal.no_such"),
            NotProposal::Changed(_) => said!("proposal.changed"),
            NotProposal::NotYours => said!("proposal.not_yours"),
            NotProposal::Own => said!("proposal.own"),
            NotProposal::NoReason => said!("proposal.no_reason", max = REASON_CHARS_MAX),
            NotProposal::TooMany => said!("proposal.too_many"),
            NotProposal::TooLate => said!("proposal.too_late"),
            NotProposal::OtherProgramme => said!("proposal.other_programme"),
            NotProposal::Problems(problems) => problems.say(),
            NotProposal::Clash(clash) => clash.say(),
            NotProposal::Unreadable(detail) => said!("proposal.unreadable", detail),
            NotProposal::Edit(edit) => edit.say(),
            NotProposal::Refused(refused) => refused.say(),
            NotProposal::Store(error) => error.say(),
        }
    }
}
