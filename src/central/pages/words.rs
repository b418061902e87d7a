//! Codes and numbers as a person says them.

use serde_json::Value;

use crate::store::PlayRow;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::Texts;

/// Frames a second in the log.
const FRAMES_A_SECOND: u64 = 48_000;

/// Local time, with the date where it is not that of `now`.
pub fn time(at: Wall, now: Wall) -> String {
    let local = at.local();
    let format = if local.date() == now.date() { "%H:%M:%S" } else { "%d/%m %H:%M:%S" };
    local.format(format).to_string()
}

/// A length as minutes and seconds; below a minute with a tenth.
pub fn length(frames: u64, texts: &Texts) -> String {
    let tenths = (frames * 10 + FRAMES_A_SECOND / 2) / FRAMES_A_SECOND;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        let point = texts.say("log.decimal_point");
        return format!("{}{point}{} {}", rest / 10, rest % 10, texts.say("log.seconds"));
    }
    format!("{minutes} {} {:02} {}", texts.say("log.minutes"), rest / 10, texts.say("log.seconds"))
}

/// How a play ended, with who or what ended it.
pub fn outcome(play: &PlayRow, texts: &Texts) -> String {
    let Some(code) = &play.outcome else { return texts.say("outcome.playing").to_owned() };
    let words = texts.code("outcome", code);
    let reason = play.reason.as_deref().and_then(|text| serde_json::from_str(text).ok());
    with_detail(words, &reason.unwrap_or(Value::Null), texts)
}

/// Why something did not sound, or was refused.
pub fn because(section: &str, tag: &str, reason: &Value, texts: &Texts) -> String {
    match reason[tag].as_str() {
        Some(code) => with_detail(texts.code(section, code), reason, texts),
        None => String::new(),
    }
}

fn with_detail(words: String, reason: &Value, texts: &Texts) -> String {
    let inner = &reason["reason"];
    if let Some(rung) = reason["by"].as_str() {
        return format!("{words} {}", texts.code("rung", rung));
    }
    if let Some(rule) = inner["rule"].as_str() {
        return format!("{words}: {}", texts.code("rule", rule));
    }
    if let Some(fault) = inner["fault"].as_str() {
        return format!("{words}: {}", texts.code("sound_fault", fault));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use loaxa_heart::texts::Lang;

    #[test]
    fn lengths_are_read_as_a_person_says_them() {
        let vi = crate::TEXTS.of(Lang::Vi);
        assert_eq!(length(48_000 * 7 + 24_000, vi), "7,5 giây");
        assert_eq!(length(48_000 * 65, vi), "1 phút 05 giây");
        assert_eq!(length(48_000 * 3, crate::TEXTS.of(Lang::En)), "3.0 s");
    }

    #[test]
    fn reasons_go_into_their_detail() {
        let vi = crate::TEXTS.of(Lang::Vi);
        let check = |reason: Value, expected: &str| {
            assert_eq!(because("because", "because", &reason, vi), expected);
        };
        check(json!({ "because": "late" }), "quá muộn");
        check(json!({ "because": "pre_empted", "by": "emergency" }), "phải nhường cho thông báo khẩn cấp");
        check(
            json!({ "because": "guarded", "reason": { "rule": "outside_hours" } }),
            "ngoài giới hạn cho phép: ngoài giờ cho phép",
        );
        check(
            json!({ "because": "unplayable", "reason": { "fault": "missing", "what": "x" } }),
            "không phát được: thiếu tệp âm thanh",
        );
        check(json!({}), "");
    }

    #[test]
    fn the_date_is_said_when_it_is_another_day() {
        let at = |text: &str| text.parse::<Wall>().unwrap();
        assert_eq!(time(at("2026-11-20T22:00:05Z"), at("2026-11-21T01:00:00Z")), "05:00:05");
        assert_eq!(time(at("2026-11-20T10:00:05Z"), at("2026-11-21T01:00:00Z")), "20/11 17:00:05");
    }
}
