//! Many boxes in memory and a central: over links that lose packets, through a power cut, beside boxes whose keys were stolen.

use std::process::Command;

#[test]
fn an_emergency_sounds_once_everywhere_over_bad_links_and_a_power_cut_beside_hostile_boxes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(["simulate", "fleet", "--lang", "en", "--boxes", "20", "--hostile", "3", "--outage", "1"]);
    command.args(["--round-trip", "100", "--loss", "2", "--patience", "120"]);
    command.args(["--power-cut", "1", "--older", "50"]);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("20 of 20 boxes connected"), "{said}");
    assert!(said.contains("after the outage: 20 of 20"), "{said}");
    assert!(said.contains("after the power cut: 20 of 20"), "{said}");
    assert!(said.contains("at 20 of 20 it sounded to its end, once"), "{said}");
    assert!(said.contains("0 are missing, 0 stand twice, 0 no box wrote; 0 times"), "{said}");
}
