//! Files and recordings that a writer sends from a browser: over a slow link that breaks, past a server between that takes
//! little, onto a full disk; and what is refused, in words, with nothing left behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::full_disk::Disk;
use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::Role;
use loaxa_heart::domain::ids::ContentHash;

/// Bytes of the file that goes over the slow link, and of the link in a second; `LOAXA_UPLOAD_MB` and `LOAXA_UPLOAD_KBITS`
/// set others.
const FILE_MB: u32 = 8;
const LINK_KBITS: u32 = 12_000;
/// Longest time without progress, on a busy machine.
const STANDSTILL: Duration = Duration::from_secs(120);

/// Makes a WAV of one channel whose bytes are all the same.
fn wav(rate: u32, bytes_a_sample: u16, bytes: u32, level: u8) -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend((bytes + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * u32::from(bytes_a_sample)).to_le_bytes());
    wav.extend(bytes_a_sample.to_le_bytes());
    wav.extend((8 * bytes_a_sample).to_le_bytes());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, level);
    wav
}

/// Silence as WAV of 96 kB a second.
fn silence(bytes: u32) -> Vec<u8> {
    wav(48_000, 2, bytes, 0)
}

/// Three hours of silence in few bytes: 200 samples of eight bits a second.
fn three_hours() -> Vec<u8> {
    wav(200, 1, 3 * 3_600 * 200, 128)
}

/// A link of so many bytes a second each way, between the browser and central, that breaks and comes again.
struct Link {
    address: SocketAddr,
    is_up: Arc<AtomicBool>,
}

impl Link {
    fn start(central: SocketAddr, bytes_a_second: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_up) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let up = Arc::clone(&is_up);
        let free: [Arc<Mutex<Instant>>; 2] = std::array::from_fn(|_| Arc::new(Mutex::new(Instant::now())));
        std::thread::spawn(move || {
            for browser in listener.incoming().flatten().filter(|_| up.load(Ordering::Relaxed)) {
                let Ok(server) = TcpStream::connect(central) else { continue };
                let ends = [browser.try_clone().unwrap(), server.try_clone().unwrap()];
                let [one, other] = ends;
                for (from, to, free) in [(browser, server, &free[0]), (other, one, &free[1])] {
                    let (up, free) = (Arc::clone(&up), Arc::clone(free));
                    std::thread::spawn(move || Self::pass(from, to, &up, &free, bytes_a_second));
                }
            }
        });
        Self { address, is_up }
    }

    /// Passes bytes on one way, at the pace that all connections share, until an end goes or the link breaks.
    fn pass(mut from: TcpStream, mut to: TcpStream, up: &AtomicBool, free: &Mutex<Instant>, rate: u32) {
        from.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut chunk = [0; 4_096];
        while up.load(Ordering::Relaxed) {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            let done = {
                let mut free = free.lock().unwrap();
                *free = (*free).max(Instant::now()) + Duration::from_secs_f64(read as f64 / f64::from(rate));
                *free
            };
            std::thread::sleep(done.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn set_up(&self, up: bool) {
        self.is_up.store(up, Ordering::Relaxed);
    }
}

/// The writer Lan with the page to write on open, by an address of the server.
async fn writing(central: &Central, browser: &Browser, address: &str) -> (Staff, Page) {
    let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&lan);
    page.go(&format!("{address}/soan-tin"));
    page.until("document.querySelector('#soan-tin')");
    page.click("#g2");
    (lan, page)
}

fn set(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn progress(page: &mut Page) -> f64 {
    page.value("document.querySelector('#tien-do').value").as_f64().unwrap()
}

/// Waits until so many percent have come, for as long as some more come.
fn until_come(page: &mut Page, percent: f64) {
    let mut last = (progress(page), Instant::now());
    while last.0 < percent {
        std::thread::sleep(Duration::from_millis(50));
        let now = progress(page);
        if now > last.0 {
            last = (now, Instant::now());
        }
        assert!(last.1.elapsed() < STANDSTILL, "nothing more comes after {} %", last.0);
    }
}

/// Everything that lies under a folder but the database, by its path.
fn files_under(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = entries
        .flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path.display().to_string()] })
        .collect();
    found.sort();
    found
}

/// The files of uploads and of audio; the list of measured lengths has a line for each file that was ever looked at.
fn left_behind(data: &Path) -> Vec<String> {
    let files = ["uploads", "media"].into_iter().flat_map(|folder| files_under(&data.join(folder)));
    files.filter(|path| !path.ends_with("/lengths")).collect()
}

async fn nothing_is_left(data: &Path) {
    until("nothing is left behind", async || left_behind(data).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let browser = Browser::start();
    let (_, mut page) = writing(&central, &browser, &format!("http://{}", central.http_addr())).await;
    page.click("#bat-dau-ghi");
    // The level moves: the microphone is heard; two seconds of it are recorded.
    page.until("parseFloat(document.querySelector('#muc-tieng').getAttribute('width')) > 5");
    page.value("new Promise((done) => setTimeout(done, 2000))");
    page.click("#dung-ghi");
    page.until("document.querySelector('#tep').value.length === 64");
    let recorded = page.value("document.querySelector('#tep').value").as_str().unwrap().to_owned();
    let row = central.store().media(recorded.parse().unwrap()).await.unwrap().unwrap();
    assert!((1_500..30_000).contains(&row.ms), "{row:?}");
    page.keep_picture("ghi-am");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_three_breaks_and_a_new_sign_in() {
    let (megabytes, kbits) = (set("LOAXA_UPLOAD_MB", FILE_MB), set("LOAXA_UPLOAD_KBITS", LINK_KBITS));
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let browser = Browser::start();
    let link = Link::start(central.http_addr(), kbits * 125);
    let (lan, mut page) = writing(&central, &browser, &format!("http://{}", link.address)).await;
    let (file, bytes) = (dir.path().join("dai.wav"), silence(megabytes * 1_000_000));
    std::fs::write(&file, &bytes).unwrap();
    let begun = Instant::now();
    page.choose("#chon-tep", &file);
    for (percent, signs_out) in [(13.0, false), (38.0, true), (63.0, false)] {
        until_come(&mut page, percent);
        println!("{percent} % after {:.0?}", begun.elapsed());
        link.set_up(false);
        page.until_says("#tai-duoc", "Mất mạng");
        if signs_out {
            central.store().end_sessions(lan.id.clone(), None).await.unwrap();
        }
        link.set_up(true);
        if signs_out {
            page.until_says("#tai-duoc", "Đã hết phiên đăng nhập");
            // Signed in again in another tab: it goes on where it was.
            lan.sign_in_again(&central).await;
        }
    }
    until_come(&mut page, 100.0);
    println!("the last byte after {:.0?}", begun.elapsed());
    page.until("document.querySelector('#tep').value.length === 64");
    println!("{megabytes} MB at {kbits} kbit/s, cut three times: {:.0?}", begun.elapsed());
    let whole = page.value("document.querySelector('#tep').value").as_str().unwrap().to_owned();
    assert_eq!(whole, ContentHash::of(&bytes).to_string());
    assert!(files_under(&dir.path().join("uploads")).is_empty(), "nothing is left behind");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_loses_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let (bytes, id) = (silence(4_000_000), "0123456789abcdef0123456789abcdef");
    let begun = lan.post(&central, &format!("/soan-tin/{id}/tep?ten=dai.wav&co={}", bytes.len()), &[]).await;
    let upload = begun.json()["ma"].as_str().unwrap().to_owned();
    let path = format!("/soan-tin/{id}/tep?ma={upload}");
    // The last part is sent, and whoever sent it does not stay for the answer.
    let mut gone = TcpStream::connect(central.http_addr()).unwrap();
    let (host, cookie) = (central.http_addr(), &lan.cookie);
    write!(gone, "PUT {path}&tu=0 HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\ncookie: {cookie}\r\ncontent-length: {}\r\n\r\n", bytes.len())
        .unwrap();
    gone.write_all(&bytes).unwrap();
    let come = async || {
        let told = lan.get(&central, &path).await.json();
        (told["den"] == bytes.len()).then_some(())
    };
    until("everything came", come).await;
    drop(gone);
    // Asked again while it is checked, and afterwards, it is one file.
    let put = format!("{path}&tu={}", bytes.len());
    let again = lan.put(&central, &put, b"").await;
    assert_eq!(again.json()["xong"]["tep"], ContentHash::of(&bytes).to_string());
    let told = lan.get(&central, &path).await.json();
    assert_eq!((&told["den"], &told["xong"]), (&bytes.len().into(), &again.json()["xong"]));
    assert!(files_under(&dir.path().join("uploads")).is_empty(), "nothing is left behind");
    let stranger = Staff::make(&central, "nam", &[(Role::Writer, "xa")]).await;
    assert_eq!(stranger.get(&central, &path).await.status, 404);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_scanner_of_the_office_finds_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("scanner");
    std::fs::write(&script, "case $(tail -c 4 \"$1\") in evil) exit 1 ;; sick) exit 2 ;; esac\n").unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.scanner = vec!["sh".to_owned(), script.display().to_string()];
    let central = start(settings).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let send = async |end: &[u8]| {
        let (mut bytes, tep) = (silence(40_000), "/soan-tin/0123456789abcdef0123456789abcdef/tep");
        let at = bytes.len() - end.len();
        bytes[at..].copy_from_slice(end);
        let begun = lan.post(&central, &format!("{tep}?ten=a.wav&co={}", bytes.len()), &[]).await;
        let id = begun.json()["ma"].as_str().unwrap().to_owned();
        let by_page = lan.put(&central, &format!("{tep}?ma={id}&tu=0"), &bytes).await;
        let by_program = post(&central, "/api/v1/media?name=a.wav", "application/octet-stream", bytes).await;
        (by_page.status, by_program.status, by_page.json()["loi"].as_str().unwrap_or_default().to_owned())
    };
    let (page, program, says) = send(b"evil").await;
    assert!((400..500).contains(&page) && (400..500).contains(&program) && says.contains("có hại"), "{says}");
    let (page, program, says) = send(b"sick").await;
    assert!(page >= 400 && program >= 400 && says.contains("không trả lời"), "{says}");
    nothing_is_left(dir.path()).await;
    let (page, program, _) = send(b"good").await;
    assert_eq!((page, program), (200, 201));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_in_plain_words_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let browser = Browser::start();
    let (_, mut page) = writing(&central, &browser, &format!("http://{}", central.http_addr())).await;
    let files: [(&str, Vec<u8>, &str); 4] = [
        ("rong.mp3", Vec::new(), "Tệp này rỗng: 0 byte"),
        ("bai-hat.mp3", [b"%PDF-1.7\n".as_slice(), &[b' '; 3_000_000]].concat(), "MP3, M4A, WAV, OGG, FLAC"),
        ("nua-chung.wav", silence(1_000)[..20].to_vec(), "MP3, M4A, WAV, OGG, FLAC"),
        ("ba-gio.wav", three_hours(), "Tệp dài 180 phút. Một bản tin dài nhất 60 phút"),
    ];
    for (name, bytes, says) in files {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        page.value("document.querySelector('#tep-loi').textContent = ''");
        page.choose("#chon-tep", &file);
        page.until_says("#tep-loi", says);
        assert_eq!(page.value("document.querySelector('#dang-tai').hidden"), true, "{name}");
        nothing_is_left(dir.path()).await;
    }
    page.keep_picture("tep-bi-tu-choi");
    // Beyond the largest file: refused before a byte of it is sent.
    let file = dir.path().join("lon.wav");
    std::fs::File::create(&file).unwrap().set_len((512 << 20) + 1).unwrap();
    page.choose("#chon-tep", &file);
    page.until_says("#tep-loi", "hơn 512 MiB");
    nothing_is_left(dir.path()).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_meanwhile_is_told_and_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount_of(&dir.path().join("central"), "1g") else { return };
    let central = start(settings(&disk.0, embedded())).await;
    let browser = Browser::start();
    let (_, mut page) = writing(&central, &browser, &format!("http://{}", central.http_addr())).await;
    let file = dir.path().join("dai.wav");
    std::fs::write(&file, silence(20_000_000)).unwrap();
    page.network(Some(4_000_000));
    page.choose("#chon-tep", &file);
    until_come(&mut page, 20.0);
    disk.shrink();
    page.until_says("#tep-loi", "MB chỗ trống, nơi lưu chỉ còn");
    nothing_is_left(&disk.0).await;
    // What does not fit is refused before a byte of it is sent.
    page.value("document.querySelector('#tep-loi').textContent = ''");
    page.choose("#chon-tep", &file);
    page.until_says("#tep-loi", "MB chỗ trống, nơi lưu chỉ còn");
    nothing_is_left(&disk.0).await;
    central.stop().await;
}

/// A server between the browser and central that refuses bodies which are larger than it takes, in words of its own.
struct Between {
    address: SocketAddr,
    takes: Arc<AtomicU64>,
}

impl Between {
    fn start(central: SocketAddr, takes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, takes) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(takes)));
        let limit = Arc::clone(&takes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let limit = Arc::clone(&limit);
                // A browser that hangs up is nobody's fault.
                std::thread::spawn(move || drop(Self::pass(stream, central, &limit)));
            }
        });
        Self { address, takes }
    }

    /// Passes one request on, and its answer back.
    fn pass(mut browser: TcpStream, central: SocketAddr, limit: &AtomicU64) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            browser.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0_usize)];
        browser.read_exact(&mut body)?;
        if body.len() as u64 > limit.load(Ordering::Relaxed) {
            let page = "<html><title>413 Request Entity Too Large</title></html>";
            return write!(
                browser,
                "HTTP/1.1 413 Request Entity Too Large\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
                page.len()
            );
        }
        let kept =
            text.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let head = kept.collect::<Vec<_>>().join("\r\n");
        let mut up = TcpStream::connect(central)?;
        write!(up, "{head}\r\nconnection: close\r\n\r\n")?;
        up.write_all(&body)?;
        std::io::copy(&mut up, &mut browser)?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_between_that_takes_little_gets_smaller_parts_and_one_that_takes_nothing_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let between = Between::start(central.http_addr(), u64::MAX);
    let browser = Browser::start();
    let (_, mut page) = writing(&central, &browser, &format!("http://{}", between.address)).await;
    let (file, bytes) = (dir.path().join("dai.wav"), silence(4_000_000));
    std::fs::write(&file, &bytes).unwrap();
    page.network(Some(2_000_000));
    page.choose("#chon-tep", &file);
    until_come(&mut page, 20.0);
    between.takes.store(300_000, Ordering::Relaxed);
    page.until("document.querySelector('#tep').value.length === 64");
    assert_eq!(page.value("document.querySelector('#tep').value"), ContentHash::of(&bytes).to_string());
    let kept = left_behind(dir.path());

    between.takes.store(1_500_000, Ordering::Relaxed);
    let file = dir.path().join("khac.wav");
    std::fs::write(&file, silence(4_100_000)).unwrap();
    page.choose("#chon-tep", &file);
    page.until(
        "document.querySelector('#tien-do').value > 20 && document.querySelector('#tien-do').value < 90",
    );
    between.takes.store(10_000, Ordering::Relaxed);
    page.until_says("#tep-loi", "mỗi lần chưa được tới 64 KB");
    until("nothing more is left behind", async || (left_behind(dir.path()) == kept).then_some(())).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_quicker_than_the_script_of_the_page_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let (lan, mut page) = writing(&central, &browser, &address).await;
    // Deferred scripts come after this state.
    let quickly = |does: &str| {
        format!(
            "document.addEventListener('readystatechange', () => {{
                if (document.readyState !== 'interactive' || !document.querySelector('#soan-tin')) return;
                {does}
            }});"
        )
    };
    page.on_each_page(&quickly("document.querySelector('#ten').value = 'Lịch cắt điện';"));
    page.go(&format!("{address}/soan-tin"));
    page.until_says("#da-luu", "Đã tự lưu");
    assert!(lan.get(&central, "/tin").await.text().contains("Lịch cắt điện"), "it is among the drafts");
    page.on_each_page(&quickly(
        "const chosen = new DataTransfer();
        chosen.items.add(new File([], 'rong.mp3'));
        document.querySelector('#chon-tep').files = chosen.files;",
    ));
    page.go(&format!("{address}/soan-tin"));
    page.until_says("#tep-loi", "Tệp này rỗng: 0 byte");
    central.stop().await;
}
