//! Days as they were planned and as they turned out, and the reports that follow from both.

mod anchor;
mod csv;
mod decree;
mod docx;
mod grid;
mod keep;
mod monthly;
mod period;
mod places;
mod pruning;
mod report;
mod settle;
mod voices;
mod xlsx;

pub use anchor::keep_anchors;
pub use csv::{csv, defused};
pub use decree::{Decree, decree};
pub use docx::docx;
pub use grid::{Cell, Grid, grids};
pub use keep::{run, settle};
pub use monthly::make_monthly;
pub use period::{BadPeriod, Period, period_of};
pub use places::below;
pub use pruning::{due, prune, prune_once};
pub use report::{Report, number, percent, report};
pub use xlsx::xlsx;
