//! Prepared messages: their audio is on the box before an emergency names it.
use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, announce, enrol};
use crate::support::eventually;
use crate::support::listen::write_tone;
use crate::support::unit::{Unit, box_id};
use loaxa_adapters::slots::this_architecture;
use loaxa_heart::domain::announcement::{BulletinClass, Media, PreparedItem};
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::playback::{CommandRefusal, DeliveryStep, Event};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::software::{Build, Software};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Heartbeat, TrustMessage};
use loaxa_heart::wire::topics::Down;

const TONE_HZ: f64 = 1_300.0;

fn item(id: &str, media: &Media) -> PreparedItem {
    PreparedItem {
        id: id.parse().unwrap(),
        title: format!("Tin {id}"),
        language: "vi".to_owned(),
        media: media.clone(),
        siren: None,
    }
}

fn prepared(version: u32, items: &[(&str, &Media)]) -> Body {
    Body::Prepared { version, items: items.iter().map(|(id, media)| item(id, media)).collect() }
}

fn is_here(unit: &Unit, media: &Media) -> bool {
    let name = media.sha256.to_string();
    unit.path("state/media").join(&name[..2]).join(&name).exists()
}

fn offer(central: &ScriptedCentral, unit: &Unit, hz: f64) -> Media {
    let path = unit.path(&format!("tone-{hz}.wav"));
    write_tone(&path, hz, 1.5);
    central.offer(&path, 1_500)
}

/// The list of the box, as an installer beside it sees it.
fn listed(unit: &Unit) -> String {
    let mut command = unit.command(&["box", "prepared", "list", "--lang", "vi"]);
    let output = command.stdout(std::process::Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn await_adopted(unit: &Unit, name: &str, wanted: u32) {
    unit.await_event(name, |event| match event {
        Event::Adopted { what, version } if what == name && *version == wanted => Some(()),
        _ => None,
    });
}

fn await_refused(unit: &Unit, id: &str, expected: impl Fn(&CommandRefusal) -> bool) {
    unit.await_event(id, |event| match event {
        Event::CommandRefused { command: Some(command), reason } if command.as_str() == id => {
            assert!(expected(reason), "{reason:?}");
            Some(())
        }
        _ => None,
    });
}

/// Waits until the box has said that it holds this version with so many messages missing.
fn await_told(central: &ScriptedCentral, version: u32, missing: u32) {
    let told = |heartbeat: &Heartbeat| {
        heartbeat
            .holds
            .as_ref()
            .is_some_and(|holds| (holds.prepared, holds.prepared_missing) == (version, missing))
    };
    eventually("a heartbeat that tells", || {
        central.heard(|heard| heard.heartbeats.iter().any(told)).then_some(())
    });
}

#[test]
fn an_emergency_sounds_from_the_staged_file_when_the_media_server_is_gone() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    // Room for 20 MB, half of it for what is prepared.
    unit.link.push_str("\n[media]\ndisk_mb_max = 20\nnight = \"any\"\n");
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let (flood, storm) = (offer(&central, &unit, TONE_HZ), offer(&central, &unit, 700.0));
    let too_large = Media { bytes: 11_000_000, ..offer(&central, &unit, 800.0) };
    let list = [("qua-to", &too_large), ("lu", &flood), ("bao", &storm)];
    let command = central.command("p1", prepared(3, &list));
    central.say(&central.keys.sealed_by_both(&command));
    await_adopted(&unit, "prepared", 3);
    eventually("the prepared audio", || (is_here(&unit, &flood) && is_here(&unit, &storm)).then_some(()));
    await_told(&central, 3, 1);
    let said = listed(&unit);
    assert!(said.contains("lu: Tin lu (vi, 2 giây) đã có trong máy"), "{said}");
    assert!(said.contains("qua-to: Tin qua-to (vi, 2 giây) chưa tải xong"), "{said}");

    // It stays over a restart, and makes no room for what fills the rest of the disk.
    running.terminate();
    let running = unit.start();
    eventually("the next hello", || {
        let hello = central.heard(|heard| heard.hellos.get(1).cloned())?;
        (hello.holds.prepared == 3 && hello.holds.prepared_missing == 1).then_some(())
    });
    let path = unit.path("large.wav");
    write_tone(&path, 900.0, 207.5);
    let large = central.offer(&path, 207_500);
    let daily = central.command("c1", announce(BulletinClass::Priority, Some(large.clone()), None, None));
    central.say(&central.keys.sealed_by_both(&daily));
    eventually("the large audio", || is_here(&unit, &large).then_some(()));
    assert!(is_here(&unit, &flood) && is_here(&unit, &storm));

    central.withdraw_audio();
    let cancel = central.command("c2", Body::Cancel { of: Some("c1".parse().unwrap()) });
    central.say(&central.keys.sealed_by_both(&cancel));
    let command = central.command("c3", announce(BulletinClass::Emergency, Some(flood.clone()), None, None));
    central.say(&central.keys.sealed_by_both(&command));
    unit.await_event("the emergency", |event| {
        matches!(event, Event::Delivery { command, step: DeliveryStep::Finished } if command.as_str() == "c3")
            .then_some(())
    });
    let played: Vec<_> = unit.started().into_iter().filter_map(|start| start.content).collect();
    assert_eq!(played.last(), Some(&flood.sha256));
    running.terminate();
    let stretches = unit.recording().stretches(&[TONE_HZ]);
    assert!(stretches.iter().any(|tone| (tone.seconds() - 1.5).abs() < 0.05), "{stretches:?}");
}

/// An order to run a release for a machine like this one; its program is nowhere.
fn software(version: u32) -> Body {
    let build = Build { sha256: ContentHash([7; 32]), bytes: 1_000 };
    Body::Software(Software {
        version,
        release: "99.0.0".parse().unwrap(),
        channel: "stable".to_owned(),
        builds: [(this_architecture().to_owned(), build)].into(),
        window: None,
        allow_downgrade: false,
        retry: false,
        paused: false,
    })
}

#[test]
fn no_number_of_a_village_keeps_away_what_the_commune_prepares_limits_and_groups() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    unit.groups = vec!["thon-1", "xa"];
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let media = offer(&central, &unit, TONE_HZ);
    let (duty, villager) = (central.keys.duty[0].clone(), central.keys.villager.clone());
    let of_village = |central: &mut ScriptedCentral, id: &str, body: Body| {
        let mut command: Command = central.command(id, body);
        (command.issuer, command.groups) = (villager.key_id(), vec!["thon-1".parse().unwrap()]);
        central.say_to_group("thon-1", &codec::seal(&command, &[&villager]));
    };
    let of_commune = |central: &mut ScriptedCentral, id: &str, body: Body| {
        let command = central.command(id, body);
        central.say(&codec::seal(&command, &[&duty]));
    };
    let policy = |version| Body::Policy(Policy { version, ..Policy::default() });
    let groups = |version, named: bool| Body::Groups {
        version,
        members: named
            .then(|| (box_id(), ["thon-1", "xa"].map(|group| group.parse().unwrap()).to_vec()))
            .into_iter()
            .collect(),
    };
    of_village(&mut central, "v1", policy(u32::MAX));
    await_adopted(&unit, "policy", u32::MAX);
    of_commune(&mut central, "c1", policy(4));
    await_adopted(&unit, "policy", 4);
    for (id, named, version) in [("a", true, 5), ("b", false, 6)] {
        of_village(&mut central, &format!("v2{id}"), groups(u32::MAX, named));
        await_adopted(&unit, "groups", u32::MAX);
        of_commune(&mut central, &format!("c2{id}"), groups(version, true));
        await_adopted(&unit, "groups", version);
    }
    of_village(&mut central, "v3", prepared(u32::MAX, &[("lang", &media)]));
    await_adopted(&unit, "prepared", u32::MAX);
    of_commune(&mut central, "c3", prepared(2, &[("xa", &media)]));
    await_adopted(&unit, "prepared", 2);
    // What the commune prepared is not the village's to replace.
    of_village(&mut central, "v4", prepared(3, &[]));
    await_refused(&unit, "v4", |reason| matches!(reason, CommandRefusal::NotAllowed { .. }));
    of_commune(&mut central, "c5", prepared(2, &[]));
    await_refused(&unit, "c5", |reason| *reason == CommandRefusal::Rollback { offered: 2, held: 2 });

    of_village(&mut central, "v5", software(u32::MAX));
    await_adopted(&unit, "software", u32::MAX);
    of_commune(&mut central, "c7", software(2));
    await_adopted(&unit, "software", 2);
    of_village(&mut central, "v7", software(3));
    await_refused(&unit, "v7", |reason| matches!(reason, CommandRefusal::NotAllowed { .. }));
    of_commune(&mut central, "c8", software(2));
    await_refused(&unit, "c8", |reason| *reason == CommandRefusal::Rollback { offered: 2, held: 2 });
    // Nobody launched this box, so it takes no release.
    let why = || unit.status()?.upgrade.and_then(|told| told.why);
    eventually("a refused release", || (why().as_deref() == Some("no_launcher")).then_some(()));

    // The order between them holds over a restart.
    running.kill();
    let running = unit.start();
    eventually("the box", || unit.status().filter(|status| status.connected));
    of_village(&mut central, "v6", prepared(4, &[]));
    await_refused(&unit, "v6", |reason| matches!(reason, CommandRefusal::NotAllowed { .. }));
    assert!(listed(&unit).starts_with("xa: Tin xa"), "{}", listed(&unit));
    of_village(&mut central, "v8", software(4));
    await_refused(&unit, "v8", |reason| matches!(reason, CommandRefusal::NotAllowed { .. }));

    // Who signed the list may not any more: nothing is prepared.
    let mut trust = central.keys.trust();
    trust.version = 2;
    trust.grants.iter_mut().for_each(|grant| {
        grant.powers.remove(&Power::Programme);
        grant.powers.remove(&Power::Software);
    });
    let trust = codec::seal(&TrustMessage { v: 1, trust }, &[&central.keys.root]);
    central.say_to_box(Down::Trust, &trust);
    eventually("an empty list", || {
        (listed(&unit).trim() == "cụm loa không giữ tin soạn sẵn nào").then_some(())
    });
    eventually("no order for a release", || unit.status()?.upgrade.is_none().then_some(()));
    drop(running);
}
