//! Days, months, quarters and years.

use super::clues::{is_a_class_of_a_list, is_of_a_set};
use super::numbers::{cardinal, ordinal, spelled};
use super::scene::{Kind, Scene, Taken, ends_with};

/// Words after which `2/9` is a day.
const BEFORE_A_DATE: &[&str] = &[
    "ngày",
    "hôm",
    "từ",
    "đến",
    "tới",
    "sáng",
    "trưa",
    "chiều",
    "tối",
    "đêm",
    "hết",
    "trước",
    "sau",
    "qua",
    "vào",
    "dịp",
    "lễ",
    "tết",
    "mừng",
    "khánh",
    "niệm",
    "hạn",
    "nay",
    "mai",
    "mùng",
    "mồng",
    "rằm",
    "hạn nộp",
    "đường",
    "phố",
    "sinh",
    "mất",
];
/// Words after which `2-9` is a day, not a range.
const BEFORE_A_DASHED_DATE: &[&str] = &[
    "ngày", "hôm", "lễ", "tết", "dịp", "mừng", "khánh", "niệm", "sáng", "trưa", "chiều", "tối", "đêm", "nay",
    "mai", "qua", "sinh", "mùng", "mồng",
];
/// Words after which `2-3` at the end is a day.
const OPENINGS: &[&str] =
    &["khai trương", "khai giảng", "khai mạc", "bế mạc", "bế giảng", "tựu trường", "khởi công"];
/// Places and events that may bear a day as their name: "trường 19-5", "Hội thao 26/3".
const BEARERS: &[&str] = &[
    "công ty",
    "cổ phần",
    "trường",
    "chợ",
    "công viên",
    "nhà máy",
    "nông trường",
    "lâm trường",
    "hợp tác xã",
    "htx",
    "cầu",
    "khu",
    "hội thao",
    "hội trại",
    "cúp",
    "quảng trường",
    "sân vận động",
    "công ty cp",
    "thpt",
    "thcs",
    "tiểu học",
    "mầm non",
    "mẫu giáo",
    "cty",
    "cty cp",
];
/// Words after which "ngày" is not said once more.
const NAMED: &[&str] =
    &["ngày", "hôm", "mùng", "mồng", "rằm", "lễ", "tết", "dịp", "khánh", "niệm", "đường", "phố"];
/// Words after which `3/4` is a number on a door, a measure or a share.
const BEFORE_A_SHARE: &[&str] = &[
    "số",
    "nhà",
    "ngõ",
    "ngách",
    "hẻm",
    "kiệt",
    "tổ",
    "lô",
    "thửa",
    "lệ",
    "áp",
    "đạt",
    "số nhà",
    "trực",
    "vượt",
    "được",
    "lớp",
    "nhóm",
    "khối",
    "kỳ",
    "vòng",
    "bậc",
    "thợ",
];
/// Words after which `12/10` is a share of something.
const AFTER_A_SHARE: &[&str] = &[
    "số", "hộ", "người", "xã", "thôn", "chỉ", "tiêu", "phiếu", "điểm", "đại", "cháu", "trẻ", "em", "con",
    "ca", "giờ", "cửa", "tuyến", "ấp", "khu", "đơn", "đảng", "cán", "mẫu", "sản",
];
const WEEKDAYS: &[&str] = &[
    "thứ hai",
    "thứ ba",
    "thứ tư",
    "thứ năm",
    "thứ sáu",
    "thứ bảy",
    "chủ nhật",
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
    "cn",
];
/// Days that are known by their numbers: "20-11".
const FESTIVALS: &[(u64, u64)] = &[
    (3, 2),
    (27, 2),
    (8, 3),
    (26, 3),
    (30, 4),
    (1, 5),
    (7, 5),
    (19, 5),
    (1, 6),
    (28, 6),
    (27, 7),
    (19, 8),
    (2, 9),
    (5, 9),
    (10, 10),
    (20, 10),
    (18, 11),
    (20, 11),
    (22, 12),
];
/// Words that count within a year: "quý 3/2026".
const PARTS_OF_A_YEAR: &[&str] =
    &["quý", "thứ", "đợt", "kỳ", "học kỳ", "vụ", "khóa", "khoá", "phiên", "lần", "tuần", "số", "tập"];

/// Reads dates: `05/12/2026`, `2-9`, `1-3/9`, `2026-11-20`, `9/2026`.
pub(super) fn date(scene: &Scene) -> Option<Taken> {
    if !scene.is_digit(scene.at) {
        return None;
    }
    from_the_year(scene)
        .or_else(|| listed_days(scene))
        .or_else(|| days(scene))
        .or_else(|| full(scene, scene.at).map(|date| date.said(scene)))
        .or_else(|| month_of_a_year(scene))
        .or_else(|| day_and_month(scene))
}

/// A day of a month, of a year where it is given.
struct Date {
    day: u64,
    month: u64,
    year: Option<u64>,
    end: usize,
}

impl Date {
    fn said(&self, scene: &Scene) -> Taken {
        let in_a_list = scene
            .connected()
            .is_some_and(|(kind, gap)| kind == Kind::Day && matches!(gap.as_str(), ", " | "; "));
        let bracket = scene.previous(scene.at) == Some('(');
        // "Ngày Nhà giáo Việt Nam 20-11" has its "ngày" already.
        let of_a_day = after_a_capital(scene) && scene.before().contains("ngày ");
        let bears = FESTIVALS.contains(&(self.day, self.month)) && self.day != 5 && scene.follows(BEARERS);
        let named = in_a_list || of_a_day || !bracket && (bears || scene.follows(NAMED));
        let ngay = if named { "" } else { "ngày " };
        Taken::new(format!("{ngay}{}", self.words()), self.end, Kind::Date)
    }

    fn words(&self) -> String {
        let year = self.year.map(|year| format!(" năm {}", cardinal(year))).unwrap_or_default();
        format!("{} tháng {}{year}", cardinal(self.day), month(self.month))
    }
}

/// The name of a month: the fourth is "tư".
fn month(month: u64) -> String {
    if month == 4 { ordinal(4) } else { cardinal(month) }
}

fn from_the_year(scene: &Scene) -> Option<Taken> {
    let (year, end) = scene.year(scene.at)?;
    let separator = scene.char(end).filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (month, end) = scene.short(end + 1)?;
    if scene.char(end) != Some(separator) {
        return None;
    }
    let (day, end) = scene.short(end + 1)?;
    is_day(day, month).then(|| Date { day, month, year: Some(year), end }.said(scene))
}

const fn is_day(day: u64, month: u64) -> bool {
    let most = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    day >= 1 && day <= most
}

/// `05/12/2026`, `5-12-2026`, `5.12.2026`, and of two digits of a year `05/12/26`.
fn full(scene: &Scene, from: usize) -> Option<Date> {
    let (day, end) = scene.short(from)?;
    let separator = scene.char(end).filter(|c| matches!(c, '/' | '-' | '.'))?;
    let (month, end) = scene.short(end + 1)?;
    if scene.char(end) != Some(separator) || !is_day(day, month) {
        return None;
    }
    let century = || {
        scene
            .short(end + 1)
            .filter(|(_, e)| separator == '/' || separator == '.' && *e == from + 8)
            .filter(|(_, e)| *e == end + 3 && !scene.follows(BEFORE_A_SHARE))
            .filter(|(year, _)| scene.follows(BEFORE_A_DATE) || (20..50).contains(year))
    };
    let (year, end) = scene.year(end + 1).or_else(|| century().map(|(year, end)| (2_000 + year, end)))?;
    (!scene.is_word(end)).then_some(Date { day, month, year: Some(year), end })
}

/// `1-3/9`, `01-05/12/2026`.
fn days(scene: &Scene) -> Option<Taken> {
    let (first, end) = scene.short(scene.at)?;
    let dash = scene.after_space(end);
    scene.char(dash).filter(|c| matches!(c, '-' | '–'))?;
    let second = scene.after_space(dash + 1);
    let last = full(scene, second)
        .filter(|_| scene.char(end) != Some('.'))
        .or_else(|| slashed(scene, second))
        .or_else(|| dotted(scene, second).filter(|_| scene.follows(BEFORE_A_DASHED_DATE)))?;
    // "thi lớp 10: 1-3/6"
    let announced = scene.chars[..scene.at].iter().rev().find(|c| **c != ' ') == Some(&':');
    let dated = last.year.is_some()
        || scene.follows(BEFORE_A_DATE)
        || scene.goes_on(Kind::Date)
        || dash == end && (last.day > 3 || announced && !scene.follows(BEFORE_A_SHARE));
    // "thứ 7 - 28/11/2026"
    // "8-9/10 phiếu"
    let share = last.year.is_none()
        && AFTER_A_SHARE.contains(&scene.next_word(last.end).as_str())
        && !scene.follows(BEFORE_A_DATE);
    if share
        || first >= last.day
        || first == 0
        || !dated
        || scene.follows(&["thứ"])
        || scene.is_word(last.end)
    {
        return None;
    }
    // "thi 2 ngày 3-4/6" counts its days before it names them.
    let counted = scene.before().strip_suffix("ngày").is_some_and(|rest| {
        let verb = rest.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
        verb.len() < rest.trim_end().len()
            && ends_with(verb.trim_end(), &["thi", "trong", "nghỉ", "học", "dài", "ra", "gồm", "chức"])
    });
    let named = scene.follows(NAMED) && !scene.follows(&["tuần lễ"]) && !counted;
    let ngay = if named { "" } else { "ngày " };
    let words = format!("{ngay}{} đến ngày {}", cardinal(first), last.words());
    Some(Taken::new(words, last.end, Kind::Date))
}

/// `17.12`, and no more.
fn dotted(scene: &Scene, from: usize) -> Option<Date> {
    let (day, end) = scene.short(from)?;
    scene.char(end).filter(|c| *c == '.')?;
    let (month, end) = scene.short(end + 1)?;
    let more = matches!(scene.char(end), Some('/' | '-' | '.' | ',')) && scene.is_digit(end + 1);
    (is_day(day, month) && !more && !scene.is_word(end)).then_some(Date { day, month, year: None, end })
}

/// `8,9/12` and `9-10-11/12` after "ngày".
fn listed_days(scene: &Scene) -> Option<Taken> {
    let (mut said, mut at) = (Vec::new(), scene.at);
    let sign = scene.char(scene.digits_end(at)).filter(|c| matches!(c, ',' | '-'))?;
    while let Some((day, end)) =
        scene.short(at).filter(|(_, end)| scene.char(*end) == Some(sign) && said.len() < 8)
    {
        said.push(cardinal(day));
        at = end + 1;
    }
    // "9-10/12" is a range, "9-10-11/12" a list.
    if said.len() < if sign == '-' { 2 } else { 1 } || !scene.follows(&["ngày"]) {
        return None;
    }
    let last = full(scene, at).filter(|_| sign == ',').or_else(|| slashed(scene, at))?;
    said.push(last.words());
    Some(Taken::new(said.join(", "), last.end, Kind::Date))
}

/// `2/9`, and no more.
fn slashed(scene: &Scene, from: usize) -> Option<Date> {
    let (day, end) = scene.short(from)?;
    if scene.char(end) != Some('/') {
        return None;
    }
    let (month, end) = scene.short(end + 1)?;
    let more = matches!(scene.char(end), Some('/' | '-' | '.')) && scene.is_digit(end + 1);
    let range =
        scene.char(end) == Some('-') && (slashed(scene, end + 1).is_some() || full(scene, end + 1).is_some());
    (is_day(day, month) && (!more || range) && !scene.is_word(end)).then_some(Date {
        day,
        month,
        year: None,
        end,
    })
}

/// `9/2026` as "tháng chín năm …", after "quý" as "ba năm …".
fn month_of_a_year(scene: &Scene) -> Option<Taken> {
    let (number, end) = scene.short(scene.at)?;
    let separator = scene.char(end).filter(|c| matches!(c, '/' | '-' | '.'))?;
    let before = scene.before();
    if before.contains("tỷ lệ") || before.contains("tỉ lệ") {
        return None;
    }
    let of_months = ends_with(&before, &["tháng"]) || scene.goes_on(Kind::Month);
    // "02-03/2026"
    // "quý 1, 2 và 3/2026"
    let listed = before.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | ' ' | 'v' | 'à'));
    let of_quarters = ends_with(&before, &["quý"]) || ends_with(listed, &["quý"]);
    let part = of_quarters || ends_with(&before, PARTS_OF_A_YEAR);
    if separator == '-'
        && (of_quarters || !part)
        && !of_months
        && let Some((last, slash)) = scene.short(end + 1).filter(|(last, _)| number < *last && *last <= 12)
        && scene.char(slash) == Some('/')
        && let Some((year, close)) = scene.year(slash + 1).filter(|(year, _)| *year >= 1_900)
    {
        let months = match of_quarters {
            true => format!("{} đến {}", cardinal(number), cardinal(last)),
            false => format!("tháng {} đến tháng {}", month(number), month(last)),
        };
        let words = format!("{months} năm {}", cardinal(year));
        return (number > 0 && !scene.is_word(close)).then(|| Taken::new(words, close, Kind::Date));
    }
    let (year, end) = scene.year(end + 1)?;
    // "3.2021" has too many decimals for a number.
    let plain = separator == '.' && super::units::unit_after(scene, end).is_none();
    let ends = separator == '-' && scene.next_word(end).is_empty() && scene.char(end) != Some('/');
    let apart = separator == '/' || plain || ends || of_months || of_quarters;
    if scene.is_word(end) || year < 1_900 || !apart || scene.previous(scene.at) == Some('/') {
        return None;
    }
    let said = match (part, of_months) {
        (true, _) if ends_with(&before, &["thứ"]) => ordinal(number),
        (true, _) if scene.char(scene.at) == Some('0') && ends_with(&before, &["số"]) => {
            spelled(&scene.text(scene.at, scene.digits_end(scene.at)))
        }
        (true, _) => cardinal(number),
        _ if !(1..=12).contains(&number) => return None,
        (_, true) => month(number),
        _ => format!("tháng {}", month(number)),
    };
    Some(Taken::new(format!("{said} năm {}", cardinal(year)), end, Kind::Date))
}

/// `2/9`, and `2-9` and `2.9` where the words before name a day.
fn day_and_month(scene: &Scene) -> Option<Taken> {
    let before = scene.before();
    if is_a_class_of_a_list(&before) {
        return None;
    }
    if let Some(date) = slashed(scene, scene.at) {
        return is_dated(scene, &before, &date).then(|| date.said(scene));
    }
    let (day, end) = scene.short(scene.at)?;
    let separator = scene.char(end).filter(|c| matches!(c, '-' | '.'))?;
    let (month, end) = scene.short(end + 1)?;
    let named = if separator == '.' { &["ngày"][..] } else { BEFORE_A_DASHED_DATE };
    let more = matches!(scene.char(end), Some('/' | '-' | '.' | ',' | ':')) && scene.is_digit(end + 1);
    let next = scene.next_word(end);
    let other = matches!(next.as_str(), "tháng" | "h" | "giờ" | "âm");
    let fits = is_day(day, month) && !more && !scene.is_word(end) && !other;
    let known = separator == '-'
        && FESTIVALS.contains(&(day, month))
        && after_a_capital(scene)
        && is_festive(&before);
    let listed = scene.goes_on(Kind::Date);
    // "từ 2-9 đến 5-9" names two days, "từ 2-9 giờ" two hours.
    let both = separator == '-' && ends_with(&before, &["từ"]) && scene.stands(end, " đến ") && {
        let until = scene.short(end + 5).filter(|(_, dash)| scene.char(*dash) == Some('-'));
        until.is_some_and(|(_, dash)| scene.short(dash + 1).is_some_and(|(_, close)| !scene.is_word(close)))
    };
    // No range goes down: "20-11".
    let down = separator == '-'
        && day > 12
        && !is_of_a_set(&before)
        && !scene.follows(&["số", "set", "hiệp", "thửa", "lô", "tờ", "nhà", "mã", "hiệu"]);
    let zero = scene.char(scene.at) == Some('0') || scene.char(end - 2) == Some('0');
    let padded = separator == '.' && zero && ends_with(&before, BEFORE_A_DASHED_DATE);
    let after_its_time = separator == '.'
        && scene
            .connected()
            .is_some_and(|(kind, gap)| kind == Kind::Time && matches!(gap.as_str(), ", " | " "));
    let padded = padded || after_its_time;
    let weekday = ends_with(before.trim_end_matches([' ', '(', ',']), WEEKDAYS);
    let opening = separator == '-' && ends_with(&before, OPENINGS) && next.is_empty();
    // "12.12 miễn phí"
    let of_all = separator == '.' && day == month && day > 9 && opens(&before) && is_a_doing(&next);
    // "5-8/12: khám; 10.12: công bố"
    let heads = separator == '.' && scene.char(end) == Some(':') && end == scene.at + 5 && opens(&before);
    let festive = FESTIVALS.contains(&(day, month)) && opens(&before) && is_a_doing(&next);
    let known = known
        || opening
        || of_all
        || heads
        || separator == '-' && festive
        || separator == '-' && FESTIVALS.contains(&(day, month)) && { ends_with(&before, BEARERS) };
    (fits && (known || padded || down || weekday || listed || both || ends_with(&before, named)))
        .then(|| Date { day, month, year: None, end }.said(scene))
}

/// Tells whether this is the first cell of a row under "Ngày".
fn in_a_column_of_days(scene: &Scene, end: usize) -> bool {
    let head = scene.run_end(0, |c| c != '\n');
    let opens = head < scene.at && scene.previous(scene.at) == Some('\n');
    opens && scene.char(end) == Some(',') && scene.text(0, head).to_lowercase().starts_with("ngày,")
}

/// Tells whether a sentence or a part of one begins after these words.
fn opens(before: &str) -> bool {
    before.is_empty() || before.ends_with([',', ';', '.', '!', '?'])
}

/// Tells whether a word says what is done on the day before it.
fn is_a_doing(word: &str) -> bool {
    const DOINGS: [&str; 13] =
        ["giảm", "miễn", "khai", "nghỉ", "mở", "bắt", "họp", "diễn", "phát", "tổng", "ra", "sale", "khuyến"];
    DOINGS.contains(&word)
}

fn ends_with_a_word(before: &str) -> bool {
    before.ends_with(char::is_alphabetic)
}

fn is_festive(before: &str) -> bool {
    ["ngày", "lễ", "mừng", "niệm", "dịp", "hội"].iter().any(|word| before.contains(word))
}

/// Tells whether the word just before is a name: "Ngày Nhà giáo Việt Nam 20-11".
fn after_a_capital(scene: &Scene) -> bool {
    let before = scene.text(scene.at.saturating_sub(12), scene.at);
    let word = before.split(' ').rev().nth(1).unwrap_or_default();
    before.ends_with(' ') && word.starts_with(char::is_uppercase)
}

/// Tells whether `2/9` is a day and not a share.
fn is_dated(scene: &Scene, before: &str, date: &Date) -> bool {
    let before = before.trim_end_matches([' ', '(', ',']);
    let (day, end) = (scene.digits_end(scene.at) - scene.at, date.end);
    let zero = scene.char(scene.at) == Some('0') || scene.char(scene.at + day + 1) == Some('0');
    let next = scene.next_word(end);
    let listed = scene.connected().is_some_and(|(kind, gap)| {
        matches!(kind, Kind::Day | Kind::Date) && !gap.contains('.') && gap.chars().count() > 1
            || kind == Kind::Date && matches!(gap.as_str(), "-" | "–")
    });
    // "1/12-5/12"
    let range = matches!(scene.char(end), Some('-' | '–')) && slashed(scene, end + 1).is_some();
    if range && !ends_with(before, BEFORE_A_SHARE) {
        return true;
    }
    if scene.stands(end, " đồng chí") {
        return false;
    }
    if in_a_column_of_days(scene, end)
        || scene.stands(end, " (tức")
        || matches!(next.as_str(), "âm" | "dương" | "al" | "âl")
    {
        return true;
    }
    if matches!(next.as_str(), "năm" | "hằng" | "hàng") && FESTIVALS.contains(&(date.day, date.month)) {
        return true;
    }
    // "Trực: 27/11: Nam"
    if ends_with(before, &["trực"]) && scene.char(end) == Some(':') {
        return true;
    }
    if ends_with(before, BEFORE_A_SHARE) || AFTER_A_SHARE.contains(&next.as_str()) {
        return false;
    }
    // "14h, 2/12"
    let timed = scene.connected().is_some_and(|(kind, gap)| {
        kind == Kind::Time && matches!(gap.as_str(), ", " | " " | " - " | " – " | " (")
    });
    if timed {
        return true;
    }
    let ends = !scene.char(scene.after_space(end)).is_some_and(char::is_alphanumeric);
    let share =
        ends_with(before, &["chiếm", "còn", "bằng", "hơn", "khoảng", "gần", "tới", "giảm", "tăng", "là"]);
    if FESTIVALS.contains(&(date.day, date.month)) && ends && !share && ends_with_a_word(before) {
        return true;
    }
    // "11/11 giảm giá"
    if date.day == date.month && date.day > 9 && opens(before) && is_a_doing(&next) {
        return true;
    }
    if FESTIVALS.contains(&(date.day, date.month)) && is_a_doing(&next) {
        return true;
    }
    // "5/9 khai giảng"
    if FESTIVALS.contains(&(date.day, date.month)) && before.is_empty() && !ends {
        return true;
    }
    let street = ends_with(before, &["đường", "phố"]);
    // "Ngày Pháp luật 9/11"
    let of_a_day = after_a_capital(scene) || before.rsplit(' ').nth(2) == Some("ngày");
    let of_a_day = of_a_day && before.contains("ngày ") && ends && ends_with_a_word(before);
    zero || listed
        || of_a_day
        || street && date.day > 1
        || ends_with(before, BEFORE_A_DATE) && !street
        || ends_with(before, WEEKDAYS)
        || date.day > date.month && (date.day, date.month) != (24, 7)
}
