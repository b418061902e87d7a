//! The watch: looks at the boxes every few seconds, and keeps what is wrong as troubles that somebody takes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::enrolment::write_revocation_list;
use super::{deadline, expiry};
use crate::app::App;
use crate::changes::Changed;
use crate::disk::DiskState;
use crate::duties::Duty;
use crate::orders::software;
use crate::store::{AlarmRow, BoxRow, Found, SILENT_MAX, StoreError, TroubleKind, TroubleRow, urgently};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::software::Release;
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// Shortest time from the begin of a look at all boxes to the next, as a multiple of what the look took: a large fleet then takes
/// a small part of a core.
const APART_TIMES: u64 = 500;
/// Longest such time, however slow the database is.
const APART_MAX: Span = Span::secs(15);
/// Alarms that become troubles; a stranger who sends under ever new names makes no more.
const ALARMS_MAX: u32 = 200;
/// The fault of a box that does not know the time, which says so with its clock.
pub const NO_CLOCK: &str = "clock_untrusted";

/// The subject of troubles of the centre itself: no box has this name.
pub const CENTRE: &str = "*";

/// Looks for as long as central runs.
pub async fn run(app: Arc<App>) {
    let mut listening = None;
    let mut due = monotonic();
    loop {
        if let Some(seconds) = app.clock.look(app.now(), monotonic()) {
            tracing::warn!(seconds, "the clock of this machine jumped");
        }
        // Whoever is deaf hears no box.
        listening = app.outbound.is_connected().then(|| listening.unwrap_or(app.now()));
        if let Err(error) = follow(&app).await {
            tracing::error!(%error, "villages and revoked certificates are not read anew");
        }
        let begun = monotonic();
        if app.has_duty(Duty::Watch) && due <= begun {
            if let Err(error) = look(&app, listening).await {
                tracing::error!(%error, "the boxes are not looked after");
            }
            due = begun + apart(monotonic().since(begun));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The time from a look that took so long to the next.
fn apart(took: Span) -> Span {
    Span(took.0.saturating_mul(APART_TIMES)).min(APART_MAX)
}

/// Reads villages anew, and revoked certificates where other centrals may have revoked some.
async fn follow(app: &App) -> Result<(), StoreError> {
    app.read_places().await?;
    if app.duties.are_shared()
        && let Err(error) = write_revocation_list(app).await
    {
        tracing::error!(%error, "the list of revoked certificates does not follow the other centrals");
    }
    Ok(())
}

/// Looks once, and tells open pages of what has changed.
async fn look(app: &App, listening: Option<Wall>) -> Result<(), StoreError> {
    let (boxes, alarms) = (app.store.boxes().await?, app.store.alarms(ALARMS_MAX).await?);
    let now = app.now();
    let open = app.store.open_troubles().await?;
    let mut found = found(&boxes, &alarms, &Heard { now, listening, open: &open });
    found.extend(deadline::overdue(app, now).await?);
    found.extend(of_disk(app.disk.state(), now));
    found.extend(app.clock.off(monotonic()).map(|_| of_centre("centre_clock_off", now)));
    found.extend(of_certificates(app, now));
    found.extend(software::stopped(app).await?.map(|release| of_rollout(release, now)));
    if is_known(&found, &open) {
        return Ok(());
    }
    if urgently(app.store.note_troubles(found, now)).await? {
        app.changes.tell(Changed::Alarms);
        app.changes.tell(Changed::Boxes);
    }
    Ok(())
}

/// Finds what is wrong with the disk of the centre.
fn of_disk(state: DiskState, now: Wall) -> Option<Found> {
    let what = match state {
        // What is found is kept on the server.
        DiskState::Well | DiskState::ServerFull => return None,
        DiskState::Low { .. } => "centre_disk_low",
        DiskState::Full => "centre_disk_full",
    };
    Some(of_centre(what, now))
}

fn of_centre(what: &str, now: Wall) -> Found {
    Found {
        kind: TroubleKind::Fault,
        what: what.to_owned(),
        subject: CENTRE.to_owned(),
        detail: String::new(),
        since: now,
        last: now,
    }
}

/// Finds the certificates of the centre itself that end soon.
fn of_certificates(app: &App, now: Wall) -> Option<Found> {
    let (what, ends) = expiry::worst(&app.settings, now)?;
    Some(Found {
        kind: TroubleKind::Fault,
        what: what.to_owned(),
        subject: CENTRE.to_owned(),
        detail: ends.local().format("%d/%m/%Y").to_string(),
        since: now,
        last: now,
    })
}

/// The trouble of a rollout that stopped because boxes failed.
fn of_rollout(release: Release, now: Wall) -> Found {
    Found {
        kind: TroubleKind::Fault,
        what: "rollout_stopped".to_owned(),
        subject: CENTRE.to_owned(),
        detail: release.to_string(),
        since: now,
        last: now,
    }
}

/// The ground on which a silence is judged.
struct Heard<'a> {
    now: Wall,
    /// Since when this process hears the boxes.
    listening: Option<Wall>,
    open: &'a [TroubleRow],
}

impl Heard<'_> {
    /// Tells whether a box is out of contact: its connection broke off, or it was silent for long enough while it could be
    /// heard, or nothing was heard of it since it was found so.
    fn is_out_of_contact(&self, row: &BoxRow, seen: Wall) -> bool {
        let is_open =
            |open: &TroubleRow| open.kind == TroubleKind::OutOfContact && open.subject == row.id.as_str();
        let silent = |since: Wall| self.now.since(seen.max(since)) >= SILENT_MAX;
        row.lost || self.listening.is_some_and(silent) || self.open.iter().any(is_open)
    }
}

/// Finds what is wrong now.
fn found(boxes: &[BoxRow], alarms: &[AlarmRow], heard: &Heard) -> Vec<Found> {
    let now = heard.now;
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
        // A box that was never heard is not installed yet, and one without a key is enrolled no more.
        let Some(seen) = row.last_seen.filter(|_| row.key.is_some()) else { continue };
        if !row.is_online(now) {
            let is_out = heard.is_out_of_contact(row, seen);
            found.extend(is_out.then(|| of_box(row, TroubleKind::OutOfContact, "", seen)));
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

    #[test]
    fn a_fleet_that_takes_long_to_look_at_is_looked_at_less_often() {
        let apart = |took_ms: u64| apart(Span(took_ms * 1_000)).0 / 1_000;
        assert_eq!([3, 25, 100, u64::MAX / 1_000].map(apart), [1_500, 12_500, 15_000, 15_000]);
    }

    fn row(id: &str, seen: Option<i64>, faults: &[&str]) -> BoxRow {
        BoxRow {
            id: id.parse().unwrap(),
            title: id.to_owned(),
            groups: Vec::new(),
            key: Some(String::new()),
            last_seen: seen.map(|at| Wall(at * 1_000_000)),
            lost: false,
            software: None,
            languages: Vec::new(),
            clock: Some(ClockQuality::Synced),
            epoch: None,
            backlog: 0,
            faults: faults.iter().map(|code| (*code).to_owned()).collect(),
            holds: None,
            on_air: None,
        }
    }

    fn check(boxes: &[BoxRow], listening: Option<i64>, open: &[TroubleRow], expected: &[(&str, &str)]) {
        let second = |at: i64| Wall(at * 1_000_000);
        let heard = Heard { now: second(1_000), listening: listening.map(second), open };
        let found = found(boxes, &[], &heard);
        let found: Vec<_> = found.iter().map(|it| (it.subject.as_str(), it.what.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn silence_and_faults_are_found() {
        let boxes = [
            row("well", Some(990), &[]),
            row("silent", Some(500), &["disk_full"]),
            row("faulty", Some(999), &["disk_full", "device_lost"]),
            row("new", None, &[]),
            BoxRow { key: None, ..row("revoked", Some(500), &[]) },
            BoxRow { clock: Some(ClockQuality::None), ..row("timeless", Some(999), &[]) },
        ];
        let expected = [
            ("silent", ""),
            ("faulty", "device_lost"),
            ("faulty", "disk_full"),
            ("timeless", "clock_untrusted"),
        ];
        check(&boxes, Some(0), &[], &expected);
    }

    #[test]
    fn a_centre_that_was_deaf_accuses_nobody() {
        let boxes = [
            row("unheard", Some(500), &[]),
            BoxRow { lost: true, ..row("lost", Some(500), &[]) },
            row("known", Some(500), &[]),
        ];
        let known = TroubleRow {
            id: 1,
            kind: TroubleKind::OutOfContact,
            what: String::new(),
            subject: "known".to_owned(),
            detail: String::new(),
            since: Wall(0),
            ended: None,
            taken: None,
            silent_until: None,
        };
        let known = std::slice::from_ref(&known);
        check(&boxes, None, known, &[("lost", ""), ("known", "")]);
        check(&boxes, Some(900), known, &[("lost", ""), ("known", "")]);
        check(&boxes, Some(850), known, &[("unheard", ""), ("lost", ""), ("known", "")]);
    }
}
