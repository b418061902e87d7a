//! Sessions of people's browsers.

use std::sync::{Mutex, PoisonError};

use super::SqlStore;
use super::columns::{from_word, known, name, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Answer, SessionRow, Sessions};
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

impl Sessions for SqlStore {
    fn add_session(&self, session: SessionRow) -> Answer<'_, ()> {
        let shown = Mutex::new(None);
        self.write_if_room(move |db| {
            let secrets = secrets_of(db, &session.person)?;
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            match (db, &*shown) {
                (Connection::Sqlite(_), _) => *shown = Some(secrets),
                // It began without the server, by what somebody has changed or taken away since.
                (Connection::Postgres(_), Some(shown)) if *shown != secrets => {
                    tracing::warn!(person = %session.person, "a session that began without the database ends");
                    return Ok(());
                }
                (Connection::Postgres(_), _) => {}
            }
            drop(shown);
            db.prepare_cached(
                "INSERT INTO sessions (secret, person, stage, made, seen, address, browser)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                session.secret.0,
                session.person.as_str(),
                word(&session.stage),
                session.made.0,
                session.seen.0,
                session.from,
                session.browser,
            ])?;
            Ok(())
        })
    }

    fn session(&self, secret: ContentHash) -> Answer<'_, Option<SessionRow>> {
        self.read_anyhow(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM sessions WHERE secret = ?1")?;
            query.query_row([secret.0], row).optional()
        })
    }

    fn touch_session(&self, secret: ContentHash, at: Wall) -> Answer<'_, ()> {
        self.write_in_passing(move |db| {
            db.prepare_cached("UPDATE sessions SET seen = max(seen, ?2) WHERE secret = ?1")?
                .execute(params![secret.0, at.0])?;
            Ok(())
        })
    }

    fn sessions(&self, person: AccountId) -> Answer<'_, Vec<SessionRow>> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM sessions WHERE person = ?1 ORDER BY made DESC, secret")?;
            known(query.query_map([person.as_str()], row)?)
        })
    }

    fn end_session(&self, person: AccountId, secret: ContentHash) -> Answer<'_, bool> {
        self.write_anyhow(move |db| {
            let ended = db
                .prepare_cached("DELETE FROM sessions WHERE person = ?1 AND secret = ?2")?
                .execute(params![person.as_str(), secret.0])?;
            Ok(ended == 1)
        })
    }

    fn end_sessions(&self, person: AccountId, kept: Option<ContentHash>) -> Answer<'_, ()> {
        self.write_and_copy(move |db| {
            db.prepare_cached("DELETE FROM sessions WHERE person = ?1 AND secret IS DISTINCT FROM ?2")?
                .execute(params![person.as_str(), kept.map(|secret| secret.0)])?;
            // One that began without the server is not here yet, and ends when it comes.
            db.prepare_cached("UPDATE people SET sessions_ended = sessions_ended + 1 WHERE id = ?1")?
                .execute([person.as_str()])?;
            Ok(())
        })
    }

    fn forget_sessions(&self, made: Wall, seen: Wall) -> Answer<'_, ()> {
        self.write_in_passing(move |db| {
            db.prepare_cached("DELETE FROM sessions WHERE made < ?1 OR seen < ?2")?
                .execute(params![made.0, seen.0])?;
            Ok(())
        })
    }
}

/// The secrets by which somebody signs in, the number of times that all their sessions were ended, and the time at which
/// they left.
#[derive(PartialEq)]
struct Secrets {
    password: Option<String>,
    totp: Option<Vec<u8>>,
    passkeys: i64,
    sessions_ended: i64,
    left: Option<i64>,
}

fn secrets_of(db: &Connection, person: &AccountId) -> Result<Option<Secrets>> {
    let mut query = db.prepare_cached(
        "SELECT password, totp, sessions_ended, \"left\", (SELECT count(*) FROM passkeys WHERE person = people.id) AS keys
         FROM people WHERE id = ?1",
    )?;
    let read = |row: &Row| {
        let (password, totp) = (row.get("password")?, row.get("totp")?);
        let (passkeys, sessions_ended) = (row.get("keys")?, row.get("sessions_ended")?);
        Ok(Secrets { password, totp, passkeys, sessions_ended, left: row.get("left")? })
    };
    query.query_row([person.as_str()], read).optional()
}

fn row(row: &Row) -> Result<SessionRow> {
    Ok(SessionRow {
        secret: ContentHash(row.get("secret")?),
        person: name(row, "person")?,
        stage: from_word(row, "stage")?,
        made: wall(row, "made")?,
        seen: wall(row, "seen")?,
        from: row.get("address")?,
        browser: row.get("browser")?,
    })
}
