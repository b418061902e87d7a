//! `loaxa box enrol`: makes this box's keys and lets central take it in.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::enrol_ask::ask;
use super::language::{Failure, Outcome, of_file, tell};
use super::service_user;
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};
use loaxa_heart::wire::signing::SecretKey;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, value_name = "URL")]
    central: String,
    #[arg(long)]
    code: EnrolmentCode,
    #[arg(long, default_value = "/etc/loaxa")]
    dir: PathBuf,
    #[arg(long, default_value = "/var/lib/loaxa")]
    state_dir: PathBuf,
}

pub fn run(args: Args) -> Outcome {
    let dir = &args.dir;
    for folder in [dir.clone(), dir.join("tls"), dir.join("trust")] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&folder);
        made.map_err(|error| of_file(&folder, &error))?;
    }
    let log_key = KeyFile::read_or_make(&dir.join("trust/box.key"), None)?.key;
    let tls_key = KeyFile::read_or_make(&dir.join("trust/tls.key"), None)?.key;
    let request = EnrolRequest::new(&args.code, &log_key.public(), &tls_key.public());
    let enrolled = ask(&args.central, &request)?;
    let root = enrolled.check(&args.code, &log_key.public(), &tls_key.public())?;
    write(dir, "trust/root.pub", &format!("public {root}\n"), 0o644)?;
    write(dir, "trust/trust.dsse.json", &enrolled.trust, 0o644)?;
    write(dir, "tls/ca.pem", &enrolled.ca, 0o644)?;
    write(dir, "tls/box.pem", &enrolled.certificate, 0o644)?;
    write(dir, "tls/box.key", &pkcs8_pem(&tls_key), 0o600)?;
    let settings = settings(&enrolled, &args.state_dir);
    let name = if dir.join("box.toml").exists() { "box.toml.enrolled" } else { "box.toml" };
    write(dir, name, &settings, 0o644)?;
    service_user::hand_over("loaxa", &dir.join("trust/box.key"))?;
    service_user::hand_over("loaxa", &dir.join("tls/box.key"))?;
    tell!("enrol.done", id = enrolled.id, path = dir.join(name).display());
    if name != "box.toml" {
        tell!("enrol.kept");
    }
    tell!("enrol.next");
    Ok(ExitCode::SUCCESS)
}

/// The key as TLS libraries read it (RFC 8410).
fn pkcs8_pem(key: &SecretKey) -> String {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&HEAD[..], &key.seed()].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
}

fn settings(enrolled: &Enrolled, state_dir: &Path) -> String {
    let groups: Vec<String> = enrolled.groups.iter().map(|group| format!("\"{group}\"")).collect();
    let state_dir = toml::Value::String(state_dir.display().to_string());
    format!(
        r#"# loaxa box enrol; firmware-config/box.toml explains every line and shows what else can be set.
[box]
id = "{id}"
groups = [{groups}]
state_dir = {state_dir}

[sound]
output = "alsa:default"

[central]
broker = "{broker}"
ca = "tls/ca.pem"
cert = "tls/box.pem"
key = "tls/box.key"

[trust]
root = "trust/root.pub"
trust = "trust/trust.dsse.json"
key = "trust/box.key"
"#,
        id = enrolled.id,
        groups = groups.join(", "),
        broker = enrolled.broker,
    )
}

/// Writes a file anew, as a whole or not at all.
fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let path = dir.join(name);
    let fresh = dir.join(format!("{name}.new"));
    let written = (|| {
        // What an earlier try left.
        let _ = std::fs::remove_file(&fresh);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    })();
    written.map_err(|error: std::io::Error| of_file(&path, &error).into())
}
