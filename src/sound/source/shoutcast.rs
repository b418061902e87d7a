//! Stations that answer `ICY 200 OK`, as SHOUTcast 1 does, which is no HTTP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use loaxa_heart::said;
use url::Url;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// The answer of such a station.
pub struct Station {
    pub bytes: BufReader<TcpStream>,
    head: Vec<(String, String)>,
}

impl Station {
    /// The text of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str())
    }
}

/// Calls a station.
///
/// # Errors
/// Tells in words what failed, also where it is no such station.
pub fn call(url: &Url, connect: Duration, read: Duration) -> Result<Station, String> {
    let host = url.host_str().ok_or_else(|| said!("stream.no_host").to_string())?;
    let port = url.port_or_known_default().unwrap_or(80);
    let words = |error: io::Error| error.to_string();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, port)
        .to_socket_addrs()
        .map_err(words)?
        .next()
        .ok_or_else(|| said!("stream.no_address").to_string())?;
    let mut stream = TcpStream::connect_timeout(&address, connect).map_err(words)?;
    stream.set_read_timeout(Some(read)).map_err(words)?;
    stream.set_write_timeout(Some(read)).map_err(words)?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let wish =
        format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nUser-Agent: loaxa\r\nAccept: */*\r\n\r\n");
    stream.write_all(wish.as_bytes()).map_err(words)?;
    let mut bytes = BufReader::new(stream);
    let mut left = HEAD_BYTES_MAX;
    let mut line = || -> Result<String, String> {
        let mut line = Vec::new();
        let read = (&mut bytes).take(left).read_until(b'\n', &mut line).map_err(words)?;
        left -= read as u64;
        if read == 0 {
            return Err(said!("stream.bad_head").to_string());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    let status = line()?;
    if !status.starts_with("ICY 200") {
        return Err(said!("stream.answer", answer = status.chars().take(80).collect::<String>()).to_string());
    }
    let mut head = Vec::new();
    loop {
        let text = line()?;
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':') {
            head.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Ok(Station { bytes, head })
}
