//! A PostgreSQL server of a test's own: in a temporary folder, behind a socket there.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use loaxa_heart::config::store_file::{Database, PostgresServer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running server, which ends with the value.
pub struct Cluster {
    dir: tempfile::TempDir,
    programs: PathBuf,
    /// The user and group that the server runs as, where this process is root: the server refuses to be.
    user: Option<(u32, u32)>,
}

/// Settings that make it quick: a test's data need not outlive the machine.
const SETTINGS: &str = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = 16MB\n\
                        max_connections = 60\nautovacuum = off\n";

impl Cluster {
    /// Makes a server and starts it.
    pub fn start() -> Self {
        Self::start_in(&std::env::temp_dir())
    }

    /// Makes a server in this folder and starts it.
    pub fn start_in(folder: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in(folder).unwrap();
        let cluster = Self { user: unprivileged(dir.path()), programs: programs(), dir };
        let data = cluster.data();
        let data = data.to_str().unwrap();
        cluster.run(
            "initdb",
            &["-D", data, "-A", "trust", "-U", "loaxa", "-E", "UTF8", "--locale=C", "--no-sync"],
        );
        let socket =
            format!("listen_addresses = ''\nunix_socket_directories = '{}'\n", cluster.dir.path().display());
        append(&cluster.data().join("postgresql.conf"), &format!("{SETTINGS}{socket}"));
        cluster.start_again();
        cluster
    }

    /// Has the server listen on a port, by TLS with this certificate and key, and ask for a password there. Returns the
    /// port. From then on nothing else reaches it.
    pub fn listen(&self, certificate: &str, key: &str) -> u16 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| self.dir.path().join(name);
        std::fs::write(path("server.pem"), certificate).unwrap();
        std::fs::write(path("server.key"), key).unwrap();
        std::fs::set_permissions(path("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path("server.key"), Some(user), Some(group)).unwrap();
        }
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            path("server.pem").display(),
            path("server.key").display()
        );
        append(&self.data().join("postgresql.conf"), &settings);
        std::fs::write(
            self.data().join("pg_hba.conf"),
            "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        self.stop();
        self.start_again();
        port
    }

    /// Starts the server, and waits until it answers.
    pub fn start_again(&self) {
        let log = self.dir.path().join("log");
        self.run(
            "pg_ctl",
            &["start", "-w", "-t", "120", "-D", self.data().to_str().unwrap(), "-l", log.to_str().unwrap()],
        );
    }

    /// Tells whether the server runs: one that can't write its log any more ends.
    pub fn is_running(&self) -> bool {
        let mut status = Command::new(self.programs.join("pg_ctl"));
        status.args(["status", "-D"]).arg(self.data()).stdout(std::process::Stdio::null());
        if let Some((user, group)) = self.user {
            status.uid(user).gid(group);
        }
        status.status().unwrap().success()
    }

    /// Ends the server, and breaks all connections to it.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "fast", "-t", "120", "-D", self.data().to_str().unwrap()]);
    }

    /// Ends the server without a word, as when its machine's programs are killed.
    pub fn crash(&self) {
        self.run(
            "pg_ctl",
            &["stop", "-w", "-m", "immediate", "-t", "120", "-D", self.data().to_str().unwrap()],
        );
    }

    /// Holds the whole server, so that it answers nothing more and breaks no connection; or lets it go on.
    pub fn hold(&self, held: bool) {
        let signal = if held { Signal::SIGSTOP } else { Signal::SIGCONT };
        // It may have ended before.
        let Ok(file) = std::fs::read_to_string(self.data().join("postmaster.pid")) else { return };
        let Some(first) = file.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else {
            return;
        };
        let _ = kill(Pid::from_raw(first), signal);
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { continue };
            let parent =
                stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
            if let (Some(parent), Ok(id)) = (parent, process.file_name().to_string_lossy().parse())
                && parent == first
            {
                let _ = kill(Pid::from_raw(id), signal);
            }
        }
    }

    /// Makes a database.
    pub fn create(&self, database: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
    }

    /// Makes a database as another is, to which nobody is connected.
    pub fn create_as(&self, database: &str, model: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE {model}"));
    }

    /// Runs a statement, and returns what it answers, a line for each row.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let socket = self.dir.path().to_str().unwrap();
        self.run(
            "psql",
            &["-h", socket, "-U", "loaxa", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atqc", statement],
        )
    }

    /// Runs statements, each for itself, and returns what was refused.
    pub fn refused(&self, database: &str, script: &str) -> String {
        let file = self.dir.path().join("script.sql");
        std::fs::write(&file, script).unwrap();
        let socket = self.dir.path().to_str().unwrap();
        self.run("psql", &["-h", socket, "-U", "loaxa", "-d", database, "-qf", file.to_str().unwrap()]);
        std::fs::read_to_string(self.dir.path().join("told")).unwrap()
    }

    /// A database as the configuration names it.
    pub fn database(&self, name: &str) -> Database {
        Database::Postgres(server(self.url(name)))
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://loaxa@/{database}?host={}", self.dir.path().display())
    }

    /// The folder of the server's socket.
    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(self.programs.join(program));
        command.args(args).current_dir(self.dir.path()).env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // What a server inherits it keeps: a pipe would never end.
        let (out, told) = (self.dir.path().join("out"), self.dir.path().join("told"));
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&told).unwrap());
        let done = command.status().unwrap_or_else(|error| panic!("{program}: {error}"));
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).trim().to_owned();
        assert!(done.success(), "{program} {args:?}: {} {}", read(&out), read(&told));
        read(&out)
    }
}

fn append(file: &Path, text: &str) {
    let before = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, before + text).unwrap();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.hold(false);
        let mut stop = Command::new(self.programs.join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-D"]).arg(self.data()).stdout(std::process::Stdio::null());
        if let Some((user, group)) = self.user {
            stop.uid(user).gid(group);
        }
        // It may have ended before.
        let _ = stop.stderr(std::process::Stdio::null()).status();
    }
}

/// A database of a running server for what lives in this folder; the same folder gives the same database.
pub fn database_on(socket: &str, dir: &Path) -> Database {
    let path: String = dir.to_string_lossy().chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("of_{}", path.to_lowercase());
    let mut create = Command::new(programs().join("psql"));
    create.args(["-h", socket, "-U", "loaxa", "-d", "postgres", "-qc", &format!("CREATE DATABASE {name}")]);
    // It is there already where central starts again in the same folder.
    create.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().unwrap();
    Database::Postgres(server(format!("postgres://loaxa@/{name}?host={socket}")))
}

/// A database under its address.
pub fn database_at(url: String) -> Database {
    Database::Postgres(server(url))
}

fn server(url: String) -> PostgresServer {
    PostgresServer { url, ca: None, password_file: None }
}

/// The programs of the server that `POSTGRES` names, or of the newest: Debian keeps them beside each other, and not on the path.
fn programs() -> PathBuf {
    if let Some(named) = std::env::var_os("POSTGRES") {
        return named.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.pop().expect("Debian's package `postgresql` is installed: scripts/setup.sh does it")
}

/// Gives a folder to a user who is not root, where this process is.
fn unprivileged(dir: &Path) -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let found =
        ["postgres", "nobody"].iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
    let user = found.expect("there is a user who is not root");
    nix::unistd::chown(dir, Some(user.uid), Some(user.gid)).unwrap();
    Some((user.uid.as_raw(), user.gid.as_raw()))
}
