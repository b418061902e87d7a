//! The status page for who stands beside the box: plain HTML on the loopback, without script and without a secret; and the
//! same for Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::TEXTS;
use crate::local_socket::{Request, Visit};
use crate::metrics;
use crate::status::{LocalState, Status};
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::texts::{Lang, Texts, visible};

/// Visitors that are answered at the same time; others are turned away.
const VISITORS_MAX: usize = 4;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 8_192;

/// Longest time that a visitor may take.
const VISIT_MAX: Duration = Duration::from_secs(5);

const HTML: &str = "text/html; charset=utf-8";

/// Names by which the page may be asked for; any other is a page of somebody else that has this machine look here.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Serves the page.
///
/// # Errors
/// Fails when somebody else listens there.
pub fn listen(at: SocketAddr, visits: mpsc::Sender<Visit>) -> std::io::Result<()> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(VISITORS_MAX));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((visitor, _)) => {
                    let Ok(place) = places.clone().try_acquire_owned() else { continue };
                    let visits = visits.clone();
                    tokio::spawn(async move {
                        // Who is slower hangs up without an answer.
                        let _ = tokio::time::timeout(VISIT_MAX, attend(visitor, visits)).await;
                        drop(place);
                    });
                }
                // Too many open files, for instance: not at once again.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    });
    Ok(())
}

async fn attend(mut visitor: TcpStream, visits: mpsc::Sender<Visit>) {
    let mut head = Vec::new();
    let mut bytes = [0; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match visitor.read(&mut bytes).await {
            Ok(count) if count > 0 && head.len() + count <= HEAD_BYTES_MAX => {
                head.extend_from_slice(&bytes[..count]);
            }
            _ => return,
        }
    }
    let answer = match asked(&head) {
        Ok(asked) => match status(&visits).await {
            Some(status) => match asked {
                Asked::Page(lang) => answer("200 OK", HTML, &draw(&status, TEXTS.of(lang))),
                Asked::Metrics => answer("200 OK", metrics::TEXT_FORMAT, &metrics::write(&status)),
            },
            None => answer("503 Service Unavailable", HTML, ""),
        },
        Err(code) => answer(code, HTML, ""),
    };
    // A visitor that hung up gets nothing.
    let _ = visitor.write_all(answer.as_bytes()).await;
    let _ = visitor.shutdown().await;
}

/// The things that a visitor may ask for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Page(Lang),
    Metrics,
}

/// Reads the head of a request.
fn asked(head: &[u8]) -> Result<Asked, &'static str> {
    const BAD: &str = "400 Bad Request";
    let text = std::str::from_utf8(head).map_err(|_| BAD)?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut hosts =
        lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (Some((_, host)), None) = (hosts.next(), hosts.next()) else { return Err(BAD) };
    if !is_own(host.trim()) {
        return Err("421 Misdirected Request");
    }
    match (method, path) {
        ("GET", "/") => Ok(Asked::Page(Lang::Vi)),
        ("GET", "/?lang=en") => Ok(Asked::Page(Lang::En)),
        ("GET", "/metrics") => Ok(Asked::Metrics),
        ("GET", _) => Err("404 Not Found"),
        _ => Err("405 Method Not Allowed"),
    }
}

/// Tells whether a host is this machine by one of its own names, with or without a port.
fn is_own(host: &str) -> bool {
    HOSTS.iter().any(|own| {
        host.strip_prefix(own).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

async fn status(visits: &mpsc::Sender<Visit>) -> Option<Status> {
    let (answer, answered) = oneshot::channel();
    visits.send(Visit { request: Request::Status, answer }).await.ok()?;
    serde_json::from_slice(&answered.await.ok()?).ok()
}

fn answer(code: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {code}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn escape(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Draws the page: one line for each thing that a technician looks at first.
fn draw(status: &Status, texts: &Texts) -> String {
    let yes = |holds: bool| texts.say(if holds { "page.yes" } else { "page.no" }).to_owned();
    let nothing = || texts.say("page.nothing").to_owned();
    let faults: Vec<_> = status.faults.iter().map(|fault| texts.code("page_fault", fault)).collect();
    let local = match &status.local_emergency {
        LocalState::NoOrder => nothing(),
        LocalState::Ready { title } => format!("{}: {title}", texts.say("page.ready")),
        LocalState::Armed { title } => format!("{}: {title}", texts.say("page.armed")),
        LocalState::Sounds { title } => format!("{}: {title}", texts.say("page.sounds")),
    };
    let clock = match status.clock {
        ClockQuality::None => "none",
        ClockQuality::Floor => "floor",
        ClockQuality::Synced => "synced",
    };
    let rows = [
        ("page.on_air", status.on_air.clone().unwrap_or_else(nothing)),
        ("page.contact", yes(status.connected)),
        ("page.fault", if faults.is_empty() { nothing() } else { faults.join(", ") }),
        ("page.local", local),
        ("page.time", status.wall.local().format("%H:%M:%S %d/%m/%Y").to_string()),
        ("page.clock", texts.code("page_clock", clock)),
        ("page.backlog", status.backlog.to_string()),
        ("page.data", format!("{} MB", status.media_month_bytes / 1_000_000)),
        ("page.waiting", status.media_waiting.to_string()),
        ("page.software", status.software.clone()),
    ];
    let row = |(key, value): &(&str, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(texts.say(key)), escape(value))
    };
    let title = format!("{} {}", texts.say("page.title"), status.box_id);
    let lang = texts.lang();
    format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"10\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><h1>{title}</h1>\
         <table>{}</table></html>\n",
        lang.tag(),
        rows.iter().map(row).collect::<String>(),
        title = escape(&title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Result<Asked, &str>) {
        assert_eq!(asked(head.as_bytes()), expected, "{head}");
    }

    #[test]
    fn only_the_page_is_served_and_only_under_its_own_name() {
        check("GET / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n", Ok(Asked::Page(Lang::Vi)));
        check("GET /?lang=en HTTP/1.1\r\nhost: localhost\r\n\r\n", Ok(Asked::Page(Lang::En)));
        check("GET /metrics HTTP/1.1\r\nHost: localhost:9101\r\n\r\n", Ok(Asked::Metrics));
        check("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Ok(Asked::Page(Lang::Vi)));
        check("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", Err("404 Not Found"));
        check("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", Err("405 Method Not Allowed"));
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost:x", "localhost:", "", "127.0.0.1@x"]
        {
            check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Err("421 Misdirected Request"));
        }
        check("GET / HTTP/1.1\r\n\r\n", Err("400 Bad Request"));
        check("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", Err("400 Bad Request"));
    }
}
