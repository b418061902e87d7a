//! Proposals, their versions and their steps.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_json, from_word, json, known, name, optional_name, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{
    Answer, Approval, ChangeRow, ProposalContent, ProposalEdit, ProposalKept, ProposalRow, ProposalState,
    ProposalStep, Proposals, ROWS_MAX,
};
use loaxa_heart::domain::ids::{CommandId, ContentHash, ProposalId};

impl Proposals for SqlStore {
    fn edit_proposal(&self, edit: ProposalEdit, versions_max: u32) -> Answer<'_, ProposalKept> {
        self.write(move |db| {
            let kept = keep(db, &edit, versions_max)?;
            if kept == ProposalKept::Kept {
                note(db, &edit.act)?;
            }
            Ok(kept)
        })
    }

    fn step_proposal(&self, step: ProposalStep) -> Answer<'_, bool> {
        self.write(move |db| take(db, &step))
    }

    fn proposal(&self, id: ProposalId) -> Answer<'_, Option<ProposalRow>> {
        self.read(move |db| find(db, &id))
    }

    fn open_proposals(&self) -> Answer<'_, Vec<ProposalRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM proposals WHERE state IN ('draft', 'submitted', 'returned')
                 ORDER BY changed DESC, id LIMIT ?1",
            )?;
            known(query.query_map([ROWS_MAX], row)?)
        })
    }

    fn proposal_changes(&self, id: ProposalId) -> Answer<'_, Vec<ChangeRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT version, editor, at, change, digest FROM proposal_versions
                 WHERE proposal = ?1 ORDER BY version DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![id.as_str(), ROWS_MAX], |row| {
                Ok(ChangeRow {
                    version: row.get("version")?,
                    by: name(row, "editor")?,
                    at: wall(row, "at")?,
                    change: from_json(row, "change")?,
                    digest: ContentHash(row.get("digest")?),
                })
            })?;
            known(rows)
        })
    }

    fn proposal_content(&self, id: ProposalId, digest: ContentHash) -> Answer<'_, Option<ProposalContent>> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT content FROM proposal_versions WHERE proposal = ?1 AND digest = ?2 LIMIT 1",
            )?
            .query_row(params![id.as_str(), digest.0], |row| from_json(row, "content"))
            .optional()
        })
    }
}

fn find(db: &Connection, id: &ProposalId) -> Result<Option<ProposalRow>> {
    db.prepare_cached("SELECT * FROM proposals WHERE id = ?1")?.query_row([id.as_str()], row).optional()
}

fn row(row: &Row) -> Result<ProposalRow> {
    Ok(ProposalRow {
        id: name(row, "id")?,
        state: from_word(row, "state")?,
        author: name(row, "author")?,
        version: row.get("version")?,
        content: from_json(row, "content")?,
        digest: ContentHash(row.get("digest")?),
        made: wall(row, "made")?,
        changed: wall(row, "changed")?,
        decided_by: optional_name(row, "decided_by")?,
        reason: row.get("reason")?,
        command: optional_name(row, "command")?,
    })
}

fn keep(db: &Connection, edit: &ProposalEdit, versions_max: u32) -> Result<ProposalKept> {
    let digest = edit.content.digest();
    let Some(now) = find(db, &edit.id)? else {
        if edit.base.is_some() {
            return Ok(ProposalKept::Overtaken);
        }
        // The index keeps one open proposal for each document.
        let begun = db
            .prepare_cached(
                "INSERT INTO proposals (id, kind, subject, state, author, version, content, digest, made, changed)
                 VALUES (?1, ?2, ?3, 'draft', ?4, 1, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                edit.id.as_str(),
                edit.content.kind.code(),
                edit.content.subject,
                edit.by.as_str(),
                json(&edit.content),
                digest.0,
                edit.at.0
            ])?;
        if begun == 0 {
            return Ok(ProposalKept::Overtaken);
        }
        keep_version(db, edit, 1, digest)?;
        return Ok(ProposalKept::Kept);
    };
    if !now.state.is_open() || edit.base != Some(now.digest) {
        return Ok(ProposalKept::Overtaken);
    }
    if now.version >= versions_max {
        return Ok(ProposalKept::NoRoom);
    }
    db.prepare_cached(
        "UPDATE proposals SET state = 'draft', version = ?2, content = ?3, digest = ?4, changed = ?5, reason = NULL
         WHERE id = ?1",
    )?
    .execute(params![edit.id.as_str(), now.version + 1, json(&edit.content), digest.0, edit.at.0])?;
    keep_version(db, edit, now.version + 1, digest)?;
    Ok(ProposalKept::Kept)
}

fn keep_version(db: &Connection, edit: &ProposalEdit, version: u32, digest: ContentHash) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO proposal_versions (proposal, version, editor, at, change, content, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        edit.id.as_str(),
        version,
        edit.by.as_str(),
        edit.at.0,
        json(&edit.change),
        json(&edit.content),
        digest.0
    ])?;
    Ok(())
}

fn take(db: &Connection, step: &ProposalStep) -> Result<bool> {
    let taken = db
        .prepare_cached(
            "UPDATE proposals SET state = ?4, decided_by = ?5, reason = ?6, changed = ?7
             WHERE id = ?1 AND state = ?2 AND digest = ?3",
        )?
        .execute(params![
            step.id.as_str(),
            word(&step.from),
            step.digest.0,
            word(&step.to),
            step.by.as_str(),
            step.reason,
            step.at.0,
        ])?;
    if taken == 1 {
        note(db, &step.act)?;
    }
    Ok(taken == 1)
}

/// Approves a proposal with the command that follows, in the transaction that keeps the command; false where the proposal
/// is not what the approver saw, or the approver wrote a version of it.
pub fn approve(db: &Connection, id: &ProposalId, approval: &Approval, command: &CommandId) -> Result<bool> {
    let state = ProposalState::Approved;
    let approved = db
        .prepare_cached(
            "UPDATE proposals SET state = ?6, decided_by = ?3, command = ?4, changed = ?5
             WHERE id = ?1 AND state = 'submitted' AND digest = ?2
               AND NOT EXISTS (SELECT 1 FROM proposal_versions WHERE proposal = ?1 AND editor = ?3)",
        )?
        .execute(params![
            id.as_str(),
            approval.digest.0,
            approval.by.as_str(),
            command.as_str(),
            approval.act.at.0,
            state.code(),
        ])?;
    if approved == 1 {
        note(db, &approval.act)?;
    }
    Ok(approved == 1)
}
