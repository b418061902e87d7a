//! The people of the simulated village, what they may, and the limits that they set.

use super::scenario::Signing;
use crate::domain::authority::{Grant, Power, Threshold, Trust};
use crate::domain::ids::{GroupId, KeyId};
use crate::domain::policy::{Policy, Window};
use crate::domain::time::{Span, Wall};
use crate::wire::messages::Command;

/// 2026-01-01T00:00 in Vietnam.
pub(super) const BEGIN: Wall = Wall(1_767_200_400_000_000);

/// The keys that sign, and the groups that are spoken to.
pub(super) fn hands(signing: Signing) -> (&'static [&'static str], &'static [&'static str]) {
    match signing {
        Signing::Proper => (&["an", "binh"], &["xa"]),
        Signing::OnePersonTwice => (&["an", "an-2"], &["xa"]),
        Signing::Neighbours => (&["giang", "hoa"], &["xa"]),
        Signing::Village => (&["giang", "hoa"], &["thon-1"]),
        Signing::VillageAndCommune => (&["giang", "hoa"], &["thon-1", "xa"]),
        Signing::Clerk => (&["dung"], &["xa"]),
        Signing::TooEarly => (&["lan", "binh"], &["xa"]),
    }
}

/// Says whether these people may order the command, by rules that are written down apart from the trust document.
pub(super) fn is_lawful(signing: Signing, command: &Command, now: Wall) -> bool {
    let is_emergency = command.power() == Power::Emergency;
    match signing {
        Signing::Proper | Signing::Village => true,
        Signing::OnePersonTwice | Signing::Clerk => !is_emergency,
        Signing::Neighbours | Signing::VillageAndCommune => false,
        // Binh may alone what takes one person. A box whose clock is ahead may take it a little earlier.
        Signing::TooEarly => !is_emergency || now >= LAN_FROM.minus(Span::secs(60 * 86_400)),
    }
}

/// Time from which the key of Lan counts.
const LAN_FROM: Wall = BEGIN.plus(Span::secs(90 * 86_400));

/// Keys of the people who sign in the simulation: key, person, group.
pub(super) const KEYS: [(&str, &str, &str); 7] = [
    ("an", "Nguyễn Văn An", "xa"),
    ("an-2", "NGUYỄN  VĂN AN", "xa"),
    ("binh", "Trần Thị Bình", "xa"),
    ("dung", "Lê Dũng", "xa"),
    ("giang", "Phạm Giang", "thon-1"),
    ("hoa", "Đỗ Hoa", "thon-1"),
    ("lan", "Vũ Lan", "xa"),
];

/// The trust document that the box holds at first.
pub(super) fn trust() -> Trust {
    use Power::{Cancel, Emergency, Exercise, Live, Normal, Policy, Priority, Test};
    let name = |text: &str| text.parse().expect("a plain name");
    let grant = |(key, holder, group): &(&str, &str, &str)| Grant {
        key: KeyId::new(*key).expect("a plain name"),
        public: String::new(),
        holder: (*holder).to_owned(),
        powers: [Normal, Priority, Exercise, Live, Policy, Test]
            .into_iter()
            .chain((*key != "dung").then_some([Emergency, Cancel]).into_iter().flatten())
            .collect(),
        groups: [GroupId::new(*group).expect("a plain name")].into(),
        level: if *group == "xa" { 1 } else { 2 },
        valid_from: (*key == "lan").then_some(LAN_FROM),
        account: None,
        valid_until: None,
    };
    Trust {
        version: 1,
        grants: KEYS.iter().map(grant).collect(),
        thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
        nesting: [(name("thon-1"), name("xa"))].into(),
    }
}

/// Limits that a commune may set.
pub(super) fn policy(number: u8) -> Policy {
    let usual = Policy::default();
    let at = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).expect("a time of day");
    let window = |from, until, days: &[chrono::Weekday]| Window {
        days: days.to_vec(),
        from: at(from),
        until: at(until),
    };
    match number {
        0 => usual,
        1 => Policy { day_minutes_max: 30, session_minutes_max: 12, ..usual },
        2 => Policy {
            rest_weekdays: vec![chrono::Weekday::Sun],
            rest_dates: (1..29)
                .filter_map(|day| chrono::NaiveDate::from_ymd_opt(2026, 1 + day % 12, day))
                .collect(),
            ..usual
        },
        3 => Policy {
            volume_day_percent_max: 80,
            volume_night_percent_max: 30,
            volume_zone_percent_max: 55,
            ..usual
        },
        _ => Policy {
            allowed: vec![
                window(5, 12, &[]),
                window(17, 21, &[chrono::Weekday::Mon, chrono::Weekday::Wed, chrono::Weekday::Fri]),
            ],
            ..usual
        },
    }
}
