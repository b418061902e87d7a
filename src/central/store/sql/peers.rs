//! The questions of the centrals that share a database on a server.

use super::SqlStore;
use super::among::{NEWS_KEPT, count, say_sent};
use super::engine::{Connection, OptionalExtension, Result, Value, params, params_from_iter};
use super::serials;
use crate::store::{Answer, NewRequest, News, Peers, RequestTaken};
use loaxa_adapters::clock::wall;
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::domain::time::{Span, Wall};

/// Most wrong tries that are remembered.
const TRIES_MAX: u32 = 100_000;

/// The lease that each central has while it is there, before its name.
const PRESENCE: &str = "central ";

/// The clock of the server, in microseconds.
const CLOCK: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

impl Peers for SqlStore {
    fn has_peers(&self) -> bool {
        self.among.has_peers()
    }

    fn tell_peers(&self, news: Vec<News>) -> Answer<'_, ()> {
        if !self.has_peers() || news.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        let me = self.among.me.clone();
        self.write(move |db| count(db, &me, &news, wall()))
    }

    fn tell_sent(&self, ids: Vec<CommandId>) -> Answer<'_, ()> {
        if !self.has_peers() || ids.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        let me = self.among.me.clone();
        self.write(move |db| say_sent(db, &me, &ids))
    }

    fn is_sent_elsewhere(&self, id: &CommandId) -> bool {
        self.among.is_sent_elsewhere(id)
    }

    fn own_name(&self) -> &str {
        &self.among.me
    }

    fn are_there(&self, within: Span) -> Answer<'_, Vec<String>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT holder FROM leases WHERE duty = '{PRESENCE}' || holder AND until > {CLOCK} - ?1"
            ))?;
            query.query_map([within.0 as i64], |row| row.get(0))?.collect()
        })
    }

    fn take_duties(&self, duties: Vec<&'static str>, term: Span) -> Answer<'_, Vec<String>> {
        if !self.has_peers() {
            return Box::pin(async move { Ok(duties.into_iter().map(str::to_owned).collect()) });
        }
        let me = self.among.me.clone();
        let mut wanted: Vec<String> = duties.into_iter().map(str::to_owned).collect();
        wanted.push(format!("{PRESENCE}{me}"));
        self.write(move |db| take_duties(db, &me, &wanted, term))
    }

    fn leave_duties(&self) -> Answer<'_, ()> {
        let me = self.among.me.clone();
        self.write(move |db| {
            db.prepare_cached("DELETE FROM leases WHERE holder = ?1")?.execute([me.as_str()])?;
            Ok(())
        })
    }

    fn take_request(&self, request: NewRequest) -> Answer<'_, RequestTaken> {
        self.write(move |db| take_request(db, &request))
    }

    fn wrong_tries(&self, names: Vec<String>, since: Wall) -> Answer<'_, Vec<u32>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT coalesce(max(times), 0) FROM wrong_tries WHERE who = ?1 AND since > ?2",
            )?;
            names.iter().map(|who| query.query_row(params![who, since.0], |row| row.get(0))).collect()
        })
    }

    fn note_wrong_tries(&self, names: Vec<String>, since: Wall, now: Wall) -> Answer<'_, ()> {
        self.write(move |db| note_wrong_tries(db, &names, since, now))
    }

    fn forget_wrong_tries(&self, name: String) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM wrong_tries WHERE who = ?1")?.execute([name.as_str()])?;
            Ok(())
        })
    }

    fn note_voice(&self, name: String, url: String, now: Wall) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM voices WHERE since < ?1")?.execute([now.minus(NEWS_KEPT).0])?;
            db.prepare_cached("INSERT INTO voices (name, url, since) VALUES (?1, ?2, ?3)")?
                .execute(params![name, url, now.0])?;
            Ok(())
        })
    }

    fn voice_at(&self, name: String) -> Answer<'_, Option<String>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT url FROM voices WHERE name = ?1")?;
            query.query_row([name.as_str()], |row| row.get(0)).optional()
        })
    }

    fn forget_voice(&self, name: String) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM voices WHERE name = ?1")?.execute([name.as_str()])?;
            Ok(())
        })
    }

    fn set_serials_aside(&self, issuers: Vec<KeyId>) -> Answer<'_, ()> {
        Box::pin(async move {
            if !self.has_peers() {
                return Ok(());
            }
            let asked = issuers.clone();
            let aside = self.write(move |db| {
                asked.iter().map(|issuer| serials::set_aside(db, issuer)).collect::<Result<Vec<_>>>()
            });
            for (issuer, numbers) in issuers.into_iter().zip(aside.await?) {
                self.keep_aside(&issuer, numbers);
            }
            Ok(())
        })
    }
}

fn take_duties(db: &Connection, me: &str, duties: &[String], term: Span) -> Result<Vec<String>> {
    // Names of centrals that went long ago.
    db.prepare_cached(&format!("DELETE FROM leases WHERE until < {CLOCK} - ?1"))?
        .execute([NEWS_KEPT.0 as i64])?;
    let row = format!("(?, ?, {CLOCK} + {})", term.0);
    let rows = vec![row.as_str(); duties.len()].join(", ");
    let values: Vec<Value> =
        duties.iter().flat_map(|duty| [duty.clone().into(), me.to_owned().into()]).collect();
    let mut take = db.prepare_cached(&format!(
        "INSERT INTO leases (duty, holder, until) VALUES {rows}
         ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until < {CLOCK} RETURNING duty"
    ))?;
    take.query_map(params_from_iter(values.iter()), |row| row.get(0))?.collect()
}

fn take_request(db: &Connection, request: &NewRequest) -> Result<RequestTaken> {
    let mut last = db.prepare_cached("SELECT max(at) FROM taken_requests WHERE at < ?1")?;
    let forgotten: Option<i64> = last.query_row([request.forget_before.0], |row| row.get(0))?;
    if let Some(forgotten) = forgotten {
        db.prepare_cached("DELETE FROM taken_requests WHERE at <= ?1 AND nonce <> ''")?
            .execute([forgotten])?;
        // No request has this name: it keeps the time up to which others are forgotten.
        db.prepare_cached(
            "INSERT INTO taken_requests (key, nonce, at) VALUES ('', '', ?1)
             ON CONFLICT (key, nonce) DO UPDATE SET at = ?1 WHERE taken_requests.at < ?1",
        )?
        .execute([forgotten])?;
    }
    let floor: Option<i64> = db
        .prepare_cached("SELECT at FROM taken_requests WHERE key = '' AND nonce = ''")?
        .query_row([], |row| row.get(0))
        .optional()?;
    // A floor ahead of now comes from a clock that was wrong.
    if floor.is_some_and(|floor| request.at.0 <= floor && request.now.0 >= floor) {
        return Ok(RequestTaken::Forgotten);
    }
    let of_key: u32 = db
        .prepare_cached("SELECT count(*) FROM taken_requests WHERE key = ?1")?
        .query_row([request.key.as_str()], |row| row.get(0))?;
    if of_key >= request.of_key_max {
        return Ok(RequestTaken::TooMany);
    }
    let taken = db
        .prepare_cached(
            "INSERT INTO taken_requests (key, nonce, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![request.key.as_str(), request.nonce, request.at.0])?;
    Ok(if taken == 1 { RequestTaken::Now } else { RequestTaken::Before })
}

fn note_wrong_tries(db: &Connection, names: &[String], since: Wall, now: Wall) -> Result<()> {
    db.prepare_cached("DELETE FROM wrong_tries WHERE since <= ?1")?.execute([since.0])?;
    let known: u32 =
        db.prepare_cached("SELECT count(*) FROM wrong_tries")?.query_row([], |row| row.get(0))?;
    if known >= TRIES_MAX {
        // Ever new names push out each other, and not the count of whoever guesses for long.
        db.prepare_cached(
            "DELETE FROM wrong_tries WHERE who IN (SELECT who FROM wrong_tries ORDER BY times, since LIMIT 1000)",
        )?
        .execute([])?;
    }
    let mut note = db.prepare_cached(
        "INSERT INTO wrong_tries (who, since, times) VALUES (?1, ?2, 1)
         ON CONFLICT (who) DO UPDATE SET times = wrong_tries.times + 1",
    )?;
    for who in names {
        note.execute(params![who, now.0])?;
    }
    Ok(())
}
