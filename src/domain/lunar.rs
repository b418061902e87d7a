//! The Vietnamese lunar calendar (UTC+7).

use serde::{Deserialize, Serialize};

/// A day of every lunar year, for instance the 15th of the 7th month; month 0 stands for every month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LunarDay {
    /// 1 to 12, or 0 for every month.
    pub month: u8,
    /// 1 to 30.
    pub day: u8,
}
