//! What becomes of a CAP alert: said to which groups, as what class, in which languages; or why not.
//!
//! Deliberately absent: who signs. An alert is never more than a draft until keys of the trust document sign it.

use crate::config::cap::{Alert, Info, Kind, Scope, Status, Urgency};
use crate::config::cap_policy::{CapPolicy, Place, Threshold};
use crate::domain::announcement::{BulletinClass, Mode};
use crate::domain::ids::GroupId;
use crate::domain::time::Wall;
use crate::said;
use crate::texts::{Say, Sentence};

/// Longest title made of an alert, in characters.
const TITLE_CHARS_MAX: usize = 120;

/// What is to be said in one language.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Said {
    pub groups: Vec<GroupId>,
    pub class: BulletinClass,
    pub mode: Mode,
    pub language: String,
    pub title: String,
    pub text: String,
    /// Not before.
    pub at: Option<Wall>,
    pub expires: Option<Wall>,
}

/// What becomes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Say(Vec<Said>),
    /// What it names ends.
    End,
    Nothing(Why),
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum Why {
    Sender,
    NotPublic,
    NotForPeople,
    Answer,
    Over,
    Elsewhere,
    Language,
}

impl Say for Why {
    fn say(&self) -> Sentence {
        match self {
            Why::Sender => said!("cap_ignored.sender"),
            Why::NotPublic => said!("cap_ignored.not_public"),
            Why::NotForPeople => said!("cap_ignored.not_for_people"),
            Why::Answer => said!("cap_ignored.answer"),
            Why::Over => said!("cap_ignored.over"),
            Why::Elsewhere => said!("cap_ignored.elsewhere"),
            Why::Language => said!("cap_ignored.language"),
        }
    }
}

/// Judges an alert that was read and whose source was believed.
pub fn judge(alert: &Alert, policy: &CapPolicy, now: Wall) -> Verdict {
    if !policy.senders.is_empty() && !policy.senders.contains(&alert.sender) {
        return Verdict::Nothing(Why::Sender);
    }
    if alert.scope != Scope::Public {
        return Verdict::Nothing(Why::NotPublic);
    }
    let mode = match alert.status {
        Status::Actual => Mode::Actual,
        Status::Exercise => Mode::Exercise,
        Status::Test => Mode::Test,
        Status::Draft | Status::System => return Verdict::Nothing(Why::NotForPeople),
    };
    match alert.kind {
        Kind::Alert | Kind::Update(_) => {}
        Kind::Cancel(_) => return Verdict::End,
        Kind::Ack(_) | Kind::Error(_) => return Verdict::Nothing(Why::Answer),
    }
    let over =
        |info: &Info| info.urgency == Urgency::Past || info.expires.is_some_and(|expires| expires <= now);
    let live: Vec<_> = alert.infos.iter().filter(|info| !over(info)).collect();
    if live.is_empty() {
        return Verdict::Nothing(Why::Over);
    }
    let here: Vec<_> = live
        .into_iter()
        .map(|info| (info, groups(info, policy)))
        .filter(|(_, groups)| !groups.is_empty())
        .collect();
    if here.is_empty() {
        return Verdict::Nothing(Why::Elsewhere);
    }
    let spoken = policy.languages.iter().flat_map(|language| {
        let mine = here.iter().filter(move |(info, _)| speaks(info, language));
        mine.map(move |(info, groups)| said(info, groups.clone(), mode, language, policy, now))
    });
    let spoken: Vec<_> = spoken.collect();
    if spoken.is_empty() { Verdict::Nothing(Why::Language) } else { Verdict::Say(spoken) }
}

/// The groups for which a block holds.
fn groups(info: &Info, policy: &CapPolicy) -> Vec<GroupId> {
    let reached = |place: &&Place| info.areas.iter().any(|area| area.reaches(place.at, &place.codes));
    policy.places.iter().filter(reached).map(|place| place.group.clone()).collect()
}

/// `vi` is spoken by a block in `vi` and in `vi-vn`.
fn speaks(info: &Info, language: &str) -> bool {
    let rest = info.language.strip_prefix(&language.to_ascii_lowercase());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn said(
    info: &Info,
    groups: Vec<GroupId>,
    mode: Mode,
    language: &str,
    policy: &CapPolicy,
    now: Wall,
) -> Said {
    let title = info.headline.as_ref().unwrap_or(&info.event);
    let parts = [Some(title), info.description.as_ref(), info.instruction.as_ref()];
    let sentences = parts.into_iter().flatten().map(|part| {
        let words = part.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.ends_with(['.', '!', '?']) { words } else { format!("{words}.") }
    });
    let line: String = title.split_whitespace().collect::<Vec<_>>().join(" ");
    Said {
        groups,
        class: class(info, policy),
        mode,
        language: language.to_owned(),
        title: line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect(),
        text: sentences.collect::<Vec<_>>().join(" "),
        at: info.effective.filter(|effective| *effective > now),
        expires: info.expires,
    }
}

fn class(info: &Info, policy: &CapPolicy) -> BulletinClass {
    if let Some((_, class)) = policy.events.iter().find(|(event, _)| *event == info.event) {
        return *class;
    }
    // The gravest is the least; what is unknown is the last.
    let reaches = |least: &Threshold| {
        info.severity <= least.severity && info.urgency <= least.urgency && info.certainty <= least.certainty
    };
    if reaches(&policy.emergency) {
        BulletinClass::Emergency
    } else if reaches(&policy.priority) {
        BulletinClass::Priority
    } else {
        BulletinClass::Normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cap::{self, Certainty, Named, Point, Severity};

    const FLOOD: &str = include_str!("../../../tests/fixtures/cap/lu-quet.xml");

    fn named(value: &str) -> Vec<Named> {
        vec![Named { name: "DVHC".to_owned(), value: value.to_owned() }]
    }

    fn policy() -> CapPolicy {
        let place = |group: &str, at, codes| Place { group: group.parse().unwrap(), at, codes };
        CapPolicy {
            senders: vec!["canhbao@kttv.example.vn".to_owned()],
            languages: vec!["vi".to_owned(), "en".to_owned()],
            events: Vec::new(),
            emergency: Threshold {
                severity: Severity::Severe,
                urgency: Urgency::Expected,
                certainty: Certainty::Likely,
            },
            priority: Threshold {
                severity: Severity::Moderate,
                urgency: Urgency::Future,
                certainty: Certainty::Possible,
            },
            places: vec![
                place("thon-dong", Point::new(21.15, 105.3), Vec::new()),
                place("thon-xa", Point::new(10.0, 105.3), named("26-9999")),
                place("xa", None, named("26-0417")),
            ],
        }
    }

    fn judged(change: &[(&str, &str)], policy: &CapPolicy) -> Verdict {
        let text = change.iter().fold(FLOOD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let now = "2026-11-19T22:00:00Z".parse().unwrap();
        judge(&cap::read(text.as_bytes()).unwrap(), policy, now)
    }

    #[test]
    fn a_flood_is_said_to_those_whom_it_reaches_in_each_language() {
        let Verdict::Say(said) = judged(&[], &policy()) else { panic!("something is said") };
        let [vi, en] = &said[..] else { panic!("two languages") };
        assert_eq!(vi.groups.iter().map(GroupId::as_str).collect::<Vec<_>>(), ["thon-dong", "xa"]);
        assert_eq!(en.groups.iter().map(GroupId::as_str).collect::<Vec<_>>(), ["xa"]);
        assert_eq!((vi.class, vi.mode, vi.language.as_str()), (BulletinClass::Emergency, Mode::Actual, "vi"));
        assert_eq!(vi.title, "Cảnh báo lũ quét, sạt lở đất trong 6 giờ tới");
        assert!(vi.text.starts_with("Cảnh báo lũ quét, sạt lở đất trong 6 giờ tới. Mưa rất to"));
        assert!(vi.text.ends_with("nhà văn hóa thôn."));
        assert_eq!(vi.expires, Some("2026-11-20T03:00:00Z".parse().unwrap()));
    }

    fn check_class(change: &[(&str, &str)], events: &[(&str, BulletinClass)], expected: BulletinClass) {
        let events = events.iter().map(|(event, class)| ((*event).to_owned(), *class)).collect();
        let Verdict::Say(said) = judged(change, &CapPolicy { events, ..policy() }) else { panic!("said") };
        assert_eq!(said[0].class, expected);
    }

    #[test]
    fn the_class_follows_the_policy() {
        use BulletinClass::*;
        check_class(&[(">Extreme<", ">Severe<")], &[], Emergency);
        check_class(&[(">Extreme<", ">Moderate<")], &[], Priority);
        check_class(&[(">Likely<", ">Possible<")], &[], Priority);
        check_class(&[(">Immediate<", ">Unknown<")], &[], Normal);
        check_class(&[(">Extreme<", ">Unknown<")], &[], Normal);
        check_class(&[], &[("Lũ quét", Normal)], Normal);
        check_class(&[(">Extreme<", ">Minor<")], &[("Lũ quét", Emergency)], Emergency);
    }

    #[test]
    fn what_is_not_for_the_loudspeakers_is_named() {
        let check = |change: &[(&str, &str)], why| {
            assert_eq!(judged(change, &policy()), Verdict::Nothing(why), "{change:?}");
        };
        check(&[("canhbao@", "ai-do@")], Why::Sender);
        check(
            &[("<scope>Public</scope>", "<scope>Restricted</scope><restriction>nội bộ</restriction>")],
            Why::NotPublic,
        );
        check(&[(">Actual<", ">Draft<")], Why::NotForPeople);
        check(&[(">Actual<", ">System<")], Why::NotForPeople);
        check(&[(">Immediate<", ">Past<")], Why::Over);
        check(&[("2026-11-20T10:00:00", "2026-11-20T04:59:00")], Why::Over);
        check(&[("26-0417", "26-0001"), ("21.10,", "1.10,"), ("21.20,", "1.20,")], Why::Elsewhere);
        let french = CapPolicy { languages: vec!["fr".to_owned(), "v".to_owned()], ..policy() };
        assert_eq!(judged(&[], &french), Verdict::Nothing(Why::Language));
    }

    #[test]
    fn exercises_stay_exercises_and_cancels_end() {
        let note = ("<scope>Public</scope>", "<scope>Public</scope><note>Diễn tập</note>");
        let Verdict::Say(said) = judged(&[(">Actual<", ">Exercise<"), note], &policy()) else {
            panic!("said")
        };
        assert_eq!(said[0].mode, Mode::Exercise);
        let references = (
            "<scope>Public</scope>",
            "<scope>Public</scope><references>a,b,2026-11-20T04:17:00+07:00</references>",
        );
        assert_eq!(judged(&[(">Alert<", ">Cancel<"), references], &policy()), Verdict::End);
        assert_eq!(judged(&[(">Alert<", ">Ack<"), references], &policy()), Verdict::Nothing(Why::Answer));
    }
}
