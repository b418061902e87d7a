//! Anchors: one hash of all logs a day, with the lines that were hashed.

use chrono::NaiveDate;

use super::columns::{count, day, wall};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Anchor, AnchorPage, HEADS_BYTES_MAX, ROWS_MAX};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;

/// A text behind every day.
const END: &str = "~";

/// Keeps the hash of all logs, unless that day has one.
pub fn keep(db: &Connection, of: NaiveDate, made: Wall) -> Result<Anchor> {
    let kept = db
        .prepare_cached("SELECT * FROM anchors WHERE day = ?1")?
        .query_row([of.to_string()], with_heads)
        .optional()?;
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let mut query =
        db.prepare_cached("SELECT box, epoch, upto, lower(hex(hash)) FROM heads ORDER BY box, epoch")?;
    let lines = query.query_map([], |row| {
        let (id, epoch, upto, hash): (String, String, i64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(format!("{id} {epoch} {upto} {hash}\n"))
    })?;
    let heads = lines.collect::<Result<String>>()?;
    let hash = ContentHash::of(heads.as_bytes());
    db.prepare_cached("INSERT INTO anchors (day, made, hash, heads) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![of.to_string(), made.0, hash.0, heads])?;
    Ok(Anchor { day: of, made, hash, heads: Some(heads) })
}

/// Reads a page: with heads as many anchors as have room in it, without them as many as are asked for.
pub fn page(db: &Connection, before: Option<NaiveDate>, heads_too: bool, limit: u32) -> Result<AnchorPage> {
    let before = before.map_or_else(|| END.to_owned(), |day| day.to_string());
    let limit = limit.clamp(1, ROWS_MAX);
    let mut query = db.prepare_cached(
        "SELECT day, made, hash, octet_length(heads) AS bytes FROM anchors WHERE day < ?1 ORDER BY day DESC LIMIT ?2",
    )?;
    let rows = query.query_map(params![before, limit + 1], |row| Ok((anchor(row)?, count(row, "bytes")?)))?;
    let found = rows.collect::<Result<Vec<_>>>()?;
    let mut bytes = 0;
    let mut has_room = |(_, own): &(Anchor, u64)| {
        bytes += own;
        !heads_too || bytes <= HEADS_BYTES_MAX
    };
    let fit = found.iter().take_while(|row| has_room(row)).count().clamp(1, limit as usize);
    let more = found.len() > fit;
    let mut anchors: Vec<_> = found.into_iter().take(fit).map(|(anchor, _)| anchor).collect();
    let last = anchors.last().map(|anchor| anchor.day);
    if let (true, Some(last)) = (heads_too, last) {
        let mut query =
            db.prepare_cached("SELECT * FROM anchors WHERE day < ?1 AND day >= ?2 ORDER BY day DESC")?;
        let rows = query.query_map(params![before, last.to_string()], with_heads)?;
        anchors = rows.collect::<Result<_>>()?;
    }
    Ok(AnchorPage { anchors, next: last.filter(|_| more) })
}

fn with_heads(row: &Row) -> Result<Anchor> {
    Ok(Anchor { heads: Some(row.get("heads")?), ..anchor(row)? })
}

fn anchor(row: &Row) -> Result<Anchor> {
    Ok(Anchor {
        day: day(row, "day")?,
        made: wall(row, "made")?,
        hash: ContentHash(row.get("hash")?),
        heads: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::prepare::prepare;
    use super::*;

    #[test]
    fn a_page_holds_so_many_bytes_of_heads_and_one_anchor_at_least() {
        let db = Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        prepare(&db).unwrap();
        let mib = |n: usize| " ".repeat(n << 20);
        let sizes = [("2026-01-01", 1), ("2026-01-02", 5), ("2026-01-03", 2), ("2026-01-04", 2)];
        for (day, size) in sizes {
            db.execute(
                "INSERT INTO anchors (day, made, hash, heads) VALUES (?1, 0, zeroblob(32), ?2)",
                params![day, mib(size)],
            )
            .unwrap();
        }
        let mut next = None;
        let mut pages = Vec::new();
        loop {
            let page = page(&db, next, true, 1_000).unwrap();
            let bytes: Vec<_> =
                page.anchors.iter().map(|it| it.heads.as_ref().unwrap().len() >> 20).collect();
            pages.push(bytes);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![2, 2], vec![5], vec![1]]);
        assert_eq!(page(&db, None, false, 1_000).unwrap().anchors.len(), 4);
    }
}
