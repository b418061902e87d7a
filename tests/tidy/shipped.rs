//! Every file that we ship is valid.

use std::fs;
use std::path::Path;
use std::process::Command;

use loaxa_heart::config::programme_file::{self, Audio};

use crate::source::{files_under, root};

#[test]
fn shipped_programmes_are_accepted() {
    let probe = |path: &Path| if path.is_file() { Ok(10_000) } else { Err("is missing".to_owned().into()) };
    let programmes = files_under("playlists", "toml");
    assert!(!programmes.is_empty());
    for path in programmes {
        if let Err(problems) = programme_file::read(&path, Audio::Required(&probe)) {
            panic!("{problems}");
        }
    }
}

#[test]
fn shipped_settings_are_well_formed() {
    let settings = files_under("firmware-config", "toml");
    assert!(settings.len() >= 2, "box.toml and central.toml are shipped");
    for path in settings {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = text.parse::<toml::Table>() {
            panic!("{}: {error}", path.display());
        }
    }
}

/// Every text of the example is spoken and every audio file is used or named in its README.
#[test]
fn the_example_commune_is_whole() {
    let commune = root().join("playlists/binh-minh");
    let programme = fs::read_to_string(commune.join("programme.toml")).unwrap();
    let m3u8 = fs::read_to_string(commune.join("nhac.m3u8")).unwrap();
    let readme = fs::read_to_string(root().join("playlists/README.md")).unwrap();
    let mut bytes = 0;
    let mut stems = Vec::new();
    for entry in fs::read_dir(commune.join("audio")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        bytes += fs::metadata(&path).unwrap().len();
        stems.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        let used =
            programme.contains(&format!("\"audio/{name}\"")) || m3u8.contains(&format!("audio/{name}"));
        assert!(used || readme.contains(&format!("`{name}`")), "{name} is used nowhere");
        assert!(readme.contains(&format!("| {name} |")), "{name} is not in the table of playlists/README.md");
    }
    for text in files_under("playlists/binh-minh/texts", "txt") {
        let stem = text.file_stem().unwrap().to_str().unwrap();
        assert!(stems.iter().any(|it| it == stem), "{stem}.txt was not spoken: run playlists/make.sh");
    }
    assert!(bytes < 6_000_000, "the example weighs {bytes} bytes");
}

#[test]
fn the_broker_takes_the_largest_message() {
    let text = fs::read_to_string(root().join("firmware-config/mosquitto.conf")).unwrap();
    let expected = format!("message_size_limit {}", loaxa_heart::wire::messages::MESSAGE_BYTES_MAX);
    assert!(text.lines().any(|line| line == expected), "mosquitto.conf must say: {expected}");
}

/// `systemd-analyze` wants the program to exist, so another one stands in for it.
#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not here: the units were not checked");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for path in [files_under("firmware-config", "service"), files_under("firmware-config", "path")].concat() {
        let text = fs::read_to_string(&path).unwrap();
        let starts = |line: &&str| line.starts_with("ExecStart=");
        let known = |line: &str| {
            ["/usr/bin/loaxa ", "/usr/bin/systemctl "].iter().any(|it| line[10..].starts_with(it))
        };
        assert!(text.lines().filter(starts).all(known), "{text}");
        let stand_in =
            |line: &str| if starts(&line) { "ExecStart=/bin/true\n".to_owned() } else { format!("{line}\n") };
        let copy = folder.path().join(path.file_name().unwrap());
        fs::write(&copy, text.lines().map(stand_in).collect::<String>()).unwrap();
        let answer =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}
