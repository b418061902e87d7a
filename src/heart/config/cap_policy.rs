//! `[cap]` of `central.toml`: which alerts are taken, what class they have, and where the groups live.

use crate::said;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cap::{Certainty, Named, Point, Severity, Urgency};
use super::fields::{Fields, Value};
use crate::domain::announcement::BulletinClass;
use crate::domain::ids::GroupId;

/// The commune's rules for alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct CapPolicy {
    /// Alerts of others are not taken; empty for anyone who may send at all.
    pub senders: Vec<String>,
    /// BCP 47; an alert is said in each of these that it has, in this order.
    pub languages: Vec<String>,
    /// Events by their exact name; they go before the two thresholds.
    pub events: Vec<(String, BulletinClass)>,
    /// At least so grave is an emergency.
    pub emergency: Threshold,
    /// At least so grave is a priority bulletin; all else is a normal one.
    pub priority: Threshold,
    pub places: Vec<Place>,
}

/// The least gravity of an alert; all three must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    pub severity: Severity,
    pub urgency: Urgency,
    pub certainty: Certainty,
}

/// The place where a group lives.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub group: GroupId,
    pub at: Option<Point>,
    /// For instance `DVHC` and the number of the commune.
    pub codes: Vec<Named>,
}

const CLASSES: [(&str, BulletinClass); 3] = [
    ("normal", BulletinClass::Normal),
    ("priority", BulletinClass::Priority),
    ("emergency", BulletinClass::Emergency),
];

/// `[cap]` as it was written, without the token that its file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct CapConfig {
    pub policy: CapPolicy,
    /// Alerts go out without a person where the keys on the server may sign them; else they are drafts.
    pub straight_to_air: bool,
    pub feed: Option<FeedConfig>,
    /// Only what one of these certificates signed is an alert; without any, whoever has the token may send.
    pub certificates: Vec<PathBuf>,
    /// Holds a token that may send alerts and nothing else.
    pub token_file: Option<PathBuf>,
}

/// `[cap.feed]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedConfig {
    pub url: url::Url,
    /// The only certificates that its server is believed by; needed where it is not this machine.
    pub ca: Option<PathBuf>,
    pub minutes: u16,
}

/// Reads `[cap]`; `known` are the groups that there are.
pub(super) fn read(
    mut fields: Fields<'_>,
    paths: &super::box_file::Paths<'_>,
    known: &BTreeSet<GroupId>,
) -> Option<CapConfig> {
    let token_file = fields.get("token_file").map(|value| paths.existing(&value));
    let certificates = fields
        .get("certificates")
        .map_or(Some(Vec::new()), |value| value.list().iter().map(|value| paths.existing(value)).collect());
    let mode = fields
        .get("on_arrival")
        .map_or(Some(false), |value| value.choice(&[("draft", false), ("straight_to_air", true)]));
    let senders = texts(fields.get("senders"));
    let languages = fields.get("languages").map(|value| value.list());
    let languages = languages.map_or(Some(vec!["vi".to_owned()]), |values| {
        values.iter().map(super::sound_fields::language).collect()
    });
    let grave = (Severity::Severe, Urgency::Expected, Certainty::Likely);
    let emergency = threshold(fields.section("emergency"), grave);
    let priority =
        threshold(fields.section("priority"), (Severity::Moderate, Urgency::Future, Certainty::Possible));
    let events: Option<Vec<_>> = fields.tables("event").into_iter().map(event).collect();
    let places: Option<Vec<_>> =
        fields.tables("place").into_iter().map(|place| self::place(place, known)).collect();
    let feed = fields.get("feed").map(|value| feed(value.table()?, paths));
    fields.finish();
    let policy = CapPolicy {
        senders: senders?,
        languages: languages?,
        events: events?,
        emergency: emergency?,
        priority: priority?,
        places: places?,
    };
    Some(CapConfig {
        policy,
        straight_to_air: mode?,
        certificates: certificates?,
        feed: super::box_file::absent_or(feed)?,
        token_file: super::box_file::absent_or(token_file)?,
    })
}

fn feed(mut fields: Fields<'_>, paths: &super::box_file::Paths<'_>) -> Option<FeedConfig> {
    let value = fields.need("url");
    let url: Option<url::Url> = value.as_ref().and_then(|value| value.parse());
    let ca = fields.get("ca").map(|value| paths.existing(&value));
    let minutes = fields.get("minutes").map_or(Some(5), |value| value.integer(1..=1_440));
    fields.finish();
    let (url, ca) = (url?, super::box_file::absent_or(ca)?);
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    let is_pinned = url.scheme() == "https" && ca.is_some();
    if !(is_pinned || url.scheme() == "http" && is_here) {
        value?.problem(said!("problem.feed_unproved"));
    }
    Some(FeedConfig { url, ca, minutes: minutes? })
}

fn texts(value: Option<Value<'_>>) -> Option<Vec<String>> {
    let values = value.map(|value| value.list()).unwrap_or_default();
    values.iter().map(|value| value.words().map(str::to_owned)).collect()
}

fn threshold(mut fields: Fields<'_>, usual: (Severity, Urgency, Certainty)) -> Option<Threshold> {
    let severity = fields.get("severity").map_or(Some(usual.0), |value| value.choice(Severity::ALL));
    let urgency = fields.get("urgency").map_or(Some(usual.1), |value| value.choice(Urgency::ALL));
    let certainty = fields.get("certainty").map_or(Some(usual.2), |value| value.choice(Certainty::ALL));
    fields.finish();
    Some(Threshold { severity: severity?, urgency: urgency?, certainty: certainty? })
}

fn event(mut fields: Fields<'_>) -> Option<(String, BulletinClass)> {
    let name = fields.need("name").and_then(|value| value.words());
    let class = fields.need("class").and_then(|value| value.choice(&CLASSES));
    fields.finish();
    Some((name?.to_owned(), class?))
}

fn place(mut fields: Fields<'_>, known: &BTreeSet<GroupId>) -> Option<Place> {
    let group_value = fields.need("group");
    let group: Option<GroupId> = group_value.as_ref().and_then(|value| value.parse());
    if let (Some(group), Some(value)) = (&group, &group_value)
        && !known.contains(group)
    {
        value.problem(said!("problem.no_group", group, remedy = said!("problem.add_group", group)));
    }
    let latitude = fields.get("latitude").map(|value| value.number(-90.0..=90.0));
    let longitude = fields.get("longitude").map(|value| value.number(-180.0..=180.0));
    let codes: Option<Vec<_>> = match fields.get("codes") {
        Some(value) => value.list().iter().map(code).collect(),
        None => Some(Vec::new()),
    };
    let at = match (latitude, longitude) {
        (Some(latitude), Some(longitude)) => Point::new(f64::from(latitude?), f64::from(longitude?)),
        (None, None) if codes.as_ref().is_none_or(|codes| !codes.is_empty()) => None,
        _ => {
            fields.problem(said!("problem.no_place"));
            None
        }
    };
    fields.finish();
    Some(Place { group: group?, at, codes: codes? })
}

/// `NAME=VALUE`, as an alert's `valueName` and `value`.
fn code(value: &Value<'_>) -> Option<Named> {
    let text = value.words()?;
    let Some((name, code)) = text.split_once('=') else {
        value.problem(said!("problem.no_code", text = text.escape_debug()));
        return None;
    };
    Some(Named { name: name.trim().to_owned(), value: code.trim().to_owned() })
}
