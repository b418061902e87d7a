//! Tokens of programs.

use super::SqlStore;
use super::columns::{from_word, known, optional_name, optional_wall, wall};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{Answer, TokenRow, Tokens};
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

impl Tokens for SqlStore {
    fn add_token(&self, token: TokenRow) -> Answer<'_, bool> {
        self.write_and_copy(move |db| add(db, &token))
    }

    fn token(&self, hash: ContentHash) -> Answer<'_, Option<TokenRow>> {
        self.read_anyhow(move |db| {
            db.prepare_cached("SELECT * FROM tokens WHERE hash = ?1")?.query_row([hash.0], row).optional()
        })
    }

    fn tokens(&self) -> Answer<'_, Vec<TokenRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM tokens ORDER BY name")?;
            known(query.query_map([], row)?)
        })
    }

    fn revoke_token(&self, name: String, at: Wall) -> Answer<'_, bool> {
        self.write_and_copy(move |db| {
            let revoked = db
                .prepare_cached("UPDATE tokens SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL")?
                .execute(params![name, at.0])?;
            Ok(revoked == 1)
        })
    }
}

fn add(db: &Connection, token: &TokenRow) -> Result<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO tokens (name, hash, scope, made, expires, owner) SELECT ?1, ?2, ?3, ?4, ?5, ?6
             WHERE EXISTS (SELECT 1 FROM people WHERE id = ?6 AND \"left\" IS NULL) OR CAST(?6 AS TEXT) IS NULL
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            token.name,
            token.hash.0,
            token.scope.code(),
            token.made.0,
            token.expires.0,
            token.owner.as_ref().map(AccountId::as_str),
        ])?;
    Ok(added == 1)
}

fn row(row: &Row) -> Result<TokenRow> {
    Ok(TokenRow {
        name: row.get("name")?,
        hash: ContentHash(row.get("hash")?),
        scope: from_word(row, "scope")?,
        made: wall(row, "made")?,
        expires: wall(row, "expires")?,
        revoked: optional_wall(row, "revoked")?,
        owner: optional_name(row, "owner")?,
    })
}
