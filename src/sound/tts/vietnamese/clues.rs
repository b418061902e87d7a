//! Clues in the words before a number: it is a plot, an account, a class or a result.

use super::scene::{Scene, ends_with};

/// Tells whether the number before a dash is a block of plots or flats, and the one after it a plot: "lô A2-15".
pub(super) fn is_a_plot(scene: &Scene, dash: usize) -> bool {
    let before = Scene { chars: scene.chars, at: dash, last: None, since_number: usize::MAX }.before();
    let block = before.rsplit(' ').next().unwrap_or_default();
    let named =
        block.starts_with(|c: char| c.is_ascii_lowercase()) && block.ends_with(|c: char| c.is_ascii_digit());
    named && ends_with(before[..before.len() - block.len()].trim_end(), &["lô", "căn", "căn hộ", "mã"])
}

/// Tells whether a bank stands between an account and its number: "TK Vietcombank 1023 456 789".
pub(super) fn is_of_a_bank(scene: &Scene) -> bool {
    let before = scene.before();
    let Some((rest, bank)) = before.rsplit_once(' ') else { return false };
    bank.is_ascii() && bank.len() > 1 && ends_with(rest, &["stk", "tk", "tài khoản", "số tài khoản"])
}

/// Tells whether classes with a slash stand before: "lớp 6/1, 7/2 và".
pub(super) fn is_a_class_of_a_list(before: &str) -> bool {
    let Some((_, listed)) = before.rsplit_once("lớp ") else { return false };
    let mut parts =
        listed.split([',', ' ', ';', '-']).filter(|part| !part.is_empty() && *part != "và").peekable();
    let class = |part: &str| {
        let grade = |grade: &str| grade.parse().is_ok_and(|grade: u8| grade <= 12);
        let lettered = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let letter = lettered.len() <= 3 && lettered.starts_with(|c: char| c.is_ascii_lowercase());
        letter && grade(&part[..part.len() - lettered.len()])
            || part.split_once('/').is_some_and(|(of, number)| grade(of) && number.parse::<u8>().is_ok())
    };
    parts.peek().is_some() && parts.all(class)
}

/// Tells whether a part of a match stands before its result: "set 2: 18-25".
pub(super) fn is_of_a_set(before: &str) -> bool {
    before.rsplit_once(' ').is_some_and(|(rest, set)| {
        set.parse::<u8>().is_ok() && ends_with(rest, &["set", "séc", "ván", "hiệp"])
    })
}
