//! The way to the database, and the room that it takes on its server.

use super::SqlStore;
use super::columns::count;
use super::engine::Error;
use crate::store::{Answer, Boxes, Reach, Reader, reading_as};

impl Reach for SqlStore {
    fn reach(&self) -> Answer<'_, ()> {
        if !self.memory.is_server {
            return Box::pin(async { Ok(()) });
        }
        let changes = self.write(|db| {
            let only_reads: String = db
                .prepare_cached("SELECT current_setting('transaction_read_only')")?
                .query_row([], |row| row.get(0))?;
            if only_reads == "on" { Err(Error::Away("the server only lets read".to_owned())) } else { Ok(()) }
        });
        // A box that speaks now is heard.
        let hears = reading_as(Reader::Wire, self.read(|db| db.execute("SELECT 1", []).map(drop)));
        Box::pin(async move {
            changes.await?;
            hears.await
        })
    }

    fn keep_ready(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let kept = async {
                let brought = self.bring_changes().await?;
                if self.memory.boxes_are_old() {
                    self.boxes().await?;
                }
                self.copy_for_stand_in().await?;
                Ok(brought)
            };
            let kept = kept.await;
            if let Some(stand_in) = &self.stand_in {
                stand_in.note_reach(kept.is_ok());
            }
            kept
        })
    }

    fn is_away(&self) -> bool {
        self.stand_in.as_ref().is_some_and(|stand_in| stand_in.is_needed())
    }

    fn bytes_on_server(&self) -> Answer<'_, Option<u64>> {
        if !self.memory.is_server {
            return Box::pin(async { Ok(None) });
        }
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT pg_database_size(current_database()) AS bytes")?;
            query.query_row([], |row| count(row, "bytes")).map(Some)
        })
    }
}
