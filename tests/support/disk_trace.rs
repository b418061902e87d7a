//! A program's calls on files and sockets, recorded by `strace` and read again in the order in which they took effect.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Calls that are recorded. What changes files in another way is recorded, too, and refused by the reading.
const CALLS: &str = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,lseek,ftruncate,truncate,\
    fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,\
    symlinkat,link,linkat,copy_file_range,sendfile,splice";

/// One effect on the disk, or one message.
#[derive(Debug, Clone)]
pub enum Step {
    Opened {
        fd: i32,
        path: PathBuf,
        /// With `O_CREAT`.
        may_make: bool,
        empties: bool,
        appends: bool,
    },
    Sought {
        fd: i32,
        to: u64,
    },
    Wrote {
        fd: i32,
        path: PathBuf,
        /// `None` where the descriptor's own position counts.
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Length {
        path: PathBuf,
        bytes: u64,
    },
    /// The begin of a sync: once the call with this number has ended, all that was written before is on the disk.
    SyncBegins {
        call: usize,
        path: PathBuf,
    },
    SyncEnds {
        call: usize,
    },
    Moved {
        from: PathBuf,
        to: PathBuf,
    },
    Removed {
        path: PathBuf,
    },
    Folder {
        path: PathBuf,
    },
    Linked {
        path: PathBuf,
        target: PathBuf,
    },
    Sent {
        fd: i32,
        bytes: Vec<u8>,
    },
}

/// The arguments that have `strace` run a program and write its calls to a file.
pub fn recorder(out: &Path) -> Vec<String> {
    let calls = format!("trace={CALLS}");
    let out = out.display().to_string();
    ["-f", "-y", "-xx", "-s", "100000000", "--seccomp-bpf", "-e", &calls, "-o", &out]
        .map(str::to_owned)
        .into()
}

/// Tells whether this machine lets one program record another.
pub fn may_record() -> bool {
    std::process::Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-e", "trace=openat", "-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success())
}

/// Reads a recording of a program that ran in the folder `cwd`.
///
/// # Panics
/// Panics where it holds a change of files that is not known here.
pub fn read(recording: &Path, cwd: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(recording).unwrap();
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    // Each with the line at which it takes effect.
    let mut steps: Vec<(usize, Step)> = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let Some((process, call)) = text.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(head) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, (line, head));
        } else if let Some(tail) = call.strip_prefix("<... ") {
            let tail = tail.split_once(" resumed>").map_or("", |(_, tail)| tail);
            if let Some((from, head)) = begun.remove(process) {
                take(&format!("{head}{tail}"), (from, line), cwd, &mut steps);
            }
        } else {
            take(call, (line, line), cwd, &mut steps);
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// The parts of a call that are of interest.
struct Call<'t> {
    /// The descriptor at its begin, with its path.
    fd: Option<(i32, Vec<u8>)>,
    texts: Vec<Vec<u8>>,
    arguments: &'t str,
    result: i64,
    /// The path of the descriptor that it returned.
    opened: Option<Vec<u8>>,
}

impl Call<'_> {
    /// The number that is the n-th argument from the end.
    fn number(&self, from_end: usize) -> u64 {
        self.arguments.rsplit(", ").nth(from_end).unwrap().trim().parse().unwrap()
    }

    fn descriptor(&self) -> i32 {
        self.fd.as_ref().unwrap().0
    }
}

/// Adds what a finished call did, at the lines where that counts: changes from the begin of their call on, and what was
/// asked of the disk from its end.
fn take(text: &str, (begins, ends): (usize, usize), cwd: &Path, steps: &mut Vec<(usize, Step)>) {
    let Some((name, call)) = parse(text).filter(|(_, call)| call.result >= 0) else { return };
    let path = |bytes: &[u8]| cwd.join(String::from_utf8(bytes.to_vec()).unwrap());
    let own_path = || path(&call.fd.as_ref().unwrap().1);
    let named = |n: usize| path(&call.texts[n]);
    let is_file = call.fd.as_ref().is_some_and(|(_, path)| path.starts_with(b"/"));
    let step = match name {
        "openat" | "open" | "creat" => Step::Opened {
            fd: call.result as i32,
            path: path(call.opened.as_deref().unwrap_or_default()),
            may_make: name == "creat" || call.arguments.contains("O_CREAT"),
            empties: name == "creat" || call.arguments.contains("O_TRUNC"),
            appends: call.arguments.contains("O_APPEND"),
        },
        "lseek" if is_file => Step::Sought { fd: call.descriptor(), to: call.result as u64 },
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg" => {
            let mut bytes = call.texts.concat();
            bytes.truncate(call.result as usize);
            let at = match name {
                "pwrite64" | "pwritev" => Some(call.number(0)),
                "pwritev2" => Some(call.number(1)),
                _ => None,
            };
            match is_file {
                true => Step::Wrote { fd: call.descriptor(), path: own_path(), at, bytes },
                false => Step::Sent { fd: call.descriptor(), bytes },
            }
        }
        "ftruncate" => Step::Length { path: own_path(), bytes: call.number(0) },
        "fsync" | "fdatasync" => {
            let call = begins;
            steps.push((begins, Step::SyncBegins { call, path: own_path() }));
            steps.push((ends, Step::SyncEnds { call }));
            return;
        }
        "rename" | "renameat" | "renameat2" => Step::Moved { from: named(0), to: named(1) },
        "unlink" | "unlinkat" => Step::Removed { path: named(0) },
        "mkdir" | "mkdirat" => Step::Folder { path: named(0) },
        "symlink" | "symlinkat" => Step::Linked { path: named(1), target: named(0) },
        "lseek" => return,
        other => panic!("a change of files that is not known here: {other}: {text:.300}"),
    };
    let at = if matches!(step, Step::Opened { .. }) { ends } else { begins };
    steps.push((at, step));
}

/// Reads one call; `None` for other lines, and for a call that was killed.
fn parse(text: &str) -> Option<(&str, Call<'_>)> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let (fd, opened) = (descriptor(arguments), descriptor(result));
    let number: String = result.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let texts = arguments.split('"').skip(1).step_by(2).map(bytes_of).collect();
    let call =
        Call { fd, texts, arguments, result: number.parse().ok()?, opened: opened.map(|(_, path)| path) };
    Some((name, call))
}

/// Reads `3<\x2f...>`.
fn descriptor(text: &str) -> Option<(i32, Vec<u8>)> {
    let (number, rest) = text.split_once('<')?;
    let (path, rest) = rest.split_once('>')?;
    let mut path = bytes_of(path);
    if rest.starts_with("(deleted)") {
        path.extend(b" (deleted)");
    }
    Some((number.parse().ok()?, path))
}

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.split("\\x").skip(1).map(|pair| u8::from_str_radix(&pair[..2], 16).unwrap()).collect()
}
