//! The audit trail.

use super::SqlStore;
use super::asked::Asked;
use super::columns::wall;
use super::engine::{Connection, Result, Row, params, params_from_iter};
use crate::store::{ActFilter, ActRow, Answer, Audit, NewAct, ROWS_MAX};

impl Audit for SqlStore {
    fn note_act(&self, act: NewAct) -> Answer<'_, ()> {
        self.write_if_room(move |db| note(db, &act))
    }

    fn acts(&self, filter: ActFilter) -> Answer<'_, Vec<ActRow>> {
        self.read(move |db| {
            let ActFilter { actor, act, subject, from, until, before, limit } = filter;
            let mut asked = Asked::default();
            asked.and("actor =", actor);
            asked.and("act =", act);
            asked.and("subject =", subject);
            asked.and("at >=", from.map(|at| at.0));
            asked.and("at <", until.map(|at| at.0));
            asked.and("id <", before);
            let limit = limit.min(ROWS_MAX);
            let sql = format!("SELECT * FROM acts {} ORDER BY id DESC LIMIT {limit}", asked.sql());
            db.prepare_cached(&sql)?.query_map(params_from_iter(asked.values), row)?.collect()
        })
    }
}

/// Keeps an act, in the transaction of what was done.
pub fn note(db: &Connection, act: &NewAct) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO acts (at, actor, act, subject, was, becomes, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![act.at.0, act.actor.to_string(), act.act, act.subject, act.before, act.after, act.from])?;
    Ok(())
}

/// Keeps the act of a change where it was `made`, and says so.
pub fn noted(db: &Connection, made: bool, act: &NewAct) -> Result<bool> {
    if made {
        note(db, act)?;
    }
    Ok(made)
}

fn row(row: &Row) -> Result<ActRow> {
    Ok(ActRow {
        id: row.get("id")?,
        at: wall(row, "at")?,
        actor: row.get("actor")?,
        act: row.get("act")?,
        subject: row.get("subject")?,
        before: row.get("was")?,
        after: row.get("becomes")?,
        from: row.get("address")?,
    })
}
