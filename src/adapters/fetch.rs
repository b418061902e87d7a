//! Audio from central's media server: resumed after a cut, checked by its hash, and there as a whole or not at all.
//!
//! Everything here blocks: call it from a thread of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use sha2::{Digest, Sha256};
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::authorities::Authorities;
use crate::disk;
use loaxa_heart::decide::downloads::Stored;
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Room that is left free on the disk for the log, in bytes.
const DISK_RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// Longest wait for a connection, for an answer, and for further bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Size of the pieces that are read and written.
const PIECE_BYTES: usize = 64 * 1024;

/// Reasons for which audio is not here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum FetchError {
    TooLarge {
        bytes: u64,
    },
    NoRoom {
        bytes: u64,
    },
    Status {
        status: u16,
    },
    Network {
        detail: String,
    },
    WrongContent {
        expected: ContentHash,
    },
    NoCa,
    Disk {
        detail: String,
    },
    /// The download was broken off for another that is more urgent.
    GaveWay,
}

impl Say for FetchError {
    fn say(&self) -> Sentence {
        match self {
            FetchError::TooLarge { bytes } => said!("fetch.too_large", bytes, max = MEDIA_BYTES_MAX),
            FetchError::NoRoom { bytes } => said!("fetch.no_room", bytes),
            FetchError::Status { status } => said!("fetch.status", status),
            FetchError::Network { detail } => said!("fetch.network", detail),
            FetchError::WrongContent { expected } => said!("fetch.wrong_content", expected),
            FetchError::NoCa => said!("fetch.no_ca"),
            FetchError::Disk { detail } => said!("fetch.disk", detail),
            FetchError::GaveWay => said!("fetch.gave_way"),
        }
    }
}

impl FetchError {
    /// Tells whether another try may succeed without anybody doing something.
    pub const fn may_pass(&self) -> bool {
        match self {
            FetchError::Network { .. } | FetchError::WrongContent { .. } | FetchError::GaveWay => true,
            // Audio is announced and uploaded at about the same time: it may not be there yet. And a network on which one
            // signs in first answers in the server's place, by any status.
            FetchError::Status { .. } => true,
            FetchError::TooLarge { .. }
            | FetchError::NoRoom { .. }
            | FetchError::NoCa
            | FetchError::Disk { .. } => false,
        }
    }
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        FetchError::Disk { detail: error.to_string() }
    }
}

/// The directory of audio that is named by its hash: `<first 2 hex digits>/<64 hex digits>`.
#[derive(Debug, Clone)]
pub struct MediaDir {
    root: PathBuf,
}

impl MediaDir {
    /// Makes the directory where there is none.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(root.join(PARTIAL))?;
        Ok(Self { root })
    }

    /// Reads how many bytes the disk has left.
    ///
    /// # Errors
    /// Fails when the disk does not say.
    pub fn free_bytes(&self) -> Result<u64, FetchError> {
        free_bytes(&self.root)
    }

    /// Returns the path of a file, which may not be there yet.
    pub fn path_of(&self, hash: &ContentHash) -> PathBuf {
        hash.path_under(&self.root)
    }

    /// Tells whether a file is there as a whole.
    pub fn has(&self, hash: &ContentHash) -> bool {
        self.path_of(hash).is_file()
    }

    /// Bytes of it that were received so far.
    pub fn received(&self, hash: &ContentHash) -> u64 {
        let found = fs::metadata(self.path_of(hash)).or_else(|_| fs::metadata(self.partial_of(hash)));
        found.map_or(0, |found| found.len())
    }

    /// All whole files.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn stored(&self) -> io::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        for directory in fs::read_dir(&self.root)? {
            let directory = directory?;
            if directory.file_name() == PARTIAL || !directory.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(directory.path())? {
                let file = file?;
                let name = file.file_name();
                let Some(sha256) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
                // One that went meanwhile needs no room.
                let Ok(found) = file.metadata() else { continue };
                let used = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                stored.push(Stored { sha256, bytes: found.len(), used_at_s: used.as_secs() });
            }
        }
        Ok(stored)
    }

    /// Notes that a file was wanted now; the one longest unused makes room first.
    pub fn touch(&self, hash: &ContentHash) {
        touch(&self.path_of(hash));
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn remove(&self, hash: &ContentHash) -> io::Result<()> {
        fs::remove_file(self.path_of(hash))
    }

    /// Deletes what was received in part of files that nobody wants any more.
    pub fn delete_unfinished(&self, is_unwanted: impl Fn(&ContentHash) -> bool) {
        let unfinished = fs::read_dir(self.root.join(PARTIAL)).into_iter().flatten().flatten();
        for file in unfinished {
            let hash = file.file_name().to_str().and_then(|name| name.parse::<ContentHash>().ok());
            if hash.is_some_and(|hash| is_unwanted(&hash)) {
                // One that stays is deleted another time.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Takes in a copy of a file that lies elsewhere: checked while it is copied, there as a whole or not at all.
    ///
    /// # Errors
    /// Fails when it is not the content that its hash names, or the disk refuses.
    pub fn take_in(&self, from: &Path, hash: &ContentHash) -> Result<(), FetchError> {
        let mut source = File::open(from)?;
        let bytes = source.metadata()?.len();
        if bytes > MEDIA_BYTES_MAX {
            return Err(FetchError::TooLarge { bytes });
        }
        check_room(&self.root, bytes)?;
        let partial = self.root.join(PARTIAL).join(format!("import-{}-{hash}", std::process::id()));
        let copied = (|| {
            let mut copy =
                OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&partial)?;
            // A file that grows while it is read is not read for ever.
            io::copy(&mut (&mut source).take(bytes), &mut copy)?;
            copy.sync_all()?;
            if hash_of(&mut copy)? != *hash {
                return Err(FetchError::WrongContent { expected: *hash });
            }
            give_as(&self.root, &partial)?;
            Ok(self.keep(&partial, hash)?)
        })();
        if copied.is_err() {
            let _ = fs::remove_file(&partial);
        }
        copied.map(drop)
    }

    /// Returns the path at which a file grows until it is whole.
    fn partial_of(&self, hash: &ContentHash) -> PathBuf {
        self.root.join(PARTIAL).join(hash.to_string())
    }

    /// Moves a whole, verified file to its place.
    fn keep(&self, partial: &Path, hash: &ContentHash) -> io::Result<PathBuf> {
        let path = self.path_of(hash);
        let directory = path.parent().expect("a path of the store has a directory");
        if !directory.exists() {
            fs::create_dir_all(directory)?;
            give_as(&self.root, directory)?;
        }
        fs::rename(partial, &path)?;
        File::open(directory)?.sync_all()?;
        File::open(&self.root)?.sync_all()?;
        Ok(path)
    }
}

/// Notes in a file's dates that the file was used now.
pub fn touch(path: &Path) {
    let now = TimeSpec::UTIME_NOW;
    // A disk that can't be written evicts nothing.
    let _ = utimensat(AT_FDCWD, path, &now, &now, UtimensatFlags::FollowSymlink);
}

/// Folder of unfinished files.
const PARTIAL: &str = "partial";

/// Fetches into a [`MediaDir`].
#[derive(Debug, Clone)]
pub struct Fetcher {
    dir: MediaDir,
    authorities: Option<Authorities>,
    /// The way to the server, and the hash of the authorities that it goes by.
    agent: Arc<Mutex<(Option<ContentHash>, ureq::Agent)>>,
    received: Arc<AtomicU64>,
}

impl Fetcher {
    /// A fetcher; an https server's certificate is checked against the authorities.
    ///
    /// # Errors
    /// Fails when the certificates can't be read.
    pub fn new(dir: MediaDir, authorities: Option<Authorities>) -> Result<Self, FetchError> {
        let hash = authorities.as_ref().and_then(Authorities::hash);
        let agent = agent(authorities.as_ref().map(Authorities::file))?;
        Ok(Self { dir, authorities, agent: Arc::new(Mutex::new((hash, agent))), received: Arc::default() })
    }

    /// The way to the server by the authorities that are in force now.
    fn agent(&self) -> Result<ureq::Agent, FetchError> {
        let in_force = self.authorities.as_ref().and_then(Authorities::hash);
        let mut kept = self.agent.lock().expect("nothing panics while it holds the way to the server");
        if kept.0 != in_force {
            *kept = (in_force, agent(self.authorities.as_ref().map(Authorities::file))?);
        }
        Ok(kept.1.clone())
    }

    /// Returns the folder of the files.
    pub const fn dir(&self) -> &MediaDir {
        &self.dir
    }

    /// Bytes of audio that came over the network since the start.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Fetches `media` from below `base`, for instance `http://central:8080/media/`, and gives its path. Goes on where
    /// an earlier try was cut off. Does nothing where the file is there. `gives_way` is asked again and again, and ends the
    /// download.
    ///
    /// # Errors
    /// Says what is wrong; what was received is kept for the next try, unless it is wrong.
    pub fn fetch(
        &self,
        base: &str,
        media: &Media,
        gives_way: &dyn Fn() -> bool,
    ) -> Result<PathBuf, FetchError> {
        if self.dir.has(&media.sha256) {
            return Ok(self.dir.path_of(&media.sha256));
        }
        if media.bytes > MEDIA_BYTES_MAX {
            return Err(FetchError::TooLarge { bytes: media.bytes });
        }
        if base.starts_with("https://") && self.authorities.is_none() {
            return Err(FetchError::NoCa);
        }
        let partial = self.dir.partial_of(&media.sha256);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&partial)?;
        let mut have = file.seek(SeekFrom::End(0))?;
        if have > media.bytes {
            file.set_len(0)?;
            have = 0;
        }
        check_room(&self.dir.root, media.bytes - have)?;
        if have < media.bytes {
            let url = format!("{}/{}", base.trim_end_matches('/'), media.path);
            self.receive(&url, &mut file, (have, media.bytes), gives_way)?;
        }
        file.sync_all()?;
        if hash_of(&mut file)? != media.sha256 {
            fs::remove_file(&partial)?;
            return Err(FetchError::WrongContent { expected: media.sha256 });
        }
        Ok(self.dir.keep(&partial, &media.sha256)?)
    }

    /// Writes what the server sends from byte `have` on, up to `whole` bytes.
    fn receive(
        &self,
        url: &str,
        file: &mut File,
        (have, whole): (u64, u64),
        gives_way: &dyn Fn() -> bool,
    ) -> Result<(), FetchError> {
        let network = |detail: String| FetchError::Network { detail };
        let mut request = self.agent()?.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| network(error.to_string()))?;
        let mut at = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok());
                match range.and_then(range_start) {
                    Some(start) if start == have => have,
                    _ => return Err(network("it sent another part than was asked for".to_owned())),
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                file.set_len(0)?;
                return Err(network("it has fewer bytes than were received already".to_owned()));
            }
            status => return Err(FetchError::Status { status: status.as_u16() }),
        };
        file.set_len(at)?;
        file.seek(SeekFrom::Start(at))?;
        let mut body = response.body_mut().as_reader();
        let mut piece = vec![0; PIECE_BYTES];
        while at < whole {
            if gives_way() {
                return Err(FetchError::GaveWay);
            }
            let wanted = usize::try_from(whole - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let read = body.read(&mut piece[..wanted]).map_err(|error| network(error.to_string()))?;
            if read == 0 {
                return Err(network(format!("it ended after {at} of {whole} bytes")));
            }
            file.write_all(&piece[..read])?;
            at += read as u64;
            self.received.fetch_add(read as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Makes a way to servers whose certificates are checked against those of a file.
fn agent(ca: Option<&Path>) -> Result<ureq::Agent, FetchError> {
    let mut tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if let Some(path) = ca {
        let pem = fs::read(path)?;
        let bad = |error: ureq::Error| FetchError::Disk { detail: format!("{}: {error}", path.display()) };
        let certificates: Result<Vec<_>, _> = ureq::tls::parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect();
        let certificates: Vec<Certificate> = certificates.map_err(bad)?;
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(3)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .max_idle_connections(1)
        .build();
    Ok(config.new_agent())
}

fn free_bytes(root: &Path) -> Result<u64, FetchError> {
    disk::free_bytes(root).map_err(|error| FetchError::Disk { detail: error.to_string() })
}

fn check_room(root: &Path, bytes: u64) -> Result<(), FetchError> {
    let free = free_bytes(root)?;
    if free < bytes.saturating_add(DISK_RESERVE_BYTES) { Err(FetchError::NoRoom { bytes }) } else { Ok(()) }
}

/// Gives a file to the owner of the directory: the installer makes it as root, and the daemon needs it.
fn give_as(root: &Path, made: &Path) -> io::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let owner = fs::metadata(root)?;
        std::os::unix::fs::chown(made, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// SHA-256 of a file.
///
/// # Errors
/// Fails when it can't be read.
pub fn hash_of_file(path: &Path) -> io::Result<ContentHash> {
    hash_of(&mut File::open(path)?)
}

/// The first byte in `bytes 100-199/200`.
fn range_start(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn hash_of(file: &mut File) -> io::Result<ContentHash> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(ContentHash(hasher.finalize().into())),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    /// The server's answer to one request.
    enum Answer {
        /// The bytes that were asked for, but not more than so many.
        Cut(usize),
        /// All bytes, whatever was asked for.
        IgnoresRange,
        /// Another part than was asked for.
        WrongRange,
        /// Bytes without end that are not the file.
        Junk,
        Status(u16),
    }

    const BODY_BYTES: usize = 300_000;

    fn body() -> Vec<u8> {
        (0..BODY_BYTES).map(|n| (n * 31 % 251) as u8).collect()
    }

    fn media() -> Media {
        let (sha256, bytes) = (ContentHash::of(&body()), BODY_BYTES as u64);
        Media { sha256, bytes, codec: "audio/mpeg".to_owned(), ms: 1, path: "a/b.mp3".to_owned() }
    }

    /// A server that gives these answers in turn; gives its address, and what `Range` each request had.
    fn serve(answers: Vec<Answer>) -> (String, mpsc::Receiver<Option<u64>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/media/", listener.local_addr().unwrap());
        let (sender, ranges) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut range = None;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_lowercase();
                    if line.starts_with("get ") {
                        assert!(line.starts_with("get /media/a/b.mp3 "), "{line}");
                    }
                    if let Some(start) = line.strip_prefix("range: bytes=") {
                        range = start.trim_end_matches('-').parse().ok();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                sender.send(range).unwrap();
                answer_with(&mut stream, &answer, range.unwrap_or(0) as usize);
            }
        });
        (base, ranges)
    }

    fn answer_with(stream: &mut impl Write, answer: &Answer, start: usize) {
        let (status, start, sent) = match answer {
            Answer::Cut(sent) => (if start > 0 { 206 } else { 200 }, start, *sent),
            Answer::IgnoresRange => (200, 0, BODY_BYTES),
            Answer::WrongRange => (206, start / 2, BODY_BYTES),
            Answer::Junk => (200, 0, 0),
            Answer::Status(status) => (*status, 0, 0),
        };
        let length = BODY_BYTES - start;
        let range = format!("Content-Range: bytes {start}-{}/{BODY_BYTES}\r\n", BODY_BYTES - 1);
        let range = if status == 206 { range.as_str() } else { "" };
        let close = "Connection: close\r\n";
        if matches!(answer, Answer::Junk) {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{close}\r\n");
            while stream.write_all(&[7; 8_192]).is_ok() {}
            return;
        }
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{range}{close}\r\n").unwrap();
        let _ = stream.write_all(&body()[start..][..sent.min(length)]);
    }

    /// Fetches once for each answer; gives the last result and the ranges asked for.
    fn check(answers: Vec<Answer>, expected: Result<(), FetchError>, expected_ranges: &[Option<u64>]) {
        let dir = tempfile::TempDir::new().unwrap();
        let fetcher = Fetcher::new(MediaDir::open(dir.path().join("media")).unwrap(), None).unwrap();
        let tries = answers.len();
        let (base, ranges) = serve(answers);
        for _ in 1..tries {
            assert!(fetcher.fetch(&base, &media(), &|| false).unwrap_err().may_pass());
        }
        let result = fetcher.fetch(&base, &media(), &|| false);
        let path = fetcher.dir().path_of(&media().sha256);
        assert_eq!(path.exists(), result.is_ok());
        if let Ok(found) = &result {
            assert_eq!(fs::read(found).unwrap(), body());
            assert_eq!(fs::read_dir(dir.path().join("media/partial")).unwrap().count(), 0);
            // It is there: nobody is asked again.
            assert_eq!(fetcher.fetch("http://127.0.0.1:1/", &media(), &|| false).as_ref(), Ok(&path));
        }
        assert_eq!(result.map(drop), expected);
        assert_eq!(ranges.try_iter().collect::<Vec<_>>(), expected_ranges);
    }

    #[test]
    fn what_was_cut_off_is_resumed() {
        use Answer::*;
        check(vec![Cut(BODY_BYTES)], Ok(()), &[None]);
        let cuts = vec![Cut(100_000), Cut(0), Cut(150_000), Cut(BODY_BYTES)];
        check(cuts, Ok(()), &[None, Some(100_000), Some(100_000), Some(250_000)]);
        check(vec![Cut(100_000), IgnoresRange], Ok(()), &[None, Some(100_000)]);
        check(vec![Status(503), Status(404), Cut(BODY_BYTES)], Ok(()), &[None, None, None]);
        let of_a_login_page = vec![Status(403), Status(511), Status(401), Junk, Cut(BODY_BYTES)];
        check(of_a_login_page, Ok(()), &[None; 5]);
    }

    #[test]
    fn a_server_that_lies_is_not_believed() {
        use Answer::*;
        let wrong = || Err(FetchError::WrongContent { expected: media().sha256 });
        check(vec![Junk], wrong(), &[None]);
        check(vec![Junk, Cut(BODY_BYTES)], Ok(()), &[None, None]);
        let another = "it sent another part than was asked for".to_owned();
        check(
            vec![Cut(1_000), WrongRange],
            Err(FetchError::Network { detail: another }),
            &[None, Some(1_000)],
        );
        check(vec![Cut(1_000), Status(416), Cut(BODY_BYTES)], Ok(()), &[None, Some(1_000), None]);
    }

    #[test]
    fn a_download_gives_way_and_goes_on_later() {
        let dir = tempfile::TempDir::new().unwrap();
        let fetcher = Fetcher::new(MediaDir::open(dir.path().join("media")).unwrap(), None).unwrap();
        let (base, _ranges) = serve(vec![Answer::Cut(BODY_BYTES), Answer::Cut(BODY_BYTES)]);
        let asked = std::cell::Cell::new(0);
        let third_time = || asked.replace(asked.get() + 1) == 2;
        assert_eq!(fetcher.fetch(&base, &media(), &third_time), Err(FetchError::GaveWay));
        assert!(FetchError::GaveWay.may_pass() && fetcher.dir().received(&media().sha256) > 0);
        assert!(fetcher.fetch(&base, &media(), &|| false).is_ok());
    }

    #[test]
    fn what_is_unfinished_and_unwanted_is_deleted() {
        let dir = tempfile::TempDir::new().unwrap();
        let media_dir = MediaDir::open(dir.path()).unwrap();
        let (kept, gone) = (ContentHash([1; 32]), ContentHash([2; 32]));
        for hash in [kept, gone] {
            fs::write(media_dir.partial_of(&hash), b"half").unwrap();
        }
        let importing = dir.path().join(PARTIAL).join(format!("import-1-{gone}"));
        fs::write(&importing, b"half").unwrap();
        media_dir.delete_unfinished(|hash| *hash != kept);
        assert_eq!((media_dir.received(&kept), media_dir.received(&gone)), (4, 0));
        assert!(importing.exists(), "another program is at work on it");
    }

    #[test]
    fn what_can_not_be_is_refused_before_asking() {
        let dir = tempfile::TempDir::new().unwrap();
        let fetcher = Fetcher::new(MediaDir::open(dir.path()).unwrap(), None).unwrap();
        let sized = |bytes| Media { bytes, ..media() };
        let bytes = MEDIA_BYTES_MAX + 1;
        assert_eq!(fetcher.fetch("http://x/", &sized(bytes), &|| false), Err(FetchError::TooLarge { bytes }));
        assert_eq!(fetcher.fetch("https://x/", &media(), &|| false), Err(FetchError::NoCa));
        let unreachable = fetcher.fetch("http://127.0.0.1:1/", &media(), &|| false);
        assert!(matches!(unreachable, Err(FetchError::Network { .. })));
    }
}
