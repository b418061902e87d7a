//! The people of the real commune, who train with the passwords that they have, and the colleague whom the program plays: it
//! approves and agrees where somebody trains alone.

use std::time::Duration;

use super::commune::{COLLEAGUE, COMMUNE, account, group, words};
use crate::app::App;
use crate::orders::{approval, emergency, notices};
use crate::people::accounts::{Newcomer, NotDone};
use crate::people::{Who, console};
use crate::store::{
    Actor, CallFor, CallState, NewAct, NoticeFilter, NoticeRow, NoticeState, PersonRow, Role, SessionRow,
    SharedStore, Stage, StoreError,
};
use loaxa_heart::config::central_file::EverydaySigner;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::signing::SecretKey;
use std::sync::Arc;

/// Time between two looks at both communes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The colleague thinks for so long, so that others of the office may be faster.
const THINKS: Span = Span::secs(10);
/// Calls of which the colleague still hears.
const CALLS: Span = Span::secs(600);
/// Notices that the colleague looks at.
const NOTICES_MAX: u32 = 20;

/// Looks after the people of the training commune for as long as it stands.
pub async fn look_after(app: Arc<App>, real: SharedStore, key: SecretKey) {
    loop {
        if let Err(error) = bring_in(&app, &real).await {
            tracing::warn!(%error, "people can't be brought into the training commune");
        }
        if let Err(error) = play_the_colleague(&app, &key).await {
            tracing::warn!(%error, "the colleague of the training commune can't act");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Brings everybody in who works in the real commune, each with every role, and sends away who left it.
///
/// # Errors
/// Fails when a store does not answer.
pub async fn bring_in(app: &App, real: &SharedStore) -> Result<(), StoreError> {
    let (there, here) = (real.people().await?, app.store.people().await?);
    let known = |person: &PersonRow| here.iter().find(|known| known.id == person.id);
    for person in there.iter().filter(|person| person.password.is_some() && person.left.is_none()) {
        match known(person) {
            Some(known) if known.password == person.password => {}
            Some(_) => set_password(app, person).await?,
            None => {
                welcome(app, person).await?;
                set_password(app, person).await?;
            }
        }
    }
    for person in there.iter().filter(|person| person.left.is_some()) {
        if known(person).is_some_and(|known| known.left.is_none()) {
            app.store.leave(person.id.clone(), app.now(), act(app, "left", person)).await?;
        }
    }
    if here.iter().all(|known| known.id.as_str() != COLLEAGUE) {
        let colleague = PersonRow { id: account(COLLEAGUE), ..nobody(words("training.colleague_played")) };
        welcome(app, &colleague).await?;
    }
    Ok(())
}

fn act(app: &App, act: &'static str, about: &PersonRow) -> NewAct {
    NewAct {
        at: app.now(),
        actor: Actor::Console,
        act,
        subject: about.id.to_string(),
        before: None,
        after: None,
        from: None,
    }
}

fn nobody(name: &str) -> PersonRow {
    PersonRow {
        id: account(COLLEAGUE),
        name: name.to_owned(),
        reach: String::new(),
        password: None,
        totp: None,
        recovery_left: 0,
        made: Wall(0),
        left: None,
        roles: Vec::new(),
    }
}

async fn set_password(app: &App, person: &PersonRow) -> Result<(), StoreError> {
    let hash = person.password.clone().unwrap_or_default();
    app.store.set_password(person.id.clone(), hash, act(app, "password_set", person)).await
}

async fn welcome(app: &App, person: &PersonRow) -> Result<(), StoreError> {
    let (id, name) = (person.id.to_string(), person.name.clone());
    let newcomer = Newcomer { account: id, name, reach: String::new() };
    let roles = Role::ALL.map(|role| (role, group(COMMUNE)));
    match console::add_person(&*app.store, newcomer, &roles, app.now()).await {
        Ok(_) => Ok(()),
        Err(NotDone::Store(error)) => Err(error),
        Err(not) => {
            tracing::warn!(%not, "somebody can't train");
            Ok(())
        }
    }
}

/// Approves what waits, and agrees to what was called, after a while.
async fn play_the_colleague(app: &Arc<App>, key: &SecretKey) -> Result<(), StoreError> {
    let Some(person) = app.store.person(account(COLLEAGUE)).await? else { return Ok(()) };
    let now = app.now();
    let session = SessionRow {
        secret: ContentHash::of(b"nobody signs in as the colleague"),
        person: person.id.clone(),
        stage: Stage::Full,
        made: now,
        seen: now,
        from: String::new(),
        browser: String::new(),
    };
    let who = Who { person, session, now, from: String::new() };
    for row in app.store.calls(now.minus(CALLS)).await? {
        let is_due = row.purpose == CallFor::Emergency
            && row.state_at(now) == CallState::Calling
            && now.since(row.began) >= THINKS;
        let drafts = if is_due { app.store.drafts(now).await? } else { Vec::new() };
        let Some(draft) = drafts.into_iter().find(|draft| draft.draft.id == row.id) else { continue };
        let payload = draft.draft.payload.as_bytes();
        let message = pre_authentication_encoding(Kind::Command.payload_type(), payload);
        if let Err(not) = emergency::sign(app, &who, &row.id, key.key_id(), key.sign(&message)).await {
            tracing::info!(%not, "the colleague does not agree");
        }
    }
    let filter =
        NoticeFilter { states: vec![NoticeState::Submitted], limit: NOTICES_MAX, ..Default::default() };
    for row in app.store.notices(filter).await? {
        let is_due = row.state_at(now) == NoticeState::Submitted && now.since(row.changed) >= THINKS;
        if is_due && let Err(not) = approve(app, &who, &row, key).await {
            tracing::info!(%not, "the colleague does not approve");
        }
    }
    Ok(())
}

async fn approve(
    app: &Arc<App>,
    who: &Who,
    row: &NoticeRow,
    key: &SecretKey,
) -> Result<(), notices::NotNotice> {
    if app.settings.everyday == EverydaySigner::Server {
        approval::approve(app, who, &row.id, row.digest).await?;
        return Ok(());
    }
    let (_, payload) = approval::offer(app, who, &row.id, row.digest, key.key_id()).await?;
    let signature = key.sign(&pre_authentication_encoding(Kind::Command.payload_type(), payload.as_bytes()));
    approval::approve_signed(app, who, &row.id, row.digest, key.key_id(), signature).await?;
    Ok(())
}
