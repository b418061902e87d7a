//! The page on which staff make a one-time code for a new box, to be typed or scanned: `assets/enrol.js`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use url::{Host, Url};

use crate::app::App;
use crate::store::Role;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, asset};
use loaxa_heart::texts::Texts;

const SCRIPT: &str = include_str!("../assets/enrol.js");

/// Adds the page.
pub fn add(pages: Pages) -> Pages {
    pages.page("/enrol", Needs::Role(&[Role::Technician, Role::Administrator]), get(page))
}

/// The script of the page.
pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/enrol.js", get(|| async { asset("text/javascript", SCRIPT) }))
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Markup {
    let title = frame.say("enrol.title");
    frame.draw_with(&app, title, &["/assets/enrol.js"], content(&app, frame.texts))
}

/// Tells whether only this machine finds an address.
fn is_only_here(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn content(app: &App, texts: &Texts) -> Markup {
    let say = |key: &'static str| texts.say(key);
    html! {
        div.stack {
            h1 { (say("enrol.title")) }
            p #problem.alarm role="alert" hidden {}
            noscript { p.alarm { (say("sign.needs_script")) } }
            @if app.settings.enrolment.is_none() { p.alarm { (say("enrol.off")) } }
            @if is_only_here(&app.public_url) { p.alarm { (say("enrol.only_here")) } }
            form #enrol-form data-error=(say("sign.error_key")) {
                label { (say("enrol.box")) input #box required pattern="[a-z0-9][a-z0-9._\\-]{0,63}" placeholder="thon-dong-1"; }
                label { (say("enrol.name")) input #box-title required maxlength="120" placeholder=(say("enrol.name_example")); }
                fieldset {
                    legend { (say("enrol.groups")) }
                    @for group in &app.groups() {
                        label.choice { input type="checkbox" name="group" value=(group.id.as_str()); " " (group.title) }
                    }
                }
                label { (say("enrol.token")) input #token type="password" required autocomplete="off"; }
                button { (say("enrol.make")) }
            }
            section #made hidden {
                h3 { (say("enrol.code")) ": " span #made-for {} }
                p { code #code {} }
                p { img #qr alt=(say("enrol.qr")) width="320" height="320"; }
                p { (say("enrol.how")) }
                pre #command {}
                p.small { (say("enrol.until")) " " span #until {} ". " (say("enrol.once")) }
            }
        }
    }
}
