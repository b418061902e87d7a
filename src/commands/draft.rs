//! `loaxa draft`: what waits for people's signatures, for those who keep their key in a file and not in a browser.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use super::client::{Client, Failure, Lang, central_address, text};
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::CommandId;
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
    /// Shows what waits for signatures.
    List {
        #[command(flatten)]
        by: By,
    },
    /// Shows a draft, asks, and signs it; it goes out when enough people have signed.
    Sign {
        id: CommandId,
        /// Signs without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        by: By,
    },
}

#[derive(clap::Args)]
struct By {
    /// Your key file.
    #[arg(long)]
    key: PathBuf,
    /// Address of central, for instance http://127.0.0.1:8080; else LOAXA_CENTRAL.
    #[arg(long, value_name = "URL")]
    central: Option<String>,
    /// Language of the output.
    #[arg(long, value_enum, default_value = "vi")]
    lang: Lang,
}

impl By {
    fn start(&self) -> Result<(Client, SecretKey), Failure> {
        // Requests are signed; there is no token.
        let client = Client::new(&central_address(self.central.as_ref(), self.lang)?, "", self.lang);
        Ok((client, KeyFile::read(&self.key)?.key))
    }
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::List { by } => {
            let (client, key) = by.start()?;
            for draft in drafts(&client, &key)? {
                println!("{}\n", explain(&draft, by.lang)?);
            }
        }
        Action::Sign { id, yes, by } => {
            let (client, key) = by.start()?;
            let drafts = drafts(&client, &key)?;
            let draft = drafts.into_iter().find(|draft| draft["id"] == id.as_str());
            let draft = draft
                .ok_or_else(|| format!("{} {id}", by.lang.pick("không có bản thảo", "there is no draft")))?;
            println!("{}", explain(&draft, by.lang)?);
            if !yes && !agreed(by.lang)? {
                return Ok(ExitCode::FAILURE);
            }
            let sent = sign(&client, &key, &draft)?;
            println!(
                "{}",
                match sent {
                    true => by.lang.pick("đã ký và đã gửi đến các cụm loa", "signed, and sent to the boxes"),
                    false => by.lang.pick("đã ký, chờ người khác", "signed, others are awaited"),
                }
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn drafts(client: &Client, key: &SecretKey) -> Result<Vec<Value>, Failure> {
    let answer = client.get_signed("drafts", key)?;
    Ok(answer["drafts"].as_array().cloned().unwrap_or_default())
}

/// The exact bytes that a draft asks people to sign, and what they say.
fn opened(draft: &Value) -> Result<(Vec<u8>, Command), Failure> {
    let payload = BASE64.decode(text(&draft["payload"]))?;
    let command: Command = codec::decode(&payload)?;
    if draft["id"] != command.id.as_str() {
        return Err(format!("the draft {} holds the order {}", draft["id"], command.id).into());
    }
    Ok((payload, command))
}

/// A draft in words: read from the bytes that are signed, not from what central says of them.
fn explain(draft: &Value, lang: Lang) -> Result<String, Failure> {
    let (_, command) = opened(draft)?;
    let groups: Vec<_> = command.groups.iter().map(ToString::to_string).collect();
    let signed = draft["signatures"].as_array().map_or(0, Vec::len);
    let mut lines = vec![
        format!("{}  {}", command.id, what(&command, lang)),
        format!("  {}: {}", lang.pick("đến", "to"), groups.join(", ")),
    ];
    match &command.body {
        Body::Announce { title, words, media, plan, supersedes, .. } => {
            lines.push(format!("  {}: {title}", lang.pick("tiêu đề", "title")));
            lines.extend(
                words.iter().map(|words| format!("  {}: {}", lang.pick("nội dung", "words"), words.text)),
            );
            lines.extend(media.iter().map(|media| format!("  audio: {} ({} ms)", media.sha256, media.ms)));
            lines.push(format!(
                "  {}: {:?}, {} %",
                lang.pick("phát", "plays"),
                plan.repeats,
                plan.volume_percent
            ));
            lines.extend(
                supersedes.iter().map(|id| format!("  {}: {id}", lang.pick("thay cho", "in place of"))),
            );
        }
        other => lines.push(serde_json::to_string_pretty(other)?),
    }
    lines.push(format!("  {}: {}", lang.pick("người soạn", "author"), command.author));
    lines.push(format!(
        "  {}: {}",
        lang.pick("hết hạn", "expires"),
        command.expires.local().format("%H:%M %d/%m/%Y")
    ));
    lines.push(format!("  {}: {signed}/{}", lang.pick("chữ ký", "signatures"), draft["needed"]));
    Ok(lines.join("\n"))
}

fn what(command: &Command, lang: Lang) -> String {
    let Body::Announce { class, mode, .. } = &command.body else {
        return lang.pick("quy định phát", "limits").to_owned();
    };
    let class = match class {
        BulletinClass::Normal => lang.pick("thông thường", "normal"),
        BulletinClass::Priority => lang.pick("ưu tiên", "priority"),
        BulletinClass::Emergency => lang.pick("KHẨN CẤP", "EMERGENCY"),
    };
    let mode = match mode {
        Mode::Actual => lang.pick("THẬT", "ACTUAL"),
        Mode::Exercise => lang.pick("diễn tập", "exercise"),
        Mode::Test => lang.pick("thử, không phát tiếng", "test, no sound"),
    };
    format!("{class}, {mode}")
}

fn agreed(lang: Lang) -> Result<bool, Failure> {
    print!("{} ", lang.pick("Ký lệnh này? Gõ \"ký\":", "Sign it? Type \"sign\":"));
    std::io::stdout().flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    Ok(said.trim() == lang.pick("ký", "sign"))
}

/// Says whether it went out with this signature.
fn sign(client: &Client, key: &SecretKey, draft: &Value) -> Result<bool, Failure> {
    let (payload, command) = opened(draft)?;
    let message = pre_authentication_encoding(Kind::Command.payload_type(), &payload);
    let body = json!({ "key": key.key_id(), "signature": BASE64.encode(key.sign(&message)) });
    let path = format!("drafts/{}/signatures", command.id);
    let answer = client.post(&path, "application/json", body.to_string().as_bytes())?;
    Ok(answer["sent"] == true)
}
