//! A point on the map, as a form has it: two fields.

use maud::{Markup, html};

use crate::store::Point;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::Frame;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// Degrees between which Vietnam lies, its islands with it.
const LATITUDES: std::ops::RangeInclusive<f64> = 6.0..=24.0;
const LONGITUDES: std::ops::RangeInclusive<f64> = 102.0..=118.0;

/// Reads a point of two fields, both filled or both empty.
///
/// # Errors
/// Gives the field and what would be right.
pub fn read_point(sent: &Sent) -> Result<Option<Point>, (&'static str, Sentence)> {
    let (latitude, longitude) = (sent.get("vi-do").trim(), sent.get("kinh-do").trim());
    if latitude.is_empty() && longitude.is_empty() {
        return Ok(None);
    }
    // Vietnamese write a comma in a number.
    let number = |text: &str| text.replace(',', ".").parse::<f64>().ok();
    let latitude = number(latitude)
        .filter(|it| LATITUDES.contains(it))
        .ok_or(("vi-do", said!("place.bad_latitude", from = LATITUDES.start(), until = LATITUDES.end())))?;
    let longitude = number(longitude).filter(|it| LONGITUDES.contains(it)).ok_or((
        "kinh-do",
        said!("place.bad_longitude", from = LONGITUDES.start(), until = LONGITUDES.end()),
    ))?;
    Ok(Some(Point { latitude, longitude }))
}

/// Two fields for a point, with what was typed or is kept.
pub fn point_fields(frame: &Frame, point: Option<Point>, faults: &Faults, sent: &Sent) -> Markup {
    let text = |name, of: fn(Point) -> f64| {
        let kept = point.map(|point| of(point).to_string()).unwrap_or_default();
        if sent.get(name).is_empty() { kept } else { sent.get(name).to_owned() }
    };
    let (latitude, longitude) =
        (text("vi-do", |point| point.latitude), text("kinh-do", |point| point.longitude));
    let field = |id, key, value| Input { required: false, ..Input::text(id, frame.say(key), value) };
    html! {
        p.hint { (frame.say("place.point_hint")) }
        (field("vi-do", "place.latitude", &latitude).draw(frame, faults))
        (field("kinh-do", "place.longitude", &longitude).draw(frame, faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_two_numbers_in_vietnam() {
        let sent = |latitude: &str, longitude: &str| {
            Sent(vec![
                ("vi-do".to_owned(), latitude.to_owned()),
                ("kinh-do".to_owned(), longitude.to_owned()),
            ])
        };
        let check = |latitude, longitude, expected: Result<bool, &str>| {
            let read = read_point(&sent(latitude, longitude));
            assert_eq!(read.map(|point| point.is_some()).map_err(|(field, _)| field), expected);
        };
        check("", "", Ok(false));
        check("20,98", "105.74", Ok(true));
        check("20.98", "", Err("kinh-do"));
        check("105.74", "20.98", Err("vi-do"));
        check("NaN", "105", Err("vi-do"));
    }
}
