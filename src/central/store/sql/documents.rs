//! Documents: what stays in force until a newer version takes its place.

use std::sync::Arc;

use super::SqlStore;
use super::columns::json;
use super::engine::{Connection, Result, params};
use crate::store::{Answer, Documents, NewCommand};
use loaxa_heart::decide::delivery::{Document, DocumentName};
use loaxa_heart::domain::time::Wall;

impl Documents for SqlStore {
    fn documents(&self, now: Wall) -> Answer<'_, Vec<Document>> {
        if let Some(known) = self.live.known_documents(now) {
            return Box::pin(async move { Ok(known) });
        }
        let live = Arc::clone(&self.live);
        self.read(move |db| live.documents(db, now))
    }
}

/// Tells whether a document of this name is there in this version or a newer one.
pub fn is_overtaken(db: &Connection, name: &DocumentName, version: u32) -> Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM documents WHERE name = ?1 AND version >= ?2)")?
        .query_row(params![name.to_string(), version], |row| row.get(0))
}

/// Keeps the document that a command carries.
pub fn add(db: &Connection, name: &DocumentName, version: u32, command: &NewCommand) -> Result<()> {
    // What was sent to no group but those of this one has no reader any more.
    db.prepare_cached(
        "DELETE FROM documents WHERE name = ?1 AND NOT EXISTS (
             SELECT 1 FROM commands, json_each(commands.groups) AS earlier
             WHERE commands.id = documents.command AND earlier.value NOT IN (SELECT value FROM json_each(?2)))",
    )?
    .execute(params![name.to_string(), json(&command.groups)])?;
    db.prepare_cached("INSERT INTO documents (name, version, command) VALUES (?1, ?2, ?3)")?
        .execute(params![name.to_string(), version, command.id.as_str()])?;
    Ok(())
}
