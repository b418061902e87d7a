//! The signs of what became of an airing.

use maud::Markup;

use crate::store::{AiringRow, Fate};
use crate::web::frame::Frame;
use crate::web::parts::{Kind, state};
use loaxa_heart::said;

/// The colour and drawing of a fate.
pub const fn kind(fate: Fate) -> Kind {
    match fate {
        Fate::OnAir => Kind::OnAir,
        Fate::Aired => Kind::Good,
        Fate::Partly => Kind::Look,
        Fate::Missed => Kind::Bad,
        Fate::Unknown => Kind::Unknown,
    }
}

/// The state with its reason.
pub fn fate(frame: &Frame, row: &AiringRow) -> Markup {
    let words = frame.texts.code("fate", row.airing.fate.code());
    let reason = reason(frame, row);
    state(kind(row.airing.fate), if reason.is_empty() { words } else { format!("{words}: {reason}") })
}

/// Says why something is missing; empty where nothing is.
pub fn reason(frame: &Frame, row: &AiringRow) -> String {
    match row.airing.reason.as_str() {
        "" => String::new(),
        code => frame.texts.code("missed_because", code),
    }
}

/// A length in words: whole minutes, or seconds below one.
pub fn length(frame: &Frame, ms: u64) -> String {
    let seconds = (ms + 500) / 1_000;
    if seconds < 60 {
        return frame.tell(&said!("log_page.seconds", seconds));
    }
    let minutes = crate::reports::number((seconds + 30) / 60);
    frame.tell(&said!("log_page.minutes", minutes))
}

/// Says how much sounded of what was due.
pub fn aired(frame: &Frame, row: &AiringRow) -> String {
    let due = length(frame, row.airing.planned_ms);
    match row.airing.fate {
        Fate::Unknown if row.airing.aired_ms == 0 => frame.tell(&said!("log_page.unknown_of", due)),
        _ if row.airing.planned_ms == 0 => length(frame, row.airing.aired_ms),
        _ => frame.tell(&said!("log_page.aired_of", aired = length(frame, row.airing.aired_ms), due)),
    }
}
