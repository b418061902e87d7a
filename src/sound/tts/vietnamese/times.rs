//! Times of the day.

use super::numbers::cardinal;
use super::scene::{Kind, Scene, Taken};

/// Words before which "7 giờ 30" is half past seven.
const AFTER_A_TIME: &[&str] = &[
    "", "sáng", "trưa", "chiều", "tối", "đêm", "ngày", "hôm", "tại", "đến", "tới", "và", "hoặc", "thứ",
    "chủ", "mai", "nay", "mời", "hàng", "mỗi", "cùng", "bắt", "cho",
];

/// Words before two numbers with a colon that are no time.
const NO_TIMES: &[&str] =
    &["tỷ lệ", "tỉ lệ", "tỷ số", "tỉ số", "pha", "pha loãng", "loãng", "bản đồ", "theo tỷ lệ", "nồng độ"];

/// Reads `17h30`, `17h`, `17 h 30`, `7g30`, `7:30`, `7 giờ 30`.
pub(super) fn time(scene: &Scene) -> Option<Taken> {
    if !scene.is_digit(scene.at) {
        return None;
    }
    let hour = scene.value(scene.at, scene.digits_end(scene.at));
    let time = lettered(scene).or_else(|| with_a_colon(scene)).or_else(|| in_words(scene));
    match time {
        Some(taken) => Some(match half_of_the_day(scene, hour, taken.end) {
            Some((half, end)) => Taken::new(format!("{} {half}", taken.words), end, Kind::Time),
            None => taken,
        }),
        // "8 AM"
        None => {
            let (_, end) = scene.short(scene.at)?;
            let (half, end) = half_of_the_day(scene, hour, end)?;
            Some(Taken::new(format!("{} {half}", said(hour, 0)), end, Kind::Time))
        }
    }
}

/// Reads "AM" or "PM" after an hour below thirteen.
fn half_of_the_day(scene: &Scene, hour: u64, end: usize) -> Option<(&'static str, usize)> {
    let from = scene.after_space(end);
    let half = scene.text(from, from + 2);
    if scene.is_word(from + 2) || !(1..=12).contains(&hour) {
        return None;
    }
    let said = match (half.as_str(), hour) {
        ("AM" | "am", _) => "sáng",
        ("PM" | "pm", 12) => "trưa",
        ("PM" | "pm", 1..=5) => "chiều",
        ("PM" | "pm", _) => "tối",
        _ => return None,
    };
    Some((said, from + 2))
}

fn said(hour: u64, minute: u64) -> String {
    match minute {
        0 => format!("{} giờ", cardinal(hour)),
        _ => format!("{} giờ {} phút", cardinal(hour), cardinal(minute)),
    }
}

/// Skips a second naming of the minutes, as in `17h30'`, `7h30ph` and "7h30 phút".
fn after_minutes(scene: &Scene, end: usize) -> usize {
    for named in ["phút", "ph", "p", "'", "’", "′"] {
        let close = end + named.chars().count();
        if scene.stands(end, named) && !scene.is_word(close) {
            return close;
        }
    }
    let spaced = scene.after_space(end);
    if scene.stands(spaced, "phút") && !scene.is_word(spaced + 4) { spaced + 4 } else { end }
}

/// Two digits of minutes at a place, and their end.
fn minutes(scene: &Scene, from: usize) -> Option<(u64, usize)> {
    let (minute, end) = scene.short(from)?;
    (end - from == 2 && minute < 60).then_some((minute, end))
}

fn lettered(scene: &Scene) -> Option<Taken> {
    let digits = scene.digits_end(scene.at);
    if digits - scene.at > 3 {
        return None;
    }
    let hour = scene.value(scene.at, digits);
    let mark = scene.after_space(digits);
    let letter = scene.char(mark).filter(|c| matches!(c, 'h' | 'H' | 'g' | 'G'))?;
    let after = scene.after_space(mark + 1);
    // "7 h 30" has spaces on both sides; "20 g 16" is no time.
    let loose = mark > digits;
    let found = minutes(scene, if loose { after } else { mark + 1 }).filter(|_| hour <= 24);
    match (letter, found) {
        ('g' | 'G', Some(_)) if loose => None,
        (_, Some((minute, end))) => {
            let end = after_minutes(scene, end);
            (!scene.is_digit(end)).then(|| Taken::new(said(hour, minute), end, Kind::Time))
        }
        ('h' | 'H', None)
            if mark == digits && minutes(scene, after).is_some_and(|(_, end)| is_alone(scene, end)) =>
        {
            let (minute, end) = minutes(scene, after)?;
            Some(Taken::new(said(hour, minute), after_minutes(scene, end), Kind::Time))
        }
        ('g' | 'G', None)
            if !loose && hour <= 24 && !scene.is_word(mark + 1) && is_of_a_clock(scene, mark) =>
        {
            Some(Taken::new(said(hour, 0), mark + 1, Kind::Time))
        }
        ('h' | 'H', None) if !scene.is_word(mark + 1) => {
            Some(Taken::new(said(hour, 0), mark + 1, Kind::Time))
        }
        _ => None,
    }
}

/// Tells whether minutes that end here are followed by nothing that they could count: "19h 30, tại đình".
fn is_alone(scene: &Scene, end: usize) -> bool {
    let more = matches!(scene.char(end), Some('.' | ',' | '/' | '-' | ':')) && scene.is_digit(end + 1);
    !more
        && !scene.is_word(end)
        && (after_minutes(scene, end) > end || AFTER_A_TIME.contains(&scene.next_word(end).as_str()))
}

/// Tells whether the `g` of `5g` is "giờ" and not "gam": by the words around, and by what is weighed before.
fn is_of_a_clock(scene: &Scene, mark: usize) -> bool {
    const BEFORE: &[&str] = &[
        "lúc", "từ", "đến", "tới", "trước", "sau", "khoảng", "vào", "hồi", "đúng", "hết", "sáng", "trưa",
        "chiều", "tối", "đêm", "ngày", "qua",
    ];
    const WEIGHED: &[&str] = &[
        "liều",
        "muối",
        "đường",
        "cân",
        "nặng",
        "thuốc",
        "bột",
        "pha",
        "uống",
        "gam",
        "rắc",
        "bón",
        "trộn",
        "lượng",
        "chứa",
        "đạm",
        "men",
        "chất",
    ];
    let before = scene.before();
    // "200g đường, ủ từ 8g": what is weighed stands in another part of the sentence.
    let span = scene.follows(&["từ", "đến", "tới", "lúc"]);
    let part = if span { before.rsplit([',', ';', '.']).next().unwrap_or_default() } else { &before };
    let weighed = part.split(|c: char| !c.is_alphanumeric()).any(|word| WEIGHED.contains(&word))
        || span && WEIGHED.contains(&scene.next_word(mark + 1).as_str());
    let part_of_a_day =
        matches!(scene.next_word(mark + 1).as_str(), "sáng" | "trưa" | "chiều" | "tối" | "đêm" | "ngày");
    let per = scene.char(mark + 1) == Some('/');
    !per && (part_of_a_day || scene.goes_on(Kind::Time) || !weighed && scene.follows(BEFORE))
}

fn with_a_colon(scene: &Scene) -> Option<Taken> {
    let (hour, end) = scene.short(scene.at).filter(|(hour, _)| *hour <= 24)?;
    if scene.char(end) != Some(':') || scene.follows(NO_TIMES) {
        return None;
    }
    let (minute, end) = minutes(scene, end + 1)?;
    if scene.char(end) == Some('.') && scene.is_digit(end + 1) {
        return None;
    }
    let seconds = (scene.char(end) == Some(':')).then(|| minutes(scene, end + 1)).flatten();
    let (words, end) = match seconds {
        Some((second, end)) => (format!("{} {} giây", said(hour, minute), cardinal(second)), end),
        None => (said(hour, minute), end),
    };
    let end = if scene.char(end) == Some('h') && !scene.is_word(end + 1) {
        end + 1
    } else {
        after_minutes(scene, end)
    };
    let half = half_of_the_day(scene, hour, end).is_some();
    (half || !scene.is_word(end)).then(|| Taken::new(words, end, Kind::Time))
}

/// "7 giờ 30" and "16 giờ 05 phút".
fn in_words(scene: &Scene) -> Option<Taken> {
    let (hour, end) = scene.short(scene.at).filter(|(hour, _)| *hour <= 24)?;
    let word = scene.after_space(end);
    if !scene.stands(word, "giờ ") {
        return None;
    }
    let (minute, digits) = minutes(scene, word + 4)?;
    let end = after_minutes(scene, digits);
    is_alone(scene, digits).then(|| Taken::new(said(hour, minute), end, Kind::Time))
}
