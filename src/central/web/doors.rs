//! The doors of the pages: each route says who may pass, and one guard keeps them all.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::MethodRouter;

use super::access::{client, keep_seat};
use super::frame::{Frame, Waiting, lang_of, refusal};
use super::problem::Problem;
use super::session;
use crate::app::App;
use crate::orders::notices;
use crate::paces::Doing;
use crate::people::sign_in::AskedBy;
use crate::people::{Who, sign_in};
use crate::programmes::proposals;
use crate::store::{Errand, Role, Stage, StoreError, at_once};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::said;

/// The people who may pass a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Everybody.
    Nobody,
    /// Somebody whose password was right, before or after the second step.
    Password,
    /// Every person who is signed in.
    Person,
    /// A person with one of these roles for some group; the page itself looks at the groups.
    Role(&'static [Role]),
}

/// Routes of pages, each with its door.
#[derive(Default)]
pub struct Pages(Vec<(&'static str, Needs, MethodRouter<Arc<App>>)>);

impl Pages {
    /// Adds a page, a fragment of one or the address of a form.
    #[must_use]
    pub fn page(mut self, path: &'static str, needs: Needs, methods: MethodRouter<Arc<App>>) -> Self {
        self.0.push((path, needs, methods));
        self
    }

    /// The routes for the server, each guarded.
    pub fn into_router(self, app: &Arc<App>) -> Router<Arc<App>> {
        self.0.into_iter().fold(Router::new(), |router, (path, needs, methods)| {
            let state = (Arc::clone(app), needs);
            router.route(path, methods.route_layer(middleware::from_fn_with_state(state, guard)))
        })
    }

    /// Every address with its door.
    pub fn doors(&self) -> Vec<(&'static str, Needs)> {
        self.0.iter().map(|(path, needs, _)| (*path, *needs)).collect()
    }
}

/// The page to sign in on, and the one of its second step.
pub const SIGN_IN: &str = "/dang-nhap";
pub const SECOND_STEP: &str = "/dang-nhap/buoc-2";

/// The stream of what changed.
pub const EVENTS: &str = "/su-kien";

/// Header of requests for a fragment, and the one that sends the whole page elsewhere.
const HTMX_REQUEST: &str = "hx-request";
const HTMX_REDIRECT: &str = "hx-redirect";

async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if changes(request.method()) && !is_of_this_page(headers) {
        let said = said!("api.other_page");
        return Problem { status: StatusCode::FORBIDDEN, said }.into_response();
    }
    if request.method() == Method::GET
        && let Some(chosen) = super::frame::choose_language(request.uri())
    {
        return chosen;
    }
    let address = client(&app, from, headers).to_string();
    let who = match session::secret_of(&app, headers) {
        Some(secret) => {
            match at_once(sign_in::who(&app, secret, address, asked_by(request.uri().path()))).await {
                Ok(who) => who,
                // Who reads what is everybody's, or leaves, need not be known.
                Err(_) if needs == Needs::Nobody => None,
                Err(error) => return super::frame::PageError::from(error).into_response(),
            }
        }
        None => None,
    };
    if let Err(refusal) = pass(&app, needs, who.as_ref(), request.headers(), request.uri().path()) {
        return *refusal;
    }
    if let Some(who) = who {
        if let Some(doing) = counted(request.method(), request.uri().path())
            && !app.paces.may(&who.person.id, doing, monotonic())
        {
            let said = said!("page.too_fast");
            let frame = Frame::new(lang_of(request.headers()), Some(who), request.uri().path().to_owned());
            return refusal(&app, &frame, StatusCode::TOO_MANY_REQUESTS, &said);
        }
        keep_seat(&request);
        // A fragment and the stream have no menu in which the count stands.
        let is_page = request.method() == Method::GET && asked_by(request.uri().path()) == AskedBy::Person;
        if is_page && who.has(Role::Approver) {
            match waiting(&app, &who).await {
                Ok(count) => drop(request.extensions_mut().insert(Waiting(count))),
                // An emergency needs no such count.
                Err(_) if Errand::of_now().is_urgent => {}
                Err(error) => return super::frame::PageError::from(error).into_response(),
            }
        }
        request.extensions_mut().insert(who);
    }
    next.run(request).await
}

/// Counts what waits for an approver.
async fn waiting(app: &App, who: &Who) -> Result<usize, StoreError> {
    Ok(notices::waiting(app, who).await?.len() + proposals::waiting(app, who).await?.len())
}

/// Tells pages that ask by themselves from people, so that an open page keeps nobody signed in.
fn asked_by(path: &str) -> AskedBy {
    if path.starts_with("/fragments/") || path == EVENTS { AskedBy::Page } else { AskedBy::Person }
}

/// The pace against which a request counts. Parts of files and of a live voice have bounds of their own, an emergency has
/// none, and everybody may always leave.
fn counted(method: &Method, path: &str) -> Option<Doing> {
    let is_at =
        |page: &str| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let free = ["/khan-cap", "/noi-truc-tiep", "/thoat"];
    match () {
        () if !changes(method) || *method == Method::PUT || free.into_iter().any(is_at) => None,
        () if is_at("/duyet-tin") || is_at("/duyet-lich") => Some(Doing::Decision),
        () if path == "/nguoi" || path.ends_with("/lien-ket") => Some(Doing::Link),
        () => Some(Doing::Change),
    }
}

/// Tells whether a request may change something here: everything but reading.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Tells whether a request comes from a page of this server, as every browser says of a form and of a script.
fn is_of_this_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return text(header::HeaderName::from_static("sec-fetch-site")) == Some("same-origin");
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(header::HOST)
}

/// Decides whether a request may pass.
///
/// # Errors
/// Gives the answer for whoever may not.
fn pass(
    app: &App,
    needs: Needs,
    who: Option<&Who>,
    headers: &HeaderMap,
    path: &str,
) -> Result<(), Box<Response>> {
    if needs == Needs::Nobody {
        return Ok(());
    }
    let go = |to: &str| Box::new(send(headers, to));
    let Some(who) = who else { return Err(go(&with_return(headers, path))) };
    match needs {
        Needs::Nobody | Needs::Password => Ok(()),
        _ if who.session.stage == Stage::Password || lacks_second_factor(app, who) => Err(go(SECOND_STEP)),
        Needs::Person => Ok(()),
        Needs::Role(roles) if roles.iter().any(|role| who.has(*role)) => Ok(()),
        Needs::Role(_) => {
            let frame = Frame::new(lang_of(headers), Some(who.clone()), path.to_owned());
            Err(Box::new(refusal(app, &frame, StatusCode::FORBIDDEN, &said!("page.not_yours"))))
        }
    }
}

/// Tells whether a session that began with the password alone belongs to somebody who has got a role since that asks for
/// more, or a telephone.
fn lacks_second_factor(app: &App, who: &Who) -> bool {
    let needs = app.settings.second_factor && who.person.needs_second_factor(who.now);
    who.session.stage == Stage::Plain && (needs || who.person.totp.is_some())
}

/// The page to sign in on, with the page to go back to where it was asked for by itself.
fn with_return(headers: &HeaderMap, path: &str) -> String {
    if headers.contains_key(HTMX_REQUEST) || path == "/" || path.starts_with("/fragments/") {
        return SIGN_IN.to_owned();
    }
    let encoded: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("{SIGN_IN}?ve={encoded}")
}

fn send(headers: &HeaderMap, to: &str) -> Response {
    if headers.contains_key(HTMX_REQUEST) {
        return (StatusCode::UNAUTHORIZED, [(HTMX_REDIRECT, to.to_owned())]).into_response();
    }
    Redirect::to(to).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emergencies_and_parts_of_files_have_no_pace() {
        let check = |method, path, expected| assert_eq!(counted(&method, path), expected, "{path}");
        check(Method::GET, "/duyet-tin/a", None);
        check(Method::POST, "/duyet-tin/a", Some(Doing::Decision));
        check(Method::POST, "/duyet-lich/1", Some(Doing::Decision));
        check(Method::POST, "/nguoi", Some(Doing::Link));
        check(Method::POST, "/nguoi/lan/lien-ket", Some(Doing::Link));
        check(Method::POST, "/soan-tin/a", Some(Doing::Change));
        check(Method::PUT, "/soan-tin/a/tep", None);
        check(Method::POST, "/khan-cap", None);
        check(Method::POST, "/khan-cap/1/dong-y", None);
        check(Method::POST, "/khan-cap-gia", Some(Doing::Change));
    }

    #[test]
    fn only_pages_of_this_server_may_change_something() {
        let check = |pairs: &[(&'static str, &str)], expected| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
            assert_eq!(is_of_this_page(&headers.collect()), expected, "{pairs:?}");
        };
        check(&[("host", "loa.vn"), ("origin", "https://loa.vn")], true);
        check(&[("host", "loa.vn:8443"), ("origin", "https://loa.vn:8443")], true);
        check(&[("host", "loa.vn"), ("origin", "https://loa.vn.ke-xau.vn")], false);
        check(&[("host", "loa.vn"), ("origin", "null")], false);
        check(
            &[("host", "loa.vn"), ("origin", "https://ke-xau.vn"), ("sec-fetch-site", "same-origin")],
            false,
        );
        check(&[("host", "loa.vn"), ("sec-fetch-site", "same-origin")], true);
        check(&[("host", "loa.vn"), ("sec-fetch-site", "cross-site")], false);
        check(&[("host", "loa.vn")], false);
    }
}
