//! Addresses of the web and of e-mail, and hashtags.

use super::codes::spaced;
use super::numbers::{code, number};
use super::scene::{Kind, Scene, Taken};

/// Longest address that is read as one, in characters.
const ADDRESS_CHARS_MAX: usize = 300;
/// Last parts of names on the web that stand without "www".
const TOPS: &[&str] = &[
    "vn", "com", "net", "org", "gov", "edu", "info", "io", "me", "app", "asia", "biz", "tv", "ly", "link",
    "site", "page", "online", "xyz", "int", "eu", "jp", "cn", "kr", "us", "uk", "gl", "be", "dev", "cc",
    "shop", "club", "store", "mobi", "cloud", "top",
];

/// Reads an address as people dictate it: "chấm", "gạch chéo", "a còng".
pub(super) fn address(scene: &Scene) -> Option<Taken> {
    if scene.char(scene.at) == Some('#') {
        return hashtag(scene);
    }
    let inside = scene
        .previous(scene.at)
        .is_some_and(|c| matches!(c, '.' | '@' | '/' | '-' | '_') || c.is_alphanumeric());
    if inside || !scene.char(scene.at)?.is_ascii_alphanumeric() {
        return None;
    }
    let most = scene.chars.len().min(scene.at + ADDRESS_CHARS_MAX);
    let belongs = |c: &char| c.is_alphanumeric() || "@.:/?&=#%+-_~!$*'".contains(*c);
    let length = scene.chars[scene.at..most].iter().take_while(|c| belongs(c)).count();
    let text = scene.text(scene.at, scene.at + length);
    let text = text.trim_end_matches(['.', ':', '?', '!', '\'', '&', '-', '/', '*']);
    let lower = text.to_lowercase();
    let scheme = ["https://", "http://"]
        .iter()
        .find(|scheme| lower.starts_with(**scheme))
        .map_or(0, |scheme| scheme.len());
    let named = scheme > 0 && text.len() > scheme || lower.starts_with("www.") && text.len() > 6;
    if !named && !is_mail(&lower) && !is_name(&lower) {
        return None;
    }
    let end = scene.at + text.chars().count();
    // A slash at the end says nothing.
    let end = end + usize::from(scene.char(end) == Some('/') && !scene.is_word(end + 1));
    Some(Taken::new(said(text.get(scheme..)?), end, Kind::Other))
}

fn is_mail(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    !local.is_empty()
        && local.is_ascii()
        && host.contains('.')
        && host.chars().all(label)
        && !host.starts_with('.')
}

fn is_name(text: &str) -> bool {
    let host = text.split(['/', '?', ':']).next().unwrap_or_default();
    let Some((name, top)) = host.rsplit_once('.') else { return false };
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let letters = name.chars().filter(char::is_ascii_alphabetic).count() > 1;
    TOPS.contains(&top) && letters && name.split('.').all(label)
}

fn said(address: &str) -> String {
    let chars: Vec<char> = address.chars().collect();
    let (mut words, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let c = chars[at];
        let same = |other: &&char| {
            c.is_alphabetic() && other.is_alphabetic() || c.is_ascii_digit() && other.is_ascii_digit()
        };
        let length = chars[at..].iter().take_while(same).count().max(1);
        let part: String = chars[at..at + length].iter().collect();
        let word = match c {
            '.' => "chấm".to_owned(),
            '/' => "gạch chéo".to_owned(),
            '@' => "a còng".to_owned(),
            '-' => "gạch ngang".to_owned(),
            '_' => "gạch dưới".to_owned(),
            '?' => "hỏi".to_owned(),
            '=' => "bằng".to_owned(),
            '&' => "và".to_owned(),
            '#' => "thăng".to_owned(),
            ':' => "hai chấm".to_owned(),
            '%' => "phần trăm".to_owned(),
            '+' => "cộng".to_owned(),
            '~' => "ngã".to_owned(),
            _ if c.is_ascii_digit() && (length > 2 || c == '0') => code(&part),
            _ if c.is_ascii_digit() => number(&part),
            _ if is_unspeakable(&part) => spaced(&part),
            _ if office_before(&part).is_some() => {
                let (office, place) = part.split_at(office_before(&part).unwrap_or_default());
                format!("{} {place}", spaced(office))
            }
            _ => part,
        };
        words.push(word);
        at += length;
    }
    words.join(" ")
}

/// Offices whose letters are spelled in an address.
const OFFICES: [&str; 6] = ["ubnd", "hdnd", "ubmttq", "bhxh", "qldt", "vneid"];

/// The length of an office's letters before the name of its place: "ubndxatanphu".
fn office_before(letters: &str) -> Option<usize> {
    let lower = letters.to_lowercase();
    let office = OFFICES.iter().find(|office| letters.is_ascii() && lower.starts_with(*office))?;
    (letters.len() > office.len()).then_some(office.len())
}

/// Tells whether letters are spelled: nobody can say "vn" or "ubnd".
fn is_unspeakable(letters: &str) -> bool {
    let lower = letters.to_lowercase();
    letters.chars().count() > 1
        && letters.is_ascii()
        && (!lower.contains(['a', 'e', 'i', 'o', 'u']) && !lower.ends_with('y')
            || OFFICES.contains(&lower.as_str()))
}

/// Reads `#BinhMinhXanh` as "thăng Binh Minh Xanh".
fn hashtag(scene: &Scene) -> Option<Taken> {
    let end = scene
        .run_end(scene.at + 1, |c| c.is_alphanumeric() || c == '_')
        .min(scene.at + 1 + ADDRESS_CHARS_MAX);
    if !scene.char(scene.at + 1)?.is_alphabetic() {
        return None;
    }
    let (mut words, mut before) = (String::from("thăng "), None);
    for c in &scene.chars[scene.at + 1..end] {
        let capital = c.is_uppercase() && before.is_some_and(|b: char| !b.is_uppercase());
        let digits = before.is_some_and(|b: char| b.is_ascii_digit() != c.is_ascii_digit());
        if (capital || digits) && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push(if *c == '_' { ' ' } else { *c });
        before = Some(*c);
    }
    let said = words.split(' ').filter(|word| !word.is_empty());
    let said = said
        .map(|word| if word.bytes().all(|b| b.is_ascii_digit()) { number(word) } else { word.to_owned() });
    Some(Taken::new(said.collect::<Vec<_>>().join(" "), end, Kind::Other))
}
