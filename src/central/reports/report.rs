//! A report: the days of a period added up, once, for all the forms in which it goes out.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::period::{BadPeriod, Period};
use super::voices::{Voices, voices};
use crate::app::App;
use crate::store::{StoreError, SumFilter, SumRow, Sums, Supplement, VillageRow};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::time::Wall;

const MS_A_MINUTE: u64 = 60_000;

/// The ways in which a report is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Village,
    Section,
    Class,
    Campaign,
    Responsible,
    Month,
}

impl By {
    /// The word in addresses and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            By::Village => "village",
            By::Section => "section",
            By::Class => "class",
            By::Campaign => "campaign",
            By::Responsible => "responsible",
            By::Month => "month",
        }
    }
}

/// Whole minutes, so rounded that `planned = aired + missed + unknown`, and that the lines of every table make its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Minutes {
    pub planned: u64,
    pub aired: u64,
    pub missed: u64,
    pub unknown: u64,
    /// Beside the plan, and not among the others.
    pub extra: u64,
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub id: String,
    /// Empty where there is none: no section, no campaign.
    pub title: String,
    pub minutes: Minutes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boxes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub households: Option<u32>,
}

/// A report divided in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    pub by: By,
    pub lines: Vec<Line>,
}

/// Households that were reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reach {
    pub households: u64,
    /// Those of villages in which something sounded.
    pub reached: u64,
    /// Minutes that a household could hear on average; of villages whose households are not known, nothing is reckoned.
    pub minutes_each: u64,
    /// Villages whose households nobody has told.
    pub villages_without: u64,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub commune: String,
    #[serde(serialize_with = "as_text")]
    pub period: Period,
    pub from: NaiveDate,
    pub until: NaiveDate,
    /// The last day that is counted: today, where the period is not over.
    pub counted_until: NaiveDate,
    /// The first day that was kept, where it is later than the period's begin.
    pub kept_since: Option<NaiveDate>,
    #[serde(skip)]
    pub made: Wall,
    pub total: Minutes,
    pub boxes: u64,
    pub villages: u64,
    pub reach: Reach,
    pub tables: Vec<Table>,
    /// Minutes missed, by the code of their reason.
    pub missed: Vec<(String, u64)>,
    pub supplements: Vec<Supplement>,
    /// Words of villagers. A campaign has none: they speak of loudspeakers, not of campaigns.
    pub voices: Voices,
}

fn as_text<S: serde::Serializer>(period: &Period, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(period)
}

impl Report {
    /// Tells whether nothing at all was planned, sounded or said.
    pub fn is_empty(&self) -> bool {
        self.total == Minutes::default() && self.voices.total.said == 0
    }
}

/// Adds a period up.
///
/// # Errors
/// Fails when the store does not answer; the inner error says why there is no report.
pub async fn report(app: &App, period: Period) -> Result<Result<Report, BadPeriod>, StoreError> {
    let made = app.now();
    let (from, until) = period.days();
    let today = made.date();
    if from > today {
        return Ok(Err(BadPeriod::NotBegun { begins: from }));
    }
    let counted_until = until.min(today);
    let filter = SumFilter { from, until: counted_until, campaign: period.campaign().cloned() };
    let rows = app.store.sums(filter).await?;
    let villages = app.store.villages_of(from, counted_until).await?;
    let supplements = app.store.supplements(from, counted_until).await?;
    let kept_since = app.store.days_kept().await?.map(|(first, _)| first);
    let kept_since = kept_since.filter(|first| *first > from && *first <= counted_until);
    let said = match period.campaign() {
        Some(_) => Vec::new(),
        None => app.store.feedback_sums(from, counted_until).await?,
    };
    let mut total = Sums::default();
    rows.iter().for_each(|row| total += row.sums);
    let total = rounded(&total);
    let mut tables = Vec::new();
    for by in [By::Village, By::Section, By::Class, By::Campaign, By::Responsible, By::Month] {
        let lines = lines(by, &rows, &villages, &total);
        if by != By::Month || lines.len() > 1 {
            tables.push(Table { by, lines });
        }
    }
    let missed = missed(&rows, total.missed);
    let reach = reach(&tables[0].lines);
    Ok(Ok(Report {
        commune: app.settings.commune.clone(),
        period,
        from,
        until,
        counted_until,
        kept_since,
        made,
        total,
        boxes: villages.iter().map(|village| village.boxes).sum(),
        villages: villages.iter().filter(|village| !village.village.is_empty()).count() as u64,
        reach,
        tables,
        missed,
        supplements,
        voices: voices(&said),
    }))
}

fn minutes(ms: u64) -> u64 {
    (ms + MS_A_MINUTE / 2) / MS_A_MINUTE
}

fn rounded(sums: &Sums) -> Minutes {
    let (aired, missed, unknown) =
        (minutes(sums.aired_ms), minutes(sums.missed_ms), minutes(sums.unknown_ms));
    Minutes { planned: aired + missed + unknown, aired, missed, unknown, extra: minutes(sums.extra_ms) }
}

/// Rounds parts so that they make exactly `total`: the largest remainders are rounded up.
fn shared(parts: &[u64], total: u64) -> Vec<u64> {
    let mut whole: Vec<u64> = parts.iter().map(|ms| ms / MS_A_MINUTE).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(parts[*index] % MS_A_MINUTE), *index));
    let more = total.saturating_sub(whole.iter().sum());
    for index in order.into_iter().take(usize::try_from(more).unwrap_or(usize::MAX)) {
        whole[index] += 1;
    }
    whole
}

/// The name and id of a row in one way of dividing.
fn of(by: By, row: &SumRow) -> (String, String) {
    let key = &row.key;
    match by {
        By::Village => (row.village.clone(), row.village_title.clone()),
        By::Section => (key.section.clone(), key.section_title.clone()),
        By::Class => {
            let code = class_code(key.class);
            (code.clone(), code)
        }
        By::Campaign => (key.campaign.clone(), key.campaign_title.clone()),
        By::Responsible => (key.responsible.clone(), key.responsible.clone()),
        By::Month => (row.month.clone(), row.month.clone()),
    }
}

/// The word of a class in the tables of texts.
fn class_code(class: Rung) -> String {
    let code = match class {
        Rung::Normal => "normal",
        Rung::Programme => "programme",
        Rung::Priority => "priority",
        Rung::Live => "live",
        Rung::Exercise => "exercise",
        Rung::Emergency => "emergency",
    };
    code.to_owned()
}

fn lines(by: By, rows: &[SumRow], villages: &[VillageRow], total: &Minutes) -> Vec<Line> {
    // Of two names the later month's counts.
    let mut found: BTreeMap<String, (String, String, Sums)> = BTreeMap::new();
    if by == By::Village {
        for village in villages {
            found.insert(village.village.clone(), (String::new(), village.title.clone(), Sums::default()));
        }
    }
    for row in rows {
        let (id, title) = of(by, row);
        let entry = found.entry(id).or_insert_with(|| (row.month.clone(), title.clone(), Sums::default()));
        if row.month > entry.0 {
            (entry.0, entry.1) = (row.month.clone(), title);
        }
        entry.2 += row.sums;
    }
    let sums: Vec<Sums> = found.values().map(|(_, _, sums)| *sums).collect();
    let share = |of: fn(&Sums) -> u64, total| shared(&sums.iter().map(of).collect::<Vec<_>>(), total);
    let aired = share(|sums| sums.aired_ms, total.aired);
    let missed = share(|sums| sums.missed_ms, total.missed);
    let unknown = share(|sums| sums.unknown_ms, total.unknown);
    let extra = share(|sums| sums.extra_ms, total.extra);
    let mut lines: Vec<Line> = found
        .into_iter()
        .enumerate()
        .map(|(index, (id, (_, title, _)))| {
            let (aired, missed, unknown) = (aired[index], missed[index], unknown[index]);
            let minutes =
                Minutes { planned: aired + missed + unknown, aired, missed, unknown, extra: extra[index] };
            let village = villages.iter().find(|village| by == By::Village && village.village == id);
            let title = village.map_or(title, |village| village.title.clone());
            let (boxes, households) = (village.map(|it| it.boxes), village.and_then(|it| it.households));
            Line { id, title, minutes, boxes, households }
        })
        .collect();
    if by != By::Month {
        lines.sort_by(|a, b| (a.id.is_empty(), &a.title, &a.id).cmp(&(b.id.is_empty(), &b.title, &b.id)));
    }
    lines
}

fn missed(rows: &[SumRow], total: u64) -> Vec<(String, u64)> {
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.sums.missed_ms > 0) {
        *by_reason.entry(&row.key.reason).or_default() += row.sums.missed_ms;
    }
    let minutes = shared(&by_reason.values().copied().collect::<Vec<_>>(), total);
    let mut missed: Vec<_> = by_reason.into_keys().map(str::to_owned).zip(minutes).collect();
    missed.sort_by(|a, b| (std::cmp::Reverse(a.1), &a.0).cmp(&(std::cmp::Reverse(b.1), &b.0)));
    missed
}

fn reach(villages: &[Line]) -> Reach {
    let mut reach = Reach::default();
    let mut heard = 0;
    for village in villages {
        let Some(households) = village.households.map(u64::from) else {
            reach.villages_without += 1;
            continue;
        };
        reach.households += households;
        if village.minutes.aired > 0 {
            reach.reached += households;
            heard += households * village.minutes.aired / village.boxes.unwrap_or(1).max(1);
        }
    }
    reach.minutes_each = heard.checked_div(reach.households).unwrap_or(0);
    reach
}

/// A whole number as offices write it: `1.240`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    grouped
}

/// A part of a whole in percent with one decimal: `96,7`; without a whole, `0`.
pub fn percent(part: u64, whole: u64) -> String {
    let Some(tenths) = (part * 1_000 + whole / 2).checked_div(whole) else { return "0".to_owned() };
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{},{}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_offices_write_them() {
        assert_eq!(
            [0, 999, 1_240, 11_100, 1_000_000].map(number),
            ["0", "999", "1.240", "11.100", "1.000.000"]
        );
        assert_eq!(
            (percent(10_733, 11_100), percent(1, 1), percent(0, 0)),
            ("96,7".into(), "100".into(), "0".into())
        );
    }

    #[test]
    fn lines_make_their_total_whatever_is_rounded() {
        let check = |parts: &[u64]| {
            let total = minutes(parts.iter().sum());
            let shared = shared(parts, total);
            assert_eq!(shared.iter().sum::<u64>(), total, "{parts:?}");
            for (ms, minutes) in parts.iter().zip(shared) {
                assert!(minutes.abs_diff(ms / MS_A_MINUTE) <= 1);
            }
        };
        check(&[]);
        check(&[29_999, 29_999, 29_999]);
        check(&[30_000, 30_000, 30_000, 30_000]);
        check(&[59_999, 59_999, 1]);
        check(&[3_600_000, 1, 90_000]);
    }
}
