//! `loaxa central` as its own process, and the commands that staff type.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::commune::{TOKEN, central_key, key, tone, trust};
use crate::support::free_port;
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::domain::time::Span;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn loaxa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.env("LOAXA_LANG", "vi");
    command
}

struct Running {
    child: Child,
    http: String,
}

impl Running {
    fn start(dir: &Path) -> Self {
        Self::start_by(loaxa(), dir)
    }

    fn start_by(mut command: Command, dir: &Path) -> Self {
        let config = write_commune(dir);
        let mut child = command
            .args(["central", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http = line.split("http=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let http = format!("http://{}", http.unwrap_or_else(|| panic!("it says where it is: {line:?}")));
        Self { child, http }
    }

    fn run(&self, args: &[&str]) -> Output {
        loaxa().args(args).env("LOAXA_CENTRAL", &self.http).env("LOAXA_TOKEN", TOKEN).output().unwrap()
    }

    /// Asks it to end, and waits.
    fn end(mut self) -> i32 {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code().expect("it ends by itself")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test came to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_commune(dir: &Path) -> std::path::PathBuf {
    for (name, key) in [("central.key", central_key()), ("an.key", key(1)), ("binh.key", key(2))] {
        KeyFile { key, holder: None }.write_new(&dir.join(name)).unwrap();
    }
    std::fs::write(dir.join("trust.json"), trust()).unwrap();
    loaxa_adapters::private_files::write(&dir.join("token"), format!("{TOKEN}\n").as_bytes()).unwrap();
    let config = format!(
        r#"
[central]
listen = "127.0.0.1:0"
data_dir = "data"
commune = "Xã Thử"
group = "xa"
[broker]
embedded = "127.0.0.1:{}"
[api]
token_file = "token"
[keys]
central = "central.key"
issuers = ["an.key", "binh.key"]
trust = "trust.json"
[[group]]
id = "xa"
title = "Xã Thử"
[[box]]
id = "loa-1"
title = "Cụm loa 1"
groups = ["xa"]
"#,
        free_port()
    );
    let path = dir.join("central.toml");
    std::fs::write(&path, config).unwrap();
    path
}

fn check(output: &Output, ok: bool, says: &str) -> String {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() == ok && said.contains(says), "{says:?} in {said:?}");
    said
}

/// Without ffmpeg at the centre, what boxes can't play is refused with what to do instead.
#[test]
fn a_centre_without_ffmpeg_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = loaxa();
    command.env("PATH", "/nowhere");
    let central = Running::start_by(command, dir.path());
    let amr = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cases/audio/amr-nb-voice-note.amr");
    let refused = check(&central.run(&["announce", "--to", "xa", "--audio", amr]), false, "dạng AMR");
    assert!(refused.contains("hãy lưu lại thành MP3 hoặc M4A"), "{refused}");
    let left = dir.path().join("data/media/incoming");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
}

#[test]
fn staff_type_and_central_does() {
    let dir = tempfile::tempdir().unwrap();
    let central = Running::start(dir.path());
    let wav = dir.path().join("bài \"1\".wav");
    std::fs::write(&wav, tone()).unwrap();
    let wav = wav.to_str().unwrap();
    let sent = check(
        &central.run(&["announce", "--to", "xa", "--audio", wav, "--class", "emergency"]),
        true,
        "đã gửi thông báo",
    );
    let id = sent.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(sent.contains("gửi đến 1 cụm loa") && sent.contains("chưa liên lạc lần nào"), "{sent}");
    let tomorrow = loaxa_adapters::clock::wall().plus(Span::secs(86_400)).local();
    let late = tomorrow.format("23:59 %d/%m/%Y").to_string();
    let at = ["announce", "--to", "xa", "--text", "Họp thôn", "--at", &late, "--repeat", "2", "--lang", "en"];
    let refused = check(&central.run(&at), false, "outside the allowed hours");
    assert!(refused.contains("nothing was sent") && refused.contains("--anyway"), "{refused}");
    check(&central.run(&[&at[..], &["--anyway"]].concat()), true, "sent announcement");
    let night = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cases/programmes/at0315.toml");
    let stopped = central.run(&["programme", "send", night]);
    assert_eq!(stopped.status.code(), Some(3));
    let refused = check(&stopped, false, "loa sẽ không phát S [a] 03:15-03:20");
    assert!(refused.contains("ngoài giờ cho phép") && refused.contains("chưa gửi gì"), "{refused}");
    check(&central.run(&["programme", "list", "--json"]), true, "[]");
    check(&central.run(&["programme", "send", night, "--anyway"]), true, "đã gửi chương trình p");
    check(&central.run(&["announce", "--to", "nowhere", "--audio", wav]), false, "không có nhóm nowhere");
    check(&central.run(&["announce", "--to", "xa"]), false, "--audio");
    check(&central.run(&["status"]), true, "chưa liên lạc");
    check(&central.run(&["status", "--lang", "en"]), true, "never seen");
    check(&central.run(&["status"]), true, "tin của cụm loa bị từ chối");
    check(&central.run(&["status", "--lang", "en"]), true, "0 messages of boxes refused");
    check(&central.run(&["logs"]), true, "KẾT QUẢ");
    check(&central.run(&["logs", "--format", "csv"]), true, "start,box");
    check(&central.run(&["report", "--month", "2026-11"]), true, "SỐ PHÚT");
    check(&central.run(&["stop", &id]), true, "đã gửi lệnh dừng");
    check(&central.run(&["stop", "no-such"]), false, "không có thông báo no-such");
    check(&central.run(&["stop"]), true, "đã gửi lệnh dừng");
    check(
        &central.run(&[
            "announce",
            "--to",
            "xa",
            "--audio",
            wav,
            "--class",
            "emergency",
            "--title",
            "Lũ quét",
        ]),
        true,
        "đã gửi thông báo",
    );
    let kept = check(&central.run(&["stop"]), false, "đang có báo động thật");
    assert!(kept.contains("Lũ quét") && kept.contains("--all"), "{kept}");
    check(&central.run(&["stop", "--all", "--lang", "en"]), true, "sent the order to stop");
    check(&central.run(&["stop"]), true, "đã gửi lệnh dừng");
    check(
        &central.run(&["announce", "--to", "xa", "--text", "x", "--at", "00:00"]),
        false,
        "hôm nay đã quá 00:00",
    );
    for day in ["hôm qua", "26/11/2026", "2026-11-26", "yesterday"] {
        check(&central.run(&["logs", "--from", day, "--to", day]), true, "KẾT QUẢ");
    }
    check(&central.run(&["logs", "--from", "tuần trước"]), false, "26/11/2026");
    check(&central.run(&["groups"]), true, "Cụm loa 1");
    check(&central.run(&["groups", "--json"]), true, "\"boxes\"");
    check(&central.run(&["programme", "list"]), true, "CỤM LOA ĐÃ CÓ");
    check(&central.run(&["policy", "show"]), true, "chưa gửi quy định nào");
    check(&central.run(&["live", "--group", "nowhere", wav]), false, "không có nhóm nowhere");
    let hours = dir.path().join("hours.toml");
    std::fs::write(&hours, "allowed = []\n").unwrap();
    let hours = hours.to_str().unwrap();
    check(&central.run(&["policy", "send", hours, "--to", "xa"]), true, "đã gửi quy định");
    let stopped = central.run(&["live", "--group", "xa", wav]);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    let refused = check(&stopped, false, "ngoài giờ cho phép");
    assert!(refused.contains("chưa phát gì") && !refused.contains("đang phát"), "{refused}");
    check(&central.run(&["live", "--group", "xa", wav, "--anyway"]), true, "đã phát trực tiếp");
    std::fs::write(hours, "allowed = [{ from = '00:00', until = '24:00' }]\n").unwrap();
    check(&central.run(&["policy", "send", hours, "--to", "xa"]), true, "đã gửi quy định");
    check(&central.run(&["live", "--group", "xa", wav]), true, "đã phát trực tiếp");
    let stranger =
        loaxa().args(["status", "--central", &central.http]).env("LOAXA_TOKEN", "wrong").output().unwrap();
    check(&stranger, false, "API cần mã truy cập");
    assert_eq!(central.end(), 0);
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let config = write_commune(dir.path());
    let start = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&config).unwrap().replace(from, to);
        let path = dir.path().join("wrong.toml");
        std::fs::write(&path, text).unwrap();
        loaxa().env("LOAXA_LANG", "en").args(["central", "--config"]).arg(path).output().unwrap()
    };
    check(&start("commune =", "comune ="), false, "wrong.toml:5");
    check(&start("trust.json", "gone.json"), false, "gone.json");
    loaxa_adapters::private_files::write(&dir.path().join("short"), b"x").unwrap();
    check(&start("token_file = \"token\"", "token_file = \"short\""), false, "openssl rand -hex 32");
    check(&start("central = \"central.key\"", "central = \"an.key\""), false, "no power to acknowledge");
}

#[test]
fn a_token_of_a_program_is_made_listed_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let central = Running::start(dir.path());
    let token = |action: &str, more: &[&str]| {
        let config = dir.path().join("central.toml");
        loaxa().args(["central", "token", action]).args(more).arg("--config").arg(config).output().unwrap()
    };
    check(&token("add", &["bao-cao"]), false, "--owner");
    check(&token("add", &["bao-cao", "--owner", "lan"]), false, "không có tài khoản lan");
    let config = dir.path().join("central.toml");
    let person = loaxa()
        .args(["central", "person", "add", "lan", "--name", "Nguyễn Thị Lan", "--role", "writer"])
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert!(person.status.success(), "{person:?}");
    let made = token("add", &["bao-cao", "--scope", "read", "--days", "30", "--owner", "lan"]);
    check(&made, true, "bao-cao");
    let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!(secret.len(), 64, "{secret}");
    check(&token("add", &["bao-cao", "--owner", "lan"]), false, "bao-cao");
    check(&token("add", &["lau", "--owner", "lan", "--days", "4000"]), false, "3650");
    let by = |args: &[&str]| {
        loaxa().args(args).env("LOAXA_CENTRAL", &central.http).env("LOAXA_TOKEN", &secret).output().unwrap()
    };
    check(&by(&["status"]), true, "Cụm loa 1");
    check(&by(&["stop"]), false, "announce");
    let listed = check(&token("list", &[]), true, "bao-cao");
    assert!(
        listed.contains("read")
            && listed.contains("lan")
            && listed.contains("dùng được")
            && !listed.contains(&secret),
        "{listed}"
    );
    check(&token("revoke", &["bao-cao"]), true, "bao-cao");
    check(&token("revoke", &["khong-co"]), false, "khong-co");
    check(&token("list", &[]), true, "đã thu hồi");
    check(&by(&["status"]), false, "API cần mã truy cập");
    assert_eq!(central.end(), 0);
}

#[test]
fn who_orders_by_a_key_brings_audio_along() {
    let dir = tempfile::tempdir().unwrap();
    let central = Running::start(dir.path());
    let wav = dir.path().join("bão.wav");
    std::fs::write(&wav, tone()).unwrap();
    let an = dir.path().join("an.key");
    let order = ["announce", "--to", "xa", "--class", "priority", "--title", "Bão", "--audio"];
    let by_key = |client: &mut Command| {
        let client = client.args(order).arg(&wav).arg("--key").arg(&an).arg("--anyway");
        client.env("LOAXA_CENTRAL", &central.http).output().unwrap()
    };
    check(&by_key(loaxa().env_remove("LOAXA_TOKEN")), false, "LOAXA_TOKEN");
    // The guards are asked before anybody's key signs; an exercise is no emergency to them.
    for (order, reason) in [
        (&["--class", "priority"][..], "ngoài giờ cho phép"),
        (&["--class", "emergency", "--mode", "exercise"], "không được diễn tập ban đêm"),
    ] {
        let mut asked = loaxa();
        asked.args(["announce", "--to", "xa", "--text", "Họp", "--at", "ngày mai 03:15"]).args(order);
        asked.env("LOAXA_CENTRAL", &central.http).env("LOAXA_TOKEN", TOKEN);
        let by_token = asked.output().unwrap();
        assert_eq!(by_token.status.code(), Some(3), "{by_token:?}");
        let by_key = asked.arg("--key").arg(&an).output().unwrap();
        assert_eq!(by_key.status.code(), Some(3), "{by_key:?}");
        let said = check(&by_key, false, reason);
        assert!(said.contains("chưa gửi gì"), "{said}");
    }
    let mut drafts = loaxa();
    let drafts =
        drafts.args(["draft", "list", "--key"]).arg(&an).env("LOAXA_CENTRAL", &central.http).output();
    assert_eq!(check(&drafts.unwrap(), true, ""), "");
    check(&by_key(loaxa().env("LOAXA_TOKEN", TOKEN)), true, "đã gửi thông báo");
    let client = ureq::get(format!("{}/api/v1/announcements", central.http));
    let mut answer = client.header("authorization", format!("Bearer {TOKEN}")).call().unwrap();
    let listed: serde_json::Value =
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let payload = listed.to_string();
    assert!(payload.contains("Bão"), "{payload}");
    let id = listed[0]["id"].as_str().unwrap();
    let client = ureq::get(format!("{}/api/v1/announcements/{id}", central.http));
    let mut answer = client.header("authorization", format!("Bearer {TOKEN}")).call().unwrap();
    let told = answer.body_mut().read_to_string().unwrap();
    let hash = loaxa_heart::domain::ids::ContentHash::of(&tone()).to_string();
    assert!(told.contains(&hash) && told.contains("Bão"), "{hash}: {told}");
    assert_eq!(central.end(), 0);
}

#[test]
fn a_reader_who_goes_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = loaxa();
    command.args(["key", "new", "--out"]).arg(dir.path().join("key")).stdout(writer);
    let ended = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(ended.status.code(), Some(141));
}

#[test]
fn a_log_is_verified_from_a_file_only() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), std::path::Path::new("/dev/zero")] {
        let refused = loaxa().args(["logs", "verify"]).arg(path).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
}
