//! A sound card that is none: the real ALSA library writes into a pipe, which is read at the pace of a card.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::listen::RATE;

/// Frames read at a time, 10 ms.
const PERIOD: usize = RATE / 100;
const FRAME_BYTES: usize = 4;
const PERIOD_TIME: Duration = Duration::from_millis(10);
/// Longest wait of the card for what should be there, before it plays silence.
const PATIENCE: Duration = Duration::from_millis(100);
/// Smallest pipe that holds a few periods.
const PIPE_BYTES: i32 = 16 * 1024;

/// The card; it stops when the test is over.
pub struct SoundCard {
    config: PathBuf,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl SoundCard {
    /// Starts a card that records into `wav`.
    pub fn start(dir: &Path, wav: &Path) -> Self {
        let (fifo, config) = (dir.join("dac"), dir.join("asound.conf"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Read and write: neither side waits for the other to come, or notices when it goes.
        let flags = nix::libc::O_NONBLOCK;
        let mut pipe = File::options().read(true).write(true).custom_flags(flags).open(&fifo).unwrap();
        nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap();
        std::fs::write(&config, conf(&fifo)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut out) = (stop.clone(), File::create(wav).unwrap());
        let read = move || {
            out.write_all(&[0; 44]).unwrap();
            let mut due = Instant::now();
            let mut bytes = [0; PERIOD * FRAME_BYTES];
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let there = read_patiently(&mut pipe, &mut bytes);
                bytes[there..].fill(0);
                out.write_all(&bytes).unwrap();
                // A card that was late itself, on a machine with too much to do, is no fault of the box.
                due = (due + PERIOD_TIME).max(Instant::now() - PERIOD_TIME);
            }
        };
        Self { config, stop, reader: Some(std::thread::spawn(read)) }
    }

    /// Returns the variable that makes a program use this card.
    pub fn env(&self) -> (String, String) {
        let path = format!("/usr/share/alsa/alsa.conf:{}", self.config.display());
        ("ALSA_CONFIG_PATH".to_owned(), path)
    }
}

impl Drop for SoundCard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.reader.take().unwrap().join();
    }
}

fn conf(fifo: &Path) -> String {
    format!(
        "pcm.nul {{ type null }}\n\
         pcm.dac {{ type file slave.pcm nul file \"{}\" format \"raw\" }}\n\
         pcm.!default {{\n  type plug\n  slave {{ pcm dac format S16_LE rate {RATE} channels 2 }}\n  \
         hint {{ show on description \"card\" }}\n}}\n",
        fifo.display()
    )
}

/// Reads a period; less where nothing comes in time.
fn read_patiently(pipe: &mut File, bytes: &mut [u8]) -> usize {
    let (begun, mut there) = (Instant::now(), 0);
    while there < bytes.len() && begun.elapsed() < PATIENCE {
        match pipe.read(&mut bytes[there..]) {
            Ok(read) => there += read,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    there
}
