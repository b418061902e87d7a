//! The program's own upgrade: fetched like audio, staged beside the one that runs, and started by the launcher.

use std::thread::JoinHandle;

use crate::downloads::{Downloads, FetchAsked, PROGRAM};
use crate::settings::Launched;
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::slots::{self, SlotsDir, StageError};
use loaxa_heart::decide::downloads::Need;
use loaxa_heart::decide::slots::{Slots, Verdict, Version};
use loaxa_heart::decide::speaker::Rest;
use loaxa_heart::decide::upgrade::{self, Health, Judgement, Machine, Plan, Refusal, Scene};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::{ContentHash, KeyId};
use loaxa_heart::domain::software::{Build, Release, Software, UpgradeStep, UpgradeTold};
use loaxa_heart::domain::time::{Moment, Reading, Span, Wall};
use loaxa_heart::texts::Say;

/// Time between the word to central that the box restarts, and the restart.
const FAREWELL: Span = Span::secs(5);

/// Time between two requests for a program that does not come.
const ASK_EVERY: Span = Span::secs(60);

/// Time for which a program that finds no room, or a disk that refuses it, waits: each try writes it anew.
const ROOM_WAIT: Span = Span::secs(600);

/// Room that a staged program leaves on the disk for the log and for audio, in bytes.
const ROOM_LEFT: u64 = 32 * 1024 * 1024;

/// Word for a disk that is too full for the release.
const NO_ROOM: &str = "no_room";

/// The program on its way to another release.
pub struct Upgrade {
    dir: SlotsDir,
    slots: Slots,
    machine: Machine,
    installed: Release,
    /// The order in force, and the keys that signed it.
    order: Option<Software>,
    signers: Vec<KeyId>,
    began: Moment,
    /// Signs of health since the start.
    pub health: Health,
    work: Work,
    lacks_room: bool,
    /// The state of the upgrade, as central is to hear it.
    account: Option<UpgradeTold>,
    ask_at: Moment,
}

/// The work on the release that is ordered.
enum Work {
    Idle,
    /// The program is copied into its place.
    Staging(JoinHandle<Result<(), StageError>>, ContentHash),
    Staged(ContentHash),
    /// The file of this hash came, and can't be used.
    Spoilt(ContentHash, &'static str),
    /// Central was told; the box restarts at this moment.
    Leaving(ContentHash, Moment),
}

impl Upgrade {
    /// Finds out which program runs. `order` was in force before the restart.
    pub fn new(launched: Option<Launched>, channel: String, order: Option<(Software, Vec<KeyId>)>) -> Self {
        let is_launched = launched.is_some();
        let Launched { dir, sha256, installed } = launched.unwrap_or_else(Launched::by_nobody);
        let slots = dir.read();
        let running = sha256.and_then(|sha256| slots.in_use().find(|version| version.sha256 == sha256));
        let release = running.map_or_else(Release::of_this_program, |version| version.release);
        let architecture = slots::this_architecture().to_owned();
        let machine = Machine { architecture, channel, release, sha256, is_launched };
        let (order, signers) = order.unzip();
        Self {
            dir,
            slots,
            machine,
            installed,
            order,
            signers: signers.unwrap_or_default(),
            began: monotonic(),
            health: Health::default(),
            work: Work::Idle,
            lacks_room: false,
            account: None,
            ask_at: Moment(0),
        }
    }

    /// Returns the release that runs.
    pub fn release(&self) -> Release {
        self.machine.release
    }

    /// Returns the version of the order in force, 0 for none, and the keys that signed it.
    pub fn in_force(&self) -> (u32, &[KeyId]) {
        (self.order.as_ref().map_or(0, |order| order.version), &self.signers)
    }

    /// Puts another order in force.
    pub fn order(&mut self, order: Option<Software>, signers: Vec<KeyId>) {
        (self.order, self.signers) = (order, signers);
        self.ask_at = Moment(0);
        if matches!(self.work, Work::Leaving(..) | Work::Spoilt(..)) {
            self.work = Work::Idle;
        }
    }

    /// Returns the program that is fetched, which must not be evicted before it is staged.
    pub fn media_in_use(&self) -> Option<ContentHash> {
        self.build().map(|build| build.sha256).filter(|sha256| !self.is_staged(sha256))
    }

    /// Notes that a download is over, so that a program which came is staged at once.
    pub fn came(&mut self, sha256: &ContentHash) {
        if self.build().is_some_and(|build| build.sha256 == *sha256) && !self.lacks_room {
            self.ask_at = Moment(0);
        }
    }

    /// Tells central of the newest release that was ordered.
    pub fn told(&self) -> Option<UpgradeTold> {
        self.account.clone()
    }

    fn build(&self) -> Option<&Build> {
        self.order.as_ref()?.builds.get(&self.machine.architecture)
    }

    fn is_on_trial(&self) -> bool {
        let trial = self.slots.trial.as_ref().map(|trial| trial.version.sha256);
        trial.is_some() && trial == self.machine.sha256
    }

    fn is_staged(&self, sha256: &ContentHash) -> bool {
        matches!(&self.work, Work::Staged(staged) | Work::Leaving(staged, _) if staged == sha256)
    }

    /// Writes the slots; what the disk refuses stays as it was.
    fn change(&mut self, change: impl FnOnce(&mut Slots)) -> std::io::Result<()> {
        let mut slots = self.slots.clone();
        change(&mut slots);
        self.dir.write(&slots)?;
        self.slots = slots;
        Ok(())
    }

    /// Takes what came of staging, and begins it where the program has come.
    fn stage(&mut self, build: &Build, release: Release, downloads: &Downloads, now: Moment) {
        let sha256 = build.sha256;
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Staging(thread, of) if !thread.is_finished() => self.work = Work::Staging(thread, of),
            Work::Staging(thread, of) => {
                self.work = staged(thread, of);
                self.ask_at = now + ROOM_WAIT;
            }
            Work::Spoilt(of, why) if of == sha256 => self.work = Work::Spoilt(of, why),
            _ if self.ask_at > now => {}
            _ if downloads.has(&sha256) && !has_room(downloads, build) => {
                tracing::warn!(bytes = build.bytes, "a release finds no room on the disk");
                (self.ask_at, self.lacks_room) = (now + ROOM_WAIT, true);
            }
            _ if downloads.has(&sha256) => {
                self.lacks_room = false;
                let (dir, slots, version) =
                    (self.dir.clone(), self.slots.clone(), Version { release, sha256 });
                let from = downloads.path_of(&sha256);
                let run = move || {
                    dir.tidy(&slots, Some(&sha256))?;
                    if dir.is_whole(&version) { Ok(()) } else { dir.stage(&from, &version) }
                };
                match std::thread::Builder::new().name("staging".into()).spawn(run) {
                    Ok(thread) => self.work = Work::Staging(thread, sha256),
                    Err(error) => tracing::error!(%error, "no thread could be started to stage a release"),
                }
            }
            _ => {
                self.ask_at = now + ASK_EVERY;
                let path = sha256.to_string();
                let media = Media { sha256, bytes: build.bytes, codec: PROGRAM.to_owned(), ms: 0, path };
                if let FetchAsked::Refused(fault) = downloads.fetch(media, Wall::MAX, Need::Staged) {
                    tracing::warn!(%fault, "a release is not fetched");
                }
            }
        }
    }

    /// Describes the order in force and the last upgrade for central.
    fn describe(&self, plan: &Plan) -> Option<UpgradeTold> {
        let order = self.order.as_ref()?;
        let last = self.slots.last.as_ref().filter(|last| last.version.release == order.release);
        let spoilt = match &self.work {
            Work::Spoilt(_, why) => Some(*why),
            _ => None,
        };
        let (step, why) = match (plan, &self.work) {
            _ if self.is_on_trial() => (UpgradeStep::Trial, None),
            (Plan::Runs, _) => (UpgradeStep::Done, None),
            (Plan::PassOver, _) => return None,
            (Plan::Refuse(Refusal::FailedBefore), _) => {
                (UpgradeStep::Failed, last.map(|last| last.verdict.code()))
            }
            (Plan::Refuse(why), _) => (UpgradeStep::Refused, Some(why.code())),
            (Plan::Fetch(_), Work::Spoilt(..)) => (UpgradeStep::Refused, spoilt),
            (Plan::Fetch(_), _) => (UpgradeStep::Fetching, self.lacks_room.then_some(NO_ROOM)),
            (Plan::Wait { why, .. }, _) => (UpgradeStep::Waiting, Some(why.code())),
            (Plan::Apply(_), _) => (UpgradeStep::Applying, None),
        };
        let (version, release) = (order.version, order.release);
        Some(UpgradeTold { version, release, step, why: why.map(str::to_owned) })
    }

    /// Takes the next step of an upgrade; says whether the box is to restart now.
    pub fn step(&mut self, now: &Reading, rest: Rest, downloads: &Downloads) -> bool {
        if self.is_on_trial() {
            return self.judge_trial(now.mono);
        }
        let Some(order) = self.order.clone() else {
            self.account = None;
            return false;
        };
        let scene = Scene {
            order: &order,
            machine: &self.machine,
            last: self.slots.last.as_ref(),
            is_staged: self.build().is_some_and(|build| self.is_staged(&build.sha256)),
            is_on_trial: false,
            rest,
            now,
        };
        let plan = upgrade::plan(&scene);
        let mut leaves = false;
        match &plan {
            Plan::Fetch(build) => self.stage(build, order.release, downloads, now.mono),
            Plan::Apply(build) => leaves = self.leave(build, &order, now.mono),
            Plan::PassOver | Plan::Runs | Plan::Refuse(_) | Plan::Wait { .. } => {
                if let Work::Leaving(sha256, _) = self.work {
                    self.work = Work::Staged(sha256);
                }
            }
        }
        self.account = self.describe(&plan);
        leaves
    }

    /// Says farewell to central, and then puts the new program on trial.
    fn leave(&mut self, build: &Build, order: &Software, now: Moment) -> bool {
        let at = match self.work {
            Work::Leaving(_, at) => at,
            _ => {
                self.work = Work::Leaving(build.sha256, now + FAREWELL);
                return false;
            }
        };
        if now < at {
            return false;
        }
        let version = Version { release: order.release, sha256: build.sha256 };
        match self.change(|slots| slots.try_out(version, order.version)) {
            Ok(()) => {
                tracing::info!(release = %order.release, "the box restarts for a release");
                true
            }
            Err(error) => {
                tracing::error!(%error, "a release can't be put on trial");
                self.work = Work::Leaving(build.sha256, now + ROOM_WAIT);
                false
            }
        }
    }

    fn judge_trial(&mut self, now: Moment) -> bool {
        let installed = self.installed;
        self.account = self.describe(&Plan::PassOver);
        match upgrade::judge(now.since(self.began), self.health) {
            Judgement::Wait => false,
            Judgement::Keep => {
                match self.change(|slots| slots.keep(installed)) {
                    Ok(()) => {
                        slots::end_no_more();
                        tracing::info!(release = %self.release(), "the release is healthy and stays");
                    }
                    Err(error) => tracing::error!(%error, "a healthy release can't be noted"),
                }
                false
            }
            Judgement::GiveUp(verdict) => {
                tracing::error!(
                    verdict = verdict.code(),
                    "the release is not healthy; the old one comes back"
                );
                // Where the disk refuses, the launcher counts this start.
                let _ = self.change(|slots| slots.give_up(verdict));
                true
            }
        }
    }
}

/// Tells whether the disk takes a second copy of the program, and is not full then.
fn has_room(downloads: &Downloads, build: &Build) -> bool {
    downloads.free().is_none_or(|free| free >= build.bytes.saturating_add(ROOM_LEFT))
}

fn staged(thread: JoinHandle<Result<(), StageError>>, sha256: ContentHash) -> Work {
    match thread.join() {
        Ok(Ok(())) => Work::Staged(sha256),
        Ok(Err(error)) => {
            tracing::error!(%sha256, error = %error.say(), "a release can't be staged");
            match error {
                StageError::Architecture { .. } => Work::Spoilt(sha256, Refusal::Architecture.code()),
                StageError::Damaged => Work::Spoilt(sha256, Verdict::Damaged.code()),
                // Room may come back.
                StageError::Disk(_) => Work::Idle,
            }
        }
        Err(_) => Work::Idle,
    }
}
