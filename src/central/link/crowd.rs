//! The connections of one listener: how many there may be, and who goes when one more wants in.
//!
//! A stranger is a connection that has not shown yet who it is. Strangers have a bound for each address that they come
//! from and one for all; who is known is never sent away for a stranger.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::broker::CLIENTS_MAX;
use loaxa_adapters::clock::monotonic;

/// Connections to pages and API that are open at the same time.
const PAGES_MAX: usize = 1_024;
/// Share of them that strangers may have.
const PAGES_STRANGERS_MAX: usize = 768;
/// Strangers at the pages from one address: an office, or boxes behind one address of a mobile network.
const PAGES_OF_SOURCE_MAX: usize = 192;
/// Clients that are showing to the gate who they are.
const BOXES_STRANGERS_MAX: usize = 256;
/// Clients of one address that are showing to the gate who they are.
const BOXES_OF_SOURCE_MAX: usize = 128;
/// Descriptors of a session: outside the gate, inside, and the broker's end of that.
const DESCRIPTORS_OF_SESSION: usize = 3;
/// Descriptors that a process may open where the system does not say.
const DESCRIPTORS_USUAL: usize = 1_024;

/// The most connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub all_max: usize,
    pub strangers_max: usize,
    pub strangers_of_source_max: usize,
}

impl Bounds {
    /// The bounds of pages and API, so that they never use up this process's `descriptors`: each may have a file open.
    pub fn of_pages(descriptors: usize) -> Self {
        let all_max = PAGES_MAX.min(descriptors / 4);
        let strangers_max = PAGES_STRANGERS_MAX.min(all_max * 3 / 4);
        Self { all_max, strangers_max, strangers_of_source_max: PAGES_OF_SOURCE_MAX.min(strangers_max) }
    }

    /// The bounds of the gate for boxes, in what the pages leave of this process's `descriptors`.
    pub fn of_boxes(descriptors: usize) -> Self {
        let left = descriptors.saturating_sub(2 * Self::of_pages(descriptors).all_max);
        let all_max = CLIENTS_MAX.min(left / (DESCRIPTORS_OF_SESSION + 1));
        let strangers_max = BOXES_STRANGERS_MAX.min(all_max / 2);
        Self { all_max, strangers_max, strangers_of_source_max: BOXES_OF_SOURCE_MAX.min(strangers_max) }
    }
}

/// Reads how many descriptors this process may have open.
pub fn descriptors_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(DESCRIPTORS_USUAL)
}

/// The origin of a connection, as it is counted: an IPv4 address, or an IPv6 network of 64 bits, which one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Source::V6([a, b, c, d])
            }
        }
    }
}

/// The connections of one listener.
pub struct Crowd {
    bounds: Bounds,
    /// Proxies: many people come from one of them.
    proxies: Vec<IpAddr>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    entered: u64,
    strangers: BTreeMap<Source, BTreeMap<u64, Arc<Place>>>,
    strangers_count: usize,
    known_count: usize,
    sent_away: u64,
}

/// One connection, as its crowd sees it.
#[derive(Default)]
struct Place {
    leave: Notify,
    /// Says that the client's request is being answered; else central waits for the client.
    busy: AtomicBool,
    /// Monotonic time of its last byte, in microseconds.
    moved: AtomicU64,
}

impl Crowd {
    /// An empty crowd. Strangers from `proxies` have no bound for their address.
    pub fn new(bounds: Bounds, proxies: Vec<IpAddr>) -> Arc<Self> {
        Arc::new(Self { bounds, proxies, inside: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new connection a seat. Where there is none, the oldest idle stranger of its address, or of the most crowded
    /// one, is sent away for it; `None` where all that are here are known.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Arc<Seat>> {
        let source = Source::of(from);
        let mut inside = self.lock();
        let of_source = inside.strangers.get(&source).map_or(0, BTreeMap::len);
        let is_proxy = self.proxies.iter().any(|proxy| proxy.to_canonical() == from.to_canonical());
        if of_source >= self.bounds.strangers_of_source_max && !is_proxy {
            inside.send_away_from(source);
        } else if inside.strangers_count >= self.bounds.strangers_max
            || inside.strangers_count + inside.known_count >= self.bounds.all_max
        {
            let crowded = inside.most_crowded()?;
            inside.send_away_from(crowded);
        }
        inside.entered += 1;
        let number = inside.entered;
        let place = Arc::new(Place::default());
        inside.strangers.entry(source).or_default().insert(number, Arc::clone(&place));
        inside.strangers_count += 1;
        debug_assert!(inside.strangers_count + inside.known_count <= self.bounds.all_max);
        drop(inside);
        Some(Arc::new(Seat {
            crowd: Arc::clone(self),
            source,
            number,
            place,
            is_known: AtomicBool::new(false),
        }))
    }

    /// Sends one stranger away, so that its descriptor is free.
    pub fn make_room(&self) {
        let mut inside = self.lock();
        if let Some(source) = inside.most_crowded() {
            inside.send_away_from(source);
        }
    }

    /// The strangers who were sent away since the start.
    pub fn sent_away(&self) -> u64 {
        self.lock().sent_away
    }
}

impl Inside {
    fn most_crowded(&self) -> Option<Source> {
        self.strangers.iter().max_by_key(|(_, places)| places.len()).map(|(source, _)| *source)
    }

    /// Sends away the oldest idle stranger of an address; where all are being answered, the one that stands still longest.
    fn send_away_from(&mut self, source: Source) {
        let Some(places) = self.strangers.get(&source) else { return };
        let rank = |(number, place): &(&u64, &Arc<Place>)| {
            let busy = place.busy.load(Ordering::Relaxed);
            (busy, if busy { place.moved.load(Ordering::Relaxed) } else { **number })
        };
        let Some((number, place)) = places.iter().min_by_key(rank) else { return };
        place.leave.notify_one();
        let number = *number;
        self.remove(source, number);
        self.sent_away += 1;
    }

    fn remove(&mut self, source: Source, number: u64) -> bool {
        let Some(places) = self.strangers.get_mut(&source) else { return false };
        let was_there = places.remove(&number).is_some();
        if places.is_empty() {
            self.strangers.remove(&source);
        }
        self.strangers_count -= usize::from(was_there);
        was_there
    }
}

/// A connection's place in its crowd; dropped, the place is free.
pub struct Seat {
    crowd: Arc<Crowd>,
    source: Source,
    number: u64,
    place: Arc<Place>,
    is_known: AtomicBool,
}

impl Seat {
    /// Keeps the connection from now on: it has shown who it is.
    pub fn keep(&self) {
        let mut inside = self.crowd.lock();
        if inside.remove(self.source, self.number) {
            inside.known_count += 1;
            self.is_known.store(true, Ordering::Relaxed);
        }
    }

    /// Resolves when the connection must go for another.
    pub async fn sent_away(&self) {
        self.place.leave.notified().await;
    }

    /// Notes that bytes moved.
    pub fn moved(&self) {
        self.place.moved.store(monotonic().0, Ordering::Relaxed);
    }

    /// Notes that the connection is being answered, or is awaited again.
    pub fn set_busy(&self, busy: bool) {
        self.moved();
        self.place.busy.store(busy, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.crowd.lock();
        if *self.is_known.get_mut() {
            inside.known_count -= 1;
        } else {
            inside.remove(self.source, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(all_max: usize, strangers_max: usize, strangers_of_source_max: usize) -> Arc<Crowd> {
        Crowd::new(
            Bounds { all_max, strangers_max, strangers_of_source_max },
            vec!["10.9.9.9".parse().unwrap()],
        )
    }

    fn enter(crowd: &Arc<Crowd>, from: &str) -> Arc<Seat> {
        crowd.enter(from.parse().unwrap()).unwrap()
    }

    /// Tells which of the seats were sent away, by their places in the list.
    fn gone(seats: &[Arc<Seat>]) -> Vec<usize> {
        let is_gone = |seat: &&Arc<Seat>| {
            let inside = seat.crowd.lock();
            let stays =
                inside.strangers.get(&seat.source).is_some_and(|places| places.contains_key(&seat.number));
            !stays && !seat.is_known.load(Ordering::Relaxed)
        };
        seats.iter().enumerate().filter(|(_, seat)| is_gone(seat)).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_oldest_idle_stranger_of_a_full_address_goes() {
        let crowd = crowd(100, 100, 3);
        let seats: Vec<_> = (0..3).map(|_| enter(&crowd, "10.0.0.1")).collect();
        seats[0].keep();
        let more: Vec<_> = (0..2).map(|_| enter(&crowd, "10.0.0.1")).collect();
        assert_eq!((gone(&seats), gone(&more), crowd.sent_away()), (vec![1], vec![], 1));
        // Of one network of 64 bits, and mapped addresses, the same is true.
        let six: Vec<_> = (0..4).map(|n| enter(&crowd, &format!("2001:db8::{n}:1"))).collect();
        assert_eq!(gone(&six), [0]);
        drop(enter(&crowd, "::ffff:10.0.0.1"));
        assert_eq!(gone(&seats), [1, 2]);
    }

    #[test]
    fn the_most_crowded_address_makes_room_for_others() {
        let crowd = crowd(10, 4, 3);
        let many: Vec<_> = (0..3).map(|_| enter(&crowd, "10.0.0.1")).collect();
        let few = [enter(&crowd, "10.0.0.2"), enter(&crowd, "10.0.0.3")];
        assert_eq!((gone(&many), gone(&few)), (vec![0], vec![]));
        drop(many);
        assert_eq!(crowd.lock().strangers_count, 2);
    }

    #[test]
    fn whoever_is_answered_goes_last_and_whoever_is_known_never() {
        let crowd = crowd(3, 3, 3);
        let seats: Vec<_> = (0..3).map(|_| enter(&crowd, "10.0.0.1")).collect();
        seats[0].set_busy(true);
        seats[1].set_busy(true);
        let next = enter(&crowd, "10.0.0.2");
        assert_eq!(gone(&seats), [2]);
        next.keep();
        seats[1].moved();
        seats[0].keep();
        seats[1].keep();
        assert!(crowd.enter("10.0.0.4".parse().unwrap()).is_none(), "all are known");
        drop(seats);
        assert!(crowd.enter("10.0.0.4".parse().unwrap()).is_some());
    }

    #[test]
    fn a_proxy_stands_for_many_people() {
        let crowd = crowd(10, 8, 2);
        let seats: Vec<_> = (0..8).map(|_| enter(&crowd, "10.9.9.9")).collect();
        assert!(gone(&seats).is_empty());
        crowd.make_room();
        assert_eq!(gone(&seats), [0]);
    }

    #[test]
    fn bounds_stay_within_the_descriptors() {
        for descriptors in [64, 256, 1_024, 4_096, 65_536, 1 << 20] {
            let (pages, boxes) = (Bounds::of_pages(descriptors), Bounds::of_boxes(descriptors));
            let used = 2 * pages.all_max + DESCRIPTORS_OF_SESSION * boxes.all_max;
            assert!(used < descriptors * 9 / 10, "{descriptors}: {pages:?} {boxes:?}");
            assert!(pages.strangers_max < pages.all_max && boxes.strangers_max < boxes.all_max);
        }
        assert_eq!(Bounds::of_boxes(65_536).all_max, CLIENTS_MAX);
    }
}
