//! Enrolment: one-time codes, certificates, and boxes that were shut out.

use super::SqlStore;
use super::boxes::{declare_boxes, move_boxes};
use super::columns::{from_json, json, name, wall};
use super::engine::{Connection, OptionalExtension, Result, params};
use crate::settings::BoxDeclared;
use crate::store::{Answer, Enrolment, Serial};
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::{Span, Wall};

impl Enrolment for SqlStore {
    fn add_enrolment(&self, code: ContentHash, declared: BoxDeclared, expires: Wall) -> Answer<'_, ()> {
        self.write(move |db| add(db, code, &declared, expires))
    }

    fn use_enrolment(&self, code: ContentHash, key: String, now: Wall) -> Answer<'_, Option<BoxDeclared>> {
        self.write(move |db| use_up(db, code, &key, now))
    }

    fn add_certificate(
        &self,
        fingerprint: ContentHash,
        serial: Serial,
        id: BoxId,
        issued: Wall,
    ) -> Answer<'_, ()> {
        self.write(move |db| add_certificate(db, fingerprint, serial, &id, issued))
    }

    fn renew_certificate(
        &self,
        present: ContentHash,
        next: (ContentHash, Serial),
        id: BoxId,
        (issued, pause): (Wall, Span),
    ) -> Answer<'_, bool> {
        self.write(move |db| renew_certificate(db, present, next, &id, (issued, pause)))
    }

    fn is_last_certificate(&self, fingerprint: ContentHash) -> Answer<'_, bool> {
        self.read(move |db| is_last_certificate(db, fingerprint))
    }

    fn revoked_certificates(&self) -> Answer<'_, Vec<(Serial, Wall)>> {
        self.read(revoked_certificates)
    }

    fn certified(&self, fingerprint: ContentHash) -> Answer<'_, Option<BoxId>> {
        self.read(move |db| certified(db, fingerprint))
    }

    fn revoke_box(&self, id: BoxId, now: Wall) -> Answer<'_, bool> {
        self.write(move |db| revoke(db, &id, now))
    }
}

fn add(db: &Connection, code: ContentHash, declared: &BoxDeclared, expires: Wall) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO enrolments (code, box, title, groups, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        code.to_string(),
        declared.id.as_str(),
        declared.title,
        json(&declared.groups),
        expires.0
    ])?;
    Ok(())
}

fn use_up(db: &Connection, code: ContentHash, key: &str, now: Wall) -> Result<Option<BoxDeclared>> {
    let found = db
        .prepare_cached(
            "UPDATE enrolments SET used = ?2 WHERE code = ?1 AND used IS NULL AND expires > ?2
             RETURNING box, title, groups",
        )?
        .query_row(params![code.to_string(), now.0], |row| {
            let (id, title, groups) = (name(row, "box")?, row.get("title")?, from_json(row, "groups")?);
            Ok(BoxDeclared { id, title, groups, key: Some(key.to_owned()) })
        })
        .optional()?;
    if let Some(declared) = &found {
        db.prepare_cached("DELETE FROM shut_out WHERE box = ?1")?.execute([declared.id.as_str()])?;
        declare_boxes(db, std::slice::from_ref(declared))?;
        move_boxes(db, &[(declared.id.clone(), declared.groups.clone())])?;
    }
    Ok(found)
}

fn add_certificate(
    db: &Connection,
    fingerprint: ContentHash,
    serial: Serial,
    id: &BoxId,
    issued: Wall,
) -> Result<()> {
    // A box has one certificate: who holds an earlier one is another.
    db.prepare_cached("UPDATE certificates SET revoked = ?2 WHERE box = ?1 AND revoked IS NULL")?
        .execute(params![id.as_str(), issued.0])?;
    keep_certificate(db, fingerprint, serial, id, issued)
}

fn keep_certificate(
    db: &Connection,
    fingerprint: ContentHash,
    serial: Serial,
    id: &BoxId,
    issued: Wall,
) -> Result<()> {
    db.prepare_cached("INSERT INTO certificates (fingerprint, box, issued) VALUES (?1, ?2, ?3)")?
        .execute(params![fingerprint.to_string(), id.as_str(), issued.0])?;
    db.prepare_cached("INSERT INTO certificate_serials (fingerprint, serial) VALUES (?1, ?2)")?
        .execute(params![fingerprint.to_string(), serial])?;
    Ok(())
}

fn renew_certificate(
    db: &Connection,
    present: ContentHash,
    (fingerprint, serial): (ContentHash, Serial),
    id: &BoxId,
    (issued, pause): (Wall, Span),
) -> Result<bool> {
    let may = db
        .prepare_cached(
            "SELECT max(issued) <= ?3 AND max(CASE WHEN fingerprint = ?1 AND revoked IS NULL THEN 1 ELSE 0 END) = 1
             FROM certificates WHERE box = ?2",
        )?
        .query_row(params![present.to_string(), id.as_str(), issued.minus(pause).0], |row| {
            row.get::<_, Option<bool>>(0)
        })?;
    if may != Some(true) {
        return Ok(false);
    }
    db.prepare_cached(
        "UPDATE certificates SET revoked = ?3 WHERE box = ?1 AND fingerprint <> ?2 AND revoked IS NULL",
    )?
    .execute(params![id.as_str(), present.to_string(), issued.0])?;
    keep_certificate(db, fingerprint, serial, id, issued)?;
    Ok(true)
}

fn is_last_certificate(db: &Connection, fingerprint: ContentHash) -> Result<bool> {
    db.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM certificates AS one JOIN certificates AS other USING (box)
         WHERE one.fingerprint = ?1 AND other.revoked IS NULL AND other.issued > one.issued)",
    )?
    .query_row([fingerprint.to_string()], |row| row.get(0))
}

fn revoked_certificates(db: &Connection) -> Result<Vec<(Serial, Wall)>> {
    let mut query = db.prepare_cached(
        "SELECT serial, revoked FROM certificates JOIN certificate_serials USING (fingerprint)
         WHERE revoked IS NOT NULL ORDER BY revoked, serial",
    )?;
    let rows = query.query_map([], |row| Ok((row.get("serial")?, wall(row, "revoked")?)))?;
    rows.collect()
}

fn certified(db: &Connection, fingerprint: ContentHash) -> Result<Option<BoxId>> {
    db.prepare_cached("SELECT box FROM certificates WHERE fingerprint = ?1 AND revoked IS NULL")?
        .query_row([fingerprint.to_string()], |row| name(row, "box"))
        .optional()
}

fn revoke(db: &Connection, id: &BoxId, now: Wall) -> Result<bool> {
    db.prepare_cached("UPDATE certificates SET revoked = ?2 WHERE box = ?1 AND revoked IS NULL")?
        .execute(params![id.as_str(), now.0])?;
    db.prepare_cached("INSERT INTO shut_out (box, since) VALUES (?1, ?2) ON CONFLICT (box) DO NOTHING")?
        .execute(params![id.as_str(), now.0])?;
    // A code that was given before would bring the name back.
    db.prepare_cached("DELETE FROM enrolments WHERE box = ?1 AND used IS NULL")?.execute([id.as_str()])?;
    let known = db.prepare_cached("UPDATE boxes SET key = NULL WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(known == 1)
}
