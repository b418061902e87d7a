//! The reckoning of a box's day: what was due, what of it sounded, what did not and why, and of what nobody knows.
//!
//! Pure: the same facts give the same sums, whenever they are reckoned.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::{
    Airing, Announced, DayBox, DayFacts, DeliveryRow, DuePart, DueSession, Fate, Names, NotHeard, PlayRow,
    Settled, SumKey, Sums,
};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::announcement::{Mode, Repeats, Rung};
use loaxa_heart::domain::ids::{CampaignId, SectionId, SlotId};
use loaxa_heart::domain::playback::{NotPlayed, PlayOutcome, SlotKey, SlotOutcome, Subject};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::texts::visible;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Frames of a millisecond in the log.
const FRAMES_A_MS: u64 = 48;
/// Difference between planned and real lengths that is none: lengths of speech are estimates, and files are rounded.
const TOLERANCE_MS: u64 = 15_000;
/// The same, as a part of the session.
const TOLERANCE_PART: u64 = 50;
/// A session that began later than this began late.
const LATE: Span = Span::secs(30);

/// Reasons that no entry of the log names.
const NOT_HELD: &str = "not_held";
const JOINED_LATE: &str = "joined_late";
const SHORT: &str = "short";

/// An announcement that was due on the day, with its delivery to the box.
pub struct Due<'a> {
    pub announced: &'a Announced,
    pub delivery: &'a DeliveryRow,
}

/// Everything that a box's day follows from.
pub struct Day<'a> {
    pub now: Wall,
    pub place: &'a DayBox,
    pub names: &'a Names,
    pub facts: &'a DayFacts,
    pub due: Vec<Due<'a>>,
}

/// The parts that are added up together, before their names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    section: Option<SectionId>,
    campaign: Option<CampaignId>,
    responsible: String,
}

impl Day<'_> {
    /// Reckons the day.
    pub fn settle(&self) -> Settled {
        let mut settled = Settled::default();
        for session in self.place.sessions.iter() {
            self.session(session, &mut settled);
        }
        self.unplanned_slots(&mut settled);
        for due in &self.due {
            self.announcement(due, &mut settled);
        }
        self.live(&mut settled);
        debug_assert!(
            settled.sums.values().all(|it| it.planned_ms == it.aired_ms + it.missed_ms + it.unknown_ms)
        );
        settled
    }

    /// Plays of a subject; what is only a test is none.
    fn plays<'s>(&'s self, of: impl Fn(&Subject) -> bool + 's) -> Vec<&'s PlayRow> {
        let is_one = |play: &&PlayRow| of(&play.subject) && play.mode != Some(Mode::Test);
        self.facts.plays.iter().filter(is_one).collect()
    }

    fn is_known(&self, from: Wall, to: Wall) -> bool {
        self.facts.known.iter().any(|(first, last)| *first <= from && to <= *last)
    }

    fn session(&self, session: &DueSession, settled: &mut Settled) {
        let plays = self.plays(|subject| matches!(subject, Subject::Slot(key) if *key == session.key));
        let planned: u64 = session.parts.iter().map(|part| part.ms).sum();
        let end = self.facts.ends.get(&session.key.slot);
        if session.start > self.now && plays.is_empty() && end.is_none() {
            return;
        }
        let is_over = end.is_some() || session.end <= self.now;
        let aired_by = aired_by_part(&plays, &session.parts, self.names);
        let aired: u64 = aired_by.iter().map(|(_, ms)| ms).sum();
        let mut airing = Airing {
            subject: Subject::Slot(session.key.clone()),
            due: session.start,
            title: visible(&session.title).into_owned(),
            class: Rung::Programme,
            campaign: session.parts.iter().find_map(|part| part.campaign.clone()),
            fate: Fate::OnAir,
            reason: String::new(),
            planned_ms: planned,
            aired_ms: aired,
            sections: sections(session.parts.iter().filter_map(|part| part.section.clone()), &plays),
            people: self.people_of(session),
        };
        if !is_over {
            airing.fate = if plays.is_empty() { Fate::Unknown } else { Fate::OnAir };
            // Silence for a moment is no silence yet.
            if airing.fate == Fate::OnAir || self.now.since(session.start) > LATE {
                settled.airings.push(airing);
            }
            return;
        }
        let due: Vec<_> = session.parts.iter().map(|part| (part_of(part, self.names), part.ms)).collect();
        let account = self.account(session, &plays, planned, aired);
        let account = Account { is_programme: true, ..account };
        airing.planned_ms = account.planned;
        (airing.fate, airing.reason) = account.fate(aired);
        settled.airings.push(airing);
        self.add(Rung::Programme, &due, &aired_by, &account, &mut settled.sums);
    }

    /// Decides what is due and what the rest of it is.
    fn account(&self, session: &DueSession, plays: &[&PlayRow], planned: u64, aired: u64) -> Account {
        let rest = planned.saturating_sub(aired);
        let whole = Account { planned: aired, rest: Rest::None, is_programme: true };
        let part = |rest| Account { planned, rest, is_programme: true };
        match self.facts.ends.get(&session.key.slot).map(|end| &end.outcome) {
            _ if rest == 0 => part(Rest::None),
            Some(SlotOutcome::Aired { not_finished: 0, .. })
                if rest <= TOLERANCE_MS.max(planned / TOLERANCE_PART) =>
            {
                whole
            }
            Some(SlotOutcome::NotAired(reason)) => part(Rest::Missed(code_of(reason))),
            Some(SlotOutcome::Aired { .. }) => part(Rest::Missed(self.why_short(session, plays))),
            None if self.is_known(session.start, session.end) => {
                let reason =
                    if plays.is_empty() { NOT_HELD.to_owned() } else { self.why_short(session, plays) };
                part(Rest::Missed(reason))
            }
            None => part(Rest::Unknown),
        }
    }

    /// Finds why a session that sounded is shorter than it was planned.
    fn why_short(&self, session: &DueSession, plays: &[&PlayRow]) -> String {
        let broken =
            plays.iter().filter_map(|play| play.outcome.as_ref()).find_map(|outcome| match outcome {
                PlayOutcome::Finished | PlayOutcome::HardEnd => None,
                other => Some(outcome_code(other)),
            });
        let left_out = || {
            let of_session = |subject: &Subject| matches!(subject, Subject::Slot(key) if *key == session.key);
            let found = self.facts.not_played.iter().find(|(subject, _)| of_session(subject));
            found.map(|(_, reason)| code_of(reason))
        };
        let late = || {
            let first = plays.iter().map(|play| play.started.unwrap_or(play.opened)).min()?;
            (first.since(session.start) > LATE).then(|| JOINED_LATE.to_owned())
        };
        broken.or_else(left_out).or_else(late).unwrap_or_else(|| SHORT.to_owned())
    }

    fn people_of(&self, session: &DueSession) -> Vec<String> {
        let people: BTreeSet<String> =
            session.parts.iter().map(|part| part_of(part, self.names).responsible).collect();
        people.into_iter().filter(|name| !name.is_empty()).collect()
    }

    /// Slots that sounded, or did not, without a plan here: what an installer wrote on the box itself.
    fn unplanned_slots(&self, settled: &mut Settled) {
        let planned: BTreeSet<&SlotId> =
            self.place.sessions.iter().map(|session| &session.key.slot).collect();
        let mut others: BTreeMap<Subject, Vec<&PlayRow>> = BTreeMap::new();
        for play in self.plays(|subject| matches!(subject, Subject::Slot(_))) {
            if matches!(&play.subject, Subject::Slot(key) if !planned.contains(&key.slot)) {
                others.entry(play.subject.clone()).or_default().push(play);
            }
        }
        for (slot, end) in self.facts.ends.iter().filter(|(slot, _)| !planned.contains(slot)) {
            let subject = Subject::Slot(SlotKey { slot: slot.clone(), date: self.facts.day });
            let SlotOutcome::NotAired(reason) = &end.outcome else { continue };
            if others.contains_key(&subject) {
                continue;
            }
            settled.airings.push(Airing {
                subject,
                due: end.scheduled,
                title: visible(&end.title).into_owned(),
                class: Rung::Programme,
                campaign: None,
                fate: Fate::Missed,
                reason: code_of(reason),
                planned_ms: 0,
                aired_ms: 0,
                sections: Vec::new(),
                people: Vec::new(),
            });
        }
        for (subject, plays) in others {
            self.beside_the_plan(subject, &plays, Rung::Programme, settled);
        }
    }

    /// Adds what sounded without anybody here having planned it.
    fn beside_the_plan(&self, subject: Subject, plays: &[&PlayRow], class: Rung, settled: &mut Settled) {
        let aired_by = aired_by_part(plays, &[], self.names);
        let aired = aired_by.iter().map(|(_, ms)| ms).sum();
        let Some(first) = plays.first() else { return };
        let is_open = plays.iter().any(|play| play.outcome.is_none());
        settled.airings.push(Airing {
            subject,
            due: first.opened,
            title: first.title.clone(),
            class,
            campaign: first.campaign.clone(),
            fate: if is_open { Fate::OnAir } else { Fate::Aired },
            reason: String::new(),
            planned_ms: 0,
            aired_ms: aired,
            sections: sections(std::iter::empty(), plays),
            people: Vec::new(),
        });
        let account = Account { planned: 0, rest: Rest::None, is_programme: class == Rung::Programme };
        self.add(class, &[], &aired_by, &account, &mut settled.sums);
    }

    fn announcement(&self, due: &Due, settled: &mut Settled) {
        let (announced, delivery) = (due.announced, due.delivery);
        let row = &announced.row;
        let Ok(command) = codec::decode::<Command>(row.payload.as_bytes()) else { return };
        let Body::Announce { class, mode, plan, media, .. } = &command.body else { return };
        let plays =
            self.plays(|subject| matches!(subject, Subject::Announcement { command } if *command == row.id));
        let aired: u64 = plays.iter().map(|play| ms_of(play)).sum();
        let once = media.as_ref().map(|media| {
            u64::from(media.ms) + plan.opening.as_ref().map_or(0, |opening| opening.length().as_millis())
        });
        let planned = match (plan.repeats, once) {
            (Repeats::Times(times), Some(once)) => once * u64::from(times),
            _ => aired,
        };
        let at = plan.at.unwrap_or(row.issued_at);
        let begun = !plays.is_empty() || delivery.started.is_some();
        let is_expired = row.expires <= self.now;
        if !delivery.step.is_over() && !begun && !is_expired {
            return;
        }
        let missed = |code: String| Rest::Missed(code);
        let (planned, rest) = match delivery.step {
            Step::Finished => (aired, Rest::None),
            Step::Sent if row.ended.is_some() => (planned, missed(Step::Cancelled.code().to_owned())),
            step if step.is_over() => (planned, missed(why_not(delivery))),
            _ if !is_expired => (planned, Rest::Unknown),
            _ if self.is_known(at, row.expires) => (planned, missed(Step::Expired.code().to_owned())),
            _ => (planned, Rest::Unknown),
        };
        let is_on_air = begun && !delivery.step.is_over() && !is_expired;
        let planned = planned.max(aired);
        let account = Account {
            planned,
            rest: if planned == aired && planned > 0 { Rest::None } else { rest },
            is_programme: false,
        };
        let responsible = announced.responsible.clone();
        let responsible = responsible.or_else(|| row.approver.clone()).unwrap_or_else(|| row.author.clone());
        let part = Part {
            section: announced.section.clone(),
            campaign: announced.campaign.clone(),
            responsible: visible(&responsible).into_owned(),
        };
        let (fate, reason) = if is_on_air { (Fate::OnAir, String::new()) } else { account.fate(aired) };
        let names = [Some(&row.author), row.approver.as_ref(), Some(&part.responsible)];
        let accounts = [&announced.author, &announced.approver];
        let people: BTreeSet<String> = (names.into_iter().flatten().map(|name| visible(name).into_owned()))
            .chain(accounts.into_iter().flatten().map(ToString::to_string))
            .filter(|name| !name.is_empty())
            .collect();
        let rung = Rung::of(*class, *mode);
        settled.airings.push(Airing {
            subject: Subject::Announcement { command: row.id.clone() },
            due: at,
            title: visible(&row.title).into_owned(),
            class: rung,
            campaign: announced.campaign.clone(),
            fate,
            reason,
            planned_ms: account.planned,
            aired_ms: aired,
            sections: announced.section.iter().cloned().collect(),
            people: people.into_iter().collect(),
        });
        if !is_on_air {
            self.add(rung, &[(part.clone(), account.planned)], &[(part, aired)], &account, &mut settled.sums);
        }
    }

    /// Live voices: whoever speaks plans as long as they speak.
    fn live(&self, settled: &mut Settled) {
        let mut voices: BTreeMap<&Subject, Vec<&PlayRow>> = BTreeMap::new();
        for play in self.plays(|subject| matches!(subject, Subject::Live { .. })) {
            if play.opened.date() == self.facts.day {
                voices.entry(&play.subject).or_default().push(play);
            }
        }
        for (subject, plays) in voices {
            self.beside_the_plan(subject.clone(), &plays, Rung::Live, settled);
        }
    }

    /// Adds what was due and what sounded; what is missing falls to the parts that sounded least.
    fn add(
        &self,
        class: Rung,
        due: &[(Part, u64)],
        aired_by: &[(Part, u64)],
        account: &Account,
        sums: &mut BTreeMap<SumKey, Sums>,
    ) {
        let mut room = account.planned;
        let mut left: BTreeMap<&Part, u64> = BTreeMap::new();
        for (part, ms) in due {
            *left.entry(part).or_default() += ms;
        }
        for (part, ms) in aired_by {
            let planned = (*ms).min(room);
            room -= planned;
            let entry = sums.entry(self.key(part, class, "")).or_default();
            // Nobody plans what somebody says live: it is planned as it sounds.
            let (aired, extra) = if class == Rung::Live { (*ms, 0) } else { (planned, ms - planned) };
            *entry += Sums { planned_ms: aired, aired_ms: aired, extra_ms: extra, ..Sums::default() };
            if let Some(left) = left.get_mut(part) {
                *left = left.saturating_sub(*ms);
            }
        }
        for (part, _) in due.iter().rev() {
            let Some(missing) = left.get_mut(part) else { continue };
            let ms = (*missing).min(room);
            *missing -= ms;
            room -= ms;
            self.add_rest(part, class, ms, &account.rest, sums);
        }
        if let Some((part, _)) = due.first()
            && room > 0
        {
            self.add_rest(part, class, room, &account.rest, sums);
        }
    }

    fn add_rest(&self, part: &Part, class: Rung, ms: u64, rest: &Rest, sums: &mut BTreeMap<SumKey, Sums>) {
        if ms == 0 {
            return;
        }
        let (reason, more) = match rest {
            Rest::Unknown => ("", Sums { planned_ms: ms, unknown_ms: ms, ..Sums::default() }),
            Rest::Missed(reason) => {
                (reason.as_str(), Sums { planned_ms: ms, missed_ms: ms, ..Sums::default() })
            }
            Rest::None => (SHORT, Sums { planned_ms: ms, missed_ms: ms, ..Sums::default() }),
        };
        *sums.entry(self.key(part, class, reason)).or_default() += more;
    }

    fn key(&self, part: &Part, class: Rung, reason: &str) -> SumKey {
        let section = part.section.as_ref();
        let campaign = part.campaign.as_ref();
        let section_title =
            section.map(|id| self.names.sections.get(id).map_or(id.to_string(), String::clone));
        let campaign_title = campaign
            .map(|id| self.names.campaigns.get(id).map_or(id.to_string(), |named| named.title.clone()));
        SumKey {
            section: section.map(ToString::to_string).unwrap_or_default(),
            section_title: section_title.unwrap_or_default(),
            campaign: campaign.map(ToString::to_string).unwrap_or_default(),
            campaign_title: campaign_title.unwrap_or_default(),
            class,
            responsible: part.responsible.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The time that was due in the end, and the fate of what did not sound.
struct Account {
    planned: u64,
    rest: Rest,
    is_programme: bool,
}

enum Rest {
    None,
    Missed(String),
    Unknown,
}

impl Account {
    /// The fate of the whole.
    fn fate(&self, aired: u64) -> (Fate, String) {
        match &self.rest {
            Rest::None => (Fate::Aired, String::new()),
            Rest::Missed(reason) if aired == 0 => (Fate::Missed, reason.clone()),
            Rest::Missed(reason) => (Fate::Partly, reason.clone()),
            Rest::Unknown if aired == 0 || self.is_programme => (Fate::Unknown, String::new()),
            Rest::Unknown => (Fate::Partly, String::new()),
        }
    }
}

fn ms_of(play: &PlayRow) -> u64 {
    play.frames_played.unwrap_or(0) / FRAMES_A_MS
}

/// Adds plays up by part; who answers for an item stands in the plan.
fn aired_by_part(plays: &[&PlayRow], due: &[DuePart], names: &Names) -> Vec<(Part, u64)> {
    let mut found: Vec<(Part, u64)> = Vec::new();
    for play in plays {
        let planned =
            due.iter().find(|part| visible(&part.title) == play.title && part.section == play.section);
        let responsible = planned.map(|part| part_of(part, names).responsible);
        let of_campaign = || Some(names.campaigns.get(play.campaign.as_ref()?)?.responsible.clone());
        let part = Part {
            section: play.section.clone(),
            campaign: play.campaign.clone(),
            responsible: responsible.or_else(of_campaign).unwrap_or_default(),
        };
        match found.iter_mut().find(|(known, _)| *known == part) {
            Some((_, ms)) => *ms += ms_of(play),
            None => found.push((part, ms_of(play))),
        }
    }
    found
}

fn part_of(due: &DuePart, names: &Names) -> Part {
    let of_campaign = || Some(names.campaigns.get(due.campaign.as_ref()?)?.responsible.clone());
    let responsible = due.responsible.clone().or_else(of_campaign).unwrap_or_default();
    Part {
        section: due.section.clone(),
        campaign: due.campaign.clone(),
        responsible: visible(&responsible).into_owned(),
    }
}

fn sections(due: impl Iterator<Item = SectionId>, plays: &[&PlayRow]) -> Vec<SectionId> {
    let all: BTreeSet<SectionId> = due.chain(plays.iter().filter_map(|play| play.section.clone())).collect();
    all.into_iter().collect()
}

fn word_under<T: serde::Serialize>(tag: &str, value: &T) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value[tag].as_str().unwrap_or_default().to_owned()
}

fn code_of(reason: &NotPlayed) -> String {
    word_under("because", reason)
}

fn outcome_code(outcome: &PlayOutcome) -> String {
    word_under("outcome", outcome)
}

fn why_not(delivery: &DeliveryRow) -> String {
    match &delivery.reason {
        Some(NotHeard::NotPlayed(reason)) => code_of(reason),
        Some(NotHeard::Refused(_)) => Step::Refused.code().to_owned(),
        None => delivery.step.code().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SlotEnd;
    use loaxa_heart::domain::ids::PlayId;
    use loaxa_heart::domain::playback::SlotKey;
    use std::sync::Arc;

    const NOON: Wall = Wall(1_795_237_200_000_000);

    fn at(minute: u64) -> Wall {
        NOON.plus(Span::secs(minute * 60))
    }

    fn key(slot: &str) -> SlotKey {
        SlotKey { slot: slot.parse().unwrap(), date: NOON.date() }
    }

    /// Numbers that look random and are the same each time (an LCG with Knuth's constants).
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }
    }

    fn play(
        number: u32,
        slot: &str,
        section: &str,
        opened: Wall,
        frames: u64,
        outcome: PlayOutcome,
    ) -> PlayRow {
        PlayRow {
            cursor: i64::from(number),
            id: "loa-1".parse().unwrap(),
            box_title: String::new(),
            epoch: loaxa_heart::domain::ids::Epoch(1),
            play: PlayId::new(1, number),
            subject: Subject::Slot(key(slot)),
            title: format!("tin {section}"),
            section: Some(section.parse().unwrap()),
            campaign: None,
            class: None,
            mode: None,
            rung: Rung::Programme,
            source: String::new(),
            language: String::new(),
            repetition: 1,
            volume_percent: 100,
            scheduled: None,
            opened,
            started: None,
            ended: None,
            frames_played: Some(frames),
            frames_due: None,
            outcome: Some(outcome),
            heard: None,
            implausible: None,
        }
    }

    fn part(section: &str, ms: u64) -> DuePart {
        let title = format!("tin {section}");
        DuePart { title, section: Some(section.parse().unwrap()), campaign: None, responsible: None, ms }
    }

    fn settled(parts: Vec<DuePart>, plays: Vec<PlayRow>, end: Option<SlotOutcome>, known: bool) -> Settled {
        let session =
            DueSession { key: key("sang"), title: "Sáng".to_owned(), start: at(0), end: at(30), parts };
        let place = DayBox {
            id: "loa-1".parse().unwrap(),
            title: "Loa 1".to_owned(),
            village: "thon-1".to_owned(),
            village_title: "Thôn 1".to_owned(),
            households: None,
            sessions: Arc::new(vec![session]),
        };
        let end = end.map(|outcome| SlotEnd { title: "Sáng".to_owned(), scheduled: at(0), outcome });
        let facts = DayFacts {
            day: NOON.date(),
            plays,
            ends: end.map(|end| ("sang".parse().unwrap(), end)).into_iter().collect(),
            not_played: Vec::new(),
            deliveries: BTreeMap::new(),
            known: if known { vec![(at(0), at(60))] } else { Vec::new() },
        };
        Day { now: at(60), place: &place, names: &Names::default(), facts: &facts, due: Vec::new() }.settle()
    }

    fn total(settled: &Settled) -> Sums {
        let mut total = Sums::default();
        settled.sums.values().for_each(|sums| total += *sums);
        total
    }

    const MINUTE: u64 = 60_000;

    fn check(
        end: Option<SlotOutcome>,
        known: bool,
        minutes: u64,
        expected: (u64, u64, u64, u64),
        fate: Fate,
    ) {
        let plays = match minutes {
            0 => Vec::new(),
            n => vec![play(1, "sang", "a", at(0), n * MINUTE * 48, PlayOutcome::Finished)],
        };
        let settled = settled(vec![part("a", 20 * MINUTE), part("b", 10 * MINUTE)], plays, end, known);
        let sums = total(&settled);
        let found = (sums.planned_ms, sums.aired_ms, sums.missed_ms, sums.unknown_ms);
        let expected = (expected.0 * MINUTE, expected.1 * MINUTE, expected.2 * MINUTE, expected.3 * MINUTE);
        assert_eq!((found, settled.airings[0].fate), (expected, fate));
    }

    #[test]
    fn silence_is_unknown_until_the_box_has_told() {
        let aired = |finished, not_finished| Some(SlotOutcome::Aired { finished, not_finished });
        check(None, false, 0, (30, 0, 0, 30), Fate::Unknown);
        check(None, true, 0, (30, 0, 30, 0), Fate::Missed);
        check(Some(SlotOutcome::NotAired(NotPlayed::Late)), false, 0, (30, 0, 30, 0), Fate::Missed);
        check(aired(1, 1), false, 20, (30, 20, 10, 0), Fate::Partly);
        check(aired(2, 0), false, 30, (30, 30, 0, 0), Fate::Aired);
        check(None, false, 12, (30, 12, 0, 18), Fate::Unknown);
        check(None, true, 12, (30, 12, 18, 0), Fate::Partly);
    }

    #[test]
    fn what_is_planned_is_what_sounded_what_did_not_and_what_nobody_knows() {
        let mut dice = Dice(7);
        for _ in 0..2_000 {
            let sections = ["a", "b", "c"];
            let parts: Vec<_> =
                (0..dice.roll(4)).map(|n| part(sections[n as usize % 3], dice.roll(600_000))).collect();
            let plays: Vec<_> = (0..dice.roll(5))
                .map(|n| {
                    let outcome = match dice.roll(4) {
                        0 => PlayOutcome::PowerLost,
                        1 => PlayOutcome::Interrupted { by: Rung::Emergency },
                        _ => PlayOutcome::Finished,
                    };
                    let slot = if dice.roll(5) == 0 { "khac" } else { "sang" };
                    let section = sections[dice.roll(3) as usize];
                    play(n as u32, slot, section, at(n), dice.roll(40_000_000), outcome)
                })
                .collect();
            let end = match dice.roll(4) {
                0 => None,
                1 => Some(SlotOutcome::NotAired(NotPlayed::Missed)),
                _ => Some(SlotOutcome::Aired { finished: 1, not_finished: dice.roll(2) as u32 }),
            };
            let sounded: u64 = plays.iter().map(ms_of).sum();
            let settled = settled(parts, plays, end, dice.roll(2) == 0);
            for (key, sums) in &settled.sums {
                assert_eq!(sums.planned_ms, sums.aired_ms + sums.missed_ms + sums.unknown_ms, "{key:?}");
            }
            let total = total(&settled);
            assert_eq!(total.aired_ms + total.extra_ms, sounded, "nothing that sounded is lost");
        }
    }
}
