//! Promises about rollouts.

use super::*;
use loaxa_heart::domain::software::{UpgradeStep, UpgradeTold};

fn plan(release: &str) -> RolloutPlan {
    RolloutPlan {
        release: release.parse().unwrap(),
        channel: "stable".to_owned(),
        builds: Default::default(),
        waves: vec![vec![GroupId::new("xa").unwrap()]],
        window: None,
        failures_max: 1,
        allow_downgrade: false,
        retry: false,
    }
}

fn act() -> NewAct {
    NewAct {
        at: NOW,
        actor: Actor::Console,
        act: "rollout_begun",
        subject: "1.1.0".to_owned(),
        before: None,
        after: None,
        from: None,
    }
}

pub(super) async fn only_the_newest_rollout_moves_and_from_where_it_was_seen(store: SharedStore) {
    let stage = |state, ordered| RolloutStage { state, ordered, forgiven: 0 };
    let fresh = stage(RolloutState::Runs, 0);
    let one = store.add_rollout(plan("1.1.0"), "An".to_owned(), act()).await.unwrap();
    let next = stage(RolloutState::Runs, 1);
    assert!(store.move_rollout(one, fresh, next, None).await.unwrap());
    assert!(!store.move_rollout(one, fresh, next, None).await.unwrap());
    let row = store.rollout().await.unwrap().unwrap();
    assert_eq!((row.plan, row.stage, row.author), (plan("1.1.0"), next, "An".to_owned()));
    let two = store.add_rollout(plan("1.2.0"), "An".to_owned(), act()).await.unwrap();
    assert!(!store.move_rollout(one, next, stage(RolloutState::Paused, 1), Some(act())).await.unwrap());
    assert!(store.move_rollout(two, fresh, stage(RolloutState::Stopped, 0), Some(act())).await.unwrap());
    assert_eq!(store.acts(ActFilter { limit: 9, ..ActFilter::default() }).await.unwrap().len(), 3);
}

pub(super) async fn an_upgrade_is_told_since_it_was_first_said(store: SharedStore) {
    let told = |step| UpgradeTold { version: 1, release: "1.1.0".parse().unwrap(), step, why: None };
    let id = BoxId::new("loa-1").unwrap();
    let note = |step, s| store.note_upgrade(id.clone(), told(step), NOW.plus(Span::secs(s)));
    assert!(note(UpgradeStep::Waiting, 1).await.unwrap());
    assert!(!note(UpgradeStep::Waiting, 2).await.unwrap());
    let rows = store.upgrades().await.unwrap();
    assert_eq!((rows[0].told.step, rows[0].since), (UpgradeStep::Waiting, NOW.plus(Span::secs(1))));
    assert!(note(UpgradeStep::Done, 3).await.unwrap());
    assert_eq!(store.upgrades().await.unwrap()[0].since, NOW.plus(Span::secs(3)));
}
