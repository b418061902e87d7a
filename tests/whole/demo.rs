//! The whole commune, as a newcomer starts it: every check of its log and of its recordings is right.
use std::process::{Command, Output};

fn demo(args: &[&str], dir: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command
        .env("LOAXA_LANG", "vi")
        .arg("demo")
        .args(args)
        .arg("--dir")
        .arg(dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

#[test]
fn what_the_demo_plays_is_in_the_log_and_in_the_recordings() {
    let temp = tempfile::tempdir().unwrap();
    let output = demo(&["--once"], &temp.path().join("demo"));
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{failed}");
    // Three boxes: five items and three announcements each in the log; then what sounded, its tones, and the silence.
    let count = |part: &str| said.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("nhật ký: "), 3 * (5 + 3), "{failed}");
    assert_eq!(count("im lặng"), 3, "{failed}");
    assert_eq!(count("còi "), 3, "{failed}");
    assert!(count("âm nền") >= 3 * 2, "{failed}");
    assert!(count(" giống ") > 3 * 9, "{failed}");
    assert!(said.contains("kiểm tra, 0 sai"), "{failed}");
}

#[test]
fn a_folder_that_is_no_demos_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("luan-van.txt"), "").unwrap();
    let output = demo(&["--once"], temp.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--dir"), "{said}");
}
