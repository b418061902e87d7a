//! Codes and numbers as a person says them.

use chrono::{Datelike, NaiveDate};
use serde::Serialize;
use serde_json::Value;

use super::texts::TEXTS;
use crate::app::App;
use crate::store::NotHeard;
use crate::vietnamese::order;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::lunar::LunarDate;
use loaxa_heart::domain::playback::{CHECKPOINT_EVERY, NotPlayed, PlayOutcome};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Sentence, Texts};

/// Frames a second in the log.
const FRAMES_A_SECOND: u64 = 48_000;

/// Local time, with the date where it is not that of `now`.
pub fn time(at: Wall, now: Wall) -> String {
    let local = at.local();
    let format = if local.date() == now.date() { "%H:%M:%S" } else { "%d/%m %H:%M:%S" };
    local.format(format).to_string()
}

/// Says a date with its day of the week and its lunar day.
pub fn day(lang: Lang, date: NaiveDate) -> String {
    let (texts, lunar) = (TEXTS.of(lang), LunarDate::from_solar(date));
    let weekday = texts.code("weekday", &date.weekday().to_string().to_lowercase());
    let month = texts.code("lunar_month", &format!("m{}", lunar.month));
    let leap = if lunar.leap { texts.say("overview.leap") } else { "" };
    let (date, day) = (date.format("%d/%m/%Y"), lunar.day);
    said!("overview.date", weekday, date, day, month, leap).to(lang)
}

/// A length as minutes and seconds; below a minute with a tenth.
pub fn length(frames: u64, texts: &Texts) -> String {
    let tenths = (u128::from(frames) * 10 + u128::from(FRAMES_A_SECOND) / 2) / u128::from(FRAMES_A_SECOND);
    let (minutes, rest) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        let point = texts.say("log.decimal_point");
        return format!("{}{point}{} {}", rest / 10, rest % 10, texts.say("log.seconds"));
    }
    format!("{minutes} {} {:02} {}", texts.say("log.minutes"), rest / 10, texts.say("log.seconds"))
}

/// Says how long a play sounded that a power cut ended: its last checkpoint proves the least.
pub fn length_of_cut(frames: u64, texts: &Texts) -> String {
    let least = frames / FRAMES_A_SECOND;
    let most = least + CHECKPOINT_EVERY.as_millis() / 1_000;
    texts.say("log.between").replace("{least}", &least.to_string()).replace("{most}", &most.to_string())
}

/// Says how a play ended, with who or what ended it.
pub fn outcome(outcome: Option<&PlayOutcome>, texts: &Texts) -> String {
    match outcome {
        Some(outcome) => with_detail("outcome", "outcome", outcome, texts),
        None => texts.say("outcome.playing").to_owned(),
    }
}

/// Says why something that was due did not sound.
pub fn not_played(reason: &NotPlayed, texts: &Texts) -> String {
    with_detail("because", "because", reason, texts)
}

/// Says why a box did not play an announcement, or did not take it.
pub fn not_heard(reason: &NotHeard, texts: &Texts) -> String {
    match reason {
        NotHeard::NotPlayed(reason) => not_played(reason, texts),
        NotHeard::Refused(refusal) => with_detail("refusal", "refusal", refusal, texts),
    }
}

/// The word that a plain enum has in JSON, for classes of style and tables of texts.
pub fn code_of<T: Serialize>(value: &T) -> String {
    json_of(value).as_str().unwrap_or_default().to_owned()
}

fn json_of<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("enums are JSON")
}

/// The words for an enum under its `tag`, with the rung, the rule or the fault that it carries.
fn with_detail<T: Serialize>(section: &str, tag: &str, value: &T, texts: &Texts) -> String {
    let value = json_of(value);
    let words = texts.code(section, value[tag].as_str().unwrap_or_default());
    let inner = &value["reason"];
    if let Some(rung) = value["by"].as_str() {
        return format!("{words} {}", texts.code("rung", rung));
    }
    if let Some(rule) = inner["rule"].as_str() {
        return format!("{words}: {}", texts.code("rule", rule));
    }
    if let Some(fault) = inner["fault"].as_str() {
        let fault = texts.code("sound_fault", fault);
        // Boxes say details in English; the words of a library say nothing to staff.
        let detail = inner["detail"].as_str().and_then(|detail| loaxa_sound::TEXTS.recognise(detail));
        let detail = detail.map(|detail| format!(": {}", detail.to(texts.lang()))).unwrap_or_default();
        return format!("{words}: {fault}{detail}");
    }
    words
}

/// Names villages, in the order of the Vietnamese alphabet.
pub fn villages<'v>(app: &App, ids: impl IntoIterator<Item = &'v GroupId>) -> String {
    let mut titles: Vec<_> = ids.into_iter().map(|id| app.title_of(id)).collect();
    titles.sort_by_cached_key(|title| order(title));
    titles.join(", ")
}

/// Says a line in both languages, for where no page can be drawn.
pub fn in_both(said: &Sentence) -> String {
    format!("{} · {}\n", said.to(Lang::Vi), said.to(Lang::En))
}

/// Lines that were written for lists, as sentences one after the other.
pub fn sentences(lines: &str) -> String {
    let sentence = |line: &str| {
        let mut letters = line.trim().chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        let end = if line.trim_end().ends_with(['.', '!', '?', ':']) { "" } else { "." };
        format!("{first}{}{end}", letters.as_str())
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(sentence).collect::<Vec<_>>().join(" ")
}

/// The name of a fault that a box reports; one that this version does not know is named by its code.
pub fn fault(texts: &'static Texts, code: &str) -> String {
    match texts.code("fault", code) {
        words if words == code => format!("{} ({code})", texts.say("box_page.other_fault")),
        words => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::announcement::Rung;
    use loaxa_heart::domain::policy::GuardRefusal;
    use loaxa_heart::domain::sound::Fault;

    #[test]
    fn lengths_are_read_as_a_person_says_them() {
        let vi = crate::web::texts::TEXTS.of(Lang::Vi);
        assert_eq!(length(48_000 * 7 + 24_000, vi), "7,5 giây");
        assert_eq!(length(48_000 * 65, vi), "1 phút 05 giây");
        assert_eq!(length(48_000 * 3, crate::web::texts::TEXTS.of(Lang::En)), "3.0 s");
    }

    #[test]
    fn reasons_go_into_their_detail() {
        let vi = crate::web::texts::TEXTS.of(Lang::Vi);
        let check = |reason: NotPlayed, expected: &str| assert_eq!(not_played(&reason, vi), expected);
        check(NotPlayed::Late, "quá muộn");
        check(NotPlayed::PreEmpted { by: Rung::Emergency }, "phải nhường cho thông báo khẩn cấp");
        check(
            NotPlayed::Guarded { reason: GuardRefusal::OutsideHours },
            "ngoài giới hạn cho phép: ngoài giờ cho phép",
        );
        check(
            NotPlayed::Unplayable { reason: Fault::Missing { what: "x".to_owned() } },
            "không phát được: thiếu tệp âm thanh",
        );
        let stream = |detail: &str| NotPlayed::Unplayable {
            reason: Fault::NoStream { url: "https://dai.example/".to_owned(), detail: detail.to_owned() },
        };
        check(
            stream("the server answers with status 404 Not Found"),
            "không phát được: không nhận được luồng tiếp âm: máy chủ trả lời mã 404 Not Found",
        );
        check(stream("io: os error 111"), "không phát được: không nhận được luồng tiếp âm");
        check(
            NotPlayed::Unplayable {
                reason: Fault::Damaged {
                    what: "x".to_owned(),
                    detail: "the file is empty".to_owned().into(),
                },
            },
            "không phát được: tệp âm thanh hỏng: tệp rỗng",
        );
        assert_eq!(outcome(Some(&PlayOutcome::Finished), vi), "phát hết");
        assert_eq!(outcome(None, vi), "đang phát");
    }

    #[test]
    fn the_date_is_said_when_it_is_another_day() {
        let at = |text: &str| text.parse::<Wall>().unwrap();
        assert_eq!(time(at("2026-11-20T22:00:05Z"), at("2026-11-21T01:00:00Z")), "05:00:05");
        assert_eq!(time(at("2026-11-20T10:00:05Z"), at("2026-11-21T01:00:00Z")), "20/11 17:00:05");
    }
}
