//! The key of a person in this browser, on pages where something is signed, and what their scripts say.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

use crate::app::App;
use crate::web::frame::Frame;
use crate::web::parts::icon;

/// Data for the script, not a script: nothing of it runs.
pub fn data(id: &str, value: &Value) -> Markup {
    let text = value.to_string().replace('<', "\\u003c");
    html! { script type="application/json" id=(id) { (PreEscaped(text)) } }
}

/// The words of the scripts, and the names of places and people.
pub fn words(app: &App, frame: &Frame) -> Markup {
    let mut words: BTreeMap<_, _> = frame.texts.section("sign");
    words.extend(frame.texts.section("emergency_script"));
    let groups: Vec<_> =
        app.settings.groups.iter().map(|group| json!({ "id": group.id, "title": group.title })).collect();
    let grants = app.keyring.trust().grants.iter();
    let people: Vec<_> = grants.map(|grant| json!({ "key": grant.key, "holder": grant.holder })).collect();
    html! {
        (data("words", &json!(words)))
        (data("names", &json!({ "groups": groups, "people": people })))
    }
}

/// The part of a page in which a person opens the key of this browser; `asks` for its passphrase.
pub fn key(frame: &Frame, asks: &str) -> Markup {
    html! {
        div.field #khoa {
            noscript { p.err { (frame.say("emergency.needs_script")) } }
            div.alarm.k-look.tight #khong-khoa hidden {
                p { (frame.say("emergency.no_key")) } p { a.btn.sec href="/sign" { (icon("key")) (frame.say("emergency.make_key")) } }
            }
            form.field #mo-khoa-form hidden {
                label.lab-l for="mat-khau" { (asks) }
                p.err #khoa-loi role="alert" hidden {}
                div.row { input #mat-khau type="password" autocomplete="current-password" required;
                    button.btn.sec { (icon("key")) (frame.say("emergency.open_key")) } }
            }
            p #khoa-mo hidden { span.state.k-ok { (icon("ok")) span { (frame.say("emergency.key_open")) } } }
        }
    }
}
