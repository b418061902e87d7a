//! The link by which this machine reaches another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Time between two looks at the way to the broker, and looks at another one before the connection is given up: links flutter.
const WAY_LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
const OTHER_WAY_LOOKS: u32 = 2;

/// Ends when this machine reaches the broker from another of its addresses than at first: the link of the connection is gone, or
/// a better one is back. Without this the session would be found dead by its pings alone, after two minutes.
pub async fn other_way((host, port): &(String, u16)) {
    let found = tokio::net::lookup_host((host.as_str(), *port)).await.ok().and_then(|mut all| all.next());
    let Some((broker, first)) = found.and_then(|broker| Some((broker, source_towards(broker)?))) else {
        return std::future::pending().await;
    };
    let mut others = 0;
    while others < OTHER_WAY_LOOKS {
        tokio::time::sleep(WAY_LOOKED_AT_EVERY).await;
        let is_other = source_towards(broker).is_some_and(|source| source != first);
        others = if is_other { others + 1 } else { 0 };
    }
}

/// The address from which the machine would send to another; nothing is sent.
fn source_towards(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
