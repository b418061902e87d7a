//! A person's request to central, signed by the key that signs orders, in place of a password.

use crate::domain::ids::ContentHash;
use crate::domain::time::Wall;

/// Header with the id of the key that signed a request.
pub const KEY_HEADER: &str = "x-loaxa-key";
/// Header with the instant of signing, as in `2026-11-21T05:00:00.000000Z`.
pub const TIME_HEADER: &str = "x-loaxa-time";
/// Header with the signature, in base64.
pub const SIGNATURE_HEADER: &str = "x-loaxa-signature";

/// Returns the bytes that are signed of a request. No envelope begins like this, so that neither is taken for the
/// other.
pub fn to_be_signed(method: &str, path: &str, at: Wall, body: &[u8]) -> Vec<u8> {
    format!("loaxa-request v1\n{method}\n{path}\n{at}\n{}", ContentHash::of(body)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_the_page_signs_it() {
        let at = "2026-11-21T05:00:00Z".parse().unwrap();
        let expected = "loaxa-request v1\nGET\n/api/v1/drafts\n2026-11-21T05:00:00.000000Z\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(to_be_signed("GET", "/api/v1/drafts", at, b""), expected.as_bytes());
    }
}
