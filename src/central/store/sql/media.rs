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

/// Rows that are read at once where words are looked for.
const PAGE: u32 = 500;

/// Letters of both cases count as the same: SQLite alone knows only those of English.
fn by_words(db: &Connection, words: &str, limit: u32) -> Result<Vec<MediaRow>> {
    let words = words.to_lowercase();
    let limit = limit.min(ROWS_MAX) as usize;
    let mut found: Vec<MediaRow> = Vec::new();
    let (mut added, mut after) = (i64::MAX, String::new());
    while found.len() < limit {
        let mut query = db.prepare_cached(
            "SELECT * FROM media WHERE added <= ?1 AND (added < ?1 OR sha256 > ?2) ORDER BY added DESC, sha256 LIMIT ?3",
        )?;
        let page = query.query_map(params![added, after, PAGE], media_of)?.collect::<Result<Vec<_>>>()?;
        let Some(last) = page.last() else { break };
        (added, after) = (last.added.0, last.sha256.to_string());
        let is_last = page.len() < PAGE as usize;
        let meets = |row: &MediaRow| row.name.to_lowercase().contains(&words);
        found.extend(page.into_iter().filter(meets).take(limit - found.len()));
        if is_last {
            break;
        }
    }
    Ok(found)
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
