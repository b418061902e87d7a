//! Descriptions of audio.

use super::SqlStore;
use super::columns::{count, name, wall};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Answer, Media, MediaRow, ROWS_MAX};
use loaxa_heart::domain::ids::ContentHash;

impl Media for SqlStore {
    fn add_media(&self, media: MediaRow) -> Answer<'_, ()> {
        self.write_anyhow(move |db| add(db, &media))
    }

    fn media_files(&self, words: String, limit: u32) -> Answer<'_, Vec<MediaRow>> {
        self.read(move |db| by_words(db, &words, limit))
    }

    fn media(&self, hash: ContentHash) -> Answer<'_, Option<MediaRow>> {
        self.read_anyhow(move |db| by_hash(db, hash))
    }
}

fn add(db: &Connection, media: &MediaRow) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO media (sha256, bytes, codec, ms, name, added) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (sha256) DO UPDATE SET added = max(media.added, excluded.added)",
    )?
    .execute(params![
        media.sha256.to_string(),
        media.bytes as i64,
        media.codec,
        media.ms,
        media.name,
        media.added.0,
    ])?;
    Ok(())
}

fn by_hash(db: &Connection, hash: ContentHash) -> Result<Option<MediaRow>> {
    db.prepare_cached("SELECT * FROM media WHERE sha256 = ?1")?
        .query_row([hash.to_string()], media_of)
        .optional()
}

/// Letters of both cases count as the same: SQLite alone knows only those of English.
fn by_words(db: &Connection, words: &str, limit: u32) -> Result<Vec<MediaRow>> {
    let words = words.to_lowercase();
    let mut query = db.prepare_cached("SELECT * FROM media ORDER BY added DESC, sha256")?;
    let rows = query.query_map([], media_of)?;
    let meets =
        |row: &Result<MediaRow>| row.as_ref().map_or(true, |row| row.name.to_lowercase().contains(&words));
    rows.filter(meets).take(limit.min(ROWS_MAX) as usize).collect()
}

/// Reads the columns of a media file.
pub fn media_of(row: &Row) -> Result<MediaRow> {
    Ok(MediaRow {
        sha256: name(row, "sha256")?,
        bytes: count(row, "bytes")?,
        codec: row.get("codec")?,
        ms: row.get("ms")?,
        name: row.get("name")?,
        added: wall(row, "added")?,
    })
}
