//! CAP alerts from file, push or feed to a draft, or to the air: taken once, superseded by name, never a way around keys.
//!
//! An alert ends others by their names, also those that come after it: real feeds tell the newest first. What it may end is
//! for [`cap_intake::reach`] to say. Several may be handled at once; each change of a row is a compare-and-set.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::announce::Refused;
use super::app::App;
use super::cap_sending::send;
use super::drafts::NotTaken;
use super::settings::CapSettings;
use super::store::{CapRow, PassedOver, StoreError};
use loaxa_adapters::xml_signature::{self, SignatureError};
use loaxa_heart::config::cap::{self, Alert, CapError, Kind, Reference};
use loaxa_heart::decide::cap_intake::{self, Reach, Said, Standing, Verdict, Voucher, Why, WhyAsk};
use loaxa_heart::domain::announcement::Mode;
use loaxa_heart::domain::ids::{CommandId, ContentHash};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Hex digits of the id that people type.
const ID_DIGITS: usize = 12;

/// Most tries to find a free id, four digits longer each time.
const IDS_TRIED: usize = 5;

/// Most alerts that one alert ends, with those that they would have ended.
const TARGETS_MAX: usize = 1_024;

/// A state of an alert on its way from its arrival to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the duty officer.
    Draft,
    /// Is being signed and sent by this server; after a restart, it goes on.
    Sending,
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
    /// The same in Vietnamese.
    #[serde(default)]
    pub why_vi: Option<String>,
    pub title: String,
    pub said: Vec<Said>,
    /// Marks an alert that ends what it refers to, and says nothing itself.
    pub ends: bool,
    /// Other alerts that it updates or cancels.
    pub refers_to: Vec<String>,
    /// Those of what is said, in its order.
    pub commands: Vec<CommandId>,
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub voucher: Option<Voucher>,
    /// Hash of what it holds, however it was written.
    #[serde(default)]
    pub content: Option<ContentHash>,
    /// A person decides, whatever else goes straight to the air.
    #[serde(default)]
    pub asks: bool,
    /// Another alert ended it while it was being sent: whoever sends it takes it back.
    #[serde(default)]
    pub doomed: bool,
}

impl Taken {
    pub(super) fn standing(&self) -> Standing<'_> {
        let mode = self.mode.or_else(|| self.said.first().map(|said| said.mode));
        Standing { voucher: self.voucher.as_ref(), mode: mode.unwrap_or(Mode::Actual), said: &self.said }
    }

    fn because(&mut self, why: &Sentence) {
        let (en, vi) = why.in_both();
        (self.why, self.why_vi) = (Some(en), Some(vi));
    }
}

/// An alert with the row that it was read from.
#[derive(Debug, Clone)]
pub struct Kept {
    pub row: CapRow,
    pub taken: Taken,
}

impl Kept {
    fn read(row: CapRow) -> Result<Self, StoreError> {
        let taken = serde_json::from_str(&row.state).map_err(|error| StoreError::Sql(error.to_string()))?;
        Ok(Self { row, taken })
    }
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

fn as_text(taken: &Taken) -> String {
    serde_json::to_string(taken).expect("what was taken is JSON")
}

pub(super) fn settings(app: &App) -> Result<&CapSettings, NotAlert> {
    app.settings.cap.as_ref().ok_or(NotAlert::Off)
}

/// Takes an alert for which `voucher` vouches. One that is known already stays what it is.
///
/// # Errors
/// When it is no alert, or the store does not answer.
pub async fn take(app: &Arc<App>, voucher: Voucher, bytes: &[u8]) -> Result<(CapRow, Taken), NotAlert> {
    let cap = settings(app)?;
    let (text, voucher) = verified(cap, voucher, bytes).await?;
    let alert = cap::read_text(&text)?;
    let (mut kept, news) = keep(app, &alert, judge(&alert, cap, voucher, app.now())).await?;
    if news != News::Nothing {
        tracing::info!(reference = kept.row.reference, state = ?kept.taken.state, "took a CAP alert");
        kept = go_on(app, kept).await?;
    }
    if news == News::Vouched {
        for waiting in waiting_for_this_voucher(app, &kept).await? {
            go_on(app, waiting).await?;
        }
    }
    Ok((kept.row, kept.taken))
}

/// News that the arrival of an alert brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// The alert is known.
    Nothing,
    /// The alert is known, and has a better voucher now.
    Vouched,
    New,
}

/// Lets an alert meet the others, and sends it where nobody need be asked.
async fn go_on(app: &Arc<App>, mut kept: Kept) -> Result<Kept, NotAlert> {
    if kept.taken.state == State::Draft {
        kept = meet_the_others(app, kept).await?;
    }
    if !settings(app)?.straight_to_air || kept.taken.state != State::Draft || kept.taken.asks {
        return Ok(kept);
    }
    match send(app, &kept.row.id).await {
        Ok(sent) => Ok(sent),
        Err(NotAlert::Refused(refused)) => {
            tracing::warn!(%refused, id = kept.row.id, "an alert waits for people");
            find(app, &kept.row.id).await
        }
        // It was ended a moment ago.
        Err(NotAlert::NotADraft) => find(app, &kept.row.id).await,
        Err(error) => Err(error),
    }
}

/// Finds alerts that would have ended this one, had the same voucher stood behind both: they need ask no more.
async fn waiting_for_this_voucher(app: &App, kept: &Kept) -> Result<Vec<Kept>, NotAlert> {
    let mut found = Vec::new();
    for other in all_read(app.store.caps_naming(own_name(kept)).await?)? {
        if cap_intake::reach(other.taken.standing(), kept.taken.standing()) != Reach::Ends {
            continue;
        }
        let (other, is_open) = change(app, &other.row.id, |taken| {
            let asked = taken.why.as_ref().is_some_and(|why| *why == WhyAsk::OtherVoucher.to_string());
            let is_open = taken.state == State::Draft && taken.asks && asked;
            if is_open {
                (taken.asks, taken.why, taken.why_vi) = (false, None, None);
            }
            is_open
        })
        .await?;
        found.extend(is_open.then_some(other));
    }
    Ok(found)
}

/// Gives the reference by which others name an alert.
fn own_name(kept: &Kept) -> String {
    kept.row.reference.split(' ').next().unwrap_or_default().to_owned()
}

/// Decides what is read, and who vouches for it: where certificates are named, what one of them signed; else what came.
async fn verified(cap: &CapSettings, voucher: Voucher, bytes: &[u8]) -> Result<(String, Voucher), NotAlert> {
    if cap.certificates.is_empty() {
        return Ok((cap::decode(bytes)?, voucher));
    }
    let (bytes, certificates) = (bytes.to_vec(), cap.certificates.clone());
    let checked = tokio::task::spawn_blocking(move || xml_signature::verify(&bytes, &certificates)).await;
    let verified = checked.expect("the check does not panic")?;
    Ok((verified.text, Voucher::Signers(verified.signers)))
}

fn judge(alert: &Alert, cap: &CapSettings, voucher: Voucher, now: Wall) -> Taken {
    let refers_to: Vec<_> = match &alert.kind {
        // Nobody takes back what another sender said.
        Kind::Update(references) | Kind::Cancel(references) => {
            references.iter().filter(|other| other.sender == alert.sender).map(written).collect()
        }
        Kind::Alert | Kind::Ack(_) | Kind::Error(_) => Vec::new(),
    };
    let (state, why, said, ends) = match cap_intake::judge(alert, &cap.policy, now) {
        Verdict::End if refers_to.is_empty() => (State::Ignored, Some(Why::OtherSender), Vec::new(), false),
        Verdict::Say(said) => (State::Draft, None, said, false),
        Verdict::Ask(why, said) => (State::Draft, Some(why), said, false),
        Verdict::End => (State::Draft, None, Vec::new(), true),
        // An update that says nothing here any more takes back what the earlier alert said.
        Verdict::Nothing(why @ (Why::Elsewhere | Why::Over)) if matches!(alert.kind, Kind::Update(_)) => {
            (State::Draft, Some(why), Vec::new(), true)
        }
        Verdict::Nothing(why) => (State::Ignored, Some(why), Vec::new(), false),
    };
    let asks = why == Some(Why::NoPlace);
    let (why, why_vi) = why.map(|why| why.say().in_both()).unzip();
    let title = said.first().map(|said| said.title.clone());
    let of_info = || alert.infos.first().map(|info| info.headline.as_ref().unwrap_or(&info.event));
    let title = title.or_else(|| of_info().or(alert.note.as_ref()).map(|words| cap_intake::title(words)));
    Taken {
        state,
        why,
        why_vi,
        title: title.unwrap_or_default(),
        said,
        ends,
        refers_to,
        commands: Vec::new(),
        mode: cap_intake::mode(alert.status),
        voucher: Some(voucher),
        content: Some(ContentHash::of(format!("{alert:?}").as_bytes())),
        asks,
        doomed: false,
    }
}

/// Keeps an alert. Another voucher's alert of the same name but with other
/// words is another alert: else whoever is first to use a name would keep the true alert out.
async fn keep(app: &App, alert: &Alert, taken: Taken) -> Result<(Kept, News), NotAlert> {
    let reference = written(&alert.reference());
    for tried in 0..IDS_TRIED {
        let known = all_read(app.store.caps_referred(reference.clone()).await?)?;
        let is_same = |known: &&Kept| {
            let other = &known.taken;
            other.voucher.is_none() || other.voucher == taken.voucher || other.content == taken.content
        };
        if let Some(same) = known.iter().find(is_same) {
            return vouch_again(app, same, &taken).await;
        }
        let reference = match known.is_empty() {
            true => reference.clone(),
            false => format!("{reference} {}", short_hash(&format!("{:?}", taken.voucher), 0)),
        };
        let id = short_hash(&reference, tried);
        let row = CapRow { reference, id, received: app.now(), state: as_text(&taken) };
        if app.store.add_cap(row.clone(), taken.refers_to.clone()).await? {
            return Ok((Kept { row, taken }, News::New));
        }
    }
    Err(StoreError::Sql("no id is free for an alert".to_owned()).into())
}

/// Takes note of a better voucher for an alert that is known: what was put off for want of one is judged anew.
async fn vouch_again(app: &App, known: &Kept, again: &Taken) -> Result<(Kept, News), NotAlert> {
    let outranks = |known: &Taken| match (&again.voucher, &known.voucher) {
        (Some(new), Some(old)) => again.content == known.content && new.outranks(old),
        _ => false,
    };
    let (kept, is_better) = change(app, &known.row.id, |taken| {
        if !outranks(taken) {
            return false;
        }
        taken.voucher.clone_from(&again.voucher);
        let ended_nothing = taken.ends && taken.state == State::Ended && taken.commands.is_empty();
        if taken.state == State::Draft || ended_nothing {
            taken.state = again.state;
            taken.asks = again.asks;
            taken.why.clone_from(&again.why);
            taken.why_vi.clone_from(&again.why_vi);
        }
        true
    })
    .await?;
    Ok((kept, if is_better { News::Vouched } else { News::Nothing }))
}

/// Gives some digits of a hash: more where the shorter one was taken already.
fn short_hash(text: &str, tried: usize) -> String {
    ContentHash::of(text.as_bytes()).to_string()[..ID_DIGITS + 4 * tried].to_owned()
}

pub(super) fn all_read(rows: Vec<CapRow>) -> Result<Vec<Kept>, StoreError> {
    rows.into_iter().map(Kept::read).collect()
}

pub(super) async fn find(app: &App, id: &str) -> Result<Kept, NotAlert> {
    let row = app.store.cap(id.to_owned()).await?.ok_or_else(|| NotAlert::NoSuch(id.to_owned()))?;
    Ok(Kept::read(row)?)
}

/// Changes an alert, as often as somebody else does so in the same moment. `change` says whether there is anything to do.
pub(super) async fn change(
    app: &App,
    id: &str,
    change: impl Fn(&mut Taken) -> bool,
) -> Result<(Kept, bool), NotAlert> {
    loop {
        let mut kept = find(app, id).await?;
        if !change(&mut kept.taken) {
            return Ok((kept, false));
        }
        let state = as_text(&kept.taken);
        if app.store.change_cap(id.to_owned(), kept.row.state, state.clone()).await? {
            kept.row.state = state;
            return Ok((kept, true));
        }
    }
}

/// Lets a new alert be ended by those that came before it and name it, and ends drafts that it names itself.
async fn meet_the_others(app: &App, kept: Kept) -> Result<Kept, NotAlert> {
    let id = kept.row.id.clone();
    let mut ended_by = None;
    let mut has_lesser = false;
    for other in all_read(app.store.caps_naming(own_name(&kept)).await?)? {
        if other.row.id == id || other.taken.state == State::Ignored {
            continue;
        }
        match cap_intake::reach(other.taken.standing(), kept.taken.standing()) {
            Reach::Ends => ended_by = Some(other.row.reference),
            Reach::Asks(WhyAsk::Lesser) => has_lesser = true,
            // A stranger's word keeps no warning from being said.
            Reach::Asks(WhyAsk::OtherVoucher) | Reach::Never => {}
        }
    }
    let (kept, _) = change(app, &id, |taken| {
        if taken.state != State::Draft {
            return false;
        }
        if let Some(by) = &ended_by {
            taken.said.clear();
            taken.ends = true;
            taken.asks = false;
            taken.because(&said!("alert.ended_before", by));
        }
        if has_lesser && ended_by.is_none() {
            taken.asks = true;
            taken.because(&said!("alert.lesser_before"));
        }
        ended_by.is_some() || has_lesser
    })
    .await?;
    end_drafts(app, kept).await
}

/// Ends the drafts that an alert names; an alert that only ends others and finds none on the air has done all it can, and
/// is remembered for those that may still come.
async fn end_drafts(app: &App, kept: Kept) -> Result<Kept, NotAlert> {
    let (mut aired, mut asks) = (false, None);
    let targets = targets(app, &kept).await?;
    for target in &targets {
        match cap_intake::reach(kept.taken.standing(), target.taken.standing()) {
            Reach::Ends => aired |= !end_unless_aired(app, &target.row.id).await?,
            Reach::Asks(why) => asks = Some(why),
            Reach::Never => {}
        }
    }
    let (kept, _) = change(app, &kept.row.id, |taken| {
        if taken.state != State::Draft {
            return false;
        }
        if let Some(why) = asks {
            taken.asks = true;
            taken.because(&why.say());
        } else if taken.ends && !aired {
            taken.state = State::Ended;
            if taken.why.is_none() && targets.is_empty() {
                taken.because(&said!("alert.ends_nothing"));
            }
        }
        taken.state == State::Ended || asks.is_some()
    })
    .await?;
    Ok(kept)
}

/// Finds alerts that may still sound and are named by one, or by those that this one names: who cancels an update means
/// all of the chain.
pub(super) async fn targets(app: &App, kept: &Kept) -> Result<Vec<Kept>, NotAlert> {
    let mut names: VecDeque<_> = kept.taken.refers_to.iter().cloned().collect();
    let mut seen = BTreeSet::from([kept.row.id.clone()]);
    let mut found = Vec::new();
    while let Some(name) = names.pop_front() {
        for other in all_read(app.store.caps_referred(name).await?)? {
            if seen.len() > TARGETS_MAX || !seen.insert(other.row.id.clone()) {
                continue;
            }
            if cap_intake::reach(kept.taken.standing(), other.taken.standing()) != Reach::Never {
                names.extend(other.taken.refers_to.iter().cloned());
            }
            if !matches!(other.taken.state, State::Ended | State::Ignored) {
                found.push(other);
            }
        }
    }
    Ok(found)
}

/// Ends what did not go out yet; `false` where it did, or is just being sent.
async fn end_unless_aired(app: &App, id: &str) -> Result<bool, NotAlert> {
    let kept = find(app, id).await?;
    if kept.taken.state == State::Signing {
        for command in &kept.taken.commands {
            app.store.withdraw_draft(command.clone()).await?;
            if app.store.command(command.clone()).await?.is_some() {
                return Ok(false);
            }
        }
    }
    let (kept, _) = change(app, id, |taken| {
        let is_silent = matches!(taken.state, State::Draft | State::Signing);
        if is_silent {
            taken.state = State::Ended;
        }
        is_silent
    })
    .await?;
    Ok(kept.taken.state == State::Ended)
}

/// Lists all alerts, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn list(app: &App) -> Result<Vec<(CapRow, Taken)>, StoreError> {
    let rows = all_read(app.store.caps().await?)?;
    Ok(rows.into_iter().map(|kept| (kept.row, kept.taken)).collect())
}

/// Lists what feeds brought and was not taken, latest first.
///
/// # Errors
/// When the store does not answer.
pub async fn passed_over(app: &App) -> Result<Vec<PassedOver>, StoreError> {
    app.store.caps_passed_over().await
}
