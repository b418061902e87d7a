//! The five tasks that staff must be able to do quickly, by as few presses as they may take, beside a real box; and no word
//! on a writer's pages that only technicians know.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::browser_emergency::apart;
use crate::emergency::{Duty, prepare};
use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::own_key::{PASSPHRASE, keep_key};
use crate::support::staff::Staff;
use crate::support::unit::Unit;
use loaxa_central::store::{MessageUse, Role};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::Event;

/// Words of technicians that no writer reads.
const TECHNICAL: [&str; 8] =
    ["lệnh", "khóa công khai", "mã băm", "giao thức", "máy chủ", "heartbeat", "mqtt", "utc"];

/// Names and abbreviations that are no Vietnamese syllables, and that staff know; "test" is the browser of this test.
const KNOWN: [&str; 35] = [
    "excel",
    "word",
    "csv",
    "xlsx",
    "docx",
    "pdf",
    "mp",
    "mb",
    "kb",
    "gb",
    "flac",
    "wav",
    "ogg",
    "aac",
    "zalo",
    "javascript",
    "rss",
    "english",
    "loaxa",
    "email",
    "icalendar",
    "google",
    "microsoft",
    "authenticator",
    "fi",
    "ctrl",
    "ubnd",
    "vhxh",
    "bc",
    "tm",
    "vt",
    "ip",
    "km",
    "mib",
    "test",
];

/// Pages that are walked at most.
const PAGES_MAX: usize = 80;

/// Everything that a task takes of its people.
struct Task {
    name: &'static str,
    begun: Instant,
    presses: u32,
    characters: usize,
}

impl Task {
    fn begin(name: &'static str) -> Self {
        Self { name, begun: Instant::now(), presses: 0, characters: 0 }
    }

    fn press(&mut self, page: &mut Page, selector: &str) {
        page.click(selector);
        self.presses += 1;
    }

    /// Presses into a field and types.
    fn fill(&mut self, page: &mut Page, selector: &str, words: &str) {
        page.fill(selector, words);
        self.presses += 1;
        self.characters += words.chars().count();
    }

    /// Presses the mouse and keeps it down.
    fn hold(&mut self, page: &mut Page, selector: &str) {
        page.hold(selector, true);
        self.presses += 1;
    }

    /// Opens the key of a browser.
    fn unlock(&mut self, page: &mut Page) {
        page.until("document.querySelector('#mo-khoa-form')?.hidden === false");
        self.fill(page, "#mat-khau", PASSPHRASE);
        self.press(page, "#mo-khoa-form button");
        page.until("document.querySelector('#khoa-mo')?.hidden === false");
    }

    fn done(self, presses_max: u32, limit_s: u32) {
        let Self { name, begun, presses, characters } = self;
        let pages = begun.elapsed();
        println!(
            "{name}: {presses} presses, {characters} characters; the pages took {pages:.1?} of {limit_s} s"
        );
        assert!(presses <= presses_max, "{name}: {presses} presses, more than {presses_max}");
    }
}

fn started(unit: &Unit, title: &str) {
    unit.await_event(title, |event| match event {
        Event::PlayStarted(start) => (start.title == title).then_some(()),
        _ => None,
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn five_tasks_take_few_presses_and_no_page_of_a_writer_speaks_like_a_technician() {
    let dir = tempfile::tempdir().unwrap();
    let settings = apart(dir.path());
    let trust = settings.keys.trust.clone();
    let central = start(settings).await;
    let duty = Duty::new(&central).await;
    prepare(&central, &duty.an, "Báo động nhầm", MessageUse::FalseAlarm).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    let mut unit = Unit::new();
    join(&mut unit, central.broker_addr().unwrap(), &trust);
    let running = unit.start();
    until("the box is known", async || {
        let boxes = central.store().boxes().await.unwrap();
        boxes.iter().any(|row| row.id.as_str() == "loa-1" && row.last_seen.is_some()).then_some(())
    })
    .await;
    let browser = Browser::start();
    let base = format!("http://{}", central.http_addr());
    let open = |staff: &Staff| {
        let mut page = browser.person(&format!("{base}/healthz"));
        page.sign_in(staff);
        page.screen(1280, false);
        page.go(&format!("{base}/"));
        page
    };
    let (mut writer, mut approver) = (open(&lan), open(&duc));
    let (mut an, mut binh) = (open(&duty.an), open(&duty.binh));
    keep_key(&mut an, 1, "An");
    keep_key(&mut binh, 2, "Bình");

    let mut task = Task::begin("a notice to two villages");
    task.press(&mut writer, ".nav a[href='/soan-tin']");
    writer.until("document.querySelector('#soan-tin')");
    task.fill(&mut writer, "#ten", "Lịch tiêm phòng tháng 12");
    task.fill(
        &mut writer,
        "#loi",
        "Trạm y tế xã mời các gia đình đưa trẻ đến tiêm phòng lúc bảy giờ sáng thứ Bảy.",
    );
    task.press(&mut writer, "#noi-thon-1");
    task.press(&mut writer, "#noi-thon-2");
    task.press(&mut writer, "#loai-priority");
    writer.until_says("#xem-truoc", "trên 2 cụm loa");
    task.press(&mut writer, "button[value=nghe]");
    writer.until("document.querySelector('#nghe-thu')?.readyState > 0");
    task.press(&mut writer, "button[value=gui]");
    writer.until("location.pathname.startsWith('/tin/')");
    approve(&mut task, &mut approver);
    started(&unit, "Lịch tiêm phòng tháng 12");
    task.done(10, 120);

    let mut task = Task::begin("a correction");
    task.press(&mut writer, "form[action$='/sua'] button");
    writer.until("document.querySelector('#soan-tin')");
    task.fill(&mut writer, "#ten", "Đổi giờ tiêm phòng tháng 12");
    task.press(&mut writer, "button[value=gui]");
    writer.until("location.pathname.startsWith('/tin/')");
    approve(&mut task, &mut approver);
    started(&unit, "Đổi giờ tiêm phòng tháng 12");
    task.done(5, 30);
    writer.until_says("#tien-trinh", "1 trên 2 cụm loa đã nghe hết");

    let mut task = Task::begin("who did not hear");
    task.press(&mut writer, ".nav a[href='/tin']");
    writer.until("location.pathname === '/tin'");
    task.press(&mut writer, "main li a");
    writer.until_says("#chua-nghe", "Cụm loa 2");
    assert!(!writer.text("#chua-nghe").contains("Cụm loa 1"));
    assert!(writer.text("#chua-nghe").contains("Mất liên lạc"), "{}", writer.text("#chua-nghe"));
    task.done(2, 20);

    let mut task = Task::begin("an emergency");
    task.press(&mut an, "a.sos");
    task.press(&mut an, &format!("#tin-{}", duty.message));
    task.press(&mut an, "#noi-thon-1");
    task.unlock(&mut an);
    task.fill(&mut an, "#so", "1");
    an.until("!document.querySelector('#giu').disabled");
    task.hold(&mut an, "#giu");
    an.until("location.pathname !== '/khan-cap' && document.querySelector('#dien-bien')");
    an.hold("h1", false);
    binh.until("document.querySelector('#goi .goi[data-tieng]')");
    task.press(&mut binh, "#goi button[value=nghe]");
    binh.until("location.pathname.endsWith('/dong-y') && document.querySelector('#tin-het div')");
    task.unlock(&mut binh);
    binh.until("!document.querySelector('#giu').disabled");
    task.hold(&mut binh, "#giu");
    unit.await_event("the emergency on the air", |event| match event {
        Event::PlayStarted(start) => (start.rung == Rung::Emergency).then_some(()),
        _ => None,
    });
    task.done(11, 20);
    an.until("document.querySelector('#dung')");
    an.until_says("#dien-bien", "1 trên 1 cụm loa đang phát");

    let before = unit.ended().len();
    let mut task = Task::begin("a stop");
    task.hold(&mut an, "#dung");
    crate::support::eventually("the end of the emergency", || (unit.ended().len() > before).then_some(()));
    task.done(1, 2);
    an.until_says("#dien-bien", "Mọi cụm loa đã dừng");
    an.hold("h1", false);

    let wrong = strange_words(&mut writer, &base);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(running);
    central.stop().await;
}

/// The approver reads what waits, and approves it.
fn approve(task: &mut Task, approver: &mut Page) {
    task.press(approver, ".nav a[href='/duyet-tin']");
    approver.until("document.querySelector('#duyet')");
    task.press(approver, "#duyet");
    approver.until("location.pathname.startsWith('/tin/')");
}

/// Walks all pages that a writer comes to by links, and finds words of technicians, and words that are not Vietnamese.
fn strange_words(page: &mut Page, base: &str) -> Vec<String> {
    let mut waiting = VecDeque::from(["/".to_owned()]);
    let (mut met, mut wrong) = (BTreeSet::new(), Vec::new());
    while let Some(path) = waiting.pop_front() {
        let kind = path.split('?').next().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
        let kind: String = kind.collect::<String>().replace(|c: char| ('a'..='f').contains(&c), "0");
        if met.len() >= PAGES_MAX || !met.insert(kind) {
            continue;
        }
        page.go(&format!("{base}{path}"));
        let told = page.value(
            "(() => {
                const body = document.body.cloneNode(true);
                body.querySelectorAll('script, noscript, style, code, textarea, [lang=en], #bi-mat-chu').forEach((it) => it.remove());
                const texts = [document.title.split(' · ')[0]], nodes = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
                while (nodes.nextNode()) texts.push(nodes.currentNode.data);
                for (const name of ['title', 'aria-label', 'placeholder', 'alt']) body.querySelectorAll(`[${name}]`).forEach((it) => texts.push(it.getAttribute(name)));
                const text = texts.join(' ').toLowerCase();
                const plain = text.normalize('NFD').replace(/\\p{M}/gu, '').replace(/đ/g, 'd');
                const words = plain.split(/[^\\p{L}]+/u).filter(Boolean);
                const syllable = /^(ngh|ng|nh|ch|gh|kh|ph|qu|th|tr|[bcdghklmnprstvx])?[aeiouy]{1,3}(ch|nh|ng|[cmnpt])?$/;
                const links = [...document.querySelectorAll('a[href]')].filter((it) => it.lang !== 'en' && it.origin === location.origin).map((it) => it.pathname + it.search);
                return [text, [...new Set(words.filter((word) => word.length > 1 && !syllable.test(word)))], links];
            })()"
                .replace("\\\\", "\\")
                .as_str(),
        );
        let text = told[0].as_str().unwrap();
        let has = |word: &&&str| {
            text.split(|c: char| !c.is_alphabetic() && c != ' ')
                .any(|part| format!(" {part} ").contains(&format!(" {word} ")))
        };
        wrong.extend(TECHNICAL.iter().filter(has).map(|word| format!("{path}: {word}")));
        let foreign: Vec<String> = serde_json::from_value(told[1].clone()).unwrap();
        wrong.extend(
            foreign
                .into_iter()
                .filter(|word| !KNOWN.contains(&word.as_str()))
                .map(|word| format!("{path}: {word} is not Vietnamese")),
        );
        let links: Vec<String> = serde_json::from_value(told[2].clone()).unwrap();
        let is_page = |link: &String| {
            !link.rsplit('/').next().unwrap().contains('.')
                && !link.starts_with("/assets")
                && !link.contains("lang=")
        };
        waiting.extend(links.into_iter().filter(is_page));
    }
    println!("{} kinds of pages were read", met.len());
    assert!(met.len() > 12, "the menu leads to more pages than {met:?}");
    wrong
}
