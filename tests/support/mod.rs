//! The real box as a child process, ears that measure what it played, and a central that keeps to a script.

#![allow(dead_code, reason = "each test crate uses its own part of it")]

pub mod broker;
pub mod browser;
pub mod central;
pub mod cluster;
pub mod commune;
pub mod crash_disk;
pub mod disk_trace;
pub mod firefox;
pub mod listen;
pub mod own_key;
pub mod postgres;
pub mod postgres_way;
pub mod pulse;
pub mod recordings;
pub mod soundcard;
pub mod staff;
pub mod unit;
pub mod villages;

use std::time::{Duration, Instant};

/// Longest wait for anything on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Looks again and again until there is something, and fails with `what` at the deadline.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
