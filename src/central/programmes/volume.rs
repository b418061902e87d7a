//! The highest volume of one village: lowered and raised by whoever keeps its boxes, within the limits of the commune, and in
//! force when somebody else has approved. It is the zone's ceiling of the limits; hours, days and bands stay as they are.

use super::basis;
use super::not_proposal::NotProposal;
use super::proposals;
use crate::app::App;
use crate::orders::documents::PolicyAsked;
use crate::people::Who;
use crate::store::{Change, ChangeKind, NewAct, ProposalKind, ProposalRow, ProposalState};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::policy::Policy;

/// Lowest volume that can be asked for, in percent, and the step between choices.
const PERCENT_MIN: u8 = 20;
const STEP: usize = 10;

/// The volume of a village as its limits have it.
pub struct Volume {
    pub village: GroupId,
    /// The highest volume now, in percent.
    pub now: u8,
    /// The highest that the limits of the commune allow.
    pub max: u8,
    /// The change that waits for its approval.
    pub open: Option<ProposalRow>,
    policy: Policy,
}

impl Volume {
    /// The volumes that can be asked for, the highest first.
    pub fn choices(&self) -> Vec<u8> {
        let lower = (PERCENT_MIN..self.max).step_by(STEP).collect::<Vec<_>>();
        std::iter::once(self.max).chain(lower.into_iter().rev()).collect()
    }
}

/// Reads the volume of a village; `None` where no limits were ever sent, and each box keeps to its own.
///
/// # Errors
/// Fails when the store does not answer, or the limits can't be read.
pub async fn of(app: &App, village: &GroupId) -> Result<Option<Volume>, NotProposal> {
    let kind = ProposalKind::Policy;
    let Some(basis) = basis::find(app, kind, village.as_str()).await? else { return Ok(None) };
    let Some((content, _)) = basis.in_force else { return Ok(None) };
    let policy = proposals::read_as::<PolicyAsked>(&content.text)?.policy;
    let whole = basis::find(app, kind, kind.code()).await?.and_then(|basis| basis.in_force);
    let zone = match whole {
        Some((content, _)) => {
            proposals::read_as::<PolicyAsked>(&content.text)?.policy.volume_zone_percent_max
        }
        None => 100,
    };
    let max = policy.volume_day_percent_max.min(zone);
    let now = policy.volume_day_percent_max.min(policy.volume_zone_percent_max);
    Ok(Some(Volume { village: village.clone(), now, max, open: basis.proposal, policy }))
}

/// Asks for another volume: it goes to those who approve, and no box changes before.
///
/// # Errors
/// Fails where it is none of the choices, or a change waits already.
pub async fn ask(app: &App, who: &Who, volume: Volume, percent: u8, boxes: u32) -> Result<(), NotProposal> {
    if let Some(open) = volume.open {
        return Err(NotProposal::Changed(Some(Box::new(open))));
    }
    let Volume { village, now, mut policy, .. } = volume;
    policy.volume_zone_percent_max = percent;
    let mut content = basis::limits(std::slice::from_ref(&village), &policy);
    content.subject = village.to_string();
    let words = |percent: u8| Some(format!("{percent} %"));
    let (before, after) = (words(now), words(percent));
    let change = Change {
        kind: ChangeKind::VolumeSet,
        title: app.title_of(&village),
        day: None,
        before: before.clone(),
        after: after.clone(),
        boxes,
    };
    let act = NewAct { before, after, ..who.act("volume_asked", village.as_str()) };
    let (id, digest) = (proposals::new_id(), content.digest());
    proposals::keep(app, who, &id, None, content, change, act).await?;
    let states = (ProposalState::Draft, ProposalState::Submitted);
    let act = who.act("proposal_submitted", village.as_str());
    proposals::step(app, who, &id, digest, states, None, act).await
}
