//! A request's body as JSON; what is wrong with it is answered in both languages.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::web::problem::Problem;
use loaxa_heart::said;

/// The body of a request, read as JSON.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let said = match &rejection {
            JsonRejection::MissingJsonContentType(_) => said!("api.no_json_type"),
            JsonRejection::JsonSyntaxError(_) | JsonRejection::JsonDataError(_) => {
                said!("api.bad_json", detail = rejection.body_text())
            }
            _ => said!("api.unread", detail = rejection.body_text()),
        };
        Self { status: rejection.status(), said }
    }
}
