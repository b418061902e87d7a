//! Requests that a person's key signed.

use super::cosigning::NotTaken;
use crate::app::App;
use crate::nonces::Stale;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::wire::request::Request;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// A request that is signed by a person's key instead of carrying the token.
pub struct SignedRequest<'a> {
    pub key: KeyId,
    pub signature: [u8; SIGNATURE_BYTES],
    pub request: Request<'a>,
}

impl SignedRequest<'_> {
    /// Finds the person whose request this is, and takes it, once.
    ///
    /// # Errors
    /// Fails when the key is unknown, the signature false, the time is not now, or the request was taken before.
    pub fn take(&self, app: &App) -> Result<KeyId, NotTaken> {
        let public = app.keyring.public_key(&self.key).ok_or_else(|| NotTaken::Stranger(self.key.clone()))?;
        if !public.verifies(&self.request.to_be_signed(), &self.signature) {
            return Err(NotTaken::BadSignature(self.key.clone()));
        }
        let Request { at, nonce, .. } = self.request;
        match app.nonces.take(&self.key, at, nonce, app.now()) {
            Ok(()) => Ok(self.key.clone()),
            Err(Stale::Time) => Err(NotTaken::Clock(at)),
            Err(Stale::Replayed) => Err(NotTaken::Replayed),
            Err(Stale::TooMany) => Err(NotTaken::TooManyRequests),
        }
    }
}
