//! The form of a prepared message: from what was sent to its words, and back to the fields.

use maud::{Markup, html};

use crate::orders::prepared::{REPEAT_MAX, Written};
use crate::store::{Danger, MediaRow, MessageRow, MessageUse};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::Frame;
use crate::web::parts::icon;
use loaxa_heart::said;

/// Languages that the engine speaks, by their tags.
const LANGUAGES: [&str; 2] = ["vi", "en"];

/// A message that nobody has begun.
pub fn empty() -> Written {
    Written {
        purpose: MessageUse::Alarm,
        danger: Danger::Flood,
        title: String::new(),
        text: String::new(),
        language: LANGUAGES[0].to_owned(),
        siren: true,
        repeat: 3,
    }
}

/// The words of a message that is to be changed.
pub fn of(row: &MessageRow) -> Written {
    Written {
        purpose: row.purpose,
        danger: row.danger,
        title: row.title.clone(),
        text: row.text.clone(),
        language: row.language.clone(),
        siren: row.siren,
        repeat: row.repeat,
    }
}

/// Reads what was sent; whatever is not offered becomes the first that is.
pub fn read(sent: &Sent) -> Written {
    let purpose = MessageUse::ALL.into_iter().find(|it| it.code() == sent.get("de"));
    let danger = Danger::ALL.into_iter().find(|it| it.code() == sent.get("nguy-hiem"));
    let purpose = purpose.unwrap_or(MessageUse::Alarm);
    Written {
        purpose,
        danger: danger.unwrap_or(Danger::Other),
        title: sent.get("ten").trim().to_owned(),
        text: sent.get("loi").replace("\r\n", "\n").trim().to_owned(),
        language: LANGUAGES
            .into_iter()
            .find(|it| *it == sent.get("tieng"))
            .unwrap_or(LANGUAGES[0])
            .to_owned(),
        // A siren says that there is danger: what ends an alarm has none.
        siren: purpose == MessageUse::Alarm && sent.get("coi") == "co",
        repeat: sent.get("lan").parse().unwrap_or(1).clamp(1, REPEAT_MAX),
    }
}

/// Draws the fields.
pub fn draw(frame: &Frame, written: &Written, heard: Option<&MediaRow>, faults: &Faults) -> Markup {
    let select = |id: &'static str,
                  label: &'static str,
                  section: &str,
                  codes: &[&'static str],
                  chosen: &str| {
        html! {
            div.field { label for=(id) { (frame.say(label)) }
                select id=(id) name=(id) {
                    @for code in codes { option value=(code) selected[*code == chosen] { (frame.texts.code(section, code)) } }
                } }
        }
    };
    let uses = MessageUse::ALL.map(MessageUse::code);
    let dangers = Danger::ALL.map(Danger::code);
    html! {
        (Input { hint: Some(frame.say("message.name_hint")), ..Input::text("ten", frame.say("message.name"), &written.title) }.draw(frame, faults))
        (select("de", "message.purpose", "message_use", &uses, written.purpose.code()))
        (select("nguy-hiem", "message.danger", "danger", &dangers, written.danger.code()))
        div.field.bad[faults.has("loi")] {
            label.lab-l for="loi" { (frame.say("message.words")) }
            p.hint #loi-h { (frame.say("message.words_hint")) }
            (faults.beside(frame, "loi"))
            textarea #loi name="loi" rows="5" aria-describedby="loi-h" { (written.text) }
            (select("tieng", "compose.language", "language", &LANGUAGES, &written.language))
            div.row {
                button.btn.sec name="viec" value="nghe" { (icon("play")) (frame.say("compose.hear")) }
                @if let Some(media) = heard {
                    input type="hidden" name="da-nghe" value=(media.sha256);
                    audio #nghe-thu controls preload="metadata" src={ "/media/" (media.sha256) } {}
                    span.mute { (frame.tell(&said!("compose.lasts", seconds = media.ms.div_ceil(1_000)))) }
                }
            }
        }
        fieldset.field {
            legend.lab-l { (frame.say("message.sounds")) }
            div.pick { input type="checkbox" name="coi" value="co" id="coi" checked[written.siren];
                label for="coi" { (frame.say("message.siren")) br; span.mute { (frame.say("message.siren_hint")) } } }
            div { label for="lan" { (frame.say("compose.repeat")) }
                select.w-date #lan name="lan" {
                    @for times in 1..=REPEAT_MAX { option value=(times) selected[times == written.repeat] {
                        (frame.tell(&said!("compose.times", count = times))) } }
                } }
        }
    }
}
