//! Rollouts of releases to boxes.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_json, from_word, json, known, name, wall, word};
use super::engine::{OptionalExtension, Result, Row, params};
use crate::store::{Answer, NewAct, RolloutPlan, RolloutRow, RolloutStage, Rollouts, UpgradeRow};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::software::UpgradeTold;
use loaxa_heart::domain::time::Wall;

impl Rollouts for SqlStore {
    fn add_rollout(&self, plan: RolloutPlan, author: String, act: NewAct) -> Answer<'_, i64> {
        self.write(move |db| {
            let id = db
                .prepare_cached(
                    "INSERT INTO rollouts (begun, plan, author) VALUES (?1, ?2, ?3) RETURNING id",
                )?
                .query_row(params![act.at.0, json(&plan), author], |row| row.get(0))?;
            note(db, &act)?;
            Ok(id)
        })
    }

    fn rollout(&self) -> Answer<'_, Option<RolloutRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM rollouts ORDER BY id DESC LIMIT 1")?;
            // One that a later version began is for that version to look after.
            Ok(known(query.query_map([], rollout)?)?.pop())
        })
    }

    fn move_rollout(
        &self,
        id: i64,
        from: RolloutStage,
        to: RolloutStage,
        act: Option<NewAct>,
    ) -> Answer<'_, bool> {
        self.write(move |db| {
            let moved = db
                .prepare_cached(
                    "UPDATE rollouts SET state = ?5, ordered = ?6, forgiven = ?7
                     WHERE id = ?1 AND state = ?2 AND ordered = ?3 AND forgiven = ?4 AND id = (SELECT max(id) FROM rollouts)",
                )?
                .execute(params![
                    id,
                    word(&from.state),
                    from.ordered,
                    from.forgiven,
                    word(&to.state),
                    to.ordered,
                    to.forgiven
                ])?
                == 1;
            if let Some(act) = act.as_ref().filter(|_| moved) {
                note(db, act)?;
            }
            Ok(moved)
        })
    }

    fn note_upgrade(&self, id: BoxId, told: UpgradeTold, at: Wall) -> Answer<'_, bool> {
        Box::pin(async move {
            let (of, told) = (id.clone(), json(&told));
            let known = self
                .read(move |db| {
                    db.prepare_cached("SELECT told FROM upgrades WHERE box = ?1")?
                        .query_row([of.as_str()], |row| row.get::<_, String>(0))
                        .optional()
                })
                .await?;
            // A heartbeat that says nothing new costs the disk nothing.
            if known.as_ref() == Some(&told) {
                return Ok(false);
            }
            self.write(move |db| {
                db.prepare_cached(
                    "INSERT INTO upgrades (box, told, since) VALUES (?1, ?2, ?3)
                     ON CONFLICT (box) DO UPDATE SET told = ?2, since = ?3",
                )?
                .execute(params![id.as_str(), told, at.0])?;
                Ok(true)
            })
            .await
        })
    }

    fn upgrades(&self) -> Answer<'_, Vec<UpgradeRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM upgrades ORDER BY box")?;
            let rows = query.query_map([], |row| {
                Ok(UpgradeRow {
                    id: name(row, "box")?,
                    told: from_json(row, "told")?,
                    since: wall(row, "since")?,
                })
            })?;
            known(rows)
        })
    }
}

fn rollout(row: &Row) -> Result<RolloutRow> {
    Ok(RolloutRow {
        id: row.get("id")?,
        begun: wall(row, "begun")?,
        plan: from_json(row, "plan")?,
        stage: RolloutStage {
            state: from_word(row, "state")?,
            ordered: row.get("ordered")?,
            forgiven: row.get("forgiven")?,
        },
        author: row.get("author")?,
    })
}
