//! The place and the day that a page of the week is about, and the addresses of its neighbours.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};

use crate::app::App;
use crate::people::Who;
use crate::programmes::week;
use crate::store::Role;
use crate::web::form::Sent;
use crate::web::local_time;
use loaxa_heart::domain::ids::GroupId;

/// Years that pages show; others stand for a slip.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2180;

/// A place in a week.
#[derive(Debug, Clone)]
pub struct Address {
    pub group: GroupId,
    pub day: NaiveDate,
}

impl Address {
    /// Reads the place and day of an address; where it names none, the reader's own place and today.
    pub fn of_query(app: &App, who: &Who, query: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        Self::of(app, who, get("noi"), get("ngay"))
    }

    /// Reads the place and day of a form.
    pub fn of_form(app: &App, who: &Who, sent: &Sent) -> Self {
        Self::of(app, who, sent.get("noi"), sent.get("ngay"))
    }

    fn of(app: &App, who: &Who, group: &str, day: &str) -> Self {
        let today = who.now.date();
        let day = local_time::date(day, today).filter(|day| YEARS.contains(&day.year())).unwrap_or(today);
        let known = app.settings.groups.iter().find(|it| it.id.as_str() == group).map(|it| it.id.clone());
        let own = || who.groups(app, Role::Writer).into_iter().next();
        let top = || app.settings.top_groups().into_iter().next();
        let first = || app.settings.groups.first().map(|group| group.id.clone());
        let group = known.or_else(own).or_else(top).or_else(first);
        Self { group: group.unwrap_or_else(|| "xa".parse().expect("a name")), day }
    }

    pub fn monday(&self) -> NaiveDate {
        week::monday(self.day)
    }

    /// The part of an address that names the place and the day.
    pub fn query(&self) -> String {
        format!("noi={}&ngay={}", self.group, self.day)
    }

    /// The address of the week.
    pub fn week(&self) -> String {
        format!("/tuan?{}", self.query())
    }

    /// The same place so many days later.
    pub fn later(&self, days: i64) -> Self {
        let by = Days::new(days.unsigned_abs());
        let day = if days < 0 { self.day.checked_sub_days(by) } else { self.day.checked_add_days(by) };
        Self { group: self.group.clone(), day: day.unwrap_or(self.day) }
    }

    /// The same place on another day.
    pub fn on(&self, day: NaiveDate) -> Self {
        Self { group: self.group.clone(), day }
    }
}
