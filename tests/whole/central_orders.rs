//! Programmes, limits and groups from central: kept, sent again until a box holds them, and obeyed by the real box.
use crate::support::commune::*;
use crate::support::listen::{Recording, write_tone};
use crate::support::unit::Unit;
use chrono::{TimeDelta, Timelike};
use loaxa_adapters::clock;
use loaxa_central::Central;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, TrustMessage};
use loaxa_heart::wire::topics::{Down, Topic, Up};
use serde_json::{Value, json};

const TONE_HZ: f64 = 880.0;

/// Time to send the programme and start the box.
const SLOT_BEGINS_IN_S: i64 = 6;

/// A box of the commune whose key central takes at its first word.
fn unit_of(central: &Central) -> Unit {
    let mut unit = Unit::new();
    join(&mut unit, central.broker_addr().unwrap(), &trust());
    unit
}

/// Runs `loaxa` as staff do.
async fn staff(central: &Central, dir: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    loaxa_adapters::private_files::write(&dir.join("token"), TOKEN.as_bytes()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(arguments).args(["--lang", "en", "--central", &format!("http://{}", central.http_addr())]);
    command.args(["--token-file", "token"]).current_dir(dir);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// A programme whose one slot sounds in a few seconds, for ten minutes.
fn programme(version: u32, file: &str) -> String {
    let now = clock::wall().local().with_nanosecond(0).unwrap();
    let begin = now + TimeDelta::seconds(SLOT_BEGINS_IN_S);
    let end = begin + TimeDelta::minutes(10);
    let end =
        if end.date() == begin.date() { end.format("%H:%M:%S").to_string() } else { "23:59:59".to_owned() };
    format!(
        "[programme]\nid = \"xa\"\nversion = {version}\ntitle = \"Chương trình xã\"\ngroup = \"xa\"\n\
         [[playlist]]\nid = \"nghe\"\ntitle = \"Nghe\"\nm3u8 = \"{file}\"\n\
         [[slot]]\nid = \"sang\"\ntitle = \"Sáng\"\nstart = \"{}\"\nend = \"{end}\"\ndays = \"daily\"\n\
         playlist = \"nghe\"\norder = \"in_turn\"\nfill = \"loop\"\nlateness = \"shift\"\n",
        begin.format("%H:%M:%S"),
    )
}

async fn sounds(unit: &Unit) {
    until(&format!("sound\n{}", unit.said()), async || {
        let recording = unit.wav().exists().then(|| Recording::read(&unit.wav()))?;
        let time = recording.sounding(0.0).filter(|time| time.end - time.start > 0.6)?;
        let heard = recording.frequency(time.start + 0.1..time.start + 0.5);
        ((heard - TONE_HZ).abs() < 5.0).then_some(())
    })
    .await;
}

async fn held(central: &Central) -> Value {
    get_api(central, "/api/v1/documents").await.json()[0]["boxes"][0]["holds"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programme_reaches_a_box_that_was_off_sounds_and_outlives_central() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    let central = start(settings).await;
    let unit = unit_of(&central);

    let desk = tempfile::tempdir().unwrap();
    std::fs::create_dir(desk.path().join("nhac")).unwrap();
    write_tone(&desk.path().join("nhac/bai 1.wav"), TONE_HZ, 2.0);
    std::fs::write(desk.path().join("nghe.m3u8"), "#EXTM3U\n#EXTINF:2,Bài một\nnhac/bai 1.wav\n").unwrap();
    std::fs::write(desk.path().join("xa.toml"), programme(3, "nghe.m3u8")).unwrap();
    let said =
        staff(&central, desk.path(), &["programme", "send", "xa.toml", "--author", "An", "--anyway"]).await;
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        text.starts_with("sent programme xa version 3"),
        "{text}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    // The same again is no newer version.
    let said = staff(&central, desk.path(), &["programme", "send", "xa.toml"]).await;
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(text.contains("programme/xa was sent in version 3 already: 3 is not newer"), "{text}");

    let running = unit.start();
    sounds(&unit).await;
    until("central hears that the box holds it", async || (held(&central).await == 3).then_some(())).await;
    running.kill();
    std::fs::remove_file(unit.wav()).unwrap();
    central.stop().await;
    let running = unit.start();
    sounds(&unit).await;
    let adopted = |event: &Event| matches!(event, Event::Adopted { what, .. } if what == "programme/xa");
    assert_eq!(unit.events().iter().filter(|event| adopted(event)).count(), 1);
    drop(running);
}

fn command(topic: &Topic, bytes: &[u8]) -> Option<Command> {
    matches!(topic, Topic::Group(_) | Topic::Down(_, Down::Command))
        .then(|| codec::open_command(bytes, &known_keys).expect("signed by people").payload)
}

async fn send(central: &Central, what: &str, asked: &Value) -> (u16, Value) {
    let answer =
        post(central, &format!("/api/v1/{what}"), "application/json", asked.to_string().into()).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_box_lacks_is_sent_again_and_what_it_holds_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let policy = json!({ "version": 0, "allowed": [{ "from": "05:00:00", "until": "21:00:00" }],
        "session_minutes_max": 60, "day_minutes_max": 120, "volume_day_percent_max": 90, "volume_night_percent_max": 40 });
    let (status, answer) = send(&central, "policies", &json!({ "to": ["xa"], "policy": policy })).await;
    assert_eq!((status, &answer["version"]), (201, &json!(1)), "{answer}");
    let (status, answer) = send(&central, "policies", &json!({ "to": ["thon-2"], "policy": policy })).await;
    assert_eq!((status, &answer["version"]), (201, &json!(2)), "{answer}");

    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let policy_of = |command: Command| match command.body {
        Body::Policy(policy) => policy.version,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        loa.hello("n", loa.holds(&[]));
        assert_eq!(policy_of(loa.next("the limits of its group", command).await), 1);
    }
    // What it holds does not come again: the next is what was issued since.
    let holds = loaxa_heart::wire::messages::Holds { policy: 1, ..loa.holds(&[]) };
    loa.heartbeat(holds.clone());
    until("the heartbeat is kept", async || (held(&central).await == 1).then_some(())).await;
    let (status, answer) = send(&central, "groups", &json!({ "members": { "loa-1": ["thon-2"] } })).await;
    assert_eq!((status, &answer["version"]), (201, &json!(1)), "{answer}");
    let Body::Groups { members, .. } = loa.next("its groups", command).await.body else {
        panic!("no groups")
    };
    assert_eq!(members[&loa.id], [group("thon-2"), group("xa")]);
    // The limits of its new group follow.
    loa.heartbeat(loaxa_heart::wire::messages::Holds { groups: 1, ..holds });
    assert_eq!(policy_of(loa.next("the limits of its new group", command).await), 2);

    for (what, asked, expected) in [
        ("groups", json!({ "members": { "loa-9": ["thon-2"] } }), "there is no box loa-9"),
        ("groups", json!({ "members": { "loa-1": ["thon-9"] } }), "there is no group thon-9"),
        ("programmes", json!({ "toml": "[programme]" }), "programme:1"),
        (
            "programmes",
            json!({ "toml": "", "media": { "../a": "0".repeat(64) } }),
            "the audio \"../a\" was not uploaded",
        ),
    ] {
        let (status, answer) = send(&central, what, &asked).await;
        let error = answer["error"].as_str().unwrap();
        assert!((400..500).contains(&status) && error.contains(expected), "{status} {error}");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_messages_are_numbered_sent_again_and_shown_for_each_box() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let path = dir.path().join("lu.wav");
    write_tone(&path, TONE_HZ, 1.0);
    let uploaded =
        post(&central, "/api/v1/media?name=lu.wav", "audio/wav", std::fs::read(&path).unwrap()).await;
    let sha256 = uploaded.json()["sha256"].clone();
    let message =
        |id: &str, audio: &Value| json!({ "id": id, "title": "Lũ về", "language": "vi", "audio": audio });
    let asked = json!({ "to": ["xa"], "messages": [message("lu", &sha256)], "author": "An" });
    for version in 1..=2 {
        let (status, answer) = send(&central, "prepared", &asked).await;
        let (name, sent) = (&answer["document"], &answer["version"]);
        assert_eq!((status, name, sent), (201, &json!("prepared"), &json!(version)), "{answer}");
    }
    for (messages, expected) in [
        (json!([message("lu", &json!("0".repeat(64)))]), "was not uploaded"),
        (json!([message("lu", &sha256), message("lu", &sha256)]), "lu is prepared twice"),
    ] {
        let (status, answer) =
            send(&central, "prepared", &json!({ "to": ["xa"], "messages": messages })).await;
        let error = answer["error"].as_str().unwrap();
        assert!((400..500).contains(&status) && error.contains(expected), "{status} {error}");
    }

    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    // A number that a key of its village chose is not what central sent.
    for held in [0, 1, u32::MAX] {
        loa.hello("n", loaxa_heart::wire::messages::Holds { prepared: held, ..loa.holds(&[]) });
        let Body::Prepared { version, items } = loa.next("the list", command).await.body else {
            panic!("no list")
        };
        assert_eq!((version, items.len(), json!(items[0].media.sha256)), (2, 1, sha256.clone()));
    }
    loa.heartbeat(loaxa_heart::wire::messages::Holds { prepared: 2, prepared_missing: 1, ..loa.holds(&[]) });
    until("the list is shown as held, its audio as missing", async || {
        let documents = get_api(&central, "/api/v1/documents").await.json();
        let newest = documents.as_array().unwrap().last().unwrap().clone();
        let held =
            newest["boxes"].as_array().unwrap().iter().find(|row| row["box"] == "loa-1").unwrap().clone();
        (held["holds"] == 2 && held["missing"] == 1).then_some(())
    })
    .await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_central_undoes_neither_a_move_nor_a_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    assert_eq!(send(&central, "groups", &json!({ "members": { "loa-1": ["thon-2"] } })).await.0, 201);
    let revoked = post(&central, "/api/v1/boxes/loa-2/revoke", "application/json", Vec::new()).await;
    assert_eq!(revoked.status, 204);
    central.stop().await;

    let central = start(settings(dir.path(), embedded())).await;
    let boxes = get_api(&central, "/api/v1/boxes").await.json();
    assert_eq!(boxes[0]["groups"], json!(["thon-2"]));
    assert_eq!(get_api(&central, "/api/v1/documents").await.json()[0]["believed"], json!(true));
    assert_eq!((&boxes[1]["id"], &boxes[1]["key"]), (&json!("loa-2"), &Value::Null));
    // Its log is not believed, though the configuration still names its key.
    let mut loa = ScriptedBox::connect(2, central.broker_addr().unwrap().port()).await;
    loa.append(Event::BoxStopped);
    loa.say(Up::Log, loa.batch(1, 1));
    let alarm = until("an alarm", async || central.store().alarms(1).await.unwrap().into_iter().next()).await;
    assert_eq!((alarm.kind.code(), alarm.subject.as_str()), ("unknown_box", "loa-2"));
    central.stop().await;

    // Staff see which documents must be sent anew when those who signed them may not any more.
    let mut settings = settings(dir.path(), embedded());
    let root = |_: &_| Some(key(100).public());
    let mut message = codec::open::<TrustMessage>(&settings.keys.trust, &root).unwrap().payload;
    message.trust.version += 1;
    message.trust.grants.iter_mut().for_each(|grant| grant.powers.retain(|power| *power != Power::Groups));
    settings.keys.trust = codec::seal(&message, &[&key(100)]);
    let central = start(settings).await;
    assert_eq!(get_api(&central, "/api/v1/documents").await.json()[0]["believed"], json!(false));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_moves_are_sent_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let desk = tempfile::tempdir().unwrap();
    let limits =
        "version = 7\nallowed = [{ from = \"05:00\", until = \"20:30\" }]\nsession_minutes_max = 45\n";
    std::fs::write(desk.path().join("gioi-han.toml"), limits).unwrap();
    let said = staff(&central, desk.path(), &["policy", "send", "gioi-han.toml", "--to", "xa"]).await;
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(text.starts_with("sent limits, version 7"), "{text}");
    let Body::Policy(policy) = loa.next("limits", command).await.body else { panic!("no limits") };
    assert_eq!((policy.version, policy.session_minutes_max), (7, 45));

    std::fs::write(desk.path().join("sai.toml"), "session_minutes_max = 0\nvolumes = 1\n").unwrap();
    let said = staff(&central, desk.path(), &["policy", "send", "sai.toml", "--to", "xa"]).await;
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(text.contains("sai.toml:1") && text.contains("volumes"), "{text}");

    let said = staff(&central, desk.path(), &["groups", "send", "loa-1=thon-2", "--author", "An"]).await;
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(text.starts_with("sent the groups, version 1"), "{text}");
    let moved = loa.next("its groups", command).await;
    let Body::Groups { members, .. } = moved.body else { panic!("no groups") };
    assert_eq!((moved.author.as_str(), &members[&loa.id][0]), ("An", &group("thon-2")));
    central.stop().await;
}
