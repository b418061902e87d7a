//! The request of a box that is to be taken in, for the box itself and for the protocol's tests.

use std::time::Duration;

use ureq::tls::TlsConfig;

use super::language::{Failure, foreign};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled};

/// Longest wait for central's answer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Largest answer: a trust document and two certificates.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Asks the central at this address to take a box in. The answer is not checked here.
///
/// # Errors
/// The sentence with which central refuses, or why it can't be reached.
pub fn ask(central: &str, request: &EnrolRequest) -> Result<Enrolled, Failure> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The box knows no authority yet. It does not need one here: nothing secret is sent, and the answer is checked by the
    // code as a whole.
    let unchecked = TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT_MAX));
    let agent: ureq::Agent = config.tls_config(unchecked).build().into();
    let url = format!("{}/api/v1/enrol", central.trim_end_matches('/'));
    let sent = agent.post(&url).header("content-type", "application/json").send(serde_json::to_vec(request)?);
    let mut answer = sent.map_err(|error| said!("client.unreachable", address = url, error))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_string()
        .map_err(|error| foreign(&error))?;
    if answer.status().is_success() {
        return Ok(serde_json::from_str(&text)?);
    }
    let refusal: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let why = match (refusal["error_vi"].as_str(), refusal["error"].as_str()) {
        (Some(vi), Some(en)) => Sentence::Each { vi: vi.to_owned(), en: en.to_owned() },
        _ => said!("enrol.no_reason"),
    };
    Err(said!("enrol.refused", status = answer.status(), why).into())
}
