//! The disk of a running box fills up, turns read-only or rots: the emergency sounds, the log says what happened.
//!
//! The state directory is a small file system in memory, which takes root to mount; without it the tests of full and
//! read-only disks say so and are left out.
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, announce, beep, enrol};
use crate::support::eventually;
use crate::support::unit::Unit;
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::playback::{DeliveryStep, Event, PlayOutcome};

const BEEP_HZ: f64 = 1_200.0;
const BEEP_S: f64 = 1.0;
/// Room for the store, and little more.
const STATE_BYTES: &str = "4m";

/// A small disk for the box's state; it is unmounted with the test.
struct Disk(PathBuf);

impl Disk {
    fn mount(unit: &Unit) -> Option<Self> {
        let place = unit.path("state");
        std::fs::create_dir_all(&place).unwrap();
        let size = format!("size={STATE_BYTES}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "loaxa-test"]).arg(&place).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(place));
        }
        eprintln!("left out: no disk can be mounted without root");
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(status.success(), "{how}");
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for bytes in [65_536, 4_096, 512, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A broker and a central that the box obeys.
fn commune(unit: &mut Unit) -> (Mosquitto, ScriptedCentral) {
    let (broker, keys) = (Mosquitto::start(), Keys::new());
    enrol(unit, &keys, broker.port());
    let central = ScriptedCentral::start(keys, &broker);
    (broker, central)
}

fn push_emergency(central: &mut ScriptedCentral, id: &str) {
    let siren = Some(beep(BEEP_HZ as f32, (BEEP_S * 1_000.0) as u32));
    let command = central.command(id, announce(BulletinClass::Emergency, None, None, siren));
    let envelope = central.keys.sealed_by_both(&command);
    central.say(&envelope);
}

/// Waits until so many beeps have sounded in full.
fn await_beeps(unit: &Unit, count: usize) {
    eventually("the emergency in the recording", || {
        let beeps = unit.recording().stretches(&[BEEP_HZ]);
        (beeps.len() == count && beeps.iter().all(|beep| (beep.seconds() - BEEP_S).abs() < 0.05))
            .then_some(())
    });
}

fn finished(event: &Event, id: &str) -> Option<()> {
    matches!(event, Event::Delivery { command, step: DeliveryStep::Finished } if command.as_str() == id)
        .then_some(())
}

fn has_fault(unit: &Unit, fault: &str, there: bool) {
    eventually("the fault in the status", || {
        unit.status().filter(|status| status.faults.iter().any(|named| named == fault) == there)
    });
}

#[test]
fn a_full_disk_silences_no_emergency() {
    let mut unit = Unit::new();
    let Some(disk) = Disk::mount(&unit) else { return };
    let (_broker, mut central) = commune(&mut unit);
    let running = unit.start();
    central.await_box(&unit);
    push_emergency(&mut central, "c1");
    await_beeps(&unit, 1);
    unit.await_event("the first emergency", |event| finished(event, "c1"));

    disk.fill();
    push_emergency(&mut central, "c2");
    await_beeps(&unit, 2);
    has_fault(&unit, "disk", true);
    disk.empty();
    has_fault(&unit, "disk", false);
    // What could not be written while the disk was full was kept in memory, and is written now.
    unit.await_event("the second emergency", |event| finished(event, "c2"));
    let outcomes: Vec<_> = unit.ended().into_iter().map(|end| end.outcome).collect();
    assert_eq!(outcomes, [PlayOutcome::Finished, PlayOutcome::Finished]);
    push_emergency(&mut central, "c3");
    await_beeps(&unit, 3);
    assert!(running.terminate().success());
}

/// A restart with a file system that the kernel mounted read-only because of its errors, as a test can play it.
#[test]
fn a_read_only_disk_silences_no_emergency() {
    let mut unit = Unit::new();
    let Some(disk) = Disk::mount(&unit) else { return };
    let (_broker, mut central) = commune(&mut unit);
    let running = unit.start();
    central.await_box(&unit);
    push_emergency(&mut central, "c1");
    unit.await_event("the first emergency", |event| finished(event, "c1"));
    assert!(running.terminate().success());

    let (epoch, _) = unit.records();
    disk.remount("ro");
    let said_hello = central.heard.lock().unwrap().hellos.len();
    let running = unit.start();
    eventually("a hello", || (central.heard.lock().unwrap().hellos.len() > said_hello).then_some(()));
    push_emergency(&mut central, "c2");
    await_beeps(&unit, 1);
    // The log of these minutes lives in memory only, as an epoch of its own, and still comes home.
    eventually("the play in central's log", || {
        let heard = central.heard.lock().unwrap();
        let ends = |body: &String| body.contains("\"play_ended\"") && body.contains("\"c2\"");
        heard.log.iter().find(|((of, _), body)| *of != epoch && ends(body)).map(|_| ())
    });
    running.kill();
}

/// A store that rotted while the box was off: it is kept, a new one begins, and the log says so.
fn check_rot(rot: impl Fn(&mut Vec<u8>)) {
    let mut unit = Unit::new();
    let (_broker, mut central) = commune(&mut unit);
    let running = unit.start();
    central.await_box(&unit);
    push_emergency(&mut central, "c1");
    unit.await_event("the first emergency", |event| finished(event, "c1"));
    assert!(running.terminate().success());
    let (epoch, _) = unit.records();
    let path = unit.path("state/box.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    rot(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();

    let running = unit.start();
    let kept_as = unit.await_event("a new store", |event| match event {
        Event::StoreReplaced { kept_as } => Some(kept_as.clone()),
        _ => None,
    });
    assert_ne!(unit.records().0, epoch, "the new store is an epoch of its own");
    assert_eq!(std::fs::read(unit.path("state").join(kept_as)).unwrap(), bytes);
    central.await_box(&unit);
    push_emergency(&mut central, "c2");
    unit.await_event("an emergency after the rot", |event| finished(event, "c2"));
    assert!(running.terminate().success());
}

#[test]
fn a_truncated_store_is_kept_and_the_box_goes_on() {
    check_rot(|bytes| bytes.truncate(bytes.len() / 2));
}

#[test]
fn a_store_with_a_flipped_bit_is_kept_and_the_box_goes_on() {
    // In the page that says where the tables lie.
    check_rot(|bytes| bytes[100] ^= 0b100);
}

/// Mounts everything but the data partition read-only, as `docs/operations.md` has it for boxes that nobody visits.
const READ_ONLY_ROOT: &str = "
    mount --make-rprivate /
    mount --bind state state
    mount -o remount,bind,ro /
    if touch outside 2>/dev/null; then echo 'the root can be written' >&2; exit 1; fi
    exec \"$@\"";

#[test]
fn with_a_read_only_root_and_one_data_partition_it_plays_logs_and_comes_back() {
    let may = std::process::Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine gives tests no mounts of their own");
        return;
    }
    let mut unit = Unit::new();
    unit.output = format!("wav:{}", unit.path("state/out.wav").display());
    let (_broker, mut central) = commune(&mut unit);
    // Its keys are made while the root can still be written, as by the enrolment.
    let running = unit.start();
    central.await_box(&unit);
    running.terminate();
    let greeted = |central: &ScriptedCentral, before: usize| {
        eventually("a hello", || (central.heard.lock().unwrap().hellos.len() > before).then_some(()));
    };
    let hellos = |central: &ScriptedCentral| central.heard.lock().unwrap().hellos.len();
    let before = hellos(&central);
    let running = unit.start_behind(READ_ONLY_ROOT);
    greeted(&central, before);
    push_emergency(&mut central, "c1");
    unit.await_event("the emergency", |event| finished(event, "c1"));
    let (epoch, _) = unit.records();
    running.kill();

    let before = hellos(&central);
    let running = unit.start_behind(READ_ONLY_ROOT);
    greeted(&central, before);
    push_emergency(&mut central, "c2");
    unit.await_event("the emergency after a power cut", |event| finished(event, "c2"));
    assert_eq!(unit.records().0, epoch, "the store is the same");
    assert!(running.terminate().success());
    assert!(unit.path("state/out.wav").metadata().unwrap().len() > 44);
}
