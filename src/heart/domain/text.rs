//! Text as people bring it, from keyboards, from Word and from Zalo, made one and the same for those who write it alike.

use unicode_normalization::UnicodeNormalization;

/// Gives `text` in composed characters (NFC), with plain spaces and line ends, and without what nobody sees: zero-width
/// characters, soft hyphens, marks of direction, control characters.
///
/// A text that was cleaned stays as it is when it is cleaned again.
pub fn clean(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => plain.push('\n'),
            '\n' | '\t' => plain.push(c),
            _ if is_unseen(c) => {}
            _ if c.is_whitespace() => plain.push(' '),
            _ => plain.push(c),
        }
    }
    plain.nfc().collect()
}

/// Tells whether a character has no width and no sound of its own.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    ) || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text), expected, "{text:?}");
        assert_eq!(clean(expected), expected);
    }

    #[test]
    fn a_text_is_the_same_however_it_was_typed() {
        check("Đo\u{302}ng, nga\u{300}y Uy\u{309} ban", "Đông, ngày Uỷ ban");
        check("5\u{a0}km và 1\u{202f}500", "5 km và 1 500");
        check("17\u{200b}h30 \u{200e}ủy\u{ad} ban\u{feff}", "17h30 ủy ban");
        check("một\r\nhai\rba\u{2028}bốn\tnăm", "một\nhai\nba\nbốn\tnăm");
        // A mark that came apart from its letter finds back to it.
        check("a\u{200b}\u{301}", "á");
        check("\u{7}", "");
    }

    proptest! {
        #[test]
        fn cleaning_again_changes_nothing(text in any::<String>()) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }
    }
}
