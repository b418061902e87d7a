//! The time that is left of a session that nobody uses, and staying signed in.

use axum::http::StatusCode;

use crate::people::Who;
use crate::people::sign_in;

/// Answers with the seconds that are left.
pub async fn left(who: Who) -> String {
    (sign_in::left(&who).as_millis() / 1_000).to_string()
}

/// Stays: the door has noted that the session was used.
pub async fn stay() -> StatusCode {
    StatusCode::NO_CONTENT
}
