//! People, their roles and links.

use super::SqlStore;
use super::audit::{note, noted};
use super::columns::{from_word, known, name, optional_name, optional_wall, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Answer, LinkRow, NewAct, People, PersonRow, RoleRow};
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

impl People for SqlStore {
    fn add_person(&self, person: PersonRow, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            db.execute("DELETE FROM links WHERE purpose = 'first'", [])?;
            let added = db
                .prepare_cached(
                    "INSERT INTO people (id, name, reach, made) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                )?
                .execute(params![person.id.as_str(), person.name, person.reach, person.made.0])?;
            noted(db, added == 1, &act)
        })
    }

    fn person(&self, id: AccountId) -> Answer<'_, Option<PersonRow>> {
        self.read_anyhow(move |db| {
            let mut query = db.prepare_cached(&format!("{PERSON} WHERE id = ?1"))?;
            let found = query.query_row([id.as_str()], row).optional()?;
            found.map(|person| with_roles(db, person)).transpose()
        })
    }

    fn people(&self) -> Answer<'_, Vec<PersonRow>> {
        self.read_anyhow(|db| {
            let mut query =
                db.prepare_cached(&format!("{PERSON} ORDER BY \"left\" IS NOT NULL, name, id"))?;
            let rows = query.query_map([], row)?.collect::<Result<Vec<_>>>()?;
            rows.into_iter().map(|person| with_roles(db, person)).collect()
        })
    }

    fn rename_person(&self, id: AccountId, name: String, reach: String, act: NewAct) -> Answer<'_, ()> {
        self.write_and_copy(move |db| {
            db.prepare_cached("UPDATE people SET name = ?2, reach = ?3 WHERE id = ?1")?.execute(params![
                id.as_str(),
                name,
                reach
            ])?;
            note(db, &act)
        })
    }

    fn set_password(&self, id: AccountId, hash: String, act: NewAct) -> Answer<'_, ()> {
        self.write_and_copy(move |db| {
            db.prepare_cached("UPDATE people SET password = ?2 WHERE id = ?1")?
                .execute(params![id.as_str(), hash])?;
            note(db, &act)
        })
    }

    fn set_second_factor(
        &self,
        id: AccountId,
        totp: Option<Vec<u8>>,
        recovery: Vec<ContentHash>,
        act: NewAct,
    ) -> Answer<'_, ()> {
        self.write_and_copy(move |db| {
            db.prepare_cached("UPDATE people SET totp = ?2, totp_step = 0 WHERE id = ?1")?
                .execute(params![id.as_str(), totp])?;
            db.prepare_cached("DELETE FROM recovery_codes WHERE person = ?1")?.execute([id.as_str()])?;
            if totp.is_none() {
                db.prepare_cached("DELETE FROM passkeys WHERE person = ?1")?.execute([id.as_str()])?;
            }
            for code in &recovery {
                db.prepare_cached("INSERT INTO recovery_codes (person, code) VALUES (?1, ?2)")?
                    .execute(params![id.as_str(), code.0])?;
            }
            note(db, &act)
        })
    }

    fn use_totp_step(&self, id: AccountId, step: u64) -> Answer<'_, bool> {
        self.write_anyhow(move |db| {
            let used = db
                .prepare_cached("UPDATE people SET totp_step = ?2 WHERE id = ?1 AND totp_step < ?2")?
                .execute(params![id.as_str(), step as i64])?;
            Ok(used == 1)
        })
    }

    fn use_recovery_code(&self, id: AccountId, code: ContentHash, act: NewAct) -> Answer<'_, bool> {
        self.write_anyhow(move |db| {
            let used = db
                .prepare_cached("DELETE FROM recovery_codes WHERE person = ?1 AND code = ?2")?
                .execute(params![id.as_str(), code.0])?;
            noted(db, used == 1, &act)
        })
    }

    fn give_role(&self, role: RoleRow, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let given = give(db, &role)?;
            noted(db, given, &act)
        })
    }

    fn confirm_role(&self, id: i64, by: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let confirmed = db
                .prepare_cached(
                    "UPDATE roles SET confirmed_by = ?2, good_from = ?3 WHERE id = ?1 AND ended IS NULL
                     AND (good_from IS NULL OR good_from > ?3)
                     AND asked_by IS NOT NULL AND asked_by <> ?2 AND person <> ?2",
                )?
                .execute(params![id, by.as_str(), at.0])?;
            noted(db, confirmed == 1, &act)
        })
    }

    fn end_role(&self, id: i64, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let ended = db
                .prepare_cached("UPDATE roles SET ended = ?2 WHERE id = ?1 AND ended IS NULL")?
                .execute(params![id, at.0])?;
            noted(db, ended == 1, &act)
        })
    }

    fn leave(&self, id: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let left = db
                .prepare_cached("UPDATE people SET \"left\" = ?2, password = NULL, totp = NULL WHERE id = ?1 AND \"left\" IS NULL")?
                .execute(params![id.as_str(), at.0])?;
            db.prepare_cached("UPDATE roles SET ended = ?2 WHERE person = ?1 AND ended IS NULL")?
                .execute(params![id.as_str(), at.0])?;
            db.prepare_cached("UPDATE tokens SET revoked = ?2 WHERE owner = ?1 AND revoked IS NULL")?
                .execute(params![id.as_str(), at.0])?;
            for table in ["sessions", "links", "recovery_codes", "passkeys"] {
                db.prepare_cached(&format!("DELETE FROM {table} WHERE person = ?1"))?.execute([id.as_str()])?;
            }
            noted(db, left == 1, &act)
        })
    }

    fn add_link(&self, link: LinkRow, act: Option<NewAct>) -> Answer<'_, ()> {
        self.write(move |db| {
            let person = link.person.as_ref().map(AccountId::as_str);
            db.prepare_cached("DELETE FROM links WHERE person IS NOT DISTINCT FROM ?1 OR expires < ?2")?
                .execute(params![person, link.expires.0.min(act.as_ref().map_or(0, |act| act.at.0))])?;
            db.prepare_cached("INSERT INTO links (code, purpose, person, expires, asked_by, good_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                link.code.0,
                word(&link.purpose),
                person,
                link.expires.0,
                link.asked_by.as_ref().map(AccountId::as_str),
                link.good_from.0,
            ])?;
            act.as_ref().map_or(Ok(()), |act| note(db, act))
        })
    }

    fn link(&self, code: ContentHash, now: Wall) -> Answer<'_, Option<LinkRow>> {
        self.read(move |db| {
            let mut query = db
                .prepare_cached("SELECT * FROM links WHERE code = ?1 AND good_from <= ?2 AND expires > ?2")?;
            query.query_row(params![code.0, now.0], link_row).optional()
        })
    }

    fn waiting_link(&self, person: AccountId, now: Wall) -> Answer<'_, Option<LinkRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM links WHERE person = ?1 AND good_from > ?2")?;
            query.query_row(params![person.as_str(), now.0], link_row).optional()
        })
    }

    fn confirm_link(&self, person: AccountId, by: AccountId, now: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let confirmed = db
                .prepare_cached(
                    "UPDATE links SET good_from = ?3 WHERE person = ?1 AND good_from > ?3
                     AND asked_by IS NOT NULL AND asked_by <> ?2 AND person <> ?2",
                )?
                .execute(params![person.as_str(), by.as_str(), now.0])?;
            noted(db, confirmed == 1, &act)
        })
    }

    fn drop_link(&self, person: AccountId, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let dropped =
                db.prepare_cached("DELETE FROM links WHERE person = ?1")?.execute([person.as_str()])?;
            noted(db, dropped > 0, &act)
        })
    }

    fn use_link(&self, code: ContentHash, now: Wall) -> Answer<'_, bool> {
        self.write(move |db| {
            let used = db
                .prepare_cached("DELETE FROM links WHERE code = ?1 AND good_from <= ?2 AND expires > ?2")?
                .execute(params![code.0, now.0])?;
            Ok(used == 1)
        })
    }
}

const PERSON: &str =
    "SELECT *, (SELECT count(*) FROM recovery_codes WHERE person = people.id) AS recovery_left FROM people";

fn link_row(row: &Row) -> Result<LinkRow> {
    Ok(LinkRow {
        code: ContentHash(row.get("code")?),
        purpose: from_word(row, "purpose")?,
        person: optional_name(row, "person")?,
        asked_by: optional_name(row, "asked_by")?,
        good_from: wall(row, "good_from")?,
        expires: wall(row, "expires")?,
    })
}

fn give(db: &Connection, role: &RoleRow) -> Result<bool> {
    let given = db
        .prepare_cached(
            "INSERT INTO roles (person, role, in_group, asked_by, asked, confirmed_by, good_from)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE EXISTS (SELECT 1 FROM people WHERE id = ?1 AND \"left\" IS NULL)
               AND NOT EXISTS (SELECT 1 FROM roles
                 WHERE person = ?1 AND role = ?2 AND in_group = ?3 AND ended IS NULL)",
        )?
        .execute(params![
            role.person.as_str(),
            word(&role.role),
            role.group.as_str(),
            role.asked_by.as_ref().map(AccountId::as_str),
            role.asked.0,
            role.confirmed_by.as_ref().map(AccountId::as_str),
            role.good_from.map(|at| at.0),
        ])?;
    Ok(given == 1)
}

fn row(row: &Row) -> Result<PersonRow> {
    Ok(PersonRow {
        id: name(row, "id")?,
        name: row.get("name")?,
        reach: row.get("reach")?,
        password: row.get("password")?,
        totp: row.get("totp")?,
        recovery_left: row.get("recovery_left")?,
        made: wall(row, "made")?,
        left: optional_wall(row, "left")?,
        roles: Vec::new(),
    })
}

fn with_roles(db: &Connection, mut person: PersonRow) -> Result<PersonRow> {
    let mut query = db.prepare_cached("SELECT * FROM roles WHERE person = ?1 ORDER BY id")?;
    let rows = query.query_map([person.id.as_str()], |row| {
        Ok(RoleRow {
            id: row.get("id")?,
            person: name(row, "person")?,
            role: from_word(row, "role")?,
            group: name(row, "in_group")?,
            asked_by: optional_name(row, "asked_by")?,
            asked: wall(row, "asked")?,
            confirmed_by: optional_name(row, "confirmed_by")?,
            good_from: optional_wall(row, "good_from")?,
            ended: optional_wall(row, "ended")?,
        })
    })?;
    person.roles = known(rows)?;
    Ok(person)
}
