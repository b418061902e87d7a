//! The last numbers that were given to issuers.

use std::collections::BTreeMap;

use super::columns::count;
use super::engine::{Connection, Result};

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
