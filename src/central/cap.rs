//! CAP alerts from file or push to a draft, or to the air: taken once, superseded by name, never a way around keys.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::announce::{self, Asked, Opening, Refused};
use super::app::App;
use super::drafts::{self, DraftAsked, NotTaken};
use super::settings::CapSettings;
use super::store::{CapRow, StoreError};
use loaxa_adapters::xml_signature::{self, SignatureError};
use loaxa_heart::config::cap::{self, Alert, CapError, Kind, Reference};
use loaxa_heart::decide::cap_intake::{self, Said, Verdict, Why};
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::{CommandId, ContentHash, KeyId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Longest life of what an alert says, where it expires later or never.
const LIVES_MAX: Span = Span::secs(30 * 86_400);

/// Hex digits of the id that people type.
const ID_DIGITS: usize = 12;

/// How far an alert has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the duty officer.
    Draft,
    /// Waits for people's signatures.
    Signing,
    /// Its announcements, or its cancels, went out.
    Sent,
    /// Another alert ended or replaced it.
    Ended,
    /// Nothing is said.
    Ignored,
}

/// An alert as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    pub state: State,
    /// Why nothing is said, or why it did not go out by itself.
    pub why: Option<String>,
    pub title: String,
    pub said: Vec<Said>,
    /// It ends what it refers to, and says nothing itself.
    pub ends: bool,
    /// Other alerts that it updates or cancels.
    pub refers_to: Vec<String>,
    pub commands: Vec<CommandId>,
}

/// Why an alert is not taken, or not sent.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotAlert {
    Off,
    Bad(#[from] CapError),
    Unsigned(#[from] SignatureError),
    NoSuch(String),
    NotADraft,
    Over,
    CancelByKey,
    Refused(#[from] Refused),
    NotTaken(#[from] NotTaken),
    Store(#[from] StoreError),
}

impl Say for NotAlert {
    fn say(&self) -> Sentence {
        match self {
            NotAlert::Off => said!("alert.off"),
            NotAlert::Bad(error) => said!("alert.bad", error),
            NotAlert::Unsigned(error) => said!("alert.unsigned", error),
            NotAlert::NoSuch(id) => said!("alert.no_such", id),
            NotAlert::NotADraft => said!("alert.not_a_draft"),
            NotAlert::Over => said!("alert.over"),
            NotAlert::CancelByKey => said!("alert.cancel_by_key"),
            NotAlert::Refused(error) => error.say(),
            NotAlert::NotTaken(error) => error.say(),
            NotAlert::Store(error) => error.say(),
        }
    }
}

fn written(reference: &Reference) -> String {
    format!("{},{},{}", reference.sender, reference.identifier, reference.sent)
}

fn read_row(row: &CapRow) -> Result<Taken, StoreError> {
    serde_json::from_str(&row.state).map_err(|error| StoreError::Sql(error.to_string()))
}

fn as_text(taken: &Taken) -> String {
    serde_json::to_string(taken).expect("what was taken is JSON")
}

fn settings(app: &App) -> Result<&CapSettings, NotAlert> {
    app.settings.cap.as_ref().ok_or(NotAlert::Off)
}

/// Takes an alert whose source was believed. One that is known already stays what it is.
///
/// # Errors
/// When it is no alert, or the store does not answer.
pub async fn take(app: &Arc<App>, bytes: &[u8]) -> Result<(CapRow, Taken), NotAlert> {
    let cap = settings(app)?;
    let alert = cap::read(bytes)?;
    check_signature(cap, bytes).await?;
    let now = app.now();
    let mut taken = judge(&alert, cap, now);
    let reference = written(&alert.reference());
    let id = ContentHash::of(reference.as_bytes()).to_string()[..ID_DIGITS].to_owned();
    let row = CapRow { reference, id, received: now, state: as_text(&taken) };
    if !app.store.add_cap(row.clone()).await? {
        let known = app.store.cap_referred(row.reference.clone()).await?;
        let known = known.ok_or(NotAlert::NoSuch(row.id))?;
        let taken = read_row(&known)?;
        return Ok((known, taken));
    }
    tracing::info!(reference = row.reference, state = ?taken.state, "took a CAP alert");
    if taken.state == State::Draft && !end_drafts(app, &taken).await? && taken.ends {
        // What it cancels never went out: nothing is left to be approved.
        taken.state = State::Ended;
        app.store.set_cap(row.id.clone(), as_text(&taken)).await?;
    }
    if cap.straight_to_air && taken.state == State::Draft {
        match send(app, &mut taken).await {
            Ok(()) => {}
            Err(NotAlert::Refused(refused)) => {
                tracing::warn!(%refused, id = row.id, "an alert waits for people");
                taken.why = Some(refused.to_string());
            }
            Err(error) => return Err(error),
        }
        app.store.set_cap(row.id.clone(), as_text(&taken)).await?;
    }
    Ok((row, taken))
}

/// Where certificates are named, an alert must bear the signature of one.
async fn check_signature(cap: &CapSettings, bytes: &[u8]) -> Result<(), NotAlert> {
    if cap.certificates.is_empty() {
        return Ok(());
    }
    let (text, certificates) = (String::from_utf8_lossy(bytes).into_owned(), cap.certificates.clone());
    let checked = tokio::task::spawn_blocking(move || xml_signature::verify(&text, &certificates)).await;
    Ok(checked.expect("the check does not panic")?)
}

fn judge(alert: &Alert, cap: &CapSettings, now: Wall) -> Taken {
    let (state, why, said, ends) = match cap_intake::judge(alert, &cap.policy, now) {
        Verdict::Say(said) => (State::Draft, None, said, false),
        Verdict::End => (State::Draft, None, Vec::new(), true),
        // An update that says nothing here any more takes back what the earlier alert said.
        Verdict::Nothing(why @ (Why::Elsewhere | Why::Over)) if matches!(alert.kind, Kind::Update(_)) => {
            (State::Draft, Some(why.to_string()), Vec::new(), true)
        }
        Verdict::Nothing(why) => (State::Ignored, Some(why.to_string()), Vec::new(), false),
    };
    let first = alert.infos.first();
    let title = said.first().map(|said| said.title.clone());
    let title =
        title.or_else(|| first.map(|info| info.headline.clone().unwrap_or_else(|| info.event.clone())));
    let refers_to = match &alert.kind {
        // Nobody takes back what another sender said.
        Kind::Update(references) | Kind::Cancel(references) => {
            references.iter().filter(|other| other.sender == alert.sender).map(written).collect()
        }
        Kind::Alert | Kind::Ack(_) | Kind::Error(_) => Vec::new(),
    };
    let title = title.or_else(|| alert.note.clone()).unwrap_or_default();
    Taken { state, why, title, said, ends, refers_to, commands: Vec::new() }
}

/// Ends the drafts that an alert replaces; says whether anything that it names went out.
async fn end_drafts(app: &App, taken: &Taken) -> Result<bool, NotAlert> {
    let mut aired = false;
    for (row, mut old) in referred(app, taken).await? {
        aired |= matches!(old.state, State::Sent | State::Signing);
        if old.state == State::Draft {
            old.state = State::Ended;
            app.store.set_cap(row.id, as_text(&old)).await?;
        }
    }
    Ok(aired)
}

async fn referred(app: &App, taken: &Taken) -> Result<Vec<(CapRow, Taken)>, NotAlert> {
    let mut found = Vec::new();
    for reference in &taken.refers_to {
        if let Some(row) = app.store.cap_referred(reference.clone()).await? {
            let old = read_row(&row)?;
            found.push((row, old));
        }
    }
    Ok(found)
}

/// Signs what an alert says with the keys on this server, and ends what it replaces.
async fn send(app: &Arc<App>, taken: &mut Taken) -> Result<(), NotAlert> {
    let old = referred(app, taken).await?;
    let mut replaced = old.iter().flat_map(|(_, old)| old.commands.iter().cloned());
    let now = app.now();
    for said in taken.said.clone().into_iter().skip(taken.commands.len()) {
        let supersedes = replaced.next();
        let asked = asked(said, supersedes, now).ok_or(NotAlert::Over)?;
        taken.commands.push(announce::announce(app, asked, None).await?);
    }
    for id in replaced {
        match announce::cancel(app, id, Some("CAP".to_owned())).await {
            // It waited for signatures, and was never an announcement.
            Ok(_) | Err(Refused::NoSuchAnnouncement(_)) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    taken.state = State::Sent;
    taken.why = None;
    for (row, mut old) in old {
        old.state = State::Ended;
        app.store.set_cap(row.id, as_text(&old)).await?;
    }
    Ok(())
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

/// The duty officer lets a draft go out: signed by the keys on this server, or by people, of whom `key` is the first.
///
/// # Errors
/// When it is no draft, or the keys may not.
pub async fn approve(app: &Arc<App>, id: String, key: Option<KeyId>) -> Result<Taken, NotAlert> {
    settings(app)?;
    let row = app.store.cap(id.clone()).await?.ok_or_else(|| NotAlert::NoSuch(id.clone()))?;
    let mut taken = read_row(&row)?;
    if taken.state != State::Draft {
        return Err(NotAlert::NotADraft);
    }
    match key {
        None => send(app, &mut taken).await?,
        Some(_) if taken.ends => return Err(NotAlert::CancelByKey),
        Some(key) => {
            let old = referred(app, &taken).await?;
            let mut replaced = old.iter().flat_map(|(_, old)| old.commands.iter().cloned());
            let now = app.now();
            for said in taken.said.clone() {
                let fields = asked(said, replaced.next(), now).ok_or(NotAlert::Over)?;
                let draft = DraftAsked::Announce { fields, media: None };
                taken.commands.push(drafts::make(app, key.clone(), draft).await?);
            }
            taken.state = State::Signing;
        }
    }
    app.store.set_cap(id, as_text(&taken)).await?;
    Ok(taken)
}

/// All alerts, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn list(app: &App) -> Result<Vec<(CapRow, Taken)>, StoreError> {
    let rows = app.store.caps().await?;
    rows.into_iter().map(|row| read_row(&row).map(|taken| (row, taken))).collect()
}
