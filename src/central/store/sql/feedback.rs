//! The words of villagers and the answers to them.

use std::collections::BTreeMap;

use super::audit::note;
use super::columns::{
    count, from_word, json, known_up_to, name, optional_name, optional_wall, unreadable, wall, word,
};
use super::engine::{OptionalExtension, Result, Row, params};
use super::{SqlStore, webhooks};
use crate::store::{
    Answer, FEEDBACK_MAX, Feedback, FeedbackAnswer, FeedbackKind, FeedbackRow, FeedbackSum, NewAct, ROWS_MAX,
};
use chrono::NaiveDate;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;

impl Feedback for SqlStore {
    fn add_feedback(&self, it: FeedbackRow, village_title: String) -> Answer<'_, bool> {
        self.write(move |db| {
            let kept: u32 =
                db.prepare_cached("SELECT count(*) FROM feedback")?.query_row([], |row| row.get(0))?;
            if kept >= FEEDBACK_MAX {
                let made_room = db
                    .prepare_cached(
                        "DELETE FROM feedback WHERE id = (SELECT id FROM feedback
                         WHERE due IS NULL OR answered IS NOT NULL ORDER BY id LIMIT 1)",
                    )?
                    .execute([])?;
                if made_room == 0 {
                    return Ok(false);
                }
            }
            db.prepare_cached(
                "INSERT INTO feedback (code, village, kind, words, about, made, due)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                it.code,
                it.village.as_str(),
                word(&it.kind),
                it.words,
                it.about.as_ref().map(json),
                it.made.0,
                it.due.map(|due| due.0),
            ])?;
            db.prepare_cached(
                "INSERT INTO feedback_days (day, village, village_title, kind, said, asked, in_time, late)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, 0, 0)
                 ON CONFLICT (day, village, kind) DO UPDATE SET village_title = ?3, said = feedback_days.said + 1, asked = feedback_days.asked + ?5",
            )?
            .execute(params![
                it.made.date().to_string(),
                it.village.as_str(),
                village_title,
                word(&it.kind),
                it.due.is_some()
            ])?;
            webhooks::of_feedback(db, &it)?;
            Ok(true)
        })
    }

    fn feedback_by_code(&self, code: String) -> Answer<'_, Option<FeedbackRow>> {
        self.read(move |db| {
            db.prepare_cached("SELECT * FROM feedback WHERE code = ?1")?.query_row([code], row).optional()
        })
    }

    fn feedback(&self, id: i64) -> Answer<'_, Option<FeedbackRow>> {
        self.read(move |db| {
            db.prepare_cached("SELECT * FROM feedback WHERE id = ?1")?.query_row([id], row).optional()
        })
    }

    fn feedback_waiting(&self, limit: u32) -> Answer<'_, Vec<FeedbackRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM feedback WHERE due IS NOT NULL AND answered IS NULL ORDER BY due, id
                 LIMIT ?1 OFFSET ?2",
            )?;
            known_up_to(limit.min(ROWS_MAX), |wanted, behind| {
                Ok(query.query_map([wanted, behind], row)?.collect())
            })
        })
    }

    fn feedback_past(&self, limit: u32) -> Answer<'_, Vec<FeedbackRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM feedback WHERE due IS NULL OR answered IS NOT NULL ORDER BY id DESC
                 LIMIT ?1 OFFSET ?2",
            )?;
            known_up_to(limit.min(ROWS_MAX), |wanted, behind| {
                Ok(query.query_map([wanted, behind], row)?.collect())
            })
        })
    }

    fn answer_feedback(&self, id: i64, answer: FeedbackAnswer, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let answered = db
                .prepare_cached(
                    "UPDATE feedback SET answered_by = ?2, answered = ?3, answer = ?4
                     WHERE id = ?1 AND due IS NOT NULL AND answered IS NULL",
                )?
                .execute(params![id, answer.by.as_str(), answer.at.0, answer.words])?;
            if answered == 1 {
                db.prepare_cached(
                    "UPDATE feedback_days SET in_time = in_time + CASE WHEN ?2 <= told.due THEN 1 ELSE 0 END,
                                              late = late + CASE WHEN ?2 > told.due THEN 1 ELSE 0 END
                     FROM (SELECT *, date(made / 1000000 + 25200, 'unixepoch') AS on_day FROM feedback WHERE id = ?1) AS told
                     WHERE day = told.on_day AND feedback_days.village = told.village AND feedback_days.kind = told.kind",
                )?
                .execute(params![id, answer.at.0])?;
                note(db, &act)?;
            }
            Ok(answered == 1)
        })
    }

    fn feedback_counts(&self, from: Wall, until: Wall) -> Answer<'_, BTreeMap<(GroupId, FeedbackKind), u64>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT village, kind, count(*) AS times FROM feedback WHERE made >= ?1 AND made < ?2
                 GROUP BY village, kind",
            )?;
            let rows = query.query_map([from.0, until.0], |row| {
                Ok(((name(row, "village")?, from_word(row, "kind")?), count(row, "times")?))
            })?;
            rows.collect()
        })
    }

    fn feedback_sums(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<FeedbackSum>> {
        self.read(move |db| {
            let title = db.on_last_day("village_title");
            let mut query = db.prepare_cached(&format!(
                "SELECT village, max(day), {title} AS village_title, kind, CAST(sum(said) AS BIGINT) AS said,
                        CAST(sum(asked) AS BIGINT) AS asked, CAST(sum(in_time) AS BIGINT) AS in_time,
                        CAST(sum(late) AS BIGINT) AS late
                 FROM feedback_days WHERE day >= ?1 AND day <= ?2 GROUP BY village, kind ORDER BY max(day), village, kind"
            ))?;
            let rows = query.query_map([from.to_string(), until.to_string()], |row| {
                Ok(FeedbackSum {
                    village: row.get("village")?,
                    title: row.get("village_title")?,
                    kind: from_word(row, "kind")?,
                    said: count(row, "said")?,
                    asked: count(row, "asked")?,
                    in_time: count(row, "in_time")?,
                    late: count(row, "late")?,
                })
            })?;
            rows.collect()
        })
    }

    fn feedback_overdue(&self, now: Wall) -> Answer<'_, Vec<(GroupId, u64, Wall)>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT village, count(*) AS times, min(due) AS due FROM feedback
                 WHERE due <= ?1 AND answered IS NULL GROUP BY village ORDER BY village",
            )?;
            let rows = query.query_map([now.0], |row| {
                Ok((name(row, "village")?, count(row, "times")?, wall(row, "due")?))
            })?;
            rows.collect()
        })
    }
}

fn row(row: &Row) -> Result<FeedbackRow> {
    let about: Option<String> = row.get("about")?;
    let about = about.map(|json| serde_json::from_str(&json)).transpose();
    let (by, at) = (optional_name(row, "answered_by")?, optional_wall(row, "answered")?);
    let words: Option<String> = row.get("answer")?;
    Ok(FeedbackRow {
        id: row.get("id")?,
        code: row.get("code")?,
        village: name(row, "village")?,
        kind: from_word(row, "kind")?,
        words: row.get("words")?,
        about: about.map_err(|error| unreadable("about", error.into()))?,
        made: wall(row, "made")?,
        due: optional_wall(row, "due")?,
        answer: by.zip(at).zip(words).map(|((by, at), words)| FeedbackAnswer { by, at, words }),
    })
}
