//! Vietnamese names in lists that people read and search.

use unicode_normalization::UnicodeNormalization;

/// A part of a name by which it is put in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Number(u64),
    /// The place of a letter: the one without marks, and the mark that makes it another letter.
    Letter(char, u8),
}

/// The tones of a name, which decide where the letters are the same.
type Tones = Vec<u8>;

/// Gives the key by which a name is put in order: đ follows d, ă and â follow a, numbers count as numbers, and tones decide
/// between names of the same letters.
pub fn order(name: &str) -> (Vec<Part>, Tones) {
    let (mut parts, mut tones) = (Vec::new(), Tones::new());
    for sign in name.to_lowercase().nfd() {
        match (sign, parts.last_mut()) {
            ('\u{306}', Some(Part::Letter(_, mark))) => *mark = 1,
            ('\u{302}', Some(Part::Letter(_, mark))) => *mark = 2,
            ('\u{31b}', Some(Part::Letter(_, mark))) => *mark = 3,
            ('\u{300}' | '\u{309}' | '\u{303}' | '\u{301}' | '\u{323}', Some(Part::Letter(..))) => {
                let tone = ['\u{300}', '\u{309}', '\u{303}', '\u{301}', '\u{323}']
                    .iter()
                    .position(|one| *one == sign);
                if let (Some(last), Some(tone)) = (tones.last_mut(), tone) {
                    *last = tone as u8 + 1;
                }
            }
            ('0'..='9', Some(Part::Number(number))) => {
                *number = number.saturating_mul(10).saturating_add(u64::from(sign) - u64::from('0'));
            }
            ('0'..='9', _) => parts.push(Part::Number(u64::from(sign) - u64::from('0'))),
            ('đ', _) => {
                parts.push(Part::Letter('d', 4));
                tones.push(0);
            }
            _ => {
                parts.push(Part::Letter(sign, 0));
                tones.push(0);
            }
        }
    }
    (parts, tones)
}

/// Gives a name as people type it who look for it in haste: small letters without any marks.
pub fn without_marks(name: &str) -> String {
    let is_mark = |sign: &char| ('\u{300}'..='\u{36f}').contains(sign);
    let small = name.to_lowercase();
    small.nfd().filter(|sign| !is_mark(sign)).map(|letter| if letter == 'đ' { 'd' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_marks() {
        assert_eq!(without_marks("Thôn ĐƯỜNG Sữa 2"), "thon duong sua 2");
    }

    #[test]
    fn names_stand_as_in_a_vietnamese_dictionary() {
        let right = [
            "Bản Nậm Khòa Hạ",
            "Thôn 2",
            "Thôn 10",
            "Thôn An",
            "Thôn Ấn",
            "Thôn Dâu",
            "Thôn Đoài",
            "Thôn Đông",
            "Thôn Đồng",
            "Thôn Hạ",
            "Tổ dân phố 1",
            "Xóm Mới",
        ];
        let mut names = right;
        names.reverse();
        names.sort_by_cached_key(|name| order(name));
        assert_eq!(names, right);
    }
}
