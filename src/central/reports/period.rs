//! The time that a report is about.

use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::app::App;
use crate::store::{CampaignRow, StoreError};
use loaxa_heart::domain::ids::CampaignId;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// A month, a quarter, a year, or the days of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Period {
    Month { year: i32, month: u32 },
    Quarter { year: i32, quarter: u32 },
    Year(i32),
    Campaign(CampaignRow),
}

/// A reason for which there is no report of a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadPeriod {
    Unreadable(String),
    NoCampaign(String),
    NotBegun { begins: NaiveDate },
}

impl Say for BadPeriod {
    fn say(&self) -> Sentence {
        match self {
            BadPeriod::Unreadable(text) => said!("period.unreadable", id = text.escape_debug()),
            BadPeriod::NoCampaign(id) => said!("period.no_such_campaign", id = id.escape_debug()),
            BadPeriod::NotBegun { begins } => said!("period.not_begun", begins = begins.format("%d/%m/%Y")),
        }
    }
}

/// Years that a report can be about.
const YEARS: std::ops::RangeInclusive<i32> = 2_000..=2_199;

impl Period {
    /// Reads `2026-10`, `2026-Q3` or `2026`.
    ///
    /// # Errors
    /// Says what can't be read.
    pub fn parse(text: &str) -> Result<Self, BadPeriod> {
        let bad = || BadPeriod::Unreadable(text.chars().take(40).collect());
        let (year, rest) = text.split_once('-').map_or((text, None), |(year, rest)| (year, Some(rest)));
        let year = year.parse::<i32>().ok().filter(|year| YEARS.contains(year)).ok_or_else(bad)?;
        let number =
            |text: &str, most| text.parse::<u32>().ok().filter(|n| (1..=most).contains(n)).ok_or_else(bad);
        Ok(match rest {
            None => Period::Year(year),
            Some(rest) => match rest.strip_prefix(['Q', 'q']) {
                Some(quarter) => Period::Quarter { year, quarter: number(quarter, 4)? },
                None => Period::Month { year, month: number(rest, 12)? },
            },
        })
    }

    /// The month of a date.
    pub fn month_of(date: NaiveDate) -> Self {
        Period::Month { year: date.year(), month: date.month() }
    }

    /// The first and the last day.
    pub fn days(&self) -> (NaiveDate, NaiveDate) {
        let of_months = |year, month, months| {
            let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
            (first, first + Months::new(months) - Days::new(1))
        };
        match self {
            Period::Month { year, month } => of_months(*year, *month, 1),
            Period::Quarter { year, quarter } => of_months(*year, quarter * 3 - 2, 3),
            Period::Year(year) => of_months(*year, 1, 12),
            Period::Campaign(row) => (row.from, row.until),
        }
    }

    /// The campaign that alone counts.
    pub fn campaign(&self) -> Option<&CampaignId> {
        match self {
            Period::Campaign(row) => Some(&row.id),
            _ => None,
        }
    }

    /// The period in words: `tháng 10 năm 2026`.
    pub fn named(&self) -> Sentence {
        match self {
            Period::Month { year, month } => said!("period.month", month, year),
            Period::Quarter { year, quarter } => said!("period.quarter", quarter, year),
            Period::Year(year) => said!("period.year", year),
            Period::Campaign(row) => said!(
                "period.campaign",
                title = row.title,
                from = row.from.format("%d/%m/%Y"),
                until = row.until.format("%d/%m/%Y")
            ),
        }
    }

    /// The period before, of the same kind.
    pub fn before(&self) -> Option<Self> {
        match self {
            Period::Month { .. } => Some(Self::month_of(self.days().0.pred_opt()?)),
            Period::Quarter { year, quarter: 1 } => Some(Period::Quarter { year: year - 1, quarter: 4 }),
            Period::Quarter { year, quarter } => Some(Period::Quarter { year: *year, quarter: quarter - 1 }),
            Period::Year(year) => Some(Period::Year(year - 1)),
            Period::Campaign(_) => None,
        }
    }
}

/// Finds the period that is asked for: a campaign by its id, or `2026-10`, `2026-Q3`, `2026`; this month where neither is.
///
/// # Errors
/// Fails when the store does not answer; the inner error says what can't be reported on.
pub async fn period_of(
    app: &App,
    period: &str,
    campaign: &str,
) -> Result<Result<Period, BadPeriod>, StoreError> {
    if !campaign.is_empty() {
        let campaigns = app.store.campaigns().await?;
        let found = campaigns.into_iter().find(|row| row.id.as_str() == campaign);
        let unknown = || BadPeriod::NoCampaign(campaign.chars().take(60).collect());
        return Ok(found.map(Period::Campaign).ok_or_else(unknown));
    }
    if period.is_empty() {
        return Ok(Ok(Period::month_of(app.now().date())));
    }
    Ok(Period::parse(period))
}

impl fmt::Display for Period {
    /// Writes what [`Period::parse`] reads, and a campaign as its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Month { year, month } => write!(f, "{year}-{month:02}"),
            Period::Quarter { year, quarter } => write!(f, "{year}-Q{quarter}"),
            Period::Year(year) => write!(f, "{year}"),
            Period::Campaign(row) => write!(f, "{}", row.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_have_their_days() {
        let check = |text: &str, from: &str, until: &str| {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.to_string(), text);
            assert_eq!(period.days(), (from.parse().unwrap(), until.parse().unwrap()));
        };
        check("2026-10", "2026-10-01", "2026-10-31");
        check("2026-02", "2026-02-01", "2026-02-28");
        check("2026-Q4", "2026-10-01", "2026-12-31");
        check("2026", "2026-01-01", "2026-12-31");
        for bad in ["", "2026-13", "2026-0", "2026-Q5", "26-10", "2026-10-01", "9999999999", "x", "2026-"] {
            assert!(matches!(Period::parse(bad), Err(BadPeriod::Unreadable(_))), "{bad}");
        }
        assert_eq!(Period::parse("2026-01").unwrap().before(), Period::parse("2025-12").ok());
        assert_eq!(Period::parse("2026-Q1").unwrap().before(), Period::parse("2025-Q4").ok());
    }
}
