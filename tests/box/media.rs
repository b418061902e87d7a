//! Audio on its way to the box: what the month's data allows, and what comes on a stick.
use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, announce, enrol};
use crate::support::eventually;
use crate::support::listen::write_tone;
use crate::support::unit::Unit;
use loaxa_heart::domain::announcement::{BulletinClass, Media};
use loaxa_heart::domain::playback::{DeliveryStep, Event};
use loaxa_heart::wire::messages::Body;

/// A file of two megabytes that central has; each tone is another.
fn offer(central: &ScriptedCentral, unit: &Unit, hz: f64) -> Media {
    let path = unit.path(&format!("tone-{hz}.wav"));
    write_tone(&path, hz, 21.0);
    central.offer(&path, 21_000)
}

fn is_here(unit: &Unit, media: &Media) -> bool {
    let name = media.sha256.to_string();
    unit.path("state/media").join(&name[..2]).join(&name).exists()
}

#[test]
fn the_budget_of_the_month_holds_back_all_but_the_urgent_and_is_remembered() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    unit.link.push_str("\n[media]\nmonth_mb_max = 3\n");
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let say = |id: &str, class, media: &Media, central: &mut ScriptedCentral| {
        let command = central.command(id, announce(class, Some(media.clone()), None, None));
        assert!(matches!(command.body, Body::Announce { .. }));
        let envelope = central.keys.sealed_by_both(&command);
        central.say(&envelope);
    };
    let within = offer(&central, &unit, 500.0);
    say("c1", BulletinClass::Normal, &within, &mut central);
    eventually("the audio within the budget", || is_here(&unit, &within).then_some(()));
    let beyond = offer(&central, &unit, 600.0);
    say("c2", BulletinClass::Normal, &beyond, &mut central);
    let status = eventually("the box to say that it waits", || {
        unit.status().filter(|status| status.faults.iter().any(|fault| fault == "data_budget"))
    });
    assert_eq!(status.media_month_bytes_max, Some(3_000_000));
    assert_eq!((status.media_month_bytes, status.media_waiting), (within.bytes, 1));
    running.terminate();

    let running = unit.start();
    central.await_box(&unit);
    let urgent = offer(&central, &unit, 700.0);
    say("c3", BulletinClass::Priority, &urgent, &mut central);
    eventually("the urgent audio", || is_here(&unit, &urgent).then_some(()));
    unit.await_event("an entry that says so", |event| {
        matches!(event, Event::DataBudgetExceeded { .. }).then_some(())
    });
    let both = within.bytes + urgent.bytes;
    eventually("both to be counted, over the restart", || {
        unit.status().filter(|status| status.media_month_bytes == both)
    });
    assert!(!is_here(&unit, &beyond));

    // The installer brings on a stick what the network may not.
    let stick = unit.path("stick");
    std::fs::create_dir_all(stick.join("am-thanh")).unwrap();
    std::fs::copy(unit.path("tone-600.wav"), stick.join("am-thanh/ban-tin.wav")).unwrap();
    std::fs::write(stick.join("phim.mp4"), b"nobody asked for it").unwrap();
    let next = central.command("c4", announce(BulletinClass::Normal, None, Some("Họp thôn."), None));
    std::fs::write(stick.join("hop-thon.dsse.json"), central.keys.sealed_by_both(&next)).unwrap();
    std::fs::write(stick.join("gia.dsse.json"), b"{}").unwrap();
    let output = unit
        .command(&["box", "import", "stick", "--lang", "vi"])
        .stdout(std::process::Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // One of them was refused.
    assert!(!output.status.success(), "{said}");
    for line in [
        "am-thanh/ban-tin.wav: đã nhập",
        "phim.mp4: bỏ qua",
        "hop-thon.dsse.json: đã nhận",
        "gia.dsse.json: bị từ chối",
    ] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    for id in ["c2", "c4"] {
        let wanted = if id == "c2" { DeliveryStep::Staged } else { DeliveryStep::Received };
        unit.await_event("what the stick brought", |event| {
            matches!(event, Event::Delivery { command, step } if command.as_str() == id && *step == wanted)
                .then_some(())
        });
    }
    assert!(is_here(&unit, &beyond));
    running.terminate();
}

#[test]
fn a_stick_with_a_manifest_is_taken_as_it_says_and_no_damaged_file() {
    let unit = Unit::new();
    let stick = unit.path("stick");
    std::fs::create_dir_all(&stick).unwrap();
    write_tone(&stick.join("a.wav"), 500.0, 1.0);
    write_tone(&stick.join("b.wav"), 600.0, 1.0);
    let hash =
        |name: &str| loaxa_heart::domain::ids::ContentHash::of(&std::fs::read(stick.join(name)).unwrap());
    let (a, b) = (hash("a.wav"), hash("b.wav"));
    std::fs::write(stick.join("SHA256SUMS"), format!("{a}  a.wav\n{b} *b.wav\n{a}  ../out.wav\n")).unwrap();
    let mut damaged = std::fs::read(stick.join("b.wav")).unwrap();
    damaged[5_000] ^= 1;
    std::fs::write(stick.join("b.wav"), damaged).unwrap();
    let running = unit.start();
    eventually("the box", || unit.status());
    let import = || {
        let mut command = unit.command(&["box", "import", "stick", "--lang", "vi"]);
        let output = command.stdout(std::process::Stdio::piped()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (success, said) = import();
    assert!(!success && said.contains("a.wav: đã nhập") && said.contains("b.wav: hỏng"), "{said}");
    assert!(import().1.contains("a.wav: đã có"));
    running.terminate();
    assert_eq!(std::fs::read_dir(unit.path("state/media/partial")).unwrap().count(), 0);
}
