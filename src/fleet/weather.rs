//! A stand-in for mobile links: a relay before the broker that is as late, and as often held up, as a link that loses packets.
//!
//! No packet is lost here. A loss on a TCP link shows as a pause of everything behind it, and that is what the relay does.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::memory_box::random;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// Longest piece that is held up as one: a packet of TCP over Ethernet (1,500 bytes less its headers).
const PACKET_BYTES: usize = 1_448;

/// Shortest time after which TCP sends again (Linux: `TCP_RTO_MIN`).
const RESEND_AFTER_MIN: Duration = Duration::from_millis(200);

/// Packets of one direction that may be under way; whoever sends more waits.
const UNDER_WAY_MAX: usize = 64;

/// The quality of the links of a fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// There and back.
    pub round_trip: Duration,
    /// Share of the packets that are lost, from 0 to 1.
    pub loss: f64,
}

impl Weather {
    /// Reports whether the links are as those within a machine.
    pub fn is_fair(&self) -> bool {
        self.round_trip.is_zero() && self.loss <= 0.0
    }

    /// Draws how long a packet is under way. TCP doubles its patience with each loss of the same packet.
    fn delay(&self, mut draw: impl FnMut() -> f64) -> Duration {
        let mut patience = RESEND_AFTER_MIN.max(self.round_trip * 2);
        let mut delay = self.round_trip / 2;
        while draw() < self.loss.min(0.9) {
            delay += patience;
            patience *= 2;
        }
        delay
    }
}

/// Pause after a connection that could not be taken.
const ACCEPTS_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A relay before a broker; it ends when it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Listens on a port of its own of this machine, and passes on to `broker`.
    ///
    /// # Errors
    /// Fails where no port can be had.
    pub async fn start(broker: SocketAddr, weather: Weather) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(pass(stream, broker, weather))),
                    // A box that hung up, or no descriptor left for a moment: others still come.
                    Err(_) => sleep(ACCEPTS_AGAIN_AFTER).await,
                }
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(near: TcpStream, broker: SocketAddr, weather: Weather) {
    let Ok(far) = TcpStream::connect(broker).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::join!(hold_up(near_read, far_write, weather), hold_up(far_read, near_write, weather));
}

/// Passes on one direction, each packet after its delay, and none before the one that was sent first.
async fn hold_up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, weather: Weather) {
    let mut under_way: VecDeque<(Moment, Vec<u8>)> = VecDeque::new();
    let mut last = monotonic();
    let mut packet = [0; PACKET_BYTES];
    let mut open = true;
    while open || !under_way.is_empty() {
        let next = under_way.front().map(|(due, _)| due.since(monotonic()));
        tokio::select! {
            read = from.read(&mut packet), if open && under_way.len() < UNDER_WAY_MAX => match read {
                Ok(length) if length > 0 => {
                    last = last.max(monotonic() + Span(weather.delay(share).as_micros() as u64));
                    under_way.push_back((last, packet[..length].to_vec()));
                }
                _ => open = false,
            },
            () = sleep(next.unwrap_or_default().into()), if next.is_some() => {
                let Some((_, bytes)) = under_way.pop_front() else { continue };
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Draws a number from 0 to 1.
fn share() -> f64 {
    (random() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_passes_is_late_whole_and_in_order() {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let weather = Weather { round_trip: Duration::from_millis(60), loss: 0.3 };
        let relay = Relay::start(broker.local_addr().unwrap(), weather).await.unwrap();
        let mut near = TcpStream::connect(relay.address).await.unwrap();
        let (mut far, _) = broker.accept().await.unwrap();
        let sent: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        let began = monotonic();
        near.write_all(&sent).await.unwrap();
        near.shutdown().await.unwrap();
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, sent);
        assert!(Duration::from(monotonic().since(began)) >= weather.round_trip / 2);
    }

    #[test]
    fn a_packet_that_is_lost_twice_waits_for_both() {
        let weather = Weather { round_trip: Duration::from_millis(150), loss: 0.02 };
        let mut draws = [0.01, 0.019, 0.02].into_iter();
        let delay = weather.delay(|| draws.next().unwrap());
        assert_eq!(delay, Duration::from_millis(75 + 300 + 600));
        assert_eq!(weather.delay(|| 0.5), Duration::from_millis(75));
        assert!(Weather { round_trip: Duration::ZERO, loss: 0.0 }.is_fair() && !weather.is_fair());
    }
}
