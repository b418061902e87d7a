//! Many boxes in memory and a central: over links that lose packets, beside boxes whose keys were stolen.

use std::process::Command;

#[test]
fn an_emergency_is_everywhere_and_the_log_comes_home_over_bad_links_beside_hostile_boxes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(["simulate", "fleet", "--lang", "en", "--boxes", "20", "--hostile", "3", "--outage", "1"]);
    command.args(["--round-trip", "100", "--loss", "2", "--patience", "120"]);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("20 of 20 boxes connected"), "{said}");
    assert!(said.contains("after the outage: 20 of 20"), "{said}");
}
