//! The part of the log that a query asks for.

use serde::Deserialize;

use crate::store::{LogFilter, ROWS_MAX};
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::time::Wall;

/// Rows of an answer where none are asked for.
pub const ROWS: u32 = 100;

/// A query for rows of the log or of plays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    #[serde(rename = "box")]
    id: Option<BoxId>,
    from: Option<Wall>,
    to: Option<Wall>,
    event: Option<String>,
    announcement: Option<CommandId>,
    after: Option<u64>,
    before: Option<u64>,
    #[serde(default)]
    implausible: bool,
    pub limit: Option<u32>,
}

impl Range {
    /// Tells whether whole logs are asked for, and this is their first page.
    pub const fn is_from_the_beginning(&self) -> bool {
        let is_first = matches!(self.after, None | Some(0));
        let of_all_times = self.from.is_none() && self.to.is_none();
        is_first && of_all_times && self.event.is_none() && self.announcement.is_none()
    }
}

impl From<Range> for LogFilter {
    fn from(range: Range) -> Self {
        LogFilter {
            id: range.id,
            from: range.from,
            to: range.to,
            event: range.event,
            command: range.announcement,
            after: range.after.map(|after| i64::try_from(after).unwrap_or(i64::MAX)),
            before: range.before.map(|before| i64::try_from(before).unwrap_or(i64::MAX)),
            implausible: range.implausible,
            newest_first: false,
            limit: range.limit.unwrap_or(ROWS).min(ROWS_MAX),
        }
    }
}
