use crate::domain::{announcement::*, ids::*, playback::*, programme::*, sound::*, time::*};
use std::collections::BTreeSet;
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub groups: BTreeSet<GroupId>,
    pub languages: Vec<String>,
}
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub key: SlotKey,
    pub title: String,
    pub start: Wall,
    pub end: Wall,
    pub lateness: Lateness,
    pub start_within_s: Option<u32>,
    pub volume_percent: u8,
    pub fill: Fill,
    pub order: Order,
}
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub title: String,
    pub sound: Sound,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    pub language: String,
    pub gap: Span,
    pub gain_db: f32,
    pub interruption: Interruption,
    pub length: Option<Span>,
    pub item: Option<u32>,
}
pub struct Filled {
    pub pieces: Vec<Piece>,
    pub left_out: Vec<(String, NotPlayed)>,
}
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {}
impl Timetable {
    pub fn sessions_on(&self, _: chrono::NaiveDate, _: &Place) -> Vec<Session> {
        vec![]
    }
    pub fn fill(&self, _: &Session, _: &Place, _: u32) -> Filled {
        todo!()
    }
}
