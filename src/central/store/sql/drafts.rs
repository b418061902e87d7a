//! Drafts: commands that wait for people's signatures.

use super::SqlStore;
use super::columns::{name, wall};
use super::engine::{Connection, Result, params};
use crate::store::{Answer, DraftKept, DraftRoom, DraftRow, DraftSignature, Drafts, NewDraft, ROWS_MAX};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::time::Wall;

impl Drafts for SqlStore {
    fn add_draft(&self, draft: NewDraft, room: DraftRoom) -> Answer<'_, DraftKept> {
        self.write_anyhow(move |db| add(db, &draft, room))
    }

    fn drafts(&self, now: Wall) -> Answer<'_, Vec<DraftRow>> {
        self.read_anyhow(move |db| open(db, now))
    }

    fn withdraw_draft(&self, id: CommandId) -> Answer<'_, ()> {
        self.write_anyhow(move |db| withdraw(db, &id))
    }

    fn add_signature(
        &self,
        draft: CommandId,
        signature: DraftSignature,
        signatures_max: usize,
    ) -> Answer<'_, bool> {
        self.write_anyhow(move |db| add_signature(db, &draft, &signature, signatures_max))
    }
}

fn open(db: &Connection, now: Wall) -> Result<Vec<DraftRow>> {
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
            drafter: row.get("drafter")?,
            is_emergency: row.get("emergency")?,
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

fn add(db: &Connection, draft: &NewDraft, room: DraftRoom) -> Result<DraftKept> {
    let waiting: (i64, i64, i64) = db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE emergency = 0), count(*) FILTER (WHERE drafter = ?2)
             FROM drafts WHERE expires > ?1
             AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.id = drafts.id)",
        )?
        .query_row(params![draft.made.0, draft.drafter], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (open, lesser, own) = waiting;
    let is_full = |count: i64, max: usize| count >= max as i64;
    if is_full(own, room.own_max) {
        return Ok(DraftKept::NoOwnRoom);
    }
    if is_full(open, room.open_max) || !draft.is_emergency && is_full(lesser, room.lesser_max) {
        return Ok(DraftKept::NoRoom);
    }
    db.prepare_cached(
        "INSERT INTO drafts (id, made, expires, payload, drafter, emergency) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        draft.id.as_str(),
        draft.made.0,
        draft.expires.0,
        draft.payload,
        draft.drafter,
        draft.is_emergency,
    ])?;
    Ok(DraftKept::Kept)
}

fn add_signature(
    db: &Connection,
    draft: &CommandId,
    signature: &DraftSignature,
    signatures_max: usize,
) -> Result<bool> {
    db.prepare_cached(
        "INSERT INTO draft_signatures (draft, key, signature, at) SELECT ?1, ?2, ?3, ?4
         WHERE EXISTS (SELECT 1 FROM drafts WHERE id = ?1 AND expires > ?4)
           AND (SELECT count(*) FROM draft_signatures WHERE draft = ?1) < ?5
         ON CONFLICT (draft, key) DO NOTHING",
    )?
    .execute(params![
        draft.as_str(),
        signature.key.as_str(),
        signature.signature,
        signature.at.0,
        signatures_max as i64,
    ])?;
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM draft_signatures WHERE draft = ?1 AND key = ?2)")?
        .query_row([draft.as_str(), signature.key.as_str()], |row| row.get(0))
}

fn withdraw(db: &Connection, draft: &CommandId) -> Result<()> {
    let unsent = "NOT EXISTS (SELECT 1 FROM commands WHERE commands.id = ?1)";
    db.prepare_cached(&format!("DELETE FROM draft_signatures WHERE draft = ?1 AND {unsent}"))?
        .execute([draft.as_str()])?;
    db.prepare_cached(&format!("DELETE FROM drafts WHERE id = ?1 AND {unsent}"))?
        .execute([draft.as_str()])?;
    Ok(())
}
