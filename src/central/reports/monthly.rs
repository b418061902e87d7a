//! The report of a month, made by itself once the month is over, and sent to the level above.

use std::sync::Arc;
use std::time::Duration;

use super::keep::settle;
use super::period::Period;
use super::report::{number, percent, report};
use crate::app::App;
use crate::duties::Duty;
use crate::store::{Channel, NewLetter, StoreError, Sums};
use loaxa_heart::said;
use loaxa_heart::texts::Lang;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);

/// Boxes' days that are reckoned before the report is made.
const SETTLED: u32 = 20_000;

/// Makes and sends reports for as long as central runs.
pub async fn make_monthly(app: Arc<App>) {
    loop {
        if app.has_duty(Duty::MonthlyReport)
            && let Err(error) = look(&app).await
        {
            tracing::error!(%error, "the report of the month is not made");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Makes the report of last month where it was not made yet, and something was kept of that month.
async fn look(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let Some(last) = Period::month_of(now.date()).before() else { return Ok(()) };
    let month = last.to_string();
    let kept = app.store.last_day_kept(last.days().1).await?;
    let has_days = kept.is_some_and(|day| day >= last.days().0);
    if !has_days || app.store.made_reports().await?.iter().any(|(made, _)| *made == month) {
        return Ok(());
    }
    settle(app, SETTLED).await?;
    let Ok(report) = report(app, last).await? else { return Ok(()) };
    let reporting = &app.settings.reporting;
    let total = report.total;
    let named = report.period.named();
    let (commune, link) = (&app.settings.commune, format!("{}/bao-cao?ky={month}", app.public_url));
    let letter =
        reporting.email.clone().filter(|_| app.settings.calling.email.is_some()).map(|to| NewLetter {
            channel: Channel::Email,
            to,
            subject: said!("report.letter_subject", commune, period = named).to(Lang::Vi),
            body: said!(
                "report.letter_body",
                commune,
                period = report.period.named(),
                planned = number(total.planned),
                aired = number(total.aired),
                missed = number(total.missed),
                unknown = number(total.unknown),
                share = percent(total.aired, total.planned),
                link
            )
            .to(Lang::Vi),
        });
    let sums = Sums {
        planned_ms: total.planned * 60_000,
        aired_ms: total.aired * 60_000,
        missed_ms: total.missed * 60_000,
        unknown_ms: total.unknown * 60_000,
        extra_ms: total.extra * 60_000,
    };
    if app.store.note_report(month.clone(), now, sums, letter).await? {
        tracing::info!(month, "the report of the month is made");
    }
    Ok(())
}
