//! The roster.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_json, json, known};
use super::engine::params;
use crate::store::{Answer, NewAct, ROWS_MAX, Roster, ShiftRow};

impl Roster for SqlStore {
    fn add_shift(&self, shift: ShiftRow, act: NewAct) -> Answer<'_, ()> {
        self.write_and_copy(move |db| {
            db.prepare_cached("INSERT INTO shifts (above, place, turn) VALUES (?1, ?2, ?3)")?
                .execute(params![shift.above, shift.place, json(&shift)])?;
            note(db, &act)
        })
    }

    fn end_shift(&self, id: i64, act: NewAct) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let ended = db.prepare_cached("DELETE FROM shifts WHERE id = ?1")?.execute([id])? == 1;
            if ended {
                note(db, &act)?;
            }
            Ok(ended)
        })
    }

    fn shifts(&self) -> Answer<'_, Vec<ShiftRow>> {
        self.read_anyhow(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM shifts ORDER BY above, place, id LIMIT ?1")?;
            let rows = query.query_map([ROWS_MAX], |row| {
                Ok(ShiftRow { id: row.get("id")?, ..from_json(row, "turn")? })
            })?;
            known(rows)
        })
    }
}
