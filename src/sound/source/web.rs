//! The web as a relay needs it: streams without their metadata, playlists, certificates.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::ResponseExt;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use url::Url;

use super::shoutcast;
use loaxa_heart::said;

/// Longest wait for a connection, for an answer, and for further bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
const READ_TIMEOUT: Duration = Duration::from_secs(8);
const REDIRECTS_MAX: u32 = 5;
/// Lists that lead to one another.
const LISTS_MAX: u32 = 3;
/// Largest playlist.
const PLAYLIST_BYTES_MAX: u64 = 1 << 20;
/// Certificates that the machine trusts, by Debian's package ca-certificates.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Bytes on their way from a server.
pub type Bytes = Box<dyn Read + Send>;

/// A part of a resource: its first byte, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    pub start: u64,
    pub bytes: u64,
}

/// The two kinds of things that an address can name.
pub enum Answer {
    /// Sound without an end.
    Stream(Bytes),
    /// An HLS playlist, and the address it really has.
    Playlist { text: Vec<u8>, url: String },
}

/// A client for one relay.
pub struct Web {
    agent: ureq::Agent,
    read_timeout: Duration,
}

impl Web {
    /// Makes a client that believes the certificates of this machine.
    pub fn new() -> Self {
        Self::with(&[], READ_TIMEOUT)
    }

    /// Makes a client that also believes the certificates `more` (PEM), and waits for bytes at most this long.
    pub fn with(more: &[u8], read_timeout: Duration) -> Self {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let pem = [std::fs::read(CERTIFICATES).unwrap_or_default().as_slice(), b"\n", more].concat();
        if pem.len() > 1 {
            let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(REDIRECTS_MAX)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(read_timeout))
            .user_agent("loaxa")
            .build();
        Self { agent: config.new_agent(), read_timeout }
    }

    /// Opens what a relay's address names; lists that name one station lead to it.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn open(&self, url: &str) -> Result<Answer, String> {
        let mut url = url.to_owned();
        for _ in 0..=LISTS_MAX {
            match self.open_once(&url)? {
                Opened::Answer(answer) => return Ok(answer),
                Opened::List { text, base } => {
                    let entry = first_station(&text).ok_or_else(|| said!("stream.empty_list").to_string())?;
                    let next = Url::parse(&base).and_then(|base| base.join(&entry));
                    url = next
                        .map_err(|error| said!("stream.bad_address", address = entry, error).to_string())?
                        .into();
                }
            }
        }
        Err(said!("stream.endless").to_string())
    }

    fn open_once(&self, url: &str) -> Result<Opened, String> {
        let mut response = match self.request(url, None) {
            Ok(response) => response,
            Err(error) if may_be_shoutcast(url, &error) => return self.open_shoutcast(url, &error),
            Err(error) => return Err(error.to_string()),
        };
        if response.status() != StatusCode::OK {
            return Err(refusal(response.status()));
        }
        let base = response.get_uri().to_string();
        let kind = header(response.headers(), "content-type").unwrap_or_default().to_ascii_lowercase();
        let path = response.get_uri().path().to_ascii_lowercase();
        if is_list(&kind, &path) {
            return Ok(listed(text_of(&mut response)?, base));
        }
        if kind.starts_with("text/html") {
            return Err(said!("stream.web_page").to_string());
        }
        let every = header(response.headers(), "icy-metaint").and_then(|text| text.parse().ok());
        let bytes = response.into_body().into_reader();
        Ok(Opened::Answer(Answer::Stream(without_metadata(bytes, every))))
    }

    fn open_shoutcast(&self, url: &str, error: &ureq::Error) -> Result<Opened, String> {
        let parsed = Url::parse(url).map_err(|_| error.to_string())?;
        let station = shoutcast::call(&parsed, CONNECT_TIMEOUT, self.read_timeout)?;
        let every = station.header("icy-metaint").and_then(|text| text.parse().ok());
        Ok(Opened::Answer(Answer::Stream(without_metadata(station.bytes, every))))
    }

    /// Reads a playlist.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn playlist(&self, url: &str) -> Result<(Vec<u8>, String), String> {
        let mut response = self.get(url, None)?;
        Ok((text_of(&mut response)?, response.get_uri().to_string()))
    }

    /// Opens a segment, or a part of one, also where the server only knows whole ones.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn segment(&self, url: &str, range: Option<ByteRange>) -> Result<Bytes, String> {
        let response = self.get(url, range)?;
        let is_whole = response.status() == StatusCode::OK;
        let mut bytes = response.into_body().into_reader();
        match range.filter(|_| is_whole) {
            Some(ByteRange { start, bytes: length }) => {
                let before = io::copy(&mut (&mut bytes).take(start), &mut io::sink());
                let before = before.map_err(|error| error.to_string())?;
                if before < start {
                    return Err(said!("stream.short_segment").to_string());
                }
                Ok(Box::new(bytes.take(length)))
            }
            None => Ok(Box::new(bytes.take(range.map_or(u64::MAX, |range| range.bytes)))),
        }
    }

    fn get(&self, url: &str, range: Option<ByteRange>) -> Result<ureq::http::Response<ureq::Body>, String> {
        let response = self.request(url, range).map_err(|error| error.to_string())?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::PARTIAL_CONTENT if range.is_some() => Ok(response),
            status => Err(refusal(status)),
        }
    }

    fn request(
        &self,
        url: &str,
        range: Option<ByteRange>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = self.agent.get(url);
        if let Some(ByteRange { start, bytes }) = range {
            let last = start.saturating_add(bytes).saturating_sub(1);
            request = request.header("Range", format!("bytes={start}-{last}"));
        }
        request.call()
    }
}

/// Something behind an address: what it names, or a list that leads on.
enum Opened {
    Answer(Answer),
    List { text: Vec<u8>, base: String },
}

/// Says in words that a server refuses.
fn refusal(status: StatusCode) -> String {
    said!("stream.status", status).to_string()
}

/// Tells whether an answer is a list, by its content type and the name of its address, both in lower case.
fn is_list(kind: &str, path: &str) -> bool {
    let by_kind =
        ["mpegurl", "audio/x-scpls", "application/pls", "scpls+xml"].iter().any(|it| kind.contains(it));
    by_kind || [".m3u8", ".m3u", ".pls"].iter().any(|end| path.ends_with(end))
}

/// Tells an HLS playlist from a list of stations: only the first has tags of its own.
fn listed(text: Vec<u8>, base: String) -> Opened {
    let is_hls = text.windows(7).any(|bytes| bytes.eq_ignore_ascii_case(b"#EXT-X-"));
    if is_hls { Opened::Answer(Answer::Playlist { text, url: base }) } else { Opened::List { text, base } }
}

/// Finds the first address in a list of M3U or PLS.
fn first_station(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let lines = || text.trim_start_matches('\u{feff}').split(['\n', '\r']).map(str::trim);
    let is_pls = lines().any(|line| line.eq_ignore_ascii_case("[playlist]"));
    let station = |line: &str| {
        if !is_pls {
            return (!line.is_empty() && !line.starts_with('#')).then(|| line.to_owned());
        }
        let (key, value) = line.split_once('=')?;
        let is_file = key.trim().to_ascii_lowercase().starts_with("file");
        (is_file && !value.trim().is_empty()).then(|| value.trim().to_owned())
    };
    lines().find_map(station)
}

/// Tells whether an answer that is no HTTP may be one of SHOUTcast 1.
fn may_be_shoutcast(url: &str, error: &ureq::Error) -> bool {
    let is_plain = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    is_plain && matches!(error, ureq::Error::Protocol(_) | ureq::Error::Http(_))
}

fn without_metadata(bytes: impl Read + Send + 'static, every: Option<usize>) -> Bytes {
    match every {
        Some(every) if every > 0 => Box::new(WithoutMetadata { inner: bytes, every, left: every }),
        _ => Box::new(bytes),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn text_of(response: &mut ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, String> {
    let body = response.body_mut().with_config().limit(PLAYLIST_BYTES_MAX);
    body.read_to_vec().map_err(|error| error.to_string())
}

/// A stream from which titles, put in every so many bytes, are taken out.
struct WithoutMetadata<R> {
    inner: R,
    every: usize,
    left: usize,
}

impl<R: Read> Read for WithoutMetadata<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut length = [0];
            self.inner.read_exact(&mut length)?;
            let mut title = [0; 16 * u8::MAX as usize];
            self.inner.read_exact(&mut title[..16 * usize::from(length[0])])?;
            self.left = self.every;
        }
        let most = out.len().min(self.left);
        let read = self.inner.read(&mut out[..most])?;
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_station_of_a_list_is_found() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(first_station(text.as_bytes()).as_deref(), expected, "{text}");
        };
        check("[playlist]\r\nNumberOfEntries=1\r\nFile1=http://a/b\r\nTitle1=x\r\n", Some("http://a/b"));
        check("\u{feff}#EXTM3U\r#EXTINF:-1,Đài\rhttp://a/b\r", Some("http://a/b"));
        check("[Playlist]\nfile1 = b.mp3\n", Some("b.mp3"));
        check("#EXTM3U\n\n", None);
        check("", None);
    }

    #[test]
    fn titles_are_taken_out() {
        let title = [&[1][..], b"StreamTitle='A';"].concat();
        let bytes = [b"abcd", &title[..], b"efgh", &[0], b"ij"].concat();
        let mut clean = String::new();
        WithoutMetadata { inner: &bytes[..], every: 4, left: 4 }.read_to_string(&mut clean).unwrap();
        assert_eq!(clean, "abcdefghij");
    }
}
