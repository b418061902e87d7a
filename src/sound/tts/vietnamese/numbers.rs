//! Whole numbers, decimals and digits in words.

pub(super) const DIGITS: [&str; 10] =
    ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"];
/// Names of the powers of a thousand.
const GROUPS: [&str; 4] = ["", "nghìn", "triệu", "tỷ"];
/// Digits of the longest number that is said as one; a longer one is said digit by digit.
const CARDINAL_DIGITS_MAX: usize = 18;

/// Gives a whole number in words, as newsreaders and schoolbooks of the North have it: `105` "một trăm linh năm", `21`
/// "hai mươi mốt", `24` "hai mươi tư".
pub(super) fn cardinal(number: u64) -> String {
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

/// Gives a number below a thousand; `full` also says the hundreds that are not there.
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
        (2.., 4) => words.push("tư"),
        (1.., 5) => words.push("lăm"),
        _ => words.push(DIGITS[one]),
    }
    words.join(" ")
}

/// Gives digits as one number, leading zeros left out; one that is too long digit by digit.
pub(super) fn number(digits: &str) -> String {
    let plain = digits.trim_start_matches('0');
    match plain.parse() {
        _ if plain.is_empty() => DIGITS[0].to_owned(),
        Ok(value) if plain.len() <= CARDINAL_DIGITS_MAX => cardinal(value),
        _ => code(digits),
    }
}

/// Gives digits one by one; an `x` stands for one that is kept back.
pub(super) fn spelled(digits: &str) -> String {
    let said = |c: char| c.to_digit(10).map_or("x", |digit| DIGITS[digit as usize]);
    digits.chars().map(said).collect::<Vec<_>>().join(" ")
}

/// Gives a long number that names something one digit after the other, in groups with a pause between them.
pub(super) fn code(digits: &str) -> String {
    let sizes: &[usize] = match digits.len() {
        0..=5 => return spelled(digits),
        7 => &[3, 4],
        8 => &[4, 4],
        10 => &[4, 3, 3],
        11 if digits.starts_with("024") || digits.starts_with("028") => &[3, 4, 4],
        11 => &[4, 4, 3],
        16 => &[4],
        _ => &[3],
    };
    let (mut groups, mut rest) = (Vec::new(), digits);
    for size in sizes.iter().copied().chain(std::iter::repeat(sizes[sizes.len() - 1])) {
        // No digit stands alone at the end.
        let size = if rest.len() <= size + 1 { rest.len() } else { size };
        let (group, more) = rest.split_at(size);
        groups.push(spelled(group));
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    groups.join(", ")
}

/// Gives what stands after a decimal comma: up to two digits as a number, more one by one.
pub(super) fn decimals(digits: &str) -> String {
    if digits.len() <= 2 && !digits.starts_with('0') { number(digits) } else { spelled(digits) }
}

/// Gives the place in a row: `1` "nhất", `4` "tư".
pub(super) fn ordinal(number: u64) -> String {
    match number {
        1 => "nhất".to_owned(),
        4 => "tư".to_owned(),
        _ => cardinal(number),
    }
}

/// Gives the value of a Roman numeral below ninety that is written as it should be.
pub(super) fn roman(text: &str) -> Option<u64> {
    const TENS: [&str; 9] = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX"];
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    // A lone L is the name of a class, not a number.
    if text.is_empty() || text == "L" {
        return None;
    }
    TENS.iter().zip(0..).find_map(|(tens, ten)| {
        let one = ONES.iter().zip(0..).find(|(ones, _)| text.strip_prefix(*tens) == Some(**ones));
        one.map(|(_, one): (_, u64)| ten * 10 + one)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roman_numerals_are_read_where_they_are_right() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(roman(text), expected, "{text}");
        check("I", Some(1));
        check("IV", Some(4));
        check("XIII", Some(13));
        check("XIX", Some(19));
        check("XXIV", Some(24));
        check("LXXX", Some(80));
        check("VX", None);
        check("IIII", None);
        check("IXI", None);
        check("C", None);
        check("MDC", None);
        check("", None);
    }

    #[test]
    fn long_codes_are_said_in_groups() {
        let groups =
            |digits: &str| code(digits).split(", ").map(|group| group.split(' ').count()).collect::<Vec<_>>();
        assert_eq!(groups("0912345678"), [4, 3, 3]);
        assert_eq!(groups("1234567"), [3, 4]);
        assert_eq!(groups("1234567890123"), [3, 3, 3, 4]);
        assert_eq!(groups("12345"), [5]);
        assert_eq!(code("113"), "một một ba");
    }
}
