//! Playlists as XSPF, the form that VLC and Audacious save.

use roxmltree::Node;

use super::problem::{Problem, Problems};
use super::tracks::{Listing, Place, Track};
use super::xml;
use crate::said;

/// Most nodes of a list: a track of VLC has some twenty.
const NODES_MAX: u32 = 400_000;

/// Longest track that is believed, 24 h.
const MS_MAX: u32 = 86_400_000;

/// Reads a playlist by its tracks' `location`, of which the first counts.
///
/// # Errors
/// Says that the text is no XSPF, or lists what is wrong with its tracks.
pub(super) fn parse(text: &str, file: &str, place: Place<'_>) -> Result<Vec<Track>, Problems> {
    let bad = |detail: String| Problems::from(Problem::of_file(file, said!("m3u8.bad_xspf", detail)));
    let document = xml::parse(text, NODES_MAX).map_err(|error| bad(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "playlist" {
        return Err(bad(format!("<{}>", xml::shown(root.tag_name().name()))));
    }
    let mut listing = Listing::new(file, place);
    // The lines are counted as the tracks come: to ask for each one's place reads the text from its beginning.
    let (mut line, mut counted) = (1, 0);
    let tracks = root.children().filter(|node| node.has_tag_name_of("trackList"));
    for track in tracks.flat_map(|list| list.children()).filter(|node| node.has_tag_name_of("track")) {
        let Some(location) = words(track, "location") else { continue };
        let at = track.range().start;
        line += text[counted..at].bytes().filter(|byte| *byte == b'\n').count();
        counted = at;
        let ms = words(track, "duration").and_then(|ms| ms.parse().ok());
        let ms = ms.filter(|ms| (1..=MS_MAX).contains(ms));
        let title = words(track, "title").unwrap_or_default();
        // A location is an address, whose escapes are resolved whatever files there are.
        let has_scheme = location.contains("://") || location.starts_with("file:");
        let address = if has_scheme { location } else { format!("file:{location}") };
        if !listing.add(line, &address, &title, ms) {
            break;
        }
    }
    listing.end()
}

/// An element's name without its namespace, which lists often forget.
trait LocalName {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn words(track: Node<'_, '_>, name: &str) -> Option<String> {
    let node = track.children().find(|node| node.has_tag_name_of(name))?;
    let text = node.text().unwrap_or_default().trim();
    (!text.is_empty()).then(|| text.to_owned())
}
