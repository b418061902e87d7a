//! The kind of a file, told from its text.

use std::path::Path;

use toml::de::DeTable;

use super::playlist_file::ENDINGS;

/// The kinds of files that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Programme,
    Box,
    Central,
    /// A trust document before it is signed.
    Trust,
    /// A playlist, by its name's ending.
    Playlist,
    /// A calendar, by its name's ending.
    Calendar,
}

/// Recognises a file by its ending, or by the first table of its TOML.
pub fn kind_of(path: &Path, text: &str) -> Option<Kind> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "ics" | "ical" | "icalendar" => return Some(Kind::Calendar),
        ending if ENDINGS.contains(&ending) => return Some(Kind::Playlist),
        _ => {}
    }
    let (table, _) = DeTable::parse_recoverable(text);
    let tables =
        table.as_ref().iter().filter(|(_, value)| value.as_ref().is_table() || value.as_ref().is_array());
    let first = tables.min_by_key(|(key, _)| key.span().start)?;
    match &**first.0.as_ref() {
        "programme" | "section" | "campaign" | "holiday" | "playlist" | "slot" => Some(Kind::Programme),
        "box" => Some(Kind::Box),
        "central" => Some(Kind::Central),
        "grant" | "threshold" | "nesting" => Some(Kind::Trust),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: Option<Kind>) {
        assert_eq!(kind_of(Path::new(name), text), expected);
    }

    #[test]
    fn the_first_table_tells() {
        check("a.toml", "# x\n[box]\nid = 1\n[central]\n", Some(Kind::Box));
        check("a.toml", "[central]\n[[box]]\n", Some(Kind::Central));
        check("a.toml", "version = 1\n[[grant]]\n", Some(Kind::Trust));
        check("a.toml", "[programme]\n", Some(Kind::Programme));
        check("a.toml", "[[slot]\n", Some(Kind::Programme));
        check("a.toml", "[other]\n[box]\n", None);
        check("a.M3U8", "", Some(Kind::Playlist));
        check("a.m3u8", "[box]", Some(Kind::Playlist));
        check("a.pls", "[playlist]", Some(Kind::Playlist));
        check("A.ICS", "", Some(Kind::Calendar));
        check("a.ics", "", Some(Kind::Calendar));
    }
}
