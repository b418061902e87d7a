//! `loaxa box enrol`: makes this box's keys and lets central take it in.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::console::{Console, ask_for_central};
use super::enrol_ask::{NotTakenIn, ask};
use super::language::{Failure, Outcome, of_file, tell};
use super::service_user;
use loaxa_adapters::keys::{KeyFile, pkcs8_pem};
use loaxa_adapters::whole_file;
use loaxa_adapters::{authorities, private_files};
use loaxa_box::renewal;
use loaxa_heart::config::files;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::said;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};

/// Central's answer until everything that it brings is written: a code is taken only once.
const ANSWER: &str = "trust/answer.json";
/// Largest answer that is read again.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Port of central's page where an address names none.
const PAGE_PORT: u16 = 8443;
/// The output where none is named.
pub const OUTPUT: &str = "alsa:default";

#[derive(clap::Args)]
pub struct Args {
    #[arg(value_name = "CODE", required_unless_present = "code", conflicts_with = "code")]
    typed: Option<EnrolmentCode>,
    #[arg(long, value_name = "URL")]
    central: Option<String>,
    #[arg(long)]
    code: Option<EnrolmentCode>,
    #[command(flatten)]
    places: Places,
}

/// The folders of a box.
#[derive(clap::Args, Clone)]
pub struct Places {
    #[arg(long, default_value = "/etc/loaxa")]
    pub dir: PathBuf,
    #[arg(long, default_value = "/var/lib/loaxa")]
    pub state_dir: PathBuf,
}

/// A box that is to be taken in.
pub struct Newcomer {
    /// Address of central's page.
    pub central: String,
    pub code: EnrolmentCode,
    pub places: Places,
    /// Sound output, as `box.toml` names it.
    pub output: String,
}

pub fn run(args: Args) -> Outcome {
    let code = args.typed.or(args.code).ok_or_else(|| said!("enrol.no_code"))?;
    let central = match args.central {
        Some(central) => central,
        None => ask_for_central(&mut Console::stdin())?.ok_or_else(|| said!("enrol.no_central"))?,
    };
    let (places, output) = (args.places, OUTPUT.to_owned());
    take_in(&Newcomer { central: address(&central), code, places, output })?;
    tell!("enrol.next");
    Ok(ExitCode::SUCCESS)
}

/// The whole address of central's page, of which a person may type less.
pub fn address(typed: &str) -> String {
    let typed = typed.trim();
    if typed.contains("://") {
        return typed.to_owned();
    }
    let after_host = typed.rsplit_once(']').map_or(typed, |(_, rest)| rest);
    let port = if after_host.contains([':', '/']) { String::new() } else { format!(":{PAGE_PORT}") };
    format!("https://{typed}{port}")
}

/// Makes the keys, asks central, and writes all that the daemon needs; the settings last, as they end the first start. What a
/// power cut left undone is gone on with, without asking again. Gives the name under which central knows this box.
///
/// # Errors
/// Tells why central did not take this box in, or what can't be written.
pub fn take_in(newcomer: &Newcomer) -> Result<BoxId, NotTakenIn> {
    let Newcomer { central, code, places: Places { dir, state_dir }, output } = newcomer;
    private_files::as_modes_say();
    for folder in [dir.clone(), dir.join("tls"), dir.join("trust")] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&folder);
        made.map_err(|error| Failure(of_file(&folder, &error)))?;
    }
    let key = |name: &str| KeyFile::read_or_make(&dir.join(name), None).map_err(Failure::from);
    let (log_key, tls_key) = (key("trust/box.key")?.key, key("trust/tls.key")?.key);
    let check = |enrolled: &Enrolled| enrolled.check(code, &log_key.public(), &tls_key.public());
    let kept = files::read_text(&dir.join(ANSWER), ANSWER_BYTES_MAX).ok();
    let kept = kept.and_then(|text| serde_json::from_str(&text).ok()).filter(|answer| check(answer).is_ok());
    let enrolled = match kept {
        Some(enrolled) => enrolled,
        None => ask(central, &EnrolRequest::new(code, &log_key.public(), &tls_key.public()))?,
    };
    let root = check(&enrolled).map_err(|reason| NotTakenIn::Refused(reason.say()))?;
    write(dir, ANSWER, &serde_json::to_string(&enrolled).map_err(Failure::from)?, 0o600)?;
    write(dir, "trust/root.pub", &format!("public {root}\n"), 0o644)?;
    write(dir, "trust/trust.dsse.json", &enrolled.trust, 0o644)?;
    write(dir, "tls/ca.pem", &enrolled.ca, 0o644)?;
    write(dir, "tls/box.pem", &enrolled.certificate, 0o644)?;
    write(dir, "tls/box.key", &pkcs8_pem(&tls_key), 0o600)?;
    // What was renewed under the enrolment before is none of this commune's any more.
    for earlier in [renewal::file(state_dir), authorities::renewed(state_dir)] {
        if let Err(error) = std::fs::remove_file(&earlier)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Failure::from(of_file(&earlier, &error)).into());
        }
    }
    service_user::hand_over("loaxa", &dir.join("trust/box.key"))?;
    service_user::hand_over("loaxa", &dir.join("tls/box.key"))?;
    let name = if dir.join("box.toml").exists() { "box.toml.enrolled" } else { "box.toml" };
    write(dir, name, &settings(&enrolled, state_dir, output), 0o644)?;
    // Nobody asks for it any more; one that stays does no harm.
    let _ = std::fs::remove_file(dir.join(ANSWER));
    tell!("enrol.done", id = enrolled.id, path = dir.join(name).display());
    if name != "box.toml" {
        tell!("enrol.kept");
    }
    Ok(enrolled.id)
}

fn settings(enrolled: &Enrolled, state_dir: &Path, output: &str) -> String {
    let groups: Vec<String> = enrolled.groups.iter().map(|group| format!("\"{group}\"")).collect();
    let state_dir = toml::Value::String(state_dir.display().to_string());
    let output = toml::Value::String(output.to_owned());
    format!(
        r#"# loaxa box enrol; firmware-config/box.toml explains every line and shows what else can be set.
[box]
id = "{id}"
groups = [{groups}]
state_dir = {state_dir}

[sound]
output = {output}

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
    Ok(whole_file::write(&path, text.as_bytes(), mode).map_err(|error| of_file(&path, &error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_typed_short() {
        let check = |typed: &str, expected: &str| assert_eq!(address(typed), expected);
        check("10.77.0.1", "https://10.77.0.1:8443");
        check(" trung-tam.example ", "https://trung-tam.example:8443");
        check("trung-tam.example:443", "https://trung-tam.example:443");
        check("[2001:db8::1]", "https://[2001:db8::1]:8443");
        check("[2001:db8::1]:9443", "https://[2001:db8::1]:9443");
        check("https://trung-tam.example", "https://trung-tam.example");
    }
}
