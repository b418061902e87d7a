//! From a draft of an alert to signed announcements and cancels: claimed by one, finished or given back.

use loaxa_heart::texts::Say;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::record::{KeptAlert, NotAlert, State, Taken, all_read, change, find, settings, targets};
use crate::app::App;
use crate::foreseen::Foreseen;
use crate::orders::announce::{self, Asked, Opening};
use crate::orders::cancel;
use crate::orders::cosigning::{self, DraftAsked, Drafter};
use crate::orders::outlook;
use crate::orders::refused::Refused;
use crate::store::AlertPart;
use loaxa_heart::decide::cap_intake::{self, Reach, Said};
use loaxa_heart::decide::delivery;
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{CommandId, GroupId, KeyId};
use loaxa_heart::domain::time::{Span, Wall};

/// Longest life of an announcement of an alert, where the alert expires later or never.
const LIVES_MAX: Span = Span::secs(30 * 86_400);
/// Time between two looks for alerts whose central is gone.
const RESUME_EVERY: Duration = Duration::from_secs(5);
/// A central that was not there for so long sends nothing any more.
const GONE_AFTER: Span = Span::secs(10);

/// Ends an alert that may be on the air, but for commands that a successor has replaced.
async fn end(app: &App, id: &str, replaced: &BTreeSet<CommandId>) -> Result<(), NotAlert> {
    let (kept, is_doomed) = change(app, id, |taken| {
        let is_sending = taken.state == State::Sending;
        taken.doomed |= is_sending;
        is_sending
    })
    .await?;
    if is_doomed {
        // Whoever sends it finds this, and takes it back.
        return Ok(());
    }
    take_back(app, kept.taken.commands.iter().filter(|command| !replaced.contains(*command))).await?;
    change(app, id, |taken| std::mem::replace(&mut taken.state, State::Ended) != State::Ended).await?;
    Ok(())
}

async fn take_back(app: &App, commands: impl Iterator<Item = &CommandId>) -> Result<(), NotAlert> {
    for command in commands {
        app.store.withdraw_draft(command.clone()).await?;
        match cancel::cancel(app, command.clone(), Some("CAP".to_owned())).await {
            // It waited for signatures, and was never an announcement.
            Ok(_) | Err(Refused::NoSuchAnnouncement(_)) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(())
}

/// Takes a draft, so that nobody else sends it. What is over by now is said no more.
async fn claim(app: &App, id: &str) -> Result<KeptAlert, NotAlert> {
    let now = app.now();
    let is_over = |said: &Said| said.expires.is_some_and(|expires| expires <= now);
    let kept = find(app, id).await?;
    let is_lapsed = kept.taken.state == State::Signing && has_lapsed(app, &kept).await?;
    let is_free = kept.taken.state == State::Draft || is_lapsed;
    if is_free && !kept.taken.ends && kept.taken.said.iter().all(is_over) {
        return Err(NotAlert::Over);
    }
    let (kept, is_claimed) = change(app, id, |taken| {
        let is_as_seen = taken.state == kept.taken.state && taken.commands == kept.taken.commands;
        if !is_free || !is_as_seen {
            return false;
        }
        taken.state = State::Sending;
        taken.by_central = Some(app.store.own_name().to_owned());
        if is_lapsed {
            taken.commands.clear();
        }
        // What was sent already keeps its place beside its command.
        let rest = taken.said.split_off(taken.commands.len().min(taken.said.len()));
        taken.said.extend(rest.into_iter().filter(|said| !is_over(said)));
        true
    })
    .await?;
    if is_claimed { Ok(kept) } else { Err(NotAlert::NotADraft) }
}

/// Says whether nobody can sign any more what was drafted of an alert, and none of it went out: it may be approved again.
async fn has_lapsed(app: &App, kept: &KeptAlert) -> Result<bool, NotAlert> {
    let waiting = app.store.drafts(app.now()).await?;
    for command in &kept.taken.commands {
        let is_waiting = waiting.iter().any(|row| row.draft.id == *command);
        if is_waiting || app.store.command(command.clone()).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Signs what an alert says with the keys on this server, and ends what it replaces.
pub(super) async fn send(app: &Arc<App>, id: &str) -> Result<KeptAlert, NotAlert> {
    let kept = claim(app, id).await?;
    go_on_sending(app, kept).await
}

async fn go_on_sending(app: &Arc<App>, kept: KeptAlert) -> Result<KeptAlert, NotAlert> {
    let id = kept.row.id.clone();
    let failed = carry_out(app, kept).await.err();
    if matches!(failed, Some(NotAlert::Refused(Refused::AlertChanged))) {
        tracing::warn!(id, "an alert is not for this central to send any more");
    }
    let state = if failed.is_some() { State::Draft } else { State::Sent };
    let kept = settle(app, &id, state, failed.as_ref()).await?;
    match failed {
        Some(error) if kept.taken.state == State::Draft => Err(error),
        _ => Ok(kept),
    }
}

/// Tells whether this central sends an alert: another one goes on with it where this one seemed gone.
fn is_sent_here(app: &App, taken: &Taken) -> bool {
    taken.state == State::Sending && taken.by_central.as_deref() == Some(app.store.own_name())
}

/// Ends the sending of an alert, which is taken back where another alert ended it meanwhile. One that this central does not
/// send any more is left as it is.
async fn settle(app: &App, id: &str, state: State, failed: Option<&NotAlert>) -> Result<KeptAlert, NotAlert> {
    let (kept, is_settled) = change(app, id, |taken| {
        if !is_sent_here(app, taken) {
            return false;
        }
        taken.state = if taken.doomed { State::Ended } else { state };
        taken.by_central = None;
        let failed = failed.filter(|_| !taken.doomed);
        (taken.why, taken.why_vi) = failed.map(|error| error.say().in_both()).unzip();
        true
    })
    .await?;
    if is_settled && kept.taken.doomed {
        take_back(app, kept.taken.commands.iter()).await?;
    }
    Ok(kept)
}

async fn carry_out(app: &Arc<App>, kept: KeptAlert) -> Result<(), NotAlert> {
    let old = ended_by_sending(app, &kept).await?;
    let mut standing = standing_commands(app, &old).await?;
    let mut replaced = BTreeSet::new();
    let said_before = kept.taken.commands.len();
    for (said_before, said) in kept.taken.said.iter().cloned().enumerate().skip(said_before) {
        let supersedes = supersedable(app, &mut standing, &said);
        replaced.extend(supersedes.clone());
        let asked = asked(said, supersedes, app.now()).ok_or(NotAlert::Over)?;
        let by_central = app.store.own_name().to_owned();
        let part = AlertPart { alert: kept.row.id.clone(), by_central, said: said_before };
        announce::say_part(app, asked, part).await?;
    }
    for target in old {
        end(app, &target.row.id, &replaced).await?;
    }
    Ok(())
}

/// Finds what ends when an alert goes out; where a person was asked and let it go out, also what only a person may end.
async fn ended_by_sending(app: &App, kept: &KeptAlert) -> Result<Vec<KeptAlert>, NotAlert> {
    let mut targets = targets(app, kept).await?;
    targets.retain(|target| match cap_intake::reach(kept.taken.standing(), target.taken.standing()) {
        Reach::Ends => true,
        Reach::Asks(_) => kept.taken.asks,
        Reach::Never => false,
    });
    Ok(targets)
}

/// An announcement of an earlier alert that went out.
struct StandingCommand {
    id: CommandId,
    power: Power,
    language: String,
    groups: Vec<GroupId>,
}

async fn standing_commands(app: &App, old: &[KeptAlert]) -> Result<Vec<StandingCommand>, NotAlert> {
    let mut found = Vec::new();
    for (id, said) in old.iter().flat_map(|old| old.taken.commands.iter().zip(&old.taken.said)) {
        if app.store.command(id.clone()).await?.is_some() {
            let power = Power::to_announce(said.class, said.mode);
            let (language, groups) = (said.language.clone(), said.groups.clone());
            found.push(StandingCommand { id: id.clone(), power, language, groups });
        }
    }
    Ok(found)
}

/// Picks the announcement that this one may replace in one step: of the same power, and heard by no box that does not hear
/// this one, too. Others are cancelled, which takes the power to do so.
fn supersedable(app: &App, standing: &mut Vec<StandingCommand>, said: &Said) -> Option<CommandId> {
    let power = Power::to_announce(said.class, said.mode);
    let parents = app.settings.parents();
    let hears = |group: &GroupId| {
        let above = delivery::with_ancestors(std::slice::from_ref(group), &parents);
        above.iter().any(|group| said.groups.contains(group))
    };
    let fits = |old: &&StandingCommand| old.power == power && old.groups.iter().all(hears);
    let same_language = |old: &&StandingCommand| old.language == said.language;
    let found = standing.iter().filter(fits).find(same_language).or_else(|| standing.iter().find(fits))?;
    let id = found.id.clone();
    standing.retain(|old| old.id != id);
    Some(id)
}

fn asked(said: Said, supersedes: Option<CommandId>, now: Wall) -> Option<Asked> {
    let lives = match said.expires {
        Some(expires) if expires <= now => return None,
        Some(expires) => Some(expires.since(now)),
        None => None,
    };
    let seconds = lives.map(|lives| lives.min(LIVES_MAX).as_millis() / 1_000);
    let urgent = said.class == BulletinClass::Emergency;
    Some(Asked {
        to: said.groups,
        class: said.class,
        mode: said.mode,
        title: Some(said.title),
        text: Some(said.text),
        language: said.language,
        at: said.at.filter(|at| *at > now && said.expires.is_none_or(|expires| *at < expires)),
        repeat: if urgent { 3 } else { 1 },
        until_cancelled: false,
        gap_s: 5,
        opening: if urgent { Opening::Siren } else { Opening::Chime },
        volume_percent: 100,
        expires_in_s: seconds.and_then(|seconds| u32::try_from(seconds).ok()),
        supersedes,
        author: Some("CAP".to_owned()),
        approver: None,
    })
}

/// Foresees what would become of what an alert says, where a guard may refuse it: no actual emergency.
///
/// # Errors
/// Fails when there is no such alert, or the keys may not.
pub async fn foresee(app: &Arc<App>, id: &str, key: Option<KeyId>) -> Result<Vec<Foreseen>, NotAlert> {
    settings(app)?;
    let kept = find(app, id).await?;
    let mut found = Vec::new();
    for said in kept.taken.said {
        if said.class == BulletinClass::Emergency && said.mode == Mode::Actual {
            continue;
        }
        let Some(fields) = asked(said, None, app.now()) else { continue };
        let expected = match &key {
            Some(key) => {
                let asked = DraftAsked::Announce { fields, media: None };
                cosigning::foresee(app, key.clone(), asked).await?
            }
            None => outlook::foresee_draft(app, &announce::draft(app, fields, None).await?).await?,
        };
        found.extend(expected);
    }
    Ok(found)
}

/// The duty officer lets a draft go out: signed by the keys on this server, or by people, of whom `key` is the first.
///
/// # Errors
/// Fails when it is no draft, or the keys may not.
pub async fn approve(app: &Arc<App>, id: String, key: Option<KeyId>) -> Result<Taken, NotAlert> {
    settings(app)?;
    let Some(key) = key else { return Ok(send(app, &id).await?.taken) };
    if find(app, &id).await?.taken.ends {
        return Err(NotAlert::CancelByKey);
    }
    let kept = claim(app, &id).await?;
    match draft_all(app, &kept, &key).await {
        Ok(drafted) => {
            let (_, is_kept) = change(app, &id, |taken| {
                let is_sent_here = is_sent_here(app, taken);
                if is_sent_here {
                    taken.commands.extend(drafted.iter().cloned());
                }
                is_sent_here
            })
            .await?;
            if !is_kept {
                for id in drafted {
                    app.store.withdraw_draft(id).await?;
                }
                return Err(NotAlert::NotADraft);
            }
            Ok(settle(app, &id, State::Signing, None).await?.taken)
        }
        Err(error) => {
            settle(app, &id, State::Draft, Some(&error)).await?;
            Err(error)
        }
    }
}

/// Drafts what an alert says, and was not sent yet, for a person to sign; all of it, or nothing.
async fn draft_all(app: &Arc<App>, kept: &KeptAlert, key: &KeyId) -> Result<Vec<CommandId>, NotAlert> {
    let mut standing = standing_commands(app, &ended_by_sending(app, kept).await?).await?;
    let mut drafted = Vec::new();
    for said in kept.taken.said.clone().into_iter().skip(kept.taken.commands.len()) {
        let supersedes = supersedable(app, &mut standing, &said);
        let fields = asked(said, supersedes, app.now()).ok_or(NotAlert::Over)?;
        let asked = DraftAsked::Announce { fields, media: None };
        match cosigning::make(app, Drafter::Alert, key.clone(), asked).await {
            Ok(id) => drafted.push(id),
            Err(not) => {
                for id in drafted {
                    app.store.withdraw_draft(id).await?;
                }
                return Err(not.into());
            }
        }
    }
    Ok(drafted)
}

/// Goes on with what was being sent when a central ended: this one before its start, or another. What a person let go out
/// waits for a person again.
pub async fn resume(app: Arc<App>) {
    loop {
        if let Err(error) = resume_once(&app).await {
            tracing::error!(%error, "alerts that were being sent can't be read");
        }
        if !app.duties.are_shared() {
            return;
        }
        tokio::time::sleep(RESUME_EVERY).await;
    }
}

async fn resume_once(app: &Arc<App>) -> Result<(), NotAlert> {
    let rows = all_read(app.store.caps_in_state("sending").await?);
    if rows.is_empty() {
        return Ok(());
    }
    let mut there = vec![app.store.own_name().to_owned()];
    if app.duties.are_shared() {
        there.extend(app.store.are_there(GONE_AFTER).await?);
    }
    let is_sent =
        |kept: &KeptAlert| kept.taken.by_central.as_ref().is_some_and(|central| there.contains(central));
    let straight_to_air = app.settings.cap.as_ref().is_some_and(|cap| cap.straight_to_air);
    for kept in rows.into_iter().filter(|kept| !is_sent(kept)) {
        let (id, before) = (kept.row.id.clone(), kept.taken.by_central.clone());
        let (kept, is_claimed) = change(app, &id, |taken| {
            let is_as_seen = taken.state == State::Sending && taken.by_central == before;
            if is_as_seen {
                taken.by_central = Some(app.store.own_name().to_owned());
            }
            is_as_seen
        })
        .await?;
        if !is_claimed {
            continue;
        }
        tracing::warn!(id, "an alert was being sent when central ended");
        let goes_on = straight_to_air && !kept.taken.asks;
        let done = match goes_on {
            true => go_on_sending(app, kept).await,
            false => settle(app, &id, State::Draft, None).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, id, "an alert waits for people");
        }
    }
    Ok(())
}
