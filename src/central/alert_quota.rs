//! Quotas for new alerts: a source that floods fills neither the disk nor the list, and keeps no other source's word away.

use std::collections::BTreeMap;
use std::sync::Mutex;

use loaxa_heart::decide::cap_intake::Voucher;
use loaxa_heart::domain::time::{Moment, Span};

/// Time for which new alerts are counted.
const WINDOW: Span = Span::secs(3_600);
/// Most new alerts of one voucher in it: the feed of a large country shows 2,000 at once.
pub const ALERTS_MAX: u32 = 4_000;
/// Most of their bytes; those that draw coasts as polygons have one megabyte.
pub const BYTES_MAX: usize = 64 << 20;
/// Vouchers that are remembered. There are as many as the settings name, and sets of signers.
const VOUCHERS_MAX: usize = 256;

/// The new alerts of each voucher.
#[derive(Default)]
pub struct AlertQuota(Mutex<BTreeMap<String, Used>>);

struct Used {
    since: Moment,
    alerts: u32,
    bytes: usize,
}

impl AlertQuota {
    /// Counts a new alert; `false` where its voucher has used up what it may bring. What staff hand in is never counted.
    pub fn take(&self, voucher: Option<&Voucher>, bytes: usize, now: Moment) -> bool {
        if voucher == Some(&Voucher::Staff) {
            return true;
        }
        let mut used = self.0.lock().expect("nothing panics while it holds the quotas");
        let name = format!("{voucher:?}");
        used.retain(|_, used| now.since(used.since) < WINDOW);
        if used.len() >= VOUCHERS_MAX && !used.contains_key(&name) {
            return false;
        }
        let own = used.entry(name).or_insert(Used { since: now, alerts: 0, bytes: 0 });
        if own.alerts >= ALERTS_MAX || own.bytes.saturating_add(bytes) > BYTES_MAX {
            return false;
        }
        own.alerts += 1;
        own.bytes += bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_voucher_leaves_room_for_the_others() {
        let (quota, now) = (AlertQuota::default(), Moment(1));
        let feed = |host: &str| Some(Voucher::Feed(host.to_owned()));
        let took = (0..ALERTS_MAX + 9).filter(|_| quota.take(feed("a").as_ref(), 1, now)).count();
        assert_eq!(took, ALERTS_MAX as usize);
        assert!(quota.take(feed("b").as_ref(), BYTES_MAX, now) && !quota.take(feed("b").as_ref(), 1, now));
        assert!(
            quota.take(Some(&Voucher::Token), 1, now) && quota.take(Some(&Voucher::Staff), usize::MAX, now)
        );
        assert!(quota.take(feed("a").as_ref(), 1, now + WINDOW));
        let many = |n: usize| quota.take(feed(&n.to_string()).as_ref(), 1, now + WINDOW);
        assert!((0..2 * VOUCHERS_MAX).filter(|n| many(*n)).count() < VOUCHERS_MAX);
    }
}
