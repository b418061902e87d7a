//! A person's request to central, signed by the key that signs orders, in place of a password.

use crate::domain::ids::ContentHash;
use crate::domain::time::Wall;

/// Header with the id of the key that signed a request.
pub const KEY_HEADER: &str = "x-loaxa-key";
/// Header with the instant of signing, as in `2026-11-21T05:00:00.000000Z`.
pub const TIME_HEADER: &str = "x-loaxa-time";
/// Header with the nonce: random, and never used again by this key.
pub const NONCE_HEADER: &str = "x-loaxa-nonce";
/// Header with the signature, in base64.
pub const SIGNATURE_HEADER: &str = "x-loaxa-signature";

/// Fewest and most characters of a nonce: 128 random bits in base64 or hexadecimal, and no more than a line.
const NONCE_CHARS: core::ops::RangeInclusive<usize> = 16..=64;

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path with the query, if there is one.
    pub path: &'a str,
    pub at: Wall,
    pub nonce: &'a str,
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Returns the bytes that are signed. No envelope begins like this, so that neither is taken for the other, and no
    /// part but the last holds a line feed.
    pub fn to_be_signed(&self) -> Vec<u8> {
        let Self { method, path, at, nonce, body } = self;
        format!("loaxa-request v2\n{method}\n{path}\n{at}\n{nonce}\n{}", ContentHash::of(body)).into_bytes()
    }
}

/// Tells whether a text can be a nonce: 16 to 64 letters, digits, hyphens or underscores.
pub fn is_nonce(text: &str) -> bool {
    NONCE_CHARS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_the_page_signs_it() {
        let at = "2026-11-21T05:00:00Z".parse().unwrap();
        let nonce = "00112233445566778899aabbccddeeff";
        let request = Request { method: "GET", path: "/api/v1/drafts", at, nonce, body: b"" };
        let expected = "loaxa-request v2\nGET\n/api/v1/drafts\n2026-11-21T05:00:00.000000Z\n\
                        00112233445566778899aabbccddeeff\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(request.to_be_signed(), expected.as_bytes());
    }

    #[test]
    fn a_nonce_is_one_word_of_enough_characters() {
        for good in ["0123456789abcdef", "abc-DEF_0123456789", &"x".repeat(64)] {
            assert!(is_nonce(good), "{good}");
        }
        for bad in ["", "0123456789abcde", "0123456789abcdef\n", "0123456789 abcdef", &"x".repeat(65)] {
            assert!(!is_nonce(bad), "{bad}");
        }
    }
}
