//! The last numbers that were given to issuers.

use std::collections::BTreeMap;

use super::columns::count;
use super::engine::{Connection, Result, params};
use loaxa_heart::domain::ids::KeyId;

/// The row of `serials` that holds for issuers without one: no number up to it is given, since a restoration.
pub const NEW_ISSUERS: &str = "*";

/// Reads the last number of each issuer, for times in which a server is away.
pub fn given(db: &Connection) -> Result<BTreeMap<String, u64>> {
    let mut query = db.prepare_cached("SELECT issuer, last FROM serials")?;
    query.query_map([], |row| Ok((row.get("issuer")?, count(row, "last")?)))?.collect()
}

/// The number that no issuer goes below.
pub fn floor(serials: &BTreeMap<String, u64>) -> u64 {
    serials.get(NEW_ISSUERS).copied().unwrap_or_default()
}

/// Numbers that are set aside for one process at a time, for each issuer: more urgent orders than a day without the server has.
const ASIDE: u64 = 128;
/// Numbers that an issuer may be beyond those that were set aside, before others are: boxes tell 1,024 apart.
const BEHIND_MAX: u64 = 512;

/// Numbers that one process alone may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aside {
    next: u64,
    last: u64,
}

impl Aside {
    /// Gives the next number; `None` where all are given.
    pub fn give(&mut self) -> Option<u64> {
        let given = self.next;
        (given <= self.last).then(|| {
            self.next += 1;
            given
        })
    }

    /// The last of them: whatever is given after them is greater.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Tells whether others should be set aside, once this number was given.
    pub fn is_old(&self, given: u64) -> bool {
        self.next > self.last || given > self.last.saturating_add(BEHIND_MAX)
    }
}

/// Sets numbers aside that nobody else gives.
pub fn set_aside(db: &Connection, issuer: &KeyId) -> Result<Aside> {
    let last: i64 = db
        .prepare_cached(
            "INSERT INTO serials (issuer, last)
             VALUES (?1, coalesce((SELECT last FROM serials WHERE issuer = ?3), 0) + ?2)
             ON CONFLICT (issuer) DO UPDATE SET last = serials.last + ?2 RETURNING last",
        )?
        .query_row(params![issuer.as_str(), ASIDE as i64, NEW_ISSUERS], |row| row.get(0))?;
    Ok(Aside { next: last as u64 - ASIDE + 1, last: last as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_set_aside_are_given_once_and_grow_old() {
        let mut aside = Aside { next: 5, last: 6 };
        assert!(!aside.is_old(6 + BEHIND_MAX) && aside.is_old(7 + BEHIND_MAX));
        assert_eq!([aside.give(), aside.give(), aside.give()], [Some(5), Some(6), None]);
        assert!(aside.is_old(7));
    }
}
