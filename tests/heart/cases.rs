//! Calendars, playlists and programmes as people bring them, made after public bug reports of other systems, each with its
//! right value. The files stand in `tests/fixtures/cases`; what is written here are their neighbours.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use chrono::NaiveDate;

use loaxa_adapters::ical;
use loaxa_heart::config::files;
use loaxa_heart::config::playlist_file;
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::config::tracks::{Place, Source};
use loaxa_heart::decide::preview::{self, Fate, Refusal};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::policy::{GuardRefusal, Policy};
use loaxa_heart::domain::programme::{Content, Programme};
use loaxa_heart::texts::Sentence;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases").join(name)
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The sessions of a calendar's events from 2026-10-01 on, by day, each as `11-02 05:00-05:30`.
fn sessions(calendar: &[u8], days: usize) -> Result<Vec<String>, String> {
    let text = ical::decode(calendar).map_err(|said| said.to_string())?;
    let events = ical::parse(&text, "a.ics").map_err(|problems| problems.to_string())?;
    let slot = |(index, event): (usize, ical::Event)| {
        event.into_slot(format!("s{index}").parse().unwrap(), "l".parse().unwrap())
    };
    let text = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n\
                [[playlist]]\nid = 'l'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'A'\ntext = 'a'\n";
    let empty = programme_file::parse(text, "p", Path::new(""), Audio::Unseen).unwrap();
    let slots = events.into_iter().enumerate().map(slot).collect();
    let calendar = Calendar::new(Arc::new(Programme { slots, ..empty })).unwrap();
    let dates = date("2026-10-01").iter_days().take(days);
    let sessions = dates.flat_map(|date| calendar.sessions_on(date, &Listeners::default()));
    let shown = sessions
        .map(|it| format!("{}-{}", it.start.local().format("%m-%d %H:%M"), it.end.local().format("%H:%M")));
    Ok(shown.collect())
}

#[track_caller]
fn check_calendar(calendar: &[u8], expected: &[&str]) {
    let found = sessions(calendar, 80).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(found, expected);
}

#[track_caller]
fn check_no_calendar(calendar: &[u8], says: &str) {
    let said = sessions(calendar, 80).unwrap_err();
    assert!(said.contains(says), "{said}");
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(case(name)).unwrap()
}

#[test]
fn calendars_of_the_cases_sound_when_they_say() {
    check_calendar(&read("ics/status_cancelled.ics"), &[]);
    let of_berlin = [
        "10-06 16:00-16:30",
        "10-13 16:00-16:30",
        "10-20 16:00-16:30",
        "10-27 17:00-17:30",
        "11-03 17:00-17:30",
        "11-17 17:00-17:30",
        "11-24 17:00-17:30",
    ];
    check_calendar(&read("ics/dst_berlin_starts_october_accepted_wrong.ics"), &of_berlin);
    check_calendar(
        &read("ics/tz_outlook_bangkok_display.ics"),
        &["11-02 05:00-05:30", "11-03 05:00-05:30", "11-04 05:00-05:30"],
    );
    let moved = [
        "11-02 05:00-05:30",
        "11-03 05:00-05:30",
        "11-04 05:00-05:30",
        "11-05 06:00-06:30",
        "11-06 05:00-05:30",
        "11-07 05:00-05:30",
        "11-08 05:00-05:30",
        "11-09 05:00-05:30",
        "11-10 05:00-05:30",
        "11-11 05:00-05:30",
    ];
    check_calendar(&read("ics/google_override_moved.ics"), &moved);
    let found = sessions(&read("ics/google_exdate_list_BOM.ics"), 45).unwrap();
    let days: Vec<_> = found.iter().map(|it| &it[..5]).take(8).collect();
    assert_eq!(days, ["11-02", "11-03", "11-06", "11-07", "11-08", "11-09", "11-11", "11-12"]);
}

/// A calendar of these lines.
fn calendar(lines: &str) -> Vec<u8> {
    let lines = lines.replace('\n', "\r\n");
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{lines}\r\nEND:VCALENDAR\r\n").into_bytes()
}

fn event(rest: &str) -> Vec<u8> {
    calendar(&format!("BEGIN:VEVENT\nUID:u\n{rest}\nEND:VEVENT"))
}

const THREE: &str = "DTSTART;TZID=Asia/Ho_Chi_Minh:20261102T050000\nDTEND;TZID=Asia/Ho_Chi_Minh:20261102T053000\nRRULE:FREQ=DAILY;COUNT=3";
const DAYS: [&str; 3] = ["11-02 05:00-05:30", "11-03 05:00-05:30", "11-04 05:00-05:30"];

fn with_override(rest: &str) -> Vec<u8> {
    calendar(&format!("BEGIN:VEVENT\nUID:u\n{rest}\nEND:VEVENT\nBEGIN:VEVENT\nUID:u\n{THREE}\nEND:VEVENT"))
}

#[test]
fn single_days_of_a_series_are_moved_and_cancelled() {
    check_calendar(&event(THREE), &DAYS);
    // The override may come first, name the day in UTC, or cancel it.
    let moved = "RECURRENCE-ID:20261102T220000Z\nDTSTART:20261105T000000Z\nDURATION:PT15M";
    check_calendar(&with_override(moved), &[DAYS[0], DAYS[2], "11-05 07:00-07:15"]);
    let cancelled = "RECURRENCE-ID;TZID=Asia/Ho_Chi_Minh:20261103T050000\nSTATUS:CANCELLED\nDTSTART;TZID=Asia/Ho_Chi_Minh:20261103T050000\nDURATION:PT30M";
    check_calendar(&with_override(cancelled), &[DAYS[0], DAYS[2]]);
    let by_day = "RECURRENCE-ID;VALUE=DATE:20261103\nDTSTART:20261103T120000\nDURATION:PT5M";
    check_calendar(&with_override(by_day), &[DAYS[0], "11-03 12:00-12:05", DAYS[2]]);
    check_no_calendar(
        &with_override(
            "RECURRENCE-ID;RANGE=THISANDFUTURE:20261103T050000\nDTSTART:20261103T060000\nDURATION:PT5M",
        ),
        "begin a new one on that day",
    );
    // An override alone, as one occurrence is exported.
    check_calendar(
        &event("RECURRENCE-ID:20261103T050000\nDTSTART:20261103T060000\nDURATION:PT5M"),
        &["11-03 06:00-06:05"],
    );
}

#[test]
fn what_was_cancelled_in_any_way_is_silent() {
    check_calendar(&event(&format!("status:cancelled\n{THREE}")), &[]);
    check_calendar(&calendar(&format!("METHOD:CANCEL\nBEGIN:VEVENT\nUID:u\n{THREE}\nEND:VEVENT")), &[]);
    check_calendar(&event(&format!("STATUS:TENTATIVE\n{THREE}")), &DAYS);
    // A later edition of the event takes the earlier one's place.
    let editions = format!(
        "BEGIN:VEVENT\nUID:u\nSEQUENCE:2\nSTATUS:CANCELLED\n{THREE}\nEND:VEVENT\nBEGIN:VEVENT\nUID:u\nSEQUENCE:1\n{THREE}\nEND:VEVENT"
    );
    check_calendar(&calendar(&editions), &[]);
}

#[test]
fn zones_of_windows_and_those_that_a_calendar_explains_are_followed() {
    let in_zone = |zone: &str, rest: &str| {
        event(&format!("DTSTART;TZID={zone}:20261102T050000\nDTEND;TZID={zone}:20261102T053000\n{rest}"))
    };
    for zone in [
        "SE Asia Standard Time",
        "\"SE Asia Standard Time\"",
        "\"(UTC+07:00) Bangkok, Hanoi, Jakarta\"",
        "Asia/Saigon",
        "/citadel.org/20190914_1/Asia/Ho_Chi_Minh",
    ] {
        check_calendar(&in_zone(zone, "RRULE:FREQ=DAILY;COUNT=3"), &DAYS);
    }
    check_calendar(&in_zone("Tokyo Standard Time", "X-A:b"), &["11-02 03:00-03:30"]);
    check_calendar(&in_zone("\"W. Europe Standard Time\"", "X-A:b"), &["11-02 11:00-11:30"]);
    check_no_calendar(&in_zone("\"W. Europe Standard Time\"", "RRULE:FREQ=DAILY"), "changes its clocks");
    check_no_calendar(&in_zone("Mars", "X-A:b"), "not known");
    let explained = |name: &str| {
        format!(
            "BEGIN:VTIMEZONE\nTZID:{name}\nBEGIN:STANDARD\nDTSTART:16011028T030000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010325T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT\nEND:VTIMEZONE"
        )
    };
    let zone = "Customized Time Zone";
    let weekly = format!(
        "{}\nBEGIN:VEVENT\nUID:u\nDTSTART;TZID={zone}:20261020T110000\nDTEND;TZID={zone}:20261020T113000\nRRULE:FREQ=WEEKLY;COUNT=2\nEND:VEVENT",
        explained(zone)
    );
    check_calendar(&calendar(&weekly), &["10-20 16:00-16:30", "10-27 17:00-17:30"]);
    let fixed = "BEGIN:VTIMEZONE\nTZID:Hà Nội\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0700\nTZOFFSETTO:+0700\nEND:STANDARD\nEND:VTIMEZONE";
    let daily = format!(
        "{fixed}\nBEGIN:VEVENT\nUID:u\nDTSTART;TZID=Hà Nội:20261102T050000\nDURATION:PT30M\nRRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT"
    );
    check_calendar(&calendar(&daily), &DAYS);
}

#[test]
fn rules_of_other_days_are_moved_and_dates_are_added() {
    // Sunday 22:00 UTC is Monday 05:00 in Vietnam.
    let weekly =
        "DTSTART:20261101T220000Z\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;BYDAY=SU,TU;UNTIL=20261108T220000Z";
    check_calendar(&event(weekly), &["11-02 05:00-05:30", "11-04 05:00-05:30", "11-09 05:00-05:30"]);
    let monthly = "DTSTART:20261031T220000Z\nDURATION:PT30M\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2";
    check_calendar(&event(monthly), &["11-01 05:00-05:30", "12-01 05:00-05:30"]);
    check_no_calendar(&event(&monthly.replace(";COUNT=2", "")), "another day than in Vietnam");
    // RDATEs at the event's time, at another one, and as a period.
    let more =
        format!("{THREE}\nRDATE:20261110T050000,20261111T180000\nRDATE;VALUE=PERIOD:20261112T050000/PT30M");
    let expected = [&DAYS[..], &["11-10 05:00-05:30", "11-11 18:00-18:30", "11-12 05:00-05:30"]].concat();
    check_calendar(&event(&more), &expected);
    // EXDATEs in UTC, by date, in several lines; one that meets nothing is no matter.
    check_calendar(&event(&format!("{THREE}\nEXDATE:20261102T220000Z")), &[DAYS[0], DAYS[2]]);
    check_calendar(&event(&format!("{THREE}\nEXDATE;VALUE=DATE:20261102,20261104")), &[DAYS[1]]);
    check_calendar(&event(&format!("{THREE}\nEXDATE:20261103T060000")), &DAYS);
    // What begins before midnight may end after it.
    check_calendar(&event("DTSTART:20261102T233000\nDTEND:20261103T000000"), &["11-02 23:30-00:00"]);
    check_calendar(&event("DTSTART:20261102T233000\nDTEND:20261103T003000"), &["11-02 23:30-00:30"]);
    check_no_calendar(&event("DTSTART;VALUE=DATE:20261102\nDTEND;VALUE=DATE:20261103"), "all day");
    check_no_calendar(&event("DTSTART:20261102\nDTEND:20261103"), "all day");
}

#[test]
fn lines_are_unfolded_wherever_they_were_folded() {
    let plain = format!("SUMMARY:Phát thanh xã\n{THREE}");
    let whole = event(&plain);
    let at = whole
        .windows(3)
        .position(|part| part == "á".as_bytes().iter().chain(b"t").copied().collect::<Vec<_>>())
        .unwrap();
    // In the middle of a letter, with a blank and with a tab, and after a byte order mark.
    for fold in [&b"\r\n "[..], b"\r\n\t", b"\n "] {
        let folded = [&whole[..at + 1], fold, &whole[at + 1..]].concat();
        check_calendar(&folded, &DAYS);
        check_calendar(&[b"\xef\xbb\xbf", &folded[..]].concat(), &DAYS);
    }
    let text = String::from_utf8(whole).unwrap();
    check_calendar(text.replace("\r\n", "\n").as_bytes(), &DAYS);
    check_calendar(text.replace("\r\n", "\r").as_bytes(), &DAYS);
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_calendar(&utf16, &DAYS);
    check_no_calendar(b"BEGIN:VCALENDAR\r\nSUMMARY:B\xe0i\r\nEND:VCALENDAR\r\n", "Windows-1258");
}

#[test]
fn playlists_of_the_cases_are_read_or_refused_by_name() {
    let read = |name: &str| {
        let tracks = playlist_file::read(&case(name), Place::inside(Path::new("")));
        let tracks = tracks.map_err(|problems| problems.to_string())?;
        let shown = tracks.into_iter().map(|track| match track.source {
            Source::File(path) => format!("{} {}", path.display(), track.title),
            Source::Stream(url) => url,
        });
        Ok::<_, String>(shown.collect::<Vec<_>>())
    };
    let vlc = read("playlists/vlc_url_encoded.m3u8").unwrap();
    assert_eq!(vlc, ["Nhạc/bài hát.mp3 Sơn Tùng - Bài hát, phần 2"]);
    assert_eq!(read("playlists/winamp.pls").unwrap(), ["nhac/a.mp3 A"]);
    assert_eq!(read("playlists/mac_cr_only.m3u").unwrap(), ["old.mp3 old", "mac.mp3 mac"]);
    let says = |name: &str, part: &str| {
        let said = read(name).unwrap_err();
        assert!(said.contains(part), "{said}");
    };
    says("playlists/hls_media.m3u8", "HLS");
    says("playlists/cp1258.m3u", "Windows-1258");
}

fn probe(path: &Path) -> Result<u32, Sentence> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    files::is_a_file(&found).map(|()| 60_000)
}

/// A programme beside these files, with this list.
fn programme_with(dir: &Path, list: &str) -> Result<Programme, String> {
    let text = format!(
        "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n[[playlist]]\nid = 'l'\ntitle = 'L'\n{list}\n\
         [[slot]]\nid = 's'\ntitle = 'S'\nstart = '05:00'\nminutes = 5\nplaylist = 'l'\n"
    );
    let path = dir.join("p.toml");
    std::fs::write(&path, text).unwrap();
    programme_file::read(&path, Audio::Required(&probe)).map_err(|problems| problems.to_string())
}

const NFC: &str = "Nh\u{1ea1}c x\u{e3}/b\u{e0}i h\u{e1}t.mp3";
const NFD: &str = "Nha\u{323}c xa\u{303}/ba\u{300}i ha\u{301}t.mp3";

#[test]
fn names_in_both_unicode_forms_find_each_other() {
    for (on_disk, written) in [(NFC, NFD), (NFD, NFC), (NFD, NFD), (NFC, NFC)] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(on_disk);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        let escaped: String = written.bytes().map(|byte| format!("%{byte:02x}")).collect();
        std::fs::write(dir.path().join("a.m3u8"), format!("{written}\n{}\n", escaped.replace("%2f", "/")))
            .unwrap();
        let item = format!("[[playlist.item]]\ntitle = 'A'\nfile = '{written}'\n");
        let programme = programme_with(dir.path(), &format!("m3u8 = 'a.m3u8'\n{item}")).unwrap();
        let items = &programme.playlists.first_key_value().unwrap().1.items;
        assert_eq!(items.len(), 3);
        for item in items {
            assert_eq!(item.content, Content::File { path: file.clone(), ms: Some(60_000) });
        }
    }
}

#[test]
fn a_name_that_holds_a_percent_sign_is_found_as_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a%20b.mp3", "c d.mp3"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    std::fs::write(dir.path().join("a.m3u8"), "a%20b.mp3\nc%20d.mp3\n").unwrap();
    let programme = programme_with(dir.path(), "m3u8 = 'a.m3u8'").unwrap();
    let items = &programme.playlists.first_key_value().unwrap().1.items;
    let names = items.iter().map(|item| match &item.content {
        Content::File { path, .. } => path.file_name().unwrap().to_str().unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["a%20b.mp3", "c d.mp3"]);
    // A whole address inside the programme's folder is a path, too.
    let whole = dir.path().join("c d.mp3").display().to_string().replace(' ', "%20");
    std::fs::write(dir.path().join("a.m3u8"), format!("file://{whole}\n")).unwrap();
    programme_with(dir.path(), "m3u8 = 'a.m3u8'").unwrap();
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _listener = UnixListener::bind(at("socket")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
    for (name, kind) in
        [("pipe", "a pipe"), ("socket", "a socket"), ("folder", "a folder"), ("device", "a device")]
    {
        let said = files::read_text(&at(name), 10).unwrap_err().to_string();
        assert!(said.contains(kind), "{said}");
        let said = loaxa_sound::decode::probe(&at(name)).unwrap_err().to_string();
        assert!(said.contains(kind), "{said}");
        for list in [format!("m3u8 = '{name}'"), format!("[[playlist.item]]\ntitle = 'A'\nfile = '{name}'")] {
            let said = programme_with(dir.path(), &list).unwrap_err();
            assert!(said.contains(kind), "{said}");
        }
        let said = programme_file::read(&at(name), Audio::Unseen).unwrap_err().to_string();
        assert!(said.contains(kind), "{said}");
    }
    assert!(
        files::read_text(Path::new("/proc/self/status"), 10).unwrap_err().to_string().contains("at most 10")
    );
}

fn programme_of(name: &str) -> Programme {
    let read = programme_file::read(&case(name), Audio::Unseen);
    read.unwrap_or_else(|problems| panic!("{problems}"))
}

fn timetable(programmes: Vec<Programme>) -> Timetable {
    let calendars = programmes.into_iter().map(|it| Calendar::new(Arc::new(it)).unwrap());
    Timetable::new(calendars.collect()).unwrap()
}

#[test]
fn a_slot_that_the_guard_refuses_is_told_beforehand() {
    let warnings = |name: &str, policy: &Policy| {
        let timetable = timetable(vec![programme_of(name)]);
        preview::warnings(&timetable, policy, date("2026-11-26"))
            .into_iter()
            .map(|it| it.what)
            .collect::<Vec<_>>()
    };
    let usual = Policy::default();
    let silent = |reason: GuardRefusal| Refusal::Silent { reason };
    assert_eq!(warnings("programmes/at0315.toml", &usual), [silent(GuardRefusal::OutsideHours)]);
    assert_eq!(warnings("programmes/prog-gio-5h00.toml", &usual), []);
    assert_eq!(warnings("programmes/min_to_midnight.toml", &usual), [silent(GuardRefusal::OutsideHours)]);
    let sunday = Policy { rest_weekdays: vec![chrono::Weekday::Sun], ..usual.clone() };
    assert_eq!(warnings("programmes/prog-gio-5h00.toml", &sunday), [silent(GuardRefusal::RestDay)]);
    let quiet = Policy { volume_day_percent_max: 70, ..usual.clone() };
    let lowered = [Refusal::Quieter { percent: 70, asked: 80 }];
    assert_eq!(warnings("programmes/prog-gio-5h00.toml", &quiet), lowered);
    let short = Policy { day_minutes_max: 1, ..usual };
    let stopped = Refusal::Stopped { reason: GuardRefusal::DayFull { minutes: 1 } };
    assert!(warnings("programmes/prog-gio-5h00.toml", &short).contains(&stopped));
}

#[test]
fn the_holiday_of_a_second_programme_silences_the_everyday_slots_of_the_first() {
    let both = timetable(vec![
        programme_of("programmes/prog-gio-5h00.toml"),
        programme_of("programmes/tet-in-a-second-programme.toml"),
    ]);
    let listeners = Listeners { groups: ["tan-lap".parse().unwrap()].into(), languages: Vec::new() };
    // Tết is on 2027-02-06, a Saturday.
    let plan = preview::plan(&both, &listeners, &Policy::default(), date("2027-02-05"), date("2027-02-09"));
    let shown = plan.iter().map(|it| format!("{} {}", it.start.local().format("%m-%d %H:%M"), it.key.slot));
    let expected = [
        "02-05 05:00 sang",
        "02-05 17:00 chieu",
        "02-05 23:50 giao-thua",
        "02-06 06:30 tet-1",
        "02-06 16:00 tet-2",
        "02-07 06:30 tet-1",
        "02-07 16:00 tet-2",
        "02-08 06:30 tet-1",
        "02-08 16:00 tet-2",
        "02-09 05:00 sang",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert!(plan.iter().flat_map(|it| &it.plays).all(|play| play.fate != Fate::HardEnd));
}

#[test]
fn thousands_of_nested_lists_are_counted() {
    const LISTS: usize = 13_000;
    let list = |n: usize| {
        let item = match n {
            0 => "title = 'A'\ntext = 'a'".to_owned(),
            n => format!("playlist = 'l{}'", n - 1),
        };
        format!("[[playlist]]\nid = 'l{n}'\ntitle = 'L'\n[[playlist.item]]\n{item}\n")
    };
    let head = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n";
    let lists: String = (0..LISTS).map(list).collect();
    let last = LISTS - 1;
    let slot =
        format!("[[slot]]\nid = 's'\ntitle = 'S'\nstart = '05:00'\nminutes = 5\nplaylist = 'l{last}'\n");
    let read = |text: &str| programme_file::parse(text, "p", Path::new(""), Audio::Unseen);
    let text = format!("{head}{lists}{slot}");
    let programme = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(preview::warnings(&timetable(vec![programme]), &Policy::default(), date("2026-11-26")), []);
    // The same as one circle, and with as many names that lead nowhere.
    let circle = text.replacen("title = 'A'\ntext = 'a'", &format!("playlist = 'l{last}'"), 1);
    let said = read(&circle).unwrap_err().to_string();
    assert!(said.contains("contains itself") && said.len() < 1_000, "{said}");
    let lost = text.replace("playlist = 'l", "playlist = 'k");
    assert!(read(&lost).unwrap_err().0.len() <= 100);
}
