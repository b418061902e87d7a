//! Audio on its way to the box: one at a time, as `decide::downloads` says, tried again for as long as it is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::data_usage::UsageFile;
use loaxa_adapters::backoff::Backoff;
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::fetch::{FetchError, Fetcher, MediaDir};
use loaxa_heart::decide::downloads::{self, Fetch, Month, Need, Rules, Wish};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use loaxa_heart::texts::Say;
use loaxa_sound::decode;
use loaxa_sound::losses::Count;

/// Requests that may wait while a file is on its way: more than all files that may be waited for.
const REQUESTS_MAX: usize = 4 * downloads::WAITING_MAX;

/// Emergencies whose audio may be asked for while a file is on its way: as many as the heart holds.
const EMERGENCIES_MAX: usize = 256;

/// Delay between two tries for one file.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// Tries after which a file that the server does not have, or has wrong, is given up.
const TRIES_MAX: u32 = 20;

/// Time for which audio that finds no room waits for some.
const ROOM_WAIT: Span = Span::secs(600);

/// Something in the month's data budget waits, or had to exceed it.
pub const FAULT_BUDGET: &str = "data_budget";

/// MIME type of a program, by which it is told from audio.
pub const PROGRAM: &str = "application/x-executable";

/// Audio that is scheduled leaves no room for more.
pub const FAULT_FULL: &str = "media_full";

/// News of the downloads for the daemon.
#[derive(Debug)]
pub enum News {
    /// The outcome of a download.
    Done(ContentHash, Result<(), Fault>),
    /// A fault begins or ends.
    Fault(&'static str, bool),
    /// Urgent audio exceeded the month's budget, for the first time in this month.
    OverBudget { month: Month },
}

enum Request {
    Fetch {
        media: Media,
        by: Wall,
        need: Need,
    },
    Base(String),
    Clock(Reading),
    /// Something came another way: whoever waits for it is told.
    Look,
}

/// A handle on the downloading thread; it ends when this is dropped.
pub struct Downloads {
    requests: SyncSender<Request>,
    shared: Arc<Shared>,
    dir: MediaDir,
    /// Requests without room.
    refused: Count,
}

/// Answers to a wish for a file.
#[derive(Debug)]
pub enum FetchAsked {
    /// The thread knows of the wish; news follow.
    Taken,
    /// Too many requests wait; no news follow.
    Refused(Fault),
}

#[derive(Default)]
struct Shared {
    /// Scheduled, prepared or live: never evicted.
    in_use: Mutex<BTreeSet<ContentHash>>,
    /// Bytes received in this month.
    used: Mutex<u64>,
    /// Audio of emergencies that the thread has not looked at yet; while there is any, every other download gives way.
    emergencies: Mutex<BTreeMap<ContentHash, (Media, Wall)>>,
    /// Files that are waited for, as the installer's stick may bring them.
    wanted: Mutex<BTreeMap<ContentHash, Media>>,
}

/// A panic of another thread leaves no half-written value behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Wanted {
    media: Media,
    wish: Wish,
    tries: u32,
    backoff: Backoff,
}

/// Everything that the thread is started with.
pub struct Start {
    pub fetcher: Fetcher,
    pub rules: Rules,
    pub usage: UsageFile,
    /// The clocks at the start.
    pub now: Reading,
    pub seed: u64,
}

impl Downloads {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails when there can be no thread.
    pub fn start(start: Start, news: Sender<News>) -> std::io::Result<Self> {
        let (requests, receiver) = sync_channel(REQUESTS_MAX);
        let shared = Arc::<Shared>::default();
        *lock(&shared.used) = start.usage.bytes;
        let dir = start.fetcher.dir().clone();
        let base = None;
        let Start { fetcher, rules, usage, now, seed } = start;
        let (wanted, faults) = (BTreeMap::new(), BTreeSet::new());
        let shared_too = Arc::clone(&shared);
        let worker =
            Worker { fetcher, base, rules, usage, now, seed, wanted, faults, news, shared: shared_too };
        std::thread::Builder::new().name("downloads".into()).spawn(move || worker.run(&receiver))?;
        Ok(Self { requests, shared, dir, refused: Count::default() })
    }

    /// Wants a file.
    pub fn fetch(&self, media: Media, by: Wall, need: Need) -> FetchAsked {
        let what = media.path.clone();
        lock(&self.shared.in_use).insert(media.sha256);
        if need == Need::Emergency {
            let mut emergencies = lock(&self.shared.emergencies);
            if emergencies.len() < EMERGENCIES_MAX {
                emergencies.insert(media.sha256, (media, by));
                drop(emergencies);
                // A thread with so many requests before it that this finds no room looks by itself.
                let _ = self.requests.try_send(Request::Look);
                return FetchAsked::Taken;
            }
        }
        if self.ask(Request::Fetch { media, by, need }) {
            return FetchAsked::Taken;
        }
        FetchAsked::Refused(Fault::Damaged {
            what,
            detail: format!("{REQUESTS_MAX} requests wait already").into(),
        })
    }

    /// Passes a request on; counts and forgets one that finds too many before it.
    fn ask(&self, request: Request) -> bool {
        // The thread ends only with this handle: what fails lacks room.
        let taken = self.requests.try_send(request).is_ok();
        if !taken {
            self.refused.add(1);
        }
        taken
    }

    /// Returns how many requests found too many before them.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Sets the address of central's media.
    pub fn set_base(&self, base: String) {
        self.ask(Request::Base(base));
    }

    /// Sets the clock, which became known or was corrected.
    pub fn set_clock(&self, now: Reading) {
        self.ask(Request::Clock(now));
    }

    /// Looks for files that came another way.
    pub fn look(&self) {
        self.ask(Request::Look);
    }

    /// Tells whether audio is here; if so, it is not evicted before [`Downloads::protect`] says otherwise.
    pub fn claim(&self, sha256: &ContentHash) -> bool {
        let mut in_use = lock(&self.shared.in_use);
        let here = self.dir.has(sha256);
        if here {
            in_use.insert(*sha256);
            self.dir.touch(sha256);
        }
        here
    }

    /// Returns where a file lies once it is here.
    pub fn path_of(&self, sha256: &ContentHash) -> PathBuf {
        self.dir.path_of(sha256)
    }

    /// Tells whether audio is on the disk.
    pub fn has(&self, sha256: &ContentHash) -> bool {
        self.dir.has(sha256)
    }

    /// Sets the audio that is scheduled, prepared or live, which is never evicted.
    pub fn protect(&self, in_use: BTreeSet<ContentHash>) {
        *lock(&self.shared.in_use) = in_use;
    }

    /// Returns the bytes received in this month.
    pub fn used(&self) -> u64 {
        *lock(&self.shared.used)
    }

    /// Returns the room on the disk of the audio, in bytes; `None` where the disk does not say.
    pub fn free(&self) -> Option<u64> {
        self.dir.free_bytes().ok()
    }

    /// Returns the files that are waited for.
    pub fn wanted(&self) -> Vec<Media> {
        lock(&self.shared.wanted).values().cloned().collect()
    }
}

struct Worker {
    fetcher: Fetcher,
    base: Option<String>,
    rules: Rules,
    usage: UsageFile,
    /// The clocks at the last reading.
    now: Reading,
    seed: u64,
    wanted: BTreeMap<ContentHash, Wanted>,
    faults: BTreeSet<&'static str>,
    news: Sender<News>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut pause = IDLE;
        loop {
            match requests.recv_timeout(pause.into()) {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Everything that waits is known before the first is chosen.
            while let Ok(request) = requests.try_recv() {
                self.take(request);
            }
            let emergencies = std::mem::take(&mut *lock(&self.shared.emergencies));
            for (media, by) in emergencies.into_values() {
                self.want(media, by, Need::Emergency);
            }
            self.drop_unwanted();
            pause = self.work();
            let wanted = self.wanted.values().map(|wanted| (wanted.media.sha256, wanted.media.clone()));
            *lock(&self.shared.wanted) = wanted.collect();
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Base(base) => {
                self.base = Some(base);
                self.wanted.values_mut().for_each(|wanted| wanted.wish.not_before = Moment(0));
            }
            Request::Clock(now) => self.now = now,
            Request::Look => {
                let here: Vec<_> =
                    self.wanted.keys().filter(|hash| self.fetcher.dir().has(hash)).copied().collect();
                for wanted in
                    here.into_iter().filter_map(|sha256| self.wanted.remove(&sha256)).collect::<Vec<_>>()
                {
                    self.came(&wanted.media);
                }
            }
            Request::Fetch { media, by, need } => self.want(media, by, need),
        }
    }

    fn want(&mut self, media: Media, by: Wall, need: Need) {
        let sha256 = media.sha256;
        if self.fetcher.dir().has(&sha256) {
            self.fetcher.dir().touch(&sha256);
            return self.done(sha256, Ok(()));
        }
        if self.wanted.len() >= need.waiting_max() {
            let detail = format!("{} files wait already", need.waiting_max()).into();
            return self.done(sha256, Err(Fault::Damaged { what: media.path, detail }));
        }
        let backoff = Backoff::new(RETRY.0, RETRY.1, self.seed ^ media.bytes);
        let bytes = media.bytes.saturating_sub(self.fetcher.dir().received(&sha256));
        let wish = Wish { bytes, by, need, not_before: Moment(0) };
        let fresh = Wanted { media, wish, tries: 0, backoff };
        let wanted = self.wanted.entry(sha256).or_insert(fresh);
        // What two ask for is as urgent as the hastier of them says.
        wanted.wish.need = wanted.wish.need.max(need);
        wanted.wish.by = wanted.wish.by.min(by);
    }

    /// Drops what nobody waits for any more: it was stopped, has expired, or stands in no programme now.
    fn drop_unwanted(&mut self) {
        let in_use = lock(&self.shared.in_use);
        self.wanted.retain(|sha256, _| in_use.contains(sha256));
    }

    fn reading(&self) -> Reading {
        let mono = monotonic();
        Reading { mono, wall: self.now.wall.plus(mono.since(self.now.mono)), ..self.now }
    }

    /// Fetches what is to be fetched now; says how long there is nothing to do then.
    fn work(&mut self) -> Span {
        let now = self.reading();
        if now.quality > ClockQuality::None {
            self.usage.begin(Month::of(now.wall));
        }
        *lock(&self.shared.used) = self.usage.bytes;
        let Some(base) = self.base.clone() else { return IDLE };
        let wishes = self.wanted.iter().map(|(hash, wanted)| (*hash, wanted.wish)).collect();
        let plan = downloads::plan(&wishes, &self.rules, self.usage.bytes, &now);
        let over_now = plan.fetch.is_some_and(|fetch| fetch.over_budget);
        let is_over = self.rules.budget_bytes.is_some_and(|budget| self.usage.bytes > budget);
        self.set_fault(FAULT_BUDGET, plan.waits_for_budget || over_now || is_over);
        match plan.fetch {
            Some(fetch) => {
                self.fetch(&base, fetch);
                Span(0)
            }
            // A month may begin, and the clock may be corrected, while nobody asks.
            None => plan.wake.map_or(IDLE, |wake| wake.since(now.mono)).min(IDLE),
        }
    }

    fn fetch(&mut self, base: &str, Fetch { sha256, over_budget }: Fetch) {
        let Some(mut wanted) = self.wanted.remove(&sha256) else { return };
        let to_leave =
            downloads::room_to_leave(wanted.wish.need, self.wanted.values().map(|wanted| &wanted.wish));
        let dir = self.fetcher.dir();
        dir.delete_unfinished(|hash| *hash != sha256 && !self.wanted.contains_key(hash));
        let excess = self.make_room(wanted.wish.bytes.saturating_add(to_leave));
        self.set_fault(FAULT_FULL, excess > 0);
        if excess > wanted.wish.need.beyond(self.rules.disk_bytes_max) {
            wanted.wish.not_before = monotonic() + ROOM_WAIT;
            self.wanted.insert(sha256, wanted);
            return;
        }
        if over_budget && self.usage.exceed() {
            self.tell(News::OverBudget { month: self.usage.month });
        }
        // Counted before it comes, so that a power cut hides nothing, and put right afterwards.
        let before = self.fetcher.received();
        self.usage.expect(wanted.wish.bytes);
        let is_emergency = wanted.wish.need == Need::Emergency;
        let gives_way = || !is_emergency && !lock(&self.shared.emergencies).is_empty();
        let result = self.fetcher.fetch(base, &wanted.media, &gives_way);
        self.usage.settle(self.fetcher.received() - before);
        match result {
            Ok(_) => self.came(&wanted.media),
            Err(FetchError::GaveWay) => {
                wanted.wish.bytes = wanted.media.bytes.saturating_sub(self.fetcher.dir().received(&sha256));
                self.wanted.insert(sha256, wanted);
            }
            Err(error) => self.failed(wanted, &error),
        }
    }

    /// Measures the length of audio that came, so that its first play need not.
    fn came(&self, media: &Media) {
        let sha256 = media.sha256;
        if media.codec != PROGRAM
            && let Err(fault) = decode::probe(&self.fetcher.dir().path_of(&sha256))
        {
            tracing::warn!(%sha256, %fault, "audio came that can't be played");
        }
        self.done(sha256, Ok(()));
    }

    fn failed(&mut self, mut wanted: Wanted, error: &FetchError) {
        let sha256 = wanted.media.sha256;
        wanted.tries += 1;
        wanted.wish.bytes = wanted.media.bytes.saturating_sub(self.fetcher.dir().received(&sha256));
        let server_has_not = !matches!(error, FetchError::Network { .. });
        if error.may_pass() && !(server_has_not && wanted.tries >= TRIES_MAX) {
            wanted.wish.not_before = monotonic() + Span(wanted.backoff.next_delay().as_micros() as u64);
            self.wanted.insert(sha256, wanted);
        } else {
            tracing::warn!(%sha256, %error, "audio can't be fetched");
            let (what, detail) = (wanted.media.path, error.say());
            self.done(sha256, Err(Fault::Damaged { what, detail }));
        }
    }

    /// Deletes what was longest unused until `bytes` fit; says how many are too many all the same.
    fn make_room(&self, bytes: u64) -> u64 {
        let dir = self.fetcher.dir();
        // Nobody may begin to use what is being deleted.
        let in_use = lock(&self.shared.in_use);
        let Ok(stored) = dir.stored() else { return 0 };
        let (gone, excess) = downloads::evict(&stored, &in_use, bytes, self.rules.disk_bytes_max);
        for sha256 in gone {
            match dir.remove(&sha256) {
                Ok(()) => tracing::info!(%sha256, "audio that was longest unused made room"),
                Err(error) => tracing::warn!(%sha256, %error, "audio can't be deleted"),
            }
        }
        excess
    }

    fn set_fault(&mut self, fault: &'static str, there: bool) {
        let changed = if there { self.faults.insert(fault) } else { self.faults.remove(fault) };
        if changed {
            self.tell(News::Fault(fault, there));
        }
    }

    fn done(&self, sha256: ContentHash, result: Result<(), Fault>) {
        self.tell(News::Done(sha256, result));
    }

    fn tell(&self, news: News) {
        // Waits for room; the daemon is ending when nobody listens.
        let _ = self.news.blocking_send(news);
    }
}

/// The longest time without a look at the clock.
const IDLE: Span = Span::secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::ids::ContentHash;

    /// A worker with room for 100 bytes, and the files that it has, oldest first.
    fn worker(dir: &std::path::Path, files: &[&[u8]]) -> (Worker, Vec<ContentHash>) {
        let media = MediaDir::open(dir.join("media")).unwrap();
        let at = |n: u64| std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + n);
        let hashes = files.iter().zip(0..).map(|(bytes, n)| {
            let hash = ContentHash::of(bytes);
            let path = dir.join("source");
            std::fs::write(&path, bytes).unwrap();
            media.take_in(&path, &hash).unwrap();
            std::fs::File::options()
                .write(true)
                .open(media.path_of(&hash))
                .unwrap()
                .set_modified(at(n))
                .unwrap();
            hash
        });
        let hashes = hashes.collect();
        let (news, _) = tokio::sync::mpsc::channel(8);
        let quality = ClockQuality::Synced;
        let worker = Worker {
            fetcher: Fetcher::new(media, None).unwrap(),
            base: None,
            rules: Rules { budget_bytes: None, night: None, disk_bytes_max: 100 },
            usage: UsageFile::open(dir.join("usage")),
            now: Reading { mono: monotonic(), wall: Wall(0), quality, uncertainty_ms: 0 },
            seed: 1,
            wanted: BTreeMap::new(),
            faults: BTreeSet::new(),
            news,
            shared: Arc::default(),
        };
        (worker, hashes)
    }

    /// Has the worker make room for `bytes` beside three files of 40, 30 and 20; the first is in use.
    fn check(bytes: u64, fits: bool, left: &[usize]) {
        let dir = tempfile::tempdir().unwrap();
        let (worker, hashes) = worker(dir.path(), &[&[1; 40], &[2; 30], &[3; 20]]);
        lock(&worker.shared.in_use).insert(hashes[0]);
        assert_eq!(worker.make_room(bytes) == 0, fits, "{bytes}");
        let here: Vec<_> = (0..3).filter(|n| worker.fetcher.dir().has(&hashes[*n])).collect();
        assert_eq!(here, left, "{bytes}");
    }

    fn media(sha256: ContentHash, bytes: u64) -> Media {
        Media { sha256, bytes, codec: "audio/wav".to_owned(), ms: 1, path: sha256.to_string() }
    }

    /// Wants a file, as long as somebody else does not say that it is out of use.
    fn want(worker: &mut Worker, n: u16, bytes: u64, need: Need) -> ContentHash {
        let sha256 = ContentHash::of(&n.to_be_bytes());
        lock(&worker.shared.in_use).insert(sha256);
        worker.want(media(sha256, bytes), Wall(0), need);
        sha256
    }

    #[test]
    fn only_an_emergency_goes_far_beyond_the_bound_of_the_disk() {
        for (need, bytes, waits) in [
            (Need::Scheduled, 11, true),
            (Need::Urgent, 35, false),
            (Need::Urgent, 36, true),
            (Need::Emergency, 1_000, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (mut worker, hashes) = worker(dir.path(), &[&[1; 90]]);
            lock(&worker.shared.in_use).insert(hashes[0]);
            let sha256 = want(&mut worker, 1, bytes, need);
            // Nobody answers there: what was asked for is tried again soon, what found no room later.
            worker.fetch("http://127.0.0.1:1/", Fetch { sha256, over_budget: false });
            let wanted = &worker.wanted[&sha256];
            assert_eq!((wanted.tries == 0, worker.faults.contains(FAULT_FULL)), (waits, true), "{need:?}");
        }
    }

    #[test]
    fn a_flood_of_lesser_wishes_refuses_no_emergency_and_ends_with_who_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (mut worker, _) = worker(dir.path(), &[]);
        let (news, mut told) = tokio::sync::mpsc::channel(8_192);
        worker.news = news;
        for (numbers, need) in [(0..1_100, Need::Scheduled), (2_000..4_000, Need::Urgent)] {
            for n in numbers {
                want(&mut worker, n, 1, need);
            }
        }
        assert_eq!(worker.wanted.len(), Need::Urgent.waiting_max());
        let emergency = want(&mut worker, 9_000, 1, Need::Emergency);
        assert_eq!(worker.wanted.len(), Need::Urgent.waiting_max() + 1);
        assert!(std::iter::from_fn(|| told.try_recv().ok()).count() > 100, "the rest was refused aloud");
        *lock(&worker.shared.in_use) = [emergency].into();
        worker.drop_unwanted();
        assert_eq!(worker.wanted.keys().copied().collect::<Vec<_>>(), [emergency]);
    }

    #[test]
    fn a_download_gives_way_to_an_emergency_and_goes_on_afterwards() {
        use std::io::{Read, Write};
        let dir = tempfile::tempdir().unwrap();
        let (mut start, _) = worker(dir.path(), &[]);
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/", server.local_addr().unwrap());
        let (long, short) = (vec![7; 400_000], vec![8; 10]);
        let (first, emergency) = (ContentHash::of(&long), ContentHash::of(&short));
        let (asked, asks) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 4_096];
                let read = stream.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..read]).to_string();
                let is_long = head.contains(&first.to_string());
                let from: usize = if head.to_lowercase().contains("range:") { 200_000 } else { 0 };
                let body = if is_long { &long[from..] } else { &short[..] };
                let status = if from > 0 { "206 P" } else { "200 OK" };
                let range = format!("Content-Range: bytes {from}-399999/400000\r\n");
                let range = if from > 0 { range.as_str() } else { "" };
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nConnection: close\r\n{range}Content-Length: {length}\r\n\r\n"
                )
                .unwrap();
                asked.send(if is_long { first } else { emergency }).unwrap();
                // The first time only half of it comes, and then nothing for as long as the client stays.
                if is_long && from == 0 {
                    stream.write_all(&body[..200_000]).unwrap();
                    let (mut gone, mut slowly) = (false, body[200_000..].iter());
                    while !gone {
                        std::thread::sleep(Duration::from_millis(5));
                        gone = slowly.next().is_none_or(|byte| stream.write_all(&[*byte]).is_err());
                    }
                } else {
                    stream.write_all(body).unwrap();
                }
            }
        });
        let (news, mut told) = tokio::sync::mpsc::channel(64);
        start.usage = UsageFile::open(dir.path().join("usage-2"));
        let downloads = Downloads::start(
            Start {
                fetcher: start.fetcher.clone(),
                rules: Rules { disk_bytes_max: 1 << 30, ..start.rules.clone() },
                usage: start.usage,
                now: start.now,
                seed: 1,
            },
            news,
        )
        .unwrap();
        downloads.set_base(base);
        downloads.fetch(media(first, 400_000), Wall(0), Need::Urgent);
        assert_eq!(asks.recv_timeout(Duration::from_secs(60)), Ok(first));
        downloads.fetch(media(emergency, 10), Wall(9), Need::Emergency);
        assert_eq!(asks.recv_timeout(Duration::from_secs(60)), Ok(emergency));
        let done = loop {
            if let News::Done(sha256, Ok(())) = told.blocking_recv().unwrap() {
                break sha256;
            }
        };
        assert_eq!(done, emergency);
        assert_eq!(asks.recv_timeout(Duration::from_secs(60)), Ok(first), "then the other goes on");
    }

    #[test]
    fn room_is_made_within_the_bound_and_never_of_what_is_in_use() {
        check(10, true, &[0, 1, 2]);
        check(11, true, &[0, 2]);
        check(60, true, &[0]);
        check(61, false, &[0]);
    }
}
