//! A connection to a PostgreSQL server that listens for what others on it say, and holds a lock for as long as it lasts.

use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Notifications};

use super::error::{Error, Result};
use super::postgres_server::Target;

/// A connection that listens, belonging to one thread that runs no asynchronous work.
pub struct Ear {
    client: Client,
}

impl Ear {
    /// Connects, and listens to a channel from then on.
    ///
    /// # Errors
    /// Fails where the server is away.
    pub fn open(target: &Target, channel: &str, time_max: Duration) -> Result<Self> {
        let mut client = target.connect()?;
        let time_max = time_max.as_millis();
        client.batch_execute(&format!(
            "SET statement_timeout = {time_max}; SET default_transaction_read_only = on;
             SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3; LISTEN {channel}"
        ))?;
        Ok(Self { client })
    }

    /// Takes a lock that others share, or that this connection has alone; false where others have it.
    ///
    /// # Errors
    /// Fails where the server is away.
    pub fn lock(&mut self, number: i64, alone: bool) -> Result<bool> {
        let shared = if alone { "" } else { "_shared" };
        let row = self.client.query_one(&format!("SELECT pg_try_advisory_lock{shared}({number})"), &[])?;
        Ok(row.try_get(0)?)
    }

    /// Asks for pairs of words with a number.
    ///
    /// # Errors
    /// Fails where the server is away.
    pub fn counts(&mut self, sql: &str) -> Result<Vec<(String, String, i64)>> {
        let rows = self.client.query(sql, &[])?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
    }

    /// Waits until something is said, no longer than this; gives all that was said by then.
    ///
    /// # Errors
    /// Fails where the connection broke off.
    pub fn wait(&mut self, longest: Duration) -> Result<Vec<String>> {
        let said = heard(&mut self.client.notifications(), longest)?;
        match self.client.is_closed() {
            true => Err(Error::Away("the connection broke off".to_owned())),
            false => Ok(said),
        }
    }
}

fn heard(notifications: &mut Notifications<'_>, longest: Duration) -> Result<Vec<String>> {
    let mut said = Vec::new();
    if let Some(first) = notifications.timeout_iter(longest).next()? {
        said.push(first.payload().to_owned());
    }
    let mut waiting = notifications.iter();
    while let Some(next) = waiting.next()? {
        said.push(next.payload().to_owned());
    }
    Ok(said)
}
