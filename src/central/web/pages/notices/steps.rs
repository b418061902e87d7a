//! The way of a notice as a row of steps, and its state in words.

use maud::{Markup, html};

use crate::store::NoticeState;
use crate::web::frame::Frame;
use crate::web::parts::{Kind, icon, state};

/// The part of its way that an approved notice has behind it on the boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Air {
    /// No box has begun.
    Waits,
    Sounds,
    Over,
}

/// Draws the steps from draft to air, the present one marked.
pub fn steps(frame: &Frame, now: NoticeState, air: Air) -> Markup {
    let at = match (now, air) {
        (NoticeState::Draft | NoticeState::Returned | NoticeState::Withdrawn, _) => 0,
        (NoticeState::Submitted | NoticeState::Expired, _) => 1,
        (NoticeState::Approved | NoticeState::Cancelled, Air::Waits) => 2,
        (NoticeState::Approved | NoticeState::Cancelled, Air::Sounds | Air::Over) => 3,
    };
    let all = [("person", "draft"), ("clock", "submitted"), ("ok", "approved"), ("wave", "on_air")];
    html! {
        ol.steps {
            @for (index, (drawing, code)) in all.into_iter().enumerate() {
                li.done[index < at] aria-current=[(index == at).then_some("step")] {
                    (icon(drawing)) span { (frame.texts.code("notice_state", code)) }
                }
            }
        }
    }
}

/// The state of a notice in one sign with words.
pub fn sign(frame: &Frame, now: NoticeState, air: Air) -> Markup {
    let (kind, code) = match (now, air) {
        (NoticeState::Draft, _) => (Kind::Quiet, "draft"),
        (NoticeState::Submitted, _) => (Kind::Look, "submitted"),
        (NoticeState::Approved, Air::Waits) => (Kind::Good, "approved"),
        (NoticeState::Approved, Air::Sounds) => (Kind::OnAir, "on_air"),
        (NoticeState::Approved, Air::Over) => (Kind::Good, "over"),
        (NoticeState::Returned, _) => (Kind::Look, "returned"),
        (NoticeState::Withdrawn, _) => (Kind::Unknown, "withdrawn"),
        (NoticeState::Expired, _) => (Kind::Bad, "expired"),
        (NoticeState::Cancelled, _) => (Kind::Unknown, "cancelled"),
    };
    state(kind, frame.texts.code("notice_state", code))
}
