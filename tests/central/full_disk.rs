//! The disk of the centre is full: stops and emergencies go out, the reason stands everywhere, and all goes on when there
//! is room again.
//!
//! The folder of the centre is a small file system in memory, which takes root to mount; without it the tests say so and are
//! left out.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::Role;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command as Order};
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::json;

/// Room for the database and the reserve, and little more than audio needs to be taken at all.
const DISK_BYTES: &str = "160m";
/// Stops in a row: more pages than any room that the database had left in its files.
const STOPS: usize = 60;

/// A small disk; it is unmounted with the test.
pub struct Disk(pub PathBuf);

impl Disk {
    fn mount(place: &Path) -> Option<Self> {
        Self::mount_of(place, DISK_BYTES)
    }

    /// A disk of another size, as `mount` takes it.
    pub fn mount_of(place: &Path, bytes: &str) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "loaxa-test"]).arg(place).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(place.to_owned()));
        }
        eprintln!("left out: no disk can be mounted without root");
        None
    }

    /// Takes all free room away.
    pub fn shrink(&self) {
        // What is written at the same moment may not fit any more.
        crate::support::eventually("the disk shrinks", || {
            let disk = nix::sys::statvfs::statvfs(&self.0).unwrap();
            let used = (disk.blocks() - disk.blocks_free()) * disk.fragment_size();
            let size = format!("remount,size={used}");
            let done = Command::new("mount").args(["-o", &size]).arg(&self.0).status();
            done.is_ok_and(|status| status.success()).then_some(())
        });
    }

    /// Writes until nothing more fits but these bytes.
    fn fill(&self, but_bytes: usize) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for bytes in [1 << 20, 65_536, 4_096, 512, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
        let length = file.metadata().unwrap().len();
        file.set_len(length - but_bytes as u64).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn has_reserve(&self) -> bool {
        self.0.join("reserve").exists()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Reads an order that came by its groups, signed.
fn order(topic: &Topic, bytes: &[u8]) -> Option<Order> {
    matches!(topic, Topic::Group(_)).then(|| codec::open::<Order>(bytes, &known_keys).unwrap().payload)
}

async fn stop(central: &Central, loa: &mut ScriptedBox) -> u64 {
    let answer = post(central, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let stopped = loa.next("the stop", |topic, bytes| {
        order(topic, bytes).filter(|order| matches!(order.body, Body::Cancel { of: None }))
    });
    stopped.await.serial
}

async fn is_healed(central: &Central) {
    until("the disk is well again", async || {
        (get(central, "/healthz", &[]).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_centre_silences_no_emergency_and_keeps_no_stop_back() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("central")) else { return };
    let central = start(settings(&disk.0, embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Technician, "xa")]).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    assert!(disk.has_reserve());
    assert_eq!(get(&central, "/healthz", &[]).await.text(), "ok\n");

    disk.fill(0);
    let mut serials = BTreeSet::new();
    for _ in 0..STOPS {
        serials.insert(stop(&central, &mut loa).await);
    }
    assert_eq!(serials.len(), STOPS);
    assert!(!disk.has_reserve(), "the room of the reserve is what the stops are written into");
    let emergency = json!({ "to": ["xa"], "class": "emergency", "text": "Vỡ đê, hãy lên chỗ cao." });
    let answer = announce(&central, &emergency, None).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let announced = |topic: &Topic, bytes: &[u8]| {
        order(topic, bytes).filter(|order| matches!(order.body, Body::Announce { .. }))
    };
    let announced = loa.next("the emergency", announced).await;

    // What can wait is refused, with the true reason everywhere.
    let normal = json!({ "to": ["xa"], "class": "normal", "text": "Mời bà con đi tiêm phòng." });
    assert_eq!(announce(&central, &normal, None).await.status, 507);
    let health = get(&central, "/healthz", &[]).await;
    assert_eq!(health.status, 503);
    assert!(
        health.text().contains("the centre is full") && health.text().contains("Đĩa của trung tâm đã đầy")
    );
    let status = get_api(&central, "/api/v1/status").await.json();
    assert!(status["disk"]["vi"].as_str().unwrap().contains("Đĩa của trung tâm đã đầy"));
    assert!(lan.get(&central, "/").await.text().contains("Đĩa của trung tâm đã đầy"));
    until("the alarm", async || {
        lan.get(&central, "/canh-bao").await.text().contains("đĩa của trung tâm đã đầy").then_some(())
    })
    .await;
    loa.append(Event::BoxStopped);
    loa.say(Up::Log, loa.batch(1, 1));
    until("the batch is put off", async || {
        let status = get_api(&central, "/api/v1/status").await.json();
        (status["since_start"]["batches_put_off"].as_u64() > Some(0)).then_some(())
    })
    .await;

    disk.empty();
    is_healed(&central).await;
    until("the reserve is made again", async || disk.has_reserve().then_some(())).await;
    assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
    assert_eq!(announce(&central, &normal, None).await.status, 201);
    let path = format!("/api/v1/announcements/{}", announced.id);
    assert_eq!(get_api(&central, &path).await.status, 200);
    assert!(!lan.get(&central, "/").await.text().contains("Đĩa của trung tâm đã đầy"));
    central.stop().await;
}

/// Nothing can be kept at all: there never was room for a reserve.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_something_goes_out_where_nothing_can_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("central")) else { return };
    disk.fill(2 << 20);
    let central = start(settings(&disk.0, embedded())).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    assert!(!disk.has_reserve());
    let mut more = std::fs::File::create(disk.0.join("more")).unwrap();
    for bytes in [65_536, 4_096, 512, 1] {
        while more.write_all(&vec![1; bytes]).is_ok() {}
    }
    let mut serials = Vec::new();
    for _ in 0..STOPS {
        serials.push(stop(&central, &mut loa).await);
    }
    assert_eq!(get(&central, "/healthz", &[]).await.status, 503);
    assert!(kept(&disk.0).len() < STOPS, "the disk refused");

    std::fs::remove_file(disk.0.join("more")).unwrap();
    disk.empty();
    is_healed(&central).await;
    serials.push(stop(&central, &mut loa).await);
    serials.sort_unstable();
    // None is lost and none is given twice.
    assert_eq!(serials, (1..=STOPS as u64 + 1).collect::<Vec<_>>());
    until("all are kept", async || (kept(&disk.0) == serials).then_some(())).await;
    central.stop().await;
}

/// The serials of the orders that are kept, by rising number.
fn kept(folder: &Path) -> Vec<u64> {
    let db = rusqlite::Connection::open(folder.join("central.db")).unwrap();
    let mut query = db.prepare("SELECT serial FROM commands ORDER BY serial").unwrap();
    query.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(|serial| serial.unwrap() as u64).collect()
}
