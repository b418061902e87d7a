//! The deletion of what was kept long enough: which things go is reckoned from the rule and the time, and they go in small
//! steps, so that nobody waits long behind it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, Months, NaiveDate, NaiveTime};

use crate::app::App;
use crate::duties::Duty;
use crate::store::{Actor, KeepingRule, NewAct, Perishable, SAMPLES_KEPT, StoreError};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{Span, Wall};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(3_600);
/// Pause between two steps.
const STEP_EVERY: Duration = Duration::from_millis(50);
/// Time between two measurements of the disk.
const MEASURED_EVERY: Span = Span::secs(20 * 3_600);
/// Boxes whose hours are looked at in one step.
const BOXES_AT_ONCE: usize = 200;
/// Age in the other direction: an hour so far ahead was counted by a clock that was wrong.
const AHEAD_MAX: Span = Span::secs(86_400);
/// Files that are looked for at once.
const FILES_AT_ONCE: u32 = 20;

/// Reckons the time before which things of each kind go. Nothing goes that an open complaint may be about.
pub fn due(
    rule: &KeepingRule,
    now: Wall,
    complained: Option<Wall>,
) -> [(Perishable, Wall); Perishable::ALL.len()] {
    let today = now.date();
    let begin = |day: NaiveDate| Wall::from_local(day.and_time(NaiveTime::MIN));
    let months = |count| begin(today.checked_sub_months(Months::new(count)).unwrap_or_default());
    let days = |count: u32| begin(today.checked_sub_days(Days::new(count.into())).unwrap_or_default());
    let held = |before: Wall| match complained {
        // The evening before may reach into the day.
        Some(about) => before.min(begin(about.date().pred_opt().unwrap_or_default())),
        None => before,
    };
    Perishable::ALL.map(|kept| {
        let before = match kept {
            Perishable::Log => held(months(rule.log_months)),
            Perishable::Audio => held(months(rule.audio_months)),
            Perishable::Drafts => months(rule.draft_months),
            Perishable::Feedback => days(rule.feedback_days),
            Perishable::Acts => months(rule.act_months),
            // The log's lines lead to their orders.
            Perishable::Orders => held(months(rule.order_months.max(rule.log_months))),
            Perishable::Outgoing => months(rule.outgoing_months),
        };
        (kept, before)
    })
}

/// Deletes what is due for as long as central runs.
pub async fn prune(app: Arc<App>) {
    loop {
        if app.has_duty(Duty::Pruning)
            && let Err(error) = prune_by_the_clock(&app).await
        {
            tracing::error!(%error, "what was kept long enough is not deleted");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Deletes what is due, unless the clock that says so may be wrong: what is gone stays gone.
async fn prune_by_the_clock(app: &Arc<App>) -> Result<(), StoreError> {
    let measured = app.store.room().await?.first().map(|room| room.measured);
    if app.clock.may_delete(measured, app.now(), monotonic()) {
        return prune_once(app, app.now()).await;
    }
    if measured.is_none() { measure(app, app.now()).await } else { Ok(()) }
}

/// Deletes what is due by then.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn prune_once(app: &Arc<App>, now: Wall) -> Result<(), StoreError> {
    let (rule, complained) = (app.store.keeping_rule().await?, app.store.complained_since().await?);
    for (kept, before) in due(&rule, now, complained) {
        let gone = match kept {
            Perishable::Audio => audio(app, before, now).await?,
            _ => rows(app, kept, before, now).await?,
        };
        if gone > 0 {
            tracing::info!(kept = kept.code(), gone, %before, "deleted what was kept long enough");
            let act = NewAct {
                at: now,
                actor: Actor::Central,
                act: "pruned",
                subject: kept.code().to_owned(),
                before: None,
                after: Some(format!("{gone} < {}", before.date().format("%d/%m/%Y"))),
                from: None,
            };
            app.store.note_act(act).await?;
        }
    }
    health(app, now).await?;
    let measured = app.store.room().await?.first().map(|room| room.measured);
    if measured.is_none_or(|at| now.since(at) >= MEASURED_EVERY) { measure(app, now).await } else { Ok(()) }
}

async fn measure(app: &App, now: Wall) -> Result<(), StoreError> {
    let media = app.media.clone();
    let audio = tokio::task::spawn_blocking(move || media.bytes()).await.unwrap_or_default();
    app.store.measure_room(vec![("audio".to_owned(), audio)], now).await
}

/// Deletes the hours of boxes that are too old, and those that a clock far ahead left.
async fn health(app: &App, now: Wall) -> Result<(), StoreError> {
    let boxes: Vec<BoxId> = app.store.boxes().await?.into_iter().map(|row| row.id).collect();
    for some in boxes.chunks(BOXES_AT_ONCE) {
        app.store.forget_health(some.to_vec(), now.minus(SAMPLES_KEPT), now.plus(AHEAD_MAX)).await?;
        tokio::time::sleep(STEP_EVERY).await;
    }
    Ok(())
}

async fn rows(app: &App, kept: Perishable, before: Wall, now: Wall) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let gone = app.store.prune(kept, before, now).await?;
        if gone == 0 {
            return Ok(all);
        }
        all += gone;
        tokio::time::sleep(STEP_EVERY).await;
    }
}

/// Deletes recordings as they came, of which only the converted ones are used, then audio file by file. A file is put aside
/// first: whoever brings it anew meanwhile keeps it.
async fn audio(app: &App, before: Wall, now: Wall) -> Result<u64, StoreError> {
    let media = app.media.clone();
    let originals = tokio::task::spawn_blocking(move || media.forget_originals(before)).await;
    let mut all = originals.unwrap_or(Ok(0)).unwrap_or_else(|error| {
        tracing::error!(%error, "recordings as they came are not deleted");
        0
    });
    loop {
        let unused = app.store.unused_media(before, now, FILES_AT_ONCE).await?;
        let mut gone = 0;
        for hash in unused {
            let aside = match app.media.put_aside(hash) {
                Ok(aside) => aside,
                Err(error) => {
                    tracing::error!(%hash, %error, "audio that nobody needs is not deleted");
                    continue;
                }
            };
            if app.store.forget_media(hash, before, now).await? {
                aside.delete();
                gone += 1;
            }
        }
        all += gone;
        if gone == 0 {
            return Ok(all);
        }
        tokio::time::sleep(STEP_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Wall {
        Wall::from_local(text.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN))
    }

    #[test]
    fn each_kind_goes_by_its_own_time() {
        let now = day("2026-11-27").plus(Span::secs(9 * 3_600));
        let found = due(&KeepingRule::default(), now, None);
        let expected = [
            (Perishable::Log, day("2024-11-27")),
            (Perishable::Audio, day("2025-11-27")),
            (Perishable::Drafts, day("2026-05-27")),
            (Perishable::Feedback, day("2026-08-29")),
            (Perishable::Acts, day("2021-11-27")),
            (Perishable::Orders, day("2024-11-27")),
            (Perishable::Outgoing, day("2025-11-27")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_open_complaint_holds_the_evidence_that_it_is_about() {
        let now = day("2026-11-27");
        let about = day("2024-03-05").plus(Span::secs(17 * 3_600));
        let found = due(&KeepingRule::default(), now, Some(about));
        assert_eq!(found[0], (Perishable::Log, day("2024-03-04")));
        assert_eq!(found[1], (Perishable::Audio, day("2024-03-04")));
        assert_eq!(found[2], (Perishable::Drafts, day("2026-05-27")));
        assert_eq!(found[5], (Perishable::Orders, day("2024-03-04")));
        assert_eq!(due(&KeepingRule::default(), now, Some(now))[0].1, day("2024-11-27"));
    }
}
