//! Requests that a person's key signed.

use super::cosigning::NotTaken;
use crate::app::App;
use crate::nonces::{self, CLOCK_OFF_MAX, NONCES_MAX, Stale};
use crate::store::{NewRequest, RequestTaken, urgently};
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::domain::time::Wall;
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
    pub async fn take(&self, app: &App) -> Result<KeyId, NotTaken> {
        let public = app.keyring.public_key(&self.key).ok_or_else(|| NotTaken::Stranger(self.key.clone()))?;
        if !public.verifies(&self.request.to_be_signed(), &self.signature) {
            return Err(NotTaken::BadSignature(self.key.clone()));
        }
        let Request { at, nonce, .. } = self.request;
        match take_once(app, &self.key, at, nonce).await {
            Ok(()) => Ok(self.key.clone()),
            Err(Stale::Time) => Err(NotTaken::Clock(at)),
            Err(Stale::Replayed) => Err(NotTaken::Replayed),
            Err(Stale::TooMany) => Err(NotTaken::TooManyRequests),
        }
    }
}

/// Takes a request once: for all centrals where there are several, and for this process where the database is away.
async fn take_once(app: &App, key: &KeyId, at: Wall, nonce: &str) -> Result<(), Stale> {
    let now = app.now();
    if !app.store.has_peers() {
        return app.nonces.take(key, at, nonce, now);
    }
    nonces::is_of_now(at, now)?;
    let request = NewRequest {
        key: key.clone(),
        nonce: nonce.to_owned(),
        at,
        now,
        // The clocks of two centrals may differ as much as a signer's.
        forget_before: now.minus(CLOCK_OFF_MAX).minus(CLOCK_OFF_MAX),
        of_key_max: NONCES_MAX as u32,
    };
    // A signature under an emergency waits no longer than the emergency.
    match urgently(app.store.take_request(request)).await {
        Ok(RequestTaken::Now) if app.nonces.knows(key, at, nonce) => Err(Stale::Replayed),
        Ok(RequestTaken::Now) => Ok(()),
        Ok(RequestTaken::Before) => Err(Stale::Replayed),
        Ok(RequestTaken::Forgotten) => Err(Stale::Time),
        Ok(RequestTaken::TooMany) => Err(Stale::TooMany),
        Err(error) => {
            tracing::warn!(%error, "a signed request is taken once by this central alone");
            app.nonces.take(key, at, nonce, now)
        }
    }
}
