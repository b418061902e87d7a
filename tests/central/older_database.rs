//! A database of an earlier version: it is opened, gets the columns that came later, and what lies in it is still shown.

use crate::support::commune::*;
use loaxa_heart::domain::time::Wall;
use rusqlite::{Connection, params};

/// The tables as they were before boxes and drafts had quotas.
const OLDER: &str = include_str!("../fixtures/central/schema-before-quotas.sql");

fn columns(db: &Connection, table: &str) -> Vec<String> {
    let mut query = db.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    query.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_kept_is_shown_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), embedded());
    let now = loaxa_adapters::clock::wall();
    let later = [
        ("log", "implausible"),
        ("plays", "arrived"),
        ("plays", "listed"),
        ("plays", "implausible"),
        ("drafts", "drafter"),
        ("drafts", "emergency"),
    ];
    {
        let db = Connection::open(settings.database.file().unwrap()).unwrap();
        db.execute_batch(OLDER).unwrap();
        for (table, column) in later {
            assert!(!columns(&db, table).iter().any(|name| name == column), "{table}.{column}");
        }
        db.execute(
            "INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, rung, source, language,
                                repetition, volume_percent, opened, started, ended, frames_played, outcome)
             VALUES ('loa-1', '0000000000000047', '0000000100000001', 1, 'slot', 'sang/2026-11-21', 'Bản tin cũ', 'programme',
                     'a.mp3', 'vi', 1, 100, ?1, ?1, ?1, 48000, 'finished')",
            [now.0 - 3_600_000_000],
        )
        .unwrap();
        db.execute(
            "INSERT INTO drafts (id, made, expires, payload) VALUES ('cu', ?1, ?2, '{}')",
            params![now.0 - 1_000_000, now.0 + 600_000_000],
        )
        .unwrap();
    }
    loaxa_adapters::private_files::keep(settings.database.file().unwrap()).unwrap();
    for start_number in 0..2 {
        let central = start(settings.clone()).await;
        let plays = get_api(&central, "/api/v1/plays").await.json();
        assert_eq!(plays[0]["title"], "Bản tin cũ", "{plays}");
        let day = |at: Wall| at.to_string();
        let (from, to) = (day(Wall(now.0 - 7_200_000_000)), day(now));
        let report = get_api(&central, &format!("/api/v1/report?from={from}&to={to}")).await.json();
        assert_eq!(report.as_array().map(Vec::len), Some(1), "{report}");
        let drafts = get_api(&central, "/api/v1/drafts").await.json();
        assert_eq!(drafts["drafts"][0]["id"], "cu", "{drafts}");
        // New rows stand beside the old ones.
        let mut village = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        village.epoch = loaxa_heart::domain::ids::Epoch(80 + start_number);
        village.hello("n", village.holds(&[]));
        village.append(loaxa_heart::domain::playback::Event::EntriesLost { count: 1 });
        assert_eq!(village.upload(1, 1).await.contiguous_upto, 1);
        central.stop().await;
    }
    let db = Connection::open(settings.database.file().unwrap()).unwrap();
    for (table, column) in later {
        assert!(columns(&db, table).iter().any(|name| name == column), "{table}.{column}");
    }
}
