//! Rollouts of releases to boxes, and what boxes say of their upgrades.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::software::{Build, Hours, Release, UpgradeTold};
use loaxa_heart::domain::time::Wall;

/// A release on its way to the boxes, as staff asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPlan {
    pub release: Release,
    pub channel: String,
    /// By architecture.
    pub builds: BTreeMap<String, Build>,
    /// The groups of each wave.
    pub waves: Vec<Vec<GroupId>>,
    #[serde(default)]
    pub window: Option<Hours>,
    /// Failures that stop the rollout.
    pub failures_max: u32,
    #[serde(default)]
    pub allow_downgrade: bool,
    #[serde(default)]
    pub retry: bool,
}

/// The states of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    Runs,
    /// Somebody paused it.
    Paused,
    /// Too many boxes failed.
    Stopped,
    Finished,
}

impl RolloutState {
    /// The word in the database, in the API and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            RolloutState::Runs => "runs",
            RolloutState::Paused => "paused",
            RolloutState::Stopped => "stopped",
            RolloutState::Finished => "finished",
        }
    }
}

/// The state of a rollout, how many of its waves have the order, and the failures that no longer count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutStage {
    pub state: RolloutState,
    pub ordered: u32,
    /// Failures that somebody has looked at; they stop nothing any more.
    pub forgiven: u32,
}

/// A rollout as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRow {
    pub id: i64,
    pub begun: Wall,
    pub plan: RolloutPlan,
    pub stage: RolloutStage,
    pub author: String,
}

/// A box's account of its upgrade, and since when it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeRow {
    pub id: BoxId,
    pub told: UpgradeTold,
    pub since: Wall,
}

/// The rollouts; the newest is the one that counts.
pub trait Rollouts: Send + Sync {
    /// Begins a rollout in the place of the one before; none of its waves has the order.
    fn add_rollout(&self, plan: RolloutPlan, author: String, act: NewAct) -> Answer<'_, i64>;

    /// Reads the newest rollout.
    fn rollout(&self) -> Answer<'_, Option<RolloutRow>>;

    /// Brings a rollout from one stage to another; false where it is at another one by now.
    fn move_rollout(
        &self,
        id: i64,
        from: RolloutStage,
        to: RolloutStage,
        act: Option<NewAct>,
    ) -> Answer<'_, bool>;

    /// Remembers what a box says of its upgrade; says whether that is new.
    fn note_upgrade(&self, id: BoxId, told: UpgradeTold, at: Wall) -> Answer<'_, bool>;

    /// Lists what boxes said last of their upgrades, by box.
    fn upgrades(&self) -> Answer<'_, Vec<UpgradeRow>>;
}
