//! A commune whose server burns: from the backup to boxes that go on, with nothing given or sent twice.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_adapters::keys::KeyFile;
use loaxa_central::Central;
use loaxa_central::settings::BoxDeclared;
use loaxa_central::store::Role;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::time::Wall;
use serde_json::json;

/// Writes the configuration of [`settings`] as files, with the database and the audio beside it.
fn write_config(dir: &Path) -> PathBuf {
    for (name, key) in [("central.key", central_key()), ("an.key", key(1)), ("binh.key", key(2))] {
        KeyFile { key, holder: None }.write_new(&dir.join(name)).unwrap();
    }
    std::fs::write(dir.join("trust.json"), trust()).unwrap();
    loaxa_adapters::private_files::write(&dir.join("token"), format!("{TOKEN}\n").as_bytes()).unwrap();
    let path = dir.join("central.toml");
    let text = "[central]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\ncommune = \"Xã Thử\"\ngroup = \"xa\"\n\
                [broker]\nembedded = \"127.0.0.1:0\"\n[api]\ntoken_file = \"token\"\n\
                [keys]\ncentral = \"central.key\"\nissuers = [\"an.key\", \"binh.key\"]\ntrust = \"trust.json\"\n\
                [[group]]\nid = \"xa\"\ntitle = \"Xã Thử\"\n";
    std::fs::write(&path, text).unwrap();
    path
}

async fn start_in(dir: &Path) -> Central {
    std::fs::create_dir_all(dir.join("data")).unwrap();
    start(settings(&dir.join("data"), embedded())).await
}

async fn loaxa(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(arguments).env("LOAXA_LANG", "vi");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends an announcement with audio, and returns its id and its number.
async fn announced(central: &Central, title: &str) -> (String, u64) {
    let fields = json!({ "to": ["thon-1"], "class": "normal", "title": title });
    let answer = announce(central, &fields, Some(&tone())).await;
    let id = answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    let serial =
        get_api(central, &format!("/api/v1/announcements/{id}")).await.json()["command"]["serial"].clone();
    (id, serial.as_u64().unwrap())
}

fn backups(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.join("manifest.json").exists()).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commune_lives_on_from_its_backup() {
    let (burns, fresh, disk) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = write_config(burns.path());
    let central = start_in(burns.path()).await;
    let staff = Staff::make(&central, "lan", &[(Role::Administrator, "xa")]).await;
    assert_eq!(staff.get(&central, "/").await.status, 200);
    let (before, serial) = announced(&central, "Trước khi sao lưu").await;
    let code = ContentHash::of(b"0123");
    let declared = BoxDeclared {
        id: "loa-9".parse().unwrap(),
        title: "Loa 9".to_owned(),
        groups: vec!["xa".parse().unwrap()],
        key: None,
    };
    central.store().add_enrolment(code, declared, Wall::MAX).await.unwrap();
    let person = ["central", "person", "add", "mai", "--name", "Mai", "--role", "writer", "--config"];
    let invited = loaxa(&[&person[..], &[config.to_str().unwrap()]].concat()).await;
    let link = said(&invited).split("/moi/").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let opens = async |central: &Central| staff.get(central, &format!("/moi/{link}")).await.status;
    assert_eq!(opens(&central).await, 200);
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.append(Event::DeviceBack);
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(1, 2).await.contiguous_upto, 2);
    let (config, folder) = (config.to_str().unwrap(), disk.path().join("sao-luu"));
    let backed_up = loaxa(&["central", "backup", folder.to_str().unwrap(), "--config", config]).await;
    assert!(backed_up.status.success(), "{}", said(&backed_up));
    let backup = backups(&folder).pop().unwrap();
    for path in [&folder, &backup, &backup.join("central.db"), &backup.join("manifest.json")] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
    }
    // What is good once may be used after the backup.
    assert!(central.store().use_enrolment(code, "a key".to_owned(), Wall(0)).await.unwrap().is_some());
    // What happened after the backup is lost with the server; boxes know of it.
    let (_, later) = announced(&central, "Sau khi sao lưu").await;
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(3, 3).await.contiguous_upto, 3);
    central.stop().await;

    let new_config = fresh.path().join("central.toml");
    let restore = ["central", "restore", backup.to_str().unwrap(), "--config", new_config.to_str().unwrap()];
    let restored = loaxa(&restore).await;
    assert!(restored.status.success() && said(&restored).contains(&before), "{}", said(&restored));
    let again = loaxa(&restore).await;
    assert!(!again.status.success() && said(&again).contains("central.db"), "{}", said(&again));

    let central = start_in(fresh.path()).await;
    let titles = get_api(&central, "/api/v1/announcements").await.text().to_owned();
    assert!(titles.contains("Trước khi") && !titles.contains("Sau khi"), "{titles}");
    let signed_out = staff.get(&central, "/").await;
    assert!(!signed_out.text().contains("Cán bộ lan"), "{}", signed_out.status);
    assert_eq!(opens(&central).await, 404, "an invitation may have been taken since");
    let used = central.store().use_enrolment(code, "another key".to_owned(), Wall(0)).await;
    assert!(used.unwrap().is_none(), "a code may have been used since");
    staff.sign_in_again(&central).await;
    let trail = staff.get(&central, "/ai-da-lam-gi").await;
    assert!(trail.text().contains("Phục hồi trung tâm"), "{}", trail.text());
    let hash = ContentHash::of(&tone());
    let audio = staff.get(&central, &format!("/media/{hash}")).await;
    assert_eq!((audio.status, ContentHash::of(&audio.body)), (200, hash));
    let mut loa_again = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    (loa_again.records, loa_again.oldest) = (loa.records.clone(), 1);
    // The box, which had forgotten nothing, sends what central lost.
    assert_eq!(loa_again.upload(3, 3).await.contiguous_upto, 3);
    let (_, next) = announced(&central, "Sau khi phục hồi").await;
    assert!(next > later && later > serial, "{serial} {later} {next}");
    // An issuer who came after the backup, of whose numbers only boxes know.
    assert!(central.store().next_serial("moi".parse().unwrap()).await.unwrap() > 1 << 20);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_or_none() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = write_config(dir.path());
    let central = start_in(dir.path()).await;
    announced(&central, "Một").await;
    central.stop().await;
    let (folder, config) = (disk.path().to_str().unwrap(), config.to_str().unwrap());
    for _ in 0..2 {
        let made = loaxa(&["central", "backup", folder, "--config", config]).await;
        assert!(made.status.success(), "{}", said(&made));
        // Backups are named by the second.
        until("another second", async || {
            let name = loaxa_adapters::clock::wall().utc().format("%Y-%m-%dT%H-%M-%SZ").to_string();
            (!disk.path().join(name).exists()).then_some(())
        })
        .await;
    }
    let kept = loaxa(&["central", "backup", folder, "--config", config, "--keep", "2"]).await;
    assert!(kept.status.success(), "{}", said(&kept));
    let [older, newer] = backups(disk.path()).try_into().unwrap();

    let target = tempfile::tempdir().unwrap();
    let to = target.path().join("central.toml");
    let restore = async |backup: &Path| {
        let (backup, to) = (backup.to_str().unwrap(), to.to_str().unwrap());
        loaxa(&["central", "restore", backup, "--config", to]).await
    };
    let refused = async |backup: &Path, says: &str| {
        let output = restore(backup).await;
        assert!(!output.status.success() && said(&output).contains(says), "{says}: {}", said(&output));
        assert!(!target.path().join("data/central.db").exists());
    };
    std::fs::remove_file(newer.join("manifest.json")).unwrap();
    refused(&newer, "chưa sao lưu xong").await;
    refused(Path::new("/nowhere"), "chưa sao lưu xong").await;
    // One bit of one file anywhere, audio too.
    let media = disk.path().join("media");
    let part = std::fs::read_dir(&media).unwrap().next().unwrap().unwrap().path();
    let audio = std::fs::read_dir(&part).unwrap().next().unwrap().unwrap().path();
    for path in [older.join("files/0"), older.join("central.db"), older.join("central.toml"), audio] {
        let whole = std::fs::read(&path).unwrap();
        let mut hurt = whole.clone();
        hurt[whole.len() / 2] ^= 1;
        std::fs::write(&path, hurt).unwrap();
        refused(&older, "bị hỏng").await;
        std::fs::write(&path, whole).unwrap();
    }
    // Nothing that stands there already is overwritten.
    std::fs::write(target.path().join("token"), "another").unwrap();
    refused(&older, "token").await;
    std::fs::remove_file(target.path().join("token")).unwrap();
    let restored = restore(&older).await;
    assert!(restored.status.success(), "{}", said(&restored));
    let mode = std::fs::metadata(target.path().join("an.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A backup may have lain where others write: what it says of itself is only believed where it does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_backup_puts_nothing_elsewhere() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = write_config(dir.path());
    start_in(dir.path()).await.stop().await;
    let config = config.to_str().unwrap();
    let made = loaxa(&["central", "backup", disk.path().to_str().unwrap(), "--config", config]).await;
    assert!(made.status.success(), "{}", said(&made));
    let backup = backups(disk.path()).pop().unwrap();
    let manifest = backup.join("manifest.json");
    let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let to = target.path().join("loaxa/central.toml");
    let restore = async || {
        loaxa(&["central", "restore", backup.to_str().unwrap(), "--config", to.to_str().unwrap()]).await
    };
    let outside = target.path().join("cron.d/evil");
    let secret = disk.path().join("secret");
    std::fs::write(&secret, std::fs::read(backup.join("files/0")).unwrap()).unwrap();
    std::os::unix::fs::symlink(&secret, backup.join("files/link")).unwrap();
    let forge = |field: &str, value: serde_json::Value| {
        let mut forged = whole.clone();
        forged["files"][0][field] = value;
        std::fs::write(&manifest, forged.to_string()).unwrap();
    };
    for (field, value) in [
        ("named", json!("../cron.d/evil")),
        ("named", json!(outside)),
        ("named", json!("a/../../cron.d/evil")),
        ("mode", json!(0o4755)),
        ("path", json!("../secret")),
        ("path", json!("files/../../secret")),
        ("path", json!(secret)),
        ("path", json!("files/link")),
    ] {
        forge(field, value.clone());
        let refused = restore().await;
        assert!(!refused.status.success(), "{field} {value}: {}", said(&refused));
        assert!(!outside.exists() && !to.exists(), "{field} {value}: nothing is put anywhere");
    }
    // Who has looked at such a file may put it there by hand.
    let named = whole["files"][0]["named"].as_str().unwrap();
    forge("named", json!(outside));
    std::fs::create_dir(outside.parent().unwrap()).unwrap();
    std::fs::write(&outside, std::fs::read(backup.join("files/0")).unwrap()).unwrap();
    let lacks = restore().await;
    assert!(said(&lacks).contains(named), "only what the settings name is missing now: {}", said(&lacks));
}
