//! The page on which a telephone becomes the second factor, and the sheet of recovery codes that follows.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;

use super::sign_in::{Back, come_in};
use crate::app::App;
use crate::people::accounts::{self, NotDone};
use crate::people::{Who, second_factor, sign_in};
use crate::store::Stage;
use crate::web::doors::SECOND_STEP;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Response {
    if may_not(&who) {
        return Redirect::to(SECOND_STEP).into_response();
    }
    draw(&app, &frame, &who, &second_factor::new_secret(), &Faults::default()).into_response()
}

/// Says whether a person must show the telephone that they have first: a stolen password is not enough to replace it.
fn may_not(who: &Who) -> bool {
    who.person.totp.is_some() && who.session.stage != Stage::Full
}

pub async fn set(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let secret = BASE64.decode(sent.get("bi-mat")).ok().filter(|secret| secret.len() == 20);
    let Some(secret) = secret.filter(|_| !may_not(&who)) else {
        return Ok(page(State(app), frame, who).await);
    };
    if who.person.totp.is_some()
        && let Err(not) = sign_in::check_code(&app, &who, sent.get("ma-cu")).await
    {
        let page = draw(&app, &frame, &who, &secret, &Faults::one("ma-cu", not.say()));
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    match accounts::set_up_codes(&app, &who, secret.clone(), sent.get("ma")).await {
        Ok(codes) => {
            let secret = sign_in::step_up(&app, &who).await?;
            let come_in = come_in(&app, &secret, &who, &back);
            let cookies = come_in.headers().get_all(header::SET_COOKIE).iter().cloned();
            let mut sheet = sheet(&app, &frame, &codes).into_response();
            for cookie in cookies {
                sheet.headers_mut().append(header::SET_COOKIE, cookie);
            }
            sheet.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
            Ok(sheet)
        }
        Err(NotDone::Store(error)) => Err(error.into()),
        Err(not) => {
            let page = draw(&app, &frame, &who, &secret, &Faults::one("ma", not.say()));
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

fn draw(app: &App, frame: &Frame, who: &Who, secret: &[u8], faults: &Faults) -> Markup {
    let issuer = frame.tell(&said!("account.issuer", commune = app.settings.commune));
    let (words, address) = second_factor::shown(secret, &issuer, who.person.id.as_str());
    let title = frame.say("account.phone");
    let content = html! {
        div.narrow.form {
            h1 { (title) }
            p { (frame.say("account.phone_why")) }
            (faults.summary(frame))
            ol.stack.numbered {
                li { (frame.say("account.phone_app")) }
                li { (frame.say("account.phone_scan")) div.qr { (picture(&address)) }
                    details { summary { (frame.say("account.phone_type")) } p.num #bi-mat-chu { (in_fours(&words)) } } }
                li { (frame.say("account.phone_code")) }
            }
            form.stack method="post" {
                input type="hidden" name="bi-mat" value=(BASE64.encode(secret));
                @if who.person.totp.is_some() {
                    (Input {
                        hint: Some(frame.say("account.old_code_hint")),
                        class: Some("w-code"),
                        ..Input::text("ma-cu", frame.say("account.old_code"), "")
                    }.draw(frame, faults))
                }
                (Input {
                    autocomplete: Some("one-time-code"),
                    class: Some("w-code"),
                    ..Input::text("ma", frame.say("sign_in.code"), "")
                }.draw(frame, faults))
                div.btns { button.btn { (frame.say("account.phone_set")) } }
            }
        }
    };
    frame.draw(app, title, content)
}

/// The QR code as SVG; black on white, which telephones read in the dark, too.
fn picture(address: &str) -> Markup {
    let drawn =
        QrCode::new(address).map(|code| code.render::<svg::Color<'_>>().min_dimensions(240, 240).build());
    // The XML declaration belongs to files, not into a page.
    let drawn = drawn.unwrap_or_default();
    PreEscaped(drawn.split_once("?>").map_or(drawn.as_str(), |(_, svg)| svg).to_owned())
}

fn in_fours(secret: &str) -> String {
    let chars: Vec<char> = secret.chars().collect();
    chars.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn sheet(app: &App, frame: &Frame, codes: &[String]) -> Markup {
    let title = frame.say("account.sheet");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p { (frame.say("account.sheet_how")) }
            ul.card.codes { @for code in codes { li.num { (code) } } }
            p.mute { (frame.say("account.sheet_once")) }
            div.btns { a.btn href="/" { (frame.say("account.sheet_kept")) } }
        }
    };
    frame.draw(app, title, content)
}
