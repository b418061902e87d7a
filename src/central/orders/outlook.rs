//! The answer to who sent an announcement: how many boxes, which are silent, when it sounds on each or why it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::documents::read_programme;
use super::issue::{self, Draft};
use super::refused::Refused;
use crate::app::App;
use crate::foreseen::{BoxForeseen, Foreseen};
use crate::store::{BoxRow, StoreError};
use loaxa_heart::decide::delivery;
use loaxa_heart::decide::preview::{self, Outlook};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::decide::simulation::world::Setup;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, GroupId, KeyId};
use loaxa_heart::domain::playback::{CommandRefusal, NotPlayed};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Body, Command, Holds, Signed};

/// Days in which the next slot is sought.
const DAYS: u64 = 7;
/// An announcement that begins within this time begins now.
const NOW: Span = Span::secs(15);
/// Boxes that are named in one line.
const NAMED_MAX: usize = 8;

/// A box and all its groups.
struct Listener {
    row: BoxRow,
    groups: BTreeSet<GroupId>,
    /// The documents in force on it.
    documents: Vec<CommandId>,
}

/// Everything that a rehearsal needs, read from the store.
struct Scene {
    signed: Signed<Command>,
    trust: Trust,
    now: Wall,
    boxes: Vec<Listener>,
    documents: BTreeMap<CommandId, Body>,
}

/// Foresees what becomes of an announcement on its boxes, with the programmes and policies that were sent. What an
/// installer wrote on a box itself is not known here.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn foresee(app: &App, id: &CommandId) -> Result<Option<Arc<Foreseen>>, StoreError> {
    let now = app.now();
    if let Some(known) = app.outlooks.find(id, now) {
        return Ok(Some(known));
    }
    let Some(signed) = sent(app, id).await? else { return Ok(None) };
    let Some(foreseen) = rehearse(scene(app, signed, now).await?).await else { return Ok(None) };
    let foreseen = Arc::new(foreseen);
    app.outlooks.keep(id.clone(), now, Arc::clone(&foreseen));
    Ok(Some(foreseen))
}

/// Foresees what would become of an announcement that nobody has sent, as if the keys here signed it now.
///
/// # Errors
/// Fails when the keys here may not, or the store does not answer.
pub async fn foresee_draft(app: &App, draft: &Draft) -> Result<Option<Foreseen>, Refused> {
    let power = issue::command(draft, app.keyring.central_id(), 0).power();
    let signers = app.keyring.signers(power, &draft.groups, draft.now).map_err(Refused::Authority)?;
    let payload = issue::command(draft, signers.issuer(), 0);
    payload.check().map_err(Refused::Senseless)?;
    let signed =
        Signed { signers: signers.ids(), digest: ContentHash::of(&codec::encode(&payload)), payload };
    Ok(rehearse(scene(app, signed, draft.now).await?).await)
}

/// Foresees what would become of a command that people are to sign, as if all who may sign it did so now.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn foresee_unsigned(app: &App, command: Command) -> Result<Option<Foreseen>, StoreError> {
    let now = app.now();
    let trust = app.keyring.trust();
    let may_sign = |key: &KeyId| {
        let alone = trust.permits(std::slice::from_ref(key), command.power(), &command.groups, Some(now));
        matches!(alone, Ok(_) | Err(CommandRefusal::TooFewSignatures { .. }))
    };
    let signers = trust.grants.iter().map(|grant| grant.key.clone()).filter(may_sign).collect();
    let digest = ContentHash::of(&codec::encode(&command));
    let signed = Signed { signers, digest, payload: command };
    Ok(rehearse(scene(app, signed, now).await?).await)
}

/// Plays a scene on a thread of its own: a rehearsal of days takes its time.
async fn rehearse(scene: Scene) -> Option<Foreseen> {
    tokio::task::spawn_blocking(move || scene.play()).await.ok()
}

/// Reads a command that was sent.
async fn sent(app: &App, id: &CommandId) -> Result<Option<Signed<Command>>, StoreError> {
    let envelopes = app.store.envelopes(vec![id.clone()]).await?;
    let opened =
        envelopes.first().map(|it| codec::open_command(it, &|key: &KeyId| app.keyring.public_key(key)));
    Ok(opened.and_then(Result::ok))
}

async fn scene(app: &App, signed: Signed<Command>, now: Wall) -> Result<Scene, StoreError> {
    let sent = app.store.documents(now).await?;
    let mut boxes = Vec::new();
    for row in app.store.boxes().await? {
        let groups = app.groups_of(&row.groups);
        if !signed.payload.groups.iter().any(|group| groups.contains(group)) {
            continue;
        }
        let in_force = delivery::documents_to_send(&Holds::default(), 0, &groups, &sent).commands;
        let documents = in_force.into_iter().cloned().collect();
        boxes.push(Listener { row, groups: groups.into_iter().collect(), documents });
    }
    let mut documents = BTreeMap::new();
    for command in boxes.iter().flat_map(|listener| &listener.documents).collect::<BTreeSet<_>>() {
        let row = app.store.command(command.clone()).await?;
        let body = row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
        documents.extend(body.map(|document| (command.clone(), document.body)));
    }
    Ok(Scene { signed, trust: app.keyring.trust().clone(), now, boxes, documents })
}

/// The order of a box's day.
struct Day {
    timetable: Timetable,
    policy: Policy,
    /// Start of the next slot of each box, where the announcement waits for one in vain.
    next_slots: BTreeMap<BoxId, Wall>,
}

impl Scene {
    fn play(self) -> Foreseen {
        let mut days: BTreeMap<&[CommandId], Vec<&Listener>> = BTreeMap::new();
        for listener in &self.boxes {
            days.entry(&listener.documents).or_default().push(listener);
        }
        let boxes = days.into_iter().flat_map(|(documents, listeners)| self.on(documents, &listeners));
        let mut boxes: Vec<_> = boxes.collect();
        boxes.sort_by(|a, b| a.id.cmp(&b.id));
        let said = Sentence::Lines(self.summary(&boxes));
        Foreseen { boxes, said }
    }

    /// Rehearses on boxes that have the same documents; those that hear the same share a rehearsal.
    fn on(&self, documents: &[CommandId], listeners: &[&Listener]) -> Vec<BoxForeseen> {
        let mut outlooks: BTreeMap<Listeners, Outlook> = BTreeMap::new();
        let mut found = Vec::new();
        let mut day = self.day(documents, listeners);
        for listener in listeners {
            let heard = self.heard(&day.timetable, listener);
            let outlook = outlooks.entry(heard.clone()).or_insert_with(|| {
                let (timetable, policy) = (day.timetable.clone(), day.policy.clone());
                let setup = Setup { listeners: heard, timetable, trust: Some(self.trust.clone()), policy };
                preview::outlook(setup, &self.signed, self.now)
            });
            found.push((listener, outlook.clone()));
        }
        if self.waits_for_a_slot()
            && found.iter().any(|(_, outlook)| !matches!(outlook, Outlook::Sounds(_) | Outlook::Stopped(..)))
        {
            day.next_slots = self.next_slots(&day, listeners);
        }
        found.into_iter().map(|(listener, outlook)| self.of_box(listener, &outlook, &day)).collect()
    }

    /// Returns what a box hears of the programmes and of this announcement.
    fn heard(&self, timetable: &Timetable, listener: &Listener) -> Listeners {
        let all = Listeners { groups: listener.groups.clone(), languages: listener.row.languages.clone() };
        let mut heard = timetable.seen_from(&all);
        let named = self.signed.payload.groups.iter();
        heard.groups.extend(named.filter(|group| listener.groups.contains(*group)).cloned());
        heard
    }

    fn day(&self, documents: &[CommandId], listeners: &[&Listener]) -> Day {
        let (mut calendars, mut policy) = (Vec::new(), Policy::default());
        for body in documents.iter().filter_map(|id| self.documents.get(id)) {
            match body {
                Body::Policy(sent) => policy = sent.clone(),
                Body::Programme { toml, media, .. } => {
                    let Ok(programme) = read_programme(toml, media) else { continue };
                    if listeners.iter().any(|listener| listener.groups.contains(&programme.group)) {
                        calendars.extend(Calendar::new(Arc::new(programme)));
                    }
                }
                _ => {}
            }
        }
        // Boxes refuse a programme that clashes with an earlier one.
        let timetable = Timetable::new(calendars).unwrap_or_default();
        Day { timetable, policy, next_slots: BTreeMap::new() }
    }

    fn next_slots(&self, day: &Day, listeners: &[&Listener]) -> BTreeMap<BoxId, Wall> {
        let of = |listener: &&Listener| (listener.row.id.clone(), self.heard(&day.timetable, listener));
        let boxes = listeners.iter().map(of).collect();
        let from = self.now.date();
        let until = from + chrono::Days::new(DAYS - 1);
        let plans = preview::plan_boxes(&day.timetable, &boxes, &day.policy, from, until);
        let next = plans.into_iter().filter_map(|(id, sessions)| {
            let start = sessions.iter().map(|session| session.start).find(|start| *start > self.now)?;
            Some((id, start))
        });
        next.collect()
    }

    fn waits_for_a_slot(&self) -> bool {
        let announcement = self.signed.payload.announcement(1);
        announcement.is_some_and(|it| it.rung() == Rung::Normal && it.plan.at.is_none())
    }

    fn of_box(&self, listener: &Listener, outlook: &Outlook, day: &Day) -> BoxForeseen {
        let row = &listener.row;
        let (sounds_at, said) = match outlook {
            Outlook::Sounds(at) => (Some(*at), self.sounds(*at, listener, day)),
            Outlook::Stopped(at, reason) => {
                (Some(*at), said!("outlook.stopped", sounds = self.sounds(*at, listener, day), reason))
            }
            Outlook::Silent(NotPlayed::Expired) if self.waits_for_a_slot() => {
                (None, self.no_slot(listener, day))
            }
            Outlook::Silent(reason) => (None, said!("outlook.silent", reason = reason.say())),
            Outlook::Refused(reason) => (None, said!("outlook.refused", reason = reason.say())),
            Outlook::Open => (None, said!("outlook.open")),
        };
        BoxForeseen {
            id: row.id.clone(),
            title: row.title.clone(),
            online: row.is_online(self.now),
            last_seen: row.last_seen,
            sounds_at,
            refusal: match outlook {
                Outlook::Stopped(_, reason) | Outlook::Silent(NotPlayed::Guarded { reason }) => {
                    Some(reason.clone())
                }
                _ => None,
            },
            said,
        }
    }

    fn sounds(&self, at: Wall, listener: &Listener, day: &Day) -> Sentence {
        let heard = self.heard(&day.timetable, listener);
        let days = at.date().pred_opt().into_iter().chain([at.date()]);
        let slot = days.flat_map(|date| day.timetable.sessions_on(date, &heard));
        let slot = slot.filter(|session| self.waits_for_a_slot() && session.start <= at && at < session.end);
        let title = |session| day.timetable.calendar(&session).slot(&session).title.clone();
        match slot.map(title).next() {
            Some(slot) => said!("outlook.in_slot", slot, at = moment(at)),
            None if at.since(self.now) < NOW => said!("outlook.now"),
            None => said!("outlook.sounds", at = moment(at)),
        }
    }

    fn no_slot(&self, listener: &Listener, day: &Day) -> Sentence {
        let expires = moment(self.signed.payload.expires);
        match day.next_slots.get(&listener.row.id) {
            _ if day.timetable.calendars().is_empty() => said!("outlook.no_programme", expires),
            Some(next) => said!("outlook.no_room", expires, next = moment(*next)),
            None => said!("outlook.no_slot", expires, days = DAYS),
        }
    }

    /// Says it all in a few lines.
    fn summary(&self, boxes: &[BoxForeseen]) -> Vec<Sentence> {
        if boxes.is_empty() {
            return vec![said!("outlook.nobody")];
        }
        let mut lines = vec![said!("outlook.boxes", count = boxes.len())];
        let silent: Vec<_> = boxes.iter().filter(|it| !it.online).collect();
        if !silent.is_empty() {
            let names = names(silent.iter().map(|it| match it.last_seen {
                Some(at) => said!("outlook.silent_since", title = it.title, at = moment(at)),
                None => said!("outlook.never_heard", title = it.title),
            }));
            lines.push(said!("outlook.silent_boxes", count = silent.len(), names));
        }
        let mut fates: Vec<(&Sentence, Vec<&str>)> = Vec::new();
        for it in boxes {
            match fates.iter_mut().find(|(said, _)| **said == it.said) {
                Some((_, titles)) => titles.push(&it.title),
                None => fates.push((&it.said, vec![&it.title])),
            }
        }
        let alone = fates.len() == 1;
        lines.extend(fates.into_iter().map(|(said, titles)| {
            if alone {
                return said.clone();
            }
            let names = names(titles.into_iter().map(Sentence::from_outside));
            said!("outlook.of_boxes", names, said)
        }));
        lines
    }
}

/// Lists names, the first few of them.
fn names(names: impl ExactSizeIterator<Item = Sentence>) -> Sentence {
    let more = names.len().saturating_sub(NAMED_MAX);
    let (en, vi): (Vec<_>, Vec<_>) = names.take(NAMED_MAX).map(|name| name.in_both()).unzip();
    let listed = Sentence::Each { vi: vi.join(", "), en: en.join(", ") };
    if more == 0 { listed } else { said!("outlook.and_more", listed, more) }
}

/// An instant in the local time of Vietnam, with its date.
fn moment(at: Wall) -> Sentence {
    let local = at.local();
    let date =
        Sentence::Each { vi: local.format("%d/%m/%Y").to_string(), en: local.format("%Y-%m-%d").to_string() };
    said!("outlook.moment", time = local.format("%H:%M"), date)
}
