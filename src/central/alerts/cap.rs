//! CAP alerts from file, push or feed to a draft, or to the air: taken once, superseded by name, never a way around keys.
//!
//! An alert ends others by their names, also those that come after it: real feeds tell the newest first. What it may end is
//! for [`cap_intake::reach`] to say. Several may be handled at once; each change of a row is a compare-and-set.

use loaxa_heart::said;
use loaxa_heart::texts::Say;
use std::sync::Arc;

use serde_json::Map;

use super::cap_sending::send;
use super::record::{KeptAlert, NotAlert, State, Taken, all_read, as_text, change, find, settings, targets};
use crate::app::App;
use crate::settings::CapSettings;
use crate::store::{AlarmKind, CapRow, PassedOver, StoreError};
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::xml_signature;
use loaxa_heart::config::cap::{self, Alert, Kind, Reference};
use loaxa_heart::decide::cap_intake::{self, Reach, Verdict, Voucher, Why, WhyAsk};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;

/// Hex digits of the id that people type.
const ID_DIGITS: usize = 12;

/// Most tries to find a free id, four digits longer each time.
const IDS_TRIED: usize = 5;

fn written(reference: &Reference) -> String {
    format!("{},{},{}", reference.sender, reference.identifier, reference.sent)
}

/// Takes an alert for which `voucher` vouches. One that is known already stays what it is.
///
/// # Errors
/// Fails when it is no alert, or the store does not answer.
pub async fn take(app: &Arc<App>, voucher: Voucher, bytes: &[u8]) -> Result<(CapRow, Taken), NotAlert> {
    let cap = settings(app)?;
    let (text, voucher) = verified(cap, voucher, bytes).await?;
    let alert = cap::read_text(&text)?;
    let (mut kept, news) = keep(app, &alert, judge(&alert, cap, voucher, app.now()), bytes.len()).await?;
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
async fn go_on(app: &Arc<App>, mut kept: KeptAlert) -> Result<KeptAlert, NotAlert> {
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
async fn waiting_for_this_voucher(app: &App, kept: &KeptAlert) -> Result<Vec<KeptAlert>, NotAlert> {
    let mut found = Vec::new();
    for other in all_read(app.store.caps_naming(own_name(kept)).await?) {
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
fn own_name(kept: &KeptAlert) -> String {
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
    let (why_en, why_vi) = why.map(|why| why.say().in_both()).unzip();
    let title = said.first().map(|said| said.title.clone());
    let of_info = || alert.infos.first().map(|info| info.headline.as_ref().unwrap_or(&info.event));
    let title = title.or_else(|| of_info().or(alert.note.as_ref()).map(|words| cap_intake::title(words)));
    Taken {
        by_central: None,
        state,
        why: why_en,
        why_vi,
        title: title.unwrap_or_default(),
        said,
        ends,
        refers_to,
        commands: Vec::new(),
        mode: cap_intake::mode(alert.status),
        voucher: Some(voucher),
        content: Some(ContentHash::of(format!("{alert:?}").as_bytes())),
        asks: why == Some(Why::NoPlace),
        doomed: false,
        rest: Map::new(),
    }
}

/// Keeps an alert. Another voucher's alert of the same name but with other
/// words is another alert: else whoever is first to use a name would keep the true alert out.
async fn keep(app: &App, alert: &Alert, taken: Taken, bytes: usize) -> Result<(KeptAlert, News), NotAlert> {
    let reference = written(&alert.reference());
    for tried in 0..IDS_TRIED {
        let known = all_read(app.store.caps_referred(reference.clone()).await?);
        let is_same = |known: &&KeptAlert| {
            let other = &known.taken;
            other.voucher.is_none() || other.voucher == taken.voucher || other.content == taken.content
        };
        if let Some(same) = known.iter().find(is_same) {
            return vouch_again(app, same, &taken).await;
        }
        if tried == 0 && !app.alert_quota.take(taken.voucher.as_ref(), bytes, monotonic()) {
            let source = taken.voucher.as_ref().map(|voucher| format!("{voucher:?}")).unwrap_or_default();
            app.suspect(AlarmKind::TooMuch, "CAP", &source).await;
            return Err(NotAlert::TooMany);
        }
        let reference = match known.is_empty() {
            true => reference.clone(),
            false => format!("{reference} {}", short_hash(&format!("{:?}", taken.voucher), 0)),
        };
        let id = short_hash(&reference, tried);
        let row = CapRow { reference, id, received: app.now(), state: as_text(&taken) };
        if app.store.add_cap(row.clone(), taken.refers_to.clone()).await? {
            return Ok((KeptAlert { row, taken }, News::New));
        }
    }
    Err(StoreError::Sql("no id is free for an alert".to_owned()).into())
}

/// Takes note of a better voucher for an alert that is known: what was put off for want of one is judged anew.
async fn vouch_again(app: &App, known: &KeptAlert, again: &Taken) -> Result<(KeptAlert, News), NotAlert> {
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

/// Lets a new alert be ended by those that came before it and name it, and ends drafts that it names itself.
async fn meet_the_others(app: &App, kept: KeptAlert) -> Result<KeptAlert, NotAlert> {
    let id = kept.row.id.clone();
    let mut ended_by = None;
    let mut has_lesser = false;
    for other in all_read(app.store.caps_naming(own_name(&kept)).await?) {
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
async fn end_drafts(app: &App, kept: KeptAlert) -> Result<KeptAlert, NotAlert> {
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
/// Fails when the store does not answer.
pub async fn list(app: &App, before: Option<String>, limit: u32) -> Result<Page, StoreError> {
    let rows = app.store.caps(before, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.id.clone());
    let alerts = all_read(rows).into_iter().map(|kept| (kept.row, kept.taken)).collect();
    Ok(Page { alerts, next })
}

/// Alerts, and the last of them where there may be more behind it.
pub struct Page {
    pub alerts: Vec<(CapRow, Taken)>,
    pub next: Option<String>,
}

/// Lists what feeds brought and was not taken, latest first.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn passed_over(app: &App) -> Result<Vec<PassedOver>, StoreError> {
    app.store.caps_passed_over().await
}
