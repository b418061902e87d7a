//! The disk of the database server is full: emergencies and stops go out, the true reason stands everywhere, and all is kept
//! once, when there is room. The server's folder is a small file system in memory, which takes root to mount.
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::Role;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command as Order};
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::json;

/// Entries of a batch.
const BATCH: u64 = 200;

struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let place = tempfile::Builder::new().prefix("disk").tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256m,mode=0755", "loaxa-test"]).arg(place.path());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(place));
        }
        eprintln!("left out: no disk can be mounted without root");
        None
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        for bytes in [1 << 20, 65_536, 4_096, 512, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn titled(title: &'static str) -> impl Fn(&Topic, &[u8]) -> Option<()> {
    move |topic, bytes| {
        let order = matches!(topic, Topic::Group(_))
            .then(|| codec::open::<Order>(bytes, &known_keys).expect("signed by people").payload)?;
        let is_it = match order.body {
            Body::Announce { title: it, .. } => it == title,
            Body::Cancel { of: None } => title == "dừng",
            _ => false,
        };
        is_it.then_some(())
    }
}

async fn press(central: &Central, title: &str) -> Answer {
    let asked = json!({ "to": ["xa"], "title": title, "class": "emergency", "author": "An" });
    announce(central, &asked, Some(&tone())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_database_server_silences_no_emergency_and_loses_nothing() {
    let Some(disk) = Disk::mount() else { return };
    let cluster = Cluster::start_in(disk.path());
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let central =
        start(Settings { database: cluster.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let lan = Staff::make(&central, "lan", &[(Role::Duty, "xa")]).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    (0..40 * BATCH).for_each(|_| loa.append(Event::DeviceBack));
    assert_eq!(loa.upload(1, BATCH).await.contiguous_upto, BATCH);

    disk.fill();
    // What boxes tell fills the last pages.
    let mut kept = BATCH;
    let refused = async {
        loop {
            let batch = loa.batch(kept + 1, kept + BATCH);
            loa.say(Up::Log, batch);
            let acknowledged =
                tokio::time::timeout(std::time::Duration::from_secs(3), loa.next("an ack", ack)).await;
            match acknowledged {
                Ok(ack) => kept = ack.contiguous_upto,
                Err(_) => break,
            }
        }
    };
    refused.await;
    println!("{kept} entries fitted");
    assert!(kept < 39 * BATCH, "the disk is full");
    let health = get(&central, "/healthz", &[]).await;
    assert_eq!(health.status, 503);
    let reason = "Đĩa của máy chủ cơ sở dữ liệu đã đầy";
    assert!(health.text().contains(reason), "{}", health.text());
    let page = lan.get(&central, "/").await;
    assert!(page.status == 200 && page.text().contains(reason));
    for title in ["Vỡ đê", "Bão về"] {
        let sent = press(&central, title).await;
        assert_eq!(sent.status, 201, "{}", sent.text());
    }
    loa.next("the first", titled("Vỡ đê")).await;
    loa.next("the second", titled("Bão về")).await;
    let stopped = post(&central, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    loa.next("the stop", titled("dừng")).await;
    let everyday = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let everyday = announce(&central, &everyday, Some(&tone())).await;
    assert!(everyday.status == 507 && everyday.text().contains(reason), "{}", everyday.text());

    disk.empty();
    if !cluster.is_running() {
        cluster.start_again();
    }
    until("all is well", async || {
        let is_well = get(&central, "/healthz", &[]).await.status == 200 && !central.store().is_away();
        is_well.then_some(())
    })
    .await;
    while kept < 40 * BATCH {
        kept = loa.upload(kept + 1, kept + BATCH).await.contiguous_upto;
    }
    let count = "SELECT count(*), count(DISTINCT (box, epoch, seq)) FROM log WHERE box = 'loa-1'";
    assert_eq!(cluster.sql("xa", count), format!("{0}|{0}", 40 * BATCH));
    let orders =
        "SELECT count(*), count(DISTINCT serial) FROM commands WHERE class = 'emergency' OR kind = 'cancel'";
    assert_eq!(cluster.sql("xa", orders), "3|3");
    assert_eq!(cluster.sql("xa", "SELECT ended FROM commands WHERE title = 'Vỡ đê'"), "cancelled");
    central.stop().await;
}
