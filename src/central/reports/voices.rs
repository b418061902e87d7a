//! The words of villagers in a report, as numbers: by village and by kind, and how they were answered.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::store::{FeedbackKind, FeedbackSum};

/// A line of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VoiceLine {
    /// A village, or a kind.
    pub id: String,
    /// The village's name; empty for a kind.
    pub title: String,
    #[serde(flatten)]
    pub count: VoiceCount,
}

/// Words counted; those that need an answer had it in time, had it late, or wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct VoiceCount {
    pub said: u64,
    pub asked: u64,
    pub in_time: u64,
    pub late: u64,
    pub waiting: u64,
}

/// The words of villagers in a period, as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Voices {
    pub total: VoiceCount,
    pub by_village: Vec<VoiceLine>,
    pub by_kind: Vec<VoiceLine>,
}

impl VoiceCount {
    fn add(&mut self, sum: &FeedbackSum) {
        self.said += sum.said;
        self.asked += sum.asked;
        self.in_time += sum.in_time;
        self.late += sum.late;
        self.waiting += sum.asked.saturating_sub(sum.in_time + sum.late);
    }
}

/// Adds up sums, the oldest first: of two names of a village the later one counts.
pub fn voices(sums: &[FeedbackSum]) -> Voices {
    let mut total = VoiceCount::default();
    let mut villages: BTreeMap<&str, VoiceLine> = BTreeMap::new();
    let mut kinds: BTreeMap<FeedbackKind, VoiceCount> = BTreeMap::new();
    for sum in sums {
        total.add(sum);
        let village = villages.entry(&sum.village).or_default();
        (village.id, village.title) = (sum.village.clone(), sum.title.clone());
        village.count.add(sum);
        kinds.entry(sum.kind).or_default().add(sum);
    }
    let mut by_village: Vec<_> = villages.into_values().collect();
    by_village.sort_by(|a, b| (&a.title, &a.id).cmp(&(&b.title, &b.id)));
    let of_kind = |kind: FeedbackKind| {
        let count = *kinds.get(&kind)?;
        Some(VoiceLine { id: kind.code().to_owned(), title: String::new(), count })
    };
    Voices { total, by_village, by_kind: FeedbackKind::ALL.into_iter().filter_map(of_kind).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_make_the_total_and_nothing_is_lost() {
        let sum = |village: &str, title: &str, kind, [said, asked, in_time, late]: [u64; 4]| FeedbackSum {
            village: village.to_owned(),
            title: title.to_owned(),
            kind,
            said,
            asked,
            in_time,
            late,
        };
        let found = voices(&[
            sum("dong", "Thôn Đông cũ", FeedbackKind::Clear, [4, 0, 0, 0]),
            sum("tay", "Thôn Tây", FeedbackKind::NotHeard, [3, 3, 1, 1]),
            sum("dong", "Thôn Đông", FeedbackKind::NotHeard, [2, 2, 2, 0]),
        ]);
        assert_eq!(found.total, VoiceCount { said: 9, asked: 5, in_time: 3, late: 1, waiting: 1 });
        for lines in [&found.by_village, &found.by_kind] {
            assert_eq!(lines.iter().map(|line| line.count.said).sum::<u64>(), 9);
            assert_eq!(lines.iter().map(|line| line.count.waiting).sum::<u64>(), 1);
        }
        let titles: Vec<_> = found.by_village.iter().map(|line| line.title.as_str()).collect();
        assert_eq!(titles, ["Thôn Tây", "Thôn Đông"]);
        assert_eq!(found.by_kind[0].id, "clear");
    }
}
