//! Passkeys and the challenges of their ceremonies.

use super::SqlStore;
use super::audit::noted;
use super::columns::{name, optional_wall, wall};
use super::engine::{OptionalExtension, Result, Row, params};
use crate::store::{Answer, NewAct, PASSKEYS_MAX, PasskeyRow, Passkeys};
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

impl Passkeys for SqlStore {
    fn add_passkey(&self, key: PasskeyRow, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let added = db
                .prepare_cached(
                    "INSERT INTO passkeys (id, person, name, credential, made)
                     SELECT ?1, ?2, ?3, ?4, ?5
                     WHERE (SELECT count(*) FROM passkeys WHERE person = ?2) < ?6
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    key.id.0,
                    key.person.as_str(),
                    key.name,
                    key.credential,
                    key.made.0,
                    PASSKEYS_MAX
                ])?;
            noted(db, added == 1, &act)
        })
    }

    fn passkeys(&self, person: AccountId) -> Answer<'_, Vec<PasskeyRow>> {
        self.read_anyhow(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM passkeys WHERE person = ?1 ORDER BY made, id")?;
            query.query_map([person.as_str()], row)?.collect()
        })
    }

    fn note_passkey(&self, id: ContentHash, credential: String, at: Wall) -> Answer<'_, ()> {
        self.write_anyhow(move |db| {
            db.prepare_cached("UPDATE passkeys SET credential = ?2, used = ?3 WHERE id = ?1")?
                .execute(params![id.0, credential, at.0])?;
            Ok(())
        })
    }

    fn remove_passkey(&self, person: AccountId, id: ContentHash, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let removed = db
                .prepare_cached("DELETE FROM passkeys WHERE person = ?1 AND id = ?2")?
                .execute(params![person.as_str(), id.0])?;
            noted(db, removed == 1, &act)
        })
    }

    fn keep_challenge(&self, session: ContentHash, challenge: String, at: Wall) -> Answer<'_, ()> {
        self.write_if_room(move |db| {
            db.execute("DELETE FROM challenges WHERE session NOT IN (SELECT secret FROM sessions)", [])?;
            db.prepare_cached(
                "INSERT INTO challenges (session, challenge, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (session) DO UPDATE SET challenge = ?2, at = ?3",
            )?
            .execute(params![session.0, challenge, at.0])?;
            Ok(())
        })
    }

    fn take_challenge(&self, session: ContentHash, since: Wall) -> Answer<'_, Option<String>> {
        self.write_if_room(move |db| {
            let mut taken =
                db.prepare_cached("DELETE FROM challenges WHERE session = ?1 RETURNING challenge, at")?;
            let found = taken
                .query_row([session.0], |row| Ok((row.get::<_, String>("challenge")?, wall(row, "at")?)))
                .optional()?;
            Ok(found.filter(|(_, at)| *at >= since).map(|(challenge, _)| challenge))
        })
    }
}

fn row(row: &Row) -> Result<PasskeyRow> {
    Ok(PasskeyRow {
        id: ContentHash(row.get("id")?),
        person: name(row, "person")?,
        name: row.get("name")?,
        credential: row.get("credential")?,
        made: wall(row, "made")?,
        used: optional_wall(row, "used")?,
    })
}
