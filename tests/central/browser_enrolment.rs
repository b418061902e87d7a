//! Staff make a code on the page; what its QR says, as a real reader reads it, enrols a box.
use std::process::Command;

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::link::certificates::Ca;
use loaxa_central::settings::Enrolment;
use loaxa_central::store::Role;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_qr_on_the_page_enrols_a_box() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.enrolment = Some(Enrolment {
        ca: Ca::make(Ca::term(loaxa_adapters::clock::wall().date())).unwrap(),
        root: key(100).public(),
        broker: "mqtts://localhost:8883".parse().unwrap(),
        crl: dir.path().join("crl.pem"),
        certificate_days: None,
        refuse_expired: false,
    });
    let central = start(settings).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let technician = Staff::make(&central, "tho", &[(Role::Technician, "xa")]).await;
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&technician);
    page.go(&format!("{address}/cum-loa/moi"));
    page.until("location.pathname === '/cum-loa/moi' && document.querySelector('#ma')");
    page.fill("#ma", "loa-7");
    page.fill("#ten", "Cụm loa 7");
    page.click("input[name=nhom][value=thon-1]");
    page.click("form[action='/cum-loa/moi'] button");
    page.until("document.querySelector('#command') && document.querySelector('.qr svg')");
    let command = page.text("#command");

    let picture = dir.path().join("enrol.png");
    page.picture(&picture);
    if let Some(folder) = std::env::var_os("LOAXA_PICTURES") {
        std::fs::copy(&picture, std::path::Path::new(&folder).join("enrol.png")).unwrap();
    }
    let read = Command::new("zbarimg").args(["--raw", "--quiet"]).arg(&picture).output();
    let read = read.expect("zbarimg is installed (scripts/setup.sh --tests)");
    let read = String::from_utf8(read.stdout).unwrap().trim().to_owned();
    assert_eq!(read, command);
    let arguments: Vec<_> = read.strip_prefix("sudo loaxa ").unwrap().split(' ').map(str::to_owned).collect();
    let (here, state) = (dir.path().join("box"), dir.path().join("state"));
    let mut enrol = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    enrol.args(arguments).arg("--dir").arg(&here).arg("--state-dir").arg(state);
    let done = tokio::task::spawn_blocking(move || enrol.output().unwrap()).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let boxes = get_api(&central, "/api/v1/boxes").await.json();
    let found = boxes.as_array().unwrap().iter().find(|row| row["id"] == "loa-7").unwrap();
    assert_eq!((&found["title"], &found["groups"]), (&json!("Cụm loa 7"), &json!(["thon-1"])));
    assert!(found["key"].is_string());
    central.stop().await;
}
