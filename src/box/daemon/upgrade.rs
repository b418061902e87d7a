//! The daemon's part in an upgrade of its program: looks at the air, and tells central.

use super::Daemon;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::decide::upgrade;
use loaxa_heart::domain::software::UpgradeStep;

/// The box does not take the release that it was ordered to run.
const FAULT_REFUSED: &str = "software_refused";

/// The release that was tried last did not prove healthy.
const FAULT_FAILED: &str = "software_failed";

impl Daemon {
    /// Takes the next step of an upgrade; says whether the box is to restart now.
    pub(super) fn mind_upgrade(&mut self) -> bool {
        let now = self.clock.read();
        let health = &mut self.upgrade.health;
        (health.sound, health.disk) = (self.player.has_device(), !self.store.has_unwritten());
        let rest = self.speaker.rest(&now, upgrade::MARGIN);
        let before = self.upgrade.told();
        let leaves = self.upgrade.step(&now, rest, &self.downloads);
        let told = self.upgrade.told();
        let step = told.as_ref().map(|told| told.step);
        self.set_fault(FAULT_REFUSED, step == Some(UpgradeStep::Refused));
        self.set_fault(FAULT_FAILED, step == Some(UpgradeStep::Failed));
        if told != before {
            self.uplink.hurry_heartbeat(monotonic());
        }
        leaves
    }
}
