//! A database in a file is carried over to a server, with everything in it, and the commune goes on there.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::commune::*;
use crate::support::postgres::Cluster;
use loaxa_adapters::keys::KeyFile;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::StoreError;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::sql::moving::{Step, move_to};
use loaxa_heart::domain::playback::Event;
use rusqlite::Connection;
use serde_json::json;

/// The tables and columns of a file, each column with its type.
fn columns(db: &Connection) -> Vec<(String, String, String)> {
    let mut query = db
        .prepare(
            "SELECT tables.name, columns.name, columns.type FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.name <> 'carried_over'
             ORDER BY tables.rowid, columns.cid",
        )
        .unwrap();
    query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Puts a row into every table that has none; rows that refer to another find it, as all their words are the same.
fn fill(db: &Connection) {
    let columns = columns(db);
    let mut tables: Vec<&String> = columns.iter().map(|(table, ..)| table).collect();
    tables.dedup();
    for table in tables {
        let of_table = columns.iter().filter(|(of, ..)| of == table);
        let (names, values): (Vec<_>, Vec<_>) = of_table
            .map(|(_, name, of_type)| {
                let value = match of_type.as_str() {
                    "INTEGER" => "1",
                    "REAL" => "1.5",
                    "BLOB" => "x'0001'",
                    _ if name == "becomes" => "'chữ khác'",
                    _ => "'chữ ế \"x\" ''y'''",
                };
                (format!("\"{name}\""), value)
            })
            .unzip();
        let (names, values) = (names.join(", "), values.join(", "));
        let empty: bool =
            db.query_row(&format!("SELECT count(*) = 0 FROM {table}"), [], |row| row.get(0)).unwrap();
        if empty {
            db.execute(&format!("INSERT INTO {table} ({names}) VALUES ({values})"), []).unwrap();
        }
    }
}

/// Sums that both engines make alike: of each column its numbers, or the lengths of its texts.
fn sums(db: &Connection, ask: impl Fn(&str) -> String) -> Vec<String> {
    let sum = |(table, name, of_type): (String, String, String)| {
        let what = match of_type.as_str() {
            "INTEGER" => format!("\"{name}\""),
            "REAL" => format!("CAST(\"{name}\" * 1000 AS INTEGER)"),
            _ => format!("length(\"{name}\")"),
        };
        let asked = format!("SELECT count(\"{name}\") || ' ' || coalesce(sum({what}), 0) FROM {table}");
        format!("{table}.{name}: {}", ask(&asked))
    };
    columns(db).into_iter().map(sum).collect()
}

fn of_file(db: &Connection) -> Vec<String> {
    sums(db, |asked| db.query_row(asked, [], |row| row.get(0)).unwrap())
}

#[test]
fn every_table_is_carried_over_once_and_numbers_go_on() {
    let cluster = Cluster::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("central.db");
    drop(SqlStore::open(&file).unwrap());
    let db = Connection::open(&file).unwrap();
    // A number that was given and is gone.
    db.execute("INSERT INTO rollouts (id, begun, plan, author) VALUES (900, 1, '{}', 'an')", []).unwrap();
    db.execute("DELETE FROM rollouts", []).unwrap();
    fill(&db);
    // One entry whose hash fits, and its head.
    db.execute("UPDATE log SET body = '{\"a\":1}'", []).unwrap();
    let hash = loaxa_heart::domain::ids::ContentHash::of(b"{\"a\":1}");
    db.execute("UPDATE log SET hash = ?1", [hash.0]).unwrap();
    db.execute("UPDATE heads SET hash = ?1", [hash.0]).unwrap();
    let before = of_file(&db);
    assert!(before.len() > 300 && before.iter().all(|line| !line.contains(": 0 ")), "{before:#?}");

    // A server with something else in it is left alone.
    cluster.create("other");
    drop(SqlStore::open_at(&cluster.database("other"), None).unwrap());
    cluster.sql("other", "INSERT INTO serials (issuer, last) VALUES ('k', 5)");
    let refused = move_to(&file, &cluster.database("other"), &|_| {}).unwrap_err();
    assert!(refused.to_string().contains("other rows"), "{refused}");
    assert_eq!(cluster.sql("other", "SELECT count(*) FROM acts"), "0");
    // An entry that does not fit its hash is told, and nothing is kept.
    cluster.create("xa");
    db.execute("UPDATE log SET body = '{\"a\":2}'", []).unwrap();
    let refused = move_to(&file, &cluster.database("xa"), &|_| {}).unwrap_err();
    assert!(refused.to_string().contains("chữ ế"), "{refused}");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM pg_class WHERE relname = 'log'"), "0");
    db.execute("UPDATE log SET body = '{\"a\":1}'", []).unwrap();
    // Nor is a file carried over on which a central works.
    let working = loaxa_central::store::sql::work_alone_on(&file).unwrap();
    let refused = move_to(&file, &cluster.database("xa"), &|_| {}).unwrap_err();
    assert!(matches!(refused, StoreError::Taken { .. }), "{refused}");
    drop(working);

    let steps = std::sync::Mutex::new(Vec::new());
    let moved = move_to(&file, &cluster.database("xa"), &|step| steps.lock().unwrap().push(step)).unwrap();
    assert_eq!((moved.logs, moved.entries, moved.was_there), (1, 1, false));
    let steps = steps.into_inner().unwrap();
    assert!(steps.contains(&Step::Sent { table: "acts".to_owned(), rows: 1, of: 1 }), "{steps:?}");
    assert_eq!(steps.last(), Some(&Step::Compared { logs: 1, of: 1 }));
    assert_eq!(sums(&db, |asked| cluster.sql("xa", asked)), before);
    let next = "INSERT INTO rollouts (begun, plan, author) VALUES (1, '{}', 'an') RETURNING id";
    assert_eq!(cluster.sql("xa", next), "901");
    assert_eq!(cluster.sql("xa", "SELECT nextval('log_cursors')"), "2");
    cluster.sql("xa", "DELETE FROM rollouts WHERE id = 901");

    // The file is at rest from then on.
    let refused = SqlStore::open(&file).err().unwrap().to_string();
    assert!(refused.contains(&cluster.url("xa")), "{refused}");
    // A break between both: the server has everything, and the file does not say so yet.
    db.execute("DELETE FROM carried_over", []).unwrap();
    assert!(move_to(&file, &cluster.database("xa"), &|_| {}).unwrap().was_there);
    assert!(SqlStore::open(&file).is_err());
}

/// The configuration of [`settings`] as files.
fn write_config(dir: &Path) {
    for (name, key) in [("central.key", central_key()), ("an.key", key(1)), ("binh.key", key(2))] {
        KeyFile { key, holder: None }.write_new(&dir.join(name)).unwrap();
    }
    std::fs::write(dir.join("trust.json"), trust()).unwrap();
    loaxa_adapters::private_files::write(&dir.join("token"), format!("{TOKEN}\n").as_bytes()).unwrap();
    let text = "[central]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\ncommune = \"Xã Thử\"\ngroup = \"xa\"\n\
                [broker]\nembedded = \"127.0.0.1:0\"\n[api]\ntoken_file = \"token\"\n\
                [keys]\ncentral = \"central.key\"\nissuers = [\"an.key\", \"binh.key\"]\ntrust = \"trust.json\"\n\
                [[group]]\nid = \"xa\"\ntitle = \"Xã Thử\"\n";
    std::fs::write(dir.join("central.toml"), text).unwrap();
}

fn carry(dir: &Path, url: &str) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(["central", "move-to", url, "--config"]).arg(dir.join("central.toml"));
    let output = command.env("LOAXA_LANG", "vi").output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

async fn announced(central: &Central, title: &str) -> u64 {
    let fields = json!({ "to": ["xa"], "class": "normal", "title": title });
    let answer = announce(central, &fields, Some(&tone())).await;
    let id = answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    let sent = get_api(central, &format!("/api/v1/announcements/{id}")).await.json();
    sent["command"]["serial"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commune_in_a_file_goes_on_upon_a_server() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    write_config(dir.path());
    let in_file = settings(&data, embedded());
    let central = start(in_file.clone()).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    for _ in 0..3 {
        loa.append(Event::DeviceBack);
    }
    assert_eq!(loa.upload(1, 3).await.contiguous_upto, 3);
    let serial = announced(&central, "Họp thôn").await;
    let (output, said) = carry(dir.path(), &cluster.url("xa"));
    assert!(!output.status.success(), "central works on it: {said}");
    central.stop().await;
    let before = get_all(&in_file).await;

    let (output, said) = carry(dir.path(), &cluster.url("xa"));
    assert!(output.status.success(), "{said}");
    let url = format!("url = \"{}\"", cluster.url("xa"));
    assert!(said.contains("1 nhật ký cụm loa với 3 mục") && said.contains(&url), "{said}");
    let on_server = Settings { database: cluster.database("xa"), ..in_file };
    assert_eq!(get_all(&on_server).await, before);
    let central = start(on_server).await;
    let mut again = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.append(Event::DeviceBack);
    (again.epoch, again.records) = (loa.epoch, loa.records);
    again.hello("n", again.holds(&[]));
    assert_eq!(again.upload(2, 4).await.contiguous_upto, 4);
    assert_eq!(announced(&central, "Họp xóm").await, serial + 1);
    assert_eq!(cluster.sql("xa", "SELECT count(*) - count(DISTINCT (box, epoch, seq)) FROM log"), "0");
    central.stop().await;
}

/// Answers of the programs' door to the commune's lists.
async fn get_all(settings: &Settings) -> Vec<serde_json::Value> {
    let central = start(settings.clone()).await;
    let mut all = Vec::new();
    for path in ["log", "announcements", "plays"] {
        all.push(get_api(&central, &format!("/api/v1/{path}")).await.json());
    }
    central.stop().await;
    all
}
