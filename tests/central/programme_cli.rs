//! `loaxa check` and `loaxa programme` as a person types them.

use assert_cmd::Command;

const COMMUNE: &str = "playlists/binh-minh/programme.toml";

/// Standard output of a command that succeeds.
fn loaxa(args: &[&str]) -> String {
    let output = Command::cargo_bin("loaxa").unwrap().args(args).env("LOAXA_LANG", "en").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that fails.
fn refused(args: &[&str]) -> String {
    let output = Command::cargo_bin("loaxa").unwrap().args(args).env("LOAXA_LANG", "en").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_shipped_is_right() {
    assert!(loaxa(&["programme", "check", COMMUNE]).contains("7 slots"));
    let settings = ["check", "--elsewhere", "firmware-config/box.toml", "firmware-config/central.toml"];
    assert_eq!(loaxa(&settings).lines().count(), 2);
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("programme.toml");
    let text = std::fs::read_to_string(COMMUNE).unwrap().replace("start = \"05:00\"", "start = \"25:00\"");
    std::fs::write(&file, &text).unwrap();
    let line = text.lines().position(|line| line.contains("25:00")).unwrap() + 1;
    let told = refused(&["check", file.to_str().unwrap()]);
    let expected = format!("{}:{line}: slot.start: there is no time of day \"25:00\"", file.display());
    assert!(told.contains(&expected), "{told}");
    assert!(told.contains("audio/nhac-hieu.wav can't be played"), "all problems are told at once: {told}");
    assert!(refused(&["check", "Cargo.toml"]).contains("is no file that Loa Xã knows"));
}

/// Standard output and error of a command that warns.
fn warned(args: &[&str]) -> (String, String) {
    let output = Command::cargo_bin("loaxa").unwrap().args(args).env("LOAXA_LANG", "en").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

#[test]
fn what_the_guard_will_refuse_is_a_warning_before_anything_is_sent() {
    let case = |name: &str| format!("tests/fixtures/cases/programmes/{name}");
    let night = case("at0315.toml");
    for command in [&["check", &night][..], &["programme", "check", &night]] {
        let (told, warnings) = warned(command);
        assert!(told.contains("programme p version 1"), "{told}");
        assert!(
            warnings.contains("silent for S [a] 03:15-03:20")
                && warnings.contains("outside the allowed hours"),
            "{warnings}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:u\r\nSUMMARY:Khuya\r\nDTSTART:20270102T031500\r\nDURATION:PT5M\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    std::fs::write(at("khuya.ICS"), event).unwrap();
    let (told, warnings) = warned(&["check", &at("khuya.ICS")]);
    assert!(told.contains("1 event") && warnings.contains("Khuya"), "{told}{warnings}");
    let (slots, warnings) = warned(&["programme", "import", &at("khuya.ICS"), "--playlist", "l"]);
    assert!(slots.contains("start = \"03:15\"") && warnings.contains("03:15-03:20"), "{slots}{warnings}");
    // A box of its own limits lets it sound, and one that rests does not.
    let of_box = |guard: &str| {
        let text = std::fs::read_to_string("firmware-config/box.toml").unwrap();
        let before = text.split("\n[guard]").next().unwrap();
        std::fs::write(at("box.toml"), format!("{before}\n[guard]\n{guard}\n")).unwrap();
    };
    of_box("allowed = [{ from = '00:00', until = '24:00' }]");
    loaxa(&["check", &night, "--box", &at("box.toml")]);
    of_box(
        "allowed = [{ from = '00:00', until = '24:00' }]\nrest_weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']",
    );
    assert!(warned(&["check", &night, "--box", &at("box.toml")]).1.contains("rest"));
    // What is wrong weighs more than what is refused.
    refused(&["check", &night, &case("overlap.toml")]);
}

#[test]
fn what_is_no_file_is_refused_at_once_under_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["p.toml", "a.ics", "a.m3u8", "a.xml", "a.wav"] {
        assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
    }
    assert!(refused(&["check", &at("p.toml"), &at("a.ics"), &at("a.m3u8")]).matches("a pipe").count() == 3);
    assert!(refused(&["programme", "import", &at("a.ics"), "--playlist", "l"]).contains("a pipe"));
    assert!(refused(&["programme", "preview", &at("p.toml")]).contains("a pipe"));
    assert!(refused(&["cap", "check", &at("a.xml")]).contains("a pipe"));
    std::fs::write(
        at("q.toml"),
        std::fs::read_to_string("tests/fixtures/cases/programmes/at0315.toml")
            .unwrap()
            .replace("text = \"xin chao\"", "file = \"a.wav\""),
    )
    .unwrap();
    assert!(refused(&["check", &at("q.toml")]).contains("a pipe"));
}

#[test]
fn a_preview_comes_in_four_forms() {
    let preview = |format| {
        let days = ["--from", "2027-02-06", "--to", "2027-02-14", "--format", format, "--lang", "vi"];
        loaxa(&[&["programme", "preview", COMMUNE][..], &days].concat())
    };
    let text = preview("text");
    assert!(text.contains("Thứ Bảy, 06/02/2027 (âm lịch 1/1/2027)"), "{text}");
    assert!(text.contains("07:00-07:10  Chương trình Tết") && text.contains("tuần từ 2027-02-08"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&preview("json")).unwrap();
    assert_eq!(json["sessions"][0]["slot"], "tet");
    assert!(preview("svg").starts_with("<svg"));
    let ics = preview("ics");
    assert_eq!(ics.matches("BEGIN:VEVENT").count(), json["sessions"].as_array().unwrap().len());
}

#[test]
fn a_village_hears_its_own() {
    let day = ["programme", "preview", COMMUNE, "--from", "2026-11-23", "--to", "2026-11-23"];
    let titles = |group: &str| loaxa(&[&day[..], &["--group", group]].concat());
    assert!(titles("thon-doai").contains("Ngầm tràn thôn Đoài"));
    assert!(!titles("thon-dong").contains("Ngầm tràn thôn Đoài"));
    let tay = loaxa(&[&day[..], &["--language", "tay"]].concat());
    assert!(tay.contains("Phòng bệnh sốt xuất huyết · y-te · tay"), "{tay}");
}

#[test]
fn slots_and_playlists_go_out_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let calendar = folder.path().join("slots.ics");
    std::fs::write(&calendar, loaxa(&["programme", "export", COMMUNE, "--from", "2026-11-21"])).unwrap();
    let slots = loaxa(&["programme", "import", calendar.to_str().unwrap(), "--playlist", "x"]);
    assert_eq!(slots.matches("[[slot]]").count(), 7);
    assert!(slots.contains("holiday = \"tet\"") && slots.contains("lunar = [\"15\", \"1\"]"), "{slots}");
    let list = folder.path().join("nhac.m3u8");
    std::fs::write(&list, loaxa(&["programme", "export", COMMUNE, "--playlist", "nhac"])).unwrap();
    let items = loaxa(&["programme", "import", list.to_str().unwrap(), "--playlist", "nhac"]);
    assert!(items.contains("file = \"audio/ben-nuoc.m4a\""), "{items}");
}

#[test]
fn what_differs_between_two_programmes_is_told_thing_by_thing() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("moi.toml");
    let text = std::fs::read_to_string(COMMUNE).unwrap();
    std::fs::write(folder.path().join("nhac.m3u8"), "#EXTM3U\n#EXTINF:5,A\na.mp3\n").unwrap();
    std::fs::write(&new, text.replace("start = \"05:00\"", "start = \"05:10\"")).unwrap();
    assert_eq!(loaxa(&["programme", "diff", COMMUNE, COMMUNE]), "");
    let output = Command::cargo_bin("loaxa").unwrap();
    let output = { output }.args(["programme", "diff", COMMUNE, new.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("~ slot ") && told.contains("    - start = \"05:00\""), "{told}");
    assert!(told.contains("    + start = \"05:10\""), "{told}");
}
