//! Requests that a person's key signed.

use super::cosigning::NotTaken;
use crate::app::App;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::request;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Largest difference between a browser's clock and ours; for so long a request of it can be repeated.
const REQUEST_CLOCK_OFF_MAX: Span = Span::secs(600);

/// A request that is signed by a person's key instead of carrying the token.
pub struct SignedRequest<'a> {
    pub key: KeyId,
    pub at: Wall,
    pub signature: [u8; SIGNATURE_BYTES],
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// Finds the person whose request this is.
    ///
    /// # Errors
    /// Fails when the key is unknown, the signature false, or the time is not now.
    pub fn check(&self, app: &App) -> Result<KeyId, NotTaken> {
        let public = app.keyring.public_key(&self.key).ok_or_else(|| NotTaken::Stranger(self.key.clone()))?;
        let message = request::to_be_signed(self.method, self.path, self.at, self.body);
        if !public.verifies(&message, &self.signature) {
            return Err(NotTaken::BadSignature(self.key.clone()));
        }
        let now = app.now();
        let off = if self.at > now { self.at.since(now) } else { now.since(self.at) };
        if off > REQUEST_CLOCK_OFF_MAX { Err(NotTaken::Clock(self.at)) } else { Ok(self.key.clone()) }
    }
}
