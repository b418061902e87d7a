//! The web as a relay needs it: streams without their metadata, playlists, certificates.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::ResponseExt;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};

/// Longest wait for a connection, for an answer, and for further bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
const READ_TIMEOUT: Duration = Duration::from_secs(8);
const REDIRECTS_MAX: u32 = 5;
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
pub struct Web(ureq::Agent);

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
        Self(config.new_agent())
    }

    /// Opens what a relay's address names.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn open(&self, url: &str) -> Result<Answer, String> {
        let mut response = self.get(url, None)?;
        let address = response.get_uri().to_string();
        let is_playlist = header(response.headers(), "content-type").is_some_and(|it| it.contains("mpegurl"))
            || response.get_uri().path().ends_with(".m3u8");
        if is_playlist {
            return Ok(Answer::Playlist { text: text_of(&mut response)?, url: address });
        }
        let every = header(response.headers(), "icy-metaint").and_then(|text| text.parse().ok());
        let bytes = response.into_body().into_reader();
        Ok(Answer::Stream(match every {
            Some(every) if every > 0 => Box::new(WithoutMetadata { inner: bytes, every, left: every }),
            _ => Box::new(bytes),
        }))
    }

    /// Reads a playlist.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn playlist(&self, url: &str) -> Result<(Vec<u8>, String), String> {
        let mut response = self.get(url, None)?;
        Ok((text_of(&mut response)?, response.get_uri().to_string()))
    }

    /// Opens a segment, or a part of one.
    ///
    /// # Errors
    /// Tells in words what failed.
    pub fn segment(&self, url: &str, range: Option<ByteRange>) -> Result<Bytes, String> {
        Ok(Box::new(self.get(url, range)?.into_body().into_reader()))
    }

    fn get(&self, url: &str, range: Option<ByteRange>) -> Result<ureq::http::Response<ureq::Body>, String> {
        let mut request = self.0.get(url);
        let mut expected = StatusCode::OK;
        if let Some(ByteRange { start, bytes }) = range {
            let last = start.saturating_add(bytes).saturating_sub(1);
            request = request.header("Range", format!("bytes={start}-{last}"));
            expected = StatusCode::PARTIAL_CONTENT;
        }
        let response = request.call().map_err(|error| error.to_string())?;
        match response.status() {
            status if status == expected => Ok(response),
            status => Err(format!("the server answers with status {status}")),
        }
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
    fn titles_are_taken_out() {
        let title = [&[1][..], b"StreamTitle='A';"].concat();
        let bytes = [b"abcd", &title[..], b"efgh", &[0], b"ij"].concat();
        let mut clean = String::new();
        WithoutMetadata { inner: &bytes[..], every: 4, left: 4 }.read_to_string(&mut clean).unwrap();
        assert_eq!(clean, "abcdefghij");
    }
}
