//! Commands that were sealed and sent.

use super::SqlStore;
use super::boxes::move_boxes;
use super::columns::{from_json, json, known, known_up_to, name, optional_word, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use super::kinds::kind_code;
use super::serials::{Aside, NEW_ISSUERS, floor, set_aside};
use super::{alerts, deliveries, documents, notices, proposals, touched};
use crate::store::{
    Answer, Approval, Approved, Basis, CommandRow, Commands, Ended, Errand, Kept, NewCommand, ROWS_MAX,
    StoreError,
};
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::domain::time::Wall;

impl Commands for SqlStore {
    fn next_serial(&self, issuer: KeyId) -> Answer<'_, u64> {
        Box::pin(async move {
            let (by, above) = (issuer.clone(), self.last_serial(&issuer));
            let (has_peers, aside) = (self.among.has_peers(), self.aside(&issuer));
            let kept = self.write(move |db| {
                let serial = next_serial(db, &by, above)?;
                let is_old = has_peers && aside.is_none_or(|aside| aside.is_old(serial));
                Ok((serial, if is_old { Some(set_aside(db, &by)?) } else { None }))
            });
            let kept = kept.await;
            let serial = match kept {
                Err(StoreError::Full | StoreError::Sql(_)) if Errand::of_now().is_urgent => {
                    let by = issuer.clone();
                    let last = self.read(move |db| last_serial(db, &by)).await?;
                    // The disk keeps it together with the command, when it can.
                    return Ok(self.give_aside(&issuer).unwrap_or_else(|| self.give_serial(issuer, last)));
                }
                // All that were given before are remembered since the start.
                Err(error) if error.is_of_server() && Errand::of_now().is_urgent => {
                    return Ok(self.give_aside(&issuer).unwrap_or_else(|| self.give_serial(issuer, 0)));
                }
                kept => kept?,
            };
            let (serial, aside) = serial;
            self.note_given(&issuer, serial);
            if let Some(aside) = aside {
                self.keep_aside(&issuer, aside);
            }
            Ok(serial)
        })
    }

    fn add_command(&self, command: NewCommand) -> Answer<'_, Kept> {
        self.write_anyhow(move |db| add(db, &command))
    }

    fn command(&self, id: CommandId) -> Answer<'_, Option<CommandRow>> {
        self.read_anyhow(move |db| command(db, &id))
    }

    fn announcements(&self, before: Option<CommandId>, limit: u32) -> Answer<'_, Vec<CommandRow>> {
        self.read_anyhow(move |db| announcements(db, before.as_ref(), limit))
    }

    fn to_stop(&self, now: Wall, limit: u32) -> Answer<'_, Vec<(CommandId, Wall)>> {
        self.read_anyhow(move |db| to_stop(db, now, limit))
    }

    fn issued_since(
        &self,
        announced: Wall,
        cancelled: Wall,
        now: Wall,
        limit: u32,
    ) -> Answer<'_, Vec<CommandRow>> {
        self.read(move |db| {
            let mut rows = issued_since(db, CommandKind::Announce, announced, now, limit)?;
            rows.extend(issued_since(db, CommandKind::Cancel, cancelled, now, limit)?);
            rows.sort_by(|a, b| (a.issued_at, &a.id).cmp(&(b.issued_at, &b.id)));
            Ok(rows)
        })
    }

    fn envelopes(&self, ids: Vec<CommandId>) -> Answer<'_, Vec<Vec<u8>>> {
        self.read(move |db| envelopes(db, &ids))
    }
}

impl SqlStore {
    /// The last number that this process gave for an issuer.
    fn last_serial(&self, issuer: &KeyId) -> u64 {
        let serials = self.serials.lock().expect("nothing panics while it holds the serials");
        serials.get(issuer.as_str()).copied().unwrap_or_default().max(floor(&serials))
    }

    /// Gives a number that was set aside for this process alone.
    fn give_aside(&self, issuer: &KeyId) -> Option<u64> {
        let mut aside = self.aside.lock().expect("nothing panics while it holds the numbers");
        aside.get_mut(issuer.as_str())?.give()
    }

    fn aside(&self, issuer: &KeyId) -> Option<Aside> {
        let aside = self.aside.lock().expect("nothing panics while it holds the numbers");
        aside.get(issuer.as_str()).copied()
    }

    /// Remembers that a number was given, and perhaps all before it.
    fn note_given(&self, issuer: &KeyId, serial: u64) {
        let mut serials = self.serials.lock().expect("nothing panics while it holds the serials");
        let last = serials.entry(issuer.to_string()).or_default();
        *last = serial.max(*last);
    }

    /// Keeps numbers that were set aside for this process, in place of earlier ones. Once they are used up, it goes on behind them.
    pub(super) fn keep_aside(&self, issuer: &KeyId, numbers: Aside) {
        self.note_given(issuer, numbers.last());
        let mut aside = self.aside.lock().expect("nothing panics while it holds the numbers");
        aside.insert(issuer.to_string(), numbers);
    }

    /// Gives the number after all that the database and this process know of.
    fn give_serial(&self, issuer: KeyId, last: u64) -> u64 {
        let mut serials = self.serials.lock().expect("nothing panics while it holds the serials");
        let floor = floor(&serials);
        let given = serials.entry(issuer.to_string()).or_default();
        *given = last.max(*given).max(floor) + 1;
        *given
    }
}

const fn ended_code(ended: Ended) -> &'static str {
    match ended {
        Ended::Cancelled => "cancelled",
        Ended::Superseded => "superseded",
    }
}

/// Takes the next number, above those that were given while the disk was full.
fn next_serial(db: &Connection, issuer: &KeyId, above: u64) -> Result<u64> {
    let serial: i64 = db
        .prepare_cached(
            "INSERT INTO serials (issuer, last)
             VALUES (?1, max(?2, coalesce((SELECT last FROM serials WHERE issuer = ?3), 0)) + 1)
             ON CONFLICT (issuer) DO UPDATE SET last = max(serials.last, ?2) + 1 RETURNING last",
        )?
        .query_row(params![issuer.as_str(), above as i64, NEW_ISSUERS], |row| row.get(0))?;
    Ok(serial as u64)
}

fn last_serial(db: &Connection, issuer: &KeyId) -> Result<u64> {
    let last = db
        .prepare_cached("SELECT max(last) FROM serials WHERE issuer IN (?1, ?2)")?
        .query_row([issuer.as_str(), NEW_ISSUERS], |row| row.get::<_, Option<i64>>(0))?;
    Ok(last.unwrap_or_default() as u64)
}

/// Marks the number of a command as given.
fn mark_serial(db: &Connection, command: &NewCommand) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO serials (issuer, last) VALUES (?1, ?2)
         ON CONFLICT (issuer) DO UPDATE SET last = ?2 WHERE serials.last < ?2",
    )?
    .execute(params![command.issuer.as_str(), command.serial as i64])?;
    Ok(())
}

fn add(db: &Connection, command: &NewCommand) -> Result<Kept> {
    let known = db
        .prepare_cached("SELECT 1 FROM commands WHERE id = ?1 AND payload = ?2")?
        .query_row([command.id.as_str(), &command.payload], |_| Ok(()))
        .optional()?;
    if known.is_some() {
        // The answer to the commit that kept it may have been lost, and with it what follows from the answer.
        touched::commands();
        return Ok(Kept::Before);
    }
    if let Some((name, version)) = &command.document
        && documents::is_overtaken(db, name, *version)?
    {
        return Ok(Kept::Overtaken);
    }
    if let Some(basis) = &command.basis
        && !match basis {
            Basis::Approval(approval) => approve(db, approval, &command.id)?,
            Basis::Alert(part) => alerts::say(db, part, &command.id)?,
        }
    {
        return Ok(Kept::Overtaken);
    }
    insert(db, command)?;
    touched::commands();
    mark_serial(db, command)?;
    let mut end = db.prepare_cached("UPDATE commands SET ended = ?2 WHERE id = ?1 AND ended IS NULL")?;
    for (id, ended) in &command.ends {
        end.execute(params![id.as_str(), ended_code(*ended)])?;
    }
    if let Some((name, version)) = &command.document {
        documents::add(db, name, *version, command)?;
    }
    move_boxes(db, &command.moves)?;
    if command.kind == CommandKind::Announce {
        deliveries::begin(db, &command.id, &command.boxes, command.issued_at)?;
    }
    Ok(Kept::Now)
}

fn approve(db: &Connection, approval: &Approval, command: &CommandId) -> Result<bool> {
    match &approval.of {
        Approved::Notice(id) => notices::approve(db, id, approval, command),
        Approved::Proposal(id) => proposals::approve(db, id, approval, command),
    }
}

fn insert(db: &Connection, command: &NewCommand) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO commands (id, kind, issuer, serial, issued_at, expires, groups, title, class, mode, author,
                               approver, payload, envelope)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        command.id.as_str(),
        kind_code(command.kind),
        command.issuer.as_str(),
        command.serial as i64,
        command.issued_at.0,
        command.expires.0,
        json(&command.groups),
        command.title,
        command.class.as_ref().map(word),
        command.mode.as_ref().map(word),
        command.author,
        command.approver,
        command.payload,
        command.envelope,
    ])?;
    Ok(())
}

pub const COMMAND_COLUMNS: &str =
    "id, title, class, mode, groups, issued_at, expires, author, approver, ended, payload FROM commands";

pub fn command_row(row: &Row) -> Result<CommandRow> {
    Ok(CommandRow {
        id: name(row, "id")?,
        title: row.get("title")?,
        class: optional_word(row, "class")?,
        mode: optional_word(row, "mode")?,
        groups: from_json(row, "groups")?,
        issued_at: wall(row, "issued_at")?,
        expires: wall(row, "expires")?,
        author: row.get("author")?,
        approver: row.get("approver")?,
        ended: optional_word(row, "ended")?,
        payload: row.get("payload")?,
    })
}

fn command(db: &Connection, id: &CommandId) -> Result<Option<CommandRow>> {
    db.prepare_cached(&format!("SELECT {COMMAND_COLUMNS} WHERE id = ?1"))?
        .query_row([id.as_str()], command_row)
        .optional()
}

fn announcements(db: &Connection, before: Option<&CommandId>, limit: u32) -> Result<Vec<CommandRow>> {
    let (limit, kind) = (limit.min(ROWS_MAX), kind_code(CommandKind::Announce));
    let Some(before) = before else {
        let mut query = db.prepare_cached(&format!(
            "SELECT {COMMAND_COLUMNS} WHERE kind = ?3 ORDER BY issued_at DESC, serial DESC, id DESC LIMIT ?1 OFFSET ?2"
        ))?;
        return known_up_to(limit, |wanted, behind| {
            Ok(query.query_map(params![wanted, behind, kind], command_row)?.collect())
        });
    };
    // The first condition is in the second; it is what the index is asked.
    let mut query = db.prepare_cached(&format!(
        "SELECT {COMMAND_COLUMNS} WHERE kind = ?3 AND issued_at <= (SELECT issued_at FROM commands WHERE id = ?4)
         AND (issued_at, serial, id) < (SELECT issued_at, serial, id FROM commands WHERE id = ?4)
         ORDER BY issued_at DESC, serial DESC, id DESC LIMIT ?1 OFFSET ?2"
    ))?;
    known_up_to(limit, |wanted, behind| {
        Ok(query.query_map(params![wanted, behind, kind, before.as_str()], command_row)?.collect())
    })
}

/// Reads no more of what may still sound than a stop needs.
fn to_stop(db: &Connection, now: Wall, limit: u32) -> Result<Vec<(CommandId, Wall)>> {
    let mut query = db.prepare_cached(
        "SELECT id, expires FROM commands WHERE kind = ?1 AND ended IS NULL AND expires > ?2
         ORDER BY issued_at DESC, serial DESC, id DESC LIMIT ?3",
    )?;
    let kind = kind_code(CommandKind::Announce);
    let rows = query.query_map(params![kind, now.0, limit.min(ROWS_MAX)], |row| {
        Ok((name(row, "id")?, wall(row, "expires")?))
    })?;
    known(rows)
}

fn issued_since(
    db: &Connection,
    kind: CommandKind,
    since: Wall,
    now: Wall,
    limit: u32,
) -> Result<Vec<CommandRow>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COMMAND_COLUMNS} WHERE kind = ?1 AND issued_at >= ?2 AND expires > ?3 AND ended IS NULL
         ORDER BY issued_at DESC, serial DESC, id DESC LIMIT ?4"
    ))?;
    let asked = params![kind_code(kind), since.0, now.0, limit.min(ROWS_MAX)];
    known(query.query_map(asked, command_row)?)
}

fn envelopes(db: &Connection, ids: &[CommandId]) -> Result<Vec<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT envelope FROM commands WHERE id = ?1")?;
    ids.iter().map(|id| query.query_row([id.as_str()], |row| row.get(0))).collect()
}
