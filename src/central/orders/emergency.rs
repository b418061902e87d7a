//! Emergencies of two duty officers: chosen among prepared messages and signed by one, agreed to by another, ended by any.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::announce::{self, Asked, Opening};
use super::cancel;
use super::cosigning::{self, DraftAsked, Drafter, NotTaken};
use super::refused::Refused;
use crate::app::App;
use crate::changes::Changed;
use crate::people::Who;
use crate::store::{
    CallFor, CallRow, CallState, CallStep, MessageRow, MessageUse, NewAct, Reply, ReplyRow, Role, StoreError,
    urgently,
};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::{CommandId, GroupId, KeyId, PreparedId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Pause between repetitions, in seconds.
const GAP_S: u32 = 5;

/// Time in which an earlier choice that was never signed is looked for.
const CHOICES: Span = Span::secs(3_600);

/// A reason for which an emergency does not take the step that somebody asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotEmergency {
    NoSuchCall,
    /// Only prepared messages are aired.
    NotPrepared,
    NoPlace,
    /// The typed number is not that of the chosen places.
    WrongNumber,
    NotYours,
    /// The key belongs to somebody else, or to nobody here.
    NotYourKey,
    /// The second officer is another person than the first.
    Own,
    /// The call is past this step.
    Past(CallState),
    NotTaken(#[from] NotTaken),
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotEmergency {
    fn say(&self) -> Sentence {
        match self {
            NotEmergency::NoSuchCall => said!("emergency.no_such_call"),
            NotEmergency::NotPrepared => said!("emergency.not_prepared"),
            NotEmergency::NoPlace => said!("emergency.no_place"),
            NotEmergency::WrongNumber => said!("emergency.wrong_number"),
            NotEmergency::NotYours => said!("emergency.not_yours"),
            NotEmergency::NotYourKey => said!("emergency.not_your_key"),
            NotEmergency::Own => said!("emergency.own"),
            NotEmergency::Past(_) => said!("emergency.past"),
            NotEmergency::NotTaken(not) => not.say(),
            NotEmergency::Refused(refused) => refused.say(),
            NotEmergency::Store(error) => error.say(),
        }
    }
}

/// A choice that an officer is about to sign.
pub struct Chosen {
    pub message: PreparedId,
    pub groups: Vec<GroupId>,
    /// The number that the officer typed.
    pub typed: String,
    pub key: KeyId,
    /// The stopped emergency that the message follows; without it, the message warns of a danger.
    pub after: Option<CommandId>,
}

/// A choice under its id, with the exact bytes to be signed.
pub struct ToSign {
    pub id: CommandId,
    pub payload: String,
}

/// Lists the places that are offered: groups that hold no others, in the order of the configuration.
pub fn places(app: &App) -> Vec<GroupId> {
    let parents: BTreeSet<_> = app.settings.parents().into_values().collect();
    app.settings.groups.iter().map(|group| group.id.clone()).filter(|id| !parents.contains(id)).collect()
}

/// Reads a call. One whose command was sent is on the air, whoever brought the last signature.
///
/// # Errors
/// Fails when there is none.
pub async fn read(app: &App, id: &CommandId) -> Result<CallRow, NotEmergency> {
    let mut row = app.store.call(id.clone()).await?.ok_or(NotEmergency::NoSuchCall)?;
    row.state = row.state_at(app.now());
    let waits = matches!(row.state, CallState::Chosen | CallState::Calling | CallState::Expired);
    if row.purpose == CallFor::Emergency && waits && is_sent(app, id).await? {
        row.state = CallState::OnAir;
    }
    Ok(row)
}

/// Tells whether the command of an emergency went out, also where the disk did not keep it.
async fn is_sent(app: &App, id: &CommandId) -> Result<bool, StoreError> {
    Ok(app.owed.command(id).is_some() || app.store.command(id.clone()).await?.is_some())
}

/// Keeps a step of a call whose command went out already: that the disk refuses the step undoes nothing.
async fn note_step(app: &App, step: CallStep) -> Result<bool, StoreError> {
    let id = step.id.clone();
    match app.store.step_call(step).await {
        Err(error) if error.may_pass() || matches!(error, StoreError::Sql(_)) => {
            tracing::error!(%id, %error, "a step of an emergency is not kept");
            Ok(false)
        }
        noted => noted,
    }
}

/// Tells whether an emergency was aired and sounds no more: it was stopped, or is over on every box.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn is_over(app: &App, row: &CallRow) -> Result<bool, StoreError> {
    if row.state == CallState::Stopped {
        return Ok(true);
    }
    let chain = app.store.deliveries(row.id.clone()).await?;
    Ok(row.state == CallState::OnAir && !chain.is_empty() && chain.iter().all(|row| row.step.is_over()))
}

/// Drafts an actual emergency of a prepared message, for the officer to sign first. Nobody is called before that.
///
/// # Errors
/// Says what is wrong with the choice.
pub async fn choose(app: &Arc<App>, who: &Who, chosen: Chosen) -> Result<ToSign, NotEmergency> {
    let offered = places(app);
    let groups: BTreeSet<_> = chosen.groups.into_iter().collect();
    if groups.is_empty() || groups.iter().any(|group| !offered.contains(group)) {
        return Err(NotEmergency::NoPlace);
    }
    if chosen.typed.trim().parse() != Ok(groups.len()) {
        return Err(NotEmergency::WrongNumber);
    }
    let groups: Vec<_> = groups.into_iter().collect();
    if !who.may(app, Role::Duty, &groups) {
        return Err(NotEmergency::NotYours);
    }
    if !cosigning::is_own_key(app, who, &chosen.key) {
        return Err(NotEmergency::NotYourKey);
    }
    let message = app.store.message(chosen.message).await?.filter(|message| message.ended.is_none());
    let message = message.ok_or(NotEmergency::NotPrepared)?;
    let follows = match chosen.after {
        Some(call) => is_over(app, &read(app, &call).await?).await?,
        None => false,
    };
    if follows == (message.purpose == MessageUse::Alarm) {
        return Err(NotEmergency::NotPrepared);
    }
    forget_choices(app, who).await?;
    let fields = asked(&message, groups.clone(), BulletinClass::Emergency, who);
    let asked = DraftAsked::Announce { fields, media: Some(message.media) };
    let id = cosigning::make(app, Drafter::Person, chosen.key, asked).await?;
    let drafts = app.store.drafts(app.now()).await?;
    let drafted = drafts.into_iter().find(|row| row.draft.id == id).ok_or(NotEmergency::NoSuchCall)?;
    let call = CallRow {
        id: id.clone(),
        purpose: CallFor::Emergency,
        state: CallState::Chosen,
        message: Some(message.id),
        title: message.title.clone(),
        groups,
        by: who.person.id.clone(),
        began: who.now,
        agreed_by: None,
        agreed: None,
        ended_by: None,
        ended: None,
    };
    let act = NewAct { after: Some(message.title), ..who.act("emergency_chosen", id.as_str()) };
    app.store.add_call(call, act).await?;
    Ok(ToSign { id, payload: drafted.draft.payload })
}

fn asked(message: &MessageRow, to: Vec<GroupId>, class: BulletinClass, who: &Who) -> Asked {
    Asked {
        to,
        class,
        mode: Mode::Actual,
        title: Some(message.title.clone()),
        text: Some(message.text.clone()),
        language: message.language.clone(),
        at: None,
        repeat: message.repeat,
        until_cancelled: false,
        gap_s: GAP_S,
        opening: if message.siren { Opening::Siren } else { Opening::Chime },
        volume_percent: 100,
        expires_in_s: None,
        supersedes: None,
        author: Some(who.person.name.clone()),
        approver: None,
    }
}

/// Takes back what the officer chose before and never signed, so that it takes no room.
async fn forget_choices(app: &App, who: &Who) -> Result<(), StoreError> {
    let rows = app.store.calls(who.now.minus(CHOICES)).await?;
    for row in rows.into_iter().filter(|row| row.state == CallState::Chosen && row.by == who.person.id) {
        app.store.withdraw_draft(row.id.clone()).await?;
        let act = who.act("emergency_called_off", row.id.as_str());
        app.store.step_call(step(who, &row, CallState::Chosen, CallState::CalledOff, act)).await?;
    }
    Ok(())
}

fn step(who: &Who, row: &CallRow, from: CallState, to: CallState, act: NewAct) -> CallStep {
    CallStep { id: row.id.clone(), from, to, by: who.person.id.clone(), at: who.now, act }
}

/// Takes an officer's signature: the first calls the second officer, the second sends the emergency. Gives the state after.
///
/// # Errors
/// Fails when the signature is not the officer's own, or the call is past it.
pub async fn sign(
    app: &App,
    who: &Who,
    id: &CommandId,
    key: KeyId,
    signature: [u8; SIGNATURE_BYTES],
) -> Result<CallState, NotEmergency> {
    let row = read(app, id).await?;
    if !who.may(app, Role::Duty, &row.groups) {
        return Err(NotEmergency::NotYours);
    }
    if !cosigning::is_own_key(app, who, &key) {
        return Err(NotEmergency::NotYourKey);
    }
    let is_first = row.by == who.person.id;
    match row.state {
        CallState::Chosen if is_first => {}
        CallState::Calling if !is_first => {}
        // The same press again.
        CallState::Calling | CallState::OnAir
            if is_first || row.agreed_by.as_ref() == Some(&who.person.id) =>
        {
            return Ok(row.state);
        }
        CallState::Chosen => return Err(NotEmergency::Own),
        state => return Err(NotEmergency::Past(state)),
    }
    let is_sent = cosigning::sign(app, id.clone(), key, signature).await?;
    let to = if is_sent { CallState::OnAir } else { CallState::Calling };
    if row.state != to {
        let act = if is_first { "emergency_called" } else { "emergency_agreed" };
        let act = NewAct { after: Some(row.title.clone()), ..who.act(act, id.as_str()) };
        let step = step(who, &row, row.state, to, act);
        if is_sent {
            note_step(app, step).await?
        } else {
            app.store.step_call(step).await?
        };
        app.changes.tell(Changed::Calls);
    }
    Ok(read(app, id).await?.state)
}

/// Keeps what a person says who was called.
///
/// # Errors
/// Fails when nobody is called any more, or it is their own call.
pub async fn reply(app: &App, who: &Who, id: &CommandId, reply: Reply) -> Result<(), NotEmergency> {
    let row = read(app, id).await?;
    if row.by == who.person.id {
        return Err(NotEmergency::Own);
    }
    if !who.may(app, Role::Duty, &row.groups) {
        return Err(NotEmergency::NotYours);
    }
    if row.state != CallState::Calling {
        return Err(NotEmergency::Past(row.state));
    }
    let act = match reply {
        Reply::Listening => "call_heard",
        Reply::Declined => "call_declined",
    };
    let kept = ReplyRow { person: who.person.id.clone(), reply, at: who.now };
    app.store.reply(id.clone(), kept, who.act(act, id.as_str())).await?;
    if row.purpose == CallFor::Drill && reply == Reply::Listening {
        let act = who.act("drill_answered", id.as_str());
        app.store.step_call(step(who, &row, CallState::Calling, CallState::Answered, act)).await?;
    }
    app.changes.tell(Changed::Calls);
    Ok(())
}

/// Takes a call back before anybody has agreed.
///
/// # Errors
/// Fails for everybody but the first officer, and when it is on the air already.
pub async fn call_off(app: &App, who: &Who, id: &CommandId) -> Result<(), NotEmergency> {
    let row = read(app, id).await?;
    if row.by != who.person.id {
        return Err(NotEmergency::NotYours);
    }
    if !matches!(row.state, CallState::Chosen | CallState::Calling) {
        return Err(NotEmergency::Past(row.state));
    }
    if row.purpose == CallFor::Emergency {
        // Unless it was sent in this very moment.
        app.store.withdraw_draft(id.clone()).await?;
        let now = read(app, id).await?;
        if now.state == CallState::OnAir {
            return Err(NotEmergency::Past(now.state));
        }
    }
    let act = NewAct { before: Some(row.title.clone()), ..who.act("emergency_called_off", id.as_str()) };
    app.store.step_call(step(who, &row, row.state, CallState::CalledOff, act)).await?;
    app.changes.tell(Changed::Calls);
    Ok(())
}

/// Ends an emergency on all boxes; by any duty officer of one of its places, with the keys of this server.
///
/// # Errors
/// Fails when it was never aired, or the keys may not end it.
pub async fn stop(app: &App, who: &Who, id: &CommandId) -> Result<(), NotEmergency> {
    urgently(stop_now(app, who, id)).await
}

async fn stop_now(app: &App, who: &Who, id: &CommandId) -> Result<(), NotEmergency> {
    let row = read(app, id).await?;
    if !row.groups.iter().any(|group| who.may(app, Role::Duty, std::slice::from_ref(group))) {
        return Err(NotEmergency::NotYours);
    }
    match row.state {
        CallState::OnAir => {}
        CallState::Stopped => return Ok(()),
        state => return Err(NotEmergency::Past(state)),
    }
    // First the boxes.
    cancel::cancel(app, id.clone(), Some(who.person.name.clone())).await?;
    let act = || NewAct { before: Some(row.title.clone()), ..who.act("emergency_stopped", id.as_str()) };
    // The command may have been sent without this call hearing of it.
    for from in [CallState::OnAir, CallState::Calling] {
        if note_step(app, step(who, &row, from, CallState::Stopped, act())).await? {
            break;
        }
    }
    app.changes.tell(Changed::Calls);
    Ok(())
}

/// Airs what is prepared for after an emergency, at once and once, as a priority message by the keys of this server.
///
/// # Errors
/// Fails while the emergency sounds, or when the message is for something else.
pub async fn follow_up(
    app: &Arc<App>,
    who: &Who,
    id: &CommandId,
    message: PreparedId,
) -> Result<CommandId, NotEmergency> {
    let row = read(app, id).await?;
    if !who.may(app, Role::Duty, &row.groups) {
        return Err(NotEmergency::NotYours);
    }
    if !is_over(app, &row).await? {
        return Err(NotEmergency::Past(row.state));
    }
    let prepared = app.store.message(message.clone()).await?;
    let prepared = prepared.filter(|it| it.ended.is_none() && it.purpose != MessageUse::Alarm);
    let prepared = prepared.ok_or(NotEmergency::NotPrepared)?;
    let audio = app.store.media(prepared.media).await?.ok_or(NotEmergency::NotPrepared)?;
    let act = NewAct { after: Some(prepared.title.clone()), ..who.act("emergency_followed", id.as_str()) };
    if !app.store.claim_follow_up(id.clone(), message.clone(), act).await? {
        return Ok(id.clone());
    }
    let asked = asked(&prepared, row.groups, BulletinClass::Priority, who);
    let sent = announce::announce(app, asked, Some(audio)).await;
    app.store.end_follow_up(id.clone(), message, sent.as_ref().ok().cloned()).await?;
    Ok(sent?)
}

/// Begins a drill of the chain of calling: people are called as for an emergency, without sound, and nothing is aired.
///
/// # Errors
/// Fails when a drill is under way, or the person is no duty officer of this commune.
pub async fn begin_drill(app: &App, who: &Who) -> Result<(), NotEmergency> {
    let groups: Vec<_> = places(app);
    let own: Vec<_> =
        groups.into_iter().filter(|group| who.may(app, Role::Duty, std::slice::from_ref(group))).collect();
    if own.is_empty() {
        return Err(NotEmergency::NotYours);
    }
    let recent = app.store.calls(who.now.minus(CHOICES)).await?;
    let is_open = |row: &CallRow| row.state_at(who.now) == CallState::Calling;
    if let Some(row) = recent.iter().find(|row| row.purpose == CallFor::Drill && is_open(row)) {
        return Err(NotEmergency::Past(row.state));
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let id = format!("tap-{}", loaxa_heart::domain::hex::hex(&random));
    let id = CommandId::new(id).expect("hex digits are a name");
    let act = who.act("drill_began", id.as_str());
    let call = CallRow {
        id,
        purpose: CallFor::Drill,
        state: CallState::Calling,
        message: None,
        title: String::new(),
        groups: own,
        by: who.person.id.clone(),
        began: who.now,
        agreed_by: None,
        agreed: None,
        ended_by: None,
        ended: None,
    };
    app.store.add_call(call, act).await?;
    app.changes.tell(Changed::Calls);
    Ok(())
}
