//! Messages that are prepared for emergencies.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_word, known, name, optional_wall, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Answer, MessageRow, Messages, NewAct, ROWS_MAX};
use loaxa_heart::domain::ids::{ContentHash, PreparedId};
use loaxa_heart::domain::time::Wall;

impl Messages for SqlStore {
    fn add_message(
        &self,
        message: MessageRow,
        replaces: Option<PreparedId>,
        act: NewAct,
    ) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            if let Some(old) = &replaces
                && !end(db, old, message.made)?
            {
                return Ok(false);
            }
            add(db, &message)?;
            note(db, &act)?;
            Ok(true)
        })
    }

    fn end_message(&self, id: PreparedId, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let ended = end(db, &id, at)?;
            if ended {
                note(db, &act)?;
            }
            Ok(ended)
        })
    }

    fn message(&self, id: PreparedId) -> Answer<'_, Option<MessageRow>> {
        self.read_anyhow(move |db| {
            db.prepare_cached("SELECT * FROM messages WHERE id = ?1")?
                .query_row([id.as_str()], row)
                .optional()
        })
    }

    fn messages(&self) -> Answer<'_, Vec<MessageRow>> {
        self.read_anyhow(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM messages WHERE ended IS NULL ORDER BY title, id LIMIT ?1")?;
            known(query.query_map([ROWS_MAX], row)?)
        })
    }
}

fn end(db: &Connection, id: &PreparedId, at: Wall) -> Result<bool> {
    let ended = db
        .prepare_cached("UPDATE messages SET ended = ?2 WHERE id = ?1 AND ended IS NULL")?
        .execute(params![id.as_str(), at.0])?;
    Ok(ended == 1)
}

fn add(db: &Connection, message: &MessageRow) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO messages (id, purpose, danger, title, words, language, media, ms, siren, repeat, person, made)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        message.id.as_str(),
        word(&message.purpose),
        word(&message.danger),
        message.title,
        message.text,
        message.language,
        message.media.0,
        message.ms,
        message.siren,
        message.repeat,
        message.by.as_str(),
        message.made.0,
    ])?;
    Ok(())
}

fn row(row: &Row) -> Result<MessageRow> {
    Ok(MessageRow {
        id: name(row, "id")?,
        purpose: from_word(row, "purpose")?,
        danger: from_word(row, "danger")?,
        title: row.get("title")?,
        text: row.get("words")?,
        language: row.get("language")?,
        media: ContentHash(row.get("media")?),
        ms: row.get("ms")?,
        siren: row.get("siren")?,
        repeat: row.get("repeat")?,
        by: name(row, "person")?,
        made: wall(row, "made")?,
        ended: optional_wall(row, "ended")?,
    })
}
