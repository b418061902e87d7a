//! `loaxa draft`: what waits for people's signatures, for those who keep their key in a file and not in a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use serde_json::{Value, json};

use super::check::Worst;
use super::client::{Client, agreed, authority, central_address, tell_outlook, tell_refusals, text};
use super::language::{Failure, Outcome, complain, foreign, tell, words};
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::domain::announcement::{BulletinClass, Mode, Repeats};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::signing::SecretKey;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List {
        #[command(flatten)]
        by: By,
    },
    Sign {
        id: CommandId,
        #[arg(long)]
        yes: bool,
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        by: By,
    },
}

#[derive(clap::Args)]
struct By {
    #[arg(long)]
    key: PathBuf,
    #[arg(long, value_name = "URL")]
    central: Option<String>,
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl By {
    fn start(&self) -> Result<(Client, SecretKey), Failure> {
        // Requests are signed; there is no token.
        let client = Client::new(
            &central_address(self.central.as_ref())?,
            "",
            authority(self.ca.as_ref(), None).as_deref(),
        )?;
        Ok((client, KeyFile::read(&self.key)?.key))
    }
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::List { by } => {
            let (client, key) = by.start()?;
            for draft in drafts(&client, &key)? {
                // One that can't be read keeps nobody from the others.
                let told = explain(&draft).unwrap_or_else(|failure| failure.0);
                println!("{}\n", words(told));
            }
        }
        Action::Sign { id, yes, anyway, by } => {
            let (client, key) = by.start()?;
            let answer = client.get_signed(&format!("drafts?foresee={id}"), &key)?;
            let draft = draft_of(&answer, &id)?;
            println!("{}", words(explain(&draft)?));
            if !anyway && tell_refusals(&answer["expected"]) {
                complain!("draft.stopped");
                return Ok(Worst::Warned.exit_code());
            }
            if !yes && !agreed(&said!("draft.word"), |word| said!("draft.ask", word))? {
                return Ok(ExitCode::FAILURE);
            }
            let answer = sign(&client, &key, &draft)?;
            match answer["sent"] == true {
                true => tell!("draft.sent"),
                false => tell!("draft.signed"),
            }
            tell_outlook(&answer["expected"]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn drafts(client: &Client, key: &SecretKey) -> Result<Vec<Value>, Failure> {
    let answer = client.get_signed("drafts", key)?;
    Ok(answer["drafts"].as_array().cloned().unwrap_or_default())
}

fn draft_of(answer: &Value, id: &CommandId) -> Result<Value, Failure> {
    let drafts = answer["drafts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let draft = drafts.iter().find(|draft| draft["id"] == id.as_str());
    Ok(draft.cloned().ok_or_else(|| said!("draft.none", id))?)
}

/// Asks what would become of an order; nothing of it is kept.
///
/// # Errors
/// As [`Client::get`].
pub fn foresee(client: &Client, key: &SecretKey, order: &Value) -> Result<Value, Failure> {
    Ok(client.post_signed("drafts?foresee=true", key, order)?["expected"].take())
}

/// Drafts an order, and signs it first; the answer is its id, and whether it went out already.
///
/// # Errors
/// As [`Client::get`].
pub fn make(client: &Client, key: &SecretKey, order: &Value) -> Result<(CommandId, Value), Failure> {
    let made = client.post_signed("drafts", key, order)?;
    let id: CommandId = text(&made["id"]).parse()?;
    let answer = sign(client, key, &draft_of(&client.get_signed("drafts", key)?, &id)?)?;
    Ok((id, answer))
}

/// The exact bytes that a draft asks people to sign, and what they say.
fn opened(draft: &Value) -> Result<(Vec<u8>, Command), Failure> {
    let payload = BASE64.decode(text(&draft["payload"])).map_err(|error| foreign(&error))?;
    let command: Command = codec::decode(&payload)?;
    if draft["id"] != command.id.as_str() {
        return Err(said!("draft.other_order", id = text(&draft["id"]), order = command.id).into());
    }
    // What this program passes over another may obey: nobody signs here what is not shown.
    let understood: Value = serde_json::from_slice(&codec::encode(&command))?;
    if understood != serde_json::from_slice::<Value>(&payload)? {
        return Err(said!("draft.not_understood", id = command.id).into());
    }
    Ok((payload, command))
}

/// A draft in words: read from the bytes that are signed, not from what central says of them.
fn explain(draft: &Value) -> Result<Sentence, Failure> {
    let (_, command) = opened(draft)?;
    let groups: Vec<_> = command.groups.iter().map(ToString::to_string).collect();
    let signed = draft["signatures"].as_array().map_or(0, Vec::len);
    let mut lines = vec![
        said!("draft.order", id = command.id, what = what(&command)),
        said!("draft.to", groups = groups.join(", ")),
    ];
    match &command.body {
        Body::Announce { title, words, media, plan, supersedes, .. } => {
            lines.push(said!("draft.title", title));
            lines.extend(
                words.iter().map(|words| said!("draft.words", text = words.text, language = words.language)),
            );
            lines.extend(media.iter().map(|media| said!("draft.audio", hash = media.sha256, ms = media.ms)));
            lines.push(match plan.repeats {
                Repeats::Times(times) => said!("draft.plays", times, percent = plan.volume_percent),
                Repeats::UntilCancelled => said!("draft.plays_on", percent = plan.volume_percent),
            });
            let opening = plan.opening.as_ref().map_or(Span(0), Pattern::length);
            let seconds = Sentence::decimal(opening.as_millis() as f64 / 1_000.0, 1);
            lines.push(said!("draft.opening", seconds, gap_s = plan.gap_s));
            lines.extend(plan.at.iter().map(|at| said!("draft.at", at = moment(*at))));
            lines.extend(supersedes.iter().map(|id| said!("draft.in_place_of", id)));
        }
        other => lines.push(Sentence::from_outside(serde_json::to_string_pretty(other)?)),
    }
    lines.push(said!("draft.author", author = command.author));
    lines.push(said!("draft.from", at = moment(command.not_before), serial = command.serial));
    lines.push(said!("draft.expires", at = moment(command.expires)));
    lines.push(said!("draft.signatures", signed, needed = draft["needed"]));
    Ok(Sentence::Lines(lines))
}

fn moment(at: Wall) -> String {
    at.local().format("%H:%M:%S %d/%m/%Y").to_string()
}

fn what(command: &Command) -> Sentence {
    let Body::Announce { class, mode, .. } = &command.body else { return said!("draft.limits") };
    let class = match class {
        BulletinClass::Normal => said!("draft.normal"),
        BulletinClass::Priority => said!("draft.priority"),
        BulletinClass::Emergency => said!("draft.emergency"),
    };
    let mode = match mode {
        Mode::Actual => said!("draft.actual"),
        Mode::Exercise => said!("draft.exercise"),
        Mode::Test => said!("draft.test"),
    };
    said!("draft.class_and_mode", class, mode)
}

/// Signs a draft; the answer says whether it went out with this signature.
fn sign(client: &Client, key: &SecretKey, draft: &Value) -> Result<Value, Failure> {
    let (payload, command) = opened(draft)?;
    let message = pre_authentication_encoding(Kind::Command.payload_type(), &payload);
    let body = json!({ "key": key.key_id(), "signature": BASE64.encode(key.sign(&message)) });
    let path = format!("drafts/{}/signatures", command.id);
    client.post(&path, "application/json", body.to_string().as_bytes())
}
