//! Listening: connections are taken in, whatever goes wrong with one of them, and those that are too many go.

use std::fmt::Display;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::crowd::{Crowd, Seat};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// The wait after an accept that failed for want of descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
/// Complaints of one kind are written down at most this often, with the count of those between.
const COMPLAIN_EVERY: Span = Span::secs(10);

/// A connection that came in.
pub struct Visitor {
    pub stream: TcpStream,
    pub from: SocketAddr,
    pub seat: Arc<Seat>,
}

/// Takes connections in until `stopped` resolves, and waits for those that are open by then. Each is served until its crowd
/// sends it away; all end when this future is dropped.
pub async fn keep<F>(
    listener: TcpListener,
    crowd: Arc<Crowd>,
    stopped: impl Future<Output = ()>,
    serve: impl Fn(Visitor) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let complaints = Complaints::default();
    let mut stopped = std::pin::pin!(stopped);
    let mut visits = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            Some(_) = visits.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(seat) = crowd.enter(from.ip()) else {
                    complaints.note(from, &"all places are taken by connections that are known");
                    continue;
                };
                let visit = serve(Visitor { stream, from, seat: Arc::clone(&seat) });
                visits.spawn(async move {
                    tokio::select! {
                        () = visit => {}
                        () = seat.sent_away() => {}
                    }
                });
            }
            Err(error) if is_of_the_client(error.kind()) => {}
            Err(error) => {
                crowd.make_room();
                complaints.note(listener.local_addr().ok(), &error);
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    while visits.join_next().await.is_some() {}
}

/// Tells whether an accept failed because the client was gone already.
fn is_of_the_client(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut)
}

/// Complaints about connections. A flood of them is one line with a count.
#[derive(Default)]
pub struct Complaints(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    written: Option<Moment>,
    since: u64,
}

impl Complaints {
    /// Notes a complaint; writes it down where the last one was written some time ago.
    pub fn note(&self, from: impl Into<Option<SocketAddr>>, why: &dyn Display) {
        let Some(count) = self.due(monotonic()) else { return };
        match from.into() {
            Some(from) => tracing::warn!(%from, count, "not let in: {why}"),
            None => tracing::warn!(count, "not let in: {why}"),
        }
    }

    /// Counts a complaint; gives how many came since the last that was written, where this one is to be.
    fn due(&self, now: Moment) -> Option<u64> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.since += 1;
        if noted.written.is_some_and(|written| now.since(written) < COMPLAIN_EVERY) {
            return None;
        }
        noted.written = Some(now);
        Some(std::mem::take(&mut noted.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_complaints_is_one_line_with_a_count() {
        let complaints = Complaints::default();
        let at = |s: u64| Moment::default() + Span::secs(s);
        assert_eq!(complaints.due(at(100)), Some(1));
        assert_eq!((0..500).filter_map(|_| complaints.due(at(105))).count(), 0);
        assert_eq!(complaints.due(at(110)), Some(501));
    }
}
