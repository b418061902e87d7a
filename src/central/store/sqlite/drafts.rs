//! Commands that wait for people's signatures.

use rusqlite::{Connection, Result, params};

use super::super::*;
use super::read::{name, wall};

pub fn add(db: &Connection, draft: &NewDraft) -> Result<()> {
    db.prepare_cached("INSERT INTO drafts (id, made, expires, payload) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![draft.id.as_str(), draft.made.0, draft.expires.0, draft.payload])?;
    Ok(())
}

pub fn withdraw(db: &Connection, draft: &CommandId) -> Result<()> {
    let unsent = "NOT EXISTS (SELECT 1 FROM commands WHERE commands.id = ?1)";
    db.prepare_cached(&format!("DELETE FROM draft_signatures WHERE draft = ?1 AND {unsent}"))?
        .execute([draft.as_str()])?;
    db.prepare_cached(&format!("DELETE FROM drafts WHERE id = ?1 AND {unsent}"))?
        .execute([draft.as_str()])?;
    Ok(())
}

pub fn open(db: &Connection, now: Wall) -> Result<Vec<DraftRow>> {
    let mut query = db.prepare_cached(
        "SELECT *, EXISTS (SELECT 1 FROM commands WHERE commands.id = drafts.id) AS sent FROM drafts
         WHERE expires > ?1 ORDER BY made DESC, id LIMIT ?2",
    )?;
    let rows = query.query_map(params![now.0, ROWS_MAX], |row| {
        let draft = NewDraft {
            id: name(row, "id")?,
            made: wall(row, "made")?,
            expires: wall(row, "expires")?,
            payload: row.get("payload")?,
        };
        Ok(DraftRow { signatures: signatures(db, &draft.id)?, draft, sent: row.get("sent")? })
    })?;
    rows.collect()
}

fn signatures(db: &Connection, draft: &CommandId) -> Result<Vec<DraftSignature>> {
    let mut query = db.prepare_cached("SELECT * FROM draft_signatures WHERE draft = ?1 ORDER BY at, key")?;
    let rows = query.query_map([draft.as_str()], |row| {
        Ok(DraftSignature { key: name(row, "key")?, signature: row.get("signature")?, at: wall(row, "at")? })
    })?;
    rows.collect()
}

pub fn add_signature(db: &Connection, draft: &CommandId, signature: &DraftSignature) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO draft_signatures (draft, key, signature, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (draft, key) DO NOTHING",
    )?
    .execute(params![draft.as_str(), signature.key.as_str(), signature.signature, signature.at.0])?;
    Ok(())
}
