//! A commune whose database is on a PostgreSQL server: all goes as with a file, and on where the server is away.
use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::unit::Unit;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::sql::SqlStore;
use loaxa_heart::config::store_file::{Database, PostgresServer};
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::topics::Topic;
use serde_json::{Value, json};

fn settings_on(cluster: &Cluster, dir: &std::path::Path) -> Settings {
    Settings { database: cluster.database("xa"), ..settings(dir, embedded()) }
}

/// A box of the commune whose key central takes at its first word.
fn unit_of(central: &Central) -> Unit {
    let mut unit = Unit::new();
    join(&mut unit, central.broker_addr().unwrap(), &trust());
    unit
}

async fn finished(central: &Central) -> Value {
    until("a play that has ended", async || {
        let plays = get_api(central, "/api/v1/plays").await.json();
        plays.as_array().unwrap().iter().find(|play| play["outcome"] == "finished").cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commune_on_a_server_announces_and_reports_and_goes_on_after_a_restart() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings_on(&cluster, dir.path());
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    let central = start(settings.clone()).await;
    let unit = unit_of(&central);
    let running = unit.start();
    let asked = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let sent = announce(&central, &asked, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let play = finished(&central).await;
    assert_eq!((&play["title"], &play["box"]), (&json!("Họp thôn"), &json!("loa-1")));
    let report =
        get_api(&central, "/api/v1/report?from=2020-01-01T00:00:00Z&to=2090-01-01T00:00:00Z").await.json();
    let seconds = report[0]["seconds_played"].as_f64().unwrap();
    assert!(seconds > 0.5, "{report}");
    drop(running);
    central.stop().await;
    let central = start(settings).await;
    assert_eq!(finished(&central).await["play"], play["play"]);
    let doubled = "SELECT count(*) - count(DISTINCT (box, epoch, seq)) FROM log";
    assert_eq!(cluster.sql("xa", doubled), "0");
    central.stop().await;
}

fn emergency(topic: &Topic, bytes: &[u8]) -> Option<String> {
    let command = matches!(topic, Topic::Group(_))
        .then(|| codec::open::<Command>(bytes, &known_keys).expect("signed by people").payload)?;
    match command.body {
        Body::Announce { title, .. } => Some(title),
        _ => None,
    }
}

async fn healthz(central: &Central, expected: u16) {
    until(&format!("health is {expected}"), async || {
        (get(central, "/healthz", &[]).await.status == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_emergencies_go_out_and_nothing_is_lost_or_doubled() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let settings = settings_on(&cluster, dir.path());
    // An earlier run gave numbers.
    let central = start(settings.clone()).await;
    let flood =
        json!({ "to": ["xa"], "title": "Lũ", "class": "emergency", "mode": "actual", "author": "An" });
    assert_eq!(announce(&central, &flood, Some(&tone())).await.status, 201);
    central.stop().await;
    let central = start(settings).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
    healthz(&central, 200).await;

    cluster.stop();
    healthz(&central, 503).await;
    let said = get(&central, "/healthz", &[]).await;
    assert!(said.text().contains("máy chủ cơ sở dữ liệu"), "{}", said.text());
    loa.append(Event::DeviceBack);
    loa.append(Event::DeviceBack);
    let batch = loa.batch(2, 3);
    loa.say(loaxa_heart::wire::topics::Up::Log, batch);
    let everyday = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let refused = announce(&central, &everyday, Some(&tone())).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let asked = json!({ "to": ["xa"], "title": "Vỡ đê", "class": "emergency", "mode": "actual", "author": "An",
                        "text": "Nước đang lên, bà con lên chỗ cao." });
    let sent = announce(&central, &asked, None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    assert_eq!(loa.next("the emergency", emergency).await, "Vỡ đê");
    let stopped = post(&central, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());

    cluster.start_again();
    healthz(&central, 200).await;
    // The box heard no acknowledgement, and says it again; and once more.
    for _ in 0..2 {
        assert_eq!(loa.upload(2, 3).await.contiguous_upto, 3);
    }
    until("what went out is kept", async || {
        let kept =
            cluster.sql("xa", "SELECT count(*) FROM commands WHERE title = 'Vỡ đê' OR kind = 'cancel'");
        (kept == "2").then_some(())
    })
    .await;
    assert_eq!(cluster.sql("xa", "SELECT count(*), count(DISTINCT (box, epoch, seq)) FROM log"), "3|3");
    assert_eq!(cluster.sql("xa", "SELECT count(*) - count(DISTINCT (issuer, serial)) FROM commands"), "0");
    let sent = announce(&central, &everyday, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_or_only_reads_keeps_no_emergency_back() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_on(&cluster, dir.path())).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    healthz(&central, 200).await;
    let asked = |title: &str| {
        json!({ "to": ["xa"], "title": title, "class": "emergency", "mode": "actual", "author": "An",
                "text": "Nước đang lên, bà con lên chỗ cao." })
    };

    cluster.hold(true);
    let sent = announce(&central, &asked("Vỡ đê"), None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    assert_eq!(loa.next("the emergency", emergency).await, "Vỡ đê");
    healthz(&central, 503).await;
    cluster.hold(false);
    healthz(&central, 200).await;

    let only_reads = |on: &str| {
        cluster.sql("xa", &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"));
        cluster.sql("xa", "SELECT pg_reload_conf()");
    };
    only_reads("on");
    healthz(&central, 503).await;
    let sent = announce(&central, &asked("Bão về"), None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    assert_eq!(loa.next("the emergency", emergency).await, "Bão về");
    cluster.sql("xa", "ALTER SYSTEM RESET default_transaction_read_only");
    cluster.sql("xa", "SELECT pg_reload_conf()");
    healthz(&central, 200).await;
    until("what went out is kept", async || {
        let kept = cluster
            .sql("xa", "SELECT count(DISTINCT serial) FROM commands WHERE title IN ('Vỡ đê', 'Bão về')");
        (kept == "2").then_some(())
    })
    .await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_elsewhere_is_reached_by_its_certificate_and_a_password_in_a_file() {
    let cluster = Cluster::start();
    cluster.create("xa");
    cluster.sql("xa", "ALTER ROLE loaxa PASSWORD 'bí mật'");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = cluster.listen(&signed.cert.pem(), &signed.signing_key.serialize_pem());
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        loaxa_adapters::private_files::write(&path, text.as_bytes()).unwrap();
        path
    };
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (right, wrong) = (file("ca.pem", &signed.cert.pem()), file("other.pem", &other.cert.pem()));
    let (known, guessed) = (file("password", "bí mật\n"), file("guess", "đoán\n"));
    let open = |host: &str, ca: &std::path::Path, password: &std::path::Path| {
        let server = PostgresServer {
            url: format!("postgres://loaxa@{host}:{port}/xa"),
            ca: Some(ca.to_owned()),
            password_file: Some(password.to_owned()),
        };
        SqlStore::open_at(&Database::Postgres(server), None).map(drop).map_err(|error| error.to_string())
    };
    open("localhost", &right, &known).unwrap();
    let refused = open("localhost", &wrong, &known).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    // The certificate names another host.
    let refused = open("127.0.0.1", &right, &known).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    std::fs::set_permissions(&known, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(open("localhost", &right, &known).is_err(), "others may read the password");
    let refused = open("localhost", &right, &guessed).unwrap_err();
    assert!(refused.contains("28P01") && !refused.contains("đoán"), "{refused}");
}

#[test]
fn a_database_that_is_none_of_this_program_is_refused() {
    let cluster = Cluster::start();
    let open = |name: &str| {
        SqlStore::open_at(&cluster.database(name), None).map(drop).map_err(|error| error.to_string())
    };
    let refused = open("absent").unwrap_err();
    assert!(refused.contains("absent"), "{refused}");
    cluster.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let refused = open("latin").unwrap_err();
    assert!(refused.contains("LATIN1"), "{refused}");
    cluster.create("xa");
    open("xa").unwrap();
    open("xa").unwrap();
    // What an earlier version lacked comes by itself.
    cluster.sql("xa", "ALTER TABLE plays DROP COLUMN listed; UPDATE schema_made SET digest = 'earlier'");
    open("xa").unwrap();
    cluster.sql("xa", "ALTER TABLE feedback DROP COLUMN answer");
    let refused = open("xa").unwrap_err();
    assert!(refused.contains("feedback") && refused.contains("answer"), "{refused}");
    cluster.sql("xa", "UPDATE schema_made SET version = 1000");
    let refused = open("xa").unwrap_err();
    assert!(refused.contains("1000"), "{refused}");
    // The trail of acts stays, whoever asks.
    cluster.sql("xa", "INSERT INTO acts (at, actor, act, subject) VALUES (1, 'a', 'b', 'c')");
    let asks = ["UPDATE acts SET act = 'd'", "DELETE FROM acts", "TRUNCATE acts"];
    for asked in asks {
        assert!(cluster.refused("xa", asked).contains("append-only"), "{asked}");
    }
}

/// The program, as staff run it on the server.
fn loaxa(arguments: &[&str], config: &std::path::Path) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(arguments).arg("--config").arg(config).env("LOAXA_LANG", "en");
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

#[test]
fn the_program_serves_enrols_and_is_renewed_with_a_server_in_its_configuration() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("xa");
    let init = [
        "central",
        "init",
        "--commune",
        "Xã Thử",
        "--group",
        "xa",
        "--demo",
        "--dir",
        home.to_str().unwrap(),
    ];
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa")).args(init).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = home.join("central.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let broker = crate::support::free_port();
    let text = text
        .replace("0.0.0.0:8443", "127.0.0.1:0")
        .replace("0.0.0.0:8883", &format!("127.0.0.1:{broker}"))
        .replace("localhost:8883", &format!("localhost:{broker}"));
    let text = format!("{text}\n[store]\nurl = \"{}\"\n", cluster.url("xa"));
    std::fs::write(&config, text).unwrap();
    let mut central = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"))
        .args(["central", "--config"])
        .arg(&config)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(central.stdout.take().unwrap()), &mut line)
        .unwrap();
    let address =
        line.split("https=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().to_owned();
    assert!(!home.join("central.db").exists() && !home.join("data/central.db").exists());

    let told = loaxa(&["central", "person", "add", "an", "--name", "An", "--role", "administrator"], &config);
    assert!(told.status.success(), "{told:?}");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM people WHERE id = 'an'"), "1");
    let invited = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"))
        .args(["central", "invite", "loa-1", "--title", "Cụm loa 1", "--group", "xa", "--central"])
        .args([&format!("https://{address}"), "--token-file", "api-token", "--ca", "ca.pem"])
        .current_dir(&home)
        .output()
        .unwrap();
    let invited = String::from_utf8(invited.stdout).unwrap();
    let code =
        invited.split("--code ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect(&invited);
    let of_box = dir.path().join("loa-1");
    let enrolled = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"))
        .args(["box", "enrol", "--central", &format!("https://{address}"), "--code", code, "--dir"])
        .arg(&of_box)
        .arg("--state-dir")
        .arg(of_box.join("state"))
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM certificates"), "1");
    let backup = loaxa(&["central", "backup", dir.path().join("sao-luu").to_str().unwrap()], &config);
    assert!(
        !backup.status.success() && String::from_utf8_lossy(&backup.stderr).contains("pg_dump"),
        "{backup:?}"
    );

    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(central.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    central.wait().unwrap();
    cluster.sql(
        "xa",
        "INSERT INTO serials (issuer, last) VALUES ('k', 5);
         INSERT INTO recovery_codes (person, code) VALUES ('an', '\\x01')",
    );
    let renewed = loaxa(&["central", "renew", "--made", "2026-11-26T18:30:00+07:00"], &config);
    assert!(renewed.status.success(), "{renewed:?}");
    let codes = cluster.sql("xa", "SELECT count(*) FROM recovery_codes");
    assert_eq!(codes, "0", "one may have been used since");
    assert_eq!(cluster.sql("xa", "SELECT last > 16000000 FROM serials WHERE issuer = 'k'"), "t");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM links"), "0");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM acts WHERE act = 'central_restored'"), "1");
}
