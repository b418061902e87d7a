//! A copy of the database while it is in use, and what has to change in a copy before it takes the place of the original.

use std::path::Path;

use super::audit;
use super::columns::{name, wall};
use super::connect::connect_to_read;
use super::database::Way;
use super::engine::{Connection, Error, Result, params};
use super::serials::NEW_ISSUERS;
use super::{SqlStore, on_own_thread};
use crate::store::{Actor, NewAct, StoreError};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::time::Wall;

/// Memory for reading the original, in KiB.
const CACHE_KIB: u32 = 8_192;

/// Numbers that each issuer leaves out after a restoration. What was signed since the backup had fewer, and boxes take
/// steps up to [`SERIAL_STEP_MAX`](loaxa_heart::decide::inbox::SERIAL_STEP_MAX).
const SERIALS_LEFT_OUT: i64 = 1 << 24;

/// An announcement that was still to sound, or could still be sent to boxes, when the backup was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillValid {
    pub id: CommandId,
    pub title: String,
    pub expires: Wall,
}

/// Writes a copy of the database, whole as of one moment, to a file that is not there yet.
///
/// # Errors
/// Fails when the original can't be read, or the copy not be written or not read back whole.
pub fn copy_to(original: &Path, copy: &Path) -> Result<(), StoreError> {
    let failed =
        |error: Error| StoreError::CantOpen { path: copy.display().to_string(), detail: error.to_string() };
    let reading = connect_to_read(original, CACHE_KIB).map_err(|error| StoreError::CantOpen {
        path: original.display().to_string(),
        detail: error.to_string(),
    })?;
    reading.execute("VACUUM INTO ?1", [copy.display().to_string()]).map_err(failed)?;
    let sound: String = connect_to_read(copy, CACHE_KIB)
        .and_then(|copied| copied.prepare_cached("PRAGMA quick_check(1)")?.query_row([], |row| row.get(0)))
        .map_err(failed)?;
    if sound == "ok" { Ok(()) } else { Err(StoreError::Sql(sound)) }
}

/// Makes a copy fit to take the place of the original: no number is given twice, nothing that was on its way to people
/// goes out again, nobody is signed in, and no one-time code or link is good any more. Returns the announcements that boxes
/// may still be sent.
///
/// # Errors
/// Fails when it is no database of this program, or can't be changed.
pub fn renew(database: &Database, made: Wall, now: Wall) -> Result<Vec<StillValid>, StoreError> {
    // Brings the schema to this version.
    drop(SqlStore::open_at(database, None)?);
    let way = Way::to(database)?;
    let renewed = on_own_thread(|| way.connect()?.in_transaction(|change| renew_all(change, made, now)));
    renewed.map_err(|error: Error| StoreError::CantOpen { path: way.name(), detail: error.to_string() })
}

fn renew_all(change: &Connection, made: Wall, now: Wall) -> Result<Vec<StillValid>> {
    change
        .execute("INSERT INTO serials (issuer, last) VALUES (?1, 0) ON CONFLICT DO NOTHING", [NEW_ISSUERS])?;
    change.execute("UPDATE serials SET last = last + ?1", [SERIALS_LEFT_OUT])?;
    change.execute("DELETE FROM sessions", [])?;
    change.execute("DELETE FROM challenges", [])?;
    // What is good once may have been used since.
    change.execute("DELETE FROM enrolments WHERE used IS NULL", [])?;
    change.execute("DELETE FROM links", [])?;
    change.execute("DELETE FROM recovery_codes", [])?;
    change.execute("UPDATE letters SET due = NULL WHERE due IS NOT NULL", [])?;
    change.execute("UPDATE events SET due = NULL WHERE due IS NOT NULL", [])?;
    let act = NewAct {
        at: now,
        actor: Actor::Console,
        act: "central_restored",
        subject: "central".to_owned(),
        before: None,
        after: Some(made.local().format("%d/%m/%Y %H:%M").to_string()),
        from: None,
    };
    audit::note(change, &act)?;
    let valid = change
        .prepare_cached(
            "SELECT id, title, expires FROM commands
             WHERE kind = 'announce' AND ended IS NULL AND expires > ?1 ORDER BY issued_at",
        )?
        .query_map(params![now.0], |row| {
            Ok(StillValid { id: name(row, "id")?, title: row.get("title")?, expires: wall(row, "expires")? })
        })?
        .collect::<Result<Vec<_>>>()?;
    Ok(valid)
}
