//! The life of one box in memory: its clock, its link, and the cuts of its network and its power.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::account::Account;
use super::memory_box::{MemoryBox, random};
use super::site::{Network, Release, Site, Supply};
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkError, LinkEvent};
use loaxa_adapters::uplink::Uplink;
use loaxa_heart::domain::ids::{Epoch, GroupId};
use loaxa_heart::wire::topics::{Topic, box_filters};

/// Messages that may wait to be sent by a box, and to be read: a fleet has many links and little to say.
const WAITING_MAX: u16 = 16;

/// Longest sleep: a heart that waits for nothing looks at its clock now and then.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Lives until the fleet is dropped.
pub async fn live(site: Site, network: Network, account: Arc<Account>, mut supply: watch::Receiver<Supply>) {
    let epoch = site.log.map_or_else(|| Epoch(random()), |(epoch, _)| epoch);
    let mut one = MemoryBox::new(site.clone(), epoch, account);
    let mut events = None;
    loop {
        let now = *supply.borrow_and_update();
        if now != Supply::Whole && events.take().is_some() {
            one.join(None);
        }
        if now == Supply::NoPower {
            if supply.wait_for(|supply| *supply != Supply::NoPower).await.is_err() {
                return;
            }
            one.restart();
            continue;
        }
        if now == Supply::Whole && events.is_none() {
            match connect(&site, &network, epoch, &one.groups()) {
                Ok((link, receiver)) => {
                    one.join(Some(link));
                    events = Some(receiver);
                }
                Err(error) => tracing::error!(%error, id = %site.id, "a box in memory can't connect"),
            }
        }
        let now = monotonic();
        let sleep = one.wakes().map_or(SLEEP_MAX, |at| Duration::from(at.since(now)).min(SLEEP_MAX));
        tokio::select! {
            changed = supply.changed() => if changed.is_err() { return },
            event = next(&mut events) => match event {
                Some(event) => one.on_link(event),
                None => events = None,
            },
            () = tokio::time::sleep(sleep) => one.on_time(),
        }
    }
}

pub fn connect(
    site: &Site,
    network: &Network,
    epoch: Epoch,
    groups: &[GroupId],
) -> Result<(Link, mpsc::Receiver<LinkEvent>), LinkError> {
    let mut config = LinkConfig::new(network.broker.clone(), site.id.as_str());
    config.ca = network.ca.clone();
    config.last_will = Some(Uplink::last_will(&site.id, epoch));
    config.subscriptions = match site.release {
        Release::Own => box_filters(&site.id, groups),
        Release::Older => {
            let groups = groups.iter().map(|group| Topic::Group(group.clone()).to_string());
            std::iter::once(format!("loaxa/v1/box/{}/down/+", site.id)).chain(groups).collect()
        }
    };
    config.seed = random();
    (config.reconnect_s_min, config.reconnect_s_max) = (0.5, 5.0);
    config.first_delay_s_max = network.come_within_s;
    (config.outgoing_max, config.incoming_max) = (WAITING_MAX, WAITING_MAX.into());
    Link::connect(config)
}

async fn next(events: &mut Option<mpsc::Receiver<LinkEvent>>) -> Option<LinkEvent> {
    match events {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
