//! The passkeys of an account as its pages show them. The script shows the buttons where the browser knows passkeys.

use maud::{Markup, html};

use super::sign_in::{Back, with_back};
use crate::people::{Who, passkeys};
use crate::store::PasskeyRow;
use crate::web::form::{Faults, Input};
use crate::web::frame::{Frame, moment};
use loaxa_heart::texts::Say;

/// The button of the second step.
pub fn to_show(frame: &Frame, back: &Back) -> Markup {
    let action = with_back("/dang-nhap/khoa-may", back.page());
    html! {
        form.stack method="post" action=(action) hidden data-khoa-may="get" data-hoi="/dang-nhap/khoa-may/hoi" {
            input type="hidden" name="tra-loi";
            (said_when_it_fails(frame))
            div.btns { button.btn { (frame.say("passkey.show")) } }
            p.mute { (frame.say("passkey.or_code")) }
        }
    }
}

fn said_when_it_fails(frame: &Frame) -> Markup {
    html! { p.err role="alert" hidden data-loi { (frame.say("passkey.failed")) } }
}

/// The passkeys of one's own account, and the form for another.
pub fn section(frame: &Frame, who: &Who, keys: &[PasskeyRow], faults: &Faults) -> Markup {
    html! {
        section.stack aria-labelledby="h-km" {
            h2 #h-km { (frame.say("passkey.title")) }
            p { (frame.say("passkey.why")) }
            ul.list { @for key in keys { (one(frame, key)) } }
            @if let Err(not) = passkeys::may_add(who) { p.mute { (frame.tell(&not.say())) } } @else {
                form.stack.narrow method="post" action="/tai-khoan/khoa-may" data-khoa-may="create" data-hoi="/tai-khoan/khoa-may/hoi" {
                    (Input {
                        hint: Some(frame.say("passkey.name_hint")),
                        ..Input::text("ten-may", frame.say("passkey.name"), "")
                    }.draw(frame, faults))
                    input type="hidden" name="tra-loi";
                    (said_when_it_fails(frame))
                    div.btns { button.btn.sec { (frame.say("passkey.add")) } }
                }
            }
        }
    }
}

fn one(frame: &Frame, key: &PasskeyRow) -> Markup {
    html! {
        li.row.apart {
            span {
                b { (key.name) }
                br; span.mute {
                    (frame.say("passkey.made")) " " (moment(key.made))
                    @if let Some(used) = key.used { br; (frame.say("account.last_used")) " " (moment(used)) }
                }
            }
            form method="post" action="/tai-khoan/khoa-may/xoa" {
                input type="hidden" name="khoa" value=(key.id);
                button.btn.sec { (frame.say("passkey.remove")) }
            }
        }
    }
}
