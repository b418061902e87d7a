//! The answer to "how will it sound": the heart's rehearsal, in words.

use maud::{Markup, html};

use crate::foreseen::{BoxForeseen, Foreseen};
use crate::orders::notices::NotNotice;
use crate::web::frame::Frame;
use crate::web::parts::{Kind, state};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Names in one line of the preview.
const NAMES_MAX: usize = 6;

/// Draws what becomes of a notice, or what keeps it from being sent.
pub fn draw(frame: &Frame, foreseen: &Result<Foreseen, NotNotice>) -> Markup {
    html! {
        section.card.stack #xem-truoc aria-labelledby="xt" {
            h2 #xt { (frame.say("compose.preview")) }
            @match foreseen {
                Err(not) => p { (state(Kind::Bad, frame.tell(&not.say()))) },
                Ok(foreseen) if foreseen.boxes.is_empty() => p { (state(Kind::Bad, frame.say("compose.nobody"))) },
                Ok(foreseen) => (fates(frame, &foreseen.boxes)),
            }
        }
    }
}

/// The place of the preview before anybody asked for it.
pub fn not_yet(frame: &Frame) -> Markup {
    html! {
        section.card.stack #xem-truoc aria-labelledby="xt" {
            h2 #xt { (frame.say("compose.preview")) }
            p.mute { (frame.say("compose.not_yet")) }
        }
    }
}

fn fates(frame: &Frame, boxes: &[BoxForeseen]) -> Markup {
    let heard = boxes.iter().filter(|it| it.online && it.sounds_at.is_some()).count();
    let mut alike: Vec<(&Sentence, bool, Vec<&str>)> = Vec::new();
    for it in boxes.iter().filter(|it| it.online) {
        match alike.iter_mut().find(|(said, _, _)| **said == it.said) {
            Some((_, _, names)) => names.push(&it.title),
            None => alike.push((&it.said, it.sounds_at.is_some(), vec![&it.title])),
        }
    }
    let silent: Vec<&str> = boxes.iter().filter(|it| !it.online).map(|it| it.title.as_str()).collect();
    html! {
        p.lead { b { (frame.tell(&said!("compose.heard_on", heard, all = boxes.len()))) } }
        ul.list {
            @for (said, sounds, names) in alike {
                li { div { b { (listed(frame, &names)) } } (state(if sounds { Kind::Good } else { Kind::Bad }, frame.tell(said))) }
            }
            @if !silent.is_empty() {
                li { div { b { (listed(frame, &silent)) } } (state(Kind::Unknown, frame.say("compose.out_of_contact"))) }
            }
        }
    }
}

fn listed(frame: &Frame, names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => frame.tell(&said!("compose.and_more", shown, more)),
    }
}
