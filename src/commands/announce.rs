use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::check::Worst;
use super::client::{CentralArgs, Client, tell_outlook, tell_refusals, text};
use super::draft;
use super::language::{Failure, Outcome, complain, of_file, tell};
use super::when::{self, When};
use loaxa_adapters::clock;
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::config::files;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Separates the parts of the form; no audio holds it but by intent.
const BOUNDARY: &str = "loaxa-7f3c1e55a90b4d1c8e62";

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, required = true, value_name = "GROUP", value_delimiter = ',')]
    to: Vec<String>,
    #[arg(long, value_enum, default_value = "normal")]
    class: Class,
    #[arg(long, value_enum, default_value = "actual")]
    mode: Mode,
    #[arg(long, value_name = "FILE", required_unless_present = "text")]
    audio: Option<PathBuf>,
    #[arg(long)]
    text: Option<String>,
    #[arg(long)]
    title: Option<String>,
    #[arg(long, default_value = "vi")]
    language: String,
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[arg(long, default_value_t = 1)]
    repeat: u16,
    #[arg(long)]
    until_stopped: bool,
    #[arg(long, default_value_t = 5)]
    gap_s: u32,
    #[arg(long)]
    siren: bool,
    #[arg(long, conflicts_with = "siren")]
    no_chime: bool,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    volume_percent: u8,
    #[arg(long, value_name = "TIME", value_parser = span_s)]
    expires_in: Option<u32>,
    #[arg(long, value_name = "ID")]
    supersedes: Option<String>,
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    approver: Option<String>,
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    central: CentralArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Class {
    Normal,
    Priority,
    Emergency,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Mode {
    Actual,
    Exercise,
    Test,
}

impl Args {
    /// Tells whether the guards of the boxes are asked first. An actual emergency passes each of them, and waits for no
    /// question.
    fn asks_first(&self) -> bool {
        let passes = matches!((self.class, self.mode), (Class::Emergency, Mode::Actual));
        !self.anyway && !passes
    }
}

pub fn run(args: Args) -> Outcome {
    let fields = fields(&args, clock::wall())?;
    if let Some(key) = &args.key {
        let client = args.central.client_of_person()?;
        // Audio comes in by the token; what it says, by whom and to whom is the order, which the key signs.
        let media = args.audio.as_ref().map(|path| args.central.client()?.upload(path)).transpose()?;
        let order = json!({ "announce": { "fields": fields, "media": media } });
        let key = KeyFile::read(key)?.key;
        if args.asks_first() && tell_refusals(&draft::foresee(&client, &key, &order)?) {
            complain!("send.stopped");
            return Ok(Worst::Warned.exit_code());
        }
        let (id, answer) = draft::make(&client, &key, &order)?;
        match answer["sent"] == true {
            true => tell!("announce.sent", id),
            false => tell!("announce.drafted", id),
        }
        tell_outlook(&answer["expected"]);
        return Ok(ExitCode::SUCCESS);
    }
    let client = args.central.client()?;
    if args.asks_first() {
        let foreseen = post(&client, &[("foresee", "true".to_owned())], &fields, args.audio.as_deref())?;
        if tell_refusals(&foreseen) {
            complain!("send.stopped");
            return Ok(Worst::Warned.exit_code());
        }
    }
    let answer = send(&client, &fields, args.audio.as_deref())?;
    tell!("announce.sent", id = text(&answer["id"]));
    if let Some(at) = fields["at"].as_str().and_then(|at| at.parse::<Wall>().ok()) {
        tell!("announce.at", at = at.local().format("%H:%M %d/%m/%Y"));
    }
    tell_outlook(&answer);
    Ok(ExitCode::SUCCESS)
}

/// Sends the fields of the API, with audio where there is any; the answer names the announcement and what is expected.
///
/// # Errors
/// Fails when the audio can't be read, or the sentence with which central refuses.
pub fn send(client: &Client, fields: &Value, audio: Option<&Path>) -> Result<Value, Failure> {
    post(client, &[], fields, audio)
}

fn post(
    client: &Client,
    query: &[(&str, String)],
    fields: &Value,
    audio: Option<&Path>,
) -> Result<Value, Failure> {
    let audio = match audio {
        Some(path) => {
            let bytes = files::read_bytes(path, MEDIA_BYTES_MAX).map_err(|said| of_file(path, &said))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Some((name.replace(['"', '\r', '\n'], "_"), bytes))
        }
        None => None,
    };
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    client.post_with("announcements", query, &content_type, &form(fields, audio))
}

fn fields(args: &Args, now: Wall) -> Result<Value, Failure> {
    let class = match args.class {
        Class::Normal => "normal",
        Class::Priority => "priority",
        Class::Emergency => "emergency",
    };
    let mode = match args.mode {
        Mode::Actual => "actual",
        Mode::Exercise => "exercise",
        Mode::Test => "test",
    };
    let opening = match (args.siren, args.no_chime) {
        (true, _) => "siren",
        (false, true) => "none",
        (false, false) => "chime",
    };
    let at = args.at.as_deref().map(|text| instant(text, now)).transpose()?;
    Ok(json!({
        "to": args.to, "class": class, "mode": mode, "title": args.title, "text": args.text,
        "language": args.language, "at": at, "repeat": args.repeat, "until_cancelled": args.until_stopped,
        "gap_s": args.gap_s, "opening": opening, "volume_percent": args.volume_percent,
        "expires_in_s": args.expires_in, "supersedes": args.supersedes, "author": args.author,
        "approver": args.approver,
    }))
}

fn form(fields: &Value, audio: Option<(String, Vec<u8>)>) -> Vec<u8> {
    let mut body =
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n");
    let mut bytes = match audio {
        None => std::mem::take(&mut body).into_bytes(),
        Some((name, audio)) => {
            body += &format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"{name}\"\r\n\r\n"
            );
            let mut bytes = body.into_bytes();
            bytes.extend_from_slice(&audio);
            bytes.extend_from_slice(b"\r\n");
            bytes
        }
    };
    bytes.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    bytes
}

/// An instant as staff write it. A time of today that is past is no time of tomorrow: who means that says so.
fn instant(text: &str, now: Wall) -> Result<Wall, Failure> {
    match when::read(text, now) {
        Some(When::At(at)) => Ok(at),
        Some(When::Time(time)) => {
            let today = Wall::from_local(now.date().and_time(time));
            if today >= now {
                return Ok(today);
            }
            let tomorrow = today.plus(Span::secs(86_400)).local().format("%H:%M %d/%m/%Y");
            Err(said!("announce.past_today", text = text.trim(), tomorrow).into())
        }
        Some(When::Day(_)) | None => Err(said!("announce.no_time", text = text.escape_debug()).into()),
    }
}

/// Seconds of `90s`, `30m`, `12h`, `2d`.
fn span_s(text: &str) -> Result<u32, Sentence> {
    let wrong = || said!("announce.no_span", text = text.escape_debug());
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::texts::Lang;

    #[test]
    fn times_are_taken_as_staff_write_them() {
        let now: Wall = "2026-11-21T17:05:00+07:00".parse().unwrap();
        let check = |text: &str, expected: &str| {
            assert_eq!(instant(text, now).unwrap(), expected.parse().unwrap(), "{text}");
        };
        check("17:30", "2026-11-21T17:30:00+07:00");
        check("17:00 22/11/2026", "2026-11-22T17:00:00+07:00");
        check("ngày mai 17h", "2026-11-22T17:00:00+07:00");
        check("2026-12-01T06:00:00+07:00", "2026-12-01T06:00:00+07:00");
        let past = instant("17:00", now).unwrap_err();
        assert!(past.0.to(Lang::Vi).contains("--at \"17:00 22/11/2026\""), "{past:?}");
        assert!(instant("25:00", now).is_err() && instant("tomorrow", now).is_err());
    }

    #[test]
    fn spans_are_taken_as_staff_write_them() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(span_s(text).ok(), expected, "{text}");
        check("90s", Some(90));
        check("30m", Some(1_800));
        check("12h", Some(43_200));
        check("2d", Some(172_800));
        check("30", None);
        check("m", None);
        check("", None);
        check("99999999d", None);
        check("3é", None);
    }
}
