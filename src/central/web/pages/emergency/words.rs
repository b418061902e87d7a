//! The words that the scripts of these pages say: those of signing, and those of emergencies.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

use crate::app::App;
use crate::web::frame::Frame;

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
