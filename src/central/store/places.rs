//! Places as staff describe them: names, households and coordinates of villages, where boxes stand and who looks after
//! them, sections and campaigns. Which groups there are stands in the configuration.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, BoxId, CampaignId, GroupId, SectionId};
use loaxa_heart::domain::time::Wall;

/// A point on the map, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub latitude: f64,
    pub longitude: f64,
}

/// A group as staff describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRow {
    pub group: GroupId,
    /// A name in place of the configuration's.
    pub title: Option<String>,
    pub households: Option<u32>,
    pub point: Option<Point>,
}

/// The site of a box, as staff describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRow {
    pub id: BoxId,
    pub point: Option<Point>,
    pub maintenance: Option<Maintenance>,
}

/// Work on a box; nobody is told of its troubles until it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    pub by: AccountId,
    pub note: String,
    pub until: Wall,
}

/// A section that notices and programmes belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionRow {
    pub id: SectionId,
    pub title: String,
}

/// A campaign with the person who answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignRow {
    pub id: CampaignId,
    pub title: String,
    pub from: NaiveDate,
    pub until: NaiveDate,
    pub responsible: String,
}

/// Places, sections and campaigns. Every change carries the act that the audit trail keeps with it.
pub trait Places: Send + Sync {
    /// Lists what staff say of groups.
    fn places(&self) -> Answer<'_, Vec<PlaceRow>>;

    /// Keeps what staff say of a group.
    fn set_place(&self, place: PlaceRow, act: NewAct) -> Answer<'_, ()>;

    /// Lists groups that became part of others, each with the one that it is now.
    fn merged(&self) -> Answer<'_, BTreeMap<GroupId, GroupId>>;

    /// Keeps that a group became part of another, with those that became part of it before. False where the other is
    /// part of a third itself.
    fn merge(&self, old: GroupId, becomes: GroupId, act: NewAct) -> Answer<'_, bool>;

    /// Keeps that a group stands for itself again; false where it did.
    fn part(&self, old: GroupId, act: NewAct) -> Answer<'_, bool>;

    /// Lists what staff say of boxes.
    fn sites(&self) -> Answer<'_, Vec<SiteRow>>;

    /// Keeps where a box stands.
    fn set_point(&self, id: BoxId, point: Option<Point>, act: NewAct) -> Answer<'_, ()>;

    /// Keeps that somebody works on a box, or that the work is over.
    fn set_maintenance(&self, id: BoxId, work: Option<Maintenance>, act: NewAct) -> Answer<'_, ()>;

    /// Lists sections by title.
    fn sections(&self) -> Answer<'_, Vec<SectionRow>>;

    /// Keeps a section under its id.
    fn set_section(&self, section: SectionRow, act: NewAct) -> Answer<'_, ()>;

    /// Lists campaigns, those that begin last first.
    fn campaigns(&self) -> Answer<'_, Vec<CampaignRow>>;

    /// Keeps a campaign under its id.
    fn set_campaign(&self, campaign: CampaignRow, act: NewAct) -> Answer<'_, ()>;
}
