//! Playlists of other programs, in whichever form: M3U, M3U8, PLS, XSPF.

use std::path::Path;

use super::files::read_text;
use super::problem::{Problem, Problems};
use super::tracks::{Place, Track};
use super::{m3u8, pls, xspf};

/// Most bytes of a playlist.
const PLAYLIST_BYTES_MAX: u64 = 4 << 20;

/// Endings of the names of playlists.
pub const ENDINGS: [&str; 4] = ["m3u", "m3u8", "pls", "xspf"];

/// Reads a playlist from its file; `place` says where its directory is.
///
/// # Errors
/// Says what is wrong with the file, or lists what is wrong with its lines.
pub fn read(path: &Path, place: Place<'_>) -> Result<Vec<Track>, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, PLAYLIST_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    parse(&text, &file, place)
}

/// Reads a playlist from its text, which itself tells its form: lists are often saved under another one's name.
///
/// # Errors
/// Lists paths that lead out of the programme's directory, addresses that are no streams, too many tracks, and says of an
/// HLS list that it is one.
pub fn parse(text: &str, file: &str, place: Place<'_>) -> Result<Vec<Track>, Problems> {
    let text = text.trim_start_matches('\u{feff}');
    let begins = text.trim_start();
    let starts = |mark: &str| begins.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    if starts("[playlist]") {
        pls::parse(text, file, place)
    } else if starts("<?xml") || starts("<playlist") {
        xspf::parse(begins, file, place)
    } else {
        m3u8::parse(text, file, place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::tracks::Source;

    fn read(text: &str) -> Result<Vec<Track>, Problems> {
        let base = Some(Path::new("/srv/loa xa"));
        parse(text, "a.m3u8", Place { inside: Path::new("lists"), base })
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, Option<u32>)]) {
        let tracks = read(text).unwrap_or_else(|problems| panic!("{problems}"));
        let found: Vec<_> = tracks
            .iter()
            .map(|track| match &track.source {
                Source::File(path) => (track.title.as_str(), path.to_str().unwrap(), track.ms),
                Source::Stream(url) => (track.title.as_str(), url.as_str(), track.ms),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn check_bad(text: &str, line: usize, says: &str) {
        let problems = read(text).unwrap_err().to_string();
        assert!(problems.starts_with(&format!("a.m3u8:{line}: ")) && problems.contains(says), "{problems}");
    }

    #[test]
    fn what_editors_write_is_read() {
        check(
            "\u{feff}#EXTM3U\r\n#PLAYLIST:x\r\n#EXTINF:61.5 a=\"b\",Bài hát, phần 1\r\nnhac\\a.mp3\r\n\r\n../b.ogg\r\n",
            &[("Bài hát, phần 1", "lists/nhac/a.mp3", Some(61_500)), ("b", "b.ogg", None)],
        );
        check("#EXTINF:-1,Đài\nHTTPS://vov.vn/live\n", &[("Đài", "https://vov.vn/live", None)]);
        check("", &[]);
        check(
            "#EXTM3U\rold.mp3\rmac.mp3\r",
            &[("old", "lists/old.mp3", None), ("mac", "lists/mac.mp3", None)],
        );
        check("a.mp3 \nb.mp3\t", &[("a", "lists/a.mp3", None), ("b", "lists/b.mp3", None)]);
    }

    #[test]
    fn escapes_are_resolved_and_addresses_of_files_are_paths() {
        let song = ("bài hát", "lists/Nhạc/bài hát.mp3", None);
        check("Nh%E1%BA%A1c/b%C3%A0i%20h%C3%A1t.mp3", &[song]);
        check("file:Nh%e1%ba%a1c/b%c3%a0i%20h%c3%a1t.mp3", &[song]);
        for root in
            ["file:///srv/loa%20xa/", "file://localhost/srv/loa%20xa/", "FILE:/srv/loa xa/", "/srv/loa xa/"]
        {
            check(&format!("{root}lists/Nhạc/bài hát.mp3"), &[song]);
        }
        // No escape, or none that is text.
        check(
            "100%.mp3\n%E0.mp3\n5%2x.mp3",
            &[
                ("100%", "lists/100%.mp3", None),
                ("%E0", "lists/%E0.mp3", None),
                ("5%2x", "lists/5%2x.mp3", None),
            ],
        );
        let literal = |text: &str| read(text).unwrap()[0].literal.clone();
        assert_eq!(literal("giảm 50%20.mp3"), Some("lists/giảm 50%20.mp3".into()));
        assert_eq!(literal("a.mp3 "), Some("lists/a.mp3 ".into()));
        assert_eq!(literal("a.mp3"), None);
    }

    #[test]
    fn nothing_leads_out() {
        let lines = [
            "/etc/passwd",
            "../../a.mp3",
            "C:\\a.mp3",
            "file:///etc/passwd",
            "a/../../../b",
            "file:///C:/Users/Lan/a.mp3",
            "\\\\may-chu\\nhac\\a.mp3",
            "%2e%2e/%2e%2e/a.mp3",
            "%2Fetc%2Fpasswd",
            "/srv/loa xa/../a.mp3",
            "file://may-chu/a.mp3",
        ];
        for line in lines {
            check_bad(&format!("#EXTM3U\n{line}\n"), 2, "put the file beside");
        }
        for line in ["rtsp://a.vn/1", "mms://a.vn/1", "smb://a/b.mp3", "icy://a.vn"] {
            check_bad(line, 1, "can't be played");
        }
        check_bad("a%00.mp3", 1, "put the file beside");
    }

    #[test]
    fn a_streams_list_of_segments_is_refused_by_its_name() {
        check_bad("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:9.009,\nseg0.ts\n", 2, "HLS");
        check_bad("#EXTM3U\n\n#EXT-X-STREAM-INF:BANDWIDTH=128000\nlow.m3u8\n", 3, "HLS");
    }

    #[test]
    fn pls_is_read_by_the_numbers_of_its_keys() {
        check(
            "[playlist]\r\nFile1=nhac\\a.mp3\r\nTitle1=A\r\nLength1=203\r\nNumberOfEntries=1\r\nVersion=2\r\n",
            &[("A", "lists/nhac/a.mp3", Some(203_000))],
        );
        check(
            "[Playlist]\nnumberofentries=2\nTitle2=Đài\nfile2=http://vov.vn:8000/live\nLength2=-1\nFile1=b=1.mp3\nFile9=\n",
            &[("b=1", "lists/b=1.mp3", None), ("Đài", "http://vov.vn:8000/live", None)],
        );
        check_bad("[playlist]\nFile1=D:\\nhac\\a.mp3\n", 2, "put the file beside");
    }

    #[test]
    fn xspf_is_read_by_its_locations() {
        let track = |inside: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<playlist xmlns=\"http://xspf.org/ns/0/\" version=\"1\">\n<trackList>\n<track>{inside}</track>\n</trackList></playlist>"
            )
        };
        check(
            &track(
                "<location>file:///srv/loa%20xa/b%C3%A0i.mp3</location><title>A &amp; B</title><duration>203500</duration>",
            ),
            &[("A & B", "bài.mp3", Some(203_500))],
        );
        check(
            &track("<location>nh%E1%BA%A1c/a%2520b.mp3</location>"),
            &[("a%20b", "lists/nhạc/a%20b.mp3", None)],
        );
        check(
            &track("<location>http://a.vn/?a=1&amp;b=2</location>"),
            &[("http://a.vn/?a=1&b=2", "http://a.vn/?a=1&b=2", None)],
        );
        check(&track("<title>no location</title>"), &[]);
        check_bad(&track("<location>/etc/passwd</location>"), 4, "put the file beside");
        for text in ["<playlist", "<?xml version='1.0'?><html/>", "<!DOCTYPE a><playlist/>"] {
            let said = read(text).err().map(|problems| problems.to_string()).unwrap_or_default();
            assert!(text.starts_with("<!") || said.contains("XSPF"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(form in "(\\[playlist\\]\n|<playlist>|#EXTM3U\r)?", text in ".{0,200}") {
            let _ = read(&(form + &text));
        }
    }
}
