//! Alarms for people: troubles that belong together are one. Many boxes of a village that fall silent at about the same
//! time are one alarm, and many villages are one of the place that holds them all, as when the power is cut.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::App;
use crate::settings::village_of;
use crate::store::{BoxRow, SiteRow, StoreError, TroubleKind, TroubleRow};
use loaxa_heart::domain::ids::{AccountId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};

/// Boxes that fell silent within this time of each other fell silent together.
const TOGETHER: Span = Span::secs(600);
/// Villages from which on silence is that of the place above them.
const VILLAGES_TOGETHER: usize = 3;

/// The care that people take of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nobody has taken it on.
    Waits,
    /// Somebody has.
    Taken,
    /// Nobody is told before a time.
    Silent,
    /// Somebody works on the box.
    Maintained,
}

/// An alarm: troubles of one kind, of one place, at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmGroup {
    pub kind: TroubleKind,
    /// The code of the fault, or of the alarm.
    pub what: String,
    /// The village, or what holds the villages; `None` for a stranger.
    pub place: Option<GroupId>,
    pub standing: Standing,
    pub taken: Option<(AccountId, Wall)>,
    pub silent_until: Option<Wall>,
    pub since: Wall,
    /// The troubles that are one, the longest first.
    pub rows: Vec<TroubleRow>,
}

impl AlarmGroup {
    /// The numbers of the troubles, for a form: `3,4,9`.
    pub fn ids(&self) -> String {
        self.rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// The places of boxes, and which of them are worked on.
pub struct Ground<'a> {
    pub villages: BTreeMap<&'a str, &'a GroupId>,
    pub maintained: BTreeSet<&'a str>,
    pub parents: BTreeMap<GroupId, GroupId>,
}

impl Ground<'_> {
    fn village(&self, row: &TroubleRow) -> Option<GroupId> {
        self.villages.get(row.subject.as_str()).map(|group| (*group).clone())
    }

    fn standing(&self, row: &TroubleRow, now: Wall) -> Standing {
        if self.maintained.contains(row.subject.as_str()) && row.kind != TroubleKind::Security {
            Standing::Maintained
        } else if row.silent_until.is_some_and(|until| until > now) {
            Standing::Silent
        } else if row.taken.is_some() {
            Standing::Taken
        } else {
            Standing::Waits
        }
    }

    /// The nearest group that holds all of these.
    fn above<'g>(&self, groups: impl IntoIterator<Item = &'g GroupId>) -> Option<GroupId> {
        let mut chains = groups.into_iter().map(|group| self.upwards(group));
        let first = chains.next()?;
        let others: Vec<_> = chains.collect();
        first.into_iter().find(|group| others.iter().all(|chain| chain.contains(group)))
    }

    /// A group and those above it, the nearest first.
    fn upwards(&self, group: &GroupId) -> Vec<GroupId> {
        let mut chain = vec![group.clone()];
        // The configuration has no circle; the bound keeps a wrong one from being endless.
        while let Some(parent) = chain.last().and_then(|last| self.parents.get(last))
            && chain.len() <= self.parents.len()
        {
            chain.push(parent.clone());
        }
        chain
    }
}

/// Reads the alarms of now.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn of_now(app: &App, boxes: &[BoxRow], sites: &[SiteRow]) -> Result<Vec<AlarmGroup>, StoreError> {
    let (now, parents) = (app.now(), app.settings.parents());
    let village = |row: &'_ BoxRow| village_of(&row.groups, &parents).cloned();
    let villages: Vec<_> = boxes.iter().map(village).collect();
    let villages = boxes.iter().zip(&villages).filter_map(|(row, it)| Some((row.id.as_str(), it.as_ref()?)));
    let works = |site: &&SiteRow| site.maintenance.as_ref().is_some_and(|work| work.until > now);
    let maintained = sites.iter().filter(works).map(|site| site.id.as_str()).collect();
    let ground = Ground { villages: villages.collect(), maintained, parents: parents.clone() };
    Ok(together(app.store.open_troubles().await?, &ground, now))
}

/// Puts open troubles together, those that wait for a person first.
pub fn together(rows: Vec<TroubleRow>, ground: &Ground, now: Wall) -> Vec<AlarmGroup> {
    type Care = (Standing, Option<(AccountId, Wall)>, Option<Wall>);
    type Alike = (TroubleKind, String, Care, Option<GroupId>, Option<String>);
    let mut alike: BTreeMap<Alike, Vec<TroubleRow>> = BTreeMap::new();
    for row in rows {
        let standing = ground.standing(&row, now);
        let silent_until = row.silent_until.filter(|_| standing == Standing::Silent);
        let care = (standing, row.taken.clone(), silent_until);
        let place = ground.village(&row);
        let alone =
            matches!(row.kind, TroubleKind::Security | TroubleKind::Feedback).then(|| row.subject.clone());
        alike.entry((row.kind, row.what.clone(), care, place, alone)).or_default().push(row);
    }
    let mut groups = Vec::new();
    for ((kind, what, (standing, taken, silent_until), place, _), mut rows) in alike {
        rows.sort_by_key(|row| (row.since, row.id));
        for rows in by_time(rows) {
            let (place, since) = (place.clone(), rows[0].since);
            let (what, taken) = (what.clone(), taken.clone());
            groups.push(AlarmGroup { kind, what, place, standing, taken, silent_until, since, rows });
        }
    }
    let mut groups = join_villages(groups, ground);
    groups.sort_by(|a, b| {
        (a.standing, a.kind, a.since, &a.rows[0].id).cmp(&(b.standing, b.kind, b.since, &b.rows[0].id))
    });
    groups
}

/// Cuts troubles, the longest first, where more than [`TOGETHER`] lies between two.
fn by_time(rows: Vec<TroubleRow>) -> Vec<Vec<TroubleRow>> {
    let mut found: Vec<Vec<TroubleRow>> = Vec::new();
    for row in rows {
        match found.last_mut() {
            Some(group) if group.last().is_some_and(|before| row.since.since(before.since) <= TOGETHER) => {
                group.push(row);
            }
            _ => found.push(vec![row]),
        }
    }
    found
}

/// Joins villages that fell silent together, if there are enough of them.
fn join_villages(groups: Vec<AlarmGroup>, ground: &Ground) -> Vec<AlarmGroup> {
    let (mut silent, mut joined): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|it| it.kind == TroubleKind::OutOfContact && it.place.is_some());
    silent.sort_by(|a, b| {
        (a.standing, &a.taken, a.silent_until, a.since).cmp(&(b.standing, &b.taken, b.silent_until, b.since))
    });
    let mut together: Vec<AlarmGroup> = Vec::new();
    let flush = |together: &mut Vec<AlarmGroup>, joined: &mut Vec<AlarmGroup>| {
        let place = ground.above(together.iter().filter_map(|it| it.place.as_ref()));
        if together.len() < VILLAGES_TOGETHER || place.is_none() {
            joined.append(together);
            return;
        }
        let mut all = std::mem::take(together).into_iter();
        if let Some(mut first) = all.next() {
            first.rows.extend(all.flat_map(|other| other.rows));
            joined.push(AlarmGroup { place, ..first });
        }
    };
    for group in silent {
        let goes_on = together.last().is_none_or(|before: &AlarmGroup| {
            (before.standing, &before.taken, before.silent_until)
                == (group.standing, &group.taken, group.silent_until)
                && group.since.since(before.since) <= TOGETHER
        });
        if !goes_on {
            flush(&mut together, &mut joined);
        }
        together.push(group);
    }
    flush(&mut together, &mut joined);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, subject: &str, minute: i64) -> TroubleRow {
        TroubleRow {
            id,
            kind: TroubleKind::OutOfContact,
            what: String::new(),
            subject: subject.to_owned(),
            detail: String::new(),
            since: Wall(minute * 60_000_000),
            ended: None,
            taken: None,
            silent_until: None,
        }
    }

    /// Boxes `a1` and `a2` stand in village `a` and so on; all villages lie in `xa`.
    fn check(rows: Vec<TroubleRow>, maintained: &[&str], expected: &[(&str, Standing, &str)]) {
        let names: Vec<GroupId> = ["a", "b", "c", "d"].map(|name| name.parse().unwrap()).into();
        let boxes: Vec<String> =
            names.iter().flat_map(|name| (1..=3).map(move |n| format!("{name}{n}"))).collect();
        let villages = boxes.iter().enumerate().map(|(n, id)| (id.as_str(), &names[n / 3])).collect();
        let parents = names.iter().map(|name| (name.clone(), "xa".parse().unwrap())).collect();
        let maintained = maintained.iter().copied().collect();
        let found = together(rows, &Ground { villages, maintained, parents }, Wall(1_000 * 60_000_000));
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.place.as_ref().map_or("-", |place| place.as_str()), it.standing, it.ids()))
            .collect();
        let found: Vec<_> =
            found.iter().map(|(place, standing, ids)| (*place, *standing, ids.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn boxes_of_a_village_that_fall_silent_together_are_one_alarm() {
        use Standing::*;
        check(vec![row(1, "a1", 10), row(2, "a2", 12)], &[], &[("a", Waits, "1,2")]);
        check(vec![row(1, "a1", 10), row(2, "a2", 40)], &[], &[("a", Waits, "1"), ("a", Waits, "2")]);
        check(vec![row(1, "a1", 10), row(2, "b1", 10)], &[], &[("a", Waits, "1"), ("b", Waits, "2")]);
        check(
            vec![row(1, "a1", 10), row(2, "a2", 10)],
            &["a2"],
            &[("a", Waits, "1"), ("a", Maintained, "2")],
        );
        let mut taken = row(2, "a2", 10);
        taken.taken = Some(("an".parse().unwrap(), Wall(0)));
        check(vec![row(1, "a1", 10), taken], &[], &[("a", Waits, "1"), ("a", Taken, "2")]);
        let silent = TroubleRow { silent_until: Some(Wall(2_000 * 60_000_000)), ..row(1, "a1", 10) };
        check(vec![silent], &[], &[("a", Silent, "1")]);
        let loud_again = TroubleRow { silent_until: Some(Wall(500 * 60_000_000)), ..row(1, "a1", 10) };
        check(vec![loud_again], &[], &[("a", Waits, "1")]);
    }

    #[test]
    fn a_power_cut_is_one_alarm() {
        let rows =
            vec![row(1, "a1", 10), row(2, "b1", 11), row(3, "c1", 12), row(4, "c2", 13), row(5, "d1", 90)];
        check(rows, &[], &[("xa", Standing::Waits, "1,2,3,4"), ("d", Standing::Waits, "5")]);
    }

    #[test]
    fn strangers_stay_apart() {
        let alarm = |id, subject| TroubleRow { kind: TroubleKind::Security, ..row(id, subject, 10) };
        check(
            vec![alarm(1, "203.0.113.7"), alarm(2, "203.0.113.8")],
            &[],
            &[("-", Standing::Waits, "1"), ("-", Standing::Waits, "2")],
        );
    }
}
