//! Refusals and faults as the API answers them: a status, and a sentence in English and in Vietnamese.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
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
    pub en: String,
    pub vi: String,
}

impl Problem {
    /// A request that can't be carried out as it stands.
    pub fn bad(en: impl Into<String>, vi: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, en: en.into(), vi: vi.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.en, "error_vi": self.vi }))).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the API has no answer from the store");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            en: "the database does not answer; please try again later".to_owned(),
            vi: "cơ sở dữ liệu không trả lời, xin thử lại sau".to_owned(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Store(_) => return refused_store(refused),
            Refused::NoSuchAnnouncement(_) | Refused::NoSuchMedia(_) => StatusCode::NOT_FOUND,
            Refused::Authority(_) | Refused::MayNotEnd { .. } => StatusCode::FORBIDDEN,
            Refused::NotNewer { .. } => StatusCode::CONFLICT,
            Refused::TooLarge | Refused::Media(MediaRefusal::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Media(MediaRefusal::Disk(_)) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, en: refused.to_string(), vi: refused.in_vietnamese() }
    }
}

impl From<NotEnrolled> for Problem {
    fn from(not: NotEnrolled) -> Self {
        let vi = match &not {
            NotEnrolled::Store(error) => return error.clone().into(),
            NotEnrolled::Off => "trung tâm này chưa bật ghi danh cụm loa".to_owned(),
            NotEnrolled::NoSuchGroup(group) => format!("không có nhóm {group}"),
            NotEnrolled::NoGroup => "hãy chọn ít nhất một nhóm".to_owned(),
            NotEnrolled::Code => "mã ghi danh sai, đã dùng hoặc đã hết hạn: hãy xin mã mới".to_owned(),
            NotEnrolled::Keys => "yêu cầu không có khóa công khai dùng được".to_owned(),
            NotEnrolled::Random(_) | NotEnrolled::RevocationList { .. } | NotEnrolled::Certificate(_) => {
                "không cấp được chứng thư, xin thử lại sau".to_owned()
            }
        };
        let status = match &not {
            NotEnrolled::Code => StatusCode::FORBIDDEN,
            NotEnrolled::Off => StatusCode::NOT_FOUND,
            NotEnrolled::Random(_) | NotEnrolled::RevocationList { .. } | NotEnrolled::Certificate(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, en: not.to_string(), vi }
    }
}

impl From<NotLive> for Problem {
    fn from(not: NotLive) -> Self {
        match not {
            NotLive::Refused(refused) => refused.into(),
            NotLive::TooMany(_) => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                en: not.to_string(),
                vi: "đang có quá nhiều người phát trực tiếp".to_owned(),
            },
            NotLive::NoVoice => Problem::bad(not.to_string(), "không có tiếng nói nào gửi đến"),
        }
    }
}

fn refused_store(refused: Refused) -> Problem {
    match refused {
        Refused::Store(error) => error.into(),
        other => Problem::bad(other.to_string(), other.in_vietnamese()),
    }
}

impl From<MediaRefusal> for Problem {
    fn from(refusal: MediaRefusal) -> Self {
        Refused::from(refusal).into()
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        let detail = error.body_text();
        Self {
            status: error.status(),
            vi: format!("không đọc được dữ liệu gửi lên: {detail}"),
            en: format!("the upload can't be read: {detail}"),
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(not: NotTaken) -> Self {
        let status = match not {
            NotTaken::Refused(refused) => return refused.into(),
            NotTaken::Store(error) => return error.into(),
            NotTaken::NoSuchDraft(_) => StatusCode::NOT_FOUND,
            NotTaken::TooMany | NotTaken::Full => StatusCode::CONFLICT,
            NotTaken::BadSignature(_) | NotTaken::Stranger(_) | NotTaken::Clock(_) => {
                StatusCode::UNAUTHORIZED
            }
            NotTaken::NotAllowed(_) => StatusCode::FORBIDDEN,
        };
        Self { status, en: not.to_string(), vi: not.in_vietnamese() }
    }
}

impl From<NotAlert> for Problem {
    fn from(not: NotAlert) -> Self {
        let status = match not {
            NotAlert::Refused(refused) => return refused.into(),
            NotAlert::NotTaken(not) => return not.into(),
            NotAlert::Store(error) => return error.into(),
            NotAlert::Off | NotAlert::NotADraft | NotAlert::Over => StatusCode::CONFLICT,
            NotAlert::NoSuch(_) => StatusCode::NOT_FOUND,
            NotAlert::Bad(_) | NotAlert::Unsigned(_) | NotAlert::CancelByKey => StatusCode::BAD_REQUEST,
        };
        Self { status, en: not.to_string(), vi: not.in_vietnamese() }
    }
}
