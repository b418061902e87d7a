//! The request of a box that is to be taken in, for the box itself and for the protocol's tests.

use std::time::Duration;

use ureq::tls::TlsConfig;

use super::language::{Failure, foreign};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled};

/// Longest wait for central's answer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Largest answer: a trust document and two certificates.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Statuses (RFC 9110, 6585) with which a server says that the same request may succeed later.
const LATER: [u16; 2] = [408, 429];

/// A reason for which a box was not taken in.
#[derive(Debug, Clone)]
pub enum NotTakenIn {
    /// The same may succeed later.
    Later(Sentence),
    /// Central refused, or was not believed; the same would end the same way.
    Refused(Sentence),
}

impl Say for NotTakenIn {
    fn say(&self) -> Sentence {
        match self {
            Self::Later(why) | Self::Refused(why) => why.clone(),
        }
    }
}

/// A network, a disk or a server that fails may do better later.
impl From<Failure> for NotTakenIn {
    fn from(failure: Failure) -> Self {
        Self::Later(failure.0)
    }
}

/// Asks the central at this address to take a box in. The answer is not checked here.
///
/// # Errors
/// The sentence with which central refuses, or why it can't be reached.
pub fn ask(central: &str, request: &EnrolRequest) -> Result<Enrolled, NotTakenIn> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The box knows no authority yet. It does not need one here: nothing secret is sent, and the answer is checked by the
    // code as a whole.
    let unchecked = TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT_MAX));
    let agent: ureq::Agent = config.tls_config(unchecked).build().into();
    let url = format!("{}/api/v1/enrol", central.trim_end_matches('/'));
    let body = serde_json::to_vec(request).map_err(Failure::from)?;
    let sent = agent.post(&url).header("content-type", "application/json").send(body);
    let unreachable = |error: &dyn Say| NotTakenIn::Later(said!("client.unreachable", address = url, error));
    let mut answer = sent.map_err(|error| unreachable(&foreign(&error)))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_string()
        .map_err(|error| unreachable(&foreign(&error)))?;
    let status = answer.status();
    if status.is_success() {
        // Something on the way may answer for a while, as the page of a public Wi-Fi does.
        return serde_json::from_str(&text).map_err(|error| NotTakenIn::Later(error.say()));
    }
    let refusal: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let why = match (refusal["error_vi"].as_str(), refusal["error"].as_str()) {
        (Some(vi), Some(en)) => Sentence::Each { vi: vi.to_owned(), en: en.to_owned() },
        // Whoever speaks so is no central.
        _ => return Err(NotTakenIn::Later(said!("enrol.refused", status, why = said!("enrol.no_reason")))),
    };
    let said = said!("enrol.refused", status, why);
    let is_final = status.is_client_error() && !LATER.contains(&status.as_u16());
    Err(if is_final { NotTakenIn::Refused(said) } else { NotTakenIn::Later(said) })
}
