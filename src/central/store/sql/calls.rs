//! Calls for a second duty officer, and their letters.

use super::SqlStore;
use super::audit::note;
use super::columns::{
    from_json, from_word, json, known, known_up_to, name, optional_name, optional_wall, wall, word,
};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{
    Answer, CallRow, CallState, CallStep, CalledRow, Calls, LetterRow, NewAct, NewLetter, ROWS_MAX, ReplyRow,
    Tried,
};
use loaxa_heart::domain::ids::{CommandId, PreparedId};
use loaxa_heart::domain::time::Wall;

impl Calls for SqlStore {
    fn add_call(&self, call: CallRow, act: NewAct) -> Answer<'_, bool> {
        self.write_anyhow(move |db| {
            let added = add(db, &call)?;
            if added {
                note(db, &act)?;
            }
            Ok(added)
        })
    }

    fn call(&self, id: CommandId) -> Answer<'_, Option<CallRow>> {
        self.read_anyhow(move |db| {
            db.prepare_cached("SELECT * FROM calls WHERE id = ?1")?.query_row([id.as_str()], call).optional()
        })
    }

    fn calls(&self, since: Wall) -> Answer<'_, Vec<CallRow>> {
        self.read_anyhow(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM calls WHERE began > ?1 ORDER BY began DESC, id LIMIT ?2")?;
            known(query.query_map(params![since.0, ROWS_MAX], call)?)
        })
    }

    fn drills(&self, limit: u32) -> Answer<'_, Vec<CallRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM calls WHERE purpose = 'drill' ORDER BY began DESC, id LIMIT ?1 OFFSET ?2",
            )?;
            known_up_to(limit.min(ROWS_MAX), |wanted, behind| {
                Ok(query.query_map([wanted, behind], call)?.collect())
            })
        })
    }

    fn step_call(&self, step: CallStep) -> Answer<'_, bool> {
        self.write_anyhow(move |db| take(db, &step))
    }

    fn reply(&self, call: CommandId, reply: ReplyRow, act: NewAct) -> Answer<'_, ()> {
        self.write_anyhow(move |db| {
            db.prepare_cached(
                "INSERT INTO call_replies (call, person, reply, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (call, person) DO UPDATE SET reply = ?3, at = ?4",
            )?
            .execute(params![
                call.as_str(),
                reply.person.as_str(),
                word(&reply.reply),
                reply.at.0
            ])?;
            note(db, &act)
        })
    }

    fn replies(&self, call: CommandId) -> Answer<'_, Vec<ReplyRow>> {
        self.read_anyhow(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM call_replies WHERE call = ?1 ORDER BY at, person LIMIT ?2")?;
            let rows = query.query_map(params![call.as_str(), ROWS_MAX], |row| {
                Ok(ReplyRow {
                    person: name(row, "person")?,
                    reply: from_word(row, "reply")?,
                    at: wall(row, "at")?,
                })
            })?;
            known(rows)
        })
    }

    fn note_called(&self, call: CommandId, called: CalledRow, letters: Vec<NewLetter>) -> Answer<'_, bool> {
        self.write(move |db| note_called(db, &call, &called, &letters))
    }

    fn called(&self, call: CommandId) -> Answer<'_, Vec<CalledRow>> {
        self.read_anyhow(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM call_contacts WHERE call = ?1 ORDER BY at, contact LIMIT ?2",
            )?;
            let rows = query.query_map(params![call.as_str(), ROWS_MAX], |row| {
                Ok(CalledRow { contact: row.get("contact")?, name: row.get("name")?, at: wall(row, "at")? })
            })?;
            rows.collect()
        })
    }

    fn letters_due(&self, now: Wall, limit: u32) -> Answer<'_, Vec<LetterRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM letters WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, id
                 LIMIT ?2 OFFSET ?3",
            )?;
            known_up_to(limit, |wanted, behind| {
                Ok(query.query_map(params![now.0, wanted, behind], letter)?.collect())
            })
        })
    }

    fn letter_tried(&self, id: i64, tried: Tried) -> Answer<'_, ()> {
        let (sent, due, fault) = match tried {
            Tried::Sent(at) => (Some(at.0), None, None),
            Tried::Again(at, fault) => (None, Some(at.0), Some(fault)),
            Tried::GivenUp(fault) => (None, None, Some(fault)),
        };
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE letters SET tries = tries + 1, sent = ?2, due = ?3, fault = ?4 WHERE id = ?1 AND sent IS NULL",
            )?
            .execute(params![id, sent, due, fault])?;
            Ok(())
        })
    }

    fn letters(&self, call: CommandId) -> Answer<'_, Vec<LetterRow>> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM letters WHERE call = ?1 ORDER BY id LIMIT ?2")?;
            known(query.query_map(params![call.as_str(), ROWS_MAX], letter)?)
        })
    }

    fn claim_follow_up(&self, call: CommandId, message: PreparedId, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let claimed = db
                .prepare_cached(
                    "INSERT INTO call_follow_ups (call, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute([call.as_str(), message.as_str()])?;
            if claimed == 1 {
                note(db, &act)?;
            }
            Ok(claimed == 1)
        })
    }

    fn end_follow_up(
        &self,
        call: CommandId,
        message: PreparedId,
        command: Option<CommandId>,
    ) -> Answer<'_, ()> {
        self.write(move |db| {
            let change = match &command {
                Some(_) => "UPDATE call_follow_ups SET command = ?3 WHERE call = ?1 AND message = ?2",
                None => "DELETE FROM call_follow_ups WHERE call = ?1 AND message = ?2 AND CAST(?3 AS TEXT) IS NULL",
            };
            let command = command.as_ref().map(CommandId::as_str);
            db.prepare_cached(change)?.execute(params![call.as_str(), message.as_str(), command])?;
            Ok(())
        })
    }

    fn add_exercise(&self, exercise: CommandId, notices: Vec<CommandId>, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            for notice in &notices {
                db.prepare_cached(
                    "INSERT INTO exercise_notices (exercise, notice) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute([exercise.as_str(), notice.as_str()])?;
            }
            note(db, &act)
        })
    }

    fn exercise_notices(&self, exercise: CommandId) -> Answer<'_, Vec<CommandId>> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT notice FROM exercise_notices WHERE exercise = ?1 LIMIT ?2")?;
            query.query_map(params![exercise.as_str(), ROWS_MAX], |row| name(row, "notice"))?.collect()
        })
    }

    fn follow_ups(&self, call: CommandId) -> Answer<'_, Vec<(PreparedId, Option<CommandId>)>> {
        self.read_anyhow(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM call_follow_ups WHERE call = ?1 LIMIT ?2")?;
            let rows = query.query_map(params![call.as_str(), ROWS_MAX], |row| {
                Ok((name(row, "message")?, optional_name(row, "command")?))
            })?;
            rows.collect()
        })
    }
}

fn call(row: &Row) -> Result<CallRow> {
    Ok(CallRow {
        id: name(row, "id")?,
        purpose: from_word(row, "purpose")?,
        state: from_word(row, "state")?,
        message: optional_name(row, "message")?,
        title: row.get("title")?,
        groups: from_json(row, "groups")?,
        by: name(row, "person")?,
        began: wall(row, "began")?,
        agreed_by: optional_name(row, "agreed_by")?,
        agreed: optional_wall(row, "agreed")?,
        ended_by: optional_name(row, "ended_by")?,
        ended: optional_wall(row, "ended")?,
    })
}

fn letter(row: &Row) -> Result<LetterRow> {
    Ok(LetterRow {
        id: row.get("id")?,
        call: name(row, "call")?,
        contact: row.get("contact")?,
        letter: NewLetter {
            channel: from_word(row, "channel")?,
            to: row.get("address")?,
            subject: row.get("subject")?,
            body: row.get("body")?,
        },
        made: wall(row, "made")?,
        tries: row.get("tries")?,
        sent: optional_wall(row, "sent")?,
        fault: row.get("fault")?,
    })
}

fn add(db: &Connection, call: &CallRow) -> Result<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO calls (id, purpose, state, message, title, groups, person, began)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            call.id.as_str(),
            word(&call.purpose),
            word(&call.state),
            call.message.as_ref().map(PreparedId::as_str),
            call.title,
            json(&call.groups),
            call.by.as_str(),
            call.began.0,
        ])?;
    Ok(added == 1)
}

fn take(db: &Connection, step: &CallStep) -> Result<bool> {
    let columns = match step.to {
        CallState::Calling => "began = ?4",
        CallState::OnAir | CallState::Answered => "agreed_by = ?5, agreed = ?4",
        _ => "ended_by = ?5, ended = ?4",
    };
    let taken = db
        .prepare_cached(&format!(
            "UPDATE calls SET state = ?3, {columns} WHERE id = ?1 AND state = ?2 AND CAST(?5 AS TEXT) IS NOT NULL"
        ))?
        .execute(params![step.id.as_str(), word(&step.from), word(&step.to), step.at.0, step.by.as_str()])?;
    if taken == 1 {
        note(db, &step.act)?;
    }
    Ok(taken == 1)
}

/// Has a letter sent.
pub fn add_letter(db: &Connection, call: &str, contact: &str, letter: &NewLetter, made: Wall) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO letters (call, contact, channel, address, subject, body, made, due, tries)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0)",
    )?
    .execute(params![
        call,
        contact,
        word(&letter.channel),
        letter.to,
        letter.subject,
        letter.body,
        made.0
    ])?;
    Ok(())
}

fn note_called(db: &Connection, call: &CommandId, called: &CalledRow, letters: &[NewLetter]) -> Result<bool> {
    let noted = db
        .prepare_cached(
            "INSERT INTO call_contacts (call, contact, name, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![call.as_str(), called.contact, called.name, called.at.0])?;
    if noted == 0 {
        return Ok(false);
    }
    for letter in letters {
        add_letter(db, call.as_str(), &called.contact, letter, called.at)?;
    }
    Ok(true)
}
