//! A long way to a PostgreSQL server: each answer, and each commit, comes later than the server gave it, or the way is cut.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::postgres::{Cluster, database_at};
use loaxa_heart::config::store_file::Database;

/// The name of the socket of the server's default port.
const SOCKET: &str = ".s.PGSQL.5432";

#[derive(Default)]
struct State {
    answer_ms: AtomicU64,
    commit_ms: AtomicU64,
    is_cut: AtomicBool,
    open: Mutex<Vec<UnixStream>>,
}

/// The way, which ends with the test's process.
pub struct Way {
    dir: tempfile::TempDir,
    state: Arc<State>,
}

impl Way {
    pub fn to(cluster: &Cluster) -> Self {
        let dir = tempfile::Builder::new().prefix("way").tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let (state, server) = (Arc::<State>::default(), cluster.socket().join(SOCKET));
        let of_all = Arc::clone(&state);
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|client| pass_on(client, &server, &of_all));
        });
        Self { dir, state }
    }

    /// Has every answer come so much later: a question that is asked in two steps waits twice.
    pub fn delay_answers(&self, by: Duration) {
        self.state.answer_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Has every commit reach the server so much later.
    pub fn delay_commits(&self, by: Duration) {
        self.state.commit_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Breaks all connections and lets nobody through, or lets them through again.
    pub fn cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::SeqCst);
        for open in self.state.open.lock().unwrap().drain(..) {
            let _ = open.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The database as the configuration names it.
    pub fn database(&self, name: &str) -> Database {
        database_at(format!("postgres://loaxa@/{name}?host={}", self.dir.path().display()))
    }
}

fn pass_on(client: UnixStream, server: &PathBuf, state: &Arc<State>) {
    // A client of a server that is away is turned away.
    let Ok(server) = UnixStream::connect(server) else { return };
    if state.is_cut.load(Ordering::SeqCst) {
        return;
    }
    state.open.lock().unwrap().push(client.try_clone().unwrap());
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let to_server = Arc::clone(state);
    std::thread::spawn(move || {
        pump(from, to, |bytes| {
            let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
            if commits { to_server.commit_ms.load(Ordering::Relaxed) } else { 0 }
        });
    });
    let to_client = Arc::clone(state);
    std::thread::spawn(move || pump(server, client, |_| to_client.answer_ms.load(Ordering::Relaxed)));
}

fn pump(mut from: UnixStream, mut to: UnixStream, delay_ms: impl Fn(&[u8]) -> u64) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(count) = from.read(&mut buffer)
        && count > 0
    {
        std::thread::sleep(Duration::from_millis(delay_ms(&buffer[..count])));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}
