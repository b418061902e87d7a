//! Promises about the health of boxes.

use super::*;

pub(super) async fn hours_of_health_are_counted_and_forgotten(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let hour = Wall(NOW.0 - NOW.0 % 3_600_000_000);
    let usage = Some(Usage { disk_free_mib: 900, month_mib: 40 });
    let beat = |at, clock, faults: &[&str]| {
        let usage = usage.filter(|_| faults.is_empty());
        let faults = faults.iter().map(|code| (*code).to_owned()).collect();
        let kind = SignKind::Heartbeat { backlog: 3, faults, usage };
        store.note_sign_of_life(SignOfLife { id: id("loa-1"), at, clock, holds: None, kind })
    };
    beat(hour, ClockQuality::None, &[]).await.unwrap();
    beat(hour.plus(Span::secs(60)), ClockQuality::Synced, &["disk_full"]).await.unwrap();
    beat(hour.plus(Span::secs(3_600)), ClockQuality::Synced, &[]).await.unwrap();
    let rows = store.health(id("loa-1"), Wall(0)).await.unwrap();
    let counts: Vec<_> =
        rows.iter().map(|row| (row.signs, row.without_clock, row.faulty, row.backlog_max)).collect();
    assert_eq!(counts, [(2, 1, 1, 3), (1, 0, 0, 3)]);
    assert_eq!(rows[0].usage, usage, "the last word of it counts");
    // A clock that was far ahead for a while costs nothing: only who has looked at the clock deletes.
    beat(hour.plus(SAMPLES_KEPT).plus(Span::secs(7_200)), ClockQuality::Synced, &[]).await.unwrap();
    let hours = async || {
        let rows = store.health(id("loa-1"), Wall(0)).await.unwrap();
        rows.into_iter().map(|row| row.hour.since(hour).0 / 3_600_000_000).collect::<Vec<_>>()
    };
    assert_eq!(hours().await, [0, 1, 90 * 24 + 2]);
    store.forget_health(vec![id("loa-2")], hour.plus(Span::secs(9_000)), hour).await.unwrap();
    assert_eq!(hours().await.len(), 3, "another's");
    let (first, last) = (hour.plus(Span::secs(3_600)), hour.plus(Span::secs(86_400)));
    store.forget_health(vec![id("loa-1")], first, last).await.unwrap();
    assert_eq!(hours().await, [1], "old hours go, and those of a time that has not come");
}
