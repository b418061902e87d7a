//! The period that an address asks for.

use serde::Deserialize;

use crate::app::App;
use crate::reports::{self, BadPeriod, Report};
use crate::store::StoreError;

/// Boxes' days that are reckoned before a report is made; the rest follows by itself.
const SETTLED: u32 = 400;

/// The period, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// `2026-10`, `2026-Q4` or `2026`.
    pub ky: String,
    /// A campaign, in place of a period.
    pub dot: String,
}

impl Asked {
    /// Makes the report.
    ///
    /// # Errors
    /// As [`reports::period_of`].
    pub async fn report(&self, app: &App) -> Result<Result<Report, BadPeriod>, StoreError> {
        reports::settle(app, SETTLED).await?;
        match reports::period_of(app, &self.ky, &self.dot).await? {
            Ok(period) => reports::report(app, period).await,
            Err(bad) => Ok(Err(bad)),
        }
    }

    /// The address of the same period under a path.
    pub fn address(&self, path: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("ky", &self.ky), ("dot", &self.dot)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish().as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}
