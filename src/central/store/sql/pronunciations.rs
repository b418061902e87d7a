//! Words and the way to say them.

use super::SqlStore;
use super::audit::note;
use super::columns::{name, wall};
use super::engine::params;
use crate::store::{Answer, NewAct, PronunciationRow, Pronunciations, ROWS_MAX};

impl Pronunciations for SqlStore {
    fn set_pronunciation(&self, row: PronunciationRow, room_max: u32, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let kept = db
                .prepare_cached(
                    "INSERT INTO pronunciations (word, say, editor, at) SELECT ?1, ?2, ?3, ?4
                     WHERE (SELECT count(*) FROM pronunciations WHERE word <> ?1) < ?5
                     ON CONFLICT (word) DO UPDATE SET say = ?2, editor = ?3, at = ?4",
                )?
                .execute(params![row.word, row.say, row.by.as_str(), row.at.0, room_max])?;
            if kept == 1 {
                note(db, &act)?;
            }
            Ok(kept == 1)
        })
    }

    fn drop_pronunciation(&self, word: String, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let dropped =
                db.prepare_cached("DELETE FROM pronunciations WHERE word = ?1")?.execute([&word])?;
            if dropped == 1 {
                note(db, &act)?;
            }
            Ok(dropped == 1)
        })
    }

    fn pronunciations(&self) -> Answer<'_, Vec<PronunciationRow>> {
        self.read_anyhow(|db| {
            let mut query = db.prepare_cached("SELECT * FROM pronunciations ORDER BY word LIMIT ?1")?;
            let rows = query.query_map([ROWS_MAX], |row| {
                Ok(PronunciationRow {
                    word: row.get("word")?,
                    say: row.get("say")?,
                    by: name(row, "editor")?,
                    at: wall(row, "at")?,
                })
            })?;
            rows.collect()
        })
    }
}
