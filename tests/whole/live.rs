//! Staff speak, and the box sounds: the real central, the real box, and what was captured.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::commune::{TOKEN, embedded, key, settings, trust};
use crate::support::eventually;
use crate::support::listen::{RATE, Recording};
use crate::support::unit::Unit;
use loaxa_central::Central;
use loaxa_heart::domain::playback::{Event, PlayEnd, PlayOutcome};
use loaxa_heart::domain::sound::Fault;
use tokio::runtime::Runtime;

const VOICE_HZ: usize = 16_000;
/// 20 ms of voice.
const PIECE: usize = VOICE_HZ / 50;

const SILENT: u8 = 0;
const SPEAKING: u8 = 1;
const DONE: u8 = 2;

/// A central and a box that listens to it.
struct Commune {
    unit: Unit,
    central: Option<Central>,
    runtime: Option<Runtime>,
    _dir: tempfile::TempDir,
    http: String,
}

impl Commune {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let central = runtime.block_on(crate::support::commune::start(settings(dir.path(), embedded())));
        let mut unit = Unit::new();
        std::fs::write(unit.path("root.pub"), format!("public {}\n", key(100).public())).unwrap();
        std::fs::write(unit.path("trust.json"), trust()).unwrap();
        unit.link = format!(
            "[central]\nbroker = \"mqtt://{}\"\n[trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n",
            central.broker_addr().unwrap()
        );
        let http = central.http_addr().to_string();
        Self { unit, central: Some(central), runtime: Some(runtime), _dir: dir, http }
    }

    fn await_box(&self) {
        eventually("a box that is connected", || self.unit.status().filter(|status| status.connected));
    }

    /// Speaks into the API as a browser or a telephone would.
    fn speak(&self) -> Speaker {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(
            stream,
            "POST /api/v1/live?to=xa HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            self.http
        )
        .unwrap();
        let says = Arc::new(AtomicU8::new(SILENT));
        let told = says.clone();
        let speak = move || {
            let (begun, mut n) = (Instant::now(), 0usize);
            while told.load(Ordering::SeqCst) != DONE {
                let loud = if told.load(Ordering::SeqCst) == SPEAKING { 10_000.0 } else { 0.0 };
                write!(stream, "{:x}\r\n", 2 * PIECE)?;
                for at in n..n + PIECE {
                    let turns = 1_000.0 * at as f64 / VOICE_HZ as f64;
                    let sample = ((turns * std::f64::consts::TAU).sin() * loud) as i16;
                    stream.write_all(&sample.to_le_bytes())?;
                }
                stream.write_all(b"\r\n")?;
                n += PIECE;
                let due = Duration::from_micros((n * 1_000_000 / VOICE_HZ) as u64);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
            stream.write_all(b"0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        Speaker { says, thread: Some(std::thread::spawn(speak)) }
    }

    fn sounds_now(&self) -> bool {
        let Recording(samples) = self.unit.recording();
        samples[samples.len().saturating_sub(RATE / 20)..].iter().any(|sample| sample.abs() > 0.01)
    }

    fn await_start(&self) {
        let started = |event: &Event| matches!(event, Event::PlayStarted(_)).then_some(());
        self.unit.await_event("the voice on the air", started);
    }

    fn await_end(&self) -> PlayEnd {
        self.unit.await_event("the end of the voice", |event| match event {
            Event::PlayEnded(end) => Some(end.clone()),
            _ => None,
        })
    }
}

impl Drop for Commune {
    fn drop(&mut self) {
        if let (Some(runtime), Some(central)) = (self.runtime.take(), self.central.take()) {
            runtime.block_on(central.stop());
        }
    }
}

struct Speaker {
    says: Arc<AtomicU8>,
    thread: Option<JoinHandle<std::io::Result<String>>>,
}

impl Speaker {
    fn begin(&self) -> Instant {
        self.says.store(SPEAKING, Ordering::SeqCst);
        Instant::now()
    }

    fn end(mut self) -> std::io::Result<String> {
        self.says.store(DONE, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

#[test]
fn a_voice_is_heard_and_ends_with_its_speaker() {
    let commune = Commune::start();
    let _box = commune.unit.start();
    commune.await_box();
    let speaker = commune.speak();
    commune.await_start();
    let begun = speaker.begin();
    eventually("the voice in the loudspeaker", || commune.sounds_now().then_some(()));
    let delay = begun.elapsed();
    println!("from the mouth to the capture: {} ms", delay.as_millis());
    let answer = speaker.end().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let end = commune.await_end();
    assert_eq!(end.outcome, PlayOutcome::Finished);
}

#[test]
fn a_stop_silences_a_voice() {
    let commune = Commune::start();
    let _box = commune.unit.start();
    commune.await_box();
    let speaker = commune.speak();
    commune.await_start();
    speaker.begin();
    eventually("the voice in the loudspeaker", || commune.sounds_now().then_some(()));
    let asked = Instant::now();
    let mut stop = TcpStream::connect(&commune.http).unwrap();
    let request = format!(
        "POST /api/v1/stop HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n",
        commune.http
    );
    stop.write_all(request.as_bytes()).unwrap();
    let end = commune.await_end();
    let stopped = asked.elapsed();
    println!("from the order to the closing entry: {} ms", stopped.as_millis());
    let by_order = matches!(end.outcome, PlayOutcome::Cancelled | PlayOutcome::Finished);
    assert!(by_order, "{end:?}");
    eventually("silence", || (!commune.sounds_now()).then_some(()));
    // The speaker is told that nobody hears any more: an answer, or a closed door.
    let _ = speaker.end();
}

#[test]
fn a_stream_that_breaks_ends_the_play_with_its_reason() {
    let mut commune = Commune::start();
    let _box = commune.unit.start();
    commune.await_box();
    let speaker = commune.speak();
    commune.await_start();
    speaker.begin();
    eventually("the voice in the loudspeaker", || commune.sounds_now().then_some(()));
    commune.central = None;
    commune.runtime.take().unwrap().shutdown_background();
    let end = commune.await_end();
    let broken = matches!(end.outcome, PlayOutcome::Failed { reason: Fault::NoStream { .. } });
    assert!(broken, "{end:?}");
    let _ = speaker.end();
}

#[test]
fn a_file_is_spoken_by_the_command() {
    let commune = Commune::start();
    commune.unit.bring("tone-440.wav");
    let _box = commune.unit.start();
    commune.await_box();
    let live = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"))
        .args(["live", "--group", "xa", "--anyway", "--central", &format!("http://{}", commune.http)])
        .arg(commune.unit.path("tone-440.wav"))
        .env("LOAXA_TOKEN", TOKEN)
        .env("LOAXA_LANG", "vi")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&live.stdout).into_owned();
    assert!(live.status.success() && said.contains("đã phát trực tiếp 4,0 giây"), "{live:?}");
    assert_eq!(commune.await_end().outcome, PlayOutcome::Finished);
    let heard: f64 = commune.unit.recording().stretches(&[440.0]).iter().map(|tone| tone.seconds()).sum();
    assert!(heard > 3.0, "{heard} s of 4 s were heard");
}
