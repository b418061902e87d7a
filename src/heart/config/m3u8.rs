//! Playlists as extended M3U in UTF-8 (M3U8), the form that players and editors exchange. Not the HLS kind.

use crate::said;
use crate::texts::Sentence;
use std::path::{Component, Path, PathBuf};

use super::problem::{Problem, Problems};

/// One line of an M3U8 playlist with what `#EXTINF` said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// From `#EXTINF`, else the file's name.
    pub title: String,
    pub source: Source,
    /// From `#EXTINF`, where it is known.
    pub ms: Option<u32>,
    /// Line in the file, from 1.
    pub line: usize,
}

/// The address of a track: a file or a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path below the directory of the programme.
    File(PathBuf),
    /// An address of a stream.
    Stream(String),
}

/// Most tracks of a playlist.
pub const TRACKS_MAX: usize = 5_000;

/// Longest track that is believed, 24 h.
const SECONDS_MAX: f64 = 86_400.0;

/// Reads a playlist; `inside` is its directory, seen from the programme's. Unknown `#` lines are passed over.
///
/// # Errors
/// Lists paths that lead out of the programme's directory, addresses that are no streams, too many tracks.
pub fn parse(text: &str, file: &str, inside: &Path) -> Result<Vec<Track>, Problems> {
    let mut tracks = Vec::new();
    let mut problems = Vec::new();
    let mut info: Option<(Option<u32>, String)> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let problem = |said: Sentence| Problem {
            file: file.to_owned(),
            line: index + 1,
            column: 1,
            key: String::new(),
            said,
        };
        if let Some(text) = line.strip_prefix("#EXTINF:") {
            let (seconds, title) = text.split_once(',').unwrap_or((text, ""));
            info = Some((length_ms(seconds), title.trim().to_owned()));
        } else if line.starts_with('#') || line.trim().is_empty() {
            continue;
        } else if tracks.len() == TRACKS_MAX {
            problems.push(problem(said!("m3u8.many", max = TRACKS_MAX)));
            break;
        } else {
            let (ms, title) = info.take().unwrap_or_default();
            match source(line, inside) {
                Ok(source) => {
                    let title = if title.is_empty() { title_of(&source) } else { title };
                    tracks.push(Track { title, source, ms, line: index + 1 });
                }
                Err(said) => problems.push(problem(said)),
            }
        }
    }
    if problems.is_empty() { Ok(tracks) } else { Err(Problems(problems)) }
}

/// Writes a playlist whose paths are seen from the programme's directory.
pub fn write(tracks: &[Track]) -> String {
    let mut text = String::from("#EXTM3U\n");
    for Track { title, source, ms, .. } in tracks {
        let seconds = ms.map_or("-1".to_owned(), |ms| format!("{}.{:03}", ms / 1_000, ms % 1_000));
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        let source = match source {
            Source::Stream(url) => url.clone(),
            // "./" keeps a name that begins with # or a blank from being taken for something else.
            Source::File(path) => format!("./{}", path.display()),
        };
        text.push_str(&format!("#EXTINF:{seconds},{title}\n{source}\n"));
    }
    text
}

fn length_ms(seconds: &str) -> Option<u32> {
    // Attributes may follow the number after a blank.
    let seconds: f64 = seconds.split_whitespace().next()?.parse().ok()?;
    (seconds > 0.0 && seconds <= SECONDS_MAX).then_some((seconds * 1_000.0).round() as u32)
}

fn source(line: &str, inside: &Path) -> Result<Source, Sentence> {
    let line = line.trim_end_matches('\r');
    if line.contains("://") {
        let known = line.starts_with("http://") || line.starts_with("https://");
        return if known {
            Ok(Source::Stream(line.trim().to_owned()))
        } else {
            Err(said!("m3u8.no_stream", line = line.escape_debug()))
        };
    }
    let leads_away = || Err(said!("m3u8.leads_away", line = line.escape_debug()));
    let mut path = inside.to_owned();
    for part in Path::new(&line.replace('\\', "/")).components() {
        match part {
            Component::Normal(name) if name.to_string_lossy().contains(['\0', '\r']) => {
                return leads_away();
            }
            // A drive letter.
            Component::Normal(name) if name.to_string_lossy().ends_with(':') => return leads_away(),
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            // As long as it stays inside: popping an empty path fails.
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return leads_away(),
        }
    }
    Ok(Source::File(path))
}

fn title_of(source: &Source) -> String {
    match source {
        Source::Stream(url) => url.clone(),
        Source::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[(&str, &str, Option<u32>)]) {
        let tracks = parse(text, "a.m3u8", Path::new("lists")).unwrap();
        let found: Vec<_> = tracks
            .iter()
            .map(|track| match &track.source {
                Source::File(path) => (track.title.as_str(), path.to_str().unwrap(), track.ms),
                Source::Stream(url) => (track.title.as_str(), url.as_str(), track.ms),
            })
            .collect();
        assert_eq!(found, expected);
    }

    fn check_bad(line: &str) {
        let problems = parse(&format!("#EXTM3U\n{line}\n"), "a.m3u8", Path::new("lists")).unwrap_err();
        assert!(problems.to_string().starts_with("a.m3u8:2: "), "{problems}");
    }

    #[test]
    fn what_editors_write_is_read() {
        check(
            "\u{feff}#EXTM3U\r\n#PLAYLIST:x\r\n#EXTINF:61.5 a=\"b\",Bài hát, phần 1\r\nnhac\\a.mp3\r\n\r\n../b.ogg\r\n",
            &[("Bài hát, phần 1", "lists/nhac/a.mp3", Some(61_500)), ("b", "b.ogg", None)],
        );
        check("#EXTINF:-1,Đài\nhttps://vov.vn/live\n", &[("Đài", "https://vov.vn/live", None)]);
        check("", &[]);
    }

    #[test]
    fn nothing_leads_out() {
        for line in ["/etc/passwd", "../../a.mp3", "C:\\a.mp3", "file:///etc/passwd", "a/../../../b"] {
            check_bad(line);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            titles in prop::collection::vec("[^\\s\\x00-\\x1f\u{feff}](.{0,20}[^\\s])?", 0..5),
            name in "[# a-zđ]{1,8}/[^/\\\\:\\.\\x00\\r\\n]{1,12}",
            ms in prop::option::of(1u32..86_400_000),
        ) {
            let flat = |title: &String| title.split_whitespace().collect::<Vec<_>>().join(" ");
            let tracks: Vec<_> = titles.iter().map(flat).filter(|title| !title.is_empty()).enumerate().map(|(index, title)| Track {
                title,
                source: if index % 2 == 0 { Source::File(name.clone().into()) } else { Source::Stream("https://a.vn/b".into()) },
                ms,
                line: 3 + 2 * index,
            }).collect();
            prop_assert_eq!(parse(&write(&tracks), "a", Path::new("")).unwrap(), tracks);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text, "a", Path::new(""));
        }
    }
}
