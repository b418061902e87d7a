//! Addresses that letters may go to: those of the open network, unless the configuration says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Resolves a name, and leaves out what no server of others has.
///
/// # Errors
/// Fails when nothing is left.
pub fn resolve(host: &str, port: u16, private: bool) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = (bare, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let allowed: Vec<_> = found.filter(|address| private || is_public(address.ip())).collect();
    if allowed.is_empty() { Err(format!("{host} is no public address")) } else { Ok(allowed) }
}

/// Tells whether an address is one of the open network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| embedded(v6)) {
            Some(v4) => is_public_v4(v4),
            None => {
                let [first, second, ..] = v6.segments();
                // Of 2001::/23 are tunnels and other special uses.
                let is_special = first == 0x2001 && (second < 0x200 || second == 0xdb8);
                let is_global = first & 0xe000 == 0x2000;
                is_global && !is_special
            }
        },
    }
}

/// The address that a translator would reach: `64:ff9b::/96` and 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, _, _, _, g, h] = v6.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) => Some(of(g, h)),
        (0x2002, _) => Some(of(b, c)),
        _ => None,
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (18..20).contains(&b);
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || is_shared
        || is_benchmark
        || a == 0
        || a >= 240)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_open_network_are_public() {
        let check =
            |address: &str, expected| assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        for public in ["1.1.1.1", "203.113.131.1", "2606:4700::1111", "64:ff9b::101:101"] {
            check(public, true);
        }
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "::127.0.0.1",
            "100::1",
            "2001::1",
            "64:ff9b:1::7f00:1",
            "5f00::1",
            "ff02::1",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            check(own, false);
        }
        assert!(resolve("127.0.0.1", 25, false).is_err());
        assert_eq!(resolve("[::1]", 25, true).unwrap(), ["[::1]:25".parse().unwrap()]);
    }
}
