//! The page on which people make a key and sign with it. All that matters happens in the browser: `assets/sign.js`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, PreEscaped, html};

use crate::app::App;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::{Frame, asset};
use loaxa_heart::texts::Texts;

/// The scripts of the pages that sign, and the libraries that they import.
const SCRIPTS: [(&str, &str); 15] = [
    ("sign.js", include_str!("../assets/sign.js")),
    ("emergency.js", include_str!("../assets/emergency.js")),
    ("approve.js", include_str!("../assets/approve.js")),
    ("training.js", include_str!("../assets/training.js")),
    ("key_form.js", include_str!("../assets/key_form.js")),
    ("keys.js", include_str!("../assets/keys.js")),
    ("orders.js", include_str!("../assets/orders.js")),
    ("ed25519.js", include_str!("../assets/noble/ed25519.js")),
    ("sha2.js", include_str!("../assets/noble/sha2.js")),
    ("scrypt.js", include_str!("../assets/noble/scrypt.js")),
    ("pbkdf2.js", include_str!("../assets/noble/pbkdf2.js")),
    ("hmac.js", include_str!("../assets/noble/hmac.js")),
    ("_md.js", include_str!("../assets/noble/_md.js")),
    ("_u64.js", include_str!("../assets/noble/_u64.js")),
    ("utils.js", include_str!("../assets/noble/utils.js")),
];

/// Adds the page. Anybody may open it: it shows nothing before a key of the trust document has signed for it.
pub fn add(pages: Pages) -> Pages {
    pages.page("/sign", Needs::Nobody, get(page))
}

/// The scripts of the page.
pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/sign/{name}", get(script))
}

async fn script(Path(name): Path<String>) -> Response {
    match SCRIPTS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => asset("text/javascript", text).into_response(),
        None => (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain")], "no such script\n")
            .into_response(),
    }
}

async fn page(State(app): State<Arc<App>>, frame: Frame) -> Markup {
    frame.draw_with(&app, frame.say("sign.title"), &["/assets/sign/sign.js"], content(frame.texts))
}

fn content(texts: &Texts) -> Markup {
    let say = |key: &'static str| texts.say(key);
    // Data, not a script: nothing of it runs.
    let words =
        serde_json::to_string(&texts.section("sign")).expect("texts are JSON").replace('<', "\\u003c");
    html! {
        div.stack #sign {
            h1 { (say("sign.title")) }
            p #problem.alarm role="alert" hidden {}
            p #good.good role="status" hidden {}
            noscript { p.alarm { (say("sign.needs_script")) } }
            section #make hidden {
                h2 { (say("sign.make_title")) }
                p { (say("sign.make_why")) }
                form #make-form {
                    label { (say("sign.holder")) input #holder required autocomplete="name"; }
                    label { (say("sign.passphrase")) input #passphrase type="password" required minlength="8" autocomplete="new-password"; }
                    label { (say("sign.passphrase_again")) input #passphrase-again type="password" required autocomplete="new-password"; }
                    button.btn { (say("sign.make")) }
                }
            }
            section #key hidden {
                h2 { (say("sign.your_key")) ": " span #key-holder {} }
                p #key-state {}
                dl {
                    dt { (say("sign.key_id")) } dd { code #key-id {} }
                    dt { (say("sign.public")) } dd { code #key-public {} }
                }
                p.small #give-root { (say("sign.give_root")) }
                form #unlock-form {
                    label { (say("sign.unlock_with")) input #unlock-passphrase type="password" required autocomplete="current-password"; }
                    button.btn { (say("sign.unlock")) }
                }
                details.small {
                    summary { (say("sign.more")) }
                    p { button.btn.quiet #export type="button" { (say("sign.export")) } " " button.btn.quiet #forget type="button" { (say("sign.forget")) } }
                }
            }
            section #desk hidden {
                section {
                    h2 { (say("sign.waiting")) }
                    p.nothing #none { (say("sign.none")) }
                    div #drafts {}
                }
                section {
                    h2 { (say("sign.draft_title")) }
                    form #draft-form {
                        fieldset {
                            legend { (say("sign.mode")) }
                            label.choice { input type="radio" name="mode" value="exercise" checked; " " (texts.code("mode", "exercise")) }
                            label.choice { input type="radio" name="mode" value="actual"; " " strong { (say("sign.actual")) } }
                        }
                        fieldset.groups { legend { (say("sign.groups")) } }
                        label { (say("sign.draft_name")) input #draft-title required maxlength="200"; }
                        label { (say("sign.words")) textarea #draft-text rows="4" required maxlength="8000" {} }
                        label.choice { input #draft-siren type="checkbox" checked; " " (say("sign.siren")) }
                        label { (say("sign.repeat")) input #draft-repeat type="number" min="1" max="20" value="3"; }
                        button.btn { (say("sign.draft")) }
                    }
                }
                (local_emergency(texts))
            }
        }
        script type="application/json" id="words" { (PreEscaped(words)) }
    }
}

/// The form of the standing order that two presses on a box release while nothing reaches this server.
fn local_emergency(texts: &Texts) -> Markup {
    let say = |key: &'static str| texts.say(key);
    let number = |id: &'static str, label: &'static str, value: u32, max: u32| {
        html! { label { (say(label)) input id=(id) type="number" required min="1" max=(max) value=(value); } }
    };
    html! {
        details {
            summary { (say("sign.local_title")) }
            p { (say("sign.local_what")) }
            p #local-standing {}
            form #local-form {
                fieldset.groups { legend { (say("sign.groups")) } }
                label { (say("sign.draft_name")) input #local-title required maxlength="200"; }
                label { (say("sign.words")) textarea #local-text rows="4" required maxlength="8000" {} }
                (number("local-silent", "sign.local_silent", 5, 1_440))
                (number("local-minutes", "sign.local_minutes", 30, 240))
                (number("local-days", "sign.local_days", 365, 399))
                div.btns {
                    button.btn { (say("sign.draft")) }
                    button.btn.sec #local-take-back type="button" { (say("sign.local_take_back")) }
                }
            }
        }
    }
}
