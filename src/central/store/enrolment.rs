//! Enrolment: one-time codes, certificates, and boxes that were shut out.

use super::answer::Answer;
use crate::settings::BoxDeclared;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::{Span, Wall};

/// Bytes of a certificate's serial number (RFC 5280, 4.1.2.2: at most 20).
pub const SERIAL_BYTES: usize = 16;

/// A certificate's number; random, so that a key that is certified anew is not revoked with its earlier certificate.
pub type Serial = [u8; SERIAL_BYTES];

/// Codes and certificates by which boxes come in, and their end.
pub trait Enrolment: Send + Sync {
    /// Keeps a one-time code (its hash) with which a box may enrol until `expires`.
    fn add_enrolment(&self, code: ContentHash, declared: BoxDeclared, expires: Wall) -> Answer<'_, ()>;

    /// Uses a code up: the box is known by this key from now on. `None` where it is unknown, used or expired at `now`.
    fn use_enrolment(&self, code: ContentHash, key: String, now: Wall) -> Answer<'_, Option<BoxDeclared>>;

    /// Keeps the fingerprint and the serial number of a box's certificate, and revokes its earlier one.
    fn add_certificate(
        &self,
        fingerprint: ContentHash,
        serial: Serial,
        id: BoxId,
        issued: Wall,
    ) -> Answer<'_, ()>;

    /// Keeps a certificate that follows `present`, which stays good; all others of the box are revoked. Says whether the box
    /// has that one, and got none within a pause before. `issued` is when, with that pause.
    fn renew_certificate(
        &self,
        present: ContentHash,
        next: (ContentHash, Serial),
        id: BoxId,
        issued: (Wall, Span),
    ) -> Answer<'_, bool>;

    /// Tells whether a certificate is the last that its box got.
    fn is_last_certificate(&self, fingerprint: ContentHash) -> Answer<'_, bool>;

    /// Lists the serial numbers of revoked certificates with the time of their revocation, oldest first.
    fn revoked_certificates(&self) -> Answer<'_, Vec<(Serial, Wall)>>;

    /// Finds the box that has this certificate, unless it was revoked.
    fn certified(&self, fingerprint: ContentHash) -> Answer<'_, Option<BoxId>>;

    /// Revokes a box's certificates, and forgets its key: its log is not believed any more. Says whether there is such
    /// a box.
    fn revoke_box(&self, id: BoxId, now: Wall) -> Answer<'_, bool>;
}
