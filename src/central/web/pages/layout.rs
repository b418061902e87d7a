//! The frame of every page, and the language that its reader chose.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use crate::app::App;
use crate::store::StoreError;
use crate::web::words;
use loaxa_heart::said;
use loaxa_heart::texts::Lang;

/// The cookie that keeps the language.
const LANG_COOKIE: &str = "loaxa-lang";

/// A query that chooses a language.
#[derive(Deserialize)]
pub struct Wanted {
    lang: Option<String>,
}

/// Remembers the language that was asked for, and goes back to the page; `None` where none was.
pub fn choose_language(wanted: Wanted, page: &'static str) -> Option<Response> {
    let lang = Lang::of(&wanted.lang?).tag();
    let cookie = format!("{LANG_COOKIE}={lang}; Path=/; Max-Age=31536000; SameSite=Lax");
    Some(([(header::SET_COOKIE, cookie)], Redirect::to(page)).into_response())
}

/// An asset that this program brings along.
pub fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}

/// The language that a reader chose; Vietnamese where none was chosen.
pub fn lang_of(headers: &HeaderMap) -> Lang {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == LANG_COOKIE).map_or(Lang::Vi, |(_, tag)| Lang::of(tag))
}

/// Draws the frame of a page around its content; `page` is its address.
pub fn layout(app: &App, lang: Lang, page: &str, content: Markup) -> Markup {
    let texts = crate::web::texts::TEXTS.of(lang);
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=(PreEscaped(r#"{&quot;includeIndicatorStyles&quot;:false}"#));
                title { (texts.say("page.title")) " · " (app.settings.commune) }
                link rel="stylesheet" href="/assets/loaxa.css";
                script src="/assets/htmx.js" defer {}
            }
            body {
                header {
                    h1 { (texts.say("page.title")) span.commune { (app.settings.commune) } }
                    nav {
                        @for (address, name) in [("/", "page.home"), ("/sign", "sign.title"), ("/enrol", "enrol.title")] {
                            @if address != page { a href=(address) { (texts.say(name)) } " " }
                        }
                        a href={ (page) "?lang=" (lang.other().tag()) } lang=(lang.other().tag()) { (texts.say("page.other_language")) }
                    }
                }
                (content)
            }
        }
    }
}

/// A page that can't be drawn, as the store does not answer.
pub struct PageError(StoreError);

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "a page can't be drawn");
        (StatusCode::INTERNAL_SERVER_ERROR, words::in_both(&said!("page.no_data"))).into_response()
    }
}
