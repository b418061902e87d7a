//! The watch: looks at the boxes every few seconds, and keeps what is wrong as troubles that somebody takes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::changes::Changed;
use crate::store::{AlarmRow, BoxRow, Found, StoreError, TroubleKind, TroubleRow};
use loaxa_heart::domain::time::{ClockQuality, Wall};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// Alarms that become troubles; a stranger who sends under ever new names makes no more.
const ALARMS_MAX: u32 = 200;
/// The fault of a box that does not know the time, which says so with its clock.
pub const NO_CLOCK: &str = "clock_untrusted";

/// Looks for as long as central runs.
pub async fn run(app: Arc<App>) {
    loop {
        if let Err(error) = look(&app).await {
            tracing::error!(%error, "the boxes are not looked after");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Looks once, and tells open pages of what has changed.
async fn look(app: &App) -> Result<(), StoreError> {
    app.read_places().await?;
    let (boxes, alarms) = (app.store.boxes().await?, app.store.alarms(ALARMS_MAX).await?);
    let now = app.now();
    let found = found(&boxes, &alarms, now);
    let open = app.store.open_troubles().await?;
    if is_known(&found, &open) {
        return Ok(());
    }
    if app.store.note_troubles(found, now).await? {
        app.changes.tell(Changed::Alarms);
        app.changes.tell(Changed::Boxes);
    }
    Ok(())
}

/// Finds what is wrong now.
fn found(boxes: &[BoxRow], alarms: &[AlarmRow], now: Wall) -> Vec<Found> {
    let of_box = |row: &BoxRow, kind, what: &str, since| Found {
        kind,
        what: what.to_owned(),
        subject: row.id.to_string(),
        detail: String::new(),
        since,
        last: now,
    };
    let mut found = Vec::new();
    for row in boxes {
        // A box that was never heard is not installed yet.
        let Some(seen) = row.last_seen else { continue };
        if !row.is_online(now) {
            found.push(of_box(row, TroubleKind::OutOfContact, "", seen));
            continue;
        }
        let no_clock = (row.clock == Some(ClockQuality::None)).then_some(NO_CLOCK);
        let codes: BTreeSet<&str> = row.faults.iter().map(String::as_str).chain(no_clock).collect();
        found.extend(codes.into_iter().map(|code| of_box(row, TroubleKind::Fault, code, seen)));
    }
    found.extend(alarms.iter().map(|alarm| Found {
        kind: TroubleKind::Security,
        what: alarm.kind.code().to_owned(),
        subject: alarm.subject.clone(),
        detail: alarm.detail.clone(),
        since: alarm.last,
        last: alarm.last,
    }));
    found
}

/// Tells whether nothing was found that is not open, and nothing of the boxes is open that was not found. Alarms are for
/// the store to judge: a person may have ended one that was not seen since.
fn is_known(found: &[Found], open: &[TroubleRow]) -> bool {
    let open: BTreeSet<_> =
        open.iter().map(|row| (row.kind, row.what.as_str(), row.subject.as_str())).collect();
    let found: BTreeSet<_> =
        found.iter().map(|it| (it.kind, it.what.as_str(), it.subject.as_str())).collect();
    let ended = open.difference(&found).any(|(kind, ..)| *kind != TroubleKind::Security);
    !ended && found.is_subset(&open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, seen: Option<i64>, faults: &[&str]) -> BoxRow {
        BoxRow {
            id: id.parse().unwrap(),
            title: id.to_owned(),
            groups: Vec::new(),
            key: None,
            last_seen: seen.map(|at| Wall(at * 1_000_000)),
            lost: false,
            software: None,
            clock: Some(ClockQuality::Synced),
            epoch: None,
            backlog: 0,
            faults: faults.iter().map(|code| (*code).to_owned()).collect(),
            holds: None,
            on_air: None,
        }
    }

    #[test]
    fn silence_and_faults_are_found() {
        let boxes = [
            row("well", Some(990), &[]),
            row("silent", Some(500), &["disk_full"]),
            row("faulty", Some(999), &["disk_full", "device_lost"]),
            row("new", None, &[]),
            BoxRow { clock: Some(ClockQuality::None), ..row("timeless", Some(999), &[]) },
        ];
        let found = found(&boxes, &[], Wall(1_000 * 1_000_000));
        let found: Vec<_> = found.iter().map(|it| (it.subject.as_str(), it.what.as_str())).collect();
        let expected = [
            ("silent", ""),
            ("faulty", "device_lost"),
            ("faulty", "disk_full"),
            ("timeless", "clock_untrusted"),
        ];
        assert_eq!(found, expected);
    }
}
