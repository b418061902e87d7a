//! Central's side of the delivery chain: where an announcement is with each box, and what a box still lacks.

use std::collections::BTreeMap;

use crate::domain::ids::{BoxId, CommandId, ContentHash, GroupId, ProgrammeId};
use crate::domain::playback::DeliveryStep;
use crate::domain::time::Span;
use crate::wire::messages::{Holds, commands_digest};

/// Most commands sent to one box in answer to one heartbeat; the rest follow with the next one.
pub const RESEND_MAX: usize = 32;

/// Most times that the same command is sent to the same box with one heartbeat after the other; then every
/// [`RESEND_LATER`].
const RESENDS_AT_ONCE_MAX: u32 = 3;

/// Pause between resends of a command that a box keeps refusing.
const RESEND_LATER: Span = Span::secs(1_800);

/// Most boxes that start to upload each second after a mass reconnect: the centre takes in 20,000 entries a second, of which a box
/// brings a hundred after a night.
pub const UPLOADS_A_SECOND: u32 = 200;

/// Deepest nesting of groups, as in a trust document.
const NESTING_MAX: usize = 8;

/// The last step of an announcement at one box that central knows of.
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

    /// Returns the step's word in the database, in the API and in the tables of texts.
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

    /// Finds the step with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.code() == code)
    }

    /// Tells whether the box has nothing more to do after this step.
    pub const fn is_over(self) -> bool {
        match self {
            Step::Sent | Step::Received | Step::Staged | Step::Started => false,
            Step::Interrupted
            | Step::Finished
            | Step::Superseded
            | Step::Cancelled
            | Step::Expired
            | Step::NotPlayed
            | Step::Refused => true,
        }
    }

    /// Returns the step after `next` was reported. What is over stays over, and a repeated acknowledgement takes
    /// nothing back: only a refusal can be made good by a later acceptance, and an emergency that expired under a clock
    /// that was ahead is received again where the clock is set right.
    pub fn then(self, next: Step) -> Step {
        match (self, next) {
            (Step::Refused, next) => next,
            (Step::Expired, Step::Received) => next,
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

/// A command that has not expired, with one box in view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: CommandId,
    pub groups: Vec<GroupId>,
    pub kind: CommandKind,
    /// Cancelled or superseded.
    pub ended: bool,
    /// The command replaces an earlier one, even where it was ended itself.
    pub supersedes: bool,
    /// The last step of the command at the box; `None` where nothing was heard.
    pub step: Option<Step>,
}

/// The kinds of commands that resending tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    Announce,
    Cancel,
    /// A programme, a policy and the like: they have versions of their own in `holds`.
    Other,
}

impl Standing {
    /// Tells whether the box said that it accepted the command.
    fn is_confirmed(&self) -> bool {
        self.step.is_some_and(|step| !matches!(step, Step::Sent | Step::Refused))
    }

    /// Tells whether the box said that it has nothing more to do for the command.
    fn is_over(&self) -> bool {
        self.step.is_some_and(Step::is_over)
    }

    /// Tells whether the box should hold the announcement, as far as central knows.
    fn is_in_force(&self) -> bool {
        self.kind == CommandKind::Announce && !self.ended && !self.is_over()
    }
}

/// Chooses the commands to send to a box that is in the groups `member_of`, says that `digest` is what it holds, and
/// has `backlog` records of its log still to upload.
///
/// Nothing, where central expects the same. Else the cancels of what the box may still hold, and what it never
/// confirmed; last, updates that were ended themselves, but that may be what ends an earlier one. Where it confirmed
/// everything and its log is home, it has lost its memory, and gets all that is in force.
/// Cancels go first, then what was issued first. A second copy is acknowledged and not played again.
pub fn to_send<'a>(
    digest: &str,
    backlog: u64,
    member_of: &[GroupId],
    commands: &'a [Standing],
) -> Vec<&'a CommandId> {
    let for_it = |command: &&Standing| is_for(&command.groups, member_of);
    let for_it = || commands.iter().filter(for_it);
    let in_force: Vec<_> = for_it().filter(|command| command.is_in_force()).collect();
    let mut ids: Vec<_> = in_force.iter().map(|command| &command.id).collect();
    ids.sort();
    if commands_digest(ids) == digest {
        return Vec::new();
    }
    let may_hold =
        |command: &Standing| command.kind == CommandKind::Announce && command.ended && !command.is_over();
    let some_to_cancel = for_it().any(may_hold);
    let cancels = for_it().filter(|command| some_to_cancel && command.kind == CommandKind::Cancel);
    let all = backlog == 0 && in_force.iter().all(|command| command.is_confirmed());
    let lacking = in_force.iter().copied().filter(|command| all || !command.is_confirmed());
    let updates = for_it().filter(|command| {
        some_to_cancel && may_hold(command) && command.supersedes && !command.is_confirmed()
    });
    cancels.chain(lacking).chain(updates).map(|command| &command.id).take(RESEND_MAX).collect()
}

/// A document, which stays in force until a newer version takes its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentName {
    /// First, since it decides what else a box takes.
    Groups,
    Policy,
    /// Before programmes, as its audio is fetched before theirs.
    Prepared,
    LocalEmergency,
    Programme(ProgrammeId),
    /// Last: nothing else waits for it.
    Software,
}

impl std::fmt::Display for DocumentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DocumentName::Groups => f.write_str("groups"),
            DocumentName::Policy => f.write_str("policy"),
            DocumentName::Prepared => f.write_str("prepared"),
            DocumentName::LocalEmergency => f.write_str("local_emergency"),
            DocumentName::Programme(id) => write!(f, "programme/{id}"),
            DocumentName::Software => f.write_str("software"),
        }
    }
}

impl DocumentName {
    /// Finds the document of this name.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "groups" => Some(DocumentName::Groups),
            "policy" => Some(DocumentName::Policy),
            "prepared" => Some(DocumentName::Prepared),
            "local_emergency" => Some(DocumentName::LocalEmergency),
            "software" => Some(DocumentName::Software),
            _ => Some(DocumentName::Programme(text.strip_prefix("programme/")?.parse().ok()?)),
        }
    }

    /// Returns the version that a box holds, 0 for none.
    pub fn held(&self, holds: &Holds) -> u32 {
        match self {
            DocumentName::Groups => holds.groups,
            DocumentName::Policy => holds.policy,
            DocumentName::Prepared => holds.prepared,
            DocumentName::LocalEmergency => holds.local_emergency,
            DocumentName::Software => holds.software,
            DocumentName::Programme(id) => holds.programmes.get(id).copied().unwrap_or(0),
        }
    }
}

/// A command that carries a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub name: DocumentName,
    pub version: u32,
    pub command: CommandId,
    pub groups: Vec<GroupId>,
}

/// The documents that a box lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentsToSend<'a> {
    /// The trust document, before all else.
    pub trust: bool,
    /// In the order in which the box needs them.
    pub commands: Vec<&'a CommandId>,
}

/// Highest version that a box is believed to hold. Beyond it stands a number that a key of its village chose, or a lie;
/// central goes on from its own, and what stands above that key takes its place.
pub const HELD_MAX: u32 = u32::MAX / 2;

/// Chooses the documents to send to a box that is in the groups `member_of` and says what it holds: of each name the
/// newest that was meant for one of its groups, where the box's is older.
pub fn documents_to_send<'a>(
    holds: &Holds,
    trust_version: u32,
    member_of: &[GroupId],
    documents: &'a [Document],
) -> DocumentsToSend<'a> {
    let mut newest: BTreeMap<&DocumentName, &Document> = BTreeMap::new();
    for document in documents.iter().filter(|document| is_for(&document.groups, member_of)) {
        let best = newest.entry(&document.name).or_insert(document);
        if best.version < document.version {
            *best = document;
        }
    }
    let lacks = |document: &&Document| {
        let held = document.name.held(holds);
        held < document.version || (held > document.version && held > HELD_MAX)
    };
    let lacking = newest.into_values().filter(lacks);
    let commands = lacking.map(|document| &document.command).take(RESEND_MAX).collect();
    DocumentsToSend { trust: holds.trust < trust_version, commands }
}

fn is_for(groups: &[GroupId], member_of: &[GroupId]) -> bool {
    groups.iter().any(|group| member_of.contains(group))
}

/// Tells whether to send a command again to a box that got it `times` times, the last `since` ago, and still lacks it.
/// A lost message is made good at once; one that the box keeps refusing must not eat up its data.
pub fn is_due_again(times: u32, since: Span) -> bool {
    times < RESENDS_AT_ONCE_MAX || since >= RESEND_LATER
}

/// Returns the groups that a box is in: those named, and all above them by `child -> parent`.
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

/// Chooses the second from now at which a box may start to upload, while `connecting` boxes have said hello lately: at
/// once in a small commune, spread evenly by the box's name after a regional power cut.
pub fn upload_after_s(id: &BoxId, connecting: u32) -> u32 {
    let window_s = connecting / UPLOADS_A_SECOND;
    let hash = ContentHash::of(id.as_str().as_bytes()).0;
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).checked_rem(window_s).unwrap_or(0)
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

    fn of(name: &str, to: &str, kind: CommandKind, step: Option<Step>) -> Standing {
        let (ended, supersedes) = (name.contains("ended"), name.starts_with("update"));
        Standing { id: id(name), groups: vec![group(to)], kind, ended, supersedes, step }
    }

    fn commands() -> Vec<Standing> {
        vec![
            of("b", "xa", CommandKind::Announce, Some(Step::Received)),
            of("a", "thon-1", CommandKind::Announce, Some(Step::Sent)),
            of("done", "xa", CommandKind::Announce, Some(Step::Finished)),
            of("held-ended", "xa", CommandKind::Announce, Some(Step::Staged)),
            of("refused", "xa", CommandKind::Announce, Some(Step::Refused)),
            of("else", "thon-2", CommandKind::Announce, None),
            of("stop", "xa", CommandKind::Cancel, None),
            of("programme", "xa", CommandKind::Other, None),
        ]
    }

    fn check(commands: &[Standing], held: &[&str], backlog: u64, expected: &[&str]) {
        let mut held: Vec<_> = held.iter().map(|name| id(name)).collect();
        held.sort();
        let sent = to_send(&commands_digest(&held), backlog, &[group("thon-1"), group("xa")], commands);
        let expected: Vec<_> = expected.iter().map(|name| id(name)).collect();
        assert_eq!(sent, expected.iter().collect::<Vec<_>>(), "{held:?}");
    }

    #[test]
    fn a_box_gets_what_it_lacks_and_nothing_when_digests_agree() {
        let mut all = commands();
        check(&all, &["b", "a"], 0, &[]);
        check(&all, &["b"], 0, &["stop", "a"]);
        check(&all, &["b", "a", "held-ended"], 0, &["stop", "a"]);
        all[1].step = Some(Step::Received);
        check(&all, &["b", "a", "held-ended"], 7, &["stop"]);
        all[3].step = Some(Step::Cancelled);
        check(&all, &["a", "b"], 0, &[]);
        check(&all, &["a"], 7, &[]);
        check(&all, &[], 0, &["b", "a"]);
        all.push(of("update-ended", "xa", CommandKind::Announce, None));
        all[3].step = Some(Step::Staged);
        check(&all, &["a", "b", "held-ended"], 0, &["stop", "b", "a", "update-ended"]);
        all[3].step = Some(Step::Cancelled);
        all[0].step = Some(Step::Finished);
        check(&all, &["a"], 0, &[]);
    }

    #[test]
    fn a_box_gets_the_newest_of_each_document_that_is_for_it() {
        let document = |name: &str, version: u32, to: &str| Document {
            name: DocumentName::from_text(name).unwrap(),
            version,
            command: id(&format!("{}-{version}", name.replace('/', "-"))),
            groups: vec![group(to)],
        };
        let all = [
            document("programme/tinh", 4, "tinh"),
            document("programme/xa", 2, "xa"),
            document("programme/xa", 3, "xa"),
            document("programme/thon-2", 9, "thon-2"),
            document("policy", 1, "xa"),
            document("policy", 2, "thon-2"),
            document("groups", 7, "xa"),
        ];
        let check = |holds: (u32, u32, &[(&str, u32)]), expected: (bool, &[&str])| {
            let (trust, policy, programmes) = holds;
            let programmes = programmes.iter().map(|(id, version)| (id.parse().unwrap(), *version));
            let holds = Holds {
                commands: String::new(),
                programmes: programmes.collect(),
                trust,
                policy,
                groups: policy.saturating_mul(7),
                ..Holds::default()
            };
            let found = documents_to_send(&holds, 3, &[group("thon-1"), group("xa")], &all);
            let names: Vec<_> = found.commands.iter().map(|id| id.as_str()).collect();
            assert_eq!((found.trust, names.as_slice()), expected);
        };
        check((3, 0, &[]), (false, &["groups-7", "policy-1", "programme-xa-3"]));
        check((2, 1, &[("xa", 2)]), (true, &["programme-xa-3"]));
        check((4, 1, &[("xa", 3)]), (false, &[]));
        // A box that holds more than central ever sent keeps it.
        check((3, 5, &[("xa", 8)]), (false, &[]));
        // What a village's key numbered to keep all others away is not what central sent.
        check((3, u32::MAX, &[("xa", 3)]), (false, &["groups-7", "policy-1"]));
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
        assert_eq!(after(&[Received, Staged, Started, Interrupted, Started]), Interrupted);
        assert_eq!(after(&[Received, Staged, Started, Finished]), Finished);
        assert_eq!(after(&[Finished, Received]), Finished);
        assert_eq!(after(&[Staged, Received, Sent]), Staged);
        assert_eq!(after(&[Started, Received]), Started);
        assert_eq!(after(&[Received, Refused]), Received);
        assert_eq!(after(&[Refused]), Refused);
        assert_eq!(after(&[Refused, Received]), Received);
        assert_eq!(after(&[Cancelled, Refused, Started]), Cancelled);
        // The clock of the box was ahead.
        assert_eq!(after(&[Received, Expired, Sent, Received, Started]), Started);
        assert_eq!(after(&[Received, Expired, Started]), Expired);
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
        let (count, seconds) = (10_000, 10_000 / UPLOADS_A_SECOND);
        let boxes = (0..count).map(|n| BoxId::new(format!("loa-{n}")).unwrap());
        let slots: Vec<_> = boxes.map(|id| upload_after_s(&id, count)).collect();
        assert!(slots.iter().all(|s| *s < seconds));
        for second in 0..seconds {
            let of_it = slots.iter().filter(|s| **s == second).count() as u32;
            assert!((UPLOADS_A_SECOND / 2..UPLOADS_A_SECOND * 3 / 2).contains(&of_it), "{second}: {of_it}");
        }
        assert_eq!(upload_after_s(&BoxId::new("loa-1").unwrap(), UPLOADS_A_SECOND - 1), 0);
        assert_eq!(upload_after_s(&BoxId::new("loa-1").unwrap(), 0), 0);
    }
}
