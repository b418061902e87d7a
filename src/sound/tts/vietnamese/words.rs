//! Roman numerals, roads, and words of capitals and digits.

use super::abbreviations::{abbreviation, after_a_name, among_capitals};
use super::codes::spaced;
use super::numbers::{cardinal, code, number, ordinal, roman, spelled};
use super::scene::{Kind, Scene, Taken, ends_with};

/// Words after which a Roman numeral stands.
const BEFORE_A_ROMAN: &[&str] = &[
    "đại hội",
    "hội nghị",
    "thế kỷ",
    "thế kỉ",
    "tk",
    "khóa",
    "khoá",
    "quý",
    "chương",
    "mục",
    "phần",
    "khu vực",
    "thôn",
    "xóm",
    "ấp",
    "bản",
    "làng",
    "tổ",
    "loại",
    "cấp",
    "hạng",
    "kỳ",
    "kì",
    "kỳ họp",
    "lần",
    "thứ",
    "tập",
    "quyển",
    "bậc",
    "nhóm",
    "vùng",
    "giai đoạn",
    "đợt",
    "học kỳ",
    "phụ lục",
    "bảng",
    "tiểu mục",
    "báo động",
    "khu phố",
    "khóm",
    "liên khu",
    "quân khu",
    "quân đoàn",
    "điều",
    "kvđ",
    "tuyến",
    "tiểu khu",
    "vành đai",
    "đảng bộ khóa",
    "chuyên khoa",
    "trung ương",
    "nhiệm kỳ",
    "báo động cấp",
    "biểu",
    "phân khu",
    "kv",
    "nhà máy",
    "giải",
    "trạm",
    "lớp",
    "cụm",
    "vụ",
    "thi đua",
    "độ",
    "thế chiến",
    "khối",
    "chiến tranh thế giới",
];
/// Abbreviations of roads and the words for them, before the road's number.
const ROADS: &[(&str, &str)] = &[
    ("QL", "quốc lộ"),
    ("ĐT", "đường tỉnh"),
    ("DT", "đường tỉnh"),
    ("TL", "tỉnh lộ"),
    ("HL", "hương lộ"),
    ("ĐX", "đường xã"),
    ("ĐH", "đường huyện"),
];
/// Short capitals of other languages that are said as words.
const SAID_AS_WORDS: &[&str] =
    &["LED", "COVID", "ASEAN", "GAP", "JAZZ", "SEA", "VAR", "IELTS", "TOEIC", "TOEFL"];
const WEEKDAYS: &[&str] = &[
    "thứ hai",
    "thứ ba",
    "thứ tư",
    "thứ năm",
    "thứ sáu",
    "thứ bảy",
    "thứ 2",
    "thứ 3",
    "thứ 4",
    "thứ 5",
    "thứ 6",
    "thứ 7",
    "t2",
    "t3",
    "t4",
    "t5",
    "t6",
    "t7",
    "ngày",
    "sáng",
    "chiều",
    "tối",
    "trưa",
    "mỗi",
    "vào",
    "hằng",
    "nghỉ",
];

/// Words before `T9` where it is a month.
const BEFORE_A_MONTH: &[&str] = &[
    "so với", "lương", "tiền", "nước", "điện", "phí", "đầu", "cuối", "giữa", "từ", "đến", "trong", "hết",
    "trước", "cước", "kỳ", "sang", "của", "thu",
];

/// Reads a word that is more than its letters.
pub(super) fn word(scene: &Scene) -> Option<Taken> {
    if !scene.char(scene.at)?.is_alphabetic() {
        return None;
    }
    road(scene)
        .or_else(|| influenza(scene))
        .or_else(|| weekday(scene))
        .or_else(|| quarter(scene))
        .or_else(|| directions(scene))
        .or_else(|| if scene.follows(&["biển", "biển báo"]) { letter_of_a_number(scene) } else { None })
        .or_else(|| initials(scene))
        .or_else(|| person(scene))
        .or_else(|| abbreviation(scene))
        .or_else(|| dong(scene))
        .or_else(|| roman_numeral(scene))
        .or_else(|| letters_and_digits(scene))
        .or_else(|| capitals(scene))
        .or_else(|| letter_of_a_number(scene))
}

fn road(scene: &Scene) -> Option<Taken> {
    // "Giống lúa OM18, ĐT8", "sắn KM94"
    let before = scene.before();
    let is_a_breed = ["giống", "lúa ", "ngô ", "sắn ", "khoai ", "mì "]
        .iter()
        .any(|crop| format!("{before} ").contains(crop));
    for km in ["km", "Km", "KM"] {
        let after = scene.at + 2;
        if scene.stands(scene.at, km)
            && !(is_a_breed && km == "KM")
            && scene.is_digit(scene.after_space(after))
        {
            let discount = km == "KM" && is_a_discount(scene, scene.after_space(after));
            let said = if discount { "khuyến mãi" } else { "ki-lô-mét" };
            return Some(Taken::new(said, after, Kind::Other));
        }
    }
    if scene.stands(scene.at, "P.")
        && !scene.follows(&["biển", "biển báo"])
        && scene.digits_end(scene.at + 2) >= scene.at + 5
    {
        return Some(Taken::new("phòng", scene.at + 2, Kind::Other));
    }
    if scene.stands(scene.at, "ĐX") && scene.follows(&["lúa", "vụ", "vụ lúa", "giống"]) {
        return None;
    }
    let (_, said) = ROADS.iter().find(|(short, _)| scene.stands(scene.at, short))?;
    let after = scene.at + 2;
    let from = scene.after_space(after + usize::from(scene.char(after) == Some('.')));
    let digits = scene.digits_end(from);
    let end = digits + usize::from(scene.char(digits).is_some_and(|c| c.is_ascii_uppercase()));
    // "cách QL1 200m": the number after is of something else.
    let measured = scene.run_end(end + 1, |c| c.is_ascii_digit() || c == ',');
    let measure = scene.char(end) == Some(' ') && super::units::unit_after(scene, measured).is_some();
    let more = matches!(scene.char(end), Some(' ' | '.' | '/' | ',')) && scene.is_digit(end + 1) && !measure;
    let area = matches!(scene.next_word(end).as_str(), "m2" | "m²" | "ha" | "m" | "mét");
    let telephone = *said == "đường tỉnh" && scene.char(from) == Some('0');
    if is_a_breed && from == after
        || !(1..=4).contains(&(digits - from))
        || more
        || area
        || telephone
        || scene.is_word(end)
    {
        return None;
    }
    let letter = if end > digits { format!(" {}", scene.text(digits, end)) } else { String::new() };
    let number = number(&scene.text(from, digits));
    Some(Taken::new(format!("{said} {number}{letter}"), end, Kind::Abbreviation))
}

/// Tells whether per cents stand at a place: "KM 10-49%".
fn is_a_discount(scene: &Scene, from: usize) -> bool {
    let end = scene.run_end(from, |c| c.is_ascii_digit() || matches!(c, '-' | ',' | '.' | ' '));
    scene.char(end) == Some('%')
}

/// Takes the kind of an influenza out of its brackets, to be read once more: `A(H1N1)` as `A/H1N1`.
fn influenza(scene: &Scene) -> Option<Taken> {
    let letter = scene.char(scene.at).filter(|c| matches!(c, 'A' | 'B'))?;
    let close = scene.run_end(scene.at + 2, |c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let kind = scene.text(scene.at + 2, close);
    let fits = scene.char(scene.at + 1) == Some('(')
        && scene.char(close) == Some(')')
        && kind.starts_with('H')
        && kind.ends_with(|c: char| c.is_ascii_digit());
    fits.then(|| Taken::new(format!("{letter}/{kind}"), close + 1, Kind::Other))
}

/// Reads `T2` to `T7`, `CN` after one of these, and `T9/2026`.
fn weekday(scene: &Scene) -> Option<Taken> {
    if scene.stands(scene.at, "CN") && !scene.is_word(scene.at + 2) {
        let before = scene.before();
        let before = before.trim_end_matches([',', ' ', '-', '–', '/']);
        let before =
            [" và", " hoặc", " đến"].iter().find_map(|word| before.strip_suffix(word)).unwrap_or(before);
        let after_a_time = scene
            .connected()
            .is_some_and(|(kind, gap)| kind == Kind::Time && matches!(gap.as_str(), ", " | " "));
        let listed = scene.stands(scene.at + 2, " ngày ")
            || after_a_time
            || is_dated(scene)
            || scene.goes_on(Kind::Weekday)
            || scene.stands(scene.at + 2, " và T7")
            || is_before_a_time(scene, scene.at + 2)
            || ends_with(before, WEEKDAYS);
        return listed.then(|| Taken::new("chủ nhật", scene.at + 2, Kind::Weekday));
    }
    if scene.char(scene.at) != Some('T') {
        return None;
    }
    let (number, end) = scene.short(scene.at + 1)?;
    if scene.char(end) == Some('/') && (1..=12).contains(&number) {
        let (year, end) = year_of_two(scene, end + 1)?;
        let month = if number == 4 { ordinal(4) } else { cardinal(number) };
        return Some(Taken::new(format!("tháng {month} năm {}", cardinal(year)), end, Kind::Date));
    }
    // No day of the week has these: "lương T9", "T10-T12".
    let of_a_year = matches!(number, 1 | 8..=12)
        && !scene.is_word(end)
        && (scene.follows(BEFORE_A_MONTH) || scene.goes_on(Kind::Month));
    if of_a_year {
        return Some(Taken::new(format!("tháng {}", cardinal(number)), end, Kind::Month));
    }
    let built = scene.follows(&["toà", "tòa", "tầng", "nhà", "trạm", "cột", "trụ", "lô", "khu", "block"]);
    let fits = (2..=7).contains(&number) && end == scene.at + 2 && !scene.is_word(end) && !built;
    fits.then(|| Taken::new(format!("thứ {}", ordinal(number)), end, Kind::Weekday))
}

/// A year of four digits, or the last two of one of these decades: "T12/26".
fn year_of_two(scene: &Scene, from: usize) -> Option<(u64, usize)> {
    let short = || {
        scene.short(from).filter(|(year, _)| (20..50).contains(year)).map(|(year, end)| (2_000 + year, end))
    };
    scene.year(from).or_else(short).filter(|(_, end)| !scene.is_word(*end) && scene.char(*end) != Some('/'))
}

/// Reads `Q1/2026`; without a year it may be a district.
fn quarter(scene: &Scene) -> Option<Taken> {
    if scene.char(scene.at) != Some('Q') {
        return None;
    }
    let (number, end) = scene.short(scene.at + 1).filter(|(number, _)| (1..=4).contains(number))?;
    // "thu phí Q4", "Q3+Q4/2026"
    let more = ["+Q", "-Q", ", Q", " và Q"].iter().find(|sign| scene.stands(end, sign));
    let row = more.is_some_and(|sign| {
        scene.is_digit(end + sign.chars().count()) && !scene.is_digit(end + sign.chars().count() + 1)
    });
    if row && scene.char(end) == Some('-') {
        return Some(Taken::new(format!("quý {} đến ", cardinal(number)), end + 1, Kind::Other));
    }
    if row {
        return Some(Taken::new(format!("quý {}", cardinal(number)), end, Kind::Other));
    }
    if !scene.is_word(end) && scene.follows(&["phí", "phí rác", "thu", "trong", "hết", "đầu", "cuối", "kết"])
    {
        return Some(Taken::new(format!("quý {}", cardinal(number)), end, Kind::Other));
    }
    scene.char(end).filter(|c| matches!(c, '/' | '-'))?;
    let (year, end) = year_of_two(scene, end + 1)?;
    Some(Taken::new(format!("quý {} năm {}", cardinal(number), cardinal(year)), end, Kind::Date))
}

/// Reads the letters of a direction, as bulletins of the weather have them: "gió ĐB", "hướng TTB", "hướng WNW".
fn directions(scene: &Scene) -> Option<Taken> {
    const BEFORE: &[&str] =
        &["gió", "gió mùa", "hướng", "phía", "chếch", "theo hướng", "lệch", "bắc-", "nam-", "đông-", "tây-"];
    let end = scene.word_end(scene.at);
    let letters = &scene.chars[scene.at..end];
    let alone = letters.len() == 1 && scene.follows(&["phía", "hướng"]) && scene.char(end) != Some('.');
    if !alone && !(2..=3).contains(&letters.len())
        || !scene.follows(BEFORE) && !scene.goes_on(Kind::Direction)
    {
        return None;
    }
    let in_english = letters.iter().any(|c| matches!(c, 'E' | 'W' | 'S'));
    let said = |c: &char| match (c, in_english) {
        ('N', false) | ('S', true) => Some("Nam"),
        ('N', true) | ('B', false) => Some("Bắc"),
        ('Đ', false) | ('E', true) => Some("Đông"),
        ('T', false) | ('W', true) => Some("Tây"),
        _ => None,
    };
    let words: Option<Vec<_>> = letters.iter().map(said).collect();
    let mut words = words?;
    if in_english && words.len() > 1 {
        // "NW" is "Tây Bắc", "WNW" "Tây Tây Bắc".
        let pair = words.len() - 2;
        words[pair..].reverse();
    }
    Some(Taken::new(words.join(" "), end, Kind::Direction))
}

/// Tells whether a time comes after a place: "CN 6h30".
fn is_before_a_time(scene: &Scene, from: usize) -> bool {
    let from = scene.run_end(from, |c| matches!(c, ' ' | ',' | '(' | ':'));
    scene.short(from).is_some_and(|(_, end)| matches!(scene.char(end), Some('h' | 'H' | 'g' | ':')))
}

/// Tells whether a day of a month comes after "CN": "CN 6/12", "CN (13.12)".
fn is_dated(scene: &Scene) -> bool {
    let from = scene.run_end(scene.at + 2, |c| matches!(c, ' ' | ',' | '('));
    let day = scene.short(from).filter(|(_, end)| matches!(scene.char(*end), Some('/' | '.')));
    day.is_some_and(|(_, end)| scene.short(end + 1).is_some())
}

/// Reads a letter that a stop parts from its number: the sign "W.207".
fn letter_of_a_number(scene: &Scene) -> Option<Taken> {
    let letter = scene.char(scene.at).filter(char::is_ascii_uppercase)?;
    (scene.char(scene.at + 1) == Some('.') && scene.is_digit(scene.at + 2))
        .then(|| Taken::new(letter, scene.at + 2, Kind::Other))
}

/// Reads a name of which only the first letters are written: "em N.V.C.".
fn initials(scene: &Scene) -> Option<Taken> {
    const KNOWN: [&str; 4] = ["T.Ư", "T.W", "Đ.C", "Đ.T"];
    let (mut letters, mut end) = (String::new(), scene.at);
    while scene.char(end).is_some_and(char::is_uppercase) && !scene.is_word(end + 1) {
        letters.extend(scene.char(end));
        end += 1;
        if scene.char(end) != Some('.') || !scene.char(end + 1).is_some_and(char::is_uppercase) {
            break;
        }
        end += 1;
    }
    let whole = letters.chars().count() >= 2 && scene.previous(end).is_none_or(|c| c != '.');
    if !whole || KNOWN.contains(&scene.text(scene.at, end).as_str()) {
        return None;
    }
    // The last stop ends a sentence, or only the letters.
    let stop = scene.char(end) == Some('.') && !matches!(scene.char(end + 1), None | Some('\n'));
    let goes_on = stop && !scene.char(scene.after_space(end + 1)).is_some_and(char::is_uppercase);
    Some(Taken::new(spaced(&letters), end + usize::from(goes_on), Kind::Other))
}

/// Reads "a. Tuấn" and "C. Hà" beside a telephone number.
fn person(scene: &Scene) -> Option<Taken> {
    let said = match scene.char(scene.at)? {
        'a' | 'A' => "anh",
        'c' | 'C' => "chị",
        _ => return None,
    };
    let name = scene.after_space(scene.at + 2);
    let end = scene.word_end(name);
    let named = scene.char(scene.at + 1) == Some('.')
        && scene.char(name).is_some_and(char::is_uppercase)
        && scene.char(name + 1).is_some_and(char::is_lowercase);
    let apart = scene.chars[..scene.at].iter().rev().find(|c| **c != ' ');
    let reached = scene.last.is_some_and(|(kind, end)| kind == Kind::Phone && scene.at - end <= 3)
        || scene.text(end, end + 12).contains(" 0") && scene.digits_end(end) == end;
    let called = scene.follows(&["báo", "gọi", "gặp", "hỏi", "liên hệ", "lh", "nhắn", "qua", "cho"]);
    (named && reached && (called || matches!(apart, Some('(' | '-' | '–' | ',' | ';' | ':'))))
        .then(|| Taken::new(format!("{said} "), name, Kind::Abbreviation))
}

/// Reads `đ` without digits before it: "85 triệu đ/cây", "Giá (đ/kg)".
fn dong(scene: &Scene) -> Option<Taken> {
    let end = scene.at + 1;
    if scene.char(scene.at) != Some('đ') || scene.is_word(end) {
        return None;
    }
    let counted = scene.follows(&["trăm", "nghìn", "ngàn", "triệu", "tỷ", "tỉ"]);
    let column = scene.previous(scene.at) == Some('(')
        && scene.char(end) == Some(')')
        && scene.follows(&["số tiền", "thành tiền", "giá", "đơn giá", "giá bán", "mức thu", "mức hỗ trợ"]);
    let (words, close) = super::units::with_slashes(scene, "đồng", end);
    (counted || column || close > end).then(|| Taken::new(words, close, Kind::Quantity))
}

fn roman_numeral(scene: &Scene) -> Option<Taken> {
    let end = scene.word_end(scene.at);
    if end - scene.at > 8 {
        return None;
    }
    let text = scene.text(scene.at, end);
    let value = roman(&text)?;
    // "lớp C L C" is spelled.
    let alone = |index: usize| {
        scene.word_end(index) == index + 1 && scene.char(index).is_some_and(char::is_uppercase)
    };
    if end == scene.at + 1 && scene.char(end) == Some(' ') && alone(end + 1) {
        return None;
    }
    // "Elizabeth II", "RON 95-III": more than a letter, and no word of its own.
    let numbered = end - scene.at > 1
        && !is_syllable(&text.to_lowercase())
        && (after_a_name(scene) || scene.goes_on(Kind::Number));
    let of_a_number = end - scene.at > 1 && scene.follows(&["số"]);
    if !scene.follows(BEFORE_A_ROMAN) && !scene.goes_on(Kind::Roman) && !numbered && !of_a_number {
        return None;
    }
    if scene.char(end) == Some('.')
        && let Some((part, close)) = scene.short(end + 1).filter(|(_, close)| !scene.is_word(*close))
    {
        return Some(Taken::new(format!("{} chấm {}", cardinal(value), cardinal(part)), close, Kind::Other));
    }
    let said = if scene.follows(&["thứ"]) { ordinal(value) } else { cardinal(value) };
    if matches!(scene.char(end), Some('/' | '-'))
        && let Some((year, close)) = scene.year(end + 1).filter(|(_, close)| !scene.is_word(*close))
    {
        return Some(Taken::new(format!("{said} năm {}", cardinal(year)), close, Kind::Date));
    }
    Some(Taken::new(said, end, Kind::Roman))
}

/// Reads words of letters and digits, part by part: "H5N1", "K12".
fn letters_and_digits(scene: &Scene) -> Option<Taken> {
    let end = scene.word_end(scene.at);
    if !scene.chars[scene.at..end].iter().any(char::is_ascii_digit) {
        return None;
    }
    let kind = if scene.is_digit(end - 1) { Kind::Number } else { Kind::Other };
    let (mut said, mut at) = (Vec::new(), scene.at);
    while at < end {
        let digit = scene.is_digit(at);
        let close = scene.run_end(at, |c| c.is_alphanumeric() && c.is_ascii_digit() == digit);
        let part = scene.text(at, close);
        said.push(match digit {
            true if part.starts_with('0') => spelled(&part),
            true if part.len() > 3 && !is_year(&part) => code(&part),
            true => number(&part),
            false if is_spelled(&part) || names_a_number(&part, scene.is_digit(close)) => spaced(&part),
            false => part,
        });
        at = close;
    }
    Some(Taken::new(said.join(" "), end, kind))
}

fn is_year(digits: &str) -> bool {
    digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Tells whether letters only stand for what the digits after them count: `SE3`, `OM5451`.
fn names_a_number(letters: &str, before_digits: bool) -> bool {
    before_digits && letters.chars().count() == 2 && letters.chars().all(char::is_uppercase)
}

/// Spells capitals that nobody can say as a word, as "PDF".
fn capitals(scene: &Scene) -> Option<Taken> {
    let end = scene.word_end(scene.at);
    if end - scene.at > 8 {
        return None;
    }
    let text = scene.text(scene.at, end);
    let vowels = text.chars().any(is_vowel);
    if is_short_name(&text) && scene.char(end) != Some('.') {
        return Some(Taken::new(spaced(&text), end, Kind::Abbreviation));
    }
    let land = scene.follows(&["đất"]) && text.chars().count() == 3 && text.chars().all(char::is_uppercase);
    // "Permethrin 50EC"
    let strength = text.len() == 2
        && text.chars().all(|c| c.is_ascii_uppercase())
        && scene.previous(scene.at).is_some_and(|c| c.is_ascii_digit());
    if strength {
        return Some(Taken::new(spaced(&text), end, Kind::Abbreviation));
    }
    // Two letters are no name.
    let name = vowels && text.len() > 2;
    (land && !among_capitals(scene, end) || is_spelled(&text) && !(name && among_capitals(scene, end)))
        .then(|| Taken::new(spaced(&text), end, Kind::Abbreviation))
}

/// Tells whether a capital and a small letter are a name that nobody can say, as the vaccine "Td" or "Zn".
fn is_short_name(text: &str) -> bool {
    const SAID: [&str; 16] =
        ["Mr", "Ms", "Dr", "St", "Jr", "Sr", "Th", "Nh", "Ng", "Tr", "Ph", "Ch", "Kh", "Gh", "Vv", "Rh"];
    let mut chars = text.chars();
    let (Some(first), Some(second), None) = (chars.next(), chars.next(), chars.next()) else { return false };
    first.is_ascii_uppercase()
        && second.is_ascii_lowercase()
        && !is_vowel(first)
        && !is_vowel(second.to_ascii_uppercase())
        && !SAID.contains(&text)
}

const fn is_vowel(c: char) -> bool {
    matches!(c, 'A' | 'E' | 'I' | 'O' | 'U' | 'Y')
}

/// Tells whether capitals are said letter by letter: neither a Vietnamese syllable, nor a name like "YAGI".
fn is_spelled(text: &str) -> bool {
    let length = text.chars().count();
    if !(2..=8).contains(&length) || !text.chars().all(|c| c.is_ascii_uppercase() || c == 'Đ') {
        return false;
    }
    let (mut run, mut longest) = (0, 0);
    for c in text.chars() {
        run = if is_vowel(c) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    let name = length > 3 && longest < 3 || SAID_AS_WORDS.contains(&text);
    !is_syllable(&text.to_lowercase()) && !name
}

/// Tells whether a word in small letters without marks can be a Vietnamese syllable.
fn is_syllable(word: &str) -> bool {
    const ONSETS: [&str; 28] = [
        "ngh", "ch", "gh", "gi", "kh", "ng", "nh", "ph", "qu", "th", "tr", "b", "c", "d", "đ", "g", "h", "k",
        "l", "m", "n", "p", "r", "s", "t", "v", "x", "",
    ];
    const RHYMES: &[&str] = &[
        "a", "ac", "ach", "ai", "am", "an", "ang", "anh", "ao", "ap", "at", "au", "ay", "e", "ec", "em",
        "en", "eng", "enh", "eo", "ep", "et", "eu", "ech", "i", "ia", "ich", "iec", "iem", "ien", "ieng",
        "iep", "iet", "ieu", "im", "in", "inh", "ip", "it", "iu", "o", "oa", "oac", "oach", "oai", "oan",
        "oang", "oanh", "oat", "oay", "oc", "oe", "oen", "oi", "om", "on", "ong", "oong", "op", "ot", "u",
        "ua", "uan", "uat", "uay", "uc", "ue", "uech", "ui", "um", "un", "ung", "uoc", "uoi", "uom", "uon",
        "uong", "uot", "uou", "up", "ut", "uu", "uy", "uya", "uyen", "uyet", "uynh", "uych", "y", "yem",
        "yen", "yeu", "yet", "ich",
    ];
    ONSETS.iter().any(|onset| word.strip_prefix(onset).is_some_and(|rhyme| RHYMES.contains(&rhyme)))
}
