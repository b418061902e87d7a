//! Quotas of the boxes for their logs: what one box sends too much waits on that box, and nothing of others waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Most in a minute: a month away from the network comes home in a few of them.
const MINUTE: Quota = Quota { window: Span::secs(60), bytes_max: 16 << 20, records_max: 20_000 };
/// Most in a day: two hundred times what a busy box writes.
const DAY: Quota = Quota { window: Span::secs(24 * 3_600), bytes_max: 128 << 20, records_max: 200_000 };
/// Batches of one box that wait at once; a box sends one, and the next when that is acknowledged.
const WAITING_MAX: u32 = 4;
/// Signs of life of one box in a minute.
const SIGNS_MAX: u64 = 240;
/// Boxes that are remembered, more than the broker lets in.
const BOXES_MAX: usize = 16_384;

struct Quota {
    window: Span,
    bytes_max: u64,
    records_max: u64,
}

/// The quota that a box has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Minute,
    Day,
    Waiting,
    Signs,
    Boxes,
}

impl Say for Over {
    fn say(&self) -> Sentence {
        let of_log = |quota: &Quota| {
            said!(
                "quota.log",
                bytes = quota.bytes_max,
                records = quota.records_max,
                s = quota.window.as_millis() / 1_000
            )
        };
        match self {
            Over::Minute => of_log(&MINUTE),
            Over::Day => of_log(&DAY),
            Over::Waiting => said!("quota.waiting", max = WAITING_MAX),
            Over::Signs => said!("quota.signs", max = SIGNS_MAX),
            Over::Boxes => said!("quota.boxes", max = BOXES_MAX),
        }
    }
}

/// The use that each box has made of its quotas.
#[derive(Default)]
pub struct LogQuotas(Mutex<BTreeMap<BoxId, Used>>);

#[derive(Default)]
struct Used {
    minute: Window,
    day: Window,
    signs: Window,
    waiting: u32,
}

#[derive(Default)]
struct Window {
    began: Option<Moment>,
    bytes: u64,
    count: u64,
}

impl Window {
    /// Begins anew where the last window is over.
    fn turn(&mut self, length: Span, now: Moment) {
        if self.began.is_none_or(|began| now.since(began) >= length) {
            *self = Self { began: Some(now), bytes: 0, count: 0 };
        }
    }

    fn is_full(&self, quota: &Quota, bytes: u64) -> bool {
        self.bytes.saturating_add(bytes) > quota.bytes_max || self.count >= quota.records_max
    }
}

/// A batch's place among those that wait, given back when it is dropped.
pub struct Place {
    quotas: Arc<LogQuotas>,
    id: BoxId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut boxes = self.quotas.lock();
        if let Some(used) = boxes.get_mut(&self.id) {
            used.waiting = used.waiting.saturating_sub(1);
        }
    }
}

impl LogQuotas {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<BoxId, Used>> {
        self.0.lock().expect("nothing panics while it holds the quotas")
    }

    /// Lets a batch of this size in to wait.
    ///
    /// # Errors
    /// Says which quota the box has used up; the box sends the batch again later.
    pub fn admit(self: &Arc<Self>, id: &BoxId, bytes: usize, now: Moment) -> Result<Place, Over> {
        let mut boxes = self.lock();
        let used = of_box(&mut boxes, id, now)?;
        let bytes = bytes as u64;
        if used.waiting >= WAITING_MAX {
            return Err(Over::Waiting);
        }
        if used.minute.is_full(&MINUTE, bytes) {
            return Err(Over::Minute);
        }
        if used.day.is_full(&DAY, bytes) {
            return Err(Over::Day);
        }
        used.minute.bytes += bytes;
        used.day.bytes += bytes;
        used.waiting += 1;
        Ok(Place { quotas: Arc::clone(self), id: id.clone() })
    }

    /// Counts the records of a batch that was let in.
    pub fn spend(&self, id: &BoxId, records: usize) {
        if let Some(used) = self.lock().get_mut(id) {
            used.minute.count += records as u64;
            used.day.count += records as u64;
        }
    }

    /// Counts a sign of life.
    ///
    /// # Errors
    /// Fails where the box has given too many.
    pub fn admit_sign(&self, id: &BoxId, now: Moment) -> Result<(), Over> {
        let mut boxes = self.lock();
        let used = of_box(&mut boxes, id, now)?;
        used.signs.count += 1;
        if used.signs.count > SIGNS_MAX { Err(Over::Signs) } else { Ok(()) }
    }
}

fn of_box<'b>(boxes: &'b mut BTreeMap<BoxId, Used>, id: &BoxId, now: Moment) -> Result<&'b mut Used, Over> {
    if boxes.len() >= BOXES_MAX && !boxes.contains_key(id) {
        let is_idle = |used: &Used| {
            used.waiting == 0 && used.day.began.is_none_or(|began| now.since(began) >= DAY.window)
        };
        boxes.retain(|_, used| !is_idle(used));
        if boxes.len() >= BOXES_MAX {
            return Err(Over::Boxes);
        }
    }
    let used = boxes.entry(id.clone()).or_default();
    used.minute.turn(MINUTE.window, now);
    used.signs.turn(MINUTE.window, now);
    used.day.turn(DAY.window, now);
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_that_floods_waits_and_others_do_not() {
        let quotas = Arc::new(LogQuotas::default());
        let (one, two): (BoxId, BoxId) = ("loa-1".parse().unwrap(), "loa-2".parse().unwrap());
        let at = |s| Moment(0) + Span::secs(s);
        let flood = |s: u64| {
            let let_in = (0..400).filter(|_| quotas.admit(&one, 100_000, at(s)).is_ok());
            let_in.count() as u64 * 100_000
        };
        assert_eq!(flood(0), MINUTE.bytes_max / 100_000 * 100_000);
        assert_eq!((flood(59), quotas.admit(&one, 100_000, at(59)).err()), (0, Some(Over::Minute)));
        assert!(quotas.admit(&two, 100_000, at(59)).is_ok());
        let in_a_day: u64 = (1..1_000).map(|minute| flood(minute * 60)).sum();
        assert!(
            in_a_day <= DAY.bytes_max && quotas.admit(&one, 1 << 20, at(70_000)).err() == Some(Over::Day)
        );
        assert!(quotas.admit(&one, 1 << 20, at(86_400)).is_ok());
    }

    #[test]
    fn entries_batches_at_once_and_signs_of_life_have_bounds() {
        let quotas = Arc::new(LogQuotas::default());
        let id: BoxId = "loa-1".parse().unwrap();
        let places: Vec<_> = (0..9).filter_map(|_| quotas.admit(&id, 1, Moment(0)).ok()).collect();
        assert_eq!((places.len(), quotas.admit(&id, 1, Moment(0)).err()), (4, Some(Over::Waiting)));
        drop(places);
        assert!(quotas.admit(&id, 1, Moment(0)).is_ok());
        quotas.spend(&id, MINUTE.records_max as usize);
        assert_eq!(quotas.admit(&id, 1, Moment(0)).err(), Some(Over::Minute));
        let signs = (0..1_000).filter(|_| quotas.admit_sign(&id, Moment(0)).is_ok()).count();
        assert_eq!(signs as u64, SIGNS_MAX);
        assert!(quotas.admit_sign(&id, Moment(0) + Span::secs(60)).is_ok());
    }
}
