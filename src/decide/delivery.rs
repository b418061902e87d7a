//! Central's side of the delivery chain: where an announcement is with each box, and what a box still lacks.

use std::collections::BTreeMap;

use crate::domain::ids::{BoxId, CommandId, ContentHash, GroupId};
use crate::domain::playback::DeliveryStep;
use crate::domain::time::Span;
use crate::wire::messages::commands_digest;

/// Most commands sent to one box in answer to one heartbeat; the rest follow with the next one.
pub const RESEND_MAX: usize = 32;

/// How often the same is sent to the same box with each heartbeat, before it is sent less often.
const RESENDS_AT_ONCE_MAX: u32 = 3;

/// How often the same is sent then.
const RESEND_LATER: Span = Span::secs(1_800);

/// How long a box remembers a command after it expired, as its inbox does.
pub const HELD_AFTER_EXPIRY: Span = Span::secs(3_600);

/// How many boxes may start to upload at once after a mass reconnect, each second.
pub const UPLOADS_A_SECOND: u32 = 20;

/// How deep groups may nest, as in a trust document.
const NESTING_MAX: usize = 8;

/// Where an announcement is with one box, as far as central knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Handed to the broker.
    Sent,
    Received,
    Staged,
    Started,
    Interrupted,
    Finished,
    Superseded,
    Cancelled,
    Expired,
    NotPlayed,
    Refused,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 11] = [
        Step::Sent,
        Step::Received,
        Step::Staged,
        Step::Started,
        Step::Interrupted,
        Step::Finished,
        Step::Superseded,
        Step::Cancelled,
        Step::Expired,
        Step::NotPlayed,
        Step::Refused,
    ];

    /// Its word in the database, in the API and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Step::Sent => "sent",
            Step::Received => "received",
            Step::Staged => "staged",
            Step::Started => "started",
            Step::Interrupted => "interrupted",
            Step::Finished => "finished",
            Step::Superseded => "superseded",
            Step::Cancelled => "cancelled",
            Step::Expired => "expired",
            Step::NotPlayed => "not_played",
            Step::Refused => "refused",
        }
    }

    /// The step of this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.code() == code)
    }

    /// Whether the box has nothing more to do for it.
    pub const fn is_over(self) -> bool {
        match self {
            Step::Sent | Step::Received | Step::Staged | Step::Started | Step::Interrupted => false,
            Step::Finished
            | Step::Superseded
            | Step::Cancelled
            | Step::Expired
            | Step::NotPlayed
            | Step::Refused => true,
        }
    }

    /// The step after `next` was reported. What is over stays over, and a repeated acknowledgement takes nothing back:
    /// only a refusal can be made good by a later acceptance.
    pub fn then(self, next: Step) -> Step {
        match (self, next) {
            (Step::Refused, next) => next,
            (now, _) if now.is_over() => now,
            (now, Step::Refused) if now > Step::Sent => now,
            (now, Step::Sent | Step::Received | Step::Staged) => now.max(next),
            (_, next) => next,
        }
    }
}

impl From<&DeliveryStep> for Step {
    fn from(step: &DeliveryStep) -> Self {
        match step {
            DeliveryStep::Received => Step::Received,
            DeliveryStep::Staged => Step::Staged,
            DeliveryStep::Started => Step::Started,
            DeliveryStep::Finished => Step::Finished,
            DeliveryStep::Interrupted => Step::Interrupted,
            DeliveryStep::Superseded => Step::Superseded,
            DeliveryStep::Cancelled => Step::Cancelled,
            DeliveryStep::Expired => Step::Expired,
            DeliveryStep::NotPlayed { .. } => Step::NotPlayed,
        }
    }
}

/// A command that a box may hold: a box forgets what it accepted [`HELD_AFTER_EXPIRY`] after it expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: CommandId,
    pub groups: Vec<GroupId>,
    pub order: Order,
    pub expired: bool,
    /// Cancelled or superseded: of no use to a box that does not hold it.
    pub ended: bool,
    /// How far the box has come with it; `None` where nothing was heard.
    pub step: Option<Step>,
}

/// What a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Announce,
    Cancel,
    /// A programme, a policy and the like.
    Other,
}

impl Standing {
    /// Whether the box said that it accepted it.
    fn is_confirmed(&self) -> bool {
        self.step.is_some_and(|step| !matches!(step, Step::Sent | Step::Refused))
    }

    fn should_be_held(&self) -> bool {
        self.step != Some(Step::Refused) && (self.is_confirmed() || !self.ended && !self.expired)
    }

    fn is_of_use(&self) -> bool {
        !self.ended && !self.expired && !self.step.is_some_and(Step::is_over)
    }
}

/// What to send to a box whose digest of accepted commands is `digest`: nothing where central expects the same; else
/// what the box never confirmed; else, as it seems to have lost its memory, all that is still of use. Cancels go first,
/// then what was issued first. The box acknowledges a second copy and does not play it again.
pub fn to_send<'a>(digest: &str, member_of: &[GroupId], commands: &'a [Standing]) -> Vec<&'a CommandId> {
    let for_it = |command: &&Standing| command.groups.iter().any(|group| member_of.contains(group));
    let held = commands.iter().filter(for_it).filter(|command| command.should_be_held());
    let mut ids: Vec<_> = held.clone().map(|command| &command.id).collect();
    ids.sort();
    if commands_digest(ids) == digest {
        return Vec::new();
    }
    let mut wanted: Vec<_> = held.filter(|command| command.is_of_use()).collect();
    if wanted.iter().any(|command| !command.is_confirmed()) {
        wanted.retain(|command| !command.is_confirmed());
    }
    wanted.sort_by_key(|command| command.order != Order::Cancel);
    wanted.into_iter().map(|command| &command.id).take(RESEND_MAX).collect()
}

/// Whether to send the same to the same box again that it got `times` times, the last `since` ago, and still says that
/// it lacks: what got lost is made good at once, what the box will not take does not eat up its data.
pub fn is_due_again(times: u32, since: Span) -> bool {
    times < RESENDS_AT_ONCE_MAX || since >= RESEND_LATER
}

/// The groups that a box is in: those named, and all above them by `child -> parent`.
pub fn with_ancestors(groups: &[GroupId], parents: &BTreeMap<GroupId, GroupId>) -> Vec<GroupId> {
    let mut all = Vec::new();
    for group in groups {
        let above = std::iter::successors(Some(group), |group| parents.get(group)).take(NESTING_MAX);
        for group in above {
            if !all.contains(group) {
                all.push(group.clone());
            }
        }
    }
    all
}

/// When a box may start to upload, in seconds, while `connecting` boxes have said hello lately: at once in a small
/// commune, spread evenly by the box's name after a regional power cut.
pub fn upload_after_s(id: &BoxId, connecting: u32) -> u32 {
    let window_s = connecting / UPLOADS_A_SECOND;
    if window_s < 2 {
        return 0;
    }
    let hash = ContentHash::of(id.as_str().as_bytes()).0;
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % window_s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CommandId {
        CommandId::new(text).unwrap()
    }

    fn group(text: &str) -> GroupId {
        GroupId::new(text).unwrap()
    }

    fn commands() -> Vec<Standing> {
        let of = |name: &str, to: &str, order, step| Standing {
            id: id(name),
            groups: vec![group(to)],
            order,
            expired: name.contains("expired"),
            ended: name.contains("ended"),
            step,
        };
        vec![
            of("b", "xa", Order::Announce, Some(Step::Received)),
            of("a", "thon-1", Order::Announce, Some(Step::Sent)),
            of("done", "xa", Order::Announce, Some(Step::Finished)),
            of("done-expired", "xa", Order::Announce, Some(Step::Finished)),
            of("never-came-expired", "xa", Order::Announce, Some(Step::Sent)),
            of("held-ended", "xa", Order::Announce, Some(Step::Staged)),
            of("never-came-ended", "xa", Order::Announce, Some(Step::Sent)),
            of("refused", "xa", Order::Announce, Some(Step::Refused)),
            of("else", "thon-2", Order::Announce, None),
            of("stop", "xa", Order::Cancel, None),
        ]
    }

    fn check(commands: &[Standing], held: &[&str], expected: &[&str]) {
        let mut held: Vec<_> = held.iter().map(|name| id(name)).collect();
        held.sort();
        let sent = to_send(&commands_digest(&held), &[group("thon-1"), group("xa")], commands);
        let expected: Vec<_> = expected.iter().map(|name| id(name)).collect();
        assert_eq!(sent, expected.iter().collect::<Vec<_>>(), "{held:?}");
    }

    #[test]
    fn a_box_gets_what_it_lacks_and_nothing_when_digests_agree() {
        let mut all = commands();
        check(&all, &["b", "a", "done", "done-expired", "held-ended", "stop"], &[]);
        check(&all, &["b", "done", "done-expired", "held-ended"], &["stop", "a"]);
        check(&all, &["b"], &["stop", "a"]);
        for command in all.iter_mut().filter(|command| command.step != Some(Step::Refused)) {
            command.step = command.step.or(Some(Step::Received)).map(|step| step.then(Step::Received));
        }
        check(&all, &[], &["stop", "b", "a"]);
    }

    #[test]
    fn what_a_box_does_not_take_is_sent_less_and_less() {
        let after = [(0, 0), (2, 60), (3, 60), (40, 60), (40, 1_800)];
        let due = after.map(|(times, since_s)| is_due_again(times, Span::secs(since_s)));
        assert_eq!(due, [true, true, false, false, true]);
    }

    #[test]
    fn a_step_never_goes_back() {
        use Step::*;
        let after = |steps: &[Step]| steps.iter().fold(Sent, |now, next| now.then(*next));
        assert_eq!(after(&[Received, Staged, Started, Interrupted, Started, Finished]), Finished);
        assert_eq!(after(&[Finished, Received]), Finished);
        assert_eq!(after(&[Staged, Received, Sent]), Staged);
        assert_eq!(after(&[Started, Received]), Started);
        assert_eq!(after(&[Received, Refused]), Received);
        assert_eq!(after(&[Refused]), Refused);
        assert_eq!(after(&[Refused, Received]), Received);
        assert_eq!(after(&[Cancelled, Refused, Started]), Cancelled);
    }

    #[test]
    fn codes_go_both_ways() {
        assert!(Step::ALL.into_iter().all(|step| Step::from_code(step.code()) == Some(step)));
    }

    #[test]
    fn groups_above_count_and_a_loop_ends() {
        let parents = [(group("thon"), group("xa")), (group("xa"), group("tinh"))].into();
        let all = with_ancestors(&[group("thon"), group("xa")], &parents);
        assert_eq!(all, [group("thon"), group("xa"), group("tinh")]);
        let parents = [(group("p"), group("q")), (group("q"), group("p"))].into();
        assert_eq!(with_ancestors(&[group("p")], &parents), [group("p"), group("q")]);
    }

    #[test]
    fn uploads_are_spread_only_when_many_connect() {
        let boxes = (0..1000).map(|n| BoxId::new(format!("loa-{n}")).unwrap());
        let slots: Vec<_> = boxes.map(|id| upload_after_s(&id, 1000)).collect();
        assert!(slots.iter().all(|s| *s < 50) && slots.iter().filter(|s| **s == 7).count() < 50);
        assert_eq!(upload_after_s(&BoxId::new("loa-1").unwrap(), 30), 0);
    }
}
