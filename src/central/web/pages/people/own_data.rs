//! Everything that is kept about one person, as a file for that person.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::people::Who;
use crate::store::{ActFilter, ActRow, ROWS_MAX, RoleRow, StoreError};
use crate::web::frame::PageError;

pub const PATH: &str = "/tai-khoan/du-lieu.json";

/// Lines of the trail in a file, of what the person did and of what was done about them.
const ACTS_MAX: usize = 10_000;

pub async fn file(State(app): State<Arc<App>>, who: Who) -> Result<Response, PageError> {
    let data = gather(&app, &who).await?;
    let text = serde_json::to_vec_pretty(&data).expect("plain data");
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"du-lieu-cua-toi.json\""),
    ];
    Ok((headers, text).into_response())
}

async fn gather(app: &App, who: &Who) -> Result<Value, StoreError> {
    let (person, id) = (&who.person, who.person.id.clone());
    let role = |row: &RoleRow| {
        json!({ "role": row.role.code(), "group": row.group, "asked_by": row.asked_by, "asked": row.asked.to_string(),
            "confirmed_by": row.confirmed_by, "good_from": row.good_from.map(|at| at.to_string()),
            "ended": row.ended.map(|at| at.to_string()) })
    };
    let sessions = app.store.sessions(id.clone()).await?;
    let sessions = sessions.iter().map(|row| {
        json!({ "made": row.made.to_string(), "seen": row.seen.to_string(), "from": row.from, "browser": row.browser })
    });
    let passkeys = app.store.passkeys(id.clone()).await?;
    let passkeys = passkeys.iter().map(|row| {
        json!({ "name": row.name, "made": row.made.to_string(), "used": row.used.map(|at| at.to_string()) })
    });
    let tokens = app.store.tokens().await?;
    let tokens = tokens.iter().filter(|row| row.owner.as_ref() == Some(&id)).map(|row| {
        json!({ "name": row.name, "scope": row.scope.code(), "made": row.made.to_string(),
            "expires": row.expires.to_string(), "revoked": row.revoked.map(|at| at.to_string()) })
    });
    let act = |row: &ActRow| {
        json!({ "at": row.at.to_string(), "by": row.actor, "act": row.act, "about": row.subject, "before": row.before,
            "after": row.after, "from": row.from })
    };
    let (did, did_more) =
        acts(app, ActFilter { actor: Some(id.to_string()), ..ActFilter::default() }).await?;
    let (about, about_more) =
        acts(app, ActFilter { subject: Some(id.to_string()), ..ActFilter::default() }).await?;
    Ok(json!({
        "account": id, "name": person.name, "reach": person.reach, "made": person.made.to_string(),
        "has_password": person.password.is_some(), "has_telephone": person.totp.is_some(),
        "recovery_codes_left": person.recovery_left,
        "roles": person.roles.iter().map(role).collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(), "passkeys": passkeys.collect::<Vec<_>>(),
        "tokens": tokens.collect::<Vec<_>>(),
        "did": did.iter().map(act).collect::<Vec<_>>(), "about": about.iter().map(act).collect::<Vec<_>>(),
        "older_left_out": { "did": did_more, "about": about_more },
    }))
}

/// Reads lines of the trail, the newest first, page by page, and tells whether there are older ones.
async fn acts(app: &App, of: ActFilter) -> Result<(Vec<ActRow>, bool), StoreError> {
    let mut all: Vec<ActRow> = Vec::new();
    loop {
        let before = all.last().map(|act| act.id);
        let page = app.store.acts(ActFilter { before, limit: ROWS_MAX, ..of.clone() }).await?;
        let is_last = page.len() < ROWS_MAX as usize;
        all.extend(page);
        if is_last || all.len() >= ACTS_MAX {
            return Ok((all, !is_last));
        }
    }
}
