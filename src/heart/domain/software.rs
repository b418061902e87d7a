//! Software: releases of the program on the box, the order that brings one, and what a box tells of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveTime};
use serde::{Deserialize, Serialize};

use super::ids::ContentHash;
use super::time::Wall;
use crate::said;
use crate::texts::{Say, Sentence};

/// The number of a release: three numbers with dots between them, compared from the left.
///
/// ```
/// use loaxa_heart::domain::software::Release;
/// let release = |text: &str| text.parse::<Release>().unwrap();
/// assert!(release("0.9.10") > release("0.9.9") && release("1.0.0") > release("0.99.0"));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Release(#[schemars(with = "String", regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+$"))] [u32; 3]);

/// A text that is no number of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct BadRelease(String);

impl Say for BadRelease {
    fn say(&self) -> Sentence {
        said!("detail.bad_release", text = self.0.escape_debug())
    }
}

impl FromStr for Release {
    type Err = BadRelease;
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let bad = || BadRelease(text.chars().take(32).collect());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<_> = text.split('.').collect();
        let [major, minor, patch] = parts[..] else { return Err(bad()) };
        let mut numbers = [0; 3];
        for (number, part) in numbers.iter_mut().zip([major, minor, patch]) {
            *number =
                Some(part).filter(|part| digits(part)).and_then(|it| it.parse().ok()).ok_or_else(bad)?;
        }
        Ok(Self(numbers))
    }
}

impl TryFrom<String> for Release {
    type Error = BadRelease;
    fn try_from(text: String) -> Result<Self, BadRelease> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> String {
        release.to_string()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Release {
    /// Returns the release that this program was built as.
    ///
    /// # Panics
    /// Never: the workspace's version is three numbers.
    pub fn of_this_program() -> Self {
        env!("CARGO_PKG_VERSION").parse().expect("the workspace's version is three numbers")
    }
}

/// The program of a release for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Build {
    pub sha256: ContentHash,
    pub bytes: u64,
}

/// Hours of a day in local time; they may reach over midnight. Where both ends are the same, all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hours {
    #[schemars(with = "String")]
    pub from: NaiveTime,
    /// Exclusive.
    #[schemars(with = "String")]
    pub until: NaiveTime,
}

impl Hours {
    /// Returns when these hours next begin; nothing where `now` lies within them.
    pub fn next_after(&self, now: Wall) -> Option<Wall> {
        let local = now.local();
        let (time, Self { from, until }) = (local.time(), *self);
        let within = match from.cmp(&until) {
            std::cmp::Ordering::Less => from <= time && time < until,
            std::cmp::Ordering::Greater => from <= time || time < until,
            std::cmp::Ordering::Equal => true,
        };
        let ahead = Days::new(u64::from(time >= from));
        (!within)
            .then(|| local.date().checked_add_days(ahead).unwrap_or(local.date()).and_time(from))
            .map(Wall::from_local)
    }
}

/// Returns the architecture of a program by its first bytes, as Debian names it; nothing where they begin no program.
///
/// The numbers are those of the ELF specification: `e_ident` opens the file, `e_machine` stands at byte 18.
pub fn architecture(header: &[u8]) -> Option<&'static str> {
    const LITTLE_ENDIAN: u8 = 1;
    if !header.starts_with(b"\x7fELF") || header.get(5) != Some(&LITTLE_ENDIAN) {
        return None;
    }
    match [*header.get(18)?, *header.get(19)?] {
        [62, 0] => Some("amd64"),
        [183, 0] => Some("arm64"),
        [40, 0] => Some("armhf"),
        [243, 0] => Some("riscv64"),
        _ => None,
    }
}

/// The name of the channel of releases that a box follows, where its settings say nothing.
pub const CHANNEL: &str = "stable";

/// The order that a box runs a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Software {
    /// Version of the document.
    pub version: u32,
    pub release: Release,
    /// Boxes that follow another channel pass the order over.
    pub channel: String,
    /// By architecture, as Debian names them: `amd64`, `arm64`, `armhf`.
    pub builds: BTreeMap<String, Build>,
    /// Hours in which a box may restart for it; at any hour where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Hours>,
    /// The release may be older than what runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_downgrade: bool,
    /// A box on which the same build failed under an earlier version of the document tries it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// Nothing is fetched and nobody restarts until another version of the document comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// The place of a box on its way to a release.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeStep {
    Fetching,
    /// The program is here, and waits for its hour.
    Waiting,
    /// The box is about to restart.
    Applying,
    /// The new program runs and has not proved healthy yet.
    Trial,
    /// The release runs.
    Done,
    /// The old program runs again.
    Failed,
    /// The box does not take the release.
    Refused,
    /// A word of a later version.
    #[serde(other)]
    Unknown,
}

impl UpgradeStep {
    /// All that a box says.
    pub const ALL: [UpgradeStep; 7] = [
        UpgradeStep::Fetching,
        UpgradeStep::Waiting,
        UpgradeStep::Applying,
        UpgradeStep::Trial,
        UpgradeStep::Done,
        UpgradeStep::Failed,
        UpgradeStep::Refused,
    ];

    /// Returns the step's word on the wire, in the database and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            UpgradeStep::Fetching => "fetching",
            UpgradeStep::Waiting => "waiting",
            UpgradeStep::Applying => "applying",
            UpgradeStep::Trial => "trial",
            UpgradeStep::Done => "done",
            UpgradeStep::Failed => "failed",
            UpgradeStep::Refused => "refused",
            UpgradeStep::Unknown => "unknown",
        }
    }
}

/// A box's account of the newest release that it was ordered to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UpgradeTold {
    /// Version of the document.
    pub version: u32,
    pub release: Release,
    pub step: UpgradeStep,
    /// Word for the reason, for instance `window`, `architecture`, `no_contact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_three_numbers() {
        let read = |text: &str| text.parse::<Release>().map(|it| it.to_string()).ok();
        assert_eq!(read("1.20.3"), Some("1.20.3".to_owned()));
        for bad in
            ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.-3", "1.2.+3", " 1.2.3", "1..3", "1.2.4294967296"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn hours_reach_over_midnight() {
        let at = |text: &str| Wall::from_local(format!("2026-11-26T{text}:00").parse().unwrap());
        let next = |from: &str, until: &str, now: &str| {
            let hours = Hours { from: from.parse().unwrap(), until: until.parse().unwrap() };
            hours.next_after(at(now)).map(|wall| wall.local().format("%d %H:%M").to_string())
        };
        let night = |now| next("23:00:00", "04:00:00", now);
        assert_eq!([night("23:00"), night("03:59"), night("00:00")], [None, None, None]);
        assert_eq!([night("04:00"), night("22:59")], [Some("26 23:00".into()), Some("26 23:00".into())]);
        let noon = |now| next("12:00:00", "13:00:00", now);
        assert_eq!(noon("12:59"), None);
        assert_eq!([noon("13:00"), noon("11:00")], [Some("27 12:00".into()), Some("26 12:00".into())]);
        assert_eq!(next("12:00:00", "12:00:00", "03:00"), None);
    }
}
