//! Numbers, times, dates, units and abbreviations of Vietnamese notices as they are read aloud.

/// Abbreviations in notices and the words for them. A longer one stands before those that it begins with.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("UBMTTQ", "Uỷ ban Mặt trận Tổ quốc"),
    ("UBND", "Uỷ ban nhân dân"),
    ("HĐND", "Hội đồng nhân dân"),
    ("MTTQ", "Mặt trận Tổ quốc"),
    ("PCTT", "phòng chống thiên tai"),
    ("TKCN", "tìm kiếm cứu nạn"),
    ("PCCC", "phòng cháy chữa cháy"),
    ("BHYT", "bảo hiểm y tế"),
    ("BHXH", "bảo hiểm xã hội"),
    ("CCCD", "căn cước công dân"),
    ("ATGT", "an toàn giao thông"),
    ("ANTT", "an ninh trật tự"),
    ("VSMT", "vệ sinh môi trường"),
    ("THPT", "trung học phổ thông"),
    ("THCS", "trung học cơ sở"),
    ("HTX", "hợp tác xã"),
    ("BCH", "ban chỉ huy"),
    ("BCĐ", "ban chỉ đạo"),
    ("CLB", "câu lạc bộ"),
    ("TP.HCM", "thành phố Hồ Chí Minh"),
    ("TPHCM", "thành phố Hồ Chí Minh"),
    ("TP.", "thành phố "),
    ("TP", "thành phố"),
    ("TX.", "thị xã "),
    ("TT.", "thị trấn "),
    ("QL", "quốc lộ "),
    ("TL", "tỉnh lộ "),
    ("ĐT", "điện thoại"),
];

/// Units that stand after a number, and how they are said.
const UNITS: &[(&str, &str)] = &[
    ("km/h", "ki-lô-mét trên giờ"),
    ("m/s", "mét trên giây"),
    ("m3/s", "mét khối trên giây"),
    ("m³/s", "mét khối trên giây"),
    ("km2", "ki-lô-mét vuông"),
    ("km²", "ki-lô-mét vuông"),
    ("km", "ki-lô-mét"),
    ("m2", "mét vuông"),
    ("m²", "mét vuông"),
    ("m3", "mét khối"),
    ("m³", "mét khối"),
    ("cm", "xen-ti-mét"),
    ("mm", "mi-li-mét"),
    ("m", "mét"),
    ("ha", "héc-ta"),
    ("kg", "ki-lô-gam"),
    ("g", "gam"),
    ("ml", "mi-li-lít"),
    ("l", "lít"),
    ("kV", "ki-lô-vôn"),
    ("kW", "ki-lô-oát"),
    ("°C", "độ xê"),
    ("oC", "độ xê"),
    ("ºC", "độ xê"),
    ("°", "độ"),
    ("%", "phần trăm"),
    ("đ", "đồng"),
    ("VND", "đồng"),
    ("VNĐ", "đồng"),
];

/// Words after which a number is a day of the month.
const BEFORE_A_DATE: &[&str] = &["ngày", "hôm", "từ", "đến", "sáng", "trưa", "chiều", "tối", "đêm", "hết"];
/// Digits beyond which a number is said digit by digit, as telephone numbers are.
const DIGITS_MAX: usize = 15;

/// `text` as a Vietnamese reader would say it; what is not recognised stays as it is.
pub fn readable(text: &str) -> String {
    let mut said = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = said.chars().next_back().is_some_and(char::is_alphanumeric);
        let taken = if first.is_ascii_digit() && !after_word {
            number_at(rest, &said)
        } else if after_word {
            None
        } else {
            abbreviation_at(rest)
        };
        match taken {
            Some((words, bytes)) => {
                said.push_str(&words);
                rest = &rest[bytes..];
            }
            None => {
                said.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    said
}

fn abbreviation_at(text: &str) -> Option<(String, usize)> {
    ABBREVIATIONS.iter().find_map(|(short, long)| {
        let rest = text.strip_prefix(short)?;
        let next = rest.chars().next();
        let roads = short.ends_with('L') && long.ends_with(' ');
        let ends = match next {
            Some(c) if short.ends_with('.') => c.is_alphabetic() || c == ' ',
            Some(c) if roads => c.is_ascii_digit(),
            Some(c) => !c.is_alphanumeric(),
            None => !roads,
        };
        // "TP. Huế" has its own space already.
        let spoken = if next == Some(' ') { long.trim_end() } else { long };
        ends.then(|| (spoken.to_owned(), short.len()))
    })
}

/// Reads what begins with a digit: a date, a time, or a number with its unit.
fn number_at(text: &str, before: &str) -> Option<(String, usize)> {
    let found = date_at(text, before).or_else(|| time_at(text)).or_else(|| quantity_at(text))?;
    let next = text[found.1..].chars().next();
    // "2.000kg" is a quantity, "24A" a name that stays.
    if next.is_some_and(char::is_alphanumeric) { None } else { Some(found) }
}

fn digits_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// `05/12/2026`, `5/12` and `12/2026` after a word of time.
fn date_at(text: &str, before: &str) -> Option<(String, usize)> {
    let first = digits_at(text);
    let rest = text[first.len()..].strip_prefix(['/', '-'])?;
    let separator = text.as_bytes()[first.len()];
    let second = digits_at(rest);
    let (a, b): (u32, u32) = (short(first)?, second.parse().ok()?);
    let mut bytes = first.len() + 1 + second.len();
    let third = text[bytes..].strip_prefix(separator as char).map(digits_at).filter(|year| year.len() == 4);
    if let Some(year) = third {
        if !(1..=31).contains(&a) || !(1..=12).contains(&b) || second.len() > 2 {
            return None;
        }
        bytes += 1 + year.len();
        let year = cardinal(year.parse().ok()?);
        return Some((format!("{} tháng {} năm {year}", day(a, before), cardinal(u64::from(b))), bytes));
    }
    if separator != b'/' {
        return None;
    }
    if second.len() == 4 && (1..=12).contains(&a) && (1_900..2_200).contains(&b) {
        let named = last_word(before) == "tháng";
        let month = cardinal(u64::from(a));
        let year = cardinal(u64::from(b));
        return Some((format!("{}{month} năm {year}", if named { "" } else { "tháng " }), bytes));
    }
    let dated = BEFORE_A_DATE.contains(&last_word(before).as_str())
        || first.starts_with('0')
        || second.starts_with('0');
    let calendar = (1..=31).contains(&a) && (1..=12).contains(&b) && second.len() <= 2;
    (calendar && dated).then(|| (format!("{} tháng {}", day(a, before), cardinal(u64::from(b))), bytes))
}

fn short(digits: &str) -> Option<u32> {
    if (1..=2).contains(&digits.len()) { digits.parse().ok() } else { None }
}

/// A day, with "mùng" up to the tenth, and with "ngày" unless it was just said.
fn day(day: u32, before: &str) -> String {
    let named = last_word(before) == "ngày";
    let mung = if day <= 10 { "mùng " } else { "" };
    format!("{}{mung}{}", if named { "" } else { "ngày " }, cardinal(u64::from(day)))
}

fn last_word(text: &str) -> String {
    text.split_whitespace().next_back().unwrap_or_default().to_lowercase()
}

/// `17h30`, `17h`, `17:30`, `17g30`.
fn time_at(text: &str) -> Option<(String, usize)> {
    let hours = digits_at(text);
    let hour = short(hours).filter(|hour| *hour <= 24)?;
    let mark = text[hours.len()..].chars().next()?;
    let minutes = digits_at(&text[hours.len() + mark.len_utf8()..]);
    let bytes = hours.len() + 1 + minutes.len();
    let minute = minutes.parse::<u64>().ok().filter(|minute| minutes.len() == 2 && *minute < 60);
    match (mark, minute) {
        ('h' | 'g' | 'H', None) if minutes.is_empty() => {
            Some((format!("{} giờ", cardinal(u64::from(hour))), bytes))
        }
        ('h' | 'g' | 'H' | ':', Some(0)) => Some((format!("{} giờ", cardinal(u64::from(hour))), bytes)),
        ('h' | 'g' | 'H' | ':', Some(minute)) => {
            let words = format!("{} giờ {} phút", cardinal(u64::from(hour)), cardinal(minute));
            // "17h30'" and "17h30p" name the minutes once more.
            let named = text[bytes..].starts_with('\'') || text[bytes..].starts_with('p');
            Some((words, bytes + usize::from(named)))
        }
        _ => None,
    }
}

/// `1.234,5 km`: points part thousands, a comma parts decimals; a range `3-5` is read "3 đến 5".
fn quantity_at(text: &str) -> Option<(String, usize)> {
    let (mut words, mut bytes) = figure_at(text)?;
    if let Some(second) = text[bytes..].strip_prefix(['-', '–'])
        && let Some((more, length)) = figure_at(second)
    {
        let dash = text[bytes..].len() - second.len();
        words = format!("{words} đến {more}");
        bytes += dash + length;
    }
    let rest = &text[bytes..];
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    if spaces <= 1
        && let Some((spoken, length)) = unit_at(&rest[spaces..])
    {
        return Some((format!("{words} {spoken}"), bytes + spaces + length));
    }
    Some((words, bytes))
}

fn unit_at(text: &str) -> Option<(&'static str, usize)> {
    let fits = |(short, long): &(&str, &'static str)| {
        let rest = text.strip_prefix(short)?;
        let ends = rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '/');
        ends.then_some((*long, short.len()))
    };
    UNITS.iter().find_map(fits)
}

fn figure_at(text: &str) -> Option<(String, usize)> {
    let first = digits_at(text);
    if first.is_empty() {
        return None;
    }
    let mut whole = first.to_owned();
    let mut bytes = first.len();
    while first.len() <= 3 && text[bytes..].starts_with('.') && digits_at(&text[bytes + 1..]).len() == 3 {
        whole.push_str(&text[bytes + 1..bytes + 4]);
        bytes += 4;
    }
    let telephone = first.len() > 1 && first.starts_with('0') || whole.len() > DIGITS_MAX;
    let mut words = match whole.parse() {
        Ok(number) if !telephone => cardinal(number),
        _ => whole.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect::<Vec<_>>().join(" "),
    };
    let decimals = text[bytes..].strip_prefix(',').map(digits_at).filter(|decimals| !decimals.is_empty());
    if let Some(decimals) = decimals {
        let spoken = match decimals.parse() {
            Ok(number) if !decimals.starts_with('0') && decimals.len() <= 2 => cardinal(number),
            _ => {
                decimals.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect::<Vec<_>>().join(" ")
            }
        };
        words = format!("{words} phẩy {spoken}");
        bytes += 1 + decimals.len();
    }
    Some((words, bytes))
}

const DIGITS: [&str; 10] = ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"];
/// Names of the powers of a thousand.
const GROUPS: [&str; 4] = ["", "nghìn", "triệu", "tỷ"];

/// A whole number in words, as in northern and standard usage: `105` "một trăm linh năm", `21` "hai mươi mốt".
fn cardinal(number: u64) -> String {
    if number == 0 {
        return DIGITS[0].to_owned();
    }
    let billions = number / 1_000_000_000;
    let mut words = Vec::new();
    if billions > 0 {
        words.push(format!("{} {}", cardinal(billions), GROUPS[3]));
    }
    for power in (0..3).rev() {
        let group = number / 1_000u64.pow(power) % 1_000;
        if group > 0 {
            words.push(hundreds(group, !words.is_empty()));
            if power > 0 {
                words.push(GROUPS[power as usize].to_owned());
            }
        }
    }
    words.join(" ")
}

/// A number below a thousand; `full` also says the hundreds that are not there.
fn hundreds(number: u64, full: bool) -> String {
    let [hundred, ten, one] = [number / 100, number / 10 % 10, number % 10].map(|digit| digit as usize);
    let mut words = Vec::new();
    if hundred > 0 || full {
        words.push(DIGITS[hundred]);
        words.push("trăm");
    }
    match ten {
        0 if one > 0 && !words.is_empty() => words.push("linh"),
        0 => {}
        1 => words.push("mười"),
        _ => words.extend([DIGITS[ten], "mươi"]),
    }
    match (ten, one) {
        (_, 0) => {}
        (2.., 1) => words.push("mốt"),
        (1.., 5) => words.push("lăm"),
        _ => words.push(DIGITS[one]),
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(readable(text), expected, "{text:?}");
    }

    #[test]
    fn numbers_are_words() {
        check("0", "không");
        check("10", "mười");
        check("15", "mười lăm");
        check("21", "hai mươi mốt");
        check("11", "mười một");
        check("55", "năm mươi lăm");
        check("105", "một trăm linh năm");
        check("1.005", "một nghìn không trăm linh năm");
        check("2026", "hai nghìn không trăm hai mươi sáu");
        check("1.500.000đ", "một triệu năm trăm nghìn đồng");
        check("3,5", "ba phẩy năm");
        check("12,05", "mười hai phẩy không năm");
        check("0912345678", "không chín một hai ba bốn năm sáu bảy tám");
        check("2.000.000.000", "hai tỷ");
    }

    #[test]
    fn times_and_dates_are_words() {
        check("17h30", "mười bảy giờ ba mươi phút");
        check("lúc 7h.", "lúc bảy giờ.");
        check("05:00", "năm giờ");
        check("17h30' ngày 05/12", "mười bảy giờ ba mươi phút ngày mùng năm tháng mười hai");
        check("ngày 20/11/2026", "ngày hai mươi tháng mười một năm hai nghìn không trăm hai mươi sáu");
        check("05/12", "ngày mùng năm tháng mười hai");
        check("tháng 12/2026", "tháng mười hai năm hai nghìn không trăm hai mươi sáu");
        check("3/4 số hộ", "ba/bốn số hộ");
    }

    #[test]
    fn units_and_abbreviations_are_words() {
        check("UBND xã", "Uỷ ban nhân dân xã");
        check("TP.Huế, TP. Vinh", "thành phố Huế, thành phố Vinh");
        check("cách 5 km", "cách năm ki-lô-mét");
        check("gió 60km/h", "gió sáu mươi ki-lô-mét trên giờ");
        check("từ 25-30°C", "từ hai mươi lăm đến ba mươi độ xê");
        check("95%", "chín mươi lăm phần trăm");
        check("QL1A và QL1", "quốc lộ 1A và quốc lộ một");
        check("ruộng 2 ha", "ruộng hai héc-ta");
    }

    #[test]
    fn what_is_unknown_stays() {
        for text in ["", "Xin chào bà con.", "nhà 24A", "COVID-19x", "TPHCMX", "a1"] {
            check(text, text);
        }
    }
}
