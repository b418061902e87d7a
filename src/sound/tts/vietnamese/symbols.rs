//! Dashes, slashes and signs between words and numbers.

use super::clues::is_a_plot;
use super::codes::phone;
use super::dates::date;
use super::numbers::code;
use super::scene::{Kind, Scene, Taken, ends_with};
use super::times::time;
use super::units::per;

/// Words after a number within which a slash still counts: "2,5 triệu đồng/ha".
const WORDS_OF_A_COUNT: usize = 4;

/// Reads a sign.
pub(super) fn symbol(scene: &Scene) -> Option<Taken> {
    let c = scene.char(scene.at)?;
    match c {
        '-' | '–' | '—' | '−' | '‐' | '‑' => dash(scene),
        // Papers of engineers have it for a range; a sum has spaces.
        '÷' if is_a_span(scene) => Some(Taken::new("đến", scene.at + 1, Kind::Link)),
        '~' if scene.is_digit(scene.at + 1) && scene.last.is_some_and(|(_, end)| end == scene.at) => {
            Some(Taken::new("đến", scene.at + 1, Kind::Link))
        }
        // "Toán x2"
        'x' if scene.previous(scene.at) == Some(' ') && scene.is_digit(scene.at + 1) => {
            Some(Taken::new("nhân", scene.at + 1, Kind::Link))
        }
        '/' => slash(scene),
        // "Gõ *101#"
        '*' if keyed(scene).is_some() => keyed(scene),
        // "Soạn DK <dấu cách> HOTEN"
        '<' if bracketed(scene).is_some() => bracketed(scene),
        '>' | '<' if scene.char(scene.at + 1) == Some('=') => {
            let words = if c == '>' { "lớn hơn hoặc bằng" } else { "nhỏ hơn hoặc bằng" };
            Some(Taken::new(words, scene.at + 2, Kind::Link))
        }
        '^' if number_before(scene).is_some() => Some(Taken::new("mũ", scene.at + 1, Kind::Link)),
        'x' | 'X' | '×' if is_dose(scene) => Some(Taken::new("nhân", scene.at + 1, Kind::Link)),
        // "file .docx"
        '.' if matches!(scene.previous(scene.at), Some(' ' | '(')) && is_a_kind_of_file(scene) => {
            Some(Taken::new("chấm", scene.at + 1, Kind::Link))
        }
        // "CT.07"
        '.' if scene.last == Some((Kind::Abbreviation, scene.at)) && scene.is_digit(scene.at + 1) => {
            Some(Taken::new(" ", scene.at + 1, Kind::Link))
        }
        'x' | 'X' | '×' | '*' | ':' | '.' | ',' => between_numbers(scene, c),
        '_' | '\\' | '^' | '`' => Some(Taken::new(" ", scene.at + 1, Kind::Link)),
        _ => sign(c).map(|words| Taken::new(words, scene.at + 1, Kind::Link)),
    }
    .or_else(|| (c == '*').then(|| Taken::new("", scene.at + 1, Kind::Link)))
}

/// Tells whether a sign between two numbers spans them: glued, or before what is counted and no sum.
fn is_a_span(scene: &Scene) -> bool {
    let next = scene.after_space(scene.at + 1);
    if number_before(scene).is_none() || !scene.is_digit(next) {
        return number_before(scene).is_some() && scene.text(next, next + 2).eq_ignore_ascii_case("km");
    }
    let end = scene.run_end(next, |c| c.is_ascii_digit() || matches!(c, '.' | ','));
    let sum = scene.char(scene.after_space(end)) == Some('=');
    next == scene.at + 1
        || !sum && scene.char(scene.after_space(end)).is_some_and(|c| c.is_alphabetic() || c == '%')
}

fn is_a_kind_of_file(scene: &Scene) -> bool {
    let end = scene.word_end(scene.at + 1);
    matches!(
        scene.text(scene.at + 1, end.min(scene.at + 6)).to_lowercase().as_str(),
        "doc"
            | "docx"
            | "pdf"
            | "xls"
            | "xlsx"
            | "jpg"
            | "jpeg"
            | "png"
            | "mp3"
            | "mp4"
            | "zip"
            | "rar"
            | "apk"
            | "exe"
    )
}

/// Reads what is keyed into a telephone, "*101#".
fn keyed(scene: &Scene) -> Option<Taken> {
    let (mut said, mut end) = (Vec::new(), scene.at);
    while scene.char(end) == Some('*') && said.len() < 6 {
        let close = scene.digits_end(end + 1);
        (close > end + 1 && close <= end + 16).then_some(())?;
        said.push(format!("sao {}", code(&scene.text(end + 1, close))));
        end = close;
    }
    (scene.char(end) == Some('#'))
        .then(|| Taken::new(format!("{} thăng", said.join(" ")), end + 1, Kind::Other))
}

/// Takes words out of their angles, to be read once more.
fn bracketed(scene: &Scene) -> Option<Taken> {
    let from = scene.at + 1;
    let end =
        scene.run_end(from, |c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | ',')).min(from + 40);
    let words = scene.char(from).is_some_and(char::is_alphabetic) && scene.char(end) == Some('>');
    words.then(|| Taken::new(scene.text(from, end), end + 1, Kind::Link))
}

const fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "và",
        '%' => "phần trăm",
        '‰' => "phần nghìn",
        '+' | '＋' => "cộng",
        '=' => "bằng",
        '÷' => "chia",
        '>' => "lớn hơn",
        '<' => "nhỏ hơn",
        '≥' => "lớn hơn hoặc bằng",
        '≤' => "nhỏ hơn hoặc bằng",
        '≠' => "khác",
        '±' => "cộng trừ",
        '~' | '≈' | '∼' => "khoảng",
        '→' | '⇒' | '➜' | '↔' | '⇔' => "đến",
        '@' => "a còng",
        '#' | '№' => "số",
        '$' => "đô la",
        '€' => "ơ-rô",
        '₫' => "đồng",
        '°' | 'º' | '˚' => "độ",
        '²' => "bình phương",
        '³' => "lập phương",
        '§' => "mục",
        '√' => "căn",
        '|' => ",",
        _ => return None,
    })
}

/// The kind of a number that ended here or a space before.
fn number_before(scene: &Scene) -> Option<Kind> {
    let (kind, end) = scene.last.filter(|(kind, _)| kind.is_numeric())?;
    (end == scene.at || end + 1 == scene.at && scene.previous(scene.at) == Some(' ')).then_some(kind)
}

/// Reads a dash: "đến" between numbers, "âm" before one, a pause between abbreviations.
fn dash(scene: &Scene) -> Option<Taken> {
    let end = scene.at + 1;
    let next = scene.after_space(end);
    let said = |words: &str| Some(Taken::new(words, end, Kind::Link));
    if let Some(kind) = number_before(scene)
        && scene.char(next).is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '+' | '('))
    {
        return from_number_to_number(scene, kind, next);
    }
    if is_of_days(scene) {
        return said(", ");
    }
    if number_before(scene).is_some() && goes_to_its_like(scene, next) || is_a_time_to_another(scene, next) {
        return said("đến");
    }
    // "Kính mời: - Ban chi uỷ; - Ban công tác Mặt trận"
    let item = scene.chars[..scene.at].iter().rev().find(|c| **c != ' ');
    if next > end && item.is_some_and(|c| matches!(c, ':' | ';')) {
        return said("");
    }
    let glued = next == end && scene.is_word(end);
    match scene.last {
        Some((Kind::Roman, last))
            if scene.at - last <= 1 && (glued || next > end) && is_roman(scene, next) =>
        {
            return Some(Taken::new("đến", end, Kind::Link));
        }
        Some((Kind::Weekday, last)) if scene.at - last <= 1 && scene.is_word(next) => {
            return Some(Taken::new("đến", end, Kind::Link));
        }
        Some((Kind::Abbreviation, last)) if last == scene.at && glued => return said(", "),
        // "mẫu 04-CS"
        Some((Kind::Number, last))
            if last == scene.at
                && scene.char(end).is_some_and(char::is_uppercase)
                && scene.char(end + 1).is_some_and(char::is_uppercase)
                && !is_roman(scene, next) =>
        {
            return said(", ");
        }
        // "RON95-III"
        Some((Kind::Number, last)) if last == scene.at && glued && is_roman(scene, next) => return said(" "),
        _ => {}
    }
    let before = scene.previous(scene.at);
    // "nhóm máu A-"
    if before.is_some_and(|c| matches!(c, 'A' | 'B' | 'O')) && !glued && scene.before().contains("nhóm") {
        return said("trừ");
    }
    let apart = before.is_none_or(|c| c.is_whitespace() || c == '(');
    if scene.is_digit(end) && apart {
        return said("âm");
    }
    // "Covid-19"; the number is read by itself.
    scene.is_digit(end).then(|| Taken::new(" ", end, Kind::Link))
}

/// Reads a dash between two numbers: "đến", or a pause where no range is meant.
fn from_number_to_number(scene: &Scene, kind: Kind, next: usize) -> Option<Taken> {
    let end = scene.at + 1;
    let said = |words: &str| Some(Taken::new(words, end, Kind::Link));
    let there = Scene { chars: scene.chars, at: next, last: None, since_number: usize::MAX };
    if kind == Kind::Phone || phone(&there).is_some() {
        return said(",");
    }
    // "18,5°N-110,2°E", "250kVA-22kV"
    let place = {
        let ended = scene.chars[..scene.at].iter().rposition(|c| *c != ' ').unwrap_or_default();
        let side = scene.char(ended).is_some_and(|c| matches!(c, 'N' | 'S' | 'B'));
        let number: Vec<_> =
            scene.chars[..ended].iter().rev().take(10).take_while(|c| !c.is_alphabetic()).collect();
        let other = scene.run_end(next, |c| c.is_ascii_digit() || matches!(c, '.' | ',' | '°'));
        let facing = matches!(scene.char(other), Some('E' | 'W' | 'Đ'));
        side && (number.contains(&&'°') || facing)
    };
    let before = scene.before();
    let named = before.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | ' '));
    let fertiliser = ends_with(named, &["npk", "dap"]) && kind == Kind::Number;
    let other = scene.run_end(next, |c| c.is_ascii_digit() || matches!(c, '.' | ','));
    let current = before.ends_with('v')
        && ["Hz", "A", "W", "kW", "KW", "HP"].iter().any(|unit| scene.stands(other, unit));
    if place || fertiliser || current || before.ends_with("kva") || is_a_plot(scene, scene.at) {
        return said(",");
    }
    let spaced = next > end;
    // "5-3=2"
    if kind == Kind::Number && scene.char(scene.after_space(scene.digits_end(next))) == Some('=') {
        return said("trừ");
    }
    let (day, clock) = (date(&there).is_some(), time(&there).is_some());
    match kind {
        Kind::Date if clock && !day && !after_a_time(scene) => said(","),
        Kind::Time if (day || spaced && is_a_day(scene, next)) && !clock => said(","),
        Kind::Ordinal if day && spaced => said(","),
        Kind::Ordinal => Some(Taken::new("đến thứ", end, Kind::Link)),
        Kind::Month => Some(Taken::new("đến tháng", end, Kind::Link)),
        _ if is_of_the_moon(scene) => Some(Taken::new("đến mùng", end, Kind::Link)),
        Kind::Day if !day => Some(Taken::new("đến ngày", end, Kind::Link)),
        _ if scene.char(next) == Some('(') => None,
        _ => said("đến"),
    }
}

/// Tells whether a day and a month stand at a place: "14h - 2/12".
fn is_a_day(scene: &Scene, from: usize) -> bool {
    let day = scene.short(from).filter(|(day, end)| *day <= 31 && scene.char(*end) == Some('/'));
    day.and_then(|(_, end)| scene.short(end + 1))
        .is_some_and(|(month, end)| month <= 12 && !scene.is_word(end))
}

/// Tells whether a dash is one of two or more between days: "T2-T4-T6".
fn is_of_days(scene: &Scene) -> bool {
    let day =
        |from: usize| scene.char(from) == Some('T') && scene.is_digit(from + 1) && !scene.is_word(from + 2);
    let before =
        scene.at >= 5 && scene.char(scene.at - 3) == Some('-') && day(scene.at - 2) && day(scene.at - 5);
    let after = day(scene.at + 1) && scene.char(scene.at + 3) == Some('-') && day(scene.at + 4);
    before || after
}

/// Tells whether a time stands before the day before: "22h ngày 1/12 - 5h ngày 2/12".
fn after_a_time(scene: &Scene) -> bool {
    let before = scene.before();
    ["h ngày", "giờ ngày", "h, ngày", "phút ngày", "h00 ngày", "h30 ngày", "0 ngày", "5 ngày"]
        .iter()
        .any(|time| before.contains(time))
}

/// Tells whether the word after a dash names what the number before it names: "ngày 5/12 - ngày 8/12".
fn goes_to_its_like(scene: &Scene, next: usize) -> bool {
    const NAMES: [&str; 12] =
        ["ngày", "tháng", "quý", "năm", "thứ", "cấp", "km", "lớp", "tuổi", "điều", "khoản", "chủ"];
    let word = scene.next_word(next);
    let name = if word == "chủ" { "thứ" } else { word.as_str() };
    // "T12-T15", "BĐ1-BĐ2": of the same letters.
    let letters = |from: usize| {
        let end = scene.run_end(from, char::is_uppercase);
        if scene.is_digit(end) { scene.text(from, end) } else { String::new() }
    };
    let run = scene.chars[..scene.at].iter().rev().take(6).take_while(|c| c.is_alphanumeric()).count();
    let mark = letters(next);
    if !mark.is_empty() && mark == letters(scene.at - run) {
        return true;
    }
    NAMES.contains(&name) && scene.before().contains(name)
        || word.starts_with("km") && scene.before().contains("km")
}

/// Tells whether "mùng" names the day before a dash: "mùng 6-8 tháng Giêng".
fn is_of_the_moon(scene: &Scene) -> bool {
    let before = scene.before();
    let named = before.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    named.ends_with("mùng") || named.ends_with("mồng")
}

/// Tells whether a dash stands between two spans or two days of the moon: "6 tháng - 3 năm", "22 tháng Chạp - mùng 5".
fn is_a_time_to_another(scene: &Scene, next: usize) -> bool {
    const SPANS: [&str; 8] = ["phút", "giờ", "ngày", "tuần", "tháng", "năm", "tuổi", "triệu"];
    if next != scene.at + 2 || scene.previous(scene.at) != Some(' ') {
        return false;
    }
    let before = scene.before();
    let word = before.rsplit(' ').next().unwrap_or_default();
    let digits = scene.digits_end(next);
    let span = digits > next && SPANS.contains(&scene.next_word(digits).as_str());
    let moon = matches!(scene.next_word(next).as_str(), "mùng" | "mồng" | "rằm");
    // "Thứ Hai - Thứ Sáu"
    let days = ["hai", "ba", "tư", "năm", "sáu", "bảy"].contains(&word)
        && before.trim_end_matches(word).ends_with("thứ ");
    let of_a_week = scene.text(next, next + 4).to_lowercase() == "thứ " || scene.stands(next, "Chủ nhật");
    if days && of_a_week {
        return true;
    }
    scene.since_number <= 2 && (span && SPANS.contains(&word) || moon && before.contains("tháng"))
}

fn is_roman(scene: &Scene, from: usize) -> bool {
    let end = scene.word_end(from);
    end - from <= 8 && super::numbers::roman(&scene.text(from, end)).is_some()
}

/// Tells whether an `x` stands by itself between a count and a number: "3 viên x 2 lần".
fn is_dose(scene: &Scene) -> bool {
    let apart = scene.previous(scene.at) == Some(' ') && scene.char(scene.at + 1) == Some(' ');
    let side =
        matches!(scene.next_word(scene.at + 1).as_str(), "hệ" | "dài" | "rộng" | "cao" | "sâu" | "dày");
    apart && scene.since_number <= WORDS_OF_A_COUNT && (side || scene.is_digit(scene.at + 2))
}

/// Reads a slash: "một" before what is counted, "trên" between numbers, a pause between words.
fn slash(scene: &Scene) -> Option<Taken> {
    let end = scene.at + 1;
    let said = |words: &str| Some(Taken::new(words, end, Kind::Link));
    // "3G/4G"
    if scene.previous(scene.at) == Some('G') && scene.char(end + 1) == Some('G') {
        return said(", ");
    }
    if let Some(kind) = number_before(scene)
        && scene.is_digit(end)
    {
        // "từ 19h/26 đến 7h/27"
        let day = scene
            .short(end)
            .filter(|(day, close)| *day <= 31 && !matches!(scene.char(*close), Some('/' | '-')));
        if kind == Kind::Time && day.is_some() {
            return said(", ngày");
        }
        return said(if matches!(kind, Kind::Phone | Kind::Date | Kind::Time) { ", " } else { "trên" });
    }
    let word = scene.chars[..scene.at].iter().rev().take(12).take_while(|c| c.is_alphabetic()).count();
    let left = scene.text(scene.at - word, scene.at);
    let kin = matches!(left.as_str(), "mẹ" | "bố" | "cha" | "ông" | "bà" | "vợ" | "anh" | "nam");
    let counted = scene.since_number <= WORDS_OF_A_COUNT && !kin
        || matches!(
            left.as_str(),
            "đồng" | "triệu" | "nghìn" | "tạ" | "tấn" | "yến" | "lít" | "kg" | "mg" | "ml"
        );
    if counted
        && word > 0
        && let Some((words, close)) = per(scene, &left, scene.at)
    {
        return Some(Taken::new(words, close, Kind::Link));
    }
    let capital = left.chars().all(char::is_uppercase) && scene.char(end).is_some_and(char::is_uppercase);
    match scene.char(end) {
        Some(next) if next.is_alphanumeric() && capital && word == 1 => said(" "),
        Some(next) if next.is_alphanumeric() && word > 0 => said(", "),
        _ if scene.is_digit(end) => said("trên"),
        _ => said(","),
    }
}

/// Tells whether a colon parts a ratio: "tỷ lệ 3:7", "bản đồ 1:500".
fn is_a_ratio(scene: &Scene, next: usize) -> bool {
    let one = scene.previous(scene.at) == Some('1') && !scene.is_digit(scene.at.saturating_sub(2));
    let before: String = scene.chars[scene.at.saturating_sub(30)..scene.at].iter().collect();
    before.contains(" lệ ") || one && before.contains("pha ") || one && scene.digits_end(next) >= next + 3
}

/// Reads a sign that is one only between two numbers.
fn between_numbers(scene: &Scene, sign: char) -> Option<Taken> {
    number_before(scene)?;
    let next = scene.after_space(scene.at + 1);
    let spaced = next > scene.at + 1;
    let close = scene.last.is_some_and(|(_, end)| end == scene.at);
    if !scene.is_digit(next) {
        return None;
    }
    let said = match sign {
        'x' | 'X' | '×' | '*' => "nhân",
        ':' if spaced && !close => "chia",
        ':' if !spaced && close && is_a_ratio(scene, next) => "trên",
        ':' if !spaced && close => "hai chấm",
        '.' if !spaced && close => "chấm",
        ',' if !spaced && close => ", ",
        _ => return None,
    };
    Some(Taken::new(said, scene.at + 1, Kind::Link))
}
