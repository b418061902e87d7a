//! The days of a programme: which slots are due on a date, by day rules, validity, campaigns and holidays.

use chrono::{Datelike, Days as DayCount, NaiveDate};
use serde::Serialize;

use super::ids::HolidayId;
use super::lunar::{LunarDate, LunarDay, Meets};
use super::programme::{Campaign, DayRule, HolidayEffect, Programme, Slot};
use super::recurrence::{BadRule, Recurrence};

/// The days of a programme, ready to be asked; indexes are those of [`Programme::slots`].
#[derive(Debug)]
pub struct ProgrammeDays {
    slots: Vec<SlotDays>,
    holidays: Vec<HolidayDays>,
}

/// The slots of a programme on a date.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayPlan {
    /// Music is left out.
    pub mourning: bool,
    /// In the order of the file.
    pub due: Vec<DueSlot>,
}

/// The effects of a day's holidays on everyday slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// Everyday slots do not sound.
    pub replaced: bool,
    /// Music is left out.
    pub mourning: bool,
    /// Nothing sounds.
    pub silent: bool,
}

impl Effects {
    /// Joins the effects of two programmes.
    pub const fn and(self, other: Self) -> Self {
        Self {
            replaced: self.replaced || other.replaced,
            mourning: self.mourning || other.mourning,
            silent: self.silent || other.silent,
        }
    }
}

/// A slot that is due on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSlot {
    pub slot: usize,
    pub notes: Vec<DayNote>,
}

/// A peculiarity of a day that readers of the plan should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayNote {
    /// The slot names a lunar 30th; this month has 29 days, so it is today, on the 29th.
    LunarThirtieth,
    /// The day belongs to this holiday.
    Holiday(HolidayId),
}

impl ProgrammeDays {
    /// Makes the rules of a programme ready.
    ///
    /// # Errors
    /// Names the first recurrence rule that can't be read.
    pub fn new(programme: &Programme) -> Result<Self, BadRule> {
        let slots = programme.slots.iter().map(|slot| SlotDays::new(programme, slot));
        let holidays = programme.holidays.values().map(|holiday| {
            Ok(HolidayDays {
                id: holiday.id.clone(),
                days: DaySet::new(&holiday.rules)?,
                lasts_days: holiday.lasts_days.max(1),
                effect: holiday.effect,
            })
        });
        Ok(Self {
            slots: slots.collect::<Result<_, _>>()?,
            holidays: holidays.collect::<Result<_, BadRule>>()?,
        })
    }

    /// Finds what is due on `date`, for whatever audience, where no other programme has a holiday.
    pub fn on(&self, date: NaiveDate) -> DayPlan {
        self.on_with(date, self.effects_on(date))
    }

    /// Finds what the holidays of a date do to everyday slots.
    pub fn effects_on(&self, date: NaiveDate) -> Effects {
        let (holidays, _) = self.holidays_on(&Day::new(date));
        let has = |effect| holidays.iter().any(|holiday| holiday.effect == effect);
        Effects {
            replaced: has(HolidayEffect::Replace),
            mourning: has(HolidayEffect::Mourning),
            silent: has(HolidayEffect::Silence),
        }
    }

    /// Finds what is due on `date` under effects that may come from holidays of other programmes, too.
    pub fn on_with(&self, date: NaiveDate, effects: Effects) -> DayPlan {
        let day = Day::new(date);
        let (holidays, thirtieth) = self.holidays_on(&day);
        let Effects { replaced, mourning, silent } = effects;
        if silent {
            return DayPlan::default();
        }
        let due = self.slots.iter().enumerate().filter_map(|(slot, days)| {
            let holiday = match &days.holiday {
                None if replaced => return None,
                None => None,
                Some(id) => Some(holidays.iter().find(|holiday| holiday.id == *id)?),
            };
            let meets = days.meets(&day);
            let mut notes: Vec<_> =
                holiday.map(|holiday| DayNote::Holiday(holiday.id.clone())).into_iter().collect();
            match meets {
                Meets::No => return None,
                Meets::ForThe30th => notes.push(DayNote::LunarThirtieth),
                Meets::Exactly if thirtieth && holiday.is_some() => notes.push(DayNote::LunarThirtieth),
                Meets::Exactly => {}
            }
            Some(DueSlot { slot, notes })
        });
        DayPlan { mourning, due: due.collect() }
    }

    /// Lists the holidays that `date` belongs to.
    pub fn holidays(&self, date: NaiveDate) -> Vec<HolidayId> {
        self.holidays_on(&Day::new(date)).0.into_iter().map(|holiday| holiday.id.clone()).collect()
    }

    /// Finds the holidays of a day, and whether one of them stands on a 29th for a 30th.
    fn holidays_on(&self, day: &Day) -> (Vec<&HolidayDays>, bool) {
        let mut thirtieth = false;
        let active = |holiday: &&HolidayDays| {
            let meets = holiday.meets(day);
            thirtieth |= meets == Meets::ForThe30th;
            meets != Meets::No
        };
        let holidays = self.holidays.iter().filter(active).collect();
        (holidays, thirtieth)
    }
}

/// A date in both calendars.
struct Day {
    date: NaiveDate,
    lunar: LunarDate,
}

impl Day {
    fn new(date: NaiveDate) -> Self {
        Self { date, lunar: LunarDate::from_solar(date) }
    }
}

#[derive(Debug)]
struct SlotDays {
    days: DaySet,
    holiday: Option<HolidayId>,
    /// Of the slot and of its campaign, inclusive.
    from: NaiveDate,
    until: NaiveDate,
    /// Sorted.
    except: Vec<NaiveDate>,
}

impl SlotDays {
    fn new(programme: &Programme, slot: &Slot) -> Result<Self, BadRule> {
        let campaign = slot.campaign.as_ref().and_then(|id| programme.campaigns.get(id));
        let (from, until) = validity(slot.days.valid_from, slot.days.valid_until, campaign);
        let mut except = slot.days.except.clone();
        except.sort_unstable();
        Ok(Self { days: DaySet::new(&slot.days.rules)?, holiday: slot.holiday.clone(), from, until, except })
    }

    fn meets(&self, day: &Day) -> Meets {
        let valid = (self.from..=self.until).contains(&day.date);
        if !valid || self.except.binary_search(&day.date).is_ok() { Meets::No } else { self.days.meets(day) }
    }
}

/// Returns the first and last day of something with a validity of its own and perhaps a campaign.
pub fn validity(
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
    campaign: Option<&Campaign>,
) -> (NaiveDate, NaiveDate) {
    let (from, until) = (from.unwrap_or(NaiveDate::MIN), until.unwrap_or(NaiveDate::MAX));
    campaign.map_or((from, until), |campaign| (from.max(campaign.from), until.min(campaign.until)))
}

#[derive(Debug)]
struct HolidayDays {
    id: HolidayId,
    days: DaySet,
    lasts_days: u16,
    effect: HolidayEffect,
}

impl HolidayDays {
    fn meets(&self, day: &Day) -> Meets {
        let begun = |ago: u16| day.date.checked_sub_days(DayCount::new(u64::from(ago)));
        let mut days = (1..self.lasts_days).filter_map(begun).map(Day::new);
        match self.days.meets(day) {
            Meets::No if days.any(|day| self.days.meets(&day) != Meets::No) => Meets::Exactly,
            meets => meets,
        }
    }
}

/// Day rules sorted by kind.
#[derive(Debug, Default)]
struct DaySet {
    /// Bit 0 is Monday.
    weekdays: u8,
    lunar: Vec<LunarDay>,
    dates: Vec<NaiveDate>,
    /// Month, day.
    yearly: Vec<(u32, u32)>,
    recurrences: Vec<Recurrence>,
}

impl DaySet {
    fn new(rules: &[DayRule]) -> Result<Self, BadRule> {
        let mut set = Self::default();
        for rule in rules {
            match rule {
                DayRule::Weekdays(days) => {
                    set.weekdays |= days.iter().fold(0, |bits, day| bits | 1 << day.num_days_from_monday());
                }
                DayRule::Recurrence { rule, from } => set.recurrences.push(Recurrence::new(rule, *from)?),
                DayRule::Lunar(day) => set.lunar.push(*day),
                DayRule::Date(date) => set.dates.push(*date),
                DayRule::Yearly { month, day } => set.yearly.push((*month, *day)),
            }
        }
        Ok(set)
    }

    fn meets(&self, day: &Day) -> Meets {
        let weekday = 1 << day.date.weekday().num_days_from_monday();
        let plain = self.weekdays & weekday != 0
            || self.dates.contains(&day.date)
            || self.yearly.contains(&(day.date.month(), day.date.day()))
            || self.recurrences.iter().any(|rule| rule.contains(day.date));
        if plain {
            return Meets::Exactly;
        }
        let lunar = || self.lunar.iter().map(|rule| rule.meets(&day.lunar));
        if lunar().any(|meets| meets == Meets::Exactly) {
            Meets::Exactly
        } else {
            lunar().find(|meets| *meets != Meets::No).unwrap_or(Meets::No)
        }
    }
}
