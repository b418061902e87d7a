//! The sign of what sounds: its class, or that it is an exercise.

use maud::Markup;

use crate::web::parts::{Kind, tag};
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::texts::Texts;

/// The colour and shape of what sounds.
pub fn kind_of(rung: Rung, mode: Option<Mode>) -> Kind {
    match (rung, mode) {
        (_, Some(Mode::Exercise)) | (Rung::Exercise, _) => Kind::Exercise,
        (Rung::Programme, _) => Kind::Programme,
        (Rung::Normal, _) => Kind::Normal,
        (Rung::Priority | Rung::Live, _) => Kind::Priority,
        (Rung::Emergency, _) => Kind::Emergency,
    }
}

/// The sign with its words.
pub fn class_tag(texts: &Texts, rung: Rung, mode: Option<Mode>) -> Markup {
    let kind = kind_of(rung, mode);
    let words = match (kind, rung) {
        (Kind::Exercise, _) => texts.say("overview.exercise").to_owned(),
        (_, Rung::Programme) => texts.code("class", "programme"),
        (_, Rung::Normal) => texts.code("class", "normal"),
        (_, Rung::Priority) => texts.code("class", "priority"),
        (_, Rung::Live) => texts.code("class", "live"),
        _ => texts.code("class", "emergency"),
    };
    tag(kind, &words)
}
