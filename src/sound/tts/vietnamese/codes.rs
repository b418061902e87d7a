//! Numbers that name something: telephones, plates of vehicles, papers and their sections.

use super::clues::is_of_a_bank;
use super::numbers::{cardinal, code, number, spelled};
use super::quantities::BEFORE_A_CODE;
use super::scene::{Kind, Scene, Taken, ends_with};

/// Words before a short number that is called.
const CALLED: &[&str] = &[
    "gọi",
    "gọi số",
    "công an",
    "pccc",
    "cnch",
    "cháy nổ",
    "sự cố",
    "y tế",
    "máy",
    "gọi ngay",
    "báo ngay",
    "báo ngay số",
    "bạo lực gia đình",
    "gọi đến",
    "gọi tới",
    "gọi điện",
    "số máy",
    "đường dây nóng",
    "dây nóng",
    "tổng đài",
    "tổng đài số",
    "hotline",
    "điện thoại",
    "điện thoại số",
    "số điện thoại",
    "đầu số",
    "cảnh sát",
    "cứu hỏa",
    "cứu hoả",
    "cấp cứu",
    "cứu thương",
    "cứu nạn",
    "tư vấn trẻ em",
    "bảo vệ trẻ em",
    "báo cháy",
    "chữa cháy",
    "sđt",
    "đt",
    "tel",
    "phone",
    "di động",
    "zalo",
    "viber",
    "liên hệ",
    "liên hệ số",
    "qua số",
    "theo số",
    "bấm",
    "phím",
    "nhắn tin",
];
/// Words before any short number that is called.
const SERVICES: &[&str] = &[
    "gọi số",
    "gọi điện",
    "số máy",
    "đường dây nóng",
    "dây nóng",
    "tổng đài",
    "tổng đài số",
    "hotline",
    "điện thoại số",
    "đầu số",
    "máy lẻ",
    "phím",
    "bấm",
    "bấm phím",
    "nhắn tin",
    "gửi số",
    "gửi tới số",
    "gửi đến số",
    "yte gửi",
    "tin gửi",
    "số điện thoại",
];
/// Words before a paper's number that is written without its letters.
const PAPERS: &[&str] = &[
    "nghị định",
    "quyết định",
    "thông tư",
    "nghị quyết",
    "chỉ thị",
    "luật",
    "pháp lệnh",
    "công văn",
    "lệnh",
    "liên tịch",
    "nghị định số",
    "quyết định số",
    "thông tư số",
    "nghị quyết số",
    "chỉ thị số",
    "luật số",
    "pháp lệnh số",
    "công văn số",
    "nđ",
    "nđ số",
    "qđ",
    "qđ số",
    "tt",
    "tt số",
    "nq",
    "nq số",
];
/// Words before the number of a section: "mục 1.2.3".
const SECTIONS: &[&str] = &[
    "mục",
    "tiểu mục",
    "phần",
    "bảng",
    "hình",
    "phiên bản",
    "chương",
    "điều",
    "khoản",
    "điểm",
    "phụ lục",
    "biểu",
    "bài",
    "bước",
    "phòng",
    "phiên bản số",
    "bản",
    "bản cập nhật",
    "version",
    "android",
    "bluetooth",
    "ios",
    "usb",
    "windows",
    "ver",
];
/// Groups of a telephone number.
const PHONE_GROUPS_MAX: usize = 7;

/// Reads a telephone number in its groups.
pub(super) fn phone(scene: &Scene) -> Option<Taken> {
    let first = scene.char(scene.at)?;
    if !matches!(first, '(' | '+') && !first.is_ascii_digit() {
        return None;
    }
    short_number(scene).or_else(|| long_number(scene))
}

/// A number of police, fire brigade or a service: "gọi 113".
fn short_number(scene: &Scene) -> Option<Taken> {
    let end = scene.digits_end(scene.at);
    let emergency = |from: usize| {
        scene.digits_end(from) == from + 3 && matches!(scene.value(from, from + 3), 111..=119 | 156)
    };
    if !(3..=5).contains(&(end - scene.at)) || scene.is_word(end) {
        return None;
    }
    let row = scene.stands(end, ", ")
        && emergency(end + 2)
        && scene.value(end + 2, end + 5) == scene.value(scene.at, end) + 1;
    let together = row && emergency(scene.at)
        || scene.char(end) == Some('/') && emergency(scene.at) && emergency(end + 1);
    let listed = scene.goes_on(Kind::Phone);
    let line = scene.line();
    let services = ["tổng đài", "đường dây nóng", "hotline", "sđt", "số điện thoại", "khẩn cấp"];
    let composed = ["soạn", "cú pháp"].iter().any(|word| line.contains(word));
    let sent = (composed || end - scene.at == 4 && matches!(scene.char(scene.at), Some('5'..='9')))
        && scene.follows(&["gửi", "gửi tới", "gửi đến"])
        && scene.next_word(end).is_empty();
    let of_a_service = emergency(scene.at)
        && scene.next_word(end).is_empty()
        && services.iter().any(|service| line.contains(service));
    let called = listed
        || sent
        || of_a_service
        || if emergency(scene.at) { scene.follows(CALLED) } else { scene.follows(SERVICES) };
    let counted = matches!(scene.char(end), Some('.' | ',' | '/')) && scene.is_digit(end + 1);
    let more = scene.is_digit(end + 1) || scene.stands(end + 1, "xx");
    let group = scene.char(end) == Some(' ') && more && !emergency(end + 1);
    let fits = together || called && !counted && !group && scene.char(scene.at) != Some('0');
    let noun = matches!(
        scene.next_word(end).as_str(),
        "hộ" | "người"
            | "đồng"
            | "đ"
            | "tin"
            | "lần"
            | "triệu"
            | "nghìn"
            | "thanh"
            | "công"
            | "nam"
            | "nữ"
            | "cháu"
            | "em"
            | "suất"
            | "trường"
            | "vụ"
            | "cán"
            | "chiến"
            | "học"
    );
    (fits && !noun).then(|| Taken::new(spelled(&scene.text(scene.at, end)), end, Kind::Phone))
}

fn long_number(scene: &Scene) -> Option<Taken> {
    let bracket = scene.char(scene.at) == Some('(');
    let mut at = scene.at + usize::from(bracket);
    let abroad = scene.char(at) == Some('+');
    at += usize::from(abroad);
    let (mut groups, mut total, mut best) = (Vec::new(), 0, None);
    while groups.len() < PHONE_GROUPS_MAX {
        let hidden = |c: char| matches!(c, 'x' | 'X' | '*');
        let starred = !groups.is_empty() || scene.char(at) == Some('0');
        let end = scene.run_end(at, |c| c.is_ascii_digit() || hidden(c) && starred);
        if end == at || end - at > 13 || groups.is_empty() && scene.char(end).is_some_and(char::is_alphabetic)
        {
            break;
        }
        groups.push(scene.text(at, end).to_lowercase());
        total += end - at;
        let closed = bracket && groups.len() == 1;
        if closed && scene.char(end) != Some(')') {
            return None;
        }
        let end = end + usize::from(closed);
        if !scene.is_word(end) && is_phone(scene, &groups, total, abroad) {
            best = Some((groups.clone(), end));
        }
        let next = end + usize::from(matches!(scene.char(end), Some(' ' | '.' | '-')));
        if next == end && !closed || total >= 12 {
            break;
        }
        at = next;
    }
    let (groups, end) = best?;
    let said: Vec<_> = groups
        .iter()
        .enumerate()
        .map(|(n, group)| {
            group_said(group, n == 0 && (abroad || group.len() == 11 && group.starts_with("84")))
        })
        .collect();
    Some(Taken::new(format!("{}{}", if abroad { "cộng " } else { "" }, said.join(", ")), end, Kind::Phone))
}

fn group_said(group: &str, abroad: bool) -> String {
    match group.split_at_checked(2) {
        Some((country, rest)) if abroad && !rest.is_empty() => {
            format!("{}, {}", spelled(country), code(rest))
        }
        // A number of a household, after the digits of its province.
        _ if group.len() == 7 && !group.starts_with(['0', '1']) => {
            format!("{}, {}", spelled(&group[..4]), spelled(&group[4..]))
        }
        _ if group.len() > 5 => code(group),
        _ => spelled(group),
    }
}

/// Tells whether groups of digits are a telephone number of this country.
fn is_phone(scene: &Scene, groups: &[String], total: usize, abroad: bool) -> bool {
    let first = groups[0].as_str();
    if abroad {
        return (9..=13).contains(&total) && first.starts_with(|c| c != '0');
    }
    let service = matches!(first.get(..4), Some("1900" | "1800")) && matches!(total, 8 | 10);
    if service && (first.len() == 4 || first.len() == total) {
        let dashed = scene.char(scene.at + 4) == Some('-');
        let year = scene.follows(&["năm", "từ năm", "khoảng"]) || dashed && !scene.follows(CALLED);
        let end = scene.digits_end(scene.at);
        let thing = scene.next_word(end);
        let counted = matches!(thing.as_str(), "đồng" | "đ" | "vnđ" | "vnd" | "người" | "hộ");
        return !(year || counted && first.len() == total);
    }
    let mobile = first.starts_with(['0']) && matches!(first.as_bytes().get(1), Some(b'3' | b'5'..=b'9'));
    let landline = first.starts_with("02");
    let area = first.len() >= 3;
    let country = first.starts_with("84")
        && matches!(first.as_bytes().get(2), None | Some(b'3' | b'5' | b'7' | b'8' | b'9'));
    let whole = groups.len() == 1 && (6..=8).contains(&total) && !first.starts_with('0');
    match () {
        () if country && total == 11 => {
            let end = scene.digits_end(scene.at);
            !matches!(scene.next_word(end).as_str(), "đồng" | "đ" | "vnđ" | "vnd")
        }
        () if whole => {
            scene.follows(&["đt", "sđt", "tel", "điện thoại", "số điện thoại", "hotline", "tổng đài"])
        }
        // "03.8888.7777"
        () if (mobile || landline) && first.len() == 2 => {
            total == 10 && groups.len() == 3 && groups[1..].iter().all(|group| group.len() == 4)
        }
        () if mobile && area => total == 10 || total == 11 && groups.len() > 1,
        () if landline && area => matches!(total, 10 | 11),
        // A number without its area: only where one is announced.
        () => {
            matches!(total, 7 | 8)
                && groups.len() == 2
                && (3..=4).contains(&first.len())
                && !first.starts_with('0')
                && (ends_with(&scene.before(), CALLED) || scene.goes_on(Kind::Phone))
        }
    }
}

/// Reads the number of an account or a card that is written in groups.
pub(super) fn account(scene: &Scene) -> Option<Taken> {
    if !scene.is_digit(scene.at) || !scene.follows(BEFORE_A_CODE) && !is_of_a_bank(scene) {
        return None;
    }
    let (mut groups, mut end, mut total) = (Vec::new(), scene.at, 0);
    loop {
        let close = scene.digits_end(end);
        total += close - end;
        groups.push(code(&scene.text(end, close)));
        end = close;
        let next = matches!(scene.char(end), Some(' ' | '.' | '-')) && scene.is_digit(end + 1);
        if !next || groups.len() > 8 {
            break;
        }
        end += 1;
    }
    (groups.len() > 1 && total >= 6 && !scene.is_word(end))
        .then(|| Taken::new(groups.join(", "), end, Kind::Other))
}

/// Reads a code of letters and digits in parts, after a word that announces one: "mã hồ sơ H19.26-261126-0005".
pub(super) fn mixed(scene: &Scene) -> Option<Taken> {
    if !scene.char(scene.at)?.is_ascii_uppercase() || !scene.follows(BEFORE_A_CODE) {
        return None;
    }
    let belongs = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '/');
    let mut end = scene.run_end(scene.at, belongs);
    // "GD479 0123456789"
    let tail = scene.digits_end(end + 1);
    let opens = scene.is_digit(end - 1) && tail > end + 5
        || end == scene.at + 2
            && tail > end + 8
            && scene.follows(&["mã", "mã thẻ", "số thẻ", "thẻ số", "mã số"]);
    if scene.char(end) == Some(' ') && opens && !scene.is_word(tail) {
        end = tail;
    }
    while end > scene.at && !scene.chars[end - 1].is_ascii_alphanumeric() {
        end -= 1;
    }
    const PARTS: [char; 4] = ['.', '-', '/', ' '];
    let text = scene.text(scene.at, end);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !(5..=30).contains(&digits) || scene.is_word(end) {
        return None;
    }
    let part = |part: &str| {
        let letters = part.len() - part.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
        let (letters, rest) = part.split_at(letters);
        let rest = match rest.len() {
            1..=2 if rest.bytes().all(|b| b.is_ascii_digit()) && !rest.starts_with('0') => number(rest),
            _ => code(rest),
        };
        [spaced(letters), rest].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let plain = text.split(PARTS).all(|part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_uppercase());
        rest.bytes().all(|b| b.is_ascii_digit())
    });
    plain.then(|| {
        let said: Vec<_> = text.split(PARTS).filter(|part| !part.is_empty()).map(part).collect();
        Taken::new(said.join(", "), end, Kind::Other)
    })
}

/// Reads the plate of a vehicle: `29A-123.45`, `59-X1 123.45`, `61A-12345`.
pub(super) fn plate(scene: &Scene) -> Option<Taken> {
    let province = scene.at + 2;
    if scene.digits_end(scene.at) != province || scene.chars.len() < scene.at + 6 {
        return None;
    }
    let letters = province + usize::from(scene.char(province) == Some('-'));
    let close = scene.run_end(letters, |c| c.is_ascii_uppercase() || c == 'Đ');
    let series = if scene.is_digit(close) && !scene.is_digit(close + 1) { close + 1 } else { close };
    if !(1..=2).contains(&(close - letters)) {
        return None;
    }
    let from = series + usize::from(matches!(scene.char(series), Some('-' | ' ' | '.')));
    let end = scene.digits_end(from);
    let dotted = end == from + 3 && scene.char(end) == Some('.') && scene.digits_end(end + 1) == end + 3;
    let end = if dotted { end + 3 } else { end };
    let whole = !dotted
        && (4..=5).contains(&(end.saturating_sub(from)))
        && (scene.char(series) == Some('-')
            || scene.follows(&[
                "số",
                "xe",
                "biển",
                "biển số",
                "bks",
                "máy",
                "tải",
                "khách",
                "con",
                "tô",
                "ôtô",
                "bs",
            ]));
    if from == series && series == close || scene.is_word(end) || !dotted && !whole {
        return None;
    }
    let mut words =
        format!("{} {}", spelled(&scene.text(scene.at, province)), spaced(&scene.text(letters, close)));
    if series > close {
        words = format!("{words} {}", spelled(&scene.text(close, series)));
    }
    let groups = if dotted {
        vec![scene.text(from, from + 3), scene.text(from + 4, end)]
    } else {
        vec![scene.text(from, end)]
    };
    let groups: Vec<_> = groups.iter().map(|group| spelled(group)).collect();
    Some(Taken::new(format!("{words}, {}", groups.join(", ")), end, Kind::Other))
}

/// Gives letters with a space between each, as an engine spells them.
pub(super) fn spaced(letters: &str) -> String {
    letters.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

/// Reads the number of a paper: `15/2020/NĐ-CP`, `135/QĐ-UBND`, `18-NQ/TW`, and after its name `15/2020`.
pub(super) fn document(scene: &Scene) -> Option<Taken> {
    let digits = scene.digits_end(scene.at);
    if digits == scene.at || digits - scene.at > 6 {
        return None;
    }
    // "02a/ĐK" has a letter of its own.
    let number_end = digits + usize::from(scene.char(digits).is_some_and(|c| matches!(c, 'a'..='h')));
    let slash = scene.char(number_end).filter(|c| matches!(c, '/' | '-'))?;
    let year = if slash == '/' { scene.year(number_end + 1) } else { None };
    let after = year.map_or(number_end, |(_, end)| end);
    let signs = scene.char(after).filter(|c| matches!(c, '/' | '-')).and_then(|_| signs(scene, after + 1));
    let bare =
        year.is_some() && !scene.is_word(after) && scene.char(after) != Some('/') && scene.follows(PAPERS);
    if slash == '-' && !signs.as_ref().is_some_and(|(_, end)| scene.text(after, *end).contains('/')) {
        return None;
    }
    let (signs, end) = match signs {
        Some(found) => found,
        None if bare => (String::new(), after),
        None => return None,
    };
    let text = scene.text(scene.at, digits);
    let said = if text.starts_with('0') { spelled(&text) } else { number(&text) };
    let letter =
        if number_end > digits { format!(" {}", scene.text(digits, number_end)) } else { String::new() };
    let so = if scene.follows(&["số"]) { "" } else { "số " };
    let year = year.map(|(year, _)| format!(" năm {}", cardinal(year))).unwrap_or_default();
    Some(Taken::new(format!("{so}{said}{letter}{year}{signs}"), end, Kind::Other))
}

/// Reads the number of a standard with its year: "TCVN 5687:2024", "QCVN 01-1:2018/BYT".
pub(super) fn standard(scene: &Scene) -> Option<Taken> {
    const STANDARDS: &[&str] = &["tcvn", "qcvn", "tcxdvn", "tcxd", "tccs", "iso", "iec", "astm", "haccp"];
    let part = |from: usize| {
        let end = scene.digits_end(from);
        let text = scene.text(from, end);
        let said = if text.starts_with('0') { spelled(&text) } else { number(&text) };
        (1..=6).contains(&(end - from)).then_some((said, end))
    };
    if !scene.follows(STANDARDS) {
        return None;
    }
    let (mut said, mut end) = part(scene.at)?;
    while scene.char(end) == Some('-')
        && let Some((more, close)) = part(end + 1)
    {
        said = format!("{said} {more}");
        end = close;
    }
    scene.char(end).filter(|c| *c == ':')?;
    let (year, end) = scene.year(end + 1).filter(|(_, end)| !scene.is_word(*end))?;
    let signs = if scene.char(end) == Some('/') { signs(scene, end + 1) } else { None };
    let (signs, end) = signs.unwrap_or((String::new(), end));
    Some(Taken::new(format!("{said} hai chấm {}{signs}", cardinal(year)), end, Kind::Other))
}

/// Reads the letters of a paper's number, spelled, with a pause before each part: ", N Đ, C P".
fn signs(scene: &Scene, from: usize) -> Option<(String, usize)> {
    let capital = |index: usize| scene.char(index).is_some_and(char::is_uppercase);
    let belongs = |c: char| c.is_alphabetic() || c == '&';
    // "05/L-UBND"
    let single = scene.char(from + 1) == Some('-') && capital(from + 2);
    if !capital(from) || !capital(from + 1) && !single {
        return None;
    }
    let (mut said, mut end) = (String::new(), from);
    for _ in 0..6 {
        let close = scene.run_end(end, belongs);
        let letters = scene.text(end, close).replace('&', "và");
        let letters = letters.split("và").map(spaced).collect::<Vec<_>>().join(" và ");
        let tail = scene.digits_end(close);
        let digits = scene.text(close, tail);
        let digits = match digits.len() {
            0 => String::new(),
            // A board named after a paper.
            3 => format!(" {}", spelled(&digits)),
            _ => format!(" {}", number(&digits)),
        };
        said.push_str(&format!(", {letters}{digits}"));
        end = tail;
        let more = matches!(scene.char(end), Some('-' | '/' | '–')) && capital(end + 1);
        if !more || scene.is_word(end) {
            break;
        }
        end += 1;
    }
    (!scene.is_word(end)).then_some((said, end))
}

/// Reads a number on a door in an alley of an alley: "hẻm 45/12/3".
pub(super) fn door(scene: &Scene) -> Option<Taken> {
    const DOORS: &[&str] =
        &["số", "số nhà", "nhà", "nhà số", "ngõ", "ngách", "hẻm", "kiệt", "hẻm số", "ngõ số", "địa chỉ"];
    let (mut said, mut end) = (Vec::new(), scene.at);
    while said.len() < 6 {
        let close = scene.digits_end(end);
        if !(1..=4).contains(&(close - end)) {
            return None;
        }
        said.push(number(&scene.text(end, close)));
        end = close;
        if scene.char(end) != Some('/') || !scene.is_digit(end + 1) {
            break;
        }
        end += 1;
    }
    let letter = end + usize::from(scene.char(end).is_some_and(|c| c.is_ascii_uppercase()));
    let dated =
        scene.year(end.saturating_sub(4)).is_some() && scene.previous(end.saturating_sub(4)) == Some('/');
    let fits = said.len() >= 3 && !dated && !scene.is_word(letter) && scene.follows(DOORS);
    let name = if letter > end { format!(" {}", scene.text(end, letter)) } else { String::new() };
    fits.then(|| Taken::new(format!("{}{name}", said.join(" trên ")), letter, Kind::Other))
}

/// Reads the number of a section, point by point: "mục 1.2.3".
pub(super) fn section(scene: &Scene) -> Option<Taken> {
    let (mut said, mut end) = (Vec::new(), scene.at);
    loop {
        let (number, close) = scene.short(end)?;
        let zero = scene.char(end) == Some('0');
        said.push(if zero { spelled(&scene.text(end, close)) } else { cardinal(number) });
        end = close;
        if said.len() > 6 || scene.char(end) != Some('.') || !scene.is_digit(end + 1) {
            break;
        }
        end += 1;
    }
    let measured = || super::units::unit_after(scene, end).is_some();
    let fits = said.len() >= 2 && !scene.is_word(end) && scene.follows(SECTIONS) && !measured();
    fits.then(|| Taken::new(said.join(" chấm "), end, Kind::Other))
}
