//! The decision about a CAP alert: to which groups it is said, as what class and in which languages, or why it is not
//! said.
//!
//! Deliberately absent: who signs. An alert is never more than a draft until keys of the trust document sign it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::cap::{Alert, Info, Kind, Scope, Status, Urgency};
use crate::config::cap_policy::{CapPolicy, Place, Threshold};
use crate::domain::announcement::{BulletinClass, Mode};
use crate::domain::ids::{ContentHash, GroupId};
use crate::domain::time::{Span, Wall};
use crate::said;
use crate::texts::{Say, Sentence};

/// Longest title made of an alert, in characters.
const TITLE_CHARS_MAX: usize = 120;

/// Longest text made of an alert, in bytes: half an hour of speech, and below what a command carries.
const TEXT_BYTES_MAX: usize = 16_000;

/// Life of an alert without an expiry, from when it was sent: an old one that is sent again is not news.
const HOLDS_WITHOUT_EXPIRY: Span = Span::secs(24 * 3_600);

/// An announcement to be made of an alert, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The danger is over: no siren.
    #[serde(default)]
    pub all_clear: bool,
}

/// A decision on an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Say(Vec<Said>),
    /// A person decides whether it is said to all groups.
    Ask(Why, Vec<Said>),
    /// The alerts that this one names end.
    End,
    Nothing(Why),
}

/// A reason why an alert says nothing.
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
    OtherSender,
    NoPlace,
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
            Why::OtherSender => said!("cap_ignored.other_sender"),
            Why::NoPlace => said!("cap_ignored.no_place"),
        }
    }
}

/// A party that vouches for an alert. The sender that an alert names is only text until one of these stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voucher {
    /// Staff, with the token of the API.
    Staff,
    /// A caller with the token for alerts.
    Token,
    /// A feed, by the origin of its address.
    Feed(String),
    /// The certificates, by their hash, that signed it as a whole.
    Signers(BTreeSet<ContentHash>),
}

impl Voucher {
    /// Says whether this one's word for an alert counts in place of that of `other`: a feed tells of its own alerts, which
    /// others may have passed on before.
    pub fn outranks(&self, other: &Self) -> bool {
        matches!((self, other), (Voucher::Feed(_), Voucher::Token | Voucher::Staff))
    }

    /// Says whether what `other` vouched for may be taken back by what this one vouches for.
    fn speaks_for(&self, other: &Self) -> bool {
        match (self, other) {
            // Staff may stop everything.
            (Voucher::Staff, _) => true,
            (Voucher::Signers(own), Voucher::Signers(others)) => {
                !others.is_empty() && own.is_superset(others)
            }
            _ => self == other,
        }
    }
}

/// An alert, as far as it can end another one or be ended.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Unknown for alerts that were taken before this was kept.
    pub voucher: Option<&'a Voucher>,
    pub mode: Mode,
    pub said: &'a [Said],
}

impl Standing<'_> {
    fn is_emergency(&self) -> bool {
        let class = |said: &Said| said.class == BulletinClass::Emergency;
        self.mode == Mode::Actual && self.said.iter().any(class)
    }

    fn is_all_clear(&self) -> bool {
        self.said.iter().all(|said| said.all_clear)
    }
}

/// The power of an alert over another one that it cancels or updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Ends,
    /// Only if a person says so.
    Asks(WhyAsk),
    /// An exercise or a test ends nothing that is real, whoever approves it, nor the reverse.
    Never,
}

/// A reason why an alert does not end another one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum WhyAsk {
    OtherVoucher,
    Lesser,
}

impl Say for WhyAsk {
    fn say(&self) -> Sentence {
        match self {
            WhyAsk::OtherVoucher => said!("cap_asks.other_voucher"),
            WhyAsk::Lesser => said!("cap_asks.lesser"),
        }
    }
}

/// Judges whether `by` ends `target`, which it names. A cancel says nothing itself, as does an update that holds here no
/// more; both end what their own voucher said.
pub fn reach(by: Standing<'_>, target: Standing<'_>) -> Reach {
    if by.mode != target.mode {
        return Reach::Never;
    }
    let is_own = by.voucher.zip(target.voucher).is_some_and(|(by, target)| by.speaks_for(target))
        || by.voucher == Some(&Voucher::Staff);
    if !is_own {
        Reach::Asks(WhyAsk::OtherVoucher)
    } else if target.is_emergency() && !by.is_emergency() && !by.is_all_clear() {
        Reach::Asks(WhyAsk::Lesser)
    } else {
        Reach::Ends
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
    let Some(mode) = mode(alert.status) else { return Verdict::Nothing(Why::NotForPeople) };
    match alert.kind {
        Kind::Alert | Kind::Update(_) => {}
        Kind::Cancel(_) => return Verdict::End,
        Kind::Ack(_) | Kind::Error(_) => return Verdict::Nothing(Why::Answer),
    }
    // An all-clear speaks of what is past.
    let over = |info: &Info| {
        info.urgency == Urgency::Past && !info.is_all_clear()
            || info.expires.unwrap_or(alert.sent.plus(HOLDS_WITHOUT_EXPIRY)) <= now
    };
    let live: Vec<_> = alert.infos.iter().filter(|info| !over(info)).collect();
    if live.is_empty() {
        return Verdict::Nothing(Why::Over);
    }
    let here: Vec<_> = live
        .iter()
        .map(|info| (*info, groups(info, policy)))
        .filter(|(_, groups)| !groups.is_empty())
        .collect();
    if !here.is_empty() {
        let spoken = spoken(&here, mode, policy, now);
        return if spoken.is_empty() { Verdict::Nothing(Why::Language) } else { Verdict::Say(spoken) };
    }
    let everywhere: BTreeSet<_> = policy.places.iter().map(|place| place.group.clone()).collect();
    let everywhere: Vec<_> = everywhere.into_iter().collect();
    let is_placed = |info: &Info| !info.areas.is_empty() && info.areas.iter().all(|area| area.is_placed());
    let nowhere: Vec<_> =
        live.into_iter().filter(|info| !is_placed(info)).map(|info| (info, everywhere.clone())).collect();
    let spoken = spoken(&nowhere, mode, policy, now);
    match (nowhere.is_empty(), spoken.is_empty()) {
        (true, _) => Verdict::Nothing(Why::Elsewhere),
        (false, true) => Verdict::Nothing(Why::Language),
        (false, false) => Verdict::Ask(Why::NoPlace, spoken),
    }
}

/// The mode of what an alert of this status says; `None` for what is not said to people.
pub const fn mode(status: Status) -> Option<Mode> {
    match status {
        Status::Actual => Some(Mode::Actual),
        Status::Exercise => Some(Mode::Exercise),
        Status::Test => Some(Mode::Test),
        Status::Draft | Status::System => None,
    }
}

fn spoken(blocks: &[(&Info, Vec<GroupId>)], mode: Mode, policy: &CapPolicy, now: Wall) -> Vec<Said> {
    let in_language = |language: &String| {
        let mine = blocks.iter().filter(|(info, _)| speaks(info, language));
        mine.map(|(info, groups)| said(info, groups.clone(), mode, language, policy, now)).collect::<Vec<_>>()
    };
    policy.languages.iter().flat_map(in_language).collect()
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
    Said {
        groups,
        class: class(info, policy),
        mode,
        language: language.to_owned(),
        title: self::title(title),
        text: shortened(sentences.collect::<Vec<_>>().join(" ")),
        at: info.effective.filter(|effective| *effective > now),
        expires: info.expires,
        all_clear: info.is_all_clear(),
    }
}

/// One line for a list, without control characters.
pub fn title(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect()
}

/// Keeps whole sentences up to the bound, or whole words where there is no sentence.
fn shortened(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let bound = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let kept = &text[..bound];
    let end = kept.rfind(". ").map(|at| at + 1).or_else(|| kept.rfind(' ')).unwrap_or(kept.len());
    kept[..end].to_owned()
}

fn class(info: &Info, policy: &CapPolicy) -> BulletinClass {
    let named = policy.events.iter().find(|(event, _)| *event == info.event);
    // The gravest is the least; what is unknown is the last.
    let reaches = |least: &Threshold| {
        info.severity <= least.severity && info.urgency <= least.urgency && info.certainty <= least.certainty
    };
    let class = match named {
        Some((_, class)) => *class,
        None if reaches(&policy.emergency) => BulletinClass::Emergency,
        None if reaches(&policy.priority) => BulletinClass::Priority,
        None => BulletinClass::Normal,
    };
    // Nobody is frightened by news that the danger is over, nor do they wait for tomorrow's programme.
    let is_lowered = named.is_none() || class == BulletinClass::Emergency;
    if info.is_all_clear() && is_lowered { BulletinClass::Priority } else { class }
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
    fn what_takes_effect_later_is_said_then() {
        let at = |effective: &str| {
            let change = ("<effective>2026-11-20T04:17:00", effective);
            let Verdict::Say(said) = judged(&[change], &policy()) else { panic!("said") };
            said[0].at
        };
        let later: Wall = "2026-11-19T23:30:00Z".parse().unwrap();
        assert_eq!(at("<effective>2026-11-20T06:30:00"), Some(later));
        assert_eq!(at("<effective>2026-11-20T04:59:00"), None);
    }

    #[test]
    fn a_text_is_cut_only_beyond_the_bound_and_at_a_sentence() {
        let fits = format!("{}. b", "a".repeat(TEXT_BYTES_MAX - 3));
        assert_eq!(shortened(fits.clone()), fits);
        assert_eq!(shortened(format!("{fits}c")), fits.trim_end_matches(" b"));
        let words = format!("{} b", "ạ".repeat(TEXT_BYTES_MAX / 3 - 1));
        assert_eq!(shortened(format!("{words} và nữa")), words);
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
        let endless = ("<expires>2026-11-20T10:00:00+07:00</expires>", "");
        assert!(matches!(judged(&[endless], &policy()), Verdict::Say(_)));
        check(&[endless, ("<sent>2026-11-20T", "<sent>2026-11-18T")], Why::Over);
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

    #[test]
    fn an_all_clear_is_no_emergency() {
        let all_clear = (">Evacuate<", ">AllClear<");
        let minor = (">Extreme<", ">Minor<");
        for change in [&[all_clear][..], &[all_clear, minor, (">Immediate<", ">Past<")]] {
            let events = vec![("Lũ quét".to_owned(), BulletinClass::Emergency)];
            for policy in [policy(), CapPolicy { events, ..policy() }] {
                let Verdict::Say(said) = judged(change, &policy) else { panic!("said") };
                assert!(said[0].all_clear && said[0].class == BulletinClass::Priority, "{said:?}");
            }
        }
        let both =
            (">Evacuate</responseType>", ">AllClear</responseType><responseType>Shelter</responseType>");
        check_class(&[both], &[], BulletinClass::Emergency);
    }

    #[test]
    fn what_has_no_place_is_asked_about() {
        let all = ["thon-dong", "thon-xa", "xa"];
        let check = |text: &str| {
            let now = "2026-11-19T22:00:00Z".parse().unwrap();
            let found = judge(&cap::read(text.as_bytes()).unwrap(), &policy(), now);
            let Verdict::Ask(Why::NoPlace, said) = found else { panic!("{found:?}") };
            assert_eq!(said[0].groups.iter().map(GroupId::as_str).collect::<Vec<_>>(), all);
        };
        let parts: Vec<_> = FLOOD.split("<area>").collect();
        let without = parts.iter().map(|part| part.split_once("</area>").map_or(*part, |(_, rest)| rest));
        check(&without.collect::<String>());
        let described = parts.iter().map(|part| match part.split_once("</area>") {
            Some((_, rest)) => format!("<area><areaDesc>Toàn tỉnh</areaDesc></area>{rest}"),
            None => (*part).to_owned(),
        });
        check(&described.collect::<String>());
    }

    #[test]
    fn a_long_text_is_cut_after_a_sentence() {
        let long = "Mưa rất to, sông dâng. ".repeat(2_000);
        let Verdict::Say(said) = judged(&[("Mưa rất to,", &long)], &policy()) else { panic!("said") };
        assert!(
            said[0].text.len() <= TEXT_BYTES_MAX && said[0].text.ends_with("dâng."),
            "{}",
            said[0].text.len()
        );
    }

    fn block(class: BulletinClass, mode: Mode, all_clear: bool) -> Said {
        Said {
            groups: vec!["xa".parse().unwrap()],
            class,
            mode,
            language: "vi".to_owned(),
            title: String::new(),
            text: String::new(),
            at: None,
            expires: None,
            all_clear,
        }
    }

    #[test]
    fn ending_another_alert_needs_its_voucher_its_mode_and_its_weight() {
        use BulletinClass::{Emergency, Normal, Priority};
        let signed = |keys: &[u8]| Voucher::Signers(keys.iter().map(|key| ContentHash([*key; 32])).collect());
        let feed = |host: &str| Voucher::Feed(host.to_owned());
        let emergency = [block(Emergency, Mode::Actual, false)];
        let priority = [block(Priority, Mode::Actual, false)];
        let normal = [block(Normal, Mode::Actual, false)];
        let all_clear = [block(Priority, Mode::Actual, true)];
        let check = |by: (&Voucher, Mode, &[Said]), target: (&Voucher, Mode, &[Said]), expected| {
            let standing = |(voucher, mode, said)| Standing { voucher: Some(voucher), mode, said };
            assert_eq!(reach(standing(by), standing(target)), expected, "{by:?} {target:?}");
        };
        let (a, actual) = (feed("https://a"), Mode::Actual);
        let other = Reach::Asks(WhyAsk::OtherVoucher);
        let lesser = Reach::Asks(WhyAsk::Lesser);
        check((&a, actual, &[]), (&a, actual, &emergency), Reach::Ends);
        check((&a, actual, &emergency), (&a, actual, &emergency), Reach::Ends);
        check((&a, actual, &emergency), (&a, actual, &normal), Reach::Ends);
        check((&a, actual, &all_clear), (&a, actual, &emergency), Reach::Ends);
        check((&a, actual, &priority), (&a, actual, &emergency), lesser);
        check((&a, actual, &normal), (&a, actual, &priority), Reach::Ends);
        check((&a, Mode::Test, &[]), (&a, actual, &emergency), Reach::Never);
        check((&a, Mode::Exercise, &emergency), (&a, actual, &normal), Reach::Never);
        check((&a, actual, &[]), (&a, Mode::Exercise, &emergency), Reach::Never);
        check((&Voucher::Staff, Mode::Test, &[]), (&a, actual, &emergency), Reach::Never);
        check((&Voucher::Staff, actual, &[]), (&a, actual, &emergency), Reach::Ends);
        check((&a, actual, &[]), (&Voucher::Staff, actual, &emergency), other);
        check((&feed("https://b"), actual, &[]), (&a, actual, &emergency), other);
        check((&Voucher::Token, actual, &[]), (&a, actual, &emergency), other);
        check((&a, actual, &[]), (&signed(&[1]), actual, &emergency), other);
        check((&signed(&[1]), actual, &[]), (&signed(&[1]), actual, &emergency), Reach::Ends);
        check((&signed(&[2]), actual, &[]), (&signed(&[1]), actual, &emergency), other);
        check((&signed(&[1, 2]), actual, &[]), (&signed(&[1]), actual, &emergency), Reach::Ends);
        check((&signed(&[1]), actual, &[]), (&signed(&[1, 2]), actual, &emergency), other);
        check((&signed(&[]), actual, &[]), (&signed(&[]), actual, &emergency), other);
        let unknown = Standing { voucher: None, mode: actual, said: &emergency };
        let by = |voucher| Standing { voucher, mode: actual, said: &[] };
        assert_eq!(reach(by(Some(&a)), unknown), other);
        assert_eq!(reach(by(None), unknown), other);
        assert_eq!(reach(by(Some(&Voucher::Staff)), unknown), Reach::Ends);
    }
}
