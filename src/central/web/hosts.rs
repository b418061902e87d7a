//! The names that this server answers to, so that a page elsewhere whose name was pointed here gets nothing; and the headers
//! of every answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::server::CameTo;
use loaxa_heart::said;

/// For a year, browsers come with TLS only, to names below this one as well: central has its name to itself.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// The names in force, and whether people come with TLS.
pub struct Hosts {
    pub names: Vec<String>,
    pub tls: bool,
}

impl Hosts {
    /// Tells whether a request is for this server: by one of its names, or by the very address that it came to.
    fn answer_to(&self, headers: &HeaderMap, uri: &Uri, came_to: Option<IpAddr>) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        let target = uri.authority().map(|authority| authority.as_str());
        [Some(host), target].into_iter().flatten().all(|host| self.knows(host, came_to))
    }

    fn knows(&self, host: &str, came_to: Option<IpAddr>) -> bool {
        let Some(name) = without_port(host) else { return false };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let address: Option<IpAddr> = name.parse().ok();
        let is_this = address.zip(came_to).is_some_and(|(a, b)| a.to_canonical() == b.to_canonical());
        is_this || self.names.contains(&name)
    }
}

/// The name or address in `name:port`, `[address]:port` or either alone.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']')?;
            (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_port && !name.is_empty()).then_some(name)
}

/// Refuses requests for other hosts, and gives every answer its headers.
pub async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let came_to = request.extensions().get::<CameTo>().and_then(|came_to| came_to.0);
    let mut response = if hosts.answer_to(request.headers(), request.uri(), came_to) {
        next.run(request).await
    } else {
        Problem { status: StatusCode::MISDIRECTED_REQUEST, said: said!("api.other_host") }.into_response()
    };
    let headers = response.headers_mut();
    // Whatever does not say that it may be kept is for this once.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if hosts.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &[&str], uri: &str, expected: bool) {
        let names = ["trung-tam.vn", "localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        let came_to = Some("10.0.0.5".parse().unwrap());
        let found = Hosts { names, tls: false }.answer_to(&headers, &uri.parse().unwrap(), came_to);
        assert_eq!(found, expected, "{hosts:?} {uri}");
    }

    #[test]
    fn only_its_own_names_are_answered() {
        for host in [
            "trung-tam.vn",
            "Trung-Tam.VN:8443",
            "trung-tam.vn.",
            "localhost:8080",
            "127.0.0.1",
            "[::1]:8443",
        ] {
            check(&[host], "/", true);
        }
        check(&["10.0.0.5:8443"], "/", true);
        check(&["[::ffff:10.0.0.5]"], "/", true);
        for host in [
            "evil.example",
            "trung-tam.vn.evil.example",
            "xtrung-tam.vn",
            "10.0.0.6",
            "",
            ":80",
            "localhost:x",
        ] {
            check(&[host], "/", false);
        }
        for host in ["localhost:80@evil", "[::1", "[::1]x", "localhost, evil.example", "trung-tam.vn.."] {
            check(&[host], "/", false);
        }
        check(&[], "/", false);
        check(&["localhost", "localhost"], "/", false);
        check(&["localhost"], "http://evil.example/", false);
        check(&["localhost"], "http://trung-tam.vn/", true);
    }
}
