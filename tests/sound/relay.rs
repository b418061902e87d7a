//! Relays of stations: a real Icecast, HLS as ffmpeg makes it, and servers that cut, change and fall silent.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::listen::Recording;
use crate::support::{eventually, free_port};
use loaxa_box::player::{self, Player, PlayerConfig};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::{Loudspeaker, Shape, Shaping};
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Cut, End, Fault, PlayerCommand, PlayerEvent, Score, Sound, Sounded};
use loaxa_heart::domain::time::Span;
use loaxa_sound::tts::Speech;

const PLAY: PlayId = PlayId::new(1, 1);
const PATIENCE: Duration = Duration::from_secs(60);

/// A child that ends with its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A player whose output is recorded.
struct Ear {
    player: Option<Player>,
    events: Receiver<PlayerEvent>,
    folder: tempfile::TempDir,
}

impl Ear {
    fn new() -> Self {
        Self::shaped(Shaping::default())
    }

    fn shaped(shaping: Shaping) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let config = PlayerConfig {
            sink: format!("wav:{}", at.join("heard.wav").display()).parse().unwrap(),
            programme_dir: at.to_owned(),
            media_dir: at.join("media"),
            state_dir: at.join("state"),
            speech: Speech::espeak(at.join("speech")),
            target_lufs: None,
            shaping,
            amplifier: AmplifierConfig::default(),
            microphone: None,
            ca: None,
            delay_ms: 0,
        };
        let (sender, events) = channel();
        let player = player::start(config, move |event| drop(sender.send(event))).unwrap();
        Self { player: Some(player), events, folder }
    }

    fn send(&self, command: PlayerCommand) {
        self.player.as_ref().unwrap().send(command);
    }

    fn preflight(&self, url: &str) -> Result<Option<Span>, Fault> {
        let parts = vec![Sound::Relay { url: url.to_owned() }];
        let score = Score { parts, skip: Span::default(), volume_percent: 100, gain_db: 0.0 };
        self.send(PlayerCommand::Preflight { play: PLAY, score });
        self.wait(|event| match event {
            PlayerEvent::Preflighted { result, .. } => Some(result),
            _ => None,
        })
    }

    fn play(&self, url: &str) {
        assert_eq!(self.preflight(url), Ok(None));
        self.send(PlayerCommand::Play { play: PLAY, cut: Cut::Now });
    }

    fn wait<T>(&self, wanted: impl Fn(PlayerEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("the player tells it in time");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    fn ended(&self) -> (Sounded, End) {
        self.wait(|event| match event {
            PlayerEvent::Ended { sounded, end, .. } => Some((sounded, end)),
            _ => None,
        })
    }

    /// Listens until these tones were heard one after the other, each so many seconds.
    fn hear(&self, tones: &[f64], seconds: f64) {
        let what = format!("{tones:?} Hz");
        eventually(&what, || {
            let mut found =
                self.recording().stretches(tones).into_iter().filter(|it| it.seconds() >= seconds);
            tones.iter().all(|hz| found.any(|stretch| stretch.hz == *hz)).then_some(())
        });
    }

    fn recording(&self) -> Recording {
        Recording::read(&self.folder.path().join("heard.wav"))
    }

    fn stop(&self) -> End {
        self.send(PlayerCommand::Stop { play: PLAY, fade_ms: 20 });
        self.ended().1
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(player) = self.player.take() {
            player.shutdown();
        }
    }
}

fn ffmpeg(arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments.split(' ')).stdout(Stdio::null());
    command
}

fn make(folder: &Path, arguments: &str) {
    let status =
        ffmpeg(arguments).current_dir(folder).status().expect("ffmpeg is installed by scripts/setup.sh");
    assert!(status.success(), "ffmpeg {arguments}");
}

/// Answers each request on a thread of its own, with what `answer` writes for a path and a header's text.
fn serve(answer: impl Fn(&str, &str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                answer(&path, &head, &mut stream);
            });
        }
    });
    format!("http://{address}")
}

/// Serves the files of a folder, parts of them, too, and `/moved/...` as a redirection.
fn serve_folder(folder: PathBuf) -> String {
    serve(move |path, head, stream| {
        if let Some(rest) = path.strip_prefix("/moved") {
            let _ = write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return;
        }
        let Ok(bytes) = std::fs::read(folder.join(path.trim_start_matches('/'))) else {
            let _ =
                write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        };
        let head = head.to_ascii_lowercase();
        let range = head.split("bytes=").nth(1).and_then(|it| it.lines().next()?.split_once('-'));
        let (status, body) = match range {
            Some((from, to)) => {
                ("206 Partial Content", &bytes[from.parse().unwrap()..=to.trim().parse::<usize>().unwrap()])
            }
            None => ("200 OK", &bytes[..]),
        };
        let length = body.len();
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(body);
    })
}

const STREAM_HEAD: &str = "HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n";

/// Tones as ffmpeg makes them: the same on both sides, at a quarter of full scale.
fn tone(hz: u32, seconds: u32) -> String {
    format!("-f lavfi -i aevalsrc=0.25*sin({hz}*2*PI*t):d={seconds}:s=44100")
}

/// A presentation that is complete is heard to its end without a gap, in each of its forms.
fn check_presentation(form: &str, playlist: &str) {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(&folder, &format!("{} -c:a aac -b:a 96k -f hls -hls_time 2 -hls_list_size 0 {form}", tone(700, 7)));
    let server = serve_folder(folder);
    ear.play(&format!("{server}{playlist}"));
    let (sounded, end) = ear.ended();
    assert_eq!(end, End::Whole, "{form}");
    assert!(sounded.played.as_millis().abs_diff(7_050) < 100, "{form}: {sounded:?}");
    let ear = ear;
    let recording = ear.recording();
    let stretches = recording.stretches(&[700.0]);
    assert!(stretches.len() == 1 && stretches[0].seconds() > 6.8, "{form}: {stretches:?}");
}

#[test]
fn hls_in_a_transport_stream() {
    check_presentation("list.m3u8", "/moved/list.m3u8");
}

#[test]
fn hls_in_fragmented_mp4() {
    check_presentation("-hls_segment_type fmp4 list.m3u8", "/list.m3u8");
}

#[test]
fn hls_in_one_file_below_a_master() {
    check_presentation("-hls_flags single_file -master_pl_name all.m3u8 list.m3u8", "/all.m3u8");
}

#[test]
fn live_hls_is_followed() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    let live = format!(
        "-re {} -c:a aac -f hls -hls_time 1 -hls_list_size 5 -hls_flags delete_segments live.m3u8",
        tone(600, 60)
    );
    let _source = Ends(ffmpeg(&live).current_dir(&folder).spawn().unwrap());
    eventually("the first segments", || folder.join("live3.ts").exists().then_some(()));
    ear.play(&format!("{}/live.m3u8", serve_folder(folder)));
    ear.hear(&[600.0], 8.0);
    assert_eq!(ear.stop(), End::Stopped);
}

#[test]
fn a_stream_may_carry_titles_and_change_its_rate() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(
        &folder,
        &format!("{} -ar 44100 -ac 2 -b:a 128k -id3v2_version 0 -write_xing 0 a.mp3", tone(500, 4)),
    );
    make(&folder, &format!("{} -ar 24000 -ac 1 -b:a 48k -id3v2_version 0 -write_xing 0 b.mp3", tone(900, 4)));
    let sound =
        [std::fs::read(folder.join("a.mp3")).unwrap(), std::fs::read(folder.join("b.mp3")).unwrap()].concat();
    let server = serve(move |_, _, stream| {
        let _ = write!(stream, "{STREAM_HEAD}icy-metaint: 1000\r\n\r\n");
        for part in sound.chunks(1_000) {
            let _ = stream.write_all(part);
            if part.len() == 1_000 {
                let _ = stream.write_all(&[&[1][..], b"StreamTitle='A';"].concat());
            }
        }
        // Nothing follows, and nothing ends: the station hangs.
        let _ = stream.read(&mut [0]);
    });
    ear.play(&server);
    ear.hear(&[500.0, 900.0], 3.5);
    let stretches = ear.recording().stretches(&[500.0, 900.0]);
    assert!(stretches[1].from - stretches[0].to < 0.2, "{stretches:?}");
    assert_eq!(ear.stop(), End::Stopped);
}

#[test]
fn a_horn_gets_no_deep_sound_from_a_station() {
    let shape = Shape { loudspeaker: Loudspeaker::Horn, compress: false };
    let ear = Ear::shaped(Shaping { day: shape, night: None });
    let folder = ear.folder.path().to_owned();
    let tones = "if(lt(t\\,4)\\,sin(50*2*PI*t)\\,sin(1000*2*PI*t))";
    make(
        &folder,
        &format!(
            "-f lavfi -i aevalsrc=0.25*{tones}:d=8:s=44100 -b:a 128k -id3v2_version 0 -write_xing 0 a.mp3"
        ),
    );
    let sound = std::fs::read(folder.join("a.mp3")).unwrap();
    ear.play(&serve(move |_, _, stream| {
        let _ = write!(stream, "{STREAM_HEAD}\r\n").and_then(|()| stream.write_all(&sound));
        let _ = stream.read(&mut [0]);
    }));
    ear.hear(&[1_000.0], 3.5);
    let recording = ear.recording();
    let heard = recording.stretches(&[1_000.0])[0].from;
    let loudest = |time| recording.samples(time).iter().fold(0.0, |peak: f64, sample| sample.abs().max(peak));
    let (deep, high) = (loudest(heard - 3.0..heard - 0.5), loudest(heard + 0.5..heard + 3.0));
    assert!(deep < high / 100.0, "{deep} beside {high}");
    assert_eq!(ear.stop(), End::Stopped);
}

#[test]
fn a_stream_of_adts_sounds() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(&folder, &format!("{} -ac 2 -c:a aac -b:a 96k a.aac", tone(800, 5)));
    let sound = std::fs::read(folder.join("a.aac")).unwrap();
    ear.play(&serve(move |_, _, stream| {
        // Entered in the middle of a frame, as a listener comes.
        let _ = write!(stream, "{STREAM_HEAD}\r\n").and_then(|()| stream.write_all(&sound[100..]));
        let _ = stream.read(&mut [0]);
    }));
    ear.hear(&[800.0], 4.5);
    assert_eq!(ear.stop(), End::Stopped);
}

#[test]
fn a_station_that_falls_silent_is_given_up() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(
        &folder,
        "-f lavfi -i aevalsrc=0.25*sin(3000*t)*lt(t\\,3):d=40:s=44100 -b:a 64k -write_xing 0 a.mp3",
    );
    let sound = std::fs::read(folder.join("a.mp3")).unwrap();
    ear.play(&serve(move |_, _, stream| {
        let _ = write!(stream, "{STREAM_HEAD}\r\n").and_then(|()| stream.write_all(&sound));
        let _ = stream.read(&mut [0]);
    }));
    let (sounded, end) = ear.ended();
    assert_eq!(end, End::Failed(Fault::SilentStream { seconds: 20 }));
    assert!(sounded.played.as_millis().abs_diff(23_000) < 300, "{sounded:?}");
}

#[test]
fn what_is_no_stream_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.m3u8"),
        "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:2,\na.ts\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("b.mp3"), vec![0x55; 300_000]).unwrap();
    let map =
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"long.mp4\"\n#EXTINF:2,\na.m4s\n#EXT-X-ENDLIST\n";
    std::fs::write(folder.path().join("map.m3u8"), map).unwrap();
    std::fs::write(folder.path().join("long.mp4"), vec![0; 2 << 20]).unwrap();
    let server = serve_folder(folder.path().to_owned());
    let gone = format!("http://127.0.0.1:{}/", free_port());
    let cases = [
        (gone, "refused"),
        (format!("{server}/none.mp3"), "404"),
        (format!("{server}/a.m3u8"), "encrypted"),
        (format!("{server}/b.mp3"), "no audio that is known"),
        ("gopher://a".to_owned(), "scheme"),
        (format!("{}/page", serve_text("text/html; charset=utf-8", "<html>")), "web page"),
        (format!("{}/list", serve_text("audio/x-scpls", "[playlist]\nFile1=list\n")), "without end"),
        (format!("{}/list", serve_text("audio/x-mpegurl", "#EXTM3U\n")), "names no station"),
    ];
    let check = |url: &str, says: &str| match Ear::new().preflight(url) {
        Err(Fault::NoStream { url: of, detail }) => {
            assert!(of == url && detail.contains(says), "{url}: {detail}");
        }
        other => panic!("{url}: {other:?}"),
    };
    std::thread::scope(|scope| {
        for (url, says) in &cases {
            scope.spawn(move || check(url, says));
        }
    });
}

#[test]
fn a_beginning_without_end_fills_no_memory() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let server = serve(move |path, _, stream| {
        if path.ends_with("m3u8") {
            let list = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"long.mp4\"\n#EXTINF:2,\na.m4s\n#EXT-X-ENDLIST\n";
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{list}");
            return;
        }
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[0; 65_536]).is_ok() {
            counted.fetch_add(65_536, Ordering::Relaxed);
        }
    });
    assert!(matches!(Ear::new().preflight(&format!("{server}/list.m3u8")), Err(Fault::NoStream { .. })));
    // What the sockets hold is written, too.
    let written = written.load(Ordering::Relaxed);
    assert!(0 < written && written < 32 << 20, "{written} bytes");
}

/// Answers everything with the same text.
fn serve_text(kind: &'static str, text: &'static str) -> String {
    serve(move |_, _, stream| {
        let length = text.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}");
        let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n{text}");
    })
}

/// A presentation is heard to its end, so many seconds in one stretch of each tone.
fn check_whole(ear: &Ear, url: &str, tones: &[f64], seconds: f64) {
    ear.play(url);
    let (sounded, end) = ear.ended();
    assert_eq!(end, End::Whole);
    assert!((sounded.played.as_secs_f64() - seconds).abs() < 0.2, "{sounded:?} of {seconds} s");
    let stretches = ear.recording().stretches(tones);
    let heard: f64 = stretches.iter().map(|stretch| stretch.seconds()).sum();
    assert!(stretches.len() == tones.len() && heard > seconds - 0.5, "{stretches:?}");
    assert!(stretches.windows(2).all(|pair| pair[1].from - pair[0].to < 0.2), "{stretches:?}");
}

#[test]
fn hls_goes_on_over_discontinuities() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases/hls");
    let ear = Ear::new();
    ear.play(&format!("{}/same-aac-3.m3u8", serve_folder(folder)));
    let (sounded, end) = ear.ended();
    assert_eq!(end, End::Whole);
    assert!((sounded.played.as_secs_f64() - 24.0).abs() < 0.2, "{sounded:?}");
}

#[test]
fn hls_may_change_its_coding_and_its_rate() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(&folder, &format!("{} -c:a aac -ar 44100 -ac 2 -f mpegts A.TS", tone(500, 4)));
    make(&folder, &format!("{} -c:a libmp3lame -ar 22050 -ac 1 -f mpegts B.TS", tone(900, 4)));
    make(&folder, &format!("{} -c:a aac -ar 32000 -ac 1 -f adts C.AAC", tone(700, 4)));
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nA.TS\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nB.TS\n\
                #EXT-X-DISCONTINUITY\n#EXTINF:4,\nC.AAC\n#EXT-X-ENDLIST\n";
    std::fs::write(folder.join("LIST.M3U8"), list).unwrap();
    let server = serve_folder(folder);
    check_whole(&ear, &format!("{server}/LIST.M3U8"), &[500.0, 900.0, 700.0], 12.1);
}

#[test]
fn hls_of_a_server_that_knows_no_parts_is_heard() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    let form = "-hls_flags single_file -hls_time 2 -hls_list_size 0 list.m3u8";
    make(&folder, &format!("{} -c:a aac -b:a 96k -f hls {form}", tone(700, 7)));
    let server = serve(move |path, _, stream| {
        let bytes = std::fs::read(folder.join(path.trim_start_matches('/'))).unwrap_or_default();
        let kind = if path.ends_with("list.m3u8") { "application/X-MPEGurl" } else { "video/mp2t" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}", bytes.len());
        let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n").and_then(|()| stream.write_all(&bytes));
    });
    check_whole(&ear, &format!("{server}/list.m3u8"), &[700.0], 7.05);
}

/// SHOUTcast 1 is no HTTP; a list of stations leads to it.
#[test]
fn a_shoutcast_station_behind_a_list_is_heard() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    make(&folder, &format!("{} -b:a 128k -id3v2_version 0 -write_xing 0 a.mp3", tone(600, 5)));
    let sound = std::fs::read(folder.join("a.mp3")).unwrap();
    let server = serve(move |path, _, stream| {
        let _ = match path {
            "/listen.pls" => {
                let list = "[playlist]\r\nNumberOfEntries=1\r\nFile1=/list.m3u\r\n";
                let length = list.len();
                write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{list}")
            }
            "/list.m3u" => {
                let list = "#EXTM3U\r#EXTINF:-1,Dai\r/;stream.mp3\r";
                write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len())
            }
            _ => write!(stream, "ICY 200 OK\r\nicy-notice1: x\r\ncontent-type:audio/mpeg\r\n\r\n")
                .and_then(|()| stream.write_all(&sound)),
        };
        if path.starts_with("/;") {
            let _ = stream.read(&mut [0]);
        }
    });
    ear.play(&format!("{server}/listen.pls"));
    ear.hear(&[600.0], 4.5);
    assert_eq!(ear.stop(), End::Stopped);
}

/// The real server, which drops its listeners when the source goes and answers 404 until it is back.
#[test]
fn icecast_is_heard_again_after_a_cut_and_given_up_after_20_s() {
    let ear = Ear::new();
    let folder = ear.folder.path().to_owned();
    let port = free_port();
    let config = format!(
        "<icecast><limits><clients>9</clients><sources>3</sources></limits>\
         <authentication><source-password>s</source-password><admin-user>a</admin-user>\
         <admin-password>a</admin-password></authentication><hostname>localhost</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><logdir>{0}</logdir><webroot>/usr/share/icecast2/web</webroot>\
         <adminroot>/usr/share/icecast2/admin</adminroot></paths>\
         <security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security></icecast>",
        folder.display()
    );
    std::fs::write(folder.join("icecast.xml"), config).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut server = Command::new("icecast2");
    server.arg("-c").arg(folder.join("icecast.xml")).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Ends(server.spawn().expect("icecast2 is installed by scripts/setup.sh --tests"));
    eventually("icecast", || TcpStream::connect(("127.0.0.1", port)).ok());
    let source = |hz| {
        let target = format!("-content_type audio/mpeg -f mp3 icecast://source:s@127.0.0.1:{port}/radio");
        Ends(ffmpeg(&format!("-re {} -b:a 128k {target}", tone(hz, 120))).spawn().unwrap())
    };
    let first = source(500);
    let url = format!("http://127.0.0.1:{port}/radio");
    eventually("the source", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(stream, "GET /radio HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).ok()?;
        answer.ends_with(b"200").then_some(())
    });
    ear.play(&url);
    ear.hear(&[500.0], 3.0);
    drop(first);
    let second = source(900);
    ear.hear(&[500.0, 900.0], 3.0);
    drop(second);
    let (_, end) = ear.ended();
    assert!(matches!(&end, End::Failed(Fault::NoStream { url: of, .. }) if *of == url), "{end:?}");
}
