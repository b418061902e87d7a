//! Playlists as M3U and extended M3U, the form that players and editors exchange. Not the HLS kind, which is refused by
//! its name.

use super::problem::Problems;
use super::tracks::{Listing, Place, Source, Track, length_ms, lines, percent_decoded};
use crate::said;

/// Begins the lines that only a stream's list of segments has (RFC 8216).
const HLS: &str = "#EXT-X-";

/// Reads a playlist. Unknown `#` lines are passed over.
///
/// # Errors
/// Lists paths that lead out of the programme's directory, addresses that are no streams, too many tracks.
pub(super) fn parse(text: &str, file: &str, place: Place<'_>) -> Result<Vec<Track>, Problems> {
    let mut listing = Listing::new(file, place);
    if let Some((line, _)) = lines(text).find(|(_, line)| line.starts_with(HLS)) {
        listing.problem(line, said!("m3u8.hls"));
        return listing.end();
    }
    let mut info: Option<(Option<u32>, &str)> = None;
    for (line, text) in lines(text) {
        if let Some(text) = text.strip_prefix("#EXTINF:") {
            let (seconds, title) = text.split_once(',').unwrap_or((text, ""));
            // Attributes may follow the number after a blank.
            info = Some((seconds.split_whitespace().next().and_then(length_ms), title));
        } else if text.starts_with('#') || text.trim().is_empty() {
            continue;
        } else {
            let (ms, title) = info.take().unwrap_or_default();
            if !listing.add(line, text, title, ms) {
                break;
            }
        }
    }
    listing.end()
}

/// Writes a playlist whose paths are seen from the programme's directory.
pub fn write(tracks: &[Track]) -> String {
    let mut text = String::from("#EXTM3U\n");
    for Track { title, source, ms, .. } in tracks {
        let seconds = ms.map_or("-1".to_owned(), |ms| format!("{}.{:03}", ms / 1_000, ms % 1_000));
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        let source = match source {
            Source::Stream(url) => url.clone(),
            Source::File(path) => {
                let path = path.display().to_string();
                let reads_otherwise = percent_decoded(&path).is_some() || path.trim() != path;
                let path = if reads_otherwise { escaped(&path) } else { path };
                // "./" keeps a name that begins with # or a blank from being taken for something else.
                format!("./{path}")
            }
        };
        text.push_str(&format!("#EXTINF:{seconds},{title}\n{source}\n"));
    }
    text
}

/// Escapes the percent signs and blanks of a path.
fn escaped(path: &str) -> String {
    let escape = |c: char| match c {
        '%' => "%25".to_owned(),
        c if c.is_whitespace() => {
            c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()
        }
        c => c.to_string(),
    };
    path.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::playlist_file;
    use std::path::Path;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            titles in prop::collection::vec("[^\\s\\x00-\\x1f\u{feff}](.{0,20}[^\\s])?", 0..5),
            name in "[# a-zđ%]{1,8}/[^/\\\\:\\.\\x00\\r\\n]{1,12}",
            ms in prop::option::of(1u32..86_400_000),
        ) {
            let flat = |title: &String| title.split_whitespace().collect::<Vec<_>>().join(" ");
            let tracks: Vec<_> = titles.iter().map(flat).filter(|title| !title.is_empty()).enumerate().map(|(index, title)| Track {
                title,
                source: if index % 2 == 0 { Source::File(name.clone().into()) } else { Source::Stream("https://a.vn/b".into()) },
                literal: None,
                ms,
                line: 3 + 2 * index,
            }).collect();
            let read = playlist_file::parse(&write(&tracks), "a", Place::inside(Path::new(""))).unwrap();
            let read: Vec<_> = read.into_iter().map(|track| Track { literal: None, ..track }).collect();
            prop_assert_eq!(read, tracks);
        }
    }
}
