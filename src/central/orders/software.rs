//! Releases of the program for boxes: taken in, ordered wave by wave, paused, and stopped where too many boxes fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::documents::{self, TRIES_MAX};
use super::refused::{Refused, known_groups};
use crate::app::App;
use crate::changes::Changed;
use crate::duties::Duty;
use crate::media::Incoming;
use crate::people::Who;
use crate::store::{Actor, BoxRow, NewAct, RolloutPlan, RolloutRow, RolloutStage, RolloutState, StoreError};
use loaxa_heart::decide::delivery::{Document, DocumentName};
use loaxa_heart::decide::rollout::{self, Fate, Next, Seen};
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{ContentHash, GroupId};
use loaxa_heart::domain::software::{self, Build, CHANNEL, Hours, Release, Software};
use loaxa_heart::wire::codec::{self, SOFTWARE_BYTES_MAX};
use loaxa_heart::wire::messages::{Body, Command};

/// Time between two looks at a rollout.
const EVERY: Duration = Duration::from_secs(5);

/// Most waves of a rollout.
const WAVES_MAX: usize = 32;

/// Failures that stop a rollout, where nobody chose a number.
const FAILURES_MAX: u32 = 2;

/// A release as staff publish it; its programs were taken in before.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseAsked {
    pub release: Release,
    #[serde(default)]
    pub channel: Option<String>,
    /// By architecture.
    pub builds: BTreeMap<String, ContentHash>,
    /// The groups of each wave, the first first.
    pub waves: Vec<Vec<GroupId>>,
    #[serde(default)]
    pub window: Option<Hours>,
    #[serde(default)]
    pub failures_max: Option<u32>,
    #[serde(default)]
    pub allow_downgrade: bool,
    #[serde(default)]
    pub retry: bool,
    #[serde(default)]
    pub author: Option<String>,
}

/// A program that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    pub architecture: &'static str,
    pub build: Build,
}

/// Takes the program of a release in.
///
/// # Errors
/// Fails when it is no program of an architecture that is known, or the disk refuses. Nothing is left behind then.
pub fn take_in(app: &App, incoming: Incoming) -> Result<TakenIn, Refused> {
    let header = incoming.header()?;
    let architecture = software::architecture(&header).ok_or(Refused::NoProgram)?;
    let bytes = incoming.bytes();
    if bytes > SOFTWARE_BYTES_MAX {
        return Err(Refused::ProgramTooLarge { max: SOFTWARE_BYTES_MAX >> 20 });
    }
    let sha256 = app.media.finish_as_it_is(incoming)?;
    Ok(TakenIn { architecture, build: Build { sha256, bytes } })
}

/// Begins the rollout of a release, in the place of the one before.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was ordered then.
pub async fn publish(app: &App, asked: ReleaseAsked, actor: Actor) -> Result<RolloutRow, Refused> {
    if asked.waves.is_empty() || asked.waves.len() > WAVES_MAX || asked.builds.is_empty() {
        return Err(Refused::NoWaves { max: WAVES_MAX });
    }
    let mut builds = BTreeMap::new();
    for (architecture, sha256) in asked.builds {
        let build = build(app, &architecture, sha256)?;
        builds.insert(architecture, build);
    }
    asked.waves.iter().try_for_each(|wave| known_groups(app, wave))?;
    let all = groups_of(&asked.waves);
    app.keyring.signers(Power::Software, &all, app.now()).map_err(Refused::Authority)?;
    let plan = RolloutPlan {
        release: asked.release,
        channel: asked.channel.unwrap_or_else(|| CHANNEL.to_owned()),
        builds,
        waves: asked.waves,
        window: asked.window,
        failures_max: asked.failures_max.unwrap_or(FAILURES_MAX).max(1),
        allow_downgrade: asked.allow_downgrade,
        retry: asked.retry,
    };
    codec::check_software(&order_of(&plan, false)).map_err(Refused::Senseless)?;
    let release = plan.release.to_string();
    let act = act(app, actor, "rollout_begun", release, None);
    app.store.add_rollout(plan, asked.author.unwrap_or_default(), act).await?;
    look(app).await?;
    app.store.rollout().await?.ok_or(Refused::NoRollout)
}

/// Finds a program that was taken in, and checks that it is for this architecture.
fn build(app: &App, architecture: &str, sha256: ContentHash) -> Result<Build, Refused> {
    use std::io::Read;
    let missing = || Refused::NoSuchMedia(sha256.to_string());
    let file = std::fs::File::open(app.media.path(sha256)).map_err(|_| missing())?;
    let bytes = file.metadata().map_err(|_| missing())?.len();
    let mut header = Vec::new();
    file.take(crate::media::HEADER_BYTES).read_to_end(&mut header).map_err(|_| missing())?;
    match software::architecture(&header) {
        None => Err(Refused::NoProgram),
        Some(found) if found != architecture => {
            Err(Refused::OtherArchitecture { found, asked: architecture.to_owned() })
        }
        Some(_) => Ok(Build { sha256, bytes }),
    }
}

fn groups_of(waves: &[Vec<GroupId>]) -> Vec<GroupId> {
    let mut groups: Vec<_> = waves.iter().flatten().cloned().collect();
    groups.sort();
    groups.dedup();
    groups
}

fn act(app: &App, actor: Actor, act: &'static str, subject: String, after: Option<String>) -> NewAct {
    NewAct { at: app.now(), actor, act, subject, before: None, after, from: None }
}

/// A box of a rollout, in the first wave that names one of its groups.
#[derive(Debug, Clone)]
pub struct Place {
    pub row: BoxRow,
    pub wave: usize,
    pub fate: Fate,
    /// The word for the reason that the box told.
    pub why: Option<String>,
}

/// A rollout with what became of its boxes.
pub struct Standing {
    pub rollout: RolloutRow,
    pub places: Vec<Place>,
    seen: Vec<Vec<Seen>>,
}

/// Reads the newest rollout, and what became of each box.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn standing(app: &App) -> Result<Option<Standing>, StoreError> {
    let Some(rollout) = app.store.rollout().await? else { return Ok(None) };
    let mut told: BTreeMap<_, _> =
        app.store.upgrades().await?.into_iter().map(|row| (row.id, (row.told, row.since))).collect();
    let now = app.now();
    let mut seen = vec![Vec::new(); rollout.plan.waves.len()];
    let mut places = Vec::new();
    for row in app.store.boxes().await?.into_iter().filter(|row| row.key.is_some()) {
        let own = app.groups_of(&row.groups);
        let is_in = |wave: &Vec<GroupId>| wave.iter().any(|group| own.contains(group));
        let Some(wave) = rollout.plan.waves.iter().position(is_in) else { continue };
        let it = Seen { told: told.remove(&row.id), last_seen: row.last_seen };
        let fate = rollout::fate(&it, rollout.plan.release, now);
        let of_release = it.told.as_ref().filter(|(told, _)| told.release == rollout.plan.release);
        let why = of_release.and_then(|(told, _)| told.why.clone());
        seen[wave].push(it);
        places.push(Place { row, wave, fate, why });
    }
    Ok(Some(Standing { rollout, places, seen }))
}

/// Looks after rollouts for as long as central runs.
pub async fn run(app: Arc<App>) {
    loop {
        if app.has_duty(Duty::Rollouts)
            && let Err(error) = look(&app).await
        {
            tracing::error!(%error, "a rollout is not looked after");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Sends what a rollout still owes its boxes, and takes the next step of one that runs.
async fn look(app: &App) -> Result<(), Refused> {
    let Some(Standing { rollout, seen, .. }) = standing(app).await? else { return Ok(()) };
    let RolloutStage { state, ordered, forgiven } = rollout.stage;
    if state == RolloutState::Finished {
        return Ok(());
    }
    // Whoever moved it may have ended before the order went out.
    order(app).await?;
    if state != RolloutState::Runs {
        return Ok(());
    }
    let plan = &rollout.plan;
    let failures_max = plan.failures_max.saturating_add(forgiven);
    let (state, ordered) = match rollout::next(&seen, ordered as usize, plan.release, failures_max, app.now())
    {
        Next::Wait => return Ok(()),
        Next::Wave => (state, ordered + 1),
        Next::Stop { failed } => {
            tracing::error!(release = %plan.release, failed, "too many boxes failed: the rollout stops");
            (RolloutState::Stopped, ordered)
        }
        Next::Finish => (RolloutState::Finished, ordered),
    };
    let stopped = state == RolloutState::Stopped;
    let kept = stopped.then(|| act(app, Actor::Central, "rollout_stopped", plan.release.to_string(), None));
    go(app, &rollout, RolloutStage { state, ordered, forgiven }, kept).await
}

/// Moves a rollout from where it was seen, and then orders what follows; where somebody else moved it, nothing is done.
async fn go(app: &App, rollout: &RolloutRow, to: RolloutStage, act: Option<NewAct>) -> Result<(), Refused> {
    if app.store.move_rollout(rollout.id, rollout.stage, to, act).await? {
        order(app).await?;
    }
    app.changes.tell(Changed::Boxes);
    Ok(())
}

/// Orders the boxes of the waves that are due to run the release, or to wait with it, unless that is what was ordered last.
async fn order(app: &App) -> Result<(), Refused> {
    let mut tries = TRIES_MAX;
    loop {
        // Before the rollout is read: whoever moves it meanwhile orders after this, or this order is refused.
        let last = documents::newest_version(app, &DocumentName::Software).await?;
        let Some(rollout) = app.store.rollout().await? else { return Ok(()) };
        let RolloutRow { plan, stage, author, .. } = rollout;
        let groups = groups_of(&plan.waves[..(stage.ordered as usize).min(plan.waves.len())]);
        let waits = matches!(stage.state, RolloutState::Paused | RolloutState::Stopped);
        let due = Software { version: last + 1, ..order_of(&plan, waits) };
        if groups.is_empty() || is_ordered(app, last, &due, &groups).await? {
            return Ok(());
        }
        match documents::send_software(app, due, groups, author).await {
            Err(Refused::NotNewer { .. }) if tries > 1 => tries -= 1,
            done => return done.map(drop),
        }
    }
}

/// Tells whether the last order says what is due, to the same groups.
async fn is_ordered(app: &App, last: u32, due: &Software, groups: &[GroupId]) -> Result<bool, StoreError> {
    let documents = app.store.documents(app.now()).await?;
    let is_last = |it: &&Document| it.name == DocumentName::Software && it.version == last;
    let Some(document) = documents.iter().find(is_last) else { return Ok(false) };
    let Some(row) = app.store.command(document.command.clone()).await? else { return Ok(false) };
    let command: Option<Command> = codec::decode(row.payload.as_bytes()).ok();
    let Some(Body::Software(software)) = command.map(|command| command.body) else { return Ok(false) };
    let same_order = Software { version: due.version, ..software } == *due;
    Ok(same_order && row.groups == *groups)
}

/// The order of a rollout, without its number.
fn order_of(plan: &RolloutPlan, paused: bool) -> Software {
    Software {
        version: 0,
        release: plan.release,
        channel: plan.channel.clone(),
        builds: plan.builds.clone(),
        window: plan.window,
        allow_downgrade: plan.allow_downgrade,
        retry: plan.retry,
        paused,
    }
}

/// Pauses a rollout: boxes that have not restarted for it wait.
///
/// # Errors
/// Gives a sentence for the person who asked.
pub async fn pause(app: &App, who: &Who) -> Result<(), Refused> {
    let rollout = app.store.rollout().await?.ok_or(Refused::NoRollout)?;
    let stage = rollout.stage;
    if stage.state != RolloutState::Runs {
        return Ok(());
    }
    let to = RolloutStage { state: RolloutState::Paused, ..stage };
    let act = who.act("rollout_paused", rollout.plan.release.to_string());
    go(app, &rollout, to, Some(act)).await
}

/// Lets a rollout go on that was paused or stopped. The failures until now count no more; as many further ones stop it
/// again.
///
/// # Errors
/// Gives a sentence for the person who asked.
pub async fn go_on(app: &App, who: &Who) -> Result<(), Refused> {
    let Some(Standing { rollout, places, .. }) = standing(app).await? else {
        return Err(Refused::NoRollout);
    };
    let RolloutStage { state, ordered, .. } = rollout.stage;
    if !matches!(state, RolloutState::Paused | RolloutState::Stopped) {
        return Ok(());
    }
    let failed = places.iter().filter(|place| place.fate.is_failure()).count();
    let forgiven = u32::try_from(failed).unwrap_or(u32::MAX);
    let to = RolloutStage { state: RolloutState::Runs, ordered, forgiven };
    let act = who.act("rollout_goes_on", rollout.plan.release.to_string());
    go(app, &rollout, to, Some(act)).await
}

/// Orders the next wave to run the release, before the one under way has come through.
///
/// # Errors
/// Gives a sentence for the person who asked.
pub async fn hurry(app: &App, who: &Who) -> Result<(), Refused> {
    let rollout = app.store.rollout().await?.ok_or(Refused::NoRollout)?;
    let stage @ RolloutStage { state, ordered, .. } = rollout.stage;
    if state != RolloutState::Runs || ordered as usize >= rollout.plan.waves.len() {
        return Ok(());
    }
    let to = RolloutStage { ordered: ordered + 1, ..stage };
    let act = who.act("rollout_hurried", rollout.plan.release.to_string());
    go(app, &rollout, to, Some(act)).await
}

/// Finds the release whose rollout stopped, where the newest did.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn stopped(app: &App) -> Result<Option<Release>, StoreError> {
    let row = app.store.rollout().await?.filter(|row| row.stage.state == RolloutState::Stopped);
    Ok(row.map(|row| row.plan.release))
}
