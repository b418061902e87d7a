//! Notices, their versions and their steps.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_json, from_word, json, known, known_up_to, name, optional_name, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params, params_from_iter};
use super::media::media_of;
use super::webhooks;
use crate::store::{
    Answer, Approval, EventKind, NoticeEdit, NoticeFilter, NoticeKept, NoticeRow, NoticeState, NoticeStep,
    NoticeVersion, Notices, PublishedRow, ROWS_MAX,
};
use loaxa_heart::domain::ids::{CommandId, ContentHash, NoticeId};

impl Notices for SqlStore {
    fn edit_notice(&self, edit: NoticeEdit, room_max: u32) -> Answer<'_, NoticeKept> {
        self.write(move |db| {
            let kept = keep(db, &edit, room_max)?;
            if let (NoticeKept::Kept, Some(act)) = (kept, &edit.act) {
                note(db, act)?;
            }
            Ok(kept)
        })
    }

    fn step_notice(&self, step: NoticeStep) -> Answer<'_, bool> {
        self.write(move |db| take(db, &step))
    }

    fn notice(&self, id: NoticeId) -> Answer<'_, Option<NoticeRow>> {
        self.read(move |db| find(db, &id))
    }

    fn notice_of(&self, command: CommandId) -> Answer<'_, Option<NoticeRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(&format!("{NOTICE} WHERE command = ?1"))?;
            query.query_row([command.as_str()], row).optional()
        })
    }

    fn notices(&self, filter: NoticeFilter) -> Answer<'_, Vec<NoticeRow>> {
        self.read(move |db| {
            let mut conditions = Vec::new();
            let author = filter.author.as_ref().map(|id| id.as_str());
            conditions.extend(author.map(|_| "author = ?1".to_owned()));
            let states: Vec<_> = filter.states.iter().map(|state| format!("'{}'", word(state))).collect();
            if !states.is_empty() {
                conditions.push(format!("state IN ({})", states.join(", ")));
            }
            if let Some((from, to)) = filter.due {
                let due = [from, to].map(|at| json(&at).replace('"', "'"));
                conditions
                    .push(format!("content ->> '$.at' >= {} AND content ->> '$.at' < {}", due[0], due[1]));
            }
            if !filter.media.is_empty() {
                let media: Vec<_> = filter.media.iter().map(|hash| format!("'{hash}'")).collect();
                conditions.push(format!("content ->> '$.media' IN ({})", media.join(", ")));
            }
            let asked = conditions.join(" AND ");
            let which = if asked.is_empty() { "" } else { "WHERE" };
            known_up_to(filter.limit.min(ROWS_MAX), |wanted, behind| {
                let page = format!("ORDER BY changed DESC, id LIMIT {wanted} OFFSET {behind}");
                let mut query = db.prepare_cached(&format!("{NOTICE} {which} {asked} {page}"))?;
                Ok(query.query_map(params_from_iter(author), row)?.collect())
            })
        })
    }

    fn published(&self, limit: u32) -> Answer<'_, Vec<PublishedRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT notices.id, notices.content, media.*, min(deliveries.started) AS aired FROM notices
                 JOIN commands ON commands.id = notices.command AND commands.ended IS NULL
                 JOIN media ON media.sha256 = notices.content ->> '$.media'
                 JOIN deliveries ON deliveries.command = notices.command AND deliveries.started IS NOT NULL
                 WHERE notices.state = 'approved' AND notices.content -> '$.republish' = 'true'
                   AND notices.content ->> '$.class' <> 'emergency'
                 GROUP BY notices.id, media.sha256 ORDER BY aired DESC, notices.id LIMIT ?1 OFFSET ?2",
            )?;
            let published = |row: &Row| {
                Ok(PublishedRow {
                    id: name(row, "id")?,
                    content: from_json(row, "content")?,
                    aired: wall(row, "aired")?,
                    media: media_of(row)?,
                })
            };
            known_up_to(limit.min(ROWS_MAX), |wanted, behind| {
                Ok(query.query_map([wanted, behind], published)?.collect())
            })
        })
    }

    fn notice_versions(&self, id: NoticeId) -> Answer<'_, Vec<NoticeVersion>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM notice_versions WHERE notice = ?1 ORDER BY version DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![id.as_str(), ROWS_MAX], |row| {
                Ok(NoticeVersion {
                    version: row.get("version")?,
                    by: name(row, "editor")?,
                    at: wall(row, "at")?,
                    content: from_json(row, "content")?,
                    digest: ContentHash(row.get("digest")?),
                })
            })?;
            known(rows)
        })
    }
}

const NOTICE: &str = "SELECT * FROM notices";

fn find(db: &Connection, id: &NoticeId) -> Result<Option<NoticeRow>> {
    db.prepare_cached(&format!("{NOTICE} WHERE id = ?1"))?.query_row([id.as_str()], row).optional()
}

fn row(row: &Row) -> Result<NoticeRow> {
    Ok(NoticeRow {
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

fn keep(db: &Connection, edit: &NoticeEdit, room_max: u32) -> Result<NoticeKept> {
    let digest = edit.content.digest();
    let Some(now) = find(db, &edit.id)? else {
        let waiting: u32 = db
            .prepare_cached("SELECT count(*) FROM notices WHERE author = ?1 AND state IN ('draft', 'submitted', 'returned')")?
            .query_row([edit.by.as_str()], |row| row.get(0))?;
        if edit.base.is_some() {
            return Ok(NoticeKept::Overtaken);
        }
        if waiting >= room_max {
            return Ok(NoticeKept::NoRoom);
        }
        db.prepare_cached(
            "INSERT INTO notices (id, state, author, version, content, digest, made, changed)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            edit.id.as_str(),
            word(&edit.state),
            edit.by.as_str(),
            json(&edit.content),
            digest.0,
            edit.at.0
        ])?;
        keep_version(db, edit, 1, digest)?;
        return Ok(NoticeKept::Kept);
    };
    // The same press again, in another tab or after a connection that broke.
    if now.digest == digest && now.state == edit.state {
        return Ok(NoticeKept::Kept);
    }
    if !now.state.can_change() || edit.base != Some(now.digest) {
        return Ok(NoticeKept::Overtaken);
    }
    let last: String = db
        .prepare_cached("SELECT editor FROM notice_versions WHERE notice = ?1 AND version = ?2")?
        .query_row(params![edit.id.as_str(), now.version], |row| row.get(0))?;
    let goes_on = now.state == NoticeState::Draft && last == edit.by.as_str();
    let version = if goes_on { now.version } else { now.version + 1 };
    db.prepare_cached(
        "UPDATE notices SET state = ?2, version = ?3, content = ?4, digest = ?5, changed = ?6, reason = NULL WHERE id = ?1",
    )?
    .execute(params![
        edit.id.as_str(),
        word(&edit.state),
        version,
        json(&edit.content),
        digest.0,
        edit.at.0
    ])?;
    keep_version(db, edit, version, digest)?;
    Ok(NoticeKept::Kept)
}

fn keep_version(db: &Connection, edit: &NoticeEdit, version: u32, digest: ContentHash) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO notice_versions (notice, version, editor, at, content, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (notice, version) DO UPDATE SET at = ?4, content = ?5, digest = ?6",
    )?
    .execute(params![
        edit.id.as_str(),
        version,
        edit.by.as_str(),
        edit.at.0,
        json(&edit.content),
        digest.0
    ])?;
    Ok(())
}

fn take(db: &Connection, step: &NoticeStep) -> Result<bool> {
    let taken = db
        .prepare_cached(
            "UPDATE notices SET state = ?4, decided_by = ?5, reason = ?6, changed = ?7
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
        if step.to == NoticeState::Cancelled {
            webhooks::of_notice(db, EventKind::NoticeCancelled, &step.id, step.at)?;
        }
    }
    Ok(taken == 1)
}

/// Approves a notice with the command that follows, in the transaction that keeps the command; false where the notice is
/// not what the approver saw, or the approver wrote a version of it.
pub fn approve(db: &Connection, id: &NoticeId, approval: &Approval, command: &CommandId) -> Result<bool> {
    let approved = db
        .prepare_cached(
            "UPDATE notices SET state = 'approved', decided_by = ?3, command = ?4, changed = ?5
             WHERE id = ?1 AND state = 'submitted' AND digest = ?2
               AND NOT EXISTS (SELECT 1 FROM notice_versions WHERE notice = ?1 AND editor = ?3)",
        )?
        .execute(params![
            id.as_str(),
            approval.digest.0,
            approval.by.as_str(),
            command.as_str(),
            approval.act.at.0,
        ])?;
    if approved == 1 {
        note(db, &approval.act)?;
        webhooks::of_notice(db, EventKind::NoticeApproved, id, approval.act.at)?;
    }
    Ok(approved == 1)
}
