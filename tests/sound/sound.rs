//! The player through real outputs: the ALSA library, a WAV capture and a pipe.
use std::f32::consts::TAU;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use loaxa_box::player::{self, Player, PlayerConfig};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Cut, End, FileRef, PlayerCommand, PlayerEvent, Score, Sound, Sounded};
use loaxa_heart::domain::time::Span;
use loaxa_sound::span_of;
use loaxa_sound::tts::Speech;

const RATE: usize = 48_000;
const DEADLINE: Duration = Duration::from_secs(60);
const PLAY: PlayId = PlayId::new(1, 1);

fn start(folder: &Path, sink: &str) -> (Player, Receiver<PlayerEvent>) {
    let config = PlayerConfig {
        sink: sink.parse().unwrap(),
        programme_dir: folder.to_owned(),
        media_dir: folder.join("media"),
        state_dir: folder.join("state"),
        speech: Speech::espeak(folder.join("speech")),
        target_lufs: None,
        shaping: Shaping::default(),
        amplifier: AmplifierConfig::default(),
        microphone: None,
        ca: None,
        delay_ms: 0,
    };
    let (sender, events) = channel();
    let player = player::start(config, move |event| drop(sender.send(event))).unwrap();
    (player, events)
}

fn write_tone(path: &Path, frames: usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..frames {
        writer.write_sample((tone(n) * 32_767.0).round() as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// A cosine, so that its first frame is the first that is not silent.
fn tone(n: usize) -> f32 {
    (TAU * (440.0 * n as f32 / RATE as f32).fract()).cos() * 0.3
}

fn play(player: &Player, events: &Receiver<PlayerEvent>, parts: Vec<Sound>) -> (Sounded, End) {
    let score = Score { parts, skip: Span::default(), volume_percent: 100, gain_db: 0.0 };
    player.send(PlayerCommand::Preflight { play: PLAY, score });
    loop {
        match events.recv_timeout(DEADLINE).expect("the player answers") {
            PlayerEvent::Preflighted { result, .. } => {
                result.unwrap();
                player.send(PlayerCommand::Play { play: PLAY, cut: Cut::Now });
            }
            PlayerEvent::Ended { sounded, end, .. } => return (sounded, end),
            PlayerEvent::DeviceLost { detail } => panic!("the device was lost: {detail}"),
            _ => {}
        }
    }
}

/// Checks that `heard` holds silence, the whole tone without a gap, and silence.
fn check_tone(heard: &[f32], frames: usize) {
    let start = heard.iter().position(|sample| sample.abs() > 0.001).expect("the tone was heard");
    assert!(heard.len() >= start + frames, "{} of {frames} frames heard", heard.len() - start);
    for n in 0..frames {
        let (sample, expected) = (heard[start + n], tone(n));
        assert!((sample - expected).abs() < 0.001, "frame {n}: {sample} for {expected}");
    }
    assert!(heard[start + frames..].iter().all(|sample| sample.abs() < 0.001));
}

fn left(bytes: &[u8]) -> Vec<f32> {
    let samples = bytes.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]]));
    samples.map(|sample| f32::from(sample) / 32_767.0).collect()
}

#[test]
fn a_capture_holds_what_was_played_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let frames = RATE / 2 + 7;
    write_tone(&folder.path().join("tone.wav"), frames);
    let capture = folder.path().join("capture.wav");
    let mut before = 0;
    for _ in 0..2 {
        let (player, events) = start(folder.path(), &format!("wav:{}", capture.display()));
        let (sounded, end) = play(&player, &events, vec![Sound::File(FileRef::Path("tone.wav".into()))]);
        assert_eq!((sounded.played, end), (span_of(frames as u64), End::Whole));
        // The header is right at any time, as after a kill; the last 50 ms may still be on their way.
        assert!(hound::WavReader::open(&capture).unwrap().duration() as usize > before + frames / 2);
        player.shutdown();
        let samples: Vec<i16> =
            hound::WavReader::open(&capture).unwrap().samples().map(Result::unwrap).collect();
        let heard: Vec<f32> = samples.chunks(2).skip(before).map(|f| f32::from(f[0]) / 32_767.0).collect();
        check_tone(&heard, frames);
        before = samples.len() / 2;
    }
}

/// Opens a pipe for reading and writing, so that no end is ever missing.
fn pipe(path: &Path) -> File {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
    OpenOptions::new().read(true).write(true).custom_flags(nonblock).open(path).unwrap()
}

/// Takes what a sound card would take, at its pace, until `done`.
fn take_at_pace(pipe: &mut File, mut done: impl FnMut() -> bool) -> Vec<u8> {
    let mut taken = Vec::new();
    let begin = Instant::now();
    let mut allowed_before = 0;
    while !done() {
        let allowed = (begin.elapsed().as_secs_f64() * RATE as f64) as usize * 4;
        let mut buffer = vec![0; allowed - allowed_before];
        // A card that finds nothing plays nothing and does not catch up later.
        if let Ok(read) = pipe.read(&mut buffer) {
            taken.extend_from_slice(&buffer[..read]);
        }
        allowed_before = allowed;
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut rest = [0; 4_096];
    while let Ok(read) = pipe.read(&mut rest) {
        taken.extend_from_slice(&rest[..read]);
    }
    taken
}

#[test]
fn a_pipe_gets_what_was_played() {
    let folder = tempfile::tempdir().unwrap();
    let frames = RATE / 2;
    write_tone(&folder.path().join("tone.wav"), frames);
    let fifo = folder.path().join("pipe");
    let mut reader = pipe(&fifo);
    let (player, events) = start(folder.path(), &format!("fifo:{}", fifo.display()));
    let playing = std::thread::spawn(move || {
        let ended = play(&player, &events, vec![Sound::File(FileRef::Path("tone.wav".into()))]);
        player.shutdown();
        ended
    });
    let bytes = take_at_pace(&mut reader, || playing.is_finished());
    let (sounded, end) = playing.join().unwrap();
    assert_eq!((sounded.played, end), (Span::millis(500), End::Whole));
    check_tone(&left(&bytes), frames);
}

/// The real ALSA library, whose file plugin writes what a card would get into a pipe.
#[test]
fn alsa_gets_what_was_played() {
    let folder = tempfile::tempdir().unwrap();
    write_tone(&folder.path().join("tone.wav"), 2 * RATE);
    let fifo = folder.path().join("card");
    let mut reader = pipe(&fifo);
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETPIPE_SZ(16 << 10)).unwrap();
    let config = folder.path().join("asound.conf");
    let text = format!(
        "</usr/share/alsa/alsa.conf>\n\
         pcm.nul {{ type null }}\n\
         pcm.dac {{ type file slave.pcm nul file \"{}\" format \"raw\" }}\n\
         pcm.!default {{ type plug slave {{ pcm dac format S16_LE rate 48000 channels 2 }}\n\
         hint {{ show on description \"test\" }} }}\n",
        fifo.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sound::child_that_plays_through_alsa", "--nocapture"])
        .env("ALSA_CONFIG_PATH", &config)
        .env("LOAXA_TEST_FOLDER", folder.path())
        .spawn()
        .unwrap();
    let bytes = take_at_pace(&mut reader, || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    check_tone(&left(&bytes), 2 * RATE);
}

#[test]
#[ignore = "runs as a child of alsa_gets_what_was_played, with an ALSA configuration of its own"]
fn child_that_plays_through_alsa() {
    let Some(folder) = std::env::var_os("LOAXA_TEST_FOLDER") else { return };
    let (player, events) = start(Path::new(&folder), "alsa:default");
    let parts = vec![Sound::File(FileRef::Path("tone.wav".into())), Sound::Silence(Span::millis(200))];
    let (sounded, end) = play(&player, &events, parts);
    assert_eq!((sounded.played, end), (Span::millis(2_200), End::Whole));
    player.shutdown();
}
