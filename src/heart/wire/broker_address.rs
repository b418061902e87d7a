//! The address of a broker: `mqtt://user:password@host:port` or `mqtts://host`; that of a cluster: `mqtts://one,two:8884,three`.

use crate::said;
use crate::texts::{Say, Sentence};
use std::fmt;
use std::str::FromStr;

/// Most brokers of one address.
const BROKERS_MAX: usize = 8;

/// A broker's address, or those of a cluster, checked. `Display` and `Debug` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// The connection is TLS.
    pub tls: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// 1883, or 8883 with TLS, where none is written.
    pub port: u16,
    /// Name and password.
    pub login: Option<(String, String)>,
    /// Host and port of the cluster's further brokers: each of them is as good as the first.
    pub others: Vec<(String, u16)>,
}

/// The faults of a text that is no broker's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadBrokerAddress {
    Scheme,
    Host,
    Port,
    Login,
    TooMany,
}

impl Say for BadBrokerAddress {
    fn say(&self) -> Sentence {
        match self {
            BadBrokerAddress::Scheme => said!("broker_address.scheme"),
            BadBrokerAddress::Host => said!("broker_address.host"),
            BadBrokerAddress::Port => said!("broker_address.port"),
            BadBrokerAddress::Login => said!("broker_address.login"),
            BadBrokerAddress::TooMany => said!("broker_address.too_many", max = BROKERS_MAX),
        }
    }
}

impl BrokerAddress {
    /// Host and port of each broker, in the order in which they are written.
    pub fn places(&self) -> impl Iterator<Item = (&str, u16)> {
        let others = self.others.iter().map(|(host, port)| (host.as_str(), *port));
        std::iter::once((self.host.as_str(), self.port)).chain(others)
    }

    /// Tells whether every broker is on this machine, so that nobody else sees what goes there.
    pub fn is_loopback(&self) -> bool {
        let is_here = |host: &str| {
            host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        self.places().all(|(host, _)| is_here(host))
    }
}

impl FromStr for BrokerAddress {
    type Err = BadBrokerAddress;

    fn from_str(text: &str) -> Result<Self, BadBrokerAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(BadBrokerAddress::Scheme)?;
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(BadBrokerAddress::Scheme),
        };
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(parse_login(login)?), place),
            None => (None, rest),
        };
        let mut places =
            place.strip_suffix('/').unwrap_or(place).split(',').map(|place| parse_place(place, tls));
        let (host, port) = places.next().unwrap_or(Err(BadBrokerAddress::Host))?;
        let others = places.collect::<Result<Vec<_>, _>>()?;
        if others.len() >= BROKERS_MAX {
            return Err(BadBrokerAddress::TooMany);
        }
        Ok(Self { tls, host, port, login, others })
    }
}

fn parse_place(place: &str, tls: bool) -> Result<(String, u16), BadBrokerAddress> {
    let (host, port) = split_port(place)?;
    let host_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(host_character) {
        return Err(BadBrokerAddress::Host);
    }
    let port = match port {
        None if tls => 8883,
        None => 1883,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(BadBrokerAddress::Port)?,
    };
    Ok((host.to_owned(), port))
}

fn split_port(place: &str) -> Result<(&str, Option<&str>), BadBrokerAddress> {
    let Some(rest) = place.strip_prefix('[') else {
        return Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))));
    };
    match rest.split_once(']') {
        Some((host, "")) => Ok((host, None)),
        Some((host, port)) => {
            port.strip_prefix(':').map(|port| (host, Some(port))).ok_or(BadBrokerAddress::Port)
        }
        None => Err(BadBrokerAddress::Host),
    }
}

fn parse_login(login: &str) -> Result<(String, String), BadBrokerAddress> {
    let (name, password) = login.split_once(':').unwrap_or((login, ""));
    let decode = |text| decode_percent(text).filter(|text: &String| !text.chars().any(char::is_control));
    match (decode(name), decode(password)) {
        (Some(name), Some(password)) if !name.is_empty() => Ok((name, password)),
        _ => Err(BadBrokerAddress::Login),
    }
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://")?;
        for (n, (host, port)) in self.places().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TLS, host, port, and name with password.
    type Parts = (bool, &'static str, u16, Option<(&'static str, &'static str)>);

    fn check(text: &str, expected: Result<Parts, BadBrokerAddress>) {
        let expected = expected.map(|(tls, host, port, login)| BrokerAddress {
            tls,
            host: host.to_owned(),
            port,
            login: login.map(|(name, password)| (name.to_owned(), password.to_owned())),
            others: Vec::new(),
        });
        assert_eq!(text.parse(), expected, "{text}");
    }

    #[test]
    fn addresses_are_read_and_the_rest_refused() {
        check("mqtt://localhost", Ok((false, "localhost", 1883, None)));
        check("mqtts://trung-tam.vn/", Ok((true, "trung-tam.vn", 8883, None)));
        check("mqtt://loa-1:p%40ss@10.0.0.1:11883", Ok((false, "10.0.0.1", 11883, Some(("loa-1", "p@ss")))));
        check("mqtt://[::1]:5", Ok((false, "::1", 5, None)));
        check("mqtt://u@h", Ok((false, "h", 1883, Some(("u", "")))));
        check("http://localhost", Err(BadBrokerAddress::Scheme));
        check("localhost:1883", Err(BadBrokerAddress::Scheme));
        check("mqtt://", Err(BadBrokerAddress::Host));
        check("mqtt://a b", Err(BadBrokerAddress::Host));
        check("mqtt://h/topic", Err(BadBrokerAddress::Host));
        check("mqtt://h:0", Err(BadBrokerAddress::Port));
        check("mqtt://h:65536", Err(BadBrokerAddress::Port));
        check("mqtt://:p@h", Err(BadBrokerAddress::Login));
        check("mqtt://u:%zz@h", Err(BadBrokerAddress::Login));
    }

    #[test]
    fn a_cluster_is_read_in_its_order_and_written_as_it_is_read() {
        let address: BrokerAddress = "mqtts://u:p@mot.vn,[::1]:5,ba".parse().unwrap();
        let places: Vec<_> = address.places().collect();
        assert_eq!(places, [("mot.vn", 8883), ("::1", 5), ("ba", 8883)]);
        assert_eq!(address.to_string(), "mqtts://mot.vn:8883,[::1]:5,ba:8883");
        assert_eq!(address.to_string().parse(), Ok(BrokerAddress { login: None, ..address }));
        check("mqtt://a,", Err(BadBrokerAddress::Host));
        check("mqtt://a,b:0", Err(BadBrokerAddress::Port));
        check("mqtt://1,2,3,4,5,6,7,8,9", Err(BadBrokerAddress::TooMany));
        let is_here = |text: &str| text.parse::<BrokerAddress>().unwrap().is_loopback();
        assert!(is_here("mqtt://127.0.0.1:1,localhost,[::1]") && !is_here("mqtt://127.0.0.1,trung-tam.vn"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let address: BrokerAddress = "mqtt://u:secret@h:5".parse().unwrap();
        assert_eq!(format!("{address} {address:?}"), "mqtt://h:5 mqtt://h:5");
    }
}
