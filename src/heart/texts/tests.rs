use super::*;

#[test]
fn values_stand_where_the_text_names_them() {
    let check = |text: &str, expected: &str| {
        let value = |name: &str| match name {
            "count" => Some("1".to_owned()),
            "more" => Some("7".to_owned()),
            _ => None,
        };
        assert_eq!(fill(text, value), expected);
    };
    check("{count} {count|box|boxes}, {more} {more|box|boxes}", "1 box, 7 boxes");
    check("nothing", "nothing");
    check("tones = [{ ms = {more} }], {strange}", "tones = [{ ms = 7 }], {strange}");
    check("open {", "open {");
}

#[test]
fn what_has_a_sentence_is_said_in_the_language_of_the_whole() {
    let inner = said!("name.empty");
    let outer = said!("trust.key", holder = "Lò Văn Pâng", error = inner);
    assert_eq!(outer.to(Lang::Vi), "khóa công khai của Lò Văn Pâng: tên đang để trống");
    assert_eq!(outer.to_string(), "the public key of Lò Văn Pâng: the name is empty");
}

#[test]
fn numbers_and_locales_follow_the_language() {
    assert_eq!(Sentence::decimal(2.55, 1).to(Lang::Vi), "2,5");
    assert_eq!(Sentence::decimal(2.0, 2).to(Lang::En), "2.00");
    let check =
        |values: &[&str], lang| assert_eq!(Lang::of_locale(values.iter().copied()), lang, "{values:?}");
    check(&["", "vi_VN.UTF-8"], Lang::Vi);
    check(&["en_US.UTF-8", "vi_VN.UTF-8"], Lang::En);
    check(&["C", "vi"], Lang::En);
    check(&["VI"], Lang::Vi);
    check(&[], Lang::En);
}
