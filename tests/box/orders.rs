//! The box and the orders that it gets over a real broker, from a central that keeps to a script.
use std::collections::BTreeSet;

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, announce, beep, enrol};
use crate::support::eventually;
use crate::support::listen::{Recording, Stretch, Sweep, write_tone};
use crate::support::unit::{Unit, box_id};
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::playback::{CommandRefusal, DeliveryStep, Event, PlayOutcome, SlotOutcome};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, MESSAGE_BYTES_MAX, TrustMessage};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::Down;

/// Largest difference, in seconds, between the place of an interruption and the place where the sound goes on.
const RESUMES_S: f64 = 0.050;

const BEEP_HZ: f64 = 1_200.0;

fn aired(event: &Event) -> Option<SlotOutcome> {
    match event {
        Event::SlotEnded { outcome, .. } => Some(outcome.clone()),
        _ => None,
    }
}

fn step_of(event: &Event, id: &str, wanted: &DeliveryStep) -> Option<()> {
    matches!(event, Event::Delivery { command, step } if command.as_str() == id && step == wanted)
        .then_some(())
}

/// Waits until so many seconds of a first play are in the recording.
fn await_sound(unit: &Unit, seconds: f64) {
    eventually("sound", || unit.recording().sounding(0.0).filter(|time| time.end - time.start > seconds));
}

/// A sweep is interrupted by an emergency and goes on from where it stopped.
fn check_emergency(broker: &impl Broker, staged: bool) {
    let mut unit = Unit::new();
    let sweep = Sweep { from_hz: 400.0, hz_per_second: 60.0, seconds: 9.0 };
    sweep.write(&unit.path("sweep.wav"));
    unit.slot(&["sweep.wav"], 24, "");
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, broker);
    let running = unit.start();
    central.await_box(&unit);
    let (media, opening, words) = if staged {
        write_tone(&unit.path("message.wav"), BEEP_HZ, 1.5);
        let media = central.offer(&unit.path("message.wav"), 1_500);
        // A test with the same audio brings it onto the box.
        let body = announce(BulletinClass::Normal, Some(media.clone()), None, None);
        let mut test = central.command("c0", body);
        if let Body::Announce { mode, .. } = &mut test.body {
            *mode = loaxa_heart::domain::announcement::Mode::Test;
        }
        central.say(&central.keys.sealed_by_both(&test));
        eventually("the audio on the box", || {
            let name = media.sha256.to_string();
            unit.path("state/media").join(&name[..2]).join(&name).exists().then_some(())
        });
        (Some(media), None, None)
    } else {
        (None, Some(beep(BEEP_HZ as f32, 1_000)), Some("Bão sắp đổ bộ."))
    };
    await_sound(&unit, 3.0);
    let command = central.command("c1", announce(BulletinClass::Emergency, media, words, opening));
    let envelope = central.keys.sealed_by_both(&command);
    let published = Recording::seconds_so_far(&unit.wav());
    central.say(&envelope);
    let outcome = unit.await_event("the end of the slot", aired);
    assert!(running.terminate().success());

    let recording = unit.recording();
    let beeps = recording.stretches(&[BEEP_HZ]);
    let [beep] = beeps[..] else { panic!("{beeps:?}") };
    assert!((beep.seconds() - if staged { 1.5 } else { 1.0 }).abs() < 0.025, "{beep:?}");
    let delay = beep.from - published;
    eprintln!("first sound {:.0} ms after publication", delay * 1_000.0);
    check_resumption(&recording, &sweep, beep);
    let resumed = SlotOutcome::Aired { finished: 1, not_finished: 0 };
    assert_eq!(outcome, resumed);
    let outcomes: Vec<_> = unit.ended().into_iter().map(|end| end.outcome).collect();
    let by = loaxa_heart::domain::announcement::Rung::Emergency;
    assert_eq!(outcomes, [PlayOutcome::Interrupted { by }, PlayOutcome::Finished, PlayOutcome::Finished]);
    unit.await_event("a finished emergency", |event| step_of(event, "c1", &DeliveryStep::Finished));
}

/// The sweep before and after what interrupted it, by the frequencies at both edges.
fn check_resumption(recording: &Recording, sweep: &Sweep, between: Stretch) {
    // The fade takes 20 ms on either side.
    let before = between.from - 0.12..between.from - 0.04;
    let left = sweep.place_of(recording.frequency(before.clone())) + (between.from - (before.start + 0.04));
    let silence = recording.silences(between.to - 0.05..recording.seconds(), 0.005);
    // Words of the message may have pauses; the sweep goes on after the last silence but the final one.
    let sounding = recording.sounding(0.0).unwrap();
    let edge =
        silence.iter().filter(|gap| gap.end < sounding.end).map(|gap| gap.end).fold(between.to, f64::max);
    let after = edge + 0.03..edge + 0.11;
    let back = sweep.place_of(recording.frequency(after.clone())) - 0.07;
    eprintln!("left at {left:.3} s, back at {back:.3} s");
    assert!((back - left).abs() < RESUMES_S, "it left at {left} s and came back at {back} s");
}

#[test]
fn an_emergency_takes_the_air_over_mosquitto() {
    check_emergency(&Mosquitto::start(), true);
}

#[test]
fn a_spoken_emergency_takes_the_air_over_mosquitto() {
    check_emergency(&Mosquitto::start(), false);
}

#[test]
fn an_emergency_takes_the_air_over_the_embedded_broker() {
    check_emergency(&crate::support::broker::Embedded::start(), true);
}

#[test]
fn a_priority_announcement_waits_for_the_boundary() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.bring("tone-550.mp3");
    unit.slot(&["tone-440.wav", "tone-550.mp3"], 20, "");
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    write_tone(&unit.path("message.wav"), BEEP_HZ, 1.5);
    let media = central.offer(&unit.path("message.wav"), 1_500);
    await_sound(&unit, 0.5);
    let command = central.command("c1", announce(BulletinClass::Priority, Some(media), None, None));
    central.say(&codec::seal(&command, &[&central.keys.duty[0]]));
    unit.await_event("the end of the slot", aired);
    assert!(running.terminate().success());
    let recording = unit.recording();
    let stretches = recording.stretches(&[440.0, 550.0, BEEP_HZ]);
    let expected = [(440.0, 4.0), (BEEP_HZ, 1.5), (550.0, 4.0)];
    assert_eq!(stretches.len(), 3, "{stretches:?}");
    for (stretch, (hz, seconds)) in stretches.iter().zip(expected) {
        assert!(stretch.hz == hz && (stretch.seconds() - seconds).abs() < 0.02, "{stretches:?}");
    }
    assert!(recording.silences(stretches[0].from..stretches[1].to, 0.005).is_empty());
}

/// Returns how many commands the box counts as refused for this reason.
fn refused(unit: &Unit, reason: &str) -> u64 {
    unit.status().and_then(|status| status.refused.get(reason).copied()).unwrap_or(0)
}

#[test]
fn what_is_not_to_be_obeyed_is_refused_counted_and_logged() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let mut running = unit.start();
    central.await_box(&unit);
    let emergency = || announce(BulletinClass::Emergency, None, Some("Bão."), None);
    let [an, binh] = central.keys.duty.clone();
    let stranger = SecretKey::from_seed(&[9; 32]);

    let good = central.command("good", Body::Test);
    central.say(&codec::seal(&good, &[&an]));
    unit.await_event("a good command", |event| step_of(event, "good", &DeliveryStep::Received));
    // The same bytes again are no offence, and nothing happens again.
    central.say(&codec::seal(&good, &[&an]));

    let mut forged: serde_json::Value =
        serde_json::from_slice(&codec::seal(&central.command("c1", emergency()), &[&an, &binh])).unwrap();
    let other = codec::seal(&central.command("c2", emergency()), &[&an, &binh]);
    forged["payload"] = serde_json::from_slice::<serde_json::Value>(&other).unwrap()["payload"].clone();
    central.say(&serde_json::to_vec(&forged).unwrap());

    let mut unknown = central.command("c3", emergency());
    unknown.issuer = stranger.key_id();
    central.say(&codec::seal(&unknown, &[&stranger]));

    let mut expired = central.command("c4", emergency());
    expired.issued_at = expired.issued_at.minus(Span::secs(900));
    expired.not_before = expired.issued_at;
    expired.expires = expired.issued_at.plus(Span::secs(600));
    central.say(&codec::seal(&expired, &[&an, &binh]));

    let mut replayed = central.command("c5", Body::Test);
    replayed.serial = good.serial;
    central.say(&codec::seal(&replayed, &[&an]));

    let alone = central.command("c6", emergency());
    central.say(&codec::seal(&alone, &[&an]));

    central.say(&vec![b'x'; MESSAGE_BYTES_MAX]);
    central.say(b"{}");
    central.say(&[0xff, 0, 0xfe]);
    central.say_to_box(Down::Welcome, b"[]");
    central.say_to_box(Down::LogAck, br#"{"payloadType":"x","payload":"","signatures":[]}"#);
    let no_trust = central.command("c7", Body::Test);
    central.say_to_box(Down::Trust, &codec::seal(&no_trust, &[&an]));

    let last = central.command("last", Body::Test);
    central.say(&codec::seal(&last, &[&an]));
    unit.await_event("the last command", |event| step_of(event, "last", &DeliveryStep::Received));
    assert!(running.lives());
    for (reason, least) in [
        ("bad_signature", 1),
        ("unknown_key", 1),
        ("expired", 1),
        ("replayed", 1),
        ("too_few_signatures", 1),
        ("malformed", 5),
    ] {
        let found = refused(&unit, reason);
        assert!(found >= least, "{reason}: {found} of {least}\n{:#?}", unit.status());
    }
    let logged = |event: &Event| match event {
        Event::CommandRefused { reason, .. } => {
            Some(serde_json::to_value(reason).unwrap()["refusal"].to_string())
        }
        _ => None,
    };
    let logged: BTreeSet<_> = unit.events().iter().filter_map(logged).collect();
    for reason in ["bad_signature", "unknown_key", "expired", "replayed", "too_few_signatures", "malformed"] {
        assert!(logged.contains(&format!("{reason:?}")), "{reason} is not among {logged:?}");
    }
    assert_eq!(unit.started(), []);
    assert!(running.terminate().success());
}

#[test]
fn a_message_that_is_too_large_is_refused_counted_and_logged() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    // Our own link would not send it.
    let payload = unit.path("huge");
    std::fs::write(&payload, vec![b'x'; MESSAGE_BYTES_MAX + 1]).unwrap();
    let sent = std::process::Command::new("mosquitto_pub")
        .args([
            "-V",
            "5",
            "-q",
            "1",
            "-t",
            "loaxa/v1/group/xa/down/command",
            "-p",
            &broker.port().to_string(),
            "-f",
        ])
        .arg(&payload)
        .status()
        .expect("mosquitto-clients is installed by scripts/setup.sh");
    assert!(sent.success());
    unit.await_event("its refusal", |event| {
        matches!(event, Event::CommandRefused { reason: CommandRefusal::TooLarge { .. }, .. }).then_some(())
    });
    assert_eq!(refused(&unit, "too_large"), 1);
    let command = central.command("c1", Body::Test);
    central.say(&codec::seal(&command, &[&central.keys.duty[0]]));
    unit.await_event("the next command", |event| step_of(event, "c1", &DeliveryStep::Received));
    assert!(running.terminate().success());
}

/// Length of the word that is cancelled, in seconds.
const WORD_S: f64 = 20.0;

#[test]
fn a_cancel_stops_it_in_the_middle_of_a_word() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let long =
        announce(BulletinClass::Emergency, None, None, Some(beep(BEEP_HZ as f32, (WORD_S * 1_000.0) as u32)));
    let command = central.command("c1", long);
    central.say(&central.keys.sealed_by_both(&command));
    await_sound(&unit, 1.0);
    let cancel = central.command("c2", Body::Cancel { of: Some(command.id.clone()) });
    let envelope = codec::seal(&cancel, &[&central.keys.duty[0]]);
    let published = Recording::seconds_so_far(&unit.wav());
    central.say(&envelope);
    unit.await_event("the cancelled play", |event| match event {
        Event::PlayEnded(end) => (end.outcome == PlayOutcome::Cancelled).then_some(()),
        _ => None,
    });
    // It is remembered: the same emergency does not come back with the next start.
    running.kill();
    let running = unit.start();
    let before = Recording::seconds_so_far(&unit.wav());
    eventually("two seconds more", || (Recording::seconds_so_far(&unit.wav()) > before + 2.0).then_some(()));
    assert!(running.terminate().success());
    let sounding = unit.recording().sounding(0.0).unwrap();
    eprintln!("silent {:.0} ms after publication", (sounding.end - published) * 1_000.0);
    let sounded = sounding.end - sounding.start;
    assert!(sounded < WORD_S - 1.0, "the word of {WORD_S} s was heard for {sounded} s");
    assert!(sounding.end > published - 0.06, "it ended before it was cancelled");
}

/// Files that are missing: each of them makes an entry.
const ENTRIES: usize = 450;

#[test]
fn a_broker_that_dies_in_the_middle_of_an_upload_loses_and_doubles_nothing() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let missing: Vec<_> = (0..ENTRIES).map(|n| format!("missing-{n}.mp3")).collect();
    unit.slot(&missing.iter().map(String::as_str).collect::<Vec<_>>(), 6, "");
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    // First alone: there is nobody to tell.
    let port = broker.kill();
    let running = unit.start();
    unit.await_event("the end of the slot", aired);
    let (epoch, on_box) = unit.records();
    assert!(on_box.len() > ENTRIES);

    let broker = Mosquitto::start_at(port);
    let central = ScriptedCentral::start(keys, &broker);
    central.heard(|heard| heard.keeps_silent = true);
    eventually("a first batch", || central.heard(|heard| (!heard.log.is_empty()).then_some(())));
    let first = central.heard(|heard| heard.log.len());
    assert!(first < on_box.len(), "it was to be caught in the middle");
    let port = broker.kill();
    central.heard(|heard| heard.keeps_silent = false);
    eventually("a box without a broker", || unit.status().filter(|status| !status.connected));
    let _broker = Mosquitto::start_at(port);
    eventually("all of the log", || unit.status().filter(|status| status.connected && status.backlog == 0));

    let (epoch_now, on_box) = unit.records();
    let collected = central.collected(epoch);
    assert_eq!(epoch_now, epoch);
    assert_eq!(collected, on_box);
    chain::verify_chain(&box_id(), epoch, Link::FIRST, &collected).unwrap();
    central.heard(|heard| {
        assert!(heard.forked.is_empty(), "{:?}", heard.forked);
        assert_eq!(heard.log.len(), on_box.len());
        // The batch that was not acknowledged came again, and was known.
        assert_eq!(heard.again as usize, first);
        assert_eq!(heard.hellos.len(), 2);
    });
    assert!(running.terminate().success());
}

fn programme(version: u32, hz: &str, group: &str) -> (u32, String) {
    let toml = format!(
        "[programme]\nid = \"xa\"\nversion = {version}\ntitle = \"Xã\"\ngroup = \"{group}\"\n\
         [[playlist]]\nid = \"nghe\"\ntitle = \"Nghe\"\n[[playlist.item]]\ntitle = \"{hz}\"\ntext = \"{hz}\"\n\
         [[slot]]\nid = \"sang\"\ntitle = \"Sáng\"\nstart = \"05:00\"\nend = \"05:30\"\ndays = \"daily\"\n\
         playlist = \"nghe\"\norder = \"in_turn\"\nfill = \"once\"\n"
    );
    (version, toml)
}

#[test]
fn documents_stay_over_a_restart_and_are_never_rolled_back() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let send = |central: &mut ScriptedCentral, id: &str, body: Body| {
        let command = central.command(id, body);
        central.say(&central.keys.sealed_by_both(&command));
    };
    let programme = |(version, toml): (u32, String)| Body::Programme {
        programme: "xa".parse().unwrap(),
        version,
        toml,
        media: Default::default(),
    };
    let policy = |version, session_minutes_max| {
        Body::Policy(Policy { version, session_minutes_max, ..Policy::default() })
    };
    let groups = |version, group: &str| Body::Groups {
        version,
        members: [(box_id(), vec!["xa".parse().unwrap(), group.parse().unwrap()])].into(),
    };
    let adopted = |unit: &Unit, name: &str, wanted: u32| {
        unit.await_event(name, |event| match event {
            Event::Adopted { what, version } if what == name && *version == wanted => Some(()),
            _ => None,
        });
    };
    send(&mut central, "c1", programme(self::programme(2, "hai", "xa")));
    adopted(&unit, "programme/xa", 2);
    send(&mut central, "c2", policy(4, 60));
    adopted(&unit, "policy", 4);
    send(&mut central, "c3", groups(7, "thon-1"));
    adopted(&unit, "groups", 7);
    // A valid signature does not make what is old new.
    send(&mut central, "c4", programme(self::programme(1, "một", "xa")));
    send(&mut central, "c5", policy(4, 90));
    send(&mut central, "c6", groups(6, "thon-2"));
    for (id, offered, held) in [("c4", 1, 2), ("c5", 4, 4), ("c6", 6, 7)] {
        unit.await_event(id, |event| match event {
            Event::CommandRefused { command: Some(command), reason } if command.as_str() == id => {
                assert_eq!(*reason, CommandRefusal::Rollback { offered, held });
                Some(())
            }
            _ => None,
        });
    }
    running.kill();
    let hellos = central.heard(|heard| heard.hellos.len());
    let running = unit.start();
    let holds =
        eventually("the next hello", || central.heard(|heard| Some(heard.hellos.get(hellos)?.holds.clone())));
    assert_eq!((holds.policy, holds.groups), (4, 7));
    assert_eq!(holds.programmes, [("xa".parse().unwrap(), 2)].into());
    // It hears its new group.
    let mut command = central.command("c7", announce(BulletinClass::Normal, None, Some("chào"), None));
    command.groups = vec!["xa".parse().unwrap()];
    central.say_to_group("thon-1", &central.keys.sealed_by_both(&command));
    unit.await_event("the command to the new group", |event| step_of(event, "c7", &DeliveryStep::Received));

    // Whoever signed them may not any more: what the installer wrote is in force again, at once and after a restart.
    let mut trust = central.keys.trust();
    trust.version = 2;
    for grant in &mut trust.grants {
        grant.powers.retain(|power| !matches!(power, Power::Programme | Power::Policy | Power::Groups));
    }
    let trust = codec::seal(&TrustMessage { v: 1, trust }, &[&central.keys.root]);
    central.say_to_box(Down::Trust, &trust);
    eventually("documents that are dropped", || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = rusqlite::Connection::open_with_flags(unit.path("state/box.sqlite"), flags).ok()?;
        let count = "SELECT count(*) FROM document WHERE name <> 'trust'";
        (store.query_row(count, [], |row| row.get::<_, i64>(0)).ok()? == 0).then_some(())
    });
    running.kill();
    let hellos = central.heard(|heard| heard.hellos.len());
    let running = unit.start();
    let holds =
        eventually("the last hello", || central.heard(|heard| Some(heard.hellos.get(hellos)?.holds.clone())));
    assert_eq!((holds.trust, holds.policy, holds.groups, holds.programmes.len()), (2, 0, 0, 0));
    drop(running);
}

#[test]
fn groups_that_do_not_name_a_box_leave_it_where_it_was_moved_over_a_restart() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let moved: Vec<GroupId> = ["xa", "thon-1"].map(|group| group.parse().unwrap()).to_vec();
    for (version, members) in [(7, [(box_id(), moved)].into()), (8, Default::default())] {
        let command = central.command(&format!("c{version}"), Body::Groups { version, members });
        central.say(&central.keys.sealed_by_both(&command));
        unit.await_event("the groups", |event| match event {
            Event::Adopted { what, version: adopted } if what == "groups" => {
                (*adopted == version).then_some(())
            }
            _ => None,
        });
    }
    running.kill();
    let running = unit.start();
    eventually("the box", || unit.status().filter(|status| status.connected));
    let mut command = central.command("c9", announce(BulletinClass::Normal, None, Some("chào"), None));
    command.groups = vec!["xa".parse().unwrap()];
    central.say_to_group("thon-1", &central.keys.sealed_by_both(&command));
    unit.await_event("a command to its group", |event| step_of(event, "c9", &DeliveryStep::Received));
    drop(running);
}

#[test]
fn a_key_of_one_village_takes_no_box_out_of_the_commune() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    unit.groups = vec!["thon-1", "xa"];
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let villager = central.keys.villager.clone();
    let groups = |version, groups: &[&str]| Body::Groups {
        version,
        members: [(box_id(), groups.iter().map(|group| group.parse().unwrap()).collect())].into(),
    };
    // What it would leave, and what it would join.
    for (id, version, of_box) in [("c1", 8, &["thon-1"][..]), ("c2", 9, &["thon-1", "xa", "thon-2"])] {
        let mut command = central.command(id, groups(version, of_box));
        (command.issuer, command.groups) = (villager.key_id(), vec!["thon-1".parse().unwrap()]);
        central.say_to_group("thon-1", &codec::seal(&command, &[&villager]));
        unit.await_event(id, |event| match event {
            Event::CommandRefused { command: Some(command), reason } if command.as_str() == id => {
                assert!(matches!(reason, CommandRefusal::NotAllowed { .. }), "{reason:?}");
                Some(())
            }
            _ => None,
        });
    }
    // The commune's programme is not theirs to replace, by none of their own under its name.
    let sent = |group: &str, version| Body::Programme {
        programme: "xa".parse().unwrap(),
        version,
        toml: programme(version, "tin", group).1,
        media: Default::default(),
    };
    let of_commune = central.command("p1", sent("xa", 2));
    central.say(&codec::seal(&of_commune, &[&central.keys.duty[0]]));
    let mut of_village = central.command("p2", sent("thon-1", 3));
    (of_village.issuer, of_village.groups) = (villager.key_id(), vec!["thon-1".parse().unwrap()]);
    central.say_to_group("thon-1", &codec::seal(&of_village, &[&villager]));
    unit.await_event("p2", |event| match event {
        Event::CommandRefused { command: Some(command), reason } if command.as_str() == "p2" => {
            matches!(reason, CommandRefusal::NotAllowed { .. }).then_some(())
        }
        _ => None,
    });
    // No version of theirs was taken, and the commune's emergency is heard.
    let moved = central.command("c3", groups(1, &["thon-2", "xa"]));
    central.say(&codec::seal(&moved, &[&central.keys.duty[0]]));
    unit.await_event("the move", |event| {
        matches!(event, Event::Adopted { what, version: 1 } if what == "groups").then_some(())
    });
    let storm = central.command("c4", announce(BulletinClass::Emergency, None, None, Some(beep(900.0, 300))));
    central.say(&central.keys.sealed_by_both(&storm));
    unit.await_event("the emergency", |event| step_of(event, "c4", &DeliveryStep::Finished));
    assert!(running.terminate().success());
}
