//! Names of people, compared as a reader compares them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A name as it is compared: composed (NFKC), in small letters, with single spaces, without what can't be seen.
///
/// ```
/// use loaxa_heart::domain::person::normalised;
/// assert_eq!(normalised(" NGUYỄN  Văn An"), normalised("Nguye\u{302}\u{303}n Va\u{306}n\u{200b} An"));
/// ```
pub fn normalised(name: &str) -> String {
    let visible = name.nfkc().filter(|c| !is_unseen(*c));
    // Capitals first, as some small letters have no capital of their own: ß, ς, ı.
    let folded: String = visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let composed: String = folded.nfkc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns what is left of a name for an eye that passes over accents, spaces and alphabets: names that share it are
/// easily taken for each other.
///
/// ```
/// use loaxa_heart::domain::person::skeleton;
/// assert_eq!(skeleton("Nguyễn Văn Ân"), skeleton("Nguyen Van An"));
/// assert_ne!(skeleton("Trực ban 1"), skeleton("Trực ban 2"));
/// ```
pub fn skeleton(name: &str) -> String {
    let bare = normalised(name).nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    bare.chars().map(latin_twin).filter(|c| c.is_alphanumeric()).collect()
}

/// Tells whether a name has letters that its readers can't tell from others: of several alphabets, or of one whose letters are
/// drawn like the Latin ones.
///
/// ```
/// use loaxa_heart::domain::person::is_disguised;
/// assert!(!is_disguised("Nguyễn Văn Đạt") && !is_disguised("ສົມ ພອນ 2"));
/// assert!(is_disguised("Ꭲrực ban") && is_disguised("Tɾực ban") && is_disguised("ꓡꓮꓠ"));
/// ```
pub fn is_disguised(name: &str) -> bool {
    let bare = name.nfkd().filter(|c| c.is_alphabetic() && !is_combining_mark(*c) && !is_unseen(*c));
    let (latin, other): (Vec<char>, Vec<char>) = bare.partition(|c| is_latin(*c));
    !latin.is_empty() && !other.is_empty() || other.into_iter().any(is_drawn_like_latin)
}

/// The Latin letters that names are written with, those of Ê Đê, Gia Rai and Ba Na among them.
const fn is_latin(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{17f}' | 'ƀ' | 'Ƀ')
}

/// Letters of phonetic alphabets, Coptic, Cherokee, Lisu, Deseret, Osage and Warang Citi, of which many are Latin ones to the
/// eye.
const fn is_drawn_like_latin(c: char) -> bool {
    matches!(c,
        '\u{250}'..='\u{2af}' | '\u{3e2}'..='\u{3ef}' | '\u{13a0}'..='\u{13ff}' | '\u{1d00}'..='\u{1dbf}'
        | '\u{2c60}'..='\u{2cff}' | '\u{a4d0}'..='\u{a4ff}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{abbf}'
        | '\u{10400}'..='\u{104ff}' | '\u{118a0}'..='\u{118ff}')
}

/// Characters that take no room on paper: joiners, marks of direction, soft hyphens, fillers, selectors, tags.
const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The Latin letter that looks like this one (Unicode Technical Standard 39, the letters that occur in names).
const fn latin_twin(c: char) -> char {
    match c {
        'đ' | 'ð' | 'ԁ' => 'd',
        'ø' | 'о' | 'ο' | 'σ' | 'օ' | '0' => 'o',
        'ł' | 'ӏ' | '1' | '|' => 'l',
        'а' | 'α' => 'a',
        'в' | 'β' => 'b',
        'с' | 'ϲ' => 'c',
        'е' | 'ε' => 'e',
        'һ' | 'ħ' | 'н' | 'η' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' | 'μ' => 'm',
        'ո' => 'n',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        'ζ' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_same(one: &str, other: &str) {
        assert_eq!(normalised(one), normalised(other), "{one:?} {other:?}");
    }

    #[test]
    fn one_person_is_written_in_many_ways() {
        check_same("Nguyễn Văn An", "Nguye\u{302}\u{303}n Va\u{306}n An");
        check_same("Nguyễn Văn An", "NGUYỄN VĂN AN");
        check_same("Nguyễn Văn An", "  Nguyễn\u{a0}Văn\u{2003}\u{2003}An ");
        check_same("Nguyễn Văn An", "Nguyễn\u{200b} V\u{ad}ăn A\u{200d}n\u{feff}");
        check_same("Nguyễn Văn An", "Nguye\u{302}\u{200d}\u{303}n Văn An");
        check_same("An", "Ａｎ");
        assert_ne!(normalised("Nguyễn Văn An"), normalised("Nguyễn Văn Ân"));
    }

    #[test]
    fn names_of_one_look_share_a_skeleton() {
        let latin = skeleton("Đoàn Hoa");
        for alike in ["Doan Hoa", "đoàn hòa", "Doàn Ноа", "Đoàn-Hoa", "Đ0àn Hoa"] {
            assert_eq!(skeleton(alike), latin, "{alike}");
        }
        assert_ne!(skeleton("Đoàn Hoan"), latin);
    }
}
