//! Units after a number, and what is counted or paid for after a slash.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::numbers::{cardinal, number};
use super::scene::Scene;

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
    "bản",
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
    ("LĐ", "lao động"),
    ("TH", "trường hợp"),
    ("tv", "thành viên"),
    ("cp", "cổ phiếu"),
    ("sp", "sản phẩm"),
    ("p", "phút"),
    ("ph", "phút"),
];
/// Words of money and count after which a price has "một" even before a measure: "đồng/kg".
const MONEY: &[&str] = &["đồng", "nghìn", "ngàn", "triệu", "tỷ", "tỉ", "đô la", "đô la mỹ", "ơ-rô"];

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
pub(super) fn unit_after(scene: &Scene, end: usize) -> Option<(String, usize)> {
    if let Some(thousand) = thousand_at(scene, end) {
        return Some(thousand);
    }
    if let Some(metres) = metres_and_more(scene, end) {
        return Some(metres);
    }
    if let Some(run) = minutes_and_seconds(scene, end) {
        return Some(run);
    }
    if scene.char(end).is_some_and(|c| matches!(c, '\'' | '′' | 'p'))
        && !scene.is_word(end + 1)
        && !quoted(scene)
    {
        return Some(with_slashes(scene, "phút", end + 1));
    }
    // "tivi 65""
    let screen = || {
        ["tivi", "ti vi", "màn hình", "tv", "laptop", "van ", "ống "]
            .iter()
            .any(|thing| scene.line().contains(thing))
    };
    if scene.char(end) == Some('"')
        && !scene.is_digit(end + 1)
        && scene.previous(scene.at) != Some('"')
        && screen()
    {
        return Some(("in".to_owned(), end + 1));
    }
    // "x 6 th"
    if scene.stands(end, " th") && !scene.is_word(end + 3) {
        return Some(("tháng".to_owned(), end + 3));
    }
    // "35 đ/c"
    let person = scene.after_space(end);
    if scene.stands(person, "đ/c") && !scene.is_word(person + 3) {
        return Some(("đồng chí".to_owned(), person + 3));
    }
    // "chờ 15 p"
    if scene.stands(end, " p") && !scene.is_word(end + 2) && scene.char(end + 2) != Some('/') {
        return Some(("phút".to_owned(), end + 2));
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
    // "mạch 80 l/p"
    let beats = || {
        let before = scene.before();
        let about =
            |words: &[&str]| before.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
        about(&["mạch", "tim", "thở"]) && !about(&["oxy", "ôxy", "oxi"])
    };
    let said = if said == "lít" && scene.stands(close, "/p") && beats() { "lần" } else { said };
    if spaced > end && GLUED.contains(&scene.text(spaced, close).as_str()) {
        return None;
    }
    Some(with_slashes(scene, said, close))
}

/// Finds the unit that a letter behind a number stands for, by the words before: "xe trên 3,5T", "bé 5T", "uống 2v".
fn letter_after(scene: &Scene, end: usize) -> Option<&'static str> {
    let letter = scene.char(end).filter(|c| matches!(c, 'T' | 'v' | 't' | 'A'))?;
    if scene.is_word(end + 1) || !scene.is_digit(end - 1) {
        return None;
    }
    let before = scene.before();
    let about =
        |words: &[&str]| before.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    match letter {
        'A' => (before.ends_with("v-")
            || about(&["cb", "aptomat", "áp", "dòng", "cầu", "chì", "mcb", "công", "tơ", "sạc", "điện"]))
        .then_some("am-pe"),
        'v' => about(&["uống", "ngậm"]).then_some("viên"),
        't' if scene.previous(scene.at) == Some('(') && matches!(scene.char(end + 1), Some(',' | ')')) => {
            Some("tuổi")
        }
        't' if before.ends_with('-') && about(&["người", "cụ", "từ", "nam", "nữ"]) => Some("tuổi"),
        _ if about(&["tải", "trọng", "nặng", "cầu", "xe", "sản", "khối"]) => Some("tấn"),
        _ if about(&["bé", "trẻ", "cháu", "tuổi"]) => Some("tuổi"),
        'T' if about(&["hạn", "góp", "gửi", "hành"]) => Some("tháng"),
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
    let point = scene.chars[scene.at.min(end)..end].iter().any(|c| matches!(c, '.' | ','));
    // "dầu DO 0,05S" is no place.
    let small = scene.char(scene.at) == Some('0');
    if point
        && !small
        && let Some((side, close)) = side(end).filter(|_| !matches!(scene.char(end), Some('T' | 'W')))
    {
        return Some((format!("độ {side}"), close));
    }
    // "21.0278 N": so many decimals only a map has.
    let fine = scene.chars[..end].iter().rev().take_while(|c| c.is_ascii_digit()).count() >= 3;
    if point
        && fine
        && scene.char(end) == Some(' ')
        && let Some((side, close)) = side(end + 1)
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
        let digits = scene.text(end + 2, tail);
        // "2tr500" counts thousands, "1tr2" is said as it stands.
        let part = match digits.len() {
            0 => String::new(),
            1 | 2 => format!(" {}", number(&digits)),
            _ => format!(" {} nghìn", number(&digits)),
        };
        return (!scene.is_word(tail) && digits.len() <= 3)
            .then(|| with_slashes(scene, &format!("triệu{part}"), tail));
    }
    // "8k5" is eight thousand and a half.
    let tail = scene.digits_end(end + 1);
    if scene.char(end) == Some('k') && tail == end + 2 && !scene.is_word(tail) {
        let part = number(&scene.text(end + 1, tail));
        return Some(with_slashes(scene, &format!("nghìn {part}"), tail));
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
            | "like"
            | "sub"
            | "follow"
    ) || scene.stands(scene.after_space(end + 1), "bình luận");
    Some(with_slashes(scene, if of_things { "nghìn" } else { "nghìn đồng" }, end + 1))
}

/// Reads the seconds of a race: `2'05"`, `12'45''`.
fn minutes_and_seconds(scene: &Scene, end: usize) -> Option<(String, usize)> {
    scene.char(end).filter(|c| matches!(c, '\'' | '’' | '′'))?;
    let (seconds, close) =
        scene.short(end + 1).filter(|(seconds, close)| *close == end + 3 && *seconds < 60)?;
    let marked = ["''", "\"", "″", "”", "’’"].iter().find(|mark| scene.stands(close, mark));
    let close = close + marked.map_or(0, |mark| mark.chars().count());
    (!quoted(scene) && !scene.is_word(close)).then(|| (format!("phút {} giây", cardinal(seconds)), close))
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
        && (scene.before().ends_with("m-") || scene.follows(&["cao", "chiều cao", "dưới", "trên", "khoảng"]));
    // "xe trên 3T5"
    let loaded = scene.char(end) == Some('T') && close == end + 2 && scene.line().contains("xe ");
    if loaded && !scene.is_word(close) {
        return Some((format!("tấn {}", number(&scene.text(end + 1, close))), close));
    }
    let square = !tall && matches!(scene.text(end + 1, close).as_str(), "2" | "3");
    if scene.char(end) != Some('m') || !few || square || scene.is_word(close) {
        return None;
    }
    Some((format!("mét {}", number(&scene.text(end + 1, close))), close))
}

/// Reads what is counted, after the slashes that follow a unit.
pub(super) fn with_slashes(scene: &Scene, unit: &str, end: usize) -> (String, usize) {
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
        // "100.000đ/1 người" is a price of one.
        let thing = scene.next_word(digits);
        if scene.text(from, digits) == "1" && COUNTED.contains(&thing.as_str()) {
            return Some(("một".to_owned(), digits));
        }
        let priced = counted.contains("một ")
            && matches!(scene.next_word(digits).as_str(), "người" | "khẩu" | "trẻ" | "cháu" | "con");
        let whole = scene.run_end(from, |c| c.is_ascii_digit() || c == '.');
        let price = scene.run_end(from, |c| c.is_ascii_digit() || matches!(c, '.' | ','));
        let paid = ["k", "đ", "tr"]
            .iter()
            .any(|money| scene.stands(price, money) && !scene.is_word(price + money.chars().count()));
        let others = priced
            || paid && counted.chars().all(char::is_alphabetic)
            || matches!(counted, "hộ" | "gia đình" | "thôn" | "xã" | "lớp" | "đội")
                && matches!(
                    scene.next_word(whole).as_str(),
                    "khẩu" | "người" | "nhân" | "hộ" | "em" | "cháu"
                )
            || thing == "pha"
            || counted.ends_with("vôn") && scene.stands(digits, "Hz");
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
        // "12 ca/tuần 47" names the week.
        let after = from + word.chars().count();
        if matches!(*word, "tuần" | "tháng" | "năm" | "quý")
            && scene.char(after) == Some(' ')
            && scene.is_digit(after + 1)
        {
            return Some((",".to_owned(), from));
        }
        let speed = counted == "ki-lô-mét" && *word == "giờ";
        let over = if speed { "trên" } else { "một" };
        let end = from + word.chars().count();
        // "m3/ngày.đêm"
        let whole_day = *word == "ngày" && (scene.stands(end, ".đêm") || scene.stands(end, "-đêm"));
        let (word, end) = if whole_day { ("ngày đêm", end + 4) } else { (*word, end) };
        return Some((format!("{over} {word}"), end));
    }
    let short = SHORT_THINGS.iter().map(|(short, thing)| (short, from + short.chars().count(), thing));
    let mut short = short.filter(|(short, end, _)| scene.stands(from, short) && !scene.is_word(*end));
    if let Some((_, end, thing)) = short.next() {
        return Some((format!("một {thing}"), end));
    }
    let lower = counted.to_lowercase();
    let price = MONEY.iter().any(|money| lower.ends_with(money)) || counted.contains("một ");
    let Some((said, close)) = unit_at(scene, from) else {
        let thing = scene.char(from).is_some_and(char::is_alphabetic);
        return (price && thing).then(|| ("một".to_owned(), from));
    };
    Some((format!("{} {said}", if price { "một" } else { "trên" }), close))
}
