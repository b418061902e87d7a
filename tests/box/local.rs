//! The local emergency, the lights and the status page: what people beside a box press and see.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Output, Stdio};

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::{Keys, ScriptedCentral, enrol};
use crate::support::listen::write_tone;
use crate::support::unit::Unit;
use crate::support::{eventually, free_port};
use loaxa_box::status::LocalState;
use loaxa_heart::domain::announcement::{Media, PlayPlan, Repeats, Words};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::local_emergency::LocalEmergency;
use loaxa_heart::domain::playback::{CommandRefusal, DeliveryStep, Event, LocalStep, Presser};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;

const TONE_HZ: f64 = 1_100.0;

fn order(version: u32, media: Option<Media>) -> Body {
    let order = LocalEmergency {
        title: "Vỡ đập".to_owned(),
        plan: PlayPlan { repeats: Repeats::UntilCancelled, gap_s: 1, ..PlayPlan::default() },
        media,
        words: Some(Words { text: "Chạy lên cao".to_owned(), language: "vi".to_owned() }),
        silent_s: 1,
        confirm_s: 60,
        minutes_max: 60,
        with_contact: false,
    };
    Body::LocalEmergency { version, order: Some(order) }
}

fn emergency(unit: &Unit) -> Output {
    let mut command = unit.command(&["box", "emergency"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// Presses until the message is released or ended, as a person does who sees what the box says.
fn press_until(unit: &Unit, said: &str) {
    eventually(said, || String::from_utf8_lossy(&emergency(unit).stdout).contains(said).then_some(()));
}

fn state(unit: &Unit) -> LocalState {
    unit.status().map(|status| status.local_emergency).unwrap_or_default()
}

fn is_ready(unit: &Unit) -> Option<()> {
    matches!(state(unit), LocalState::Ready { .. }).then_some(())
}

fn released(event: &Event) -> Option<(CommandId, Option<Presser>)> {
    match event {
        Event::LocalEmergency { step: LocalStep::Released { command }, by, order } => {
            assert_eq!(order.as_ref().map(CommandId::as_str), Some("l1"));
            Some((command.clone(), *by))
        }
        _ => None,
    }
}

fn page(port: u16, host: &str, path: &str) -> Option<String> {
    let mut visitor = TcpStream::connect(("127.0.0.1", port)).ok()?;
    visitor.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn with_the_broker_cut_two_presses_sound_the_message_until_the_centre_is_back_and_stops_it() {
    let broker = Mosquitto::start();
    let port = broker.port();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, port);
    let (pressed, lights, at) = (unit.path("pressed"), unit.path("lights"), free_port());
    // Each time that the file is there, the button was pressed; it ends with the directory.
    let button = format!(
        "while [ -d {dir} ]; do if rm {file} 2>/dev/null; then echo; fi; sleep 0.05; done",
        dir = unit.dir.path().display(),
        file = pressed.display(),
    );
    unit.link.push_str(&format!(
        "[media]\nnight = \"any\"\n[button]\ncommand = [\"sh\", \"-c\", \"{button}\"]\n[lights]\nfile = \"lights\"\n\
         [page]\nlisten = \"127.0.0.1:{at}\"\n"
    ));
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let tone = unit.path("tone.wav");
    write_tone(&tone, TONE_HZ, 1.5);
    let media = central.offer(&tone, 1_500);
    let command = central.command("l1", order(1, Some(media.clone())));
    central.say(&central.keys.sealed_by_both(&command));
    eventually("the order", || is_ready(&unit));
    eventually("the audio of the order", || {
        let name = media.sha256.to_string();
        unit.path("state/media").join(&name[..2]).join(&name).exists().then_some(())
    });
    eventually("a heartbeat that tells of the order", || {
        let told = |held: &loaxa_heart::wire::messages::Holds| held.local_emergency == 1;
        let tells = |heard: &mut crate::support::central::Heard| {
            heard.heartbeats.iter().any(|heartbeat| heartbeat.holds.as_ref().is_some_and(told))
        };
        central.heard(|heard| tells(heard)).then_some(())
    });

    // While the centre can be reached, a press is refused.
    let refused = emergency(&unit);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("the centre can be reached"), "{said}");
    let lit = || std::fs::read_to_string(&lights).unwrap_or_default();
    eventually("the light for contact", || lit().starts_with("ok").then_some(()));

    // The link is cut; the button is pressed twice.
    broker.kill();
    eventually("the light for no contact", || lit().contains("no_contact").then_some(()));
    let press = || std::fs::write(&pressed, "").unwrap();
    eventually("the first press", || {
        press();
        eventually("the taken press", || (!pressed.exists()).then_some(()));
        matches!(state(&unit), LocalState::Armed { .. }).then_some(())
    });
    eventually("the light for a press", || lit().contains("armed").then_some(()));
    let shown = eventually("the page", || page(at, "localhost", "/"));
    assert!(shown.contains("Vỡ đập") && shown.contains("đã bấm một lần"), "{shown}");
    let numbers = page(at, "localhost", "/metrics").unwrap();
    assert!(numbers.contains("\nloaxa_box_connected 0\n"), "{numbers}");
    assert!(page(at, "evil.example", "/").unwrap().starts_with("HTTP/1.1 421"));
    let (id, by) = eventually("the second press", || {
        press();
        eventually("the taken press", || (!pressed.exists()).then_some(()));
        unit.events().iter().find_map(released)
    });
    assert_eq!(by, Some(Presser::Button));
    unit.await_event("the message", |event| match event {
        Event::PlayEnded(end) => Some(end.outcome.clone()),
        _ => None,
    });
    eventually("the light for sound", || lit().contains("on_air").then_some(()));

    // A power cut: it goes on. The centre comes back, hears of it, and stops it.
    running.kill();
    let plays = unit.started().len();
    let running = unit.start();
    eventually("the message after the restart", || (unit.started().len() > plays).then_some(()));
    let broker = Mosquitto::start_at(port);
    eventually("the log at central", || {
        let has = |body: &String| body.contains("\"local_emergency\"") && body.contains(id.as_str());
        central.heard(|heard| heard.log.values().any(has)).then_some(())
    });
    let fault = |heartbeat: &loaxa_heart::wire::messages::Heartbeat| {
        heartbeat.faults.iter().any(|fault| fault == "local_emergency")
    };
    eventually("the fault at central", || {
        central.heard(|heard| heard.heartbeats.iter().any(fault)).then_some(())
    });
    let stop = central.command("stop", Body::Cancel { of: None });
    central.say(&central.keys.sealed_by_both(&stop));
    unit.await_event("the stop", |event| match event {
        Event::Delivery { command, step: DeliveryStep::Cancelled } if *command == id => Some(()),
        _ => None,
    });
    eventually("the rest after the stop", || is_ready(&unit));
    running.terminate();
    drop(broker);
    let stretches = unit.recording().stretches(&[TONE_HZ]);
    assert!(stretches.iter().any(|tone| (tone.seconds() - 1.5).abs() < 0.05), "{stretches:?}");
}

#[test]
fn orders_that_do_not_hold_are_refused_and_the_console_ends_what_it_released() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    let keys = Keys::new();
    enrol(&mut unit, &keys, broker.port());
    let mut central = ScriptedCentral::start(keys, &broker);
    let running = unit.start();
    central.await_box(&unit);
    let refused = |id: &'static str, expected: &dyn Fn(&CommandRefusal) -> bool| {
        unit.await_event(id, |event| match event {
            Event::CommandRefused { command: Some(command), reason } if command.as_str() == id => {
                assert!(expected(reason), "{reason:?}");
                Some(())
            }
            _ => None,
        });
    };
    let alone = central.command("alone", order(1, None));
    central.say(&codec::seal(&alone, &[&central.keys.duty[0]]));
    refused("alone", &|reason| matches!(reason, CommandRefusal::TooFewSignatures { .. }));
    let mut expired = central.command("expired", order(1, None));
    expired.not_before = loaxa_heart::domain::time::Wall(1);
    expired.expires = loaxa_heart::domain::time::Wall(2);
    central.say(&central.keys.sealed_by_both(&expired));
    refused("expired", &|reason| matches!(reason, CommandRefusal::Expired { .. }));
    let command = central.command("l1", order(3, None));
    central.say(&central.keys.sealed_by_both(&command));
    eventually("the order", || is_ready(&unit));
    let older = central.command("older", order(2, None));
    central.say(&central.keys.sealed_by_both(&older));
    refused("older", &|reason| matches!(reason, CommandRefusal::Rollback { .. }));

    // It stands over a restart without the centre; presses at the console release it and end it.
    broker.kill();
    running.terminate();
    let running = unit.start();
    press_until(&unit, "the local emergency sounds");
    let (id, by) = unit.await_event("the release", released);
    assert_eq!(by, Some(Presser::Console));
    press_until(&unit, "the local emergency is stopped");
    unit.await_event("its end", |event| match event {
        Event::Delivery { command, step: DeliveryStep::Cancelled } if *command == id => Some(()),
        _ => None,
    });
    running.terminate();
}
