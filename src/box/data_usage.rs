//! Bytes of audio that came over the network in this month, kept over restarts.

use std::fs;
use std::path::PathBuf;

use loaxa_adapters::whole_file;
use loaxa_heart::decide::downloads::Month;

/// The count and its file: year, month, bytes, and whether the budget was exceeded, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFile {
    path: PathBuf,
    pub month: Month,
    pub bytes: u64,
    /// The heart was told in this month that the budget is exceeded.
    exceeded: bool,
    expected: u64,
}

impl UsageFile {
    /// Reads the count; one that can't be read begins anew.
    pub fn open(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().collect();
        let read = match words[..] {
            [year, month, bytes, exceeded] => (|| {
                let month = Month { year: year.parse().ok()?, month: month.parse().ok()? };
                Some((month, bytes.parse().ok()?, exceeded == "exceeded"))
            })(),
            _ => None,
        };
        let (month, bytes, exceeded) = read.unwrap_or((Month { year: 0, month: 1 }, 0, false));
        Self { path, month, bytes, exceeded, expected: 0 }
    }

    /// Begins `month`, unless it has begun. A clock that goes back gives no second budget.
    pub fn begin(&mut self, month: Month) {
        if month > self.month {
            (self.month, self.bytes, self.exceeded) = (month, 0, false);
            self.write();
        }
    }

    /// Counts bytes that are about to come.
    pub fn expect(&mut self, bytes: u64) {
        self.expected = bytes;
        self.bytes = self.bytes.saturating_add(bytes);
        self.write();
    }

    /// Counts how many came of the bytes that were expected.
    pub fn settle(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(self.expected).saturating_add(bytes);
        self.expected = 0;
        self.write();
    }

    /// Notes that the budget is exceeded, and tells whether that is news in this month.
    pub fn exceed(&mut self) -> bool {
        !std::mem::replace(&mut self.exceeded, true)
    }

    /// Writes the count down. A disk that refuses keeps no audio from coming; the count is then only in memory.
    fn write(&self) {
        let Month { year, month } = self.month;
        let exceeded = if self.exceeded { "exceeded" } else { "within" };
        let line = format!("{year} {month} {} {exceeded}\n", self.bytes);
        if let Err(error) = whole_file::write(&self.path, line.as_bytes(), 0o600) {
            tracing::warn!(%error, "the month's data can't be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_survives_a_power_cut_and_ends_with_its_month() {
        let dir = tempfile::TempDir::new().unwrap();
        let open = || UsageFile::open(dir.path().join("usage"));
        let month = |month| Month { year: 2026, month };
        let mut usage = open();
        usage.begin(month(11));
        usage.expect(1_000);
        // The power goes while it comes: counted as if all had come.
        assert_eq!((open().month, open().bytes), (month(11), 1_000));
        usage.settle(400);
        assert!(usage.exceed() && !usage.exceed());
        usage.expect(10);
        usage.settle(10);
        let mut again = open();
        assert_eq!(again.bytes, 410);
        assert!(!again.exceed());
        again.begin(month(10));
        assert_eq!(again.bytes, 410);
        again.begin(month(12));
        assert_eq!((open().month, open().bytes), (month(12), 0));
        std::fs::write(dir.path().join("usage"), "2026 x 7 within").unwrap();
        assert_eq!(open().bytes, 0);
    }
}
