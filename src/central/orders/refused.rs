//! The reasons for which an order of staff is not carried out.

use crate::app::App;
use crate::media::MediaRefusal;
use crate::store::StoreError;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;

/// A reason for which an order is not carried out, for the person who gave it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum Refused {
    NoGroup,
    NoSuchGroup(GroupId),
    NothingToSay,
    NothingToRead,
    AudioTooLong {
        minutes: u32,
        max: u32,
    },
    TextTooLong {
        chars: usize,
        max: usize,
        minutes: usize,
    },
    Repeat {
        max: u16,
    },
    ExpiresAtOnce {
        seconds: u32,
        min: u32,
    },
    Volume,
    Past(Wall),
    ExpiresBefore(Wall),
    TooLong,
    NoSuchAnnouncement(CommandId),
    NotSpoken(Fault),
    Media(#[from] MediaRefusal),
    Authority(CommandRefusal),
    MayNotEnd {
        id: CommandId,
        reason: CommandRefusal,
    },
    TooLarge,
    BadProgramme(Sentence),
    NoSuchMedia(String),
    NotNewer {
        name: DocumentName,
        sent: u32,
        offered: u32,
    },
    NoSuchBox(BoxId),
    /// A file is no program of an architecture that is known.
    NoProgram,
    ProgramTooLarge {
        max: u64,
    },
    OtherArchitecture {
        found: &'static str,
        asked: String,
    },
    NoWaves {
        max: usize,
    },
    NoRollout,
    Senseless(CommandRefusal),
    /// Somebody changed or decided the notice in the meantime.
    NoticeChanged,
    AlertChanged,
    /// Somebody changed or decided the proposal, or sent a newer version of its document, in the meantime.
    ProposalChanged,
    Store(#[from] StoreError),
}

impl Say for Refused {
    fn say(&self) -> Sentence {
        match self {
            Refused::NoGroup => said!("order.no_group"),
            Refused::NoSuchGroup(group) => said!("order.no_such_group", group),
            Refused::NothingToSay => said!("order.nothing_to_say"),
            Refused::NothingToRead => said!("order.nothing_to_read"),
            Refused::AudioTooLong { minutes, max } => said!("order.audio_too_long", minutes, max),
            Refused::TextTooLong { chars, max, minutes } => {
                said!("order.text_too_long", chars, max, minutes)
            }
            Refused::Repeat { max } => said!("order.repeat", max),
            Refused::ExpiresAtOnce { seconds, min } => said!("order.expires_at_once", seconds, min),
            Refused::Volume => said!("order.volume"),
            Refused::Past(at) => said!("order.past", at),
            Refused::ExpiresBefore(at) => said!("order.expires_before", at),
            Refused::TooLong => said!("order.too_long"),
            Refused::NoSuchAnnouncement(id) => said!("order.no_such_announcement", id),
            Refused::NotSpoken(fault) => said!("order.not_spoken", fault),
            Refused::Media(error) => error.say(),
            Refused::Authority(refusal) => said!("order.authority", refusal),
            Refused::MayNotEnd { id, reason } => said!("order.may_not_end", id, reason),
            Refused::TooLarge => said!("order.too_large", max = MESSAGE_BYTES_MAX >> 10),
            Refused::BadProgramme(problems) => said!("order.bad_programme", problems),
            Refused::NoSuchMedia(name) => said!("order.no_such_media", name = name.escape_debug()),
            Refused::NotNewer { name, sent, offered } => said!("order.not_newer", name, sent, offered),
            Refused::NoProgram => said!("order.no_program"),
            Refused::ProgramTooLarge { max } => said!("order.program_too_large", max),
            Refused::OtherArchitecture { found, asked } => {
                said!("order.other_architecture", found, asked = asked.escape_debug())
            }
            Refused::NoWaves { max } => said!("order.no_waves", max),
            Refused::NoRollout => said!("order.no_rollout"),
            Refused::NoSuchBox(box_id) => said!("order.no_such_box", box_id),
            Refused::Senseless(refusal) => said!("order.senseless", refusal),
            Refused::NoticeChanged => said!("notice.changed"),
            Refused::AlertChanged => said!("alert.not_a_draft"),
            Refused::ProposalChanged => said!("proposal.changed"),
            Refused::Store(error) => error.say(),
        }
    }
}

/// Checks that there is at least one group, and that the configuration names all of them.
///
/// # Errors
/// Names the first group that is unknown.
pub fn known_groups(app: &App, groups: &[GroupId]) -> Result<(), Refused> {
    if groups.is_empty() {
        return Err(Refused::NoGroup);
    }
    match app.settings.unknown_group(groups) {
        Some(group) => Err(Refused::NoSuchGroup(group.clone())),
        None => Ok(()),
    }
}
