//! The choice of a village, and the answer to who asks for one that there is not.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::seen::{Seen, Village};
use crate::app::App;
use crate::web::frame::{Frame, World};

/// The frame of somebody who is not signed in, whoever asks: caches keep these pages for all.
pub fn for_everybody(frame: &Frame) -> Frame {
    frame.for_everybody()
}

/// The answer to who asks for a village that there is not.
pub fn nowhere(app: &App, frame: &Frame, seen: &Seen) -> Response {
    let title = frame.say("public.programme");
    let content = html! {
        h1 { (title) }
        p { (frame.say("public.nowhere")) }
        (choice(frame, seen, None))
    };
    (StatusCode::NOT_FOUND, frame.draw_in(app, World::Public, title, &[], content)).into_response()
}

/// Draws the choice.
pub fn choice(frame: &Frame, seen: &Seen, village: Option<&Village>) -> Markup {
    html! {
        form.field action="/chuong-trinh" {
            label for="thon" { (frame.say("public.other_village")) }
            div.row {
                select #thon name="thon" {
                    @for it in &seen.villages {
                        option value=(it.group) selected[village.is_some_and(|village| village.group == it.group)] { (it.title) }
                    }
                }
                div.btns { button.btn.sec { (frame.say("public.look")) } }
            }
        }
    }
}
