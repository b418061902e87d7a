//! Numbers with their separators, fractions, and the units and prices after them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::numbers::{cardinal, code, decimals, number, ordinal, spelled};
use super::scene::{Kind, Scene, Taken};

/// Units after a number and the words for them.
static UNITS: LazyLock<HashMap<Vec<char>, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("units.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(unit, said)| (unit.chars().collect(), said))
        .collect()
});
/// Characters of the longest unit.
const UNIT_CHARS_MAX: usize = 5;
/// Units that are too short to stand apart from their number: `2 L` may be a name.
const GLUED: &[&str] = &["Đ", "L", "V", "W", "CV", "HP", "bar"];
/// Things that are counted or paid for: "đồng/hộ" is "đồng một hộ".
const COUNTED: &[&str] = &[
    "học sinh",
    "phụ nữ",
    "bà mẹ",
    "sinh viên",
    "giáo viên",
    "nhân khẩu",
    "hộ",
    "người",
    "ngày",
    "tháng",
    "năm",
    "tuần",
    "giờ",
    "phút",
    "giây",
    "quý",
    "vụ",
    "lần",
    "lượt",
    "buổi",
    "đợt",
    "ca",
    "tiết",
    "con",
    "cây",
    "quả",
    "trái",
    "cái",
    "chiếc",
    "bộ",
    "bao",
    "gói",
    "hộp",
    "thùng",
    "chai",
    "lọ",
    "ống",
    "viên",
    "liều",
    "mũi",
    "suất",
    "phần",
    "cuốn",
    "quyển",
    "tờ",
    "xe",
    "nhà",
    "căn",
    "phòng",
    "lô",
    "thửa",
    "sào",
    "mẫu",
    "công",
    "xã",
    "phường",
    "huyện",
    "tỉnh",
    "thôn",
    "xóm",
    "ấp",
    "tổ",
    "lớp",
    "trường",
    "khẩu",
    "cháu",
    "trẻ",
    "em",
    "bé",
    "cụ",
    "hội viên",
    "đoàn viên",
    "cặp",
    "đôi",
    "kíp",
    "bữa",
    "đêm",
    "vé",
    "chuyến",
    "bình",
    "tấn",
    "tạ",
    "yến",
    "lít",
    "số",
    "đầu người",
    "mét",
    "khóm",
    "bụi",
    "luống",
    "hố",
    "gốc",
    "chậu",
    "khay",
    "chỉ",
    "lượng",
    "cuộc",
    "gian",
    "chỗ",
    "bàn",
    "mâm",
    "đoàn",
    "đội",
    "nhóm",
    "lồng",
    "ao",
    "thẻ",
    "hồ sơ",
    "trang",
    "đơn",
    "ki-ốt",
    "khóa",
    "khoá",
    "công trình",
    "mô hình",
    "dự án",
    "gia đình",
    "sản phẩm",
    "bài",
    "câu",
    "tập",
    "bức",
    "cột",
    "trụ",
    "bóng",
    "đèn",
    "loa",
    "cụm",
    "tuyến",
    "chi hội",
    "chi bộ",
    "thành viên",
    "đại biểu",
    "cử tri",
    "lao động",
    "công nhân",
    "học viên",
    "bệnh nhân",
    "điểm",
    "đơn vị",
    "kỳ",
    "học kỳ",
    "năm học",
    "tin",
    "túi",
    "can",
    "xô",
    "chuồng",
    "ổ",
    "đàn",
    "lứa",
    "cọc",
    "bó",
    "mớ",
    "nải",
    "buồng",
    "chùm",
    "lạng",
    "cân",
    "thước",
    "vòng",
    "hiệp",
    "trận",
    "ghế",
    "giường",
    "tầng",
    "ô",
    "dãy",
    "hội",
    "quỹ",
    "mặt hàng",
    "gian hàng",
    "xuồng",
    "thuyền",
    "cơ sở",
    "trường hợp",
];
/// Things that are counted, as they are shortened after a slash.
const SHORT_THINGS: &[(&str, &str)] = &[
    ("th", "tháng"),
    ("ng", "người"),
    ("hs", "học sinh"),
    ("HS", "học sinh"),
    ("SV", "sinh viên"),
    ("sv", "sinh viên"),
    ("CN", "công nhân"),
    ("tv", "thành viên"),
];
/// Words of money and count after which a price has "một" even before a measure: "đồng/kg".
const MONEY: &[&str] = &["đồng", "nghìn", "ngàn", "triệu", "tỷ", "tỉ", "đô la", "đô la mỹ", "ơ-rô"];
/// Words before a number that names something: it is said digit by digit.
pub(super) const BEFORE_A_CODE: &[&str] = &[
    "stk",
    "tài khoản",
    "tài khoản số",
    "số tài khoản",
    "cccd",
    "cccd số",
    "cmnd",
    "cmnd số",
    "căn cước",
    "công dân",
    "công dân số",
    "nhân dân số",
    "mã",
    "mã số",
    "mã bhxh",
    "mã bhyt",
    "mã thẻ",
    "mã số thuế",
    "mst",
    "số thẻ",
    "thẻ số",
    "bhxh",
    "bhyt",
    "bhxh số",
    "bhyt số",
    "seri",
    "serial",
    "số cccd",
    "số cmnd",
    "mã hồ sơ",
    "hồ sơ số",
    "mã vạch",
    "mã otp",
    "otp",
    "căn cước số",
    "giải đb",
    "giải đặc biệt",
    "vé số",
    "hộ chiếu số",
    "hộ chiếu",
    "giấy phép số",
    "mã khách hàng",
    "mã kh",
    "biên lai số",
    "hóa đơn số",
];

/// A number as it is written.
struct Figure {
    words: String,
    end: usize,
    /// The value of a whole number without separators, where it is short.
    plain: Option<u64>,
}

/// Reads a number, with the money before it and the unit after it; the same once more in brackets is not read.
pub(super) fn quantity(scene: &Scene) -> Option<Taken> {
    let taken = amount(scene)?;
    let end = after_the_same(scene, &taken.words, taken.end);
    Some(Taken { end, ..taken })
}

/// Skips words in brackets that say the number before them: "02 (hai)", "500.000 đồng (năm trăm ngàn đồng chẵn)".
fn after_the_same(scene: &Scene, words: &str, end: usize) -> usize {
    let open = scene.after_space(end);
    let close = scene.run_end(open + 1, |c| c.is_alphabetic() || matches!(c, ' ' | ','));
    if scene.char(open) != Some('(') || scene.char(close) != Some(')') || close - open > 150 {
        return end;
    }
    let usual = |text: &str| {
        let words = text.to_lowercase();
        let words =
            words.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty() && *word != "chẵn");
        let usual = words.map(|word| match word {
            "ngàn" => "nghìn",
            "lẻ" => "linh",
            "tỉ" => "tỷ",
            "bẩy" => "bảy",
            word => word,
        });
        usual.collect::<Vec<_>>().join(" ")
    };
    if usual(&scene.text(open, close)) == usual(words) { close + 1 } else { end }
}

fn amount(scene: &Scene) -> Option<Taken> {
    const MONEY_BEFORE: [(&str, &str); 9] = [
        ("$", "đô la"),
        ("€", "ơ-rô"),
        ("₫", "đồng"),
        ("USD ", "đô la Mỹ"),
        ("VND ", "đồng"),
        ("VNĐ ", "đồng"),
        ("EUR ", "ơ-rô"),
        ("£", "bảng Anh"),
        ("¥", "yên"),
    ];
    let money = MONEY_BEFORE.iter().find(|(sign, _)| scene.stands(scene.at, sign));
    let from = scene.at + money.map_or(0, |(sign, _)| sign.chars().count());
    if !scene.is_digit(from) {
        return None;
    }
    let figure = figure(scene, from)?;
    if let Some((_, money)) = money {
        return Some(Taken::new(format!("{} {money}", figure.words), figure.end, Kind::Quantity));
    }
    if let Some((tail, end)) = unit_after(scene, figure.end) {
        return Some(Taken::new(format!("{} {tail}", figure.words), end, Kind::Quantity));
    }
    let (words, kind) = named(scene, &figure);
    Some(Taken::new(words, figure.end, kind))
}

/// Gives the words of a number without a unit as those before it want them: "thứ tư", "tháng tư", "số không năm".
fn named(scene: &Scene, figure: &Figure) -> (String, Kind) {
    let Some(value) = figure.plain else { return (figure.words.clone(), Kind::Number) };
    if scene.follows(&["thứ"]) || scene.goes_on(Kind::Ordinal) {
        return (ordinal(value), Kind::Ordinal);
    }
    if scene.follows(&["tháng"]) || scene.goes_on(Kind::Month) {
        let words = if value == 4 { ordinal(4) } else { figure.words.clone() };
        return (words, Kind::Month);
    }
    let day = (1..=31).contains(&value) && (scene.follows(&["ngày"]) || scene.goes_on(Kind::Day));
    (figure.words.clone(), if day { Kind::Day } else { Kind::Number })
}

/// Reads digits with their separators: `1.234,5`, `1,500,000`, `1 500 000`.
fn figure(scene: &Scene, from: usize) -> Option<Figure> {
    let first = scene.digits_end(from);
    if first == from {
        return None;
    }
    let (mut digits, mut end) = (scene.text(from, first), first);
    let separator = thousands(scene, from, first);
    if let Some(separator) = separator {
        while scene.char(end) == Some(separator) && scene.digits_end(end + 1) == end + 4 {
            digits.push_str(&scene.text(end + 1, end + 4));
            end += 4;
        }
    }
    let mut words = match separator {
        Some(_) => number(&digits),
        None => whole(scene, &digits),
    };
    let fraction = fraction_after(scene, &digits, separator, end);
    if let Some(close) = fraction {
        words = format!("{words} phẩy {}", decimals(&scene.text(end + 1, close)));
        end = close;
    }
    let plain = (separator.is_none() && fraction.is_none() && digits.len() <= 9)
        .then(|| digits.parse().ok())
        .flatten();
    Some(Figure { words, end, plain })
}

/// Finds the character that parts thousands, where there is one.
fn thousands(scene: &Scene, from: usize, first: usize) -> Option<char> {
    let separator = scene.char(first).filter(|c| matches!(c, '.' | ',' | '\'' | '’' | ' '))?;
    let version = scene.previous(from) == Some('.');
    if first - from > 3 || scene.char(from) == Some('0') || version {
        return None;
    }
    let (mut end, mut groups) = (first, 0);
    while scene.char(end) == Some(separator) && scene.digits_end(end + 1) == end + 4 {
        end += 4;
        groups += 1;
    }
    // After the last group, more digits or another point would make this a date, a code or a list.
    let more = scene.char(end) == Some(separator) && separator != ' ' && scene.is_digit(end + 1);
    let enough = match separator {
        '.' | '\'' | '’' => groups >= 1,
        ',' => groups >= 2 || groups == 1 && (is_money(scene, end) || is_of_people(scene, end)),
        _ => groups >= 2 || groups == 1 && unit_after(scene, end).is_some(),
    };
    (enough && !more).then_some(separator)
}

/// Tells whether what follows is only counted whole: "12,345 người".
fn is_of_people(scene: &Scene, end: usize) -> bool {
    matches!(
        scene.next_word(end).as_str(),
        "người"
            | "hộ"
            | "khẩu"
            | "nhân"
            | "lượt"
            | "cháu"
            | "em"
            | "trẻ"
            | "suất"
            | "cử"
            | "phiếu"
            | "con"
            | "cây"
    )
}

fn is_money(scene: &Scene, end: usize) -> bool {
    let sign = scene.char(scene.at).is_some_and(|c| !c.is_ascii_digit());
    sign || matches!(scene.next_word(end).as_str(), "đồng" | "đ" | "vnđ" | "vnd" | "usd" | "eur")
        || scene.char(end) == Some('₫')
}

/// Finds the end of decimals: after a comma, or after a point where what follows can't be thousands.
fn fraction_after(scene: &Scene, digits: &str, separator: Option<char>, end: usize) -> Option<usize> {
    let mark = scene.char(end)?;
    // "1,2,3" is a list, "1.2.3" a version.
    if scene.previous(scene.at) == Some(mark) && scene.at > 1 && scene.is_digit(scene.at - 2) {
        return None;
    }
    let close = scene.digits_end(end + 1);
    let length = close.saturating_sub(end + 1);
    let more = scene.char(close) == Some(mark) && scene.is_digit(close + 1);
    let fits = match mark {
        ',' => separator != Some(','),
        '.' => {
            separator == Some(',')
                || separator.is_none() && (length != 3 || digits == "0") && digits.len() < 5
        }
        _ => false,
    };
    (fits && length > 0 && !more).then_some(close)
}

/// Reads digits without a separator: leading zeros are said where they name something.
fn whole(scene: &Scene, digits: &str) -> String {
    let zero = digits.starts_with('0') && digits.len() > 1;
    if scene.follows(BEFORE_A_CODE) && digits.len() >= 4 || zero && digits.len() > 2 || digits.len() > 15 {
        return code(digits);
    }
    if digits.len() >= 9 && scene.follows(&["số"]) {
        return code(digits);
    }
    // "BCĐ 389" is named after a paper.
    if digits.len() == 3 && scene.follows(&["bcđ", "ban chỉ đạo"]) {
        return spelled(digits);
    }
    let part = scene.previous(scene.at) == Some('.');
    if zero && (part || scene.follows(&["số"])) { spelled(digits) } else { number(digits) }
}

/// The unit at a place and its end; the longest that fits.
fn unit_at(scene: &Scene, from: usize) -> Option<(&'static str, usize)> {
    let most = (from + UNIT_CHARS_MAX).min(scene.chars.len());
    (from + 1..=most).rev().find_map(|end| {
        let said = UNITS.get(&scene.chars[from..end])?;
        let letters = scene.previous(end).is_some_and(char::is_alphanumeric);
        let ends = !letters || !scene.is_word(end);
        ends.then_some((*said, end))
    })
}

/// Reads a unit after a number, and the slashes after the unit: `đ/hộ`, `km/h`, `mm/24h`.
fn unit_after(scene: &Scene, end: usize) -> Option<(String, usize)> {
    if let Some(thousand) = thousand_at(scene, end) {
        return Some(thousand);
    }
    if let Some(metres) = metres_and_more(scene, end) {
        return Some(metres);
    }
    if scene.char(end).is_some_and(|c| matches!(c, '\'' | '′' | 'p'))
        && !scene.is_word(end + 1)
        && !quoted(scene)
    {
        return Some(with_slashes(scene, "phút", end + 1));
    }
    if let Some(unit) = letter_after(scene, end) {
        return Some(with_slashes(scene, unit, end + 1));
    }
    if let Some(place) = place_after(scene, end) {
        return Some(place);
    }
    if scene.char(end) == Some('"')
        && let Some((part, close)) = scene.short(end + 1).filter(|(_, close)| !scene.is_word(*close))
    {
        return Some((format!("giây {}", cardinal(part)), close));
    }
    let spaced = scene.after_space(end);
    let (said, close) = unit_at(scene, spaced)?;
    if spaced > end && GLUED.contains(&scene.text(spaced, close).as_str()) {
        return None;
    }
    Some(with_slashes(scene, said, close))
}

/// Finds the unit that a letter behind a number stands for, by the words before: "xe trên 3,5T", "bé 5T", "uống 2v".
fn letter_after(scene: &Scene, end: usize) -> Option<&'static str> {
    let letter = scene.char(end).filter(|c| matches!(c, 'T' | 'v' | 't'))?;
    if scene.is_word(end + 1) || !scene.is_digit(end - 1) {
        return None;
    }
    let before = scene.before();
    let about =
        |words: &[&str]| before.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    match letter {
        'v' => about(&["uống", "ngậm"]).then_some("viên"),
        _ if about(&["tải", "trọng", "nặng", "cầu", "xe", "sản", "khối"]) => Some("tấn"),
        'T' if about(&["bé", "trẻ", "cháu", "tuổi"]) => Some("tuổi"),
        'T' if about(&["hạn", "góp"]) => Some("tháng"),
        _ => None,
    }
}

/// Reads the rest of a place on the map: `10°58'B`, `15.5N`.
fn place_after(scene: &Scene, end: usize) -> Option<(String, usize)> {
    let side = |index: usize| {
        let side = match scene.char(index)? {
            'N' | 'B' => "vĩ Bắc",
            'S' => "vĩ Nam",
            'E' | 'Đ' => "kinh Đông",
            'W' | 'T' => "kinh Tây",
            _ => return None,
        };
        (!scene.is_word(index + 1)).then_some((side, index + 1))
    };
    let point = scene.chars[..end].iter().rev().take(6).any(|c| matches!(c, '.' | ','));
    // "dầu DO 0,05S" is no place.
    let small = scene.char(scene.at) == Some('0');
    if point
        && !small
        && let Some((side, close)) = side(end).filter(|_| !matches!(scene.char(end), Some('T' | 'W')))
    {
        return Some((format!("độ {side}"), close));
    }
    let minutes = scene.digits_end(end + 1);
    if scene.char(end) != Some('°')
        || minutes == end + 1
        || !matches!(scene.char(minutes), Some('\'' | '’' | '′'))
    {
        return None;
    }
    let mut said = format!("độ {} phút", number(&scene.text(end + 1, minutes)));
    let mut close = minutes + 1;
    let seconds = scene.run_end(close, |c| c.is_ascii_digit());
    if seconds > close && matches!(scene.char(seconds), Some('"' | '″' | '”')) {
        said = format!("{said} {} giây", number(&scene.text(close, seconds)));
        close = seconds + 1;
    }
    Some(match side(close) {
        Some((side, close)) => (format!("{said} {side}"), close),
        None => (said, close),
    })
}

/// Reads `200k` and `5tr`.
fn thousand_at(scene: &Scene, end: usize) -> Option<(String, usize)> {
    let spaced = scene.after_space(end);
    if scene.stands(spaced, "tr") && !scene.is_word(spaced + 2) {
        return Some(with_slashes(scene, "triệu", spaced + 2));
    }
    if scene.stands(end, "tr") {
        let tail = scene.digits_end(end + 2);
        let part = if tail > end + 2 && tail < end + 5 {
            format!(" {}", number(&scene.text(end + 2, tail)))
        } else {
            String::new()
        };
        return (!scene.is_word(tail)).then(|| with_slashes(scene, &format!("triệu{part}"), tail));
    }
    let letter = scene.char(end)?;
    let names = letter == 'K' && !scene.previous(end - 1).is_some_and(|c| c.is_ascii_digit());
    if !matches!(letter, 'k' | 'K') || names || scene.is_word(end + 1) {
        return None;
    }
    // "200k đồng" and "200k người" name their thing themselves.
    let next = scene.next_word(end + 1);
    let of_things = matches!(
        next.as_str(),
        "đồng"
            | "đ"
            | "vnđ"
            | "vnd"
            | "usd"
            | "người"
            | "lượt"
            | "hộ"
            | "bản"
            | "tấn"
            | "con"
            | "cây"
            | "view"
            | "phiếu"
    );
    Some(with_slashes(scene, if of_things { "nghìn" } else { "nghìn đồng" }, end + 1))
}

/// Tells whether a quotation mark stands before the number, so that the one after it closes.
fn quoted(scene: &Scene) -> bool {
    matches!(scene.previous(scene.at), Some('\'' | '‘' | '’'))
}

/// Reads `1m65`.
fn metres_and_more(scene: &Scene, end: usize) -> Option<(String, usize)> {
    let close = scene.digits_end(end + 1);
    let few = (1..=2).contains(&close.saturating_sub(end + 1));
    // "cao 1m2" is 1.20 m.
    let tall = close == end + 2
        && scene.text(scene.at, end) == "1"
        && scene.follows(&["cao", "chiều cao", "dưới", "trên", "khoảng"]);
    let square = !tall && matches!(scene.text(end + 1, close).as_str(), "2" | "3");
    if scene.char(end) != Some('m') || !few || square || scene.is_word(close) {
        return None;
    }
    Some((format!("mét {}", number(&scene.text(end + 1, close))), close))
}

/// Reads what is counted, after the slashes that follow a unit.
fn with_slashes(scene: &Scene, unit: &str, end: usize) -> (String, usize) {
    let (mut words, mut end) = (unit.to_owned(), end);
    for _ in 0..3 {
        let Some((more, close)) = per(scene, &words, end) else { break };
        words = if more == "," { format!("{words},") } else { format!("{words} {more}") };
        end = close;
    }
    (words, end)
}

/// Reads one slash and what follows it, after a number of something.
pub(super) fn per(scene: &Scene, counted: &str, slash: usize) -> Option<(String, usize)> {
    if scene.char(slash) != Some('/') {
        return None;
    }
    let from = slash + 1;
    if scene.is_digit(from) {
        // "mm/24h", "g/16 lít": the number is read after this.
        let digits = scene.digits_end(from);
        let year = scene.year(from).is_some() && counted.ends_with("tháng");
        if year {
            return Some(("năm".to_owned(), from));
        }
        let priced = counted.contains("một ")
            && matches!(scene.next_word(digits).as_str(), "người" | "khẩu" | "trẻ" | "cháu" | "con");
        let others = priced
            || matches!(counted, "hộ" | "gia đình" | "thôn" | "xã" | "lớp" | "đội")
                && matches!(
                    scene.next_word(digits).as_str(),
                    "khẩu" | "người" | "nhân" | "hộ" | "em" | "cháu"
                );
        if others {
            return Some((",".to_owned(), from));
        }
        let time =
            matches!(scene.next_word(digits).as_str(), "h" | "giờ" | "ngày" | "phút" | "tháng" | "năm");
        return Some((if time { "trong" } else { "trên" }.to_owned(), from));
    }
    let counts =
        COUNTED.iter().filter(|word| scene.stands(from, word) && !scene.is_word(from + word.chars().count()));
    if let Some(word) = counts.max_by_key(|word| word.len()) {
        return Some((format!("một {word}"), from + word.chars().count()));
    }
    if let Some((short, thing)) =
        SHORT_THINGS.iter().find(|(short, _)| scene.stands(from, short) && !scene.is_word(from + short.len()))
    {
        return Some((format!("một {thing}"), from + short.len()));
    }
    let lower = counted.to_lowercase();
    let price = MONEY.iter().any(|money| lower.ends_with(money)) || counted.contains("một ");
    let Some((said, close)) = unit_at(scene, from) else {
        let thing = scene.char(from).is_some_and(char::is_alphabetic);
        return (price && thing).then(|| ("một".to_owned(), from));
    };
    Some((format!("{} {said}", if price { "một" } else { "trên" }), close))
}

/// Reads `3/4` as a fraction, `50/60` as one over the other.
pub(super) fn fraction(scene: &Scene) -> Option<Taken> {
    const ADDRESS: &[&str] = &[
        "số",
        "nhà",
        "ngõ",
        "ngách",
        "hẻm",
        "kiệt",
        "tổ",
        "lô",
        "thửa",
        "đường",
        "lớp",
        "thương binh",
        "hạng",
        "thương tật",
        "vòng",
    ];
    let end = scene.digits_end(scene.at);
    if end == scene.at
        || end - scene.at > 4
        || scene.char(end) != Some('/')
        || scene.previous(scene.at) == Some('/')
    {
        return None;
    }
    let close = scene.digits_end(end + 1);
    let few = (1..=4).contains(&close.saturating_sub(end + 1));
    let more = matches!(scene.char(close), Some('/' | '.' | '-')) && scene.is_digit(close + 1);
    if !few || more || scene.is_word(close) {
        return None;
    }
    let (over, under) = (scene.value(scene.at, end), scene.value(end + 1, close));
    let next_year = under == over + 1 || close == end + 3 && under == (over + 1) % 100;
    if (1_900..2_200).contains(&over) && next_year {
        let under = over + 1;
        return Some(Taken::new(format!("{} đến {}", cardinal(over), cardinal(under)), close, Kind::Number));
    }
    let share = over < under && (under <= 10 || under == 100 || under == 1_000) && !scene.follows(ADDRESS);
    let zero = scene.char(end + 1) == Some('0') || scene.char(scene.at) == Some('0');
    (share && !zero)
        .then(|| Taken::new(format!("{} phần {}", cardinal(over), ordinal_share(under)), close, Kind::Number))
}

fn ordinal_share(under: u64) -> String {
    if under == 4 { ordinal(4) } else { cardinal(under) }
}

/// Reads the result of a game: "tỷ số 2-0" as "tỷ số hai không".
pub(super) fn score(scene: &Scene) -> Option<Taken> {
    const RESULT: &[&str] = &[
        "tỷ số",
        "tỉ số",
        "thắng",
        "thua",
        "hòa",
        "hoà",
        "kết quả",
        "dẫn",
        "chung cuộc",
        "tỷ số là",
        "với tỷ số",
    ];
    let (ours, end) = scene.short(scene.at)?;
    let dash = scene.after_space(end);
    scene.char(dash).filter(|c| matches!(c, '-' | '–' | ':'))?;
    let (theirs, close) = scene.short(scene.after_space(dash + 1))?;
    let more = matches!(scene.char(close), Some('/' | '.' | ',' | '-')) && scene.is_digit(close + 1);
    // "Đội A thắng đội B 3-2"
    let before = scene.before();
    let name = before.split(' ').next_back().map_or(0, |word| word.chars().count());
    let named = scene.at > name && scene.char(scene.at - name - 1).is_some_and(char::is_uppercase);
    let played = named && [" thắng ", " thua ", " hòa ", " hoà "].iter().any(|word| before.contains(word));
    // No range stays or goes down.
    let spaced = dash > end;
    let down = ours >= theirs
        && !spaced
        && scene.char(scene.at) != Some('0')
        && !matches!(scene.char(end), Some(':'))
        && scene.previous(scene.at).is_some_and(|c| matches!(c, ' ' | '('))
        && unit_after(scene, close).is_none()
        && !scene.follows(&["số", "cấp", "lớp", "thôn", "tổ", "khu", "từ", "ngõ", "nhà"]);
    ((scene.follows(RESULT) || played || down) && !more && !scene.is_word(close))
        .then(|| Taken::new(format!("{} {}", cardinal(ours), cardinal(theirs)), close, Kind::Other))
}

/// Reads three numbers and more with dashes between them, as of a fertiliser: `16-16-8`.
pub(super) fn row(scene: &Scene) -> Option<Taken> {
    let (mut end, mut said) = (scene.at, Vec::new());
    loop {
        let (number, close) = scene.short(end)?;
        said.push(cardinal(number));
        end = close;
        if said.len() > 8 || scene.char(end) != Some('-') || !scene.is_digit(end + 1) {
            break;
        }
        end += 1;
    }
    let more = matches!(scene.char(end), Some('/' | '.' | ':' | '-')) && scene.is_digit(end + 1);
    (said.len() >= 3 && !more && !scene.is_word(end)).then(|| Taken::new(said.join(", "), end, Kind::Number))
}
