//! The way from the commands for staff to central, and back to the person who typed them.

use std::fmt::Write;
use std::io::{IsTerminal, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::language::{Failure, chosen, foreign, of_file, words};
use loaxa_adapters::{clock, private_files};
use loaxa_heart::config::files;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::person::normalised;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Sentence, visible, visible_json};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;
use loaxa_heart::wire::request::{self, Request};
use loaxa_heart::wire::signing::SecretKey;

/// Longest wait for an answer of central, which takes a minute to speak a long text.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Characters that stay as they are in a query (RFC 3986, unreserved).
const UNRESERVED: &str = "-._~";
/// Rows asked for at a time: as many as central gives.
const PAGE_ROWS: u32 = 1_000;

/// Arguments that say where central is, and who asks.
#[derive(clap::Args)]
pub struct CentralArgs {
    #[arg(long, value_name = "URL")]
    central: Option<String>,
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A way to central.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

/// Finds the address of central: as the person says, else as the environment says.
///
/// # Errors
/// Fails when neither says it.
pub fn central_address(given: Option<&String>) -> Result<String, Failure> {
    let address = given.cloned().or_else(|| std::env::var("LOAXA_CENTRAL").ok());
    address.ok_or_else(|| said!("client.no_central").into())
}

/// The file of certificates against which central's is checked: as the person or the environment says, else the commune's
/// own beside the token's file, where `loaxa central init` put it, else those of this machine.
pub fn authority(given: Option<&PathBuf>, token_file: Option<&Path>) -> Option<PathBuf> {
    let beside = || Some(token_file?.with_file_name("ca.pem")).filter(|path| path.exists());
    given.cloned().or_else(|| std::env::var_os("LOAXA_CA").map(PathBuf::from)).or_else(beside)
}

/// Certificates that the machine trusts, by Debian's package ca-certificates.
const MACHINE_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

impl CentralArgs {
    /// Finds a way for requests that people sign: there is no token.
    ///
    /// # Errors
    /// Fails when nobody says where central is.
    pub fn client_of_person(&self) -> Result<Client, Failure> {
        let ca = authority(self.ca.as_ref(), None);
        Client::new(&central_address(self.central.as_ref())?, "", ca.as_deref())
    }

    /// Finds address and token.
    ///
    /// # Errors
    /// Fails when one is missing.
    pub fn client(&self) -> Result<Client, Failure> {
        let base = central_address(self.central.as_ref())?;
        let token = match &self.token_file {
            Some(path) => private_files::read(path)?,
            None => std::env::var("LOAXA_TOKEN").map_err(|_| said!("client.no_token"))?,
        };
        Client::new(&base, &token, authority(self.ca.as_ref(), self.token_file.as_deref()).as_deref())
    }
}

impl Client {
    /// A way to the central at this address. Where that is https, its certificate is checked against those in the file `ca`,
    /// else against those of this machine.
    ///
    /// # Errors
    /// Fails when the file can't be read.
    pub fn new(base: &str, token: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        // An error says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT_MAX));
        let base = base.trim_end_matches('/').to_owned();
        if base.starts_with("https://") {
            let path = ca.unwrap_or(Path::new(MACHINE_CERTIFICATES));
            let pem = std::fs::read(path).map_err(|error| of_file(path, &error))?;
            let certificates: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            let roots = RootCerts::new_with_certs(&certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self { agent: config.build().into(), base, token: token.trim().to_owned() })
    }

    /// Asks for `/api/v1/{path}` with a query.
    ///
    /// # Errors
    /// The sentence with which central refuses, or why it can't be reached.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.get_text(path, query)?.0)?)
    }

    /// Asks for all pages of a list; the last cursor in one names the next.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_pages(&self, path: &str, cursor: impl Fn(&Value) -> String) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut query = vec![("limit", PAGE_ROWS.to_string())];
        loop {
            let url = format!("{}/api/v1/{path}{}", self.base, query_text(&query));
            let request = self.agent.get(&url).header("authorization", format!("Bearer {}", self.token));
            let answer = request.call();
            let link = |answer: &ureq::http::Response<ureq::Body>| answer.headers().contains_key("link");
            let goes_on = answer.as_ref().is_ok_and(link);
            let (text, _) = self.answer(answer)?;
            let page: Vec<Value> = serde_json::from_str(&text)?;
            let last = page.iter().rev().map(&cursor).find(|cursor| !cursor.is_empty());
            all.extend(page);
            let Some(last) = last.filter(|_| goes_on) else { return Ok(all) };
            query.truncate(1);
            query.push(("before", last));
        }
    }

    /// Asks for `/api/v1/{path}` as the person who holds `key`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_signed(&self, path: &str, key: &SecretKey) -> Result<Value, Failure> {
        let (path, at) = (format!("/api/v1/{path}"), clock::wall());
        let asked = signed(self.agent.get(format!("{}{path}", self.base)), "GET", &path, at, b"", key)?;
        Ok(serde_json::from_str(&self.answer(asked.call())?.0)?)
    }

    /// Posts JSON as the person who holds `key`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post_signed(&self, path: &str, key: &SecretKey, body: &Value) -> Result<Value, Failure> {
        let (path, at, body) = (format!("/api/v1/{path}"), clock::wall(), body.to_string());
        let asked =
            signed(self.agent.post(format!("{}{path}", self.base)), "POST", &path, at, body.as_bytes(), key)?;
        let asked = asked.header("content-type", "application/json");
        Ok(serde_json::from_str(&self.answer(asked.send(body.as_bytes()))?.0)?)
    }

    /// Asks like [`Client::get`], and returns the answer as text, with the cursor of the next page.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_text(&self, path: &str, query: &[(&str, String)]) -> Result<(String, Option<i64>), Failure> {
        let url = format!("{}/api/v1/{path}{}", self.base, query_text(query));
        let request = self.agent.get(&url).header("authorization", format!("Bearer {}", self.token));
        self.answer(request.call())
    }

    /// Asks like [`Client::get`], and returns the answer as it came.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_bytes(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, Failure> {
        let url = format!("{}/api/v1/{path}{}", self.base, query_text(query));
        let request = self.agent.get(&url).header("authorization", format!("Bearer {}", self.token));
        let answer = request.call();
        match answer {
            Ok(mut answer) if answer.status().is_success() => {
                let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                Ok(body.read_to_vec().map_err(|error| foreign(&error))?)
            }
            other => self.answer(other).map(|(text, _)| text.into_bytes()),
        }
    }

    /// Posts a body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Value, Failure> {
        self.post_with(path, &[], content_type, body)
    }

    /// Posts a body with a query.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post_with(
        &self,
        path: &str,
        query: &[(&str, String)],
        content_type: &str,
        body: &[u8],
    ) -> Result<Value, Failure> {
        let url = format!("{}/api/v1/{path}{}", self.base, query_text(query));
        let request = self.agent.post(&url).header("authorization", format!("Bearer {}", self.token));
        let (text, _) = self.answer(request.header("content-type", content_type).send(body))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Brings a file of audio to central, unless it is there already.
    ///
    /// # Errors
    /// As [`Client::get`], or when the file can't be read.
    pub fn upload(&self, path: &Path) -> Result<ContentHash, Failure> {
        let bytes = files::read_bytes(path, MEDIA_BYTES_MAX).map_err(|said| of_file(path, &said))?;
        let hash = ContentHash::of(&bytes);
        if self.get(&format!("media/{hash}"), &[]).is_err() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.post_with("media", &[("name", name)], "application/octet-stream", &bytes)?;
        }
        Ok(hash)
    }

    /// Posts a body while it comes into being, however long that takes.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
        content_type: &str,
        body: impl Read + 'static,
    ) -> Result<Value, Failure> {
        let url = format!("{}/api/v1/{path}{}", self.base, query_text(query));
        let request = self.agent.post(&url).header("authorization", format!("Bearer {}", self.token));
        // Central answers a refusal before it asks for the body.
        let request = request.header("content-type", content_type).header("expect", "100-continue");
        let request = request.config().timeout_global(None).build();
        let (text, _) = self.answer(request.send(ureq::SendBody::from_owned_reader(body)))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(String, Option<i64>), Failure> {
        let mut response =
            response.map_err(|error| said!("client.unreachable", address = self.base, error))?;
        let next =
            response.headers().get("x-next-cursor").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| foreign(&error))?;
        if status.is_success() {
            return Ok((text, next));
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let refusal = match (problem["error_vi"].as_str(), problem["error"].as_str()) {
            (Some(vi), Some(en)) => Sentence::Each { vi: vi.to_owned(), en: en.to_owned() },
            _ => Sentence::from_outside(format!("{status}: {}", text.trim())),
        };
        Err(refusal.into())
    }
}

/// A word for a signed request that is never used again.
fn nonce() -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| foreign(&error))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Signs a request as its holder's own.
fn signed<B>(
    request: ureq::RequestBuilder<B>,
    method: &str,
    path: &str,
    at: Wall,
    body: &[u8],
    key: &SecretKey,
) -> Result<ureq::RequestBuilder<B>, Failure> {
    let nonce = nonce()?;
    let signature = key.sign(&Request { method, path, at, nonce: &nonce, body }.to_be_signed());
    Ok(request
        .header(request::KEY_HEADER, key.key_id().as_str())
        .header(request::TIME_HEADER, at.to_string())
        .header(request::NONCE_HEADER, nonce)
        .header(request::SIGNATURE_HEADER, BASE64.encode(signature)))
}

fn query_text(query: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (index, (key, value)) in query.iter().enumerate() {
        let start = if index == 0 { '?' } else { '&' };
        let _ = write!(text, "{start}{key}=");
        for byte in value.bytes() {
            let c = char::from(byte);
            if c.is_ascii_alphanumeric() || UNRESERVED.contains(c) {
                text.push(c);
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Asks the person at the terminal to type a word, and tells whether they did.
///
/// # Errors
/// Fails when nothing can be read.
pub fn agreed(word: &Sentence, ask: impl Fn(String) -> Sentence) -> Result<bool, Failure> {
    let word = words(word);
    print!("{} ", words(ask(word.clone())));
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(normalised(&answer) == normalised(&word))
}

/// Prints what central expects of an announcement: how many boxes, which are silent, when it sounds or why it does not.
pub fn tell_outlook(answer: &Value) {
    of_language(answer, "said").lines().for_each(|line| println!("  {line}"));
}

/// Prints what the guards of boxes would refuse of an announcement that was asked for, and tells whether they would.
pub fn tell_refusals(expected: &Value) -> bool {
    let boxes = expected["outlook"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_refused = boxes.iter().any(|it| it["refusal"].is_object());
    if is_refused {
        of_language(expected, "said").lines().for_each(|line| eprintln!("{line}"));
    }
    is_refused
}

/// The words of an answer in the language of the run: English under the key, Vietnamese under the key with `_vi`.
pub fn of_language(answer: &Value, key: &str) -> String {
    let said = if chosen() == Lang::Vi { &answer[&*format!("{key}_vi")] } else { &answer[key] };
    said.as_str().unwrap_or_default().to_owned()
}

/// Time in Vietnam, as a table shows it.
pub fn local(value: &Value) -> String {
    let at = value.as_str().and_then(|text| text.parse::<Wall>().ok());
    at.map_or_else(|| "-".to_owned(), |at| at.local().format("%d/%m %H:%M:%S").to_string())
}

/// The text of a value as it may be shown, empty where there is none.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text).into_owned(),
        other => visible(&other.to_string()).into_owned(),
    }
}

/// Prints JSON: its exact bytes for a program, and for a terminal with everything written out that would steer it.
pub fn print_json(json: &str) {
    if std::io::stdout().is_terminal() { print!("{}", visible_json(json)) } else { print!("{json}") }
}

/// A table whose columns are as wide as they need to be.
///
/// The text `section.head` names the columns, parted by bars.
pub fn print_table(section: &str, rows: &[Vec<String>]) {
    let head = crate::commands::texts::TEXTS.of(chosen()).code(section, "head");
    let head: Vec<_> = head.split('|').collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(|cell| visible(cell)).collect::<Vec<_>>().iter().map(AsRef::as_ref));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_written_safely() {
        let query = [("box", "loa-1".to_owned()), ("from", "2026-11-21T00:00:00+07:00 &x".to_owned())];
        assert_eq!(query_text(&query), "?box=loa-1&from=2026-11-21T00%3A00%3A00%2B07%3A00%20%26x");
        assert_eq!(query_text(&[]), "");
    }

    #[test]
    fn times_are_shown_in_vietnam() {
        assert_eq!(local(&Value::from("2026-11-20T22:00:00Z")), "21/11 05:00:00");
        assert_eq!(local(&Value::Null), "-");
    }
}
