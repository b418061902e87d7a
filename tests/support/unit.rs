//! The unit under test: `loaxa box` as an installer would set it up, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use chrono::{NaiveDateTime, TimeDelta, Timelike};
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::clock;
use loaxa_box::local_socket;
use loaxa_box::status::Status;
use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::domain::playback::{Event, PlayEnd, PlayStart};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::messages::{LogBody, LogRecord};

use super::eventually;
use super::listen::Recording;

pub const BOX_ID: &str = "loa-1";
pub const GROUP: &str = "xa";

/// Tone files of four seconds, each in a codec of its own.
pub const TONES: [(f64, &str); 5] = [
    (440.0, "tone-440.wav"),
    (550.0, "tone-550.mp3"),
    (660.0, "tone-660.flac"),
    (770.0, "tone-770.ogg"),
    (880.0, "tone-880.m4a"),
];

/// Time from the start of a box to the beginning of its slot.
const SLOT_BEGINS_IN_S: i64 = 3;

pub fn box_id() -> BoxId {
    BoxId::new(BOX_ID).unwrap()
}

/// A directory with everything that one box needs.
pub struct Unit {
    pub dir: tempfile::TempDir,
    /// Written in place of the usual `[sound]` output.
    pub output: String,
    pub guard: String,
    /// All groups of the box, those above included.
    pub groups: Vec<&'static str>,
    /// `[central]` and `[trust]`.
    pub link: String,
    pub env: Vec<(String, String)>,
    programme: String,
}

impl Unit {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let output = format!("wav:{}", dir.path().join("out.wav").display());
        let guard = "allowed = [{ from = \"00:00\", until = \"23:59:59\" }]\nvolume_night_percent_max = 100";
        let (link, programme) = (String::new(), String::new());
        let (guard, groups) = (guard.to_owned(), vec![GROUP]);
        Self { dir, output, guard, groups, link, env: Vec::new(), programme }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn wav(&self) -> PathBuf {
        self.path("out.wav")
    }

    pub fn recording(&self) -> Recording {
        Recording::read(&self.wav())
    }

    /// Puts a tone file beside the programme.
    pub fn bring(&self, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tones").join(name);
        std::fs::copy(from, self.path(name)).unwrap();
    }

    /// Writes a programme with one slot that begins soon; `extra` is more lines of the slot. Gives when it begins.
    pub fn slot(&mut self, files: &[&str], seconds: i64, extra: &str) -> Wall {
        let start = soon(SLOT_BEGINS_IN_S, seconds);
        let end = start + TimeDelta::seconds(seconds);
        let items: String = files
            .iter()
            .map(|file| format!("[[playlist.item]]\ntitle = {file:?}\nfile = {file:?}\n"))
            .collect();
        self.programme = format!(
            "[programme]\nid = \"thu\"\nversion = 1\ntitle = \"Thử\"\ngroup = \"{GROUP}\"\n\
             [[playlist]]\nid = \"nghe\"\ntitle = \"Nghe\"\n{items}\
             [[slot]]\nid = \"sang\"\ntitle = \"Sáng\"\nstart = \"{}\"\nend = \"{}\"\ndays = \"daily\"\n\
             playlist = \"nghe\"\norder = \"in_turn\"\nfill = \"once\"\n{extra}\n",
            start.format("%H:%M:%S"),
            end.format("%H:%M:%S"),
        );
        Wall::from_local(start)
    }

    /// Makes the programme one that is refused: a second slot at the time of the first.
    pub fn spoil_programme(&mut self) {
        let slot = self.programme.find("[[slot]]").expect("the programme has a slot");
        let second = self.programme[slot..].replace("id = \"sang\"", "id = \"toi\"");
        self.programme.push_str(&second);
    }

    pub fn box_toml(&self) -> String {
        let programme =
            if self.programme.is_empty() { "" } else { "[programme]\nfiles = [\"programme.toml\"]\n" };
        format!(
            "[box]\nid = \"{BOX_ID}\"\ngroups = {:?}\nstate_dir = \"state\"\n{programme}\
             [sound]\noutput = \"{}\"\n[guard]\n{}\n[clock]\nrtc = \"yes\"\n{}\n",
            self.groups, self.output, self.guard, self.link
        )
    }

    /// Starts the box on a fresh `box.toml`.
    pub fn start(&self) -> Running<'_> {
        self.start_as(self.command(&["box"]))
    }

    /// Starts the box on a fresh `box.toml` with mounts of its own, which `script` makes; it ends with `exec "$@"`.
    #[allow(dead_code)]
    pub fn start_behind(&self, script: &str) -> Running<'_> {
        self.start_by("unshare", &["-m", "sh", "-ec", script, "sh"].map(str::to_owned))
    }

    /// Starts the box on a fresh `box.toml` by another program, which gets the command line behind its own arguments.
    pub fn start_by(&self, program: &str, arguments: &[String]) -> Running<'_> {
        let own = self.command(&["box"]);
        let mut command = Command::new(program);
        command.args(arguments).arg(own.get_program()).args(own.get_args());
        command
            .current_dir(self.dir.path())
            .env("LOAXA_LANG", "en")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.start_as(command)
    }

    fn start_as(&self, mut command: Command) -> Running<'_> {
        std::fs::write(self.path("programme.toml"), &self.programme).unwrap();
        std::fs::write(self.path("box.toml"), self.box_toml()).unwrap();
        let said = std::fs::OpenOptions::new().create(true).append(true).open(self.path("said")).unwrap();
        let child = command.stderr(said).spawn().unwrap();
        Running { unit: self, child }
    }

    /// `loaxa` with this box's settings, started beside them as people do.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
        command.args(arguments).args(["--config", "box.toml"]).current_dir(self.dir.path());
        command
            .env("LOAXA_LANG", "en")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// The log as it lies on the disk, with its epoch; its chain is checked.
    pub fn records(&self) -> (Epoch, Vec<LogRecord>) {
        let store = self.path("state/box.sqlite");
        let Ok(store) =
            rusqlite::Connection::open_with_flags(store, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        else {
            return (Epoch(0), Vec::new());
        };
        let read = || -> rusqlite::Result<_> {
            let epoch: i64 =
                store.query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| row.get(0))?;
            let mut select = store.prepare("SELECT seq, body FROM log ORDER BY seq")?;
            let rows = select.query_map([], |row| {
                Ok(LogRecord { seq: row.get::<_, i64>(0)? as u64, body: row.get(1)? })
            })?;
            Ok((Epoch(epoch as u64), rows.collect::<rusqlite::Result<Vec<_>>>()?))
        };
        // A box that is just starting has no tables yet.
        let (epoch, records) = read().unwrap_or((Epoch(0), Vec::new()));
        chain::verify_chain(&box_id(), epoch, Link::FIRST, &records).unwrap();
        (epoch, records)
    }

    /// Returns the time, in microseconds, that the last checkpoint of a play proves to have sounded.
    pub fn checkpoint_us(&self) -> Option<u64> {
        // The first play of a record stands behind mark, number, epoch and count.
        let of_file = |name: &str| {
            let bytes = std::fs::read(self.path(name)).ok()?;
            let value =
                |at: usize| bytes.get(at..at + 8).map(|it| u64::from_le_bytes(it.try_into().unwrap()));
            value(24).filter(|count| *count > 0).and_then(|_| value(40))
        };
        ["state/box.positions-0", "state/box.positions-1"].into_iter().filter_map(of_file).max()
    }

    /// The entries of the log.
    pub fn log(&self) -> Vec<LogBody> {
        self.records().1.iter().map(|record| serde_json::from_str(&record.body).unwrap()).collect()
    }

    pub fn events(&self) -> Vec<Event> {
        self.log().into_iter().map(|body| body.entry.event).collect()
    }

    /// Waits for something in the log.
    pub fn await_event<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        eventually(&format!("{what}\n{}", self.said()), || self.events().iter().find_map(&find))
    }

    pub fn started(&self) -> Vec<PlayStart> {
        let started = |event| if let Event::PlayStarted(start) = event { Some(start) } else { None };
        self.events().into_iter().filter_map(started).collect()
    }

    pub fn ended(&self) -> Vec<PlayEnd> {
        let ended = |event| if let Event::PlayEnded(end) = event { Some(end) } else { None };
        self.events().into_iter().filter_map(ended).collect()
    }

    /// Returns the log that the box wrote on standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    pub fn status(&self) -> Option<Status> {
        local_socket::ask(&self.path("state")).ok()
    }

    /// A store of this box that nobody has open.
    pub fn store(&self) -> BoxStore {
        BoxStore::open(&self.path("state/box.sqlite"), &box_id()).unwrap().store
    }
}

/// A running box; it is killed when the test is over.
pub struct Running<'u> {
    unit: &'u Unit,
    child: Child,
}

impl Running<'_> {
    /// Ends the box as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the box as its supervisor does.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        eventually("the end of the box", || self.child.try_wait().unwrap())
    }

    /// The process that was started first.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the box has ended.
    pub fn wait(mut self) {
        self.child.wait().unwrap();
    }

    /// Says whether the box still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.unit.events();
            eprintln!("the box said:\n{}\nits log:\n{log:#?}", self.unit.said());
        }
    }
}

/// A whole second in `ahead` seconds, such that `seconds` from it are of the same day. In the last minute of a day it
/// waits for the next.
fn soon(ahead: i64, seconds: i64) -> NaiveDateTime {
    loop {
        let now = clock::wall().local();
        let start = now.with_nanosecond(0).unwrap() + TimeDelta::seconds(ahead + 1);
        if (start + TimeDelta::seconds(seconds)).date() == now.date() {
            return start;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
