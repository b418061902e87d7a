//! The box's own certificate and the authorities that it knows: asked for anew in time, kept whole, and in use from the next
//! connection on.

use std::io;
use std::path::{Path, PathBuf};

use loaxa_adapters::authorities::Authorities;
use loaxa_adapters::certificate::{self, Validity};
use loaxa_adapters::keys::pkcs8_pem;
use loaxa_adapters::mqtt;
use loaxa_adapters::whole_file;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::signing::SecretKey;

/// Name of the file with the certificate that came over the wire and its key, in the folder of the state.
const FILE: &str = "identity.pem";

/// Time before the end of a certificate from which another is asked for.
const ASKS_BEFORE: Span = Span::secs(60 * 86_400);

/// Time between two requests. Central answers at once, or does not renew.
const ASKS_EVERY: Span = Span::secs(6 * 3_600);

/// Returns the file of a box's renewed certificate.
pub fn file(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// The certificate that the box shows, and the request for the next.
pub struct Certificate {
    /// `None` where the box has none: its broker asks for no certificates.
    shown: Option<Shown>,
    file: PathBuf,
    /// `None` where servers show no certificates.
    authorities: Option<Authorities>,
    /// Central has other authorities than the box.
    others_are_told: bool,
    /// The key that was asked for last, under the nonce of the request.
    asked: Option<(String, SecretKey)>,
    ask_at: Moment,
}

struct Shown {
    hash: ContentHash,
    validity: Validity,
}

impl Certificate {
    /// Reads the certificate that the box shows.
    pub fn new(
        identity: Option<&(PathBuf, PathBuf)>,
        authorities: Option<Authorities>,
        state_dir: &Path,
    ) -> Self {
        let file = file(state_dir);
        let shown =
            identity.and_then(|(certificate, key)| read(&file, &file).or_else(|| read(certificate, key)));
        Self { shown, file, authorities, others_are_told: false, asked: None, ask_at: Moment(0) }
    }

    /// Tells whether the certificate is out of its time.
    pub fn is_over(&self, now: Wall) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.validity.ends <= now)
    }

    /// Hears which authorities central has, by the hash of their text.
    pub fn hear_of_authorities(&mut self, told: Option<ContentHash>) {
        let known = self.authorities.as_ref().and_then(Authorities::hash);
        self.others_are_told = known.zip(told).is_some_and(|(known, told)| known != told);
    }

    /// Makes the request for another certificate, where one is due, or other authorities are to be learnt with it.
    pub fn ask(&mut self, id: &BoxId, mono: Moment, wall: Wall) -> Option<Renewal> {
        let shown = self.shown.as_ref()?;
        let is_due = self.others_are_told || shown.validity.ends <= wall.plus(ASKS_BEFORE);
        if self.ask_at > mono || !is_due {
            return None;
        }
        let (mut seed, mut nonce) = ([0; 32], [0; 16]);
        getrandom::fill(&mut seed).ok()?;
        getrandom::fill(&mut nonce).ok()?;
        self.ask_at = mono + ASKS_EVERY;
        let (key, nonce) = (SecretKey::from_seed(&seed), loaxa_heart::domain::hex::hex(&nonce));
        let asked = Renewal::new(id.clone(), nonce.clone(), shown.hash, &key);
        self.asked = Some((nonce, key));
        Some(asked)
    }

    /// Keeps the certificate and the authorities that central sent; says whether the next connection has others than this one.
    /// A certificate for another key, or that ends no later than the one there is, is left.
    ///
    /// # Errors
    /// Fails when the disk refuses; what there was before counts then.
    pub fn take(&mut self, renewed: &Renewed) -> io::Result<bool> {
        let Some((_, key)) = self.asked.take_if(|(nonce, _)| *nonce == renewed.nonce) else {
            return Ok(false);
        };
        // First: under new authorities and an old certificate a box still comes in.
        let learnt = match (&self.authorities, &renewed.authorities) {
            (Some(known), Some(sent)) if self.others_are_told => known.take(sent)?,
            _ => false,
        };
        self.others_are_told &= !learnt;
        Ok(self.take_certificate(renewed, &key)? || learnt)
    }

    fn take_certificate(&mut self, renewed: &Renewed, key: &SecretKey) -> io::Result<bool> {
        let Some(fresh) = certificate::first_of(renewed.certificate.as_bytes()) else { return Ok(false) };
        let (Some(validity), Some(shown)) = (certificate::validity(&fresh), &self.shown) else {
            return Ok(false);
        };
        if !certificate::is_for(&fresh, &key.public()) || validity.ends <= shown.validity.ends {
            return Ok(false);
        }
        // One file holds both: a power cut leaves the ones before.
        let both = format!("{}\n{}", renewed.certificate.trim_end(), pkcs8_pem(key));
        whole_file::write(&self.file, both.as_bytes(), 0o600)?;
        self.shown = Some(Shown { hash: ContentHash::of(&fresh), validity });
        Ok(true)
    }
}

fn read(certificate: &Path, key: &Path) -> Option<Shown> {
    let certificate = mqtt::own_certificate(certificate, key)?;
    Some(Shown { hash: ContentHash::of(&certificate), validity: certificate::validity(&certificate)? })
}
