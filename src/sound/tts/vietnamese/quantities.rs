//! Numbers with their separators, fractions, results of games and prices.

use super::clues::{is_a_class_of_a_list, is_a_plot, is_of_a_bank, is_of_a_set};
use super::numbers::{cardinal, code, decimals, number, ordinal, spelled};
use super::scene::{Kind, Scene, Taken, ends_with};
use super::units::{per, unit_after};

/// Words before a number that names something: it is said digit by digit.
pub(super) const BEFORE_A_CODE: &[&str] = &[
    "stk",
    "tk",
    "tài khoản",
    "tài khoản số",
    "tài khoản nhận",
    "stk nhận",
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
    "số phát hành",
    "số cuối",
    "số đuôi",
    "đuôi số",
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
    "pass",
    "password",
    "mật khẩu",
    "mật khẩu là",
    "mật khẩu wifi",
    "pass wifi",
    "wifi",
    "pass là",
    "id",
    "id phòng",
];

/// Papers and forms, whose number has a zero that is said: "Đề án 06", "mẫu 01".
const NAMED_WITH_ZERO: &[&str] = &[
    "đề án",
    "mẫu",
    "mẫu đơn",
    "biểu mẫu",
    "biểu",
    "phụ lục",
    "tờ khai",
    "nghị quyết",
    "chỉ thị",
    "nghị định",
    "quyết định",
    "thông tư",
    "công văn",
    "công điện",
    "kết luận",
    "hướng dẫn",
    "quy định",
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
    // "5.000đ (năm ngàn)"
    let again = usual(&scene.text(open, close));
    let same = again == usual(words) || Some(again.as_str()) == usual(words).strip_suffix(" đồng");
    if same { close + 1 } else { end }
}

fn amount(scene: &Scene) -> Option<Taken> {
    const MONEY_BEFORE: [(&str, &str); 10] = [
        ("US$", "đô la Mỹ"),
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
    // "USD 25.300 đồng" is the price of a dollar.
    let of_another = matches!(scene.next_word(figure.end).as_str(), "đồng" | "đ" | "vnđ" | "vnd");
    if money.is_some() && of_another {
        return None;
    }
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
    // "T2, 4, 6"
    let week = (2..=7).contains(&value) && scene.goes_on(Kind::Weekday);
    if week && matches!(scene.next_word(figure.end).as_str(), "" | "và" | "hằng" | "hàng") {
        return (ordinal(value), Kind::Weekday);
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
    // "Công nghiệp 4.0" counts its editions.
    let edition = |close: usize| {
        scene.text(end, close) == ".0"
            && digits.len() == 1
            && unit_after(scene, close).is_none()
            && scene.previous(from) != Some('/')
    };
    if let Some(close) = fraction.filter(|close| edition(*close)) {
        words = format!("{words} chấm không");
        end = close;
    } else if let Some(close) = fraction {
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
        ',' => {
            // "1,234.56"
            let cents =
                scene.char(end) == Some('.') && (1..=2).contains(&(scene.digits_end(end + 1) - end - 1));
            groups >= 2 || groups == 1 && (cents || is_money(scene, end) || is_of_people(scene, end))
        }
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
    // "cấp 7,8", "tổ 4,5"
    const NUMBERED: &[&str] =
        &["cấp", "tổ", "thôn", "ấp", "xóm", "lớp", "khối", "khoản", "điều", "khu phố", "ca", "bậc"];
    let listed = mark == ','
        && scene.digits_end(end + 1) == end + 2
        && digits.len() == 1
        && scene.follows(NUMBERED)
        && !scene.follows(&["phụ cấp", "trợ cấp", "cung cấp"])
        && unit_after(scene, end + 2).is_none();
    if listed {
        return None;
    }
    let version = scene.previous(scene.at) == Some(mark) && scene.at > 1;
    let lettered = || {
        mark == '.'
            && scene.at > 2
            && scene.char(scene.at - 2).is_some_and(|c| c.is_ascii_uppercase())
            && scene.char(scene.at - 3).is_some_and(|c| c.is_ascii_uppercase())
    };
    if version && (scene.is_digit(scene.at - 2) || lettered()) {
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

/// Tells whether a number is spelled by the words before it: "STK 190123", "seri AB 1234567"; "thẻ BHYT 2027" has a year.
fn names_a_thing(scene: &Scene, digits: &str) -> bool {
    let year = digits.len() == 4 && digits.starts_with("20");
    if digits.len() < 4
        || year && scene.follows(&["bhxh", "bhyt", "cccd", "cmnd", "căn cước", "công dân", "hộ chiếu"])
    {
        return false;
    }
    let before = scene.before();
    let (rest, series) = before.rsplit_once(' ').unwrap_or_default();
    let lettered = digits.len() > 5 && series.chars().count() <= 2 && series.chars().all(char::is_alphabetic);
    scene.follows(BEFORE_A_CODE)
        || digits.len() > 7 && is_of_a_bank(scene)
        || lettered && ends_with(rest, &["seri", "serial", "số phát hành", "số seri"])
}

/// Reads digits without a separator: leading zeros are said where they name something.
fn whole(scene: &Scene, digits: &str) -> String {
    let zero = digits.starts_with('0') && digits.len() > 1;
    if names_a_thing(scene, digits) || zero && digits.len() > 2 || digits.len() > 15 {
        return code(digits);
    }
    if digits.len() >= 9 && scene.follows(&["số"]) {
        return code(digits);
    }
    // Gold of 99.99 %.
    if digits == "9999" && scene.line().contains("vàng") {
        return "bốn số chín".to_owned();
    }
    // "BCĐ 389" is named after a paper.
    if digits.len() == 3 && scene.follows(&["bcđ", "ban chỉ đạo"]) {
        return spelled(digits);
    }
    // Feeders of the electricity's net are called by their digits; "quốc lộ 217" is a road.
    let feeder = scene.follows(&["lộ", "xuất tuyến", "máy cắt"])
        && !scene.follows(&["quốc lộ", "tỉnh lộ", "hương lộ", "đại lộ", "liên lộ", "xa lộ"]);
    if digits.len() == 3 && feeder {
        return spelled(digits);
    }
    // "X=2325678" of a surveyor.
    let surveyed = scene.previous(scene.at) == Some('=')
        && scene.at > 1
        && matches!(scene.char(scene.at - 2), Some('X' | 'Y'))
        && digits.len() >= 6;
    if surveyed {
        return spelled(digits);
    }
    // "căn hộ C2-1508"
    if scene.previous(scene.at) == Some('-') && is_a_plot(scene, scene.at - 1) && (zero || digits.len() > 3) {
        return spelled(digits);
    }
    let part = scene.previous(scene.at) == Some('.');
    // "số 01, 02, 07"
    let listed = || {
        let before = scene.before();
        let list = before.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | ' '));
        before.ends_with(',') && ends_with(list, &["số"])
    };
    if zero && (part || scene.follows(&["số"]) || scene.follows(NAMED_WITH_ZERO) || listed()) {
        spelled(digits)
    } else {
        number(digits)
    }
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
        "bậc",
        "bậc thợ",
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
    let unit = if few && !more { unit_after(scene, close) } else { None };
    if !few || more || scene.is_word(close) && unit.is_none() {
        return None;
    }
    let (over, under) = (scene.value(scene.at, end), scene.value(end + 1, close));
    // Halves that are no share of what was counted.
    let halves =
        scene.follows(&["chia", "tỷ lệ", "tỉ lệ", "cơ hội", "khả năng", "góp", "góp vốn", "hùn", "hùn vốn"]);
    if over == 50 && under == 50 && halves {
        return Some(Taken::new("năm mươi năm mươi", close, Kind::Score));
    }
    let next_year = under == over + 1 || close == end + 3 && under == (over + 1) % 100;
    if (1_900..2_200).contains(&over) && next_year {
        let under = over + 1;
        return Some(Taken::new(format!("{} đến {}", cardinal(over), cardinal(under)), close, Kind::Number));
    }
    let share = over < under
        && (under <= 10 || under == 100 || under == 1_000)
        && !scene.follows(ADDRESS)
        && !is_a_class_of_a_list(&scene.before());
    let zero = scene.char(end + 1) == Some('0') || scene.char(scene.at) == Some('0');
    let words = format!("{} phần {}", cardinal(over), ordinal_share(under));
    (share && !zero).then(|| match unit {
        Some((unit, close)) => Taken::new(format!("{words} {unit}"), close, Kind::Quantity),
        None => Taken::new(words, close, Kind::Number),
    })
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
    // "set 2: 18-25"
    // "Thôn 3 - Thôn 4: 0-2"
    let announced = scene.at > 1 && matches!(&scene.chars[scene.at - 2..scene.at], [':', ' ']);
    let listed_games = announced && before.contains(" - ") && {
        let line = scene.line();
        ["kết quả", "tỷ số", "vòng bảng", "trận", "bảng "].iter().any(|word| line.contains(word))
    };
    let played = is_of_a_set(&before)
        || listed_games
        || named && [" thắng ", " thua ", " hòa ", " hoà "].iter().any(|word| before.contains(word));
    // No range stays or goes down.
    let spaced = dash > end;
    let down = ours >= theirs
        && !spaced
        && scene.char(scene.at) != Some('0')
        && !matches!(scene.char(end), Some(':'))
        && scene.previous(scene.at).is_some_and(|c| matches!(c, ' ' | '('))
        && scene.char(scene.after_space(close)) != Some('=')
        && unit_after(scene, close).is_none()
        && !scene.follows(&["số", "cấp", "lớp", "thôn", "tổ", "khu", "từ", "ngõ", "nhà"]);
    // The sets of a match: "3-1 (25-20, 22-25)".
    let listed = scene.connected().is_some_and(|(kind, gap)| {
        kind == Kind::Score && matches!(gap.as_str(), ", " | "; " | " (" | "," | ";" | " và ")
    }) && unit_after(scene, close).is_none()
        && scene.next_word(close).is_empty();
    ((scene.follows(RESULT) || played || down || listed) && !more && !scene.is_word(close))
        .then(|| Taken::new(format!("{} {}", cardinal(ours), cardinal(theirs)), close, Kind::Score))
}

/// Reads a vaccine or a tool that is several in one: `5in1`.
pub(super) fn in_one(scene: &Scene) -> Option<Taken> {
    let (count, end) = scene.short(scene.at)?;
    let (one, close) = scene.short(end + 2).filter(|(_, close)| !scene.is_word(*close))?;
    scene
        .stands(end, "in")
        .then(|| Taken::new(format!("{} trong {}", cardinal(count), cardinal(one)), close, Kind::Number))
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
    if said.len() < 3 || more || scene.is_word(end) {
        return None;
    }
    // "NPK 5-10-3/ha"
    let (over, end) =
        per(scene, "một ", end).map_or((String::new(), end), |(over, end)| (format!(" {over}"), end));
    // Players, from the back to the front: "đội hình 4-4-2".
    let line = scene.line();
    let sentence = line.rsplit([';', '.']).next().unwrap_or_default();
    let players = ["đội hình", "sơ đồ"].iter().any(|word| sentence.contains(word));
    Some(Taken::new(format!("{}{over}", said.join(if players { " " } else { ", " })), end, Kind::Number))
}
