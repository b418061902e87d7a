//! Refusals and faults as the API answers them: a status, and a sentence in English and in Vietnamese.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use serde_json::json;

use crate::alerts::record::NotAlert;
use crate::boxes::enrolment::NotEnrolled;
use crate::media::MediaRefusal;
use crate::orders::cosigning::NotTaken;
use crate::orders::live::NotLive;
use crate::orders::refused::Refused;
use crate::store::StoreError;

/// An answer that says why the API did not do what was asked.
pub struct Problem {
    pub status: StatusCode,
    pub said: Sentence,
}

impl Problem {
    /// A request that can't be carried out as it stands.
    pub fn bad(said: Sentence) -> Self {
        Self { status: StatusCode::BAD_REQUEST, said }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (en, vi) = self.said.in_both();
        (self.status, Json(json!({ "error": en, "error_vi": vi }))).into_response()
    }
}

/// Longest words of a refusal, in bytes.
const WORDS_BYTES_MAX: usize = 16 * 1024;

/// Says in both languages what a router refused in plain words: a path, a query or a body that it could not read.
pub async fn plain_as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !status.is_client_error() || !kind.is_some_and(|kind| kind.starts_with("text/plain")) {
        return response;
    }
    let words = axum::body::to_bytes(response.into_body(), WORDS_BYTES_MAX).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&words).trim().to_owned();
    Problem { status, said: said!("api.not_read", detail) }.into_response()
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.may_pass() {
            return Self { status: refusal_status(&error), said: error.say() };
        }
        tracing::error!(%error, "the API has no answer from the store");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, said: said!("api.no_database") }
    }
}

/// The status of an answer that the store did not give.
pub fn refusal_status(error: &StoreError) -> StatusCode {
    match error {
        StoreError::Full | StoreError::ServerFull => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::Slow => StatusCode::GATEWAY_TIMEOUT,
        StoreError::Away => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Store(error) => return error.clone().into(),
            Refused::NoSuchAnnouncement(_)
            | Refused::NoSuchGroup(_)
            | Refused::NoSuchMedia(_)
            | Refused::NoRollout => StatusCode::NOT_FOUND,
            Refused::Authority(_) | Refused::MayNotEnd { .. } => StatusCode::FORBIDDEN,
            Refused::NotNewer { .. } => StatusCode::CONFLICT,
            Refused::TooLarge | Refused::ProgramTooLarge { .. } | Refused::Media(MediaRefusal::TooLarge) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Refused::Media(MediaRefusal::Disk(_)) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, said: refused.say() }
    }
}

impl From<NotEnrolled> for Problem {
    fn from(not: NotEnrolled) -> Self {
        let status = match &not {
            NotEnrolled::Store(error) => return error.clone().into(),
            NotEnrolled::Code => StatusCode::FORBIDDEN,
            NotEnrolled::Off => StatusCode::NOT_FOUND,
            NotEnrolled::Random(_)
            | NotEnrolled::RevocationList { .. }
            | NotEnrolled::Authority { .. }
            | NotEnrolled::Certificate(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, said: not.say() }
    }
}

impl From<NotLive> for Problem {
    fn from(not: NotLive) -> Self {
        match not {
            NotLive::Refused(refused) => refused.into(),
            NotLive::TooMany(_) => Self { status: StatusCode::TOO_MANY_REQUESTS, said: not.say() },
            NotLive::NoVoice => Problem::bad(not.say()),
        }
    }
}

impl From<MediaRefusal> for Problem {
    fn from(refusal: MediaRefusal) -> Self {
        Refused::from(refusal).into()
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        Self { status: error.status(), said: said!("api.upload", detail = error.body_text()) }
    }
}

impl From<NotTaken> for Problem {
    fn from(not: NotTaken) -> Self {
        let status = match not {
            NotTaken::Refused(refused) => return refused.into(),
            NotTaken::Store(error) => return error.into(),
            NotTaken::NoSuchDraft(_) => StatusCode::NOT_FOUND,
            NotTaken::TooMany | NotTaken::Full => StatusCode::CONFLICT,
            NotTaken::TooManyOwn(_) | NotTaken::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            NotTaken::BadSignature(_) | NotTaken::Stranger(_) | NotTaken::Clock(_) | NotTaken::Replayed => {
                StatusCode::UNAUTHORIZED
            }
            NotTaken::NotAllowed(_) => StatusCode::FORBIDDEN,
        };
        Self { status, said: not.say() }
    }
}

impl From<NotAlert> for Problem {
    fn from(not: NotAlert) -> Self {
        let status = match not {
            NotAlert::Refused(refused) => return refused.into(),
            NotAlert::NotTaken(not) => return not.into(),
            NotAlert::Store(error) => return error.into(),
            NotAlert::Off | NotAlert::NotADraft | NotAlert::Over => StatusCode::CONFLICT,
            NotAlert::TooMany => StatusCode::TOO_MANY_REQUESTS,
            NotAlert::NoSuch(_) => StatusCode::NOT_FOUND,
            NotAlert::Bad(_) | NotAlert::Unsigned(_) | NotAlert::CancelByKey => StatusCode::BAD_REQUEST,
        };
        Self { status, said: not.say() }
    }
}
