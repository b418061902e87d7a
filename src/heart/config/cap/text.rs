//! The octets of an alert to the one text that everything else reads: what is verified is what is read.

use super::{ALERT_BYTES_MAX, CapError};
use crate::config::xml::{XmlError, shown};

/// Decodes the XML of an alert, and takes away its byte order mark and its declaration, so that no later reader can decode
/// the same octets in another way. Line numbers stay as they were.
///
/// # Errors
/// Fails when it is too large, is in another encoding than UTF-8 (or UTF-16 with its mark), or says that it is.
pub fn decode(bytes: &[u8]) -> Result<String, CapError> {
    if bytes.len() > ALERT_BYTES_MAX {
        return Err(CapError::TooLarge);
    }
    let (text, own_names): (_, &[&str]) = match bytes {
        [0xfe, 0xff, rest @ ..] => (utf16(rest, u16::from_be_bytes)?, &["utf-16", "utf-16be"]),
        [0xff, 0xfe, rest @ ..] => (utf16(rest, u16::from_le_bytes)?, &["utf-16", "utf-16le"]),
        _ => {
            let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = core::str::from_utf8(rest)
                .map_err(|error| CapError::from(XmlError::Bad(error.to_string())))?;
            (text.to_owned(), &["utf-8"])
        }
    };
    if text.contains('\0') {
        return Err(CapError::Encoding { found: "UTF-16 or UTF-32 without a mark".to_owned() });
    }
    without_declaration(&text, own_names)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, CapError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(XmlError::Bad("half a character of UTF-16 at its end".to_owned()).into());
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map_err(|error| CapError::from(XmlError::Bad(error.to_string())))
}

/// Cuts `<?xml ... ?>` off a text whose encoding has `own_names`.
fn without_declaration(text: &str, own_names: &[&str]) -> Result<String, CapError> {
    let opened = text.strip_prefix("<?xml").filter(|rest| rest.starts_with([' ', '\t', '\r', '\n']));
    let Some(opened) = opened else { return Ok(text.to_owned()) };
    let bad = || CapError::from(XmlError::Bad("its declaration <?xml ... ?> is not well formed".to_owned()));
    let (inside, rest) = opened.split_once("?>").ok_or_else(bad)?;
    let mut unread = inside.trim();
    while !unread.is_empty() {
        let (name, value) = unread.split_once('=').ok_or_else(bad)?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\'')).ok_or_else(bad)?;
        let (value, after) = value[1..].split_once(quote).ok_or_else(bad)?;
        match name.trim() {
            "version" if value == "1.0" => {}
            "encoding" if own_names.iter().any(|own| own.eq_ignore_ascii_case(value)) => {}
            "encoding" => return Err(CapError::Encoding { found: shown(value).to_owned() }),
            "standalone" if matches!(value, "yes" | "no") => {}
            _ => return Err(bad()),
        }
        unread = after.trim_start();
    }
    let lines = inside.matches('\n').count();
    Ok(format!("{}{rest}", "\n".repeat(lines)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// The decoded text, or what the refusal says.
    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        match (decode(bytes), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn utf_8_and_marked_utf_16_are_read() {
        check("<a>lũ</a>".as_bytes(), Ok("<a>lũ</a>"));
        check("\u{feff}<?xml version='1.0' encoding=\"utf-8\"?>\n<a/>".as_bytes(), Ok("\n<a/>"));
        check(b"<?xml version = '1.0'\n standalone='no' ?><a/>", Ok("\n<a/>"));
        check(b"<?xml-stylesheet href='a'?><a/>", Ok("<?xml-stylesheet href='a'?><a/>"));
        let text = "\u{feff}<?xml version='1.0' encoding='UTF-16'?><a>lũ</a>";
        check(&utf16(text, u16::to_le_bytes), Ok("<a>lũ</a>"));
        check(&utf16(text, u16::to_be_bytes), Ok("<a>lũ</a>"));
    }

    #[test]
    fn every_other_encoding_is_refused_by_its_name() {
        let declared = |name: &str| format!("<?xml version='1.0' encoding='{name}'?><a/>");
        for name in ["UTF-7", "utf-7", "ISO-8859-1", "windows-1258", "UTF-16", "EBCDIC-CP-US", "US-ASCII", ""]
        {
            check(declared(name).as_bytes(), Err(&format!("is written in {name:?}")));
        }
        check(&utf16(&format!("\u{feff}{}", declared("UTF-8")), u16::to_le_bytes), Err("\"UTF-8\""));
        check(&utf16(&declared("UTF-16"), u16::to_le_bytes), Err("without a mark"));
        check(b"\xff\xfe\0\0<\0\0\0", Err("without a mark"));
        check(b"\xff\xfe<", Err("half a character"));
        check(b"\xff\xfe\0\xd8a\0", Err("unpaired"));
        check(b"\xe4", Err("is not XML"));
        check(b"<?xml version='1.1'?><a/>", Err("declaration"));
        check(b"<?xml version='1.0' encoding='UTF-8' encoding=UTF-7?><a/>", Err("declaration"));
        check(b"<?xml version='1.0' encoding='UTF-7", Err("declaration"));
        check(b"<?xml version='1.0' code='UTF-7'?><a/>", Err("declaration"));
    }
}
