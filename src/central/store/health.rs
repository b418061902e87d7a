//! Health: what each box said of itself, hour by hour.

use super::answer::Answer;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::messages::Usage;

/// Length of a sample.
pub const SAMPLE: Span = Span::secs(3_600);
/// Time for which samples are kept: 90 days, 2,160 of each box.
pub const SAMPLES_KEPT: Span = Span::secs(90 * 86_400);

/// An hour of a box's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRow {
    /// Begin of the hour.
    pub hour: Wall,
    /// Signs of life that came; a box that is well gives 60.
    pub signs: u32,
    /// Signs that came while its clock could not be trusted.
    pub without_clock: u32,
    /// Signs that named a fault.
    pub faulty: u32,
    /// Most entries of its log that waited.
    pub backlog_max: u64,
    /// The last version of its program that was known.
    pub software: Option<String>,
    /// Room on its disk and audio of the month, as it said last in this hour.
    pub usage: Option<Usage>,
}

/// The hours of all boxes; heartbeats and hellos write them.
pub trait Health: Send + Sync {
    /// Lists the hours of a box since `from` in which it gave signs of life, oldest first.
    fn health(&self, id: BoxId, from: Wall) -> Answer<'_, Vec<HealthRow>>;

    /// Deletes the hours of these boxes before and after these times: old ones, and those of a clock that was far ahead.
    fn forget_health(&self, boxes: Vec<BoxId>, before: Wall, after: Wall) -> Answer<'_, ()>;
}
