//! `loaxa box enrol`: makes this box's keys and lets central take it in.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::tls::TlsConfig;

use super::language::{Failure, Outcome, foreign, of_file, tell};
use super::service_user;
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};
use loaxa_heart::wire::signing::SecretKey;

/// Longest wait for central's answer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Largest answer: a trust document and two certificates.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

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

/// Asks the central at this address to take a box in. The answer is not checked here.
///
/// # Errors
/// The sentence with which central refuses, or why it can't be reached.
pub fn ask(central: &str, request: &EnrolRequest) -> Result<Enrolled, Failure> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The box knows no authority yet. It does not need one here: nothing secret is sent, and the answer is checked by the
    // code as a whole.
    let unchecked = TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT_MAX));
    let agent: ureq::Agent = config.tls_config(unchecked).build().into();
    let url = format!("{}/api/v1/enrol", central.trim_end_matches('/'));
    let sent = agent.post(&url).header("content-type", "application/json").send(serde_json::to_vec(request)?);
    let mut answer = sent.map_err(|error| said!("client.unreachable", address = url, error))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_string()
        .map_err(|error| foreign(&error))?;
    if answer.status().is_success() {
        return Ok(serde_json::from_str(&text)?);
    }
    let refusal: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let why = match (refusal["error_vi"].as_str(), refusal["error"].as_str()) {
        (Some(vi), Some(en)) => Sentence::Each { vi: vi.to_owned(), en: en.to_owned() },
        _ => said!("enrol.no_reason"),
    };
    Err(said!("enrol.refused", status = answer.status(), why).into())
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
