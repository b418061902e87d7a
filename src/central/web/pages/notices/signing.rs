//! Approval by the approver's own key, where the commune wants it so: `assets/approve.js` signs the order in the browser.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};
use serde_json::json;

use super::super::own_key::{data, key};
use super::refused::status_of;
use crate::app::App;
use crate::orders::approval;
use crate::orders::notices::NotNotice;
use crate::people::Who;
use crate::store::NoticeRow;
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError};
use loaxa_heart::config::central_file::EverydaySigner;
use loaxa_heart::domain::ids::{ContentHash, NoticeId};
use loaxa_heart::texts::Say;

/// The address of the script.
pub const SCRIPT: &str = "/assets/sign/approve.js";

/// Tells whether approvers sign with their own keys.
pub fn is_wanted(app: &App) -> bool {
    app.settings.everyday == EverydaySigner::People
}

/// The key of this browser, and the order as the page shows it, which the script compares with the bytes that it signs.
pub fn order(frame: &Frame, row: &NoticeRow) -> Markup {
    let content = &row.content;
    let shown = json!({
        "ten": content.title,
        "loi": content.text,
        "am": content.media,
        "loai": content.class,
        "noi": content.groups,
        "luc": content.at,
        "lan": content.repeat,
        "thay": content.supersedes,
        "bao": frame.say("emergency_script.not_shown"),
    });
    html! {
        (key(frame, frame.say("review.passphrase")))
        p.err #loi-duyet role="alert" tabindex="-1" hidden {}
        (data("tin", &shown))
    }
}

/// Answers the page's script with the bytes to be signed. Nothing is decided yet.
pub async fn offer(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let (Ok(digest), Ok(key)) = (sent.get("ban").parse::<ContentHash>(), sent.get("khoa").parse()) else {
        return answer(&frame, Err(NotNotice::SignFirst));
    };
    let offered = approval::offer(&app, &who, &id, digest, key).await;
    answer(&frame, offered.map(|(command, payload)| json!({ "ma": command, "ban-ky": payload })))
}

/// Takes the signature and sends the notice.
pub async fn sign(
    State(app): State<Arc<App>>,
    Path(id): Path<NoticeId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let signature = BASE64.decode(sent.get("chu-ky")).ok().and_then(|bytes| bytes.try_into().ok());
    let (Ok(digest), Ok(key), Some(signature)) =
        (sent.get("ban").parse::<ContentHash>(), sent.get("khoa").parse(), signature)
    else {
        return answer(&frame, Err(NotNotice::SignFirst));
    };
    let signed = approval::approve_signed(&app, &who, &id, digest, key, signature).await;
    answer(&frame, signed.map(|_| json!({ "den": format!("/tin/{id}") })))
}

fn answer(frame: &Frame, told: Result<serde_json::Value, NotNotice>) -> Result<Response, PageError> {
    match told {
        Ok(told) => Ok(Json(told).into_response()),
        Err(NotNotice::Store(error)) => Err(error.into()),
        Err(not) => Ok((status_of(&not), Json(json!({ "loi": frame.tell(&not.say()) }))).into_response()),
    }
}
